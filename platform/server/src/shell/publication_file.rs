//! The file of the publication, which the platform reads at its start and whenever it changes.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use contract::{PublicKey, Publication, PublicationError, sm3};

/// The file of the publication. `provision service publish` replaces it as a whole.
pub struct PublicationFile {
    path: PathBuf,
    key: PublicKey,
    seen: Option<FileState>,
}

/// What changes when a file is replaced or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileState {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

/// Why the file of the publication cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum PublicationFileError {
    /// The file cannot be read.
    #[error("cannot read the publication {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// Its content cannot be taken.
    #[error("{path}: {cause}")]
    Content {
        /// The file.
        path: PathBuf,
        /// SM3 of its content.
        digest: [u8; 32],
        /// Why.
        cause: Box<PublicationError>,
    },
}

impl PublicationFile {
    /// The file at `path`, signed with the city's catalogue key. Nothing is read yet.
    #[must_use]
    pub const fn new(path: PathBuf, key: PublicKey) -> Self {
        Self { path, key, seen: None }
    }

    /// Reads and checks the file.
    ///
    /// # Errors
    /// [`PublicationFileError`].
    pub fn read(&mut self) -> Result<Publication, PublicationFileError> {
        let unreadable = |cause| PublicationFileError::Read { path: self.path.clone(), cause };
        self.seen = Some(self.state().map_err(unreadable)?);
        let text = fs::read_to_string(&self.path).map_err(unreadable)?;
        Publication::open(&text, &self.key).map_err(|cause| {
            let (digest, cause) = (sm3(&[text.as_bytes()]), Box::new(cause));
            PublicationFileError::Content { path: self.path.clone(), digest, cause }
        })
    }

    /// Whether the file is another one than when it was read last. A file that is missing for a moment is none.
    pub(super) fn is_changed(&self) -> bool {
        self.state().is_ok_and(|state| self.seen != Some(state))
    }

    fn state(&self) -> io::Result<FileState> {
        let state = fs::metadata(&self.path)?;
        Ok(FileState {
            inode: state.ino(),
            bytes: state.size(),
            changed: (state.mtime(), state.mtime_nsec()),
        })
    }
}
