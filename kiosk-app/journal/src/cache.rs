//! Cache of values in sled, beside the journal: the feed state.
//!
//! All values can be rebuilt from the journal and the platform, so losing the cache loses no data, and no commit
//! depends on it. sled 0.34 can fail to open after hard stops (its issues 1527 and 1533); a store that does not open,
//! that panics, that was in use when the process ended, or that has grown too large is quarantined and recreated.
//! The last quarantined store is kept for diagnosis.
//!
//! Values are encrypted with SM4-GCM under a key derived from the machine's; their names are not encrypted.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload, consts::U12};
use aes_gcm::{AesGcm, Nonce};
use contract::sm3;
use sm4::Sm4;
use zeroize::Zeroizing;

/// Memory for sled's page cache, in bytes (4 MiB): all values fit.
const SLED_MEMORY_BYTES: u64 = 4_194_304;
/// sled never frees disk space: beyond this many bytes the store is recreated.
const SIZE_MAX: u64 = 64 * 1024 * 1024;
const NONCE_LEN: usize = 12;
/// Length of the pieces of a value in bytes: sled 0.34 never reclaims the space of values beyond about 100 KiB.
const PIECE_BYTES: usize = 32 * 1024;

/// File names: the store, the quarantined store, and the marker that the store is in use.
const STORE: &str = "store";
const QUARANTINE: &str = "aside";
const IN_USE: &str = "busy";
/// The file of a store that sled locks.
const LOCK_FILE: &str = "db";
/// Pause between two attempts to take a lock that is still held, and number of attempts.
const LOCK_WAIT: Duration = Duration::from_millis(20);
const LOCK_TRIES: u32 = 100;

/// Condition of the store when the cache was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheCondition {
    /// The store opened, or did not exist yet.
    Usable,
    /// The process ended while it used the store; the store was quarantined.
    Interrupted,
    /// The store had grown far beyond its content; it was quarantined.
    Oversized,
    /// The store did not open; it was quarantined.
    Damaged,
}

/// Why a value is not cached. The cache has been recreated, or is disabled until the next start.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// An operation on the directory failed.
    #[error("cannot use the cache's directory: check space, owner and health of the disk")]
    Directory(#[from] io::Error),
    /// sled returned an error.
    #[error("the cache's store failed")]
    Store(#[from] sled::Error),
    /// sled panicked.
    #[error("the cache's store panicked")]
    Panicked,
    /// Encryption failed, which the library does only for values far longer than any here.
    #[error("cannot encrypt a cache value")]
    Sealing,
    /// The cache failed earlier and could not be recreated.
    #[error("the cache is disabled until the next start")]
    Disabled,
}

/// A few named values on disk.
pub struct Cache {
    directory: PathBuf,
    seal: AesGcm<Sm4, U12>,
    /// `None` after a failure from which the store could not be recreated.
    store: Option<sled::Db>,
}

impl Cache {
    /// Opens the cache in its own directory, and creates both when they do not exist.
    ///
    /// # Errors
    /// When no new store can be created.
    pub fn open(directory: &Path, key: &Zeroizing<[u8; 16]>) -> Result<(Self, CacheCondition), CacheError> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let derived = Zeroizing::new(sm3(&[b"kiosk-cache/1", key.as_slice()]));
        let key: &[u8; 16] = derived.first_chunk().ok_or(CacheError::Sealing)?;
        let mut cache =
            Self { directory: directory.to_owned(), seal: AesGcm::new(&(*key).into()), store: None };
        let mut found = CacheCondition::Usable;
        if cache.directory.join(IN_USE).exists() {
            found = CacheCondition::Interrupted;
        } else if size(&cache.directory.join(STORE)) > SIZE_MAX {
            found = CacheCondition::Oversized;
        }
        if found == CacheCondition::Usable {
            if cache.open_store().is_ok() {
                return Ok((cache, found));
            }
            found = CacheCondition::Damaged;
        }
        cache.quarantine()?;
        cache.open_store()?;
        Ok((cache, found))
    }

    /// The value of this name; `None` when there is none or it does not decrypt.
    ///
    /// # Errors
    /// When the store fails; it has then been recreated.
    pub fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, CacheError> {
        let sealed = self.with_store(|store| {
            let mut sealed = Vec::new();
            for piece in store.scan_prefix(piece_prefix(name)) {
                sealed.extend_from_slice(&piece?.1);
            }
            Ok(sealed)
        })?;
        Ok(self.unseal(name, &sealed))
    }

    /// Stores a value and replaces the earlier one of its name. `nonce`: 12 fresh random bytes. A power cut may still
    /// lose the value: this is a cache.
    ///
    /// # Errors
    /// When the value is not stored. The store has then been recreated.
    pub fn put(&mut self, name: &str, value: &[u8], nonce: [u8; NONCE_LEN]) -> Result<(), CacheError> {
        let payload = Payload { msg: value, aad: name.as_bytes() };
        let sealed = self.seal.encrypt(&Nonce::from(nonce), payload).map_err(|_| CacheError::Sealing)?;
        let bytes = [nonce.as_slice(), &sealed].concat();
        self.with_store(|store| {
            let mut batch = sled::Batch::default();
            for key in store.scan_prefix(piece_prefix(name)).keys() {
                batch.remove(key?);
            }
            for (at, piece) in (0_u32..).zip(bytes.chunks(PIECE_BYTES)) {
                batch.insert([piece_prefix(name), at.to_be_bytes().to_vec()].concat(), piece);
            }
            store.apply_batch(batch)?;
            store.flush().map(drop)
        })
    }

    fn unseal(&self, name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>()?;
        let payload = Payload { msg: sealed, aad: name.as_bytes() };
        self.seal.decrypt(&Nonce::from(*nonce), payload).ok()
    }

    /// Runs an operation on the store; recreates the store when the operation fails.
    fn with_store<T>(&mut self, f: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, CacheError> {
        let store = self.store.as_ref().ok_or(CacheError::Disabled)?;
        let done = catch_sled_panic(&self.directory, || f(store));
        if done.is_err() {
            self.recreate_store();
        }
        done
    }

    /// Recreates the store. An error here is not reported, because the first one already is; it appears at the next
    /// use as [`CacheError::Disabled`].
    fn recreate_store(&mut self) {
        let store = self.store.take();
        // sled flushes when it is dropped, and may panic there too.
        let _ = catch_sled_panic(&self.directory, move || {
            drop(store);
            Ok(())
        });
        if self.quarantine().is_ok() {
            let _ = self.open_store();
        }
    }

    fn open_store(&mut self) -> Result<(), CacheError> {
        let path = self.directory.join(STORE);
        remove_unfinished_snapshots(&path)?;
        wait_for_lock(&path.join(LOCK_FILE));
        // Each value is flushed when it is stored; sled's own flusher would wake twice a second.
        let config = sled::Config::new().path(path).cache_capacity(SLED_MEMORY_BYTES).flush_every_ms(None);
        self.store = Some(catch_sled_panic(&self.directory, || config.open())?);
        Ok(())
    }

    /// Quarantines the store; replaces one that was quarantined earlier.
    fn quarantine(&self) -> io::Result<()> {
        let (store, aside) = (self.directory.join(STORE), self.directory.join(QUARANTINE));
        if store.exists() {
            if aside.exists() {
                fs::remove_dir_all(&aside)?;
            }
            fs::rename(store, aside)?;
        }
        remove_if_exists(&self.directory.join(IN_USE))
    }
}

/// Prefix of the keys of a value's pieces.
fn piece_prefix(name: &str) -> Vec<u8> {
    [name.as_bytes(), b"/"].concat()
}

/// Runs an operation of sled. A panic becomes an error; if the process ends meanwhile, the in-use marker remains.
fn catch_sled_panic<T>(directory: &Path, f: impl FnOnce() -> sled::Result<T>) -> Result<T, CacheError> {
    let busy = directory.join(IN_USE);
    File::create(&busy)?;
    let done = catch_unwind(AssertUnwindSafe(f)).map_err(|_| CacheError::Panicked)?;
    remove_if_exists(&busy)?;
    Ok(done?)
}

/// Removes unfinished snapshots: sled does not open after the process ended while writing one, and does not need them.
fn remove_unfinished_snapshots(store: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(store) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            remove_if_exists(&entry.path())?;
        }
    }
    Ok(())
}

/// Waits a bounded time until the lock of a store is free: a thread of sled can hold it for a short time after
/// the store was closed, and sled reports a locked store like a damaged one.
fn wait_for_lock(file: &Path) {
    // A file that cannot be opened is not locked: sled itself reports the error.
    let Ok(file) = File::open(file) else { return };
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_WAIT),
            // Closing the file releases the lock.
            Ok(()) | Err(TryLockError::Error(_)) => return,
        }
    }
}

fn remove_if_exists(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Total size of the files under a directory in bytes; 0 when it does not exist.
fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let entry_size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(entry_size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct CacheDirectory(tempfile::TempDir);

    impl CacheDirectory {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn open(&self) -> (Cache, CacheCondition) {
            Cache::open(self.0.path(), &[7; 16].into()).unwrap()
        }

        /// A cache that holds one value, closed.
        fn with_value() -> Self {
            let cache_dir = Self::new();
            cache_dir.open().0.put("shelf", "养老保险".as_bytes(), [1; 12]).unwrap();
            cache_dir
        }

        fn value(&self) -> (Option<Vec<u8>>, CacheCondition) {
            let (mut cache, found) = self.open();
            (cache.get("shelf").unwrap(), found)
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }
    }

    fn all_bytes(directory: &Path) -> Vec<u8> {
        let mut bytes = Vec::new();
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            bytes.extend(if path.is_dir() { all_bytes(&path) } else { fs::read(path).unwrap() });
        }
        bytes
    }

    #[test]
    fn value_survives_restart_and_is_encrypted_on_disk() {
        let cache_dir = CacheDirectory::with_value();
        assert_eq!(cache_dir.value(), (Some("养老保险".as_bytes().to_vec()), CacheCondition::Usable));
        let bytes = all_bytes(cache_dir.0.path());
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(holds("shelf") && !holds("养老保险"));
    }

    #[test]
    fn get_with_other_key_or_name_or_tampered_value_is_none() {
        let cache_dir = CacheDirectory::with_value();
        let (mut stranger, _) = Cache::open(cache_dir.0.path(), &[8; 16].into()).unwrap();
        assert_eq!(stranger.get("shelf").unwrap(), None);
        drop(stranger);
        let (mut cache, _) = cache_dir.open();
        let store = cache.store.clone().unwrap();
        let (key, stored) = store.scan_prefix("shelf/").next().unwrap().unwrap();
        store.insert(b"log/\0\0\0\0", &stored).unwrap();
        assert_eq!(cache.get("log").unwrap(), None, "a value is bound to its name");
        let mut tampered = stored.to_vec();
        tampered[15] ^= 1;
        store.insert(key, tampered).unwrap();
        assert_eq!(cache.get("shelf").unwrap(), None);
    }

    #[test]
    fn open_removes_unfinished_snapshot() {
        let cache_dir = CacheDirectory::with_value();
        fs::write(cache_dir.path(STORE).join("snap.00000000000000FF.generating"), b"half a snap").unwrap();
        assert_eq!(cache_dir.value(), (Some("养老保险".as_bytes().to_vec()), CacheCondition::Usable));
    }

    #[test]
    fn open_waits_for_locked_store() {
        let cache_dir = CacheDirectory::with_value();
        let held = File::open(cache_dir.path(STORE).join(LOCK_FILE)).unwrap();
        held.lock().unwrap();
        let holder = thread::spawn(move || {
            thread::sleep(LOCK_WAIT * 5);
            drop(held);
        });
        assert_eq!(cache_dir.value(), (Some("养老保险".as_bytes().to_vec()), CacheCondition::Usable));
        holder.join().unwrap();
    }

    #[test]
    fn open_damaged_store_quarantines_and_recreates_it() {
        let cache_dir = CacheDirectory::with_value();
        fs::write(cache_dir.path(STORE).join("conf"), b"no configuration of sled").unwrap();
        assert_eq!(cache_dir.value(), (None, CacheCondition::Damaged));
        assert!(cache_dir.path(QUARANTINE).join("conf").exists(), "kept for diagnosis");
        cache_dir.open().0.put("shelf", b"new", [2; 12]).unwrap();
        assert_eq!(cache_dir.value(), (Some(b"new".to_vec()), CacheCondition::Usable));
    }

    #[test]
    fn open_after_crash_in_use_quarantines_store() {
        let cache_dir = CacheDirectory::with_value();
        fs::write(cache_dir.path(IN_USE), b"").unwrap();
        assert_eq!(cache_dir.value(), (None, CacheCondition::Interrupted));
        assert_eq!(cache_dir.value().1, CacheCondition::Usable);
    }

    #[test]
    fn open_store_beyond_64_mebibytes_recreates_it() {
        let cache_dir = CacheDirectory::with_value();
        let before = size(&cache_dir.path(STORE));
        let blob = File::create(cache_dir.path(STORE).join("blob")).unwrap();
        blob.set_len((64 << 20) - before).unwrap();
        assert_eq!(cache_dir.value().1, CacheCondition::Usable);
        blob.set_len(64 << 20).unwrap();
        assert_eq!(cache_dir.value(), (None, CacheCondition::Oversized));
        assert_eq!(cache_dir.value().1, CacheCondition::Usable);
    }

    #[test]
    fn size_counts_files_of_all_levels() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("blobs")).unwrap();
        fs::write(directory.path().join("blobs/one"), [0; 300]).unwrap();
        fs::write(directory.path().join("two"), [0; 40]).unwrap();
        assert_eq!(size(directory.path()), 340);
        assert_eq!(size(&directory.path().join("missing")), 0);
    }

    #[test]
    fn only_unfinished_snapshots_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["snap.01", "snap.02.generating", "conf.generating"] {
            fs::write(directory.path().join(name), b"x").unwrap();
        }
        remove_unfinished_snapshots(directory.path()).unwrap();
        let left = |name: &str| directory.path().join(name).exists();
        assert_eq!(
            [left("snap.01"), left("snap.02.generating"), left("conf.generating")],
            [true, false, true]
        );
    }

    #[test]
    fn failure_to_remove_is_error_unless_nothing_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let (file, missing) = (directory.path().join("file"), directory.path().join("missing"));
        fs::write(&file, b"x").unwrap();
        assert!(remove_unfinished_snapshots(&missing).is_ok() && remove_if_exists(&missing).is_ok());
        assert!(remove_unfinished_snapshots(&file).is_err(), "a file is no store");
        assert!(remove_if_exists(directory.path()).is_err(), "a directory is no file");
    }

    #[test]
    fn value_is_stored_in_pieces_of_32_kibibytes() {
        let cache_dir = CacheDirectory::new();
        let (mut cache, _) = cache_dir.open();
        cache.put("log", &[1; 100 << 10], [1; 12]).unwrap();
        let store = cache.store.clone().unwrap();
        assert_eq!(store.scan_prefix("log/").count(), 4);
    }

    #[test]
    fn store_panic_is_error_and_next_put_succeeds() {
        let cache_dir = CacheDirectory::with_value();
        let (mut cache, _) = cache_dir.open();
        let panicked = cache.with_store(|_| -> sled::Result<()> { panic!("as sled does") });
        assert!(matches!(panicked, Err(CacheError::Panicked)));
        assert_eq!(cache.get("shelf").unwrap(), None, "the earlier store is quarantined");
        cache.put("shelf", b"new", [2; 12]).unwrap();
        assert_eq!(cache.get("shelf").unwrap(), Some(b"new".to_vec()));
    }

    #[test]
    fn repeated_puts_keep_store_size_bounded() {
        let cache_dir = CacheDirectory::new();
        let (mut cache, _) = cache_dir.open();
        let value = |n: u8| vec![n; 150 * 1024 + usize::from(n) * 300];
        for n in 0..100 {
            cache.put("log", &value(n), [n; 12]).unwrap();
        }
        cache.put("log", &value(0), [100; 12]).unwrap();
        assert_eq!(cache.get("log").unwrap(), Some(value(0)), "no piece of a longer one is left");
        drop(cache);
        assert!(
            size(&cache_dir.path(STORE)) < 100 * 150 * 1024 / 2,
            "{} bytes",
            size(&cache_dir.path(STORE))
        );
    }
}
