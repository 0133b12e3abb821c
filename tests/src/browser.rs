//! The phone's page in a real Chromium, driven by `playwright-core`: what is on its screen is what a kiosk's camera is
//! shown.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

/// From npm, by name and version.
const PACKAGE: &str = "playwright-core@1.65.1";

/// Puts the browser's driver under the target directory, where it is not there yet. Needs the network.
///
/// # Errors
/// When npm fails.
pub fn install(target: &Path) -> Result<()> {
    let (place, mark) = (place(target), place(target).join("installed"));
    fs::create_dir_all(&place)?;
    // The platform's tests put it there, too.
    let lock = File::create(place.join("lock"))?;
    lock.lock()?;
    if fs::read_to_string(&mark).ok().as_deref() == Some(PACKAGE) {
        return Ok(());
    }
    eprintln!("installing {PACKAGE} from npm under target/");
    let output = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", ".", PACKAGE])
        .current_dir(&place)
        .output()
        .context("npm cannot be started")?;
    if !output.status.success() {
        bail!("npm cannot install {PACKAGE}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(fs::write(mark, PACKAGE)?)
}

fn place(target: &Path) -> PathBuf {
    target.join("tmp/playwright")
}

/// One phone, or whoever has its browser open.
pub struct Browser {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Browser {
    /// Starts a browser that has never been used.
    ///
    /// # Errors
    /// When node cannot be started.
    pub fn start(repository: &Path) -> Result<Self> {
        let packages = place(&repository.join("target")).join("node_modules");
        let mut child = Command::new("node")
            .arg(repository.join("tests/src/browser.js"))
            .env("NODE_PATH", packages)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("node cannot be started")?;
        let said = BufReader::new(child.stdout.take().context("what the browser says")?);
        Ok(Self { child, said })
    }

    /// Binds the phone: its owner is seen by the trusted identity service, and comes back with a code.
    ///
    /// # Errors
    /// When the page does not come to show a code.
    pub fn bind(&mut self, page: &str, name: &str, id_number: &str) -> Result<()> {
        self.does(&json!(["open", page]))?;
        self.tap("#bind")?;
        self.fill("#name", name)?;
        self.fill("#number", id_number)?;
        self.tap("#go")?;
        self.see_code()
    }

    /// Opens an address, as a phone does that scanned it.
    ///
    /// # Errors
    /// When the page cannot be loaded.
    pub fn open(&mut self, address: &str) -> Result<()> {
        self.does(&json!(["open", address]))
    }

    /// Waits until the phone's code is drawn.
    ///
    /// # Errors
    /// When it is not.
    pub fn see_code(&mut self) -> Result<()> {
        self.see("main[data-state=code] #left:not(:empty)")
    }

    /// Waits for what this selector names.
    ///
    /// # Errors
    /// When it does not come.
    pub fn see(&mut self, what: &str) -> Result<()> {
        self.does(&json!(["see", what]))
    }

    /// Touches what this selector names.
    ///
    /// # Errors
    /// When it cannot be touched.
    pub fn tap(&mut self, what: &str) -> Result<()> {
        self.does(&json!(["tap", what]))
    }

    /// Writes into a field.
    ///
    /// # Errors
    /// When there is none.
    pub fn fill(&mut self, what: &str, text: &str) -> Result<()> {
        self.does(&json!(["fill", what, text]))
    }

    /// What is on the phone's screen now, as PNG.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn picture(&mut self) -> Result<Vec<u8>> {
        let file = tempfile::Builder::new().suffix(".png").tempfile()?;
        self.does(&json!(["picture", file.path()]))?;
        Ok(fs::read(file.path())?)
    }

    fn does(&mut self, what: &Value) -> Result<()> {
        let input = self.child.stdin.as_mut().context("the browser's input")?;
        writeln!(input, "{what}").context("the browser is gone")?;
        let mut said = String::new();
        self.said.read_line(&mut said)?;
        let verb = what.get(0).and_then(Value::as_str).unwrap_or_default();
        if said.trim_end() == "done" {
            Ok(())
        } else {
            bail!("the phone does not {verb}: {}", said.trim_end())
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The script ends the browser when its input ends.
        drop(self.child.stdin.take());
        self.child.wait().ok();
    }
}
