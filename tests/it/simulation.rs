//! Simulation of a city in one thread: two kiosks (engine, journal, uplink), the platform, the acquirer and the
//! department, residents who touch what the screen shows, and injected faults of every part. Requests and answers are
//! passed as bytes; disks tear writes, links lose and duplicate messages, processes are killed. A run is determined by
//! its seed.
//!
//! `SIMULATION_SEEDS=1000 cargo test -p system-tests --test it simulation` runs more seeds.

mod checks;
mod kiosk;
mod peers;
mod phone;
mod residents;
mod simulator;

use crate::simulation::simulator::Simulator;

/// Seeded pseudo-random numbers (xorshift64*).
pub(crate) struct SimRng(u64);

impl SimRng {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }

    /// True with a probability of `percent` in a hundred.
    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn next_u128(&mut self) -> u128 {
        let halves = [self.below(1 << 31), self.below(1 << 31), self.below(1 << 31), self.below(1 << 31)];
        halves.iter().fold(0, |wide, half| wide << 31 | u128::from(*half))
    }
}

fn seeds() -> u64 {
    std::env::var("SIMULATION_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(30)
}

#[test]
fn faults_neither_charge_twice_nor_lose_records() {
    let mut seen = checks::RunCounts::default();
    for seed in 0..seeds() {
        let mut world = Simulator::new(seed);
        world.run_with_faults(8 * 60_000);
        world.run_clean(12 * 60_000);
        seen.add(&checks::check_run(&mut world, seed));
    }
    seen.assert_coverage(seeds());
}

#[test]
fn same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut world = Simulator::new(seed);
        world.run_with_faults(2 * 60_000);
        world.run_clean(60_000);
        world.fingerprint()
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}
