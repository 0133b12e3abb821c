//! What the city of these tests publishes.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use contract::{Publication, PublicationSources, SecretKey, SourceFile, UnixMs};

use crate::departments::{assets, department_list};

/// The city's catalogue key.
pub(crate) fn catalogue_key() -> SecretKey {
    SecretKey::from_bytes(&[9; 32]).unwrap()
}

/// The files of a directory.
pub(crate) fn files_in(directory: &Path) -> Vec<SourceFile> {
    let file = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        SourceFile { name, text: fs::read_to_string(&path).unwrap() }
    };
    let mut files: Vec<SourceFile> = fs::read_dir(directory).unwrap().map(file).collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

/// These documents, with the operations and departments of the demo city.
pub(crate) fn sources(documents: impl IntoIterator<Item = String>) -> PublicationSources {
    static DEMO: LazyLock<PublicationSources> = LazyLock::new(|| PublicationSources {
        services: Vec::new(),
        operations: files_in(&assets().join("operations")),
        licences: files_in(&assets().join("licences")),
        departments: department_list("http://departments.invalid"),
    });
    let named = |(at, text)| SourceFile { name: format!("{at}.toml"), text };
    PublicationSources { services: documents.into_iter().enumerate().map(named).collect(), ..DEMO.clone() }
}

/// Signs a publication.
pub(crate) fn published_as(number: u64, sources: PublicationSources) -> Publication {
    Publication::sign(number, UnixMs(1_795_000_000_000), sources, &catalogue_key()).unwrap().0
}

/// The first publication of a city with these documents.
pub(crate) fn publication(documents: impl IntoIterator<Item = String>) -> Publication {
    published_as(1, sources(documents))
}
