//! Simulation of a city in one thread: two kiosks (engine, journal, uplink), the platform, the acquirer and the
//! department, residents who touch what the screen shows, and injected faults of every part. Requests and answers are
//! passed as bytes; disks tear writes, links lose and duplicate messages, processes are killed. A run is determined by
//! its seed.
//!
//! `SIMULATION_SEEDS=1000 cargo test -p system-tests --test it simulation` runs more seeds. A run that fails is recorded in
//! a file, and says by which command it is replayed.

mod answer_checks;
mod checks;
mod coverage;
mod delivery_checks;
mod department_checks;
mod departments;
mod faults;
mod kiosk;
mod network;
pub(crate) mod peers;
pub(crate) mod phone;
mod rates;
mod recording;
pub(crate) mod relying_party;
pub(crate) mod residents;
mod screen_checks;
pub(crate) mod simulator;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use crate::simulation::coverage::RunCounts;
use crate::simulation::recording::{REPLAY_VARIABLE, Recording, SimRng, write_recording};
use crate::simulation::simulator::Simulator;

const MINUTE_MS: u64 = 60_000;

/// A kind of run: its name, and how long it goes on with and then without faults.
struct World {
    name: &'static str,
    /// The test that runs it.
    test: &'static str,
    faults_ms: u64,
    clean_ms: u64,
    /// How often nobody comes for hours or days, while there are faults.
    rests: u64,
    assert_coverage: fn(&RunCounts, u64),
}

/// Visit follows visit, and a fault comes every few seconds.
const DENSE: World = World {
    name: "dense",
    test: "faults_neither_charge_twice_nor_lose_records",
    faults_ms: 8 * MINUTE_MS,
    clean_ms: 12 * MINUTE_MS,
    rests: 0,
    assert_coverage: RunCounts::assert_coverage,
};

/// Minutes with visits, and days without any between them: segments are rotated and deleted, certificates and keys end.
const SPARSE: World = World {
    name: "sparse",
    test: "visits_over_months_keep_every_promise",
    rests: 16,
    faults_ms: 16 * MINUTE_MS,
    assert_coverage: RunCounts::assert_sparse_coverage,
    ..DENSE
};

type Check = fn(&mut Simulator) -> RunCounts;

/// Number of seeds to run, from the environment.
fn seeds(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// The folder for the recordings of runs that failed.
fn recordings() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("simulation")
}

/// Runs all seeds of a world, or the recording that the environment names.
fn run_world(world: &World, seeds: u64) {
    if let Some(recording) = Recording::from_environment() {
        if recording.world == world.name {
            let seed = recording.seed;
            run(world, seed, recording.into_rng(), checks::check_run, &recordings());
        }
        return;
    }
    let (begun, next) = (Instant::now(), AtomicU64::new(0));
    // Each thread takes the next seed, whichever it is: a run depends on its seed alone.
    let run_some = || {
        let mut seen = RunCounts::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return seen;
            }
            let counts =
                catch_unwind(|| run(world, seed, SimRng::new(seed), checks::check_run, &recordings()));
            let counts = counts.unwrap_or_else(|cause| {
                // No thread begins another seed.
                next.store(seeds, Ordering::Relaxed);
                resume_unwind(cause)
            });
            seen.add(&counts.expect("a run that is not replayed goes on to its end"));
        }
    };
    let seen = thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run_some)).collect();
        let mut seen = RunCounts::default();
        for thread in running {
            seen.add(&thread.join().unwrap_or_else(|cause| resume_unwind(cause)));
        }
        seen
    });
    let hours = seen.simulated_ms / (60 * MINUTE_MS);
    let (checks, seconds) = (seen.checks(), begun.elapsed().as_secs_f64());
    eprintln!(
        "{} world: {seeds} seeds, {hours} simulated hours, {checks} checks, {seconds:.1} s",
        world.name
    );
    eprintln!("{seen:?}");
    (world.assert_coverage)(&seen, seeds);
}

/// Runs a world once. When a check fails, records the run in a file of this folder, and says how to replay it. None when the
/// run was a replay and its recording ended without a failure.
fn run(world: &World, seed: u64, rng: SimRng, check: Check, folder: &Path) -> Option<RunCounts> {
    let mut simulator = Simulator::new(rng);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        for _ in 0..world.rests {
            simulator.run_with_faults(world.faults_ms / (world.rests + 1));
            simulator.rest();
        }
        simulator.run_with_faults(world.faults_ms / (world.rests + 1));
        simulator.run_clean(world.clean_ms);
        simulator.is_complete().then(|| check(&mut simulator))
    }));
    outcome.unwrap_or_else(|cause| {
        let path = write_recording(folder, world.name, seed, &simulator.rng).expect("the recording can be written");
        panic!(
            "{} world, seed {seed}, after {} ms: {}\nReplay it: {REPLAY_VARIABLE}={} cargo nextest run --workspace -E \
             'test(=simulation::{})'",
            world.name,
            simulator.now,
            message_of(&*cause),
            path.display(),
            world.test,
        )
    })
}

/// The message of a panic.
fn message_of(cause: &(dyn Any + Send)) -> &str {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message")
}

#[test]
fn faults_neither_charge_twice_nor_lose_records() {
    run_world(&DENSE, seeds("SIMULATION_SEEDS", 30));
}

#[test]
fn visits_over_months_keep_every_promise() {
    run_world(&SPARSE, seeds("SIMULATION_SPARSE_SEEDS", 3));
}

#[test]
fn same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut world = Simulator::new(SimRng::new(seed));
        world.run_with_faults(2 * MINUTE_MS);
        world.run_clean(MINUTE_MS);
        world.fingerprint()
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

/// Runs a short world whose check always fails; returns the message.
fn failing_run(rng: SimRng, folder: &Path) -> String {
    let world = World { faults_ms: 2 * MINUTE_MS, clean_ms: MINUTE_MS, ..DENSE };
    let check: Check = |simulator| panic!("made to fail at {:x?}", simulator.fingerprint());
    let failed = catch_unwind(AssertUnwindSafe(|| run(&world, 5, rng, check, folder)));
    message_of(&*failed.expect_err("the check fails")).to_owned()
}

#[test]
fn failed_run_is_recorded_and_replayed_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let first = failing_run(SimRng::new(5), folder.path());
    let path = folder.path().join("dense-5.txt");
    assert!(first.contains(&format!("{REPLAY_VARIABLE}={}", path.display())), "{first}");
    let text = std::fs::read_to_string(&path).unwrap();
    let recording = Recording::read(&path).unwrap();
    assert_eq!((recording.world.as_str(), recording.seed), ("dense", 5));
    assert_eq!(failing_run(recording.into_rng(), folder.path()), first);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "a replay records the same again");
}

#[test]
fn recording_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    failing_run(SimRng::new(5), folder.path());
    let path = folder.path().join("dense-5.txt");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("resident acts", "resident leaves", 1)).unwrap();
    let message = failing_run(Recording::read(&path).unwrap().into_rng(), folder.path());
    assert!(message.contains("the recording does not fit this simulation"), "{message}");
}

#[test]
fn replay_of_a_part_ends_without_a_check() {
    let folder = tempfile::tempdir().unwrap();
    failing_run(SimRng::new(5), folder.path());
    let path = folder.path().join("dense-5.txt");
    let text = std::fs::read_to_string(&path).unwrap();
    let part: Vec<&str> = text.lines().take(200).collect();
    std::fs::write(&path, part.join("\n")).unwrap();
    let rng = Recording::read(&path).unwrap().into_rng();
    let check: Check = |_| panic!("a part of a run is not checked");
    assert!(run(&DENSE, 5, rng, check, folder.path()).is_none());
}
