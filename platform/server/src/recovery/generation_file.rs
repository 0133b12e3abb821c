//! The file beside the database that keeps the generation of the database, outside of it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The file `DATABASE.generation`.
pub struct GenerationFile(PathBuf);

/// Why the generation of a database cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum GenerationFileError {
    /// The file or its directory cannot be read or written.
    #[error("cannot read or write {0}: check the directory's rights and space")]
    Io(PathBuf, #[source] io::Error),
    /// The file holds something else than a number.
    #[error(
        "{0} does not hold a number: if the database was restored, remove this file; the platform then recovers"
    )]
    Malformed(PathBuf),
}

impl GenerationFile {
    /// The file of this database.
    #[must_use]
    pub fn beside(database: &Path) -> Self {
        Self(with_suffix(database, ".generation"))
    }

    /// The generation; `None` if there is no file.
    ///
    /// # Errors
    /// [`GenerationFileError`].
    pub fn read(&self) -> Result<Option<u64>, GenerationFileError> {
        match fs::read_to_string(&self.0) {
            Ok(text) => {
                text.trim().parse().map(Some).map_err(|_| GenerationFileError::Malformed(self.0.clone()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(GenerationFileError::Io(self.0.clone(), error)),
        }
    }

    /// Writes the generation. It is on disk when this returns; after a crash the file has the number before or this one.
    ///
    /// # Errors
    /// [`GenerationFileError::Io`].
    pub fn write(&self, generation: u64) -> Result<(), GenerationFileError> {
        let write = || -> io::Result<()> {
            let new = with_suffix(&self.0, ".new");
            let mut file = File::create(&new)?;
            writeln!(file, "{generation}")?;
            file.sync_all()?;
            fs::rename(&new, &self.0)?;
            sync_directory_of(&self.0)
        };
        write().map_err(|error| GenerationFileError::Io(self.0.clone(), error))
    }
}

/// The path with a suffix after its whole name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Puts the names in a file's directory on disk.
pub(super) fn sync_directory_of(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}
