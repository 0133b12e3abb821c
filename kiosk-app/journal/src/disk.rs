//! The few things a log needs of a disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Largest file that is read whole: a segment with its head, and room for a torn tail.
const READ_MAX: u64 = 64 * 1024 * 1024;

/// One directory of append-only files. Names are plain file names.
pub trait Disk {
    /// Names of all files, in no order. Files that were set aside are not among them.
    ///
    /// # Errors
    /// When the directory cannot be read.
    fn list(&mut self) -> io::Result<Vec<String>>;

    /// Makes an empty file whose name survives a power cut.
    ///
    /// # Errors
    /// When it is there already or cannot be made.
    fn create(&mut self, name: &str) -> io::Result<()>;

    /// Writes the bytes at the end, in one write. What was written is durable after [`Disk::sync`] only.
    ///
    /// # Errors
    /// When not all bytes could be written; some of them may be there.
    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Makes all that was appended durable.
    ///
    /// # Errors
    /// When it may not be. What was appended since the last success is then in doubt for good.
    fn sync(&mut self, name: &str) -> io::Result<()>;

    /// The whole file.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&mut self, name: &str) -> io::Result<Vec<u8>>;

    /// Takes a damaged file out of the way without losing it.
    ///
    /// # Errors
    /// When it cannot be moved.
    fn set_aside(&mut self, name: &str) -> io::Result<()>;

    /// Deletes a file for good.
    ///
    /// # Errors
    /// When it cannot be deleted.
    fn delete(&mut self, name: &str) -> io::Result<()>;
}

/// A directory of the real file system. Files are readable by their owner only.
pub struct RealDisk {
    directory: PathBuf,
    /// The file that is being appended to.
    open: Option<(String, File)>,
}

impl RealDisk {
    /// Opens the directory, making it when it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory.join(ASIDE))?;
        Ok(Self { directory: directory.to_owned(), open: None })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn file(&mut self, name: &str) -> io::Result<&mut File> {
        if self.open.as_ref().is_none_or(|(open, _)| open != name) {
            let file = OpenOptions::new().append(true).open(self.path(name))?;
            self.open = Some((name.to_owned(), file));
        }
        self.open.as_mut().map(|(_, file)| file).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Names are durable only once their directory is.
    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }
}

/// Where damaged files go.
const ASIDE: &str = "aside";

impl Disk for RealDisk {
    fn list(&mut self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(self.path(name))?;
        file.sync_all()?;
        self.sync_names()?;
        self.open = Some((name.to_owned(), file));
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.file(name)?.write_all(bytes)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.file(name)?.sync_data()
    }

    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.path(name))?.take(READ_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn set_aside(&mut self, name: &str) -> io::Result<()> {
        self.open = None;
        fs::rename(self.path(name), self.directory.join(ASIDE).join(name))?;
        self.sync_names()
    }

    fn delete(&mut self, name: &str) -> io::Result<()> {
        self.open = None;
        fs::remove_file(self.path(name))?;
        self.sync_names()
    }
}
