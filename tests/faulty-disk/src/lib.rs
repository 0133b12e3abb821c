//! A disk of the journal with injected faults, for tests and the simulation: power cuts, full disk, failed syncs and reads, bit
//! rot.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use journal::Disk;

/// Files in memory, of which only synced bytes survive a power cut.
#[derive(Clone, Debug, Default)]
pub struct FaultyDisk {
    files: BTreeMap<String, File>,
    quarantined: BTreeMap<String, Vec<u8>>,
    /// Bytes that may still be written.
    bytes_left: Option<usize>,
    /// Syncs that still succeed.
    syncs_left: Option<usize>,
    /// Files whose sectors cannot be read.
    unreadable: BTreeSet<String>,
}

#[derive(Clone, Debug, Default)]
struct File {
    bytes: Vec<u8>,
    synced: usize,
    /// A sync failed at this length. As on Linux, it fails once: later ones succeed, and yet the bytes after it are not on the
    /// disk and are lost with the next power cut.
    lost_from: Option<usize>,
}

impl FaultyDisk {
    /// An empty disk without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Limits the free space: a write beyond it is cut short and fails. `None`: no limit.
    pub fn limit_space(&mut self, bytes: Option<usize>) {
        self.bytes_left = bytes;
    }

    /// Limits the number of further syncs that succeed. `None`: no limit.
    pub fn limit_syncs(&mut self, count: Option<usize>) {
        self.syncs_left = count;
    }

    /// Simulates a power cut: of the bytes that were not synced, a part chosen by the seed survives.
    pub fn power_cut(&mut self, seed: u64) {
        let mut random = seed | 1;
        for file in self.files.values_mut() {
            let loose = file.bytes.len() - file.synced;
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let kept = usize::try_from(random >> 33).unwrap_or(0) % (loose + 1);
            file.bytes.truncate(file.synced + kept);
            if let Some(lost) = file.lost_from.take() {
                // The length of a file may be durable while its bytes are not.
                let is_zeroed = random >> 20 & 1 == 0;
                let length = file.bytes.len();
                file.bytes.truncate(lost);
                if is_zeroed {
                    file.bytes.resize(length, 0);
                }
            }
            file.synced = file.bytes.len();
        }
    }

    /// A copy of the disk as a power cut would leave it now, without the bytes that may or may not survive, and without faults.
    #[must_use]
    pub fn durable_copy(&self) -> Self {
        let durable = |file: &File| {
            let length = file.lost_from.map_or(file.synced, |lost| lost.min(file.synced));
            let bytes = file.bytes.get(..length).unwrap_or_default().to_vec();
            File { synced: bytes.len(), bytes, lost_from: None }
        };
        let files = self.files.iter().map(|(name, file)| (name.clone(), durable(file))).collect();
        Self { files, quarantined: self.quarantined.clone(), ..Self::default() }
    }

    /// A copy as an operator makes it: like [`FaultyDisk::durable_copy`], without the files that cannot be read.
    #[must_use]
    pub fn backup(&self) -> Self {
        let mut copy = self.durable_copy();
        copy.files.retain(|name, _| !self.unreadable.contains(name));
        copy
    }

    /// Flips one bit of a file.
    pub fn flip_bit(&mut self, name: &str, at: usize) {
        if let Some(byte) = self.files.get_mut(name).and_then(|file| file.bytes.get_mut(at)) {
            *byte ^= 0x04;
        }
    }

    /// Makes the sectors of a file unreadable.
    pub fn fail_reads(&mut self, name: &str) {
        self.unreadable.insert(name.to_owned());
    }

    /// Length of a file in bytes.
    #[must_use]
    pub fn file_len(&self, name: &str) -> usize {
        self.files.get(name).map_or(0, |file| file.bytes.len())
    }

    /// All bytes on the disk, quarantined files included.
    #[must_use]
    pub fn all_bytes(&self) -> Vec<u8> {
        let files = self.files.values().map(|file| file.bytes.as_slice());
        files.chain(self.quarantined.values().map(Vec::as_slice)).collect::<Vec<_>>().concat()
    }

    fn file(&mut self, name: &str) -> io::Result<&mut File> {
        self.files.get_mut(name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for FaultyDisk {
    fn list(&mut self) -> io::Result<Vec<String>> {
        Ok(self.files.keys().cloned().collect())
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        if self.files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if self.bytes_left == Some(0) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.files.insert(name.to_owned(), File::default());
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let fits = self.bytes_left.map_or(bytes.len(), |space| space.min(bytes.len()));
        self.bytes_left = self.bytes_left.map(|space| space - fits);
        self.file(name)?.bytes.extend_from_slice(bytes.get(..fits).unwrap_or_default());
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        match &mut self.syncs_left {
            Some(0) => {
                let file = self.file(name)?;
                file.lost_from = Some(file.lost_from.unwrap_or(file.synced));
                return Err(io::Error::other("the disk does not answer"));
            }
            Some(left) => *left -= 1,
            None => {}
        }
        let file = self.file(name)?;
        file.synced = file.bytes.len();
        Ok(())
    }

    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        if self.unreadable.contains(name) {
            return Err(io::Error::other("the sector cannot be read"));
        }
        Ok(self.file(name)?.bytes.clone())
    }

    fn read_start(&mut self, name: &str, bytes: usize) -> io::Result<(Vec<u8>, u64)> {
        let file = self.read(name)?;
        let start = file.get(..bytes.min(file.len())).unwrap_or_default().to_vec();
        Ok((start, u64::try_from(file.len()).unwrap_or(u64::MAX)))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let file = self.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.files.insert(to.to_owned(), file);
        // The sectors are the same.
        if self.unreadable.remove(from) {
            self.unreadable.insert(to.to_owned());
        }
        Ok(())
    }

    fn quarantine(&mut self, name: &str) -> io::Result<()> {
        let file = self.files.remove(name).ok_or(io::ErrorKind::NotFound)?;
        self.quarantined.insert(name.to_owned(), file.bytes);
        Ok(())
    }

    fn delete(&mut self, name: &str) -> io::Result<()> {
        self.files.remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// A faulty disk that outlives the journal that writes to it.
#[derive(Clone, Default)]
pub struct SharedDisk(Arc<Mutex<FaultyDisk>>);

impl SharedDisk {
    /// Locks the disk, to inject faults.
    pub fn lock(&self) -> MutexGuard<'_, FaultyDisk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for SharedDisk {
    fn list(&mut self) -> io::Result<Vec<String>> {
        self.lock().list()
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        self.lock().create(name)
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.lock().append(name, bytes)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.lock().sync(name)
    }

    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        self.lock().read(name)
    }

    fn read_start(&mut self, name: &str, bytes: usize) -> io::Result<(Vec<u8>, u64)> {
        self.lock().read_start(name, bytes)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.lock().rename(from, to)
    }

    fn quarantine(&mut self, name: &str) -> io::Result<()> {
        self.lock().quarantine(name)
    }

    fn delete(&mut self, name: &str) -> io::Result<()> {
        self.lock().delete(name)
    }
}
