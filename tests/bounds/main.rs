//! Runs all fuzz targets on the committed seeds and on thousands of mutations: no panic, no endless loop, bounded
//! memory. This is a separate test binary, since its allocator counts memory.

#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
// The fuzz targets are public for the fuzz package.
#![allow(unreachable_pub)]

use std::fs;
use std::path::PathBuf;

use peak_alloc::PeakAlloc;

#[path = "../fuzz/src/lib.rs"]
mod entries;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Mutated inputs per seed.
const CHANGES: u32 = 400;
/// Memory limit of a fuzz target beyond its input, in bytes: the largest picture, a copy of it, and a reserve.
const HELD_MAX: usize = 48 * 1024 * 1024;

/// Deterministic pseudo-random numbers (xorshift64).
struct SimRng(u64);

impl SimRng {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound.max(1)).unwrap_or(1)).unwrap_or(0)
    }

    /// Mutates the bytes once: a bit, a byte, a truncation, a repetition, a piece of another seed, or a deletion.
    fn mutate(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(bytes.len());
        match self.below(6) {
            0 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
            1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte =
                        [0x00, 0x7F, 0x80, 0xFF, b'\n', b'"', b'{'].get(self.below(7)).copied().unwrap_or(0);
                }
            }
            2 => bytes.truncate(at),
            3 => {
                let end = (at + 1 + self.below(64)).min(bytes.len());
                let piece = bytes.get(at..end).unwrap_or_default().repeat(1 + self.below(20));
                bytes.splice(at..at, piece);
            }
            4 => {
                let from = self.below(other.len());
                let piece =
                    other.get(from..(from + self.below(64)).min(other.len())).unwrap_or_default().to_vec();
                bytes.splice(at..at, piece);
            }
            _ => {
                let end = (at + self.below(16)).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
        }
    }
}

/// The seeds of a fuzz target, and the empty input.
fn seeds(entry: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(entry);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> =
        files.map(|file| file.expect("seed directory can be read").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{entry} has no seed");
    let read = |path: PathBuf| fs::read(path).expect("seed file can be read");
    paths.into_iter().map(read).chain([Vec::new()]).collect()
}

#[test]
fn fuzz_targets_on_mutated_seeds_do_not_panic_or_hoard_memory() {
    let mut rng = SimRng(0x9E37_79B9_7F4A_7C15);
    for (name, entry) in entries::FUZZ_TARGETS {
        let seeds = seeds(name);
        for (at, seed) in seeds.iter().enumerate() {
            entry(seed);
            let other = &seeds[(at + 1) % seeds.len()];
            for _ in 0..CHANGES {
                let mut bytes = seed.clone();
                for _ in 0..=rng.below(4) {
                    rng.mutate(&mut bytes, other);
                }
                MEMORY.reset_peak_usage();
                let before = MEMORY.current_usage();
                entry(&bytes);
                let held = MEMORY.peak_usage().saturating_sub(before);
                assert!(held < HELD_MAX, "{name} held {held} bytes for an input of {}", bytes.len());
            }
        }
    }
}
