//! The files that the rig's city publishes: copies of the repository's, which a test or a person at the bench may change, and
//! publish again while kiosks and platform run.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::repository::repository;

/// Directories of the repository's assets that a city has copies of.
const COPIED: [&str; 4] = ["services", "operations", "licences", "departments"];

/// Directory of the departments' data below the city's: it is theirs, and has residents' data.
pub(crate) const DEPARTMENT_DATA: &str = "departments.data";

/// The city's own files, below its state directory.
#[derive(Clone)]
pub struct CityFiles {
    city: PathBuf,
    programs: PathBuf,
}

impl CityFiles {
    /// Copies the repository's services, operations, licence kinds and departments' data.
    pub(crate) fn copy(city: &Path, programs: &Path) -> Result<Self> {
        let files = Self { city: city.to_owned(), programs: programs.to_owned() };
        for name in COPIED {
            let own = files.directory(name);
            fs::create_dir_all(&own)?;
            for file in fs::read_dir(repository().join("assets").join(name))? {
                let path = file?.path();
                fs::copy(&path, own.join(path.file_name().context("an asset without a name")?))?;
            }
        }
        Ok(files)
    }

    fn directory(&self, name: &str) -> PathBuf {
        if name == "departments" {
            self.city.join(DEPARTMENT_DATA)
        } else {
            self.city.join("files").join(name)
        }
    }

    /// Directory of the service documents.
    #[must_use]
    pub fn services(&self) -> PathBuf {
        self.directory("services")
    }

    /// Directory of the operations.
    #[must_use]
    pub fn operations(&self) -> PathBuf {
        self.directory("operations")
    }

    /// Directory of the licence kinds.
    #[must_use]
    pub fn licences(&self) -> PathBuf {
        self.directory("licences")
    }

    /// Directory of the departments' data.
    #[must_use]
    pub fn departments(&self) -> PathBuf {
        self.directory("departments")
    }

    /// The departments' addresses and keys.
    fn department_list(&self) -> PathBuf {
        self.city.join("departments.toml")
    }

    /// Writes the list of departments, each with the public key that its program has written; `platform`: the name under which
    /// the platform signs, `at`: where the departments listen.
    pub(crate) fn write_department_list(&self, platform: &str, at: SocketAddr) -> Result<()> {
        let mut text = format!("platform = \"{platform}\"\n");
        for file in fs::read_dir(self.city.join("departments"))? {
            let path = file?.path();
            let Some(id) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
            if path.extension().is_some_and(|extension| extension == "pub") {
                let key = fs::read_to_string(&path)?;
                let key = key.trim();
                text.push_str(&format!(
                    "\n[[department]]\nid = \"{id}\"\nurl = \"http://{at}/{id}\"\nkey = \"{key}\"\nsealing = \"{key}\"\n"
                ));
            }
        }
        Ok(fs::write(self.department_list(), text)?)
    }

    /// The publication.
    #[must_use]
    pub fn publication(&self) -> PathBuf {
        self.city.join("publication.json")
    }

    /// Publishes the files as they are now. Returns what the program says.
    ///
    /// # Errors
    /// When the program refuses them.
    pub fn publish(&self) -> Result<String> {
        let mut command = Command::new(self.programs.join("provision"));
        command.args(["service", "publish", "--key"]).arg(self.city.join("catalogue.key"));
        command.arg("--services").arg(self.services()).arg("--operations").arg(self.operations());
        command.arg("--departments").arg(self.department_list()).arg("--to").arg(self.publication());
        let output = command.output()?;
        if !output.status.success() {
            bail!("provision service publish: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}
