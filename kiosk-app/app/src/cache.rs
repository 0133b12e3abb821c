//! The cache thread: reads the cached values for the engine at the start, and stores the engine's cache entries.
//!
//! Only the start waits for this thread, and not longer than [`START_MAX`]: a cache that hangs, panics or is damaged
//! makes the start slower and leaves the menu empty until the link is up. For the same reason the thread is not
//! joined at the end.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::{Duration, Instant};
use std::{io, thread};

use engine::{Memo, Place, Remembered};
use journal::Found;
use zeroize::Zeroizing;

/// Longest wait for the cache at the start.
const START_MAX: Duration = Duration::from_secs(3);
/// Cache entries that may wait. A later entry replaces an earlier one, so an entry that finds no room may be
/// dropped.
const WAITING_MAX: usize = 4;
/// Name of this thread, and prefix of the names of sled's threads.
const THREAD: &str = "cache";
const SLED_THREADS: &str = "sled-";

/// The engine thread's handle of the cache thread.
pub(crate) struct Cache {
    memos: SyncSender<Memo>,
}

/// The cached values, while the cache thread still reads them.
pub(crate) struct Kept {
    kept: Receiver<Remembered>,
    until: Instant,
}

impl Cache {
    /// Starts the thread, which opens the cache in this directory with the machine's key.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(directory: PathBuf, key: Zeroizing<[u8; 16]>) -> io::Result<(Self, Kept)> {
        let (entries, incoming) = mpsc::sync_channel(WAITING_MAX);
        let (found, snapshot) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn(move || run(&directory, &key, &found, &incoming))?;
        Ok((Self { memos: entries }, Kept { kept: snapshot, until: Instant::now() + START_MAX }))
    }

    /// Queues an entry; drops it when the cache is busy.
    pub(crate) fn keep(&self, entry: Memo) {
        if self.memos.try_send(entry).is_err() {
            tracing::debug!("cache busy or stopped, cache entry dropped");
        }
    }
}

impl Kept {
    /// Waits until [`START_MAX`] for the cached values; empty when the cache has not answered by then.
    pub(crate) fn wait(self) -> Remembered {
        let left = self.until.saturating_duration_since(Instant::now());
        self.kept.recv_timeout(left).unwrap_or_else(|_| {
            tracing::warn!("cache did not answer in time, starting without cache");
            Remembered::default()
        })
    }
}

/// Whether this is the name of a thread whose panic affects the cache only.
pub(crate) fn is_its_thread(name: &str) -> bool {
    name == THREAD || name.starts_with(SLED_THREADS)
}

fn run(
    directory: &Path,
    key: &Zeroizing<[u8; 16]>,
    found: &SyncSender<Remembered>,
    incoming: &Receiver<Memo>,
) {
    let mut cache = match journal::Cache::open(directory, key) {
        Ok((cache, Found::Good)) => cache,
        Ok((cache, found)) => {
            tracing::warn!(?found, "cache quarantined and recreated, no data is lost");
            cache
        }
        Err(error) => {
            tracing::warn!(error = &error as &dyn Error, "cannot open cache, continuing without cache");
            return;
        }
    };
    let mut get = |key: Place| {
        cache.get(key.name()).unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn Error, "cannot read cache entry");
            None
        })
    };
    let snapshot = Remembered { log: get(Place::Log), shelf: get(Place::Shelf) };
    if found.send(snapshot).is_err() {
        tracing::warn!("cache answered too late, cached values are not used");
    }
    for entry in incoming {
        let mut nonce = [0; 12];
        if getrandom::fill(&mut nonce).is_err() {
            return;
        }
        if let Err(error) = cache.put(entry.place.name(), &entry.bytes, nonce) {
            tracing::warn!(error = &error as &dyn Error, "cannot write cache entry");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 16] = [7; 16];

    fn start(directory: &Path) -> (Cache, Remembered) {
        let (cache, snapshot) = Cache::start(directory.to_owned(), KEY.into()).unwrap();
        (cache, snapshot.wait())
    }

    /// Runs the thread once with these entries. Returns the values that it found at its start.
    fn run_once(directory: &Path, entries: Vec<Memo>) -> Remembered {
        let (sender, incoming) = mpsc::sync_channel(WAITING_MAX);
        let (found, snapshot) = mpsc::sync_channel(1);
        for entry in entries {
            sender.send(entry).unwrap();
        }
        drop(sender);
        run(directory, &KEY.into(), &found, &incoming);
        snapshot.recv().unwrap()
    }

    #[test]
    fn cache_entries_survive_restart() {
        let directory = tempfile::tempdir().unwrap();
        let entry = |key, bytes: &[u8]| Memo { place: key, bytes: bytes.to_vec() };
        let entries =
            vec![entry(Place::Shelf, b"old"), entry(Place::Shelf, b"shelf"), entry(Place::Log, b"log")];
        let first = run_once(directory.path(), entries);
        assert!(first.log.is_none() && first.shelf.is_none());
        for _ in 0..2 {
            let found = run_once(directory.path(), Vec::new());
            assert_eq!(
                (found.log.as_deref(), found.shelf.as_deref()),
                (Some(&b"log"[..]), Some(&b"shelf"[..]))
            );
        }
    }

    #[test]
    fn cache_that_cannot_open_yields_empty_snapshot() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, b"not a directory").unwrap();
        let (cache, found) = start(&file);
        assert!(found.log.is_none() && found.shelf.is_none());
        for _ in 0..20 {
            cache.keep(Memo { place: Place::Log, bytes: vec![0; 10] });
        }
    }

    #[test]
    fn cache_threads_are_recognised_by_name() {
        assert!(is_its_thread("cache") && is_its_thread("sled-io-3"));
        assert!(!is_its_thread("engine") && !is_its_thread(""));
    }
}
