//! The disk operations that a journal needs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Largest file that is read, in bytes: a segment with its head, and space for a torn tail.
const READ_MAX: u64 = 64 * 1024 * 1024;

/// One directory of append-only files. Names are plain file names.
pub trait Disk {
    /// Names of all files, in no particular order. Quarantined files are not included.
    ///
    /// # Errors
    /// When the directory cannot be read.
    fn list(&mut self) -> io::Result<Vec<String>>;

    /// Creates an empty file whose name survives a power cut.
    ///
    /// # Errors
    /// When the file exists already or cannot be created.
    fn create(&mut self, name: &str) -> io::Result<()>;

    /// Appends the bytes in one write. They are durable only after [`Disk::sync`].
    ///
    /// # Errors
    /// When not all bytes could be written; some of them may be in the file.
    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Makes all appended bytes durable.
    ///
    /// # Errors
    /// When the bytes may not be durable. The state of all bytes appended since the last success is then unknown.
    fn sync(&mut self, name: &str) -> io::Result<()>;

    /// Reads the whole file.
    ///
    /// # Errors
    /// When the file cannot be read.
    fn read(&mut self, name: &str) -> io::Result<Vec<u8>>;

    /// Reads the first bytes of a file, fewer when it is shorter, and its length in bytes.
    ///
    /// # Errors
    /// When the file cannot be read.
    fn read_start(&mut self, name: &str, bytes: usize) -> io::Result<(Vec<u8>, u64)>;

    /// Renames a file. The new name survives a power cut.
    ///
    /// # Errors
    /// When the file cannot be renamed.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Quarantines a damaged file: moves it away without deleting it.
    ///
    /// # Errors
    /// When the file cannot be moved.
    fn quarantine(&mut self, name: &str) -> io::Result<()>;

    /// Deletes a file.
    ///
    /// # Errors
    /// When the file cannot be deleted.
    fn delete(&mut self, name: &str) -> io::Result<()>;
}

/// A directory of the real file system. Files are readable by their owner only.
pub struct RealDisk {
    directory: PathBuf,
    /// The file that was appended to last, kept open.
    open: Option<(String, File)>,
}

impl RealDisk {
    /// Opens the directory, and creates it when it does not exist.
    ///
    /// # Errors
    /// When the directory cannot be created.
    pub fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory.join(QUARANTINE))?;
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

    /// Syncs the directory: only then are the names in it durable.
    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }
}

/// Directory for quarantined files.
const QUARANTINE: &str = "aside";

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

    fn read_start(&mut self, name: &str, bytes: usize) -> io::Result<(Vec<u8>, u64)> {
        let file = File::open(self.path(name))?;
        let length = file.metadata()?.len();
        let mut start = Vec::new();
        file.take(u64::try_from(bytes).unwrap_or(u64::MAX)).read_to_end(&mut start)?;
        Ok((start, length))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.open = None;
        fs::rename(self.path(from), self.path(to))?;
        self.sync_names()
    }

    fn quarantine(&mut self, name: &str) -> io::Result<()> {
        self.open = None;
        fs::rename(self.path(name), self.directory.join(QUARANTINE).join(name))?;
        self.sync_names()
    }

    fn delete(&mut self, name: &str) -> io::Result<()> {
        self.open = None;
        fs::remove_file(self.path(name))?;
        self.sync_names()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with a file `one` and a file `two`.
    fn two_files() -> (tempfile::TempDir, RealDisk) {
        let directory = tempfile::tempdir().unwrap();
        let mut disk = RealDisk::open(directory.path()).unwrap();
        for name in ["one", "two"] {
            disk.create(name).unwrap();
            disk.append(name, name.as_bytes()).unwrap();
            disk.sync(name).unwrap();
        }
        (directory, disk)
    }

    fn names(disk: &mut RealDisk) -> Vec<String> {
        let mut names = disk.list().unwrap();
        names.sort();
        names
    }

    #[test]
    fn bytes_are_appended_to_the_named_file() {
        let (_directory, mut disk) = two_files();
        disk.append("one", b" more").unwrap();
        disk.append("two", b" too").unwrap();
        assert_eq!(disk.read("one").unwrap(), b"one more");
        assert_eq!(disk.read("two").unwrap(), b"two too");
        assert_eq!(disk.read_start("one", 5).unwrap(), (b"one m".to_vec(), 8));
        assert_eq!(disk.read_start("one", 50).unwrap(), (b"one more".to_vec(), 8));
    }

    #[test]
    fn renamed_deleted_and_quarantined_files_leave_the_list() {
        let (directory, mut disk) = two_files();
        disk.rename("one", "first").unwrap();
        assert_eq!(names(&mut disk), ["first", "two"]);
        disk.append("first", b"!").unwrap();
        assert_eq!(disk.read("first").unwrap(), b"one!");
        disk.delete("first").unwrap();
        assert_eq!(names(&mut disk), ["two"]);
        disk.quarantine("two").unwrap();
        assert!(names(&mut disk).is_empty());
        assert_eq!(fs::read(directory.path().join(QUARANTINE).join("two")).unwrap(), b"two");
    }

    #[test]
    fn operation_on_what_does_not_exist_is_error() {
        let (directory, mut disk) = two_files();
        assert!(disk.create("one").is_err(), "it exists");
        assert!(disk.append("three", b"x").is_err());
        assert!(disk.sync("three").is_err());
        assert!(disk.rename("three", "four").is_err());
        assert!(disk.quarantine("three").is_err());
        assert!(disk.delete("three").is_err());
        fs::remove_dir_all(directory.path()).unwrap();
        assert!(disk.sync_names().is_err());
    }

    #[test]
    fn file_of_some_mebibytes_is_read_whole() {
        let (_directory, mut disk) = two_files();
        disk.append("one", &[7; 3 << 20]).unwrap();
        assert_eq!(disk.read("one").unwrap().len(), (3 << 20) + 3);
    }
}
