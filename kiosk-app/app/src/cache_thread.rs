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

use engine::{CacheEntry, CacheKey, CacheSnapshot};
use journal::CacheCondition;
use zeroize::Zeroizing;

/// Longest wait for the cache at the start.
const START_MAX: Duration = Duration::from_secs(3);
/// Cache entries that may wait. A later entry replaces an earlier one, so an entry that finds no room may be
/// dropped.
const ENTRIES_MAX: usize = 4;
/// Name of this thread, and prefix of the names of sled's threads.
const THREAD_NAME: &str = "cache";
const SLED_THREAD_PREFIX: &str = "sled-";

/// The engine thread's handle of the cache thread.
pub(crate) struct CacheThread {
    entries: SyncSender<CacheEntry>,
}

/// The cached values, while the cache thread still reads them.
pub(crate) struct PendingSnapshot {
    snapshot: Receiver<CacheSnapshot>,
    deadline: Instant,
}

impl CacheThread {
    /// Starts the thread, which opens the cache in this directory with the machine's key.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(directory: PathBuf, key: Zeroizing<[u8; 16]>) -> io::Result<(Self, PendingSnapshot)> {
        let (entries, incoming) = mpsc::sync_channel(ENTRIES_MAX);
        let (found, snapshot) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name(THREAD_NAME.to_owned())
            .spawn(move || run(&directory, &key, &found, &incoming))?;
        Ok((Self { entries }, PendingSnapshot { snapshot, deadline: Instant::now() + START_MAX }))
    }

    /// Queues an entry; drops it when the cache is busy.
    pub(crate) fn store(&self, entry: CacheEntry) {
        if self.entries.try_send(entry).is_err() {
            tracing::debug!("cache busy or stopped, cache entry dropped");
        }
    }
}

impl PendingSnapshot {
    /// Waits until [`START_MAX`] for the cached values; empty when the cache has not answered by then.
    pub(crate) fn wait(self) -> CacheSnapshot {
        let left = self.deadline.saturating_duration_since(Instant::now());
        self.snapshot.recv_timeout(left).unwrap_or_else(|_| {
            tracing::warn!("cache did not answer in time, starting without cache");
            CacheSnapshot::default()
        })
    }
}

/// Whether this is the name of a thread whose panic affects the cache only.
pub(crate) fn is_cache_thread(name: &str) -> bool {
    name == THREAD_NAME || name.starts_with(SLED_THREAD_PREFIX)
}

fn run(
    directory: &Path,
    key: &Zeroizing<[u8; 16]>,
    found: &SyncSender<CacheSnapshot>,
    incoming: &Receiver<CacheEntry>,
) {
    let mut cache = match journal::Cache::open(directory, key) {
        Ok((cache, CacheCondition::Usable)) => cache,
        Ok((cache, found)) => {
            tracing::warn!(?found, "cache quarantined and recreated, no data is lost");
            cache
        }
        Err(error) => {
            tracing::warn!(error = &error as &dyn Error, "cannot open cache, continuing without cache");
            return;
        }
    };
    let mut get = |key: CacheKey| {
        cache.get(key.name()).unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn Error, "cannot read cache entry");
            None
        })
    };
    let snapshot = CacheSnapshot { feed: get(CacheKey::Feed) };
    if found.send(snapshot).is_err() {
        tracing::warn!("cache answered too late, cached values are not used");
    }
    for entry in incoming {
        let mut nonce = [0; 12];
        if getrandom::fill(&mut nonce).is_err() {
            return;
        }
        if let Err(error) = cache.put(entry.key.name(), &entry.bytes, nonce) {
            tracing::warn!(error = &error as &dyn Error, "cannot write cache entry");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 16] = [7; 16];

    fn start(directory: &Path) -> (CacheThread, CacheSnapshot) {
        let (cache, snapshot) = CacheThread::start(directory.to_owned(), KEY.into()).unwrap();
        (cache, snapshot.wait())
    }

    /// Runs the thread once with these entries. Returns the values that it found at its start.
    fn run_once(directory: &Path, entries: Vec<CacheEntry>) -> CacheSnapshot {
        let (sender, incoming) = mpsc::sync_channel(ENTRIES_MAX);
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
        let entry = |key, bytes: &[u8]| CacheEntry { key, bytes: bytes.to_vec() };
        let entries = vec![entry(CacheKey::Feed, b"old"), entry(CacheKey::Feed, b"feed")];
        let first = run_once(directory.path(), entries);
        assert!(first.feed.is_none());
        for _ in 0..2 {
            let found = run_once(directory.path(), Vec::new());
            assert_eq!(found.feed.as_deref(), Some(&b"feed"[..]));
        }
    }

    #[test]
    fn cache_that_cannot_open_yields_empty_snapshot() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, b"not a directory").unwrap();
        let (cache, found) = start(&file);
        assert!(found.feed.is_none());
        for _ in 0..20 {
            cache.store(CacheEntry { key: CacheKey::Feed, bytes: vec![0; 10] });
        }
    }

    #[test]
    fn cache_threads_are_recognised_by_name() {
        assert!(is_cache_thread("cache") && is_cache_thread("sled-io-3"));
        assert!(!is_cache_thread("engine") && !is_cache_thread(""));
    }
}
