//! Values kept beside the log in sled: the fold of the log, what the platform gave.
//!
//! Everything here can be made again from the log and the platform, so nothing is lost with it, and it is
//! never on the way of a commit. sled 0.34 has opened badly after hard stops (its issues 1527 and 1533); a
//! store that does not open, that panics, that was in use when the process died, or that has grown is set
//! aside and begun anew. The last one set aside stays, for whoever wants to know why.
//!
//! Values are sealed with SM4-GCM under a key derived from the machine's; their names stand in the clear.

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

/// Bytes of memory that sled may keep pages in: all that is cached fits.
const MEMORY: u64 = 4 * 1024 * 1024;
/// sled never gives disk space back: beyond this many bytes the store is begun anew.
const SIZE_MAX: u64 = 64 * 1024 * 1024;
const NONCE_LEN: usize = 12;
/// sled 0.34 never reclaims the space of values beyond about 100 KiB: longer ones are kept in pieces.
const PIECE: usize = 32 * 1024;

/// The store itself, the one that was set aside, and the mark that it is being used.
const STORE: &str = "store";
const ASIDE: &str = "aside";
const BUSY: &str = "busy";
/// The file of a store that sled holds the lock of.
const LOCKED: &str = "db";
/// How long, and how often, a lock that somebody still holds is waited for.
const LOCK_WAIT: Duration = Duration::from_millis(20);
const LOCK_TRIES: u32 = 100;

/// What opening a cache found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A store that opens, or none yet.
    Good,
    /// The process died while it used the store, which is set aside.
    Interrupted,
    /// The store had grown far beyond what is in it and is set aside.
    Grown,
    /// The store did not open and is set aside.
    Broken,
}

/// Why a value is not kept. The cache has been begun anew, or is off until the next start.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The directory cannot be worked in.
    #[error("the cache's directory cannot be used: check space, owner and health of the disk")]
    Directory(#[from] io::Error),
    /// sled said no.
    #[error("the cache did not do it")]
    Store(#[from] sled::Error),
    /// sled panicked.
    #[error("the cache panicked")]
    Panicked,
    /// The library refused to seal, which it does for values far longer than any here only.
    #[error("a value could not be sealed")]
    Sealing,
    /// It failed before.
    #[error("the cache is off until the next start")]
    Off,
}

/// A few named values on disk.
pub struct Cache {
    directory: PathBuf,
    seal: AesGcm<Sm4, U12>,
    /// None once it failed for good.
    store: Option<sled::Db>,
}

impl Cache {
    /// Opens the cache in a directory of its own, making both when they are not there.
    ///
    /// # Errors
    /// When not even a new store can be made.
    pub fn open(directory: &Path, key: &Zeroizing<[u8; 16]>) -> Result<(Self, Found), CacheError> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let derived = Zeroizing::new(sm3(&[b"kiosk-cache/1", key.as_slice()]));
        let key: &[u8; 16] = derived.first_chunk().ok_or(CacheError::Sealing)?;
        let mut cache =
            Self { directory: directory.to_owned(), seal: AesGcm::new(&(*key).into()), store: None };
        let mut found = Found::Good;
        if cache.directory.join(BUSY).exists() {
            found = Found::Interrupted;
        } else if size(&cache.directory.join(STORE)) > SIZE_MAX {
            found = Found::Grown;
        }
        if found == Found::Good {
            if cache.open_store().is_ok() {
                return Ok((cache, found));
            }
            found = Found::Broken;
        }
        cache.set_aside()?;
        cache.open_store()?;
        Ok((cache, found))
    }

    /// The value of this name, if there is one and it is as it was put.
    ///
    /// # Errors
    /// When the store fails; it has been begun anew then.
    pub fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, CacheError> {
        let sealed = self.using(|store| {
            let mut sealed = Vec::new();
            for piece in store.scan_prefix(prefix(name)) {
                sealed.extend_from_slice(&piece?.1);
            }
            Ok(sealed)
        })?;
        Ok(self.unseal(name, &sealed))
    }

    /// Keeps a value in the place of the one before, under 12 fresh random bytes. It may still be lost with
    /// the power: this is a cache.
    ///
    /// # Errors
    /// When it is not kept. The store has been begun anew then.
    pub fn put(&mut self, name: &str, value: &[u8], nonce: [u8; NONCE_LEN]) -> Result<(), CacheError> {
        let payload = Payload { msg: value, aad: name.as_bytes() };
        let sealed = self.seal.encrypt(&Nonce::from(nonce), payload).map_err(|_| CacheError::Sealing)?;
        let bytes = [nonce.as_slice(), &sealed].concat();
        self.using(|store| {
            let mut batch = sled::Batch::default();
            for key in store.scan_prefix(prefix(name)).keys() {
                batch.remove(key?);
            }
            for (at, piece) in (0_u32..).zip(bytes.chunks(PIECE)) {
                batch.insert([prefix(name), at.to_be_bytes().to_vec()].concat(), piece);
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

    /// Uses the store; when that goes wrong, begins it anew.
    fn using<T>(&mut self, f: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, CacheError> {
        let store = self.store.as_ref().ok_or(CacheError::Off)?;
        let done = guarded(&self.directory, || f(store));
        if done.is_err() {
            self.begin_anew();
        }
        done
    }

    /// The error that led here is what is reported: a second one shows at the next use, as [`CacheError::Off`].
    fn begin_anew(&mut self) {
        let store = self.store.take();
        // sled writes what it holds when it is dropped, and has panicked there too.
        let _ = guarded(&self.directory, move || {
            drop(store);
            Ok(())
        });
        if self.set_aside().is_ok() {
            let _ = self.open_store();
        }
    }

    fn open_store(&mut self) -> Result<(), CacheError> {
        let path = self.directory.join(STORE);
        remove_unfinished_snapshots(&path)?;
        await_lock(&path.join(LOCKED));
        // Each value is flushed when it is put; a flusher of sled's own would wake twice a second.
        let config = sled::Config::new().path(path).cache_capacity(MEMORY).flush_every_ms(None);
        self.store = Some(guarded(&self.directory, || config.open())?);
        Ok(())
    }

    /// Takes the store out of the way, in the place of one that was set aside earlier.
    fn set_aside(&self) -> io::Result<()> {
        let (store, aside) = (self.directory.join(STORE), self.directory.join(ASIDE));
        if store.exists() {
            if aside.exists() {
                fs::remove_dir_all(&aside)?;
            }
            fs::rename(store, aside)?;
        }
        remove_if_there(&self.directory.join(BUSY))
    }
}

/// What the keys of a value's pieces begin with.
fn prefix(name: &str) -> Vec<u8> {
    [name.as_bytes(), b"/"].concat()
}

/// Runs what uses sled. A panic becomes an error; a process that dies meanwhile leaves the mark behind.
fn guarded<T>(directory: &Path, f: impl FnOnce() -> sled::Result<T>) -> Result<T, CacheError> {
    let busy = directory.join(BUSY);
    File::create(&busy)?;
    let done = catch_unwind(AssertUnwindSafe(f)).map_err(|_| CacheError::Panicked)?;
    remove_if_there(&busy)?;
    Ok(done?)
}

/// sled does not open when it died while it wrote one of these, and does not need them.
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
            remove_if_there(&entry.path())?;
        }
    }
    Ok(())
}

/// Waits, for a while, until nobody holds the lock of a store: a thread of sled's can hold it for some moments after
/// the store was closed, and sled does not tell a store that is in use from one that is broken.
fn await_lock(file: &Path) {
    // What cannot be opened is not locked: sled itself says what is wrong with it.
    let Ok(file) = File::open(file) else { return };
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_WAIT),
            // Closing the file gives the lock back.
            Ok(()) | Err(TryLockError::Error(_)) => return,
        }
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Bytes of the files under a directory; 0 when it is not there.
fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn open(&self) -> (Cache, Found) {
            Cache::open(self.0.path(), &[7; 16].into()).unwrap()
        }

        /// A cache that holds one value, closed.
        fn with_value() -> Self {
            let place = Self::new();
            place.open().0.put("shelf", "养老保险".as_bytes(), [1; 12]).unwrap();
            place
        }

        fn value(&self) -> (Option<Vec<u8>>, Found) {
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
    fn a_value_is_there_at_the_next_start_and_only_its_name_can_be_read_on_the_disk() {
        let place = Place::with_value();
        assert_eq!(place.value(), (Some("养老保险".as_bytes().to_vec()), Found::Good));
        let bytes = all_bytes(place.0.path());
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(holds("shelf") && !holds("养老保险"));
    }

    #[test]
    fn another_key_another_name_or_a_bent_value_gives_nothing() {
        let place = Place::with_value();
        let (mut stranger, _) = Cache::open(place.0.path(), &[8; 16].into()).unwrap();
        assert_eq!(stranger.get("shelf").unwrap(), None);
        drop(stranger);
        let (mut cache, _) = place.open();
        let store = cache.store.clone().unwrap();
        let (key, stored) = store.scan_prefix("shelf/").next().unwrap().unwrap();
        store.insert(b"log/\0\0\0\0", &stored).unwrap();
        assert_eq!(cache.get("log").unwrap(), None, "a value is bound to its name");
        let mut bent = stored.to_vec();
        bent[15] ^= 1;
        store.insert(key, bent).unwrap();
        assert_eq!(cache.get("shelf").unwrap(), None);
    }

    #[test]
    fn a_snapshot_that_was_being_written_does_not_keep_it_from_opening() {
        let place = Place::with_value();
        fs::write(place.path(STORE).join("snap.00000000000000FF.generating"), b"half a snap").unwrap();
        assert_eq!(place.value(), (Some("养老保险".as_bytes().to_vec()), Found::Good));
    }

    #[test]
    fn a_store_that_is_held_for_a_moment_longer_is_waited_for() {
        let place = Place::with_value();
        let held = File::open(place.path(STORE).join(LOCKED)).unwrap();
        held.lock().unwrap();
        let holder = thread::spawn(move || {
            thread::sleep(LOCK_WAIT * 5);
            drop(held);
        });
        assert_eq!(place.value(), (Some("养老保险".as_bytes().to_vec()), Found::Good));
        holder.join().unwrap();
    }

    #[test]
    fn a_store_that_does_not_open_is_set_aside_and_begun_anew() {
        let place = Place::with_value();
        fs::write(place.path(STORE).join("conf"), b"no configuration of sled").unwrap();
        assert_eq!(place.value(), (None, Found::Broken));
        assert!(place.path(ASIDE).join("conf").exists(), "kept for whoever wants to know why");
        place.open().0.put("shelf", b"new", [2; 12]).unwrap();
        assert_eq!(place.value(), (Some(b"new".to_vec()), Found::Good));
    }

    #[test]
    fn a_store_in_whose_use_the_process_died_is_not_tried_again() {
        let place = Place::with_value();
        fs::write(place.path(BUSY), b"").unwrap();
        assert_eq!(place.value(), (None, Found::Interrupted));
        assert_eq!(place.value().1, Found::Good);
    }

    #[test]
    fn a_store_that_has_grown_is_begun_anew() {
        let place = Place::with_value();
        File::create(place.path(STORE).join("blob")).unwrap().set_len(SIZE_MAX).unwrap();
        assert_eq!(place.value(), (None, Found::Grown));
        assert_eq!(place.value().1, Found::Good);
    }

    #[test]
    fn a_panic_of_the_store_is_an_error_and_the_next_value_is_kept() {
        let place = Place::with_value();
        let (mut cache, _) = place.open();
        let panicked = cache.using(|_| -> sled::Result<()> { panic!("as sled does") });
        assert!(matches!(panicked, Err(CacheError::Panicked)));
        assert_eq!(cache.get("shelf").unwrap(), None, "what was there is set aside");
        cache.put("shelf", b"new", [2; 12]).unwrap();
        assert_eq!(cache.get("shelf").unwrap(), Some(b"new".to_vec()));
    }

    #[test]
    fn values_put_over_and_over_do_not_grow_the_store_beyond_its_bound() {
        let place = Place::new();
        let (mut cache, _) = place.open();
        let value = |n: u8| vec![n; 150 * 1024 + usize::from(n) * 300];
        for n in 0..100 {
            cache.put("log", &value(n), [n; 12]).unwrap();
        }
        cache.put("log", &value(0), [100; 12]).unwrap();
        assert_eq!(cache.get("log").unwrap(), Some(value(0)), "no piece of a longer one is left");
        drop(cache);
        assert!(size(&place.path(STORE)) < 100 * 150 * 1024 / 2, "{} bytes", size(&place.path(STORE)));
    }
}
