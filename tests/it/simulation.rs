//! A whole city in one thread: two kiosks (kiosk, log, uplink), the platform, the acquirer and the
//! department, residents who touch what they see, and a world in which everything fails. Requests and
//! answers cross as bytes; disks tear, links lose and repeat, processes die. One seed is one run.
//!
//! `SIMULATION_SEEDS=1000 cargo test -p system-tests --test it simulation` runs more of them.

mod city;
mod judge;
mod person;
mod phone;
mod terminal;
mod world;

use crate::simulation::world::World;

/// Numbers that look random and are the same for the same seed.
pub(crate) struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }

    /// True this often in a hundred.
    fn percent(&mut self, of: u64) -> bool {
        self.below(100) < of
    }

    fn wide(&mut self) -> u128 {
        let halves = [self.below(1 << 31), self.below(1 << 31), self.below(1 << 31), self.below(1 << 31)];
        halves.iter().fold(0, |wide, half| wide << 31 | u128::from(*half))
    }
}

fn seeds() -> u64 {
    std::env::var("SIMULATION_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(30)
}

#[test]
fn whatever_fails_nobody_is_charged_twice_and_nothing_is_lost_or_left() {
    let mut seen = judge::Seen::default();
    for seed in 0..seeds() {
        let mut world = World::new(seed);
        world.storm(8 * 60_000);
        world.calm(12 * 60_000);
        seen.add(&judge::judge(&mut world, seed));
    }
    seen.must_have_been_hard(seeds());
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = |seed| {
        let mut world = World::new(seed);
        world.storm(2 * 60_000);
        world.calm(60_000);
        world.fingerprint()
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}
