//! zxing-cpp and ZBar in a Python process: takes a frame, returns a text and the CPU time of each.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use code_reader::LumaFrame;

/// Names of the decoders, in the order of [`PeerDecoders::decode`].
pub(crate) const NAMES: [&str; 2] = ["zxing-cpp", "ZBar"];

/// Packages of PyPI; `pyzbar` also needs Debian's `libzbar0`.
const PACKAGES: [&str; 3] = ["zxing-cpp", "pyzbar", "numpy"];

/// Both with the options that read most codes: zxing-cpp tries rotation, inversion and smaller sizes by default.
const PROGRAM: &str = r#"
import sys, time
import numpy, zxingcpp
from pyzbar import pyzbar
def zxing(luma):
    return [code.text.encode() for code in zxingcpp.read_barcodes(luma, formats=zxingcpp.BarcodeFormat.QRCode)]
def zbar(luma):
    size = luma.shape[1], luma.shape[0]
    return [code.data for code in pyzbar.decode((luma.tobytes(), *size), symbols=[pyzbar.ZBarSymbol.QRCODE])]
print("ready", flush=True)
while True:
    head = sys.stdin.buffer.read(8)
    if len(head) < 8: break
    width, height = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big")
    luma = numpy.frombuffer(sys.stdin.buffer.read(width * height), dtype=numpy.uint8).reshape(height, width)
    for read in zxing, zbar:
        begun = time.thread_time()
        codes = read(luma)
        cost = (time.thread_time() - begun) * 1000
        print(cost, codes[0].hex() if codes else "", sep="\t", flush=True)
"#;

/// The result of one decoder for a frame.
pub(crate) struct PeerResult {
    pub(crate) text: Option<Vec<u8>>,
    pub(crate) milliseconds: f64,
}

pub(crate) struct PeerDecoders {
    child: Child,
    frames: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl PeerDecoders {
    /// Starts the decoders in the Python environment `environment`, which is created if it does not exist.
    pub(crate) fn start(environment: &Path) -> io::Result<Self> {
        let python = environment.join("bin/python");
        if !python.exists() {
            run(Command::new("python3").args(["-m", "venv"]).arg(environment))?;
            run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))?;
        }
        let mut child = Command::new(python)
            .args(["-c", PROGRAM])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let frames = child.stdin.take();
        let answers = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut peers = Self { child, frames, answers: BufReader::new(answers) };
        peers.line()?;
        Ok(peers)
    }

    pub(crate) fn decode(&mut self, frame: &LumaFrame) -> io::Result<[PeerResult; 2]> {
        let frames = self.frames.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        frames.write_all(&frame.width().to_be_bytes())?;
        frames.write_all(&frame.height().to_be_bytes())?;
        frames.write_all(frame.luma())?;
        frames.flush()?;
        Ok([self.found()?, self.found()?])
    }

    fn found(&mut self) -> io::Result<PeerResult> {
        let line = self.line()?;
        let found = || {
            let (cost, hex) = line.split_once('\t')?;
            let text = base16ct::mixed::decode_vec(hex).ok();
            Some(PeerResult { text: text.filter(|text| !text.is_empty()), milliseconds: cost.parse().ok()? })
        };
        found().ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Reads one line of the process; an error if it has ended.
    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(io::Error::other("the packages of PyPI or Debian's libzbar0 are missing"));
        }
        Ok(line.trim_end_matches('\n').to_owned())
    }
}

impl Drop for PeerDecoders {
    fn drop(&mut self) {
        self.frames = None;
        self.child.wait().ok();
    }
}

fn run(command: &mut Command) -> io::Result<()> {
    let status = command.stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?} failed"))) }
}
