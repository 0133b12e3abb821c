//! The files of the repository that the rig, the scenarios and the tests read.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use contract::ServiceDocument;

/// Root directory of the repository.
///
/// # Panics
/// Never: the tests package is in a folder of the repository.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests package is in a folder of the repository")
}

/// The demo residents.
#[must_use]
pub fn residents_file() -> PathBuf {
    repository().join("assets/residents.toml")
}

/// The folder of the service documents.
pub(crate) fn services_folder() -> PathBuf {
    repository().join("assets/services")
}

/// A service document as its file.
pub(crate) struct ServiceFile {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) document: ServiceDocument,
}

/// The service documents of a folder, by file name.
pub(crate) fn service_files(folder: &Path) -> Result<Vec<ServiceFile>> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path)?;
            let document =
                ServiceDocument::parse(&text).with_context(|| format!("service {}", path.display()))?;
            Ok(ServiceFile { path, text, document })
        })
        .collect()
}
