//! Measures how many codes are read and the CPU time, compared with zxing-cpp and ZBar, which decode the same
//! frames in turn.
//!
//! `cargo bench -p code-reader --bench frames [-- photos|sequences|empty]` runs all three parts if none is named.
//! zxing-cpp and ZBar are installed into `target/peers`; without them only the figures of this decoder are printed.
//! `PHOTOS` names a directory with a `manifest.tsv` (file, TAB, expected text, escaped as the `decode` example
//! does).

mod peer;
#[path = "../../examples/decode/picture.rs"]
mod picture;
mod scene;
mod tally;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use code_reader::{Decoder, LumaFrame};
use peer::{PeerDecoders, PeerResult};
use rustix::time::{ClockId, clock_gettime};
use scene::{Condition, FRAMES, SyntheticScene};
use tally::Tallies;

/// Time budget of a frame, as in the device process, and of a photo.
const FRAME_BUDGET: Duration = Duration::from_millis(120);
const PHOTO_BUDGET: Duration = Duration::from_millis(400);
/// Text lengths in characters: of an online token and of an offline code.
const LENGTHS: [usize; 2] = [37, 274];
/// Distances from the window to the phone, in centimetres.
const CENTIMETRES: [f32; 3] = [15.0, 20.0, 25.0];
const SEEDS: u32 = 4;
/// Number of frames of an empty hall.
const HALLS: u32 = 60;

fn main() -> io::Result<()> {
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |part: &str| named.is_empty() || named.iter().any(|name| name == part);
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut out = io::stdout().lock();
    let mut peers = match PeerDecoders::start(&workspace.join("target/peers")) {
        Ok(peers) => Some(peers),
        Err(error) => {
            writeln!(out, "without zxing-cpp and ZBar: {error}")?;
            None
        }
    };
    if wanted("photos") {
        let directory = std::env::var_os("PHOTOS").map(PathBuf::from);
        match directory.unwrap_or_else(|| workspace.join("../shared/data/qr")) {
            directory if directory.is_dir() => photos(&directory, peers.as_mut(), &mut out)?,
            directory => writeln!(out, "without photos: directory {} does not exist", directory.display())?,
        }
    }
    if wanted("sequences") {
        sequences(peers.as_mut(), &mut out)?;
    }
    if wanted("empty") {
        empty_halls(peers.as_mut(), &mut out)?;
    }
    Ok(())
}

/// Real photos, grouped by their source.
fn photos(
    directory: &Path,
    mut peers: Option<&mut PeerDecoders>,
    out: &mut impl io::Write,
) -> io::Result<()> {
    let manifest = std::fs::read_to_string(directory.join("manifest.tsv"))?;
    let mut families: BTreeMap<&str, Tallies> = BTreeMap::new();
    let mut all = Tallies::default();
    for line in manifest.lines().skip(1) {
        let mut columns = line.split('\t');
        let (Some(file), Some(expected)) = (columns.next(), columns.next()) else { continue };
        let Some(frame) = picture::read(&directory.join(file)) else {
            writeln!(out, "{file} is not a picture")?;
            continue;
        };
        let mut found = vec![look(&mut Decoder::new(), &frame, PHOTO_BUDGET, None)];
        if let Some(peers) = &mut peers {
            found.extend(peers.decode(&frame)?);
        }
        let family = families.entry(file.split('/').next().unwrap_or(file)).or_default();
        for tallies in [family, &mut all] {
            tallies.count_shown();
            for (tally, found) in tallies.each().zip(&found) {
                let text = found.text.as_deref().map(picture::escaped);
                tally.record(text.as_deref(), expected, found.milliseconds);
            }
        }
    }
    for (name, tallies) in families.iter_mut().chain([(&"all photos", &mut all)]) {
        tallies.print(name, peers.is_some(), out)?;
    }
    Ok(())
}

/// Sequences of ten frames of a held code: a sequence counts as read if one of its frames is.
fn sequences(mut peers: Option<&mut PeerDecoders>, out: &mut impl io::Write) -> io::Result<()> {
    let mut all = Tallies::default();
    for length in LENGTHS {
        for condition in Condition::ALL {
            let mut tallies = Tallies::default();
            for centimetres in CENTIMETRES {
                for seed in 0..SEEDS {
                    tallies.count_shown();
                    sequence(
                        &SyntheticScene { length, condition, centimetres, seed },
                        peers.as_deref_mut(),
                        &mut tallies,
                    )?;
                }
            }
            tallies.print(&format!("{length} {condition:?}"), peers.is_some(), out)?;
            all.add(&tallies);
        }
    }
    all.print("all sequences", peers.is_some(), out)
}

fn sequence(
    scene: &SyntheticScene,
    mut peers: Option<&mut PeerDecoders>,
    tallies: &mut Tallies,
) -> io::Result<()> {
    let text = scene.text();
    let mut decoder = Decoder::new();
    let mut done = [false; 3];
    for at in 0..FRAMES {
        let frame = scene.frame(at);
        let mut found = vec![look(&mut decoder, &frame, FRAME_BUDGET, Some(text.as_bytes()))];
        match &mut peers {
            Some(peers) => found.extend(peers.decode(&frame)?),
            None => done[1..].fill(true),
        }
        for ((done, tally), found) in done.iter_mut().zip(tallies.each()).zip(&found) {
            if !*done {
                let seen = found.text.as_deref().map(String::from_utf8_lossy);
                *done = tally.record(seen.as_deref(), &text, found.milliseconds);
            }
        }
        if done == [true; 3] {
            break;
        }
    }
    Ok(())
}

/// CPU time of frames without a code, the most frequent case in operation.
fn empty_halls(mut peers: Option<&mut PeerDecoders>, out: &mut impl io::Write) -> io::Result<()> {
    let mut tallies = Tallies::default();
    let mut decoder = Decoder::new();
    for seed in 0..HALLS {
        let frame = scene::empty_hall(seed);
        let mut found = vec![look(&mut decoder, &frame, FRAME_BUDGET, None)];
        if let Some(peers) = &mut peers {
            found.extend(peers.decode(&frame)?);
        }
        for (tally, found) in tallies.each().zip(&found) {
            tally.record(
                found.text.as_deref().map(String::from_utf8_lossy).as_deref(),
                "",
                found.milliseconds,
            );
        }
    }
    write!(out, "a frame without a code: {:.2} ms", tallies.ours.median())?;
    if peers.is_some() {
        let [zxing, zbar] = &mut tallies.theirs;
        let ratio = tallies.ours.median() / zxing.median();
        write!(
            out,
            "   zxing-cpp {:.2} ms, ratio {ratio:.2}   ZBar {:.2} ms",
            zxing.median(),
            zbar.median()
        )?;
    }
    writeln!(out)
}

/// Decodes one frame with this crate: the expected text if it is among those read, else the first.
fn look(decoder: &mut Decoder, frame: &LumaFrame, budget: Duration, expected: Option<&[u8]>) -> PeerResult {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default();
    let start = now();
    let mut codes = decoder.decode(frame, Instant::now() + budget).codes;
    let milliseconds = now().saturating_sub(start).as_secs_f64() * 1000.0;
    let wanted = codes.iter().position(|code| expected == Some(code.as_slice())).unwrap_or(0);
    let text = (wanted < codes.len()).then(|| codes.swap_remove(wanted));
    PeerResult { text, milliseconds }
}
