//! The phone's page in a real Chromium, driven by `playwright-core`. Its screenshots are shown to the kiosk's camera.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::repository::repository;
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

/// npm package and version: the last one that runs on Node.js 18, which Debian 12 has.
const PLAYWRIGHT_PACKAGE: &str = "playwright-core@1.60.0";

/// Installs `playwright-core` under the target directory unless it is installed. Needs the network.
///
/// # Errors
/// When npm fails.
pub fn install_playwright(target: &Path) -> Result<()> {
    let (place, mark) = (install_directory(target), install_directory(target).join("installed"));
    fs::create_dir_all(&place)?;
    // The platform's tests install it in the same directory.
    let lock = File::create(place.join("lock"))?;
    lock.lock()?;
    if fs::read_to_string(&mark).ok().as_deref() == Some(PLAYWRIGHT_PACKAGE) {
        return Ok(());
    }
    eprintln!("installing {PLAYWRIGHT_PACKAGE} from npm under target/");
    let output = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", ".", PLAYWRIGHT_PACKAGE])
        .current_dir(&place)
        .output()
        .context("cannot start npm: install npm")?;
    if !output.status.success() {
        bail!("npm failed to install {PLAYWRIGHT_PACKAGE}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(fs::write(mark, PLAYWRIGHT_PACKAGE)?)
}

fn install_directory(target: &Path) -> PathBuf {
    target.join("tmp/playwright")
}

/// A phone's browser.
pub struct PhoneBrowser {
    child: Child,
    replies: BufReader<ChildStdout>,
}

impl PhoneBrowser {
    /// Starts a browser with an empty profile.
    ///
    /// # Errors
    /// When node cannot be started.
    pub fn start() -> Result<Self> {
        let packages = install_directory(&repository().join("target")).join("node_modules");
        let mut child = Command::new("node")
            .arg(repository().join("tests/src/browser.js"))
            .env("NODE_PATH", packages)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start node: install nodejs")?;
        let said =
            BufReader::new(child.stdout.take().context("standard output of the browser is not piped")?);
        Ok(Self { child, replies: said })
    }

    /// Binds the phone: identifies the owner at the trusted identity service, then waits for a code.
    ///
    /// # Errors
    /// When the page shows no code in time.
    pub fn bind_phone(&mut self, page: &str, name: &str, id_number: &str) -> Result<()> {
        self.run_command(&json!(["open", page]))?;
        self.tap("#bind")?;
        self.fill("#name", name)?;
        self.fill("#number", id_number)?;
        self.tap("#go")?;
        self.wait_for_code()
    }

    /// Opens an address, as a phone does after scanning it.
    ///
    /// # Errors
    /// When the page cannot be loaded.
    pub fn open(&mut self, address: &str) -> Result<()> {
        self.run_command(&json!(["open", address]))
    }

    /// Waits until the page has drawn the phone's code.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn wait_for_code(&mut self) -> Result<()> {
        self.wait_for("main[data-state=code] #left:not(:empty)")
    }

    /// Waits for the element of this CSS selector.
    ///
    /// # Errors
    /// When it does not appear in time.
    pub fn wait_for(&mut self, what: &str) -> Result<()> {
        self.run_command(&json!(["see", what]))
    }

    /// Taps the element of this CSS selector.
    ///
    /// # Errors
    /// When it cannot be tapped.
    pub fn tap(&mut self, what: &str) -> Result<()> {
        self.run_command(&json!(["tap", what]))
    }

    /// Fills the input field of this CSS selector.
    ///
    /// # Errors
    /// When there is no such field.
    pub fn fill(&mut self, what: &str, text: &str) -> Result<()> {
        self.run_command(&json!(["fill", what, text]))
    }

    /// A screenshot of the page, as PNG.
    ///
    /// # Errors
    /// When the browser has ended.
    pub fn screenshot(&mut self) -> Result<Vec<u8>> {
        let file = tempfile::Builder::new().suffix(".png").tempfile()?;
        self.run_command(&json!(["picture", file.path()]))?;
        Ok(fs::read(file.path())?)
    }

    fn run_command(&mut self, what: &Value) -> Result<()> {
        let input = self.child.stdin.as_mut().context("standard input of the browser is not piped")?;
        writeln!(input, "{what}").context("the browser has ended")?;
        let mut said = String::new();
        self.replies.read_line(&mut said)?;
        let verb = what.get(0).and_then(Value::as_str).unwrap_or_default();
        if said.trim_end() == "done" {
            Ok(())
        } else {
            bail!("browser command `{verb}` failed: {}", said.trim_end())
        }
    }
}

impl Drop for PhoneBrowser {
    fn drop(&mut self) {
        // The script ends the browser when its input ends.
        drop(self.child.stdin.take());
        self.child.wait().ok();
    }
}
