//! Data files and keys of the departments on disk.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};

use super::data::{DepartmentData, Resident};
use super::signatures::{DepartmentKey, to_hex};
use crate::shell::{ResidentsError, parse_residents, read_residents};

/// The residents in the text of `residents.toml`, as departments know them.
///
/// # Errors
/// When the text is not TOML or lacks a field.
pub fn residents_from_toml(text: &str) -> Result<Vec<Resident>, ResidentsError> {
    parse_residents(text)
}

/// Reads all data files (`*.toml`) of a directory.
///
/// # Errors
/// When a file cannot be read, or has a mistake: the error names file and line.
pub fn read_departments(directory: &Path, residents: &Path) -> anyhow::Result<DepartmentData> {
    let residents = residents_from_toml(&read_residents(residents)?)?;
    let cannot_read = || format!("cannot read the data files of the departments in {}", directory.display());
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).with_context(cannot_read)? {
        let path = entry.with_context(cannot_read)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            files.insert(name, text);
        }
    }
    if files.is_empty() {
        bail!("{} has no data file of a department: each is a file DEPARTMENT.toml", directory.display());
    }
    let files = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    Ok(DepartmentData::parse(files, residents)?)
}

/// Reads the secret key of each department from `DEPARTMENT.key` (64 hexadecimal digits). A key that does not exist is made.
/// The public key is written to `DEPARTMENT.pub`.
///
/// # Errors
/// When a file cannot be read or written, or is not a key.
pub fn department_keys<'a>(
    directory: &Path,
    departments: impl IntoIterator<Item = &'a str>,
) -> anyhow::Result<BTreeMap<String, DepartmentKey>> {
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let mut keys = BTreeMap::new();
    for id in departments {
        let path = directory.join(format!("{id}.key"));
        if !path.exists() {
            let mut scalar = [0; 32];
            getrandom::fill(&mut scalar).context("the system gives no random numbers")?;
            DepartmentKey::from_bytes(&scalar)?;
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .with_context(|| format!("cannot create {}", path.display()))?;
            file.write_all(to_hex(&scalar).as_bytes())?;
            file.sync_all()?;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let key =
            DepartmentKey::from_hex(&text).with_context(|| format!("{} is not a key", path.display()))?;
        let public = path.with_extension("pub");
        fs::write(&public, key.public().to_hex())
            .with_context(|| format!("cannot write {}", public.display()))?;
        keys.insert(id.to_owned(), key);
    }
    Ok(keys)
}
