//! Publishes services, operations, licence kinds and departments: signs them together for the platform.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use contract::{Publication, PublicationSources, SourceFile, UnixMs};

use crate::keys::read_secret_key;
use crate::service::{read, toml_files};

/// What is published, and where.
#[derive(Args)]
pub(crate) struct PublishArguments {
    /// File with the secret key of the catalogue (`catalogue.key`). It is needed here only, not on the platform's machine.
    #[arg(long)]
    key: PathBuf,
    /// Directory of the service documents.
    #[arg(long)]
    services: PathBuf,
    /// Directory of the operations: one file (`*.toml`) for each department.
    #[arg(long)]
    operations: PathBuf,
    /// Directory of the licence kinds; without this option the directory `licences` beside that of the operations, if there is one.
    #[arg(long)]
    licences: Option<PathBuf>,
    /// File of the departments: their base URLs, and the public keys that they sign their answers with.
    #[arg(long)]
    departments: PathBuf,
    /// The publication. A file that is there is the one before, which gives the number, and is replaced as a whole.
    #[arg(long)]
    to: PathBuf,
}

/// Publishes, and returns a line that says what changed.
pub(crate) fn publish(arguments: &PublishArguments) -> Result<String> {
    let key = read_secret_key(&arguments.key)?;
    let before = match fs::read_to_string(&arguments.to) {
        Ok(text) => {
            let read = Publication::open(&text, &key.public());
            Some(read.with_context(|| format!("the publication before, {}", arguments.to.display()))?)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", arguments.to.display())),
    };
    let number = before.as_ref().map_or(1, |before| before.number() + 1);
    let made = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock of this machine is wrong")?;
    let made = UnixMs(u64::try_from(made.as_millis()).context("the clock of this machine is wrong")?);
    let (publication, text) = Publication::sign(number, made, read_sources(arguments)?, &key)?;
    let changes = changes(before.as_ref(), &publication)?;
    replace(&arguments.to, &text)?;
    Ok(format!("publication {number}: {changes}"))
}

fn read_sources(arguments: &PublishArguments) -> Result<PublicationSources> {
    let files = |directory: &Path| -> Result<Vec<SourceFile>> {
        let file = |path: PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok(SourceFile { name, text: read(&path)? })
        };
        toml_files(directory)?.into_iter().map(file).collect()
    };
    let beside = arguments.operations.parent().map(|parent| parent.join("licences"));
    let licences = arguments.licences.clone().or(beside.filter(|directory| directory.is_dir()));
    Ok(PublicationSources {
        services: files(&arguments.services)?,
        operations: files(&arguments.operations)?,
        licences: licences.map(|directory| files(&directory)).transpose()?.unwrap_or_default(),
        departments: read(&arguments.departments)?,
    })
}

/// What changes for residents. Kiosks take a changed document only with a higher version.
fn changes(before: Option<&Publication>, now: &Publication) -> Result<String> {
    let mut lines = Vec::new();
    let (mut unraised, mut new) = (Vec::new(), 0);
    for (document, signed) in now.documents() {
        let earlier = before.and_then(|before| before.signed_document(&document.id));
        match earlier {
            None => new += 1,
            Some((_, other)) if other.text == signed.text => {}
            Some((other, _)) if document.version <= other.version => unraised.push(document.id.as_str()),
            Some((other, _)) => {
                lines.push(format!("{} {} → {}", document.id, other.version, document.version));
            }
        }
    }
    if !unraised.is_empty() {
        bail!(
            "changed, but with the version of before: {}; increase `version`, or kiosks will not take them",
            unraised.join(", ")
        );
    }
    let withdrawn = before.map_or(0, |before| {
        before.documents().filter(|(document, _)| now.document(&document.id).is_none()).count()
    });
    let changed = if lines.is_empty() { String::new() } else { format!(" ({})", lines.join(", ")) };
    Ok(format!("{new} services new, {} changed{changed}, {withdrawn} withdrawn", lines.len()))
}

/// Replaces a file as a whole, so that a reader sees the one before or this one.
fn replace(path: &Path, text: &str) -> Result<()> {
    let mut name = OsString::from(path.as_os_str());
    name.push(".new");
    let new = PathBuf::from(name);
    let cannot = || format!("cannot write {}", path.display());
    let mut file = File::create(&new).with_context(cannot)?;
    file.write_all(text.as_bytes()).with_context(cannot)?;
    file.sync_all().with_context(cannot)?;
    fs::rename(&new, path).with_context(cannot)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A city with one service, `example`, of the draft that shows something.
    fn city() -> (tempfile::TempDir, PublishArguments) {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in ["operations", "services"] {
            fs::create_dir(at(name)).unwrap();
        }
        let document = include_str!("drafts/show.toml").replacen("\"ID\"", "\"example\"", 1);
        fs::write(at("services/example.toml"), document).unwrap();
        fs::write(at("operations/water.toml"), include_str!("drafts/operations.toml")).unwrap();
        let public = contract::SecretKey::from_bytes(&[7; 32]).unwrap().public();
        let departments = format!(
            "platform = \"CQ-PLATFORM\"\n[[department]]\nid = \"water\"\nurl = \"http://127.0.0.1:1/water\"\nkey = \"{public}\"\n"
        );
        fs::write(at("departments.toml"), departments).unwrap();
        fs::write(at("catalogue.key"), "07".repeat(32)).unwrap();
        let arguments = PublishArguments {
            key: at("catalogue.key"),
            services: at("services"),
            operations: at("operations"),
            licences: None,
            departments: at("departments.toml"),
            to: at("publication.json"),
        };
        (directory, arguments)
    }

    fn in_force(arguments: &PublishArguments) -> Publication {
        let key = read_secret_key(&arguments.key).unwrap().public();
        Publication::open(&fs::read_to_string(&arguments.to).unwrap(), &key).unwrap()
    }

    #[test]
    fn publication_has_a_higher_number_each_time() {
        let (directory, arguments) = city();
        assert_eq!(publish(&arguments).unwrap(), "publication 1: 1 services new, 0 changed, 0 withdrawn");
        let path = directory.path().join("services/example.toml");
        let text = fs::read_to_string(&path).unwrap();
        let changed = text.replacen("version = 1", "version = 2", 1);
        assert_ne!(changed, text);
        fs::write(&path, changed).unwrap();
        let said = publish(&arguments).unwrap();
        assert_eq!(said, "publication 2: 0 services new, 1 changed (example 1 → 2), 0 withdrawn");
        fs::remove_file(&path).unwrap();
        assert!(publish(&arguments).unwrap().ends_with("0 services new, 0 changed, 1 withdrawn"));
        assert_eq!((in_force(&arguments).number(), in_force(&arguments).documents().count()), (3, 0));
    }

    #[test]
    fn what_cannot_be_published_leaves_the_file_as_it_was() {
        let (directory, arguments) = city();
        publish(&arguments).unwrap();
        let before = fs::read_to_string(&arguments.to).unwrap();
        let path = directory.path().join("services/example.toml");
        let text = fs::read_to_string(&path).unwrap();
        for (changed, expected) in [
            (format!("{text}\n# another"), "with the version of before: example"),
            (text.replacen("call = ", "calls = ", 1), "example.toml: line "),
        ] {
            fs::write(&path, changed).unwrap();
            let error = format!("{:#}", publish(&arguments).unwrap_err());
            assert!(error.contains(expected), "{error}");
            assert_eq!(fs::read_to_string(&arguments.to).unwrap(), before);
        }
        fs::write(&path, &text).unwrap();
        fs::write(&arguments.departments, "platform = \"CQ-PLATFORM\"\n").unwrap();
        let error = format!("{:#}", publish(&arguments).unwrap_err());
        assert!(error.contains("department `water` is called by the service `example`"), "{error}");
        fs::write(&arguments.key, "08".repeat(32)).unwrap();
        assert!(format!("{:#}", publish(&arguments).unwrap_err()).contains("was not accepted"));
    }
}
