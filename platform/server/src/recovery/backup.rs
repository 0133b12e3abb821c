//! Backups of the database: an online copy with a manifest, and its restore.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use contract::{UnixMs, to_hex};
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use sm3::{Digest as _, Sm3};

use super::generation_file::{GenerationFile, GenerationFileError, sync_directory_of, with_suffix};
use crate::recovery_state;

/// Why a backup or restore failed. The database in use is unchanged, except where a variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The target of the backup exists.
    #[error("{0} exists: choose another name, a backup is never overwritten")]
    Exists(PathBuf),
    /// A file cannot be read or written.
    #[error("cannot read or write {0}: check rights and space")]
    Io(PathBuf, #[source] io::Error),
    /// SQLite cannot copy or read a database.
    #[error("SQLite cannot read or copy the database")]
    Database(#[from] rusqlite::Error),
    /// The manifest is missing or malformed.
    #[error("{0} is not the manifest of a backup: restore needs it beside the backup")]
    NoManifest(PathBuf),
    /// The backup is not the file that its manifest describes.
    #[error("{0} is not what its manifest describes: it was changed or damaged; use another backup")]
    Changed(PathBuf),
    /// The platform runs on the database.
    #[error("a platform runs on {0}: stop it first")]
    InUse(PathBuf),
    /// The generation cannot be kept.
    #[error(transparent)]
    Generation(#[from] GenerationFileError),
}

/// What is written beside a backup, as `BACKUP.manifest`.
#[derive(Serialize, Deserialize)]
pub struct BackupManifest {
    /// Version of this format.
    pub format: u32,
    /// Generation of the database.
    pub generation: u64,
    /// Time of the backup, in milliseconds since 1970.
    pub created_ms: UnixMs,
    /// Length of the backup in bytes.
    pub bytes: u64,
    /// SM3 of the backup, hexadecimal.
    pub sm3: String,
}

/// The lock that says that a platform runs on a database. It ends with the value, and with the process.
pub struct DatabaseLock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl DatabaseLock {
    /// Locks the database.
    ///
    /// # Errors
    /// [`BackupError::InUse`], [`BackupError::Io`].
    pub fn take(database: &Path) -> Result<Self, BackupError> {
        let path = with_suffix(database, ".lock");
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
        let file = file.map_err(|error| BackupError::Io(path.clone(), error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(fs::TryLockError::WouldBlock) => Err(BackupError::InUse(database.to_owned())),
            Err(fs::TryLockError::Error(error)) => Err(BackupError::Io(path, error)),
        }
    }
}

/// Copies the database to a new file, with a manifest beside it. The platform may run: the copy is one consistent state.
///
/// # Errors
/// [`BackupError`].
pub fn back_up(database: &Path, to: &Path, now: UnixMs) -> Result<BackupManifest, BackupError> {
    let manifest_path = with_suffix(to, ".manifest");
    for path in [to, manifest_path.as_path()] {
        if path.exists() {
            return Err(BackupError::Exists(path.to_owned()));
        }
    }
    let copy = with_suffix(to, ".new");
    let io_error = |error| BackupError::Io(to.to_owned(), error);
    if copy.exists() {
        fs::remove_file(&copy).map_err(io_error)?;
    }
    // Created first, so that nobody else can read it; SQLite accepts an empty file.
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&copy).map_err(io_error)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(database, flags)?;
    source.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
    drop(source);
    let made = Connection::open_with_flags(&copy, flags)?;
    recovery_state::write(&made, recovery_state::BACKUP_MS, i64::try_from(now.0).unwrap_or(i64::MAX))?;
    let generation = recovery_state::generation(&made)?;
    made.close().map_err(|(_, error)| error)?;
    let (bytes, sm3) = measure(&copy).map_err(io_error)?;
    File::open(&copy).and_then(|file| file.sync_all()).map_err(io_error)?;
    let manifest = BackupManifest { format: 1, generation, created_ms: now, bytes, sm3 };
    let text = serde_json::to_string_pretty(&manifest).expect("a manifest has string keys and no floats");
    let finish = || -> io::Result<()> {
        fs::write(&manifest_path, text + "\n")?;
        File::open(&manifest_path)?.sync_all()?;
        fs::rename(&copy, to)?;
        sync_directory_of(to)
    };
    finish().map_err(io_error)?;
    Ok(manifest)
}

/// What a restore did.
pub struct Restored {
    /// What was restored.
    pub manifest: BackupManifest,
    /// Generation that the platform has to reach by its recovery.
    pub generation: u64,
    /// Where the database that was replaced is kept, if there was one.
    pub aside: Option<PathBuf>,
}

/// Puts a backup in the place of the database. The database before is kept under another name. The generation is raised
/// first: whatever happens after that, the platform recovers at its next start.
///
/// # Errors
/// [`BackupError`].
pub fn restore(database: &Path, from: &Path, now: UnixMs) -> Result<Restored, BackupError> {
    let _lock = DatabaseLock::take(database)?;
    let manifest_path = with_suffix(from, ".manifest");
    let manifest: BackupManifest = fs::read(&manifest_path)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .ok_or(BackupError::NoManifest(manifest_path))?;
    let io_error = |error| BackupError::Io(database.to_owned(), error);
    let copy = with_suffix(database, ".restoring");
    let _ = fs::remove_file(&copy);
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&copy).map_err(io_error)?;
    fs::copy(from, &copy).map_err(|error| BackupError::Io(from.to_owned(), error))?;
    // The copy is checked, not the source: what is checked is what is used.
    if measure(&copy).map_err(io_error)? != (manifest.bytes, manifest.sm3.clone()) {
        let _ = fs::remove_file(&copy);
        return Err(BackupError::Changed(from.to_owned()));
    }
    let generation_file = GenerationFile::beside(database);
    let in_use =
        database.exists().then(|| Connection::open(database).and_then(|db| recovery_state::generation(&db)));
    // A database that cannot be read is often why there is a restore.
    let in_use = in_use.and_then(Result::ok).unwrap_or(0);
    let generation =
        generation_file.read()?.unwrap_or(0).max(manifest.generation).max(in_use).saturating_add(1);
    generation_file.write(generation)?;
    let replace = || -> io::Result<Option<PathBuf>> {
        File::open(&copy)?.sync_all()?;
        let aside = with_suffix(database, &format!(".before-restore-{}", now.0));
        let is_replaced = database.exists();
        for suffix in ["-wal", "-shm", ""] {
            let file = with_suffix(database, suffix);
            if file.exists() {
                fs::rename(&file, with_suffix(&aside, suffix))?;
            }
        }
        fs::rename(&copy, database)?;
        sync_directory_of(database)?;
        Ok(is_replaced.then_some(aside))
    };
    let aside = replace().map_err(io_error)?;
    Ok(Restored { manifest, generation, aside })
}

/// Length in bytes and SM3 of a file.
fn measure(path: &Path) -> io::Result<(u64, String)> {
    let (mut file, mut hash, mut bytes) = (File::open(path)?, Sm3::new(), 0_u64);
    let mut piece = vec![0; 1024 * 1024];
    loop {
        let read = file.read(&mut piece)?;
        let Some(part) = piece.get(..read).filter(|part| !part.is_empty()) else { break };
        hash.update(part);
        bytes = bytes.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
    }
    let digest: [u8; 32] = hash.finalize().into();
    Ok((bytes, to_hex(&digest)))
}
