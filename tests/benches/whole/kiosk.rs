//! The kiosk from outside: latencies of its screen, CPU and memory of its processes, start times.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use system_tests::bench_client::BenchClient;
use system_tests::rig_kiosk::RigKiosk;
use system_tests::screen_text::ScreenText;
use view::TextId;
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{
    BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ConnectionExt as _, ImageFormat, MOTION_NOTIFY_EVENT,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

use super::{note, report};

const WELCOME: TextId = TextId::WelcomeTitle;
const MENU: TextId = TextId::MenuTitle;
/// Timeout of every measurement.
const PATIENCE: Duration = Duration::from_secs(60);
const STARTS: usize = 5;
const VISITS: usize = 10;
const TOUCHES: usize = 20;
/// Duration of a press.
const PRESS: Duration = Duration::from_millis(60);
const IDLE: Duration = Duration::from_secs(20);
/// `USER_HZ`: 100 on every Linux of this architecture.
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) fn measure(kiosk: &mut RigKiosk) -> Result<()> {
    until(&kiosk.bench, WELCOME)?;
    screen_reads(&kiosk.bench)?;
    visits_by_card(&kiosk.bench)?;
    visits_by_code(&kiosk.bench)?;
    touches(kiosk)?;
    idle(kiosk)?;
    cold_starts(kiosk)
}

/// Time until the screen shows this text.
fn until(bench: &BenchClient, text: impl Into<ScreenText>) -> Result<Duration> {
    let pattern = bench.pattern(text)?;
    let begun = Instant::now();
    while !pattern.matches_any(&bench.visible_texts()?) {
        ensure!(
            begun.elapsed() < PATIENCE,
            "the screen did not show `{pattern}` within {} s",
            PATIENCE.as_secs()
        );
    }
    Ok(begun.elapsed())
}

fn screen_reads(bench: &BenchClient) -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..TOUCHES {
        let begun = Instant::now();
        bench.shows_text(WELCOME)?;
        times.push(begun.elapsed());
    }
    report("(one read of the screen)", times)
}

fn visits_by_card(bench: &BenchClient) -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..VISITS {
        let begun = Instant::now();
        bench.insert_card("zhang-guiying")?;
        until(bench, MENU)?;
        times.push(begun.elapsed());
        bench.remove_card()?;
        until(bench, WELCOME)?;
    }
    report("card in the slot → menu", times)
}

fn visits_by_code(bench: &BenchClient) -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..VISITS {
        let code = bench.fresh_code("wang-jianguo")?;
        let begun = Instant::now();
        bench.show_code(&code)?;
        until(bench, MENU)?;
        times.push(begun.elapsed());
        bench.hide_code()?;
        bench.tap_button(TextId::FootExit)?;
        until(bench, WELCOME)?;
    }
    report("code before the camera → menu", times)
}

/// Measures the time from a release, at which a button acts, to the first changed pixel, while switching the language
/// between English and Chinese.
fn touches(kiosk: &RigKiosk) -> Result<()> {
    let (x, screen) = x11rb::connect(Some(kiosk.display()))?;
    let root = x.setup().roots.get(screen).context("the display has no screen")?.root;
    let mut times = Vec::new();
    for _ in 0..TOUCHES / 2 {
        for (button, title) in [
            (ScreenText::Fixed(TextId::FootOtherLanguage), ScreenText::English(WELCOME)),
            (ScreenText::English(TextId::FootOtherLanguage), ScreenText::Fixed(WELCOME)),
        ] {
            let (left, top) = kiosk.bench.button_center(button)?;
            let at = (i16::try_from(left)?, i16::try_from(top)?);
            let before = title_strip(&x, root)?;
            send_input(&x, root, MOTION_NOTIFY_EVENT, 0, at)?;
            send_input(&x, root, BUTTON_PRESS_EVENT, 1, at)?;
            std::thread::sleep(PRESS);
            let released = Instant::now();
            send_input(&x, root, BUTTON_RELEASE_EVENT, 1, at)?;
            while title_strip(&x, root)? == before {
                ensure!(
                    released.elapsed() < PATIENCE,
                    "no pixel changed within {} s of a touch",
                    PATIENCE.as_secs()
                );
            }
            times.push(released.elapsed());
            until(&kiosk.bench, title)?;
        }
    }
    report("touch released → pixels", times)
}

fn send_input(x: &RustConnection, root: u32, kind: u8, button: u8, (left, top): (i16, i16)) -> Result<()> {
    x.xtest_fake_input(kind, button, 0, root, left, top, 0)?.check()?;
    Ok(())
}

/// The strip of the screen that holds the title; it contains no clock.
fn title_strip(x: &RustConnection, root: u32) -> Result<Vec<u8>> {
    Ok(x.get_image(ImageFormat::Z_PIXMAP, root, 0, 150, 1000, 100, !0)?.reply()?.data)
}

fn idle(kiosk: &RigKiosk) -> Result<()> {
    let processes = process_tree(kiosk.process_id().context("the kiosk does not run")?)?;
    let before = cpu_ticks(&processes)?;
    std::thread::sleep(IDLE);
    let ticks = cpu_ticks(&processes)? - before;
    let percent = f64::from(ticks) / TICKS_PER_SECOND / IDLE.as_secs_f64() * 100.0;
    note("idle: CPU of the kiosk and its device processes", &format!("{percent:.1} % of one core"))?;
    let mut total = 0;
    for process in &processes {
        total += pss_kib(*process)?;
    }
    let mib = total / 1024;
    note(
        "idle: memory (PSS) of the kiosk and its device processes",
        &format!("{mib} MiB in {} processes", processes.len()),
    )
}

fn cold_starts(kiosk: &mut RigKiosk) -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        kiosk.kill()?;
        let begun = Instant::now();
        kiosk.start()?;
        until(&kiosk.bench, WELCOME)?;
        times.push(begun.elapsed());
    }
    report("start of the program → idle screen", times)
}

/// A process and its children.
fn process_tree(parent: u32) -> Result<Vec<u32>> {
    let mut processes = vec![parent];
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may end while the list is read.
        if stat(process).is_ok_and(|stat| stat.get(1).is_some_and(|of| *of == parent.to_string())) {
            processes.push(process);
        }
    }
    Ok(processes)
}

/// The fields of `/proc/PID/stat` from the state on; the process name before it may contain any characters.
fn stat(process: u32) -> Result<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = text.rsplit_once(") ").context("/proc/PID/stat")?;
    Ok(fields.split_whitespace().map(str::to_owned).collect())
}

fn cpu_ticks(processes: &[u32]) -> Result<u32> {
    let mut ticks = 0;
    for process in processes {
        let stat = stat(*process)?;
        for field in [11, 12] {
            ticks += stat.get(field).context("/proc/PID/stat")?.parse::<u32>()?;
        }
    }
    Ok(ticks)
}

fn pss_kib(process: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = text.lines().find(|line| line.starts_with("Pss:")).context("smaps_rollup")?;
    Ok(line.split_whitespace().nth(1).context("smaps_rollup")?.parse()?)
}
