//! Service documents: a first draft, a check of documents and of the operations that they call, and their publication.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Subcommand, ValueEnum};
use contract::{Operations, ServiceDocument};

use crate::publish::{PublishArguments, publish};

/// What is done with service documents.
#[derive(Subcommand)]
pub(crate) enum ServiceCommand {
    /// Writes the draft of a service document, with comments that say what to change.
    New {
        /// What the service does.
        #[arg(long, value_enum)]
        kind: DraftKind,
        /// The file, which must not exist. Its name without `.toml` becomes the id of the service.
        file: PathBuf,
    },
    /// Checks service documents with the rules of the platform and the kiosk. Says for each mistake file, line, column and
    /// what is allowed.
    Check {
        /// Directory of the operations: one file (`*.toml`) for each department.
        #[arg(long)]
        operations: PathBuf,
        /// Service documents, or directories of them.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Signs services, operations, licence kinds and departments together. The platform takes the file into force while it
    /// runs, and the kiosks get the services from it.
    Publish(PublishArguments),
}

/// What a service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DraftKind {
    /// Shows data of the resident, and prints it.
    Show,
    /// Lists bills and pays them.
    Pay,
    /// Scans the code of a paper bill, and pays it.
    Scan,
    /// Asks questions and hands the answers in to a department.
    Submit,
    /// Gives a number in a queue, or an appointment.
    Ticket,
}

impl DraftKind {
    const fn draft(self) -> &'static str {
        match self {
            Self::Show => include_str!("drafts/show.toml"),
            Self::Pay => include_str!("drafts/pay.toml"),
            Self::Scan => include_str!("drafts/scan.toml"),
            Self::Submit => include_str!("drafts/submit.toml"),
            Self::Ticket => include_str!("drafts/ticket.toml"),
        }
    }
}

/// Runs a command.
pub(crate) fn run(command: ServiceCommand) -> Result<()> {
    match command {
        ServiceCommand::New { kind, file } => write_draft(kind, &file),
        ServiceCommand::Check { operations, files } => {
            let mistakes = check(&operations, &files)?;
            if !mistakes.is_empty() {
                bail!("{}", mistakes.join("\n"));
            }
            Ok(())
        }
        ServiceCommand::Publish(arguments) => {
            writeln!(std::io::stdout(), "{}", publish(&arguments)?)?;
            Ok(())
        }
    }
}

fn write_draft(kind: DraftKind, file: &Path) -> Result<()> {
    let id = file.file_stem().and_then(|stem| stem.to_str()).context("the file needs a name in UTF-8")?;
    let text = kind.draft().replacen("id = \"ID\"", &format!("id = \"{id}\""), 1);
    ServiceDocument::parse(&text).with_context(|| format!("`{id}` cannot be the id of a service"))?;
    let created = OpenOptions::new().write(true).create_new(true).open(file);
    let mut created = created.with_context(|| format!("cannot create {}", file.display()))?;
    created.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", file.display()))
}

/// The mistakes in these documents and in the operations, one line each.
fn check(operations: &Path, files: &[PathBuf]) -> Result<Vec<String>> {
    let (all, mut mistakes) = read_operations(operations)?;
    // Each call of a document would be wrong, too.
    let are_operations_right = mistakes.is_empty();
    let mut ids: Vec<(String, PathBuf)> = Vec::new();
    for path in documents(files)? {
        let text = read(&path)?;
        let checked = ServiceDocument::parse(&text).and_then(|document| {
            if are_operations_right {
                document.check_calls(&text, &all)?;
            }
            Ok(document)
        });
        match checked {
            Ok(document) => match ids.iter().find(|(id, _)| *id == document.id) {
                Some((id, other)) => {
                    mistakes.push(format!(
                        "{}: service `{id}` is in {}, too",
                        path.display(),
                        other.display()
                    ));
                }
                None => ids.push((document.id, path)),
            },
            Err(error) => mistakes.push(format!("{}: {error}", path.display())),
        }
    }
    Ok(mistakes)
}

/// The operations in all files of a directory, and the mistakes in them.
pub(crate) fn read_operations(directory: &Path) -> Result<(Operations, Vec<String>)> {
    let mut mistakes = Vec::new();
    let mut all = Operations::default();
    for path in toml_files(directory)? {
        match Operations::parse(&read(&path)?) {
            Ok(one) => {
                if let Err(problem) = all.add(one) {
                    mistakes.push(format!("{}: {problem}", path.display()));
                }
            }
            Err(error) => mistakes.push(format!("{}: {error}", path.display())),
        }
    }
    Ok((all, mistakes))
}

/// The documents: files as given, and those of directories.
fn documents(files: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for file in files {
        if file.is_dir() {
            all.extend(toml_files(file)?);
        } else {
            all.push(file.clone());
        }
    }
    Ok(all)
}

pub(crate) fn toml_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = || format!("cannot read the directory {}", directory.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with operations that fit all drafts.
    fn city() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("operations")).unwrap();
        fs::create_dir(directory.path().join("services")).unwrap();
        fs::write(directory.path().join("operations/water.toml"), include_str!("drafts/operations.toml"))
            .unwrap();
        directory
    }

    fn mistakes(city: &tempfile::TempDir) -> Vec<String> {
        check(&city.path().join("operations"), &[city.path().join("services")]).unwrap()
    }

    #[test]
    fn every_draft_is_a_valid_document() {
        let city = city();
        for kind in DraftKind::value_variants() {
            let name = kind.to_possible_value().unwrap().get_name().to_owned();
            write_draft(*kind, &city.path().join(format!("services/example.{name}.toml"))).unwrap();
        }
        assert_eq!(mistakes(&city), Vec::<String>::new());
    }

    #[test]
    fn draft_never_replaces_a_file_and_needs_a_valid_id() {
        let city = city();
        let file = city.path().join("services/a.toml");
        write_draft(DraftKind::Pay, &file).unwrap();
        assert!(write_draft(DraftKind::Pay, &file).is_err());
        assert!(write_draft(DraftKind::Pay, &city.path().join("Water Bill.toml")).is_err());
        assert!(!city.path().join("Water Bill.toml").exists());
    }

    #[test]
    fn every_mistake_is_reported_with_file_and_place() {
        let city = city();
        for name in ["a", "b", "c"] {
            write_draft(DraftKind::Pay, &city.path().join(format!("services/{name}.toml"))).unwrap();
        }
        let change = |name: &str, from: &str, to: &str| {
            let path = city.path().join(format!("services/{name}.toml"));
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(from), "{from}");
            fs::write(&path, text.replacen(from, to, 1)).unwrap();
        };
        change("a", "call = \"water.bills\"", "call = \"gas.bills\"");
        change("b", "id = \"b\"", "id = \"c\"");
        change("c", "max = ", "most = ");

        let found = mistakes(&city);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].contains("a.toml: line ") && found[0].contains("there is no operation `gas.bills`"),
            "{found:?}"
        );
        assert!(found[1].contains("c.toml: line ") && found[1].contains("unknown field `most`"), "{found:?}");
        change("c", "most = ", "max = ");
        assert!(mistakes(&city).iter().any(|line| line.contains("service `c` is in ")));
    }
}
