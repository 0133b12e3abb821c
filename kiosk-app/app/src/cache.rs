//! The cache's thread: gives what was kept to the engine at the start, and keeps what the engine gives out.
//!
//! Nobody waits for it but the start, and that not long: a cache that hangs, panics or is broken costs a
//! slower start and a menu that comes with the link. It is not joined at the end, for the same reason.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::{Duration, Instant};
use std::{io, thread};

use engine::{Memo, Place, Remembered};
use journal::Found;
use zeroize::Zeroizing;

/// The start waits for the cache no longer than this.
const START_MAX: Duration = Duration::from_secs(3);
/// Memos that may wait. A later one replaces an earlier, so one that finds no room is no loss.
const WAITING_MAX: usize = 4;
/// The name of this thread, and how those that sled starts begin.
const THREAD: &str = "cache";
const SLED_THREADS: &str = "sled-";

/// The cache as the engine's thread sees it.
pub(crate) struct Cache {
    memos: SyncSender<Memo>,
}

/// What was kept, when it comes in time.
pub(crate) struct Kept {
    kept: Receiver<Remembered>,
    until: Instant,
}

impl Cache {
    /// Starts the thread, which opens the cache in this directory under the machine's key.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(directory: PathBuf, key: Zeroizing<[u8; 16]>) -> io::Result<(Self, Kept)> {
        let (memos, incoming) = mpsc::sync_channel(WAITING_MAX);
        let (kept, first) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn(move || run(&directory, &key, &kept, &incoming))?;
        Ok((Self { memos }, Kept { kept: first, until: Instant::now() + START_MAX }))
    }

    /// Keeps a memo, when the cache has time for it.
    pub(crate) fn keep(&self, memo: Memo) {
        if self.memos.try_send(memo).is_err() {
            tracing::debug!("the cache is busy or gone: a memo is not kept");
        }
    }
}

impl Kept {
    /// What was kept; nothing when the cache has not answered in time.
    pub(crate) fn wait(self) -> Remembered {
        let left = self.until.saturating_duration_since(Instant::now());
        self.kept.recv_timeout(left).unwrap_or_else(|_| {
            tracing::warn!("the cache does not answer: the kiosk starts without it");
            Remembered::default()
        })
    }
}

/// Whether a panic in a thread of this name harms the cache only.
pub(crate) fn is_its_thread(name: &str) -> bool {
    name == THREAD || name.starts_with(SLED_THREADS)
}

fn run(
    directory: &Path,
    key: &Zeroizing<[u8; 16]>,
    kept: &SyncSender<Remembered>,
    incoming: &Receiver<Memo>,
) {
    let mut cache = match journal::Cache::open(directory, key) {
        Ok((cache, Found::Good)) => cache,
        Ok((cache, found)) => {
            tracing::warn!(?found, "the cache was set aside and is begun anew; nothing is lost by it");
            cache
        }
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn Error,
                "the cache cannot be opened: the kiosk goes on without it"
            );
            return;
        }
    };
    let mut get = |place: Place| {
        cache.get(place.name()).unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn Error, "the cache does not give what was kept");
            None
        })
    };
    let remembered = Remembered { log: get(Place::Log), shelf: get(Place::Shelf) };
    if kept.send(remembered).is_err() {
        tracing::warn!("the cache was too late: what was kept is not used");
    }
    for memo in incoming {
        let mut nonce = [0; 12];
        if getrandom::fill(&mut nonce).is_err() {
            return;
        }
        if let Err(error) = cache.put(memo.place.name(), &memo.bytes, nonce) {
            tracing::warn!(error = &error as &dyn Error, "a memo is not kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 16] = [7; 16];

    fn start(directory: &Path) -> (Cache, Remembered) {
        let (cache, kept) = Cache::start(directory.to_owned(), KEY.into()).unwrap();
        (cache, kept.wait())
    }

    /// A life of the thread in which these memos come; what it found first.
    fn life(directory: &Path, memos: Vec<Memo>) -> Remembered {
        let (sender, incoming) = mpsc::sync_channel(WAITING_MAX);
        let (kept, first) = mpsc::sync_channel(1);
        for memo in memos {
            sender.send(memo).unwrap();
        }
        drop(sender);
        run(directory, &KEY.into(), &kept, &incoming);
        first.recv().unwrap()
    }

    #[test]
    fn what_was_kept_is_there_at_the_next_start() {
        let place = tempfile::tempdir().unwrap();
        let memo = |place, bytes: &[u8]| Memo { place, bytes: bytes.to_vec() };
        let memos = vec![memo(Place::Shelf, b"old"), memo(Place::Shelf, b"shelf"), memo(Place::Log, b"log")];
        let first = life(place.path(), memos);
        assert!(first.log.is_none() && first.shelf.is_none());
        for _ in 0..2 {
            let kept = life(place.path(), Vec::new());
            assert_eq!(
                (kept.log.as_deref(), kept.shelf.as_deref()),
                (Some(&b"log"[..]), Some(&b"shelf"[..]))
            );
        }
    }

    #[test]
    fn a_cache_that_cannot_be_there_only_leaves_nothing_remembered() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        std::fs::write(&file, b"in the way").unwrap();
        let (cache, kept) = start(&file);
        assert!(kept.log.is_none() && kept.shelf.is_none());
        for _ in 0..20 {
            cache.keep(Memo { place: Place::Log, bytes: vec![0; 10] });
        }
    }

    #[test]
    fn only_its_own_threads_are_known() {
        assert!(is_its_thread("cache") && is_its_thread("sled-io-3"));
        assert!(!is_its_thread("engine") && !is_its_thread(""));
    }
}
