//! Time to print a receipt of thirty lines of Chinese, from the call to the last byte on a line of 115,200 baud:
//! this driver, which queries the status before, during and after, compared with python-escpos, which only sends.
//! Measured in pairs, so that a busy machine slows both.
//!
//! `cargo bench -p printer` prints medians and their ratio. The line is a pseudo-terminal; the emulated printer at
//! its other end reads at the rate of such a line and answers as a printer does.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use printer::{
    A4Document, DocumentBlock, DocumentFonts, PrintOutcome, PrintableReceipt, PrinterProfile, ReceiptBlock,
    ReceiptPrinter, render_pdf,
};
use serial_link::{FlowControl, SerialLink};
use serialport::{SerialPort, TTYPort};

#[path = "../tests/it/oracles.rs"]
#[allow(dead_code)]
mod oracles;

const PAIRS: usize = 15;
const BYTES_PER_SECOND: u32 = 11_520;
/// Bytes per read: 5 ms of the line.
const CHUNK: usize = 57;

/// Emulates a printer; the channel reports the time of each cut and the bytes received until it.
fn emulate_printer(mut port: TTYPort) -> Receiver<(Instant, usize)> {
    let (sender, cuts) = mpsc::channel();
    thread::spawn(move || {
        let (mut seen, mut count) = (Vec::new(), 0);
        let mut chunk = [0; CHUNK];
        let mut due = Instant::now();
        port.set_timeout(Duration::from_secs(600)).unwrap();
        while let Ok(taken) = port.read(&mut chunk) {
            let bytes = &chunk[..taken];
            due = due.max(Instant::now())
                + Duration::from_secs(1) * u32::try_from(taken).unwrap() / BYTES_PER_SECOND;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            for &byte in bytes {
                seen.push(byte);
                count += 1;
                let answer: &[u8] = match seen.as_slice() {
                    [.., 0x10, 0x04, 1..=4] => &[0x12],
                    [.., 0x1D, b'r', 1] => &[0x00],
                    [.., 0x10, 0x14, 8, 1, 3, 20, 1, 6, 2, 8] => &[0x37, 0x25, 0x00],
                    [.., 0x1D, b'V', 66, 0] => {
                        sender.send((Instant::now(), count)).unwrap();
                        count = 0;
                        &[]
                    }
                    _ => &[],
                };
                port.write_all(answer).unwrap();
            }
            seen.drain(..seen.len().saturating_sub(16));
        }
    });
    cuts
}

fn lines() -> Vec<String> {
    (1..=30).map(|line| format!("{line:02} 渝中区人民路水费账期2026年10月 实缴86.40元")).collect()
}

/// python-escpos on a line of the same kind: prints one receipt for each line of its standard input.
fn python(port: &str) -> (Child, ChildStdin, impl Iterator<Item = std::io::Result<String>> + use<>) {
    let text = lines().join("\\n");
    let program = format!(
        "import sys\nfrom escpos.printer import File\nprinter = File('{port}')\nprint('ready', flush=True)\n\
         for _ in sys.stdin:\n\
         \u{20}   printer._raw(b'\\x1b@\\x1c&')\n\
         \u{20}   for line in '{text}'.split('\\n'):\n\
         \u{20}       printer._raw(line.encode('gb18030') + b'\\n')\n\
         \u{20}   printer.qr('https://example.invalid/r/8F2K', native=True, size=8, ec=1, model=2)\n\
         \u{20}   printer.cut(mode='PART', feed=False)\n\
         \u{20}   printer.flush()\n"
    );
    // Installs python-escpos, if necessary.
    oracles::python("import escpos");
    let mut child = Command::new(oracles::python_program())
        .args(["-c", &program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    (child, input, BufReader::new(output).lines())
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1000.0
}

fn main() {
    let mut blocks: Vec<ReceiptBlock> = lines().into_iter().map(ReceiptBlock::Line).collect();
    blocks.push(ReceiptBlock::Qr("https://example.invalid/r/8F2K".into()));
    let receipt = PrintableReceipt { blocks, copy_mark: None };

    let (peer, near) = TTYPort::pair().unwrap();
    let link = SerialLink::open(
        &{
            let name = near.name().unwrap();
            drop(near);
            name
        },
        115_200,
        FlowControl::XonXoff,
    )
    .unwrap();
    let our_cuts = emulate_printer(peer);
    let mut printer = ReceiptPrinter::open(Box::new(link), PrinterProfile::by_name("generic-80").unwrap());

    let (peer, mut near) = TTYPort::pair().unwrap();
    near.set_exclusive(false).unwrap();
    let their_cuts = emulate_printer(peer);
    let (mut child, mut input, mut ready_lines) = python(&near.name().unwrap());
    ready_lines.next().unwrap().unwrap();

    let (mut ours, mut whole, mut theirs, mut sizes) = (Vec::new(), Vec::new(), Vec::new(), (0, 0));
    for pair in 0..=PAIRS {
        let begin = Instant::now();
        let outcome = printer.print(&receipt, &mut |_| {});
        let confirmed = begin.elapsed();
        assert!(matches!(outcome, PrintOutcome::Printed { .. }), "{outcome:?}");
        let (last, bytes) = our_cuts.recv().unwrap();
        let sent_in = last - begin;
        let begin = Instant::now();
        writeln!(input, "print").unwrap();
        let (last, their_bytes) = their_cuts.recv().unwrap();
        // The first pair warms up, and clears what an earlier process may have left in the printer.
        if pair > 0 {
            ours.push(sent_in);
            whole.push(confirmed);
            theirs.push(last - begin);
            sizes = (bytes, their_bytes);
        }
    }
    drop(input);
    child.wait().unwrap();
    let (ours, whole, theirs) = (median(ours), median(whole), median(theirs));
    println!("30 lines of Chinese and a code at 115,200 baud, call to last byte, median of {PAIRS} pairs");
    println!("  this driver    {ours:7.1} ms  {} bytes, status queries included", sizes.0);
    println!("                 {whole:7.1} ms  until the printer confirmed the receipt");
    println!("  python-escpos  {theirs:7.1} ms  {} bytes, no status queries", sizes.1);
    println!("  ratio          × {:.2}", ours / theirs);
    bench_document();
}

fn bench_document() {
    let row = |label: &str| DocumentBlock::Row {
        label: label.into(),
        value: "重庆市渝北区某某机械制造有限公司".into(),
    };
    let document = A4Document {
        title: "社会保险个人参保证明".into(),
        blocks: (1..=20).map(|_| row("参保单位")).collect(),
        code: None,
        foot: Vec::new(),
        copy_mark: None,
    };
    let begin = Instant::now();
    let fonts = DocumentFonts::load_system().unwrap();
    let read = begin.elapsed();
    let times = (0..PAIRS).map(|_| {
        let begin = Instant::now();
        render_pdf(&document, &fonts).unwrap();
        begin.elapsed()
    });
    let times = median(times.collect());
    let (bytes, _) = render_pdf(&document, &fonts).unwrap();
    println!(
        "one A4 page, 20 rows: PDF of {} bytes in {times:.1} ms, after {:.1} ms for the fonts",
        bytes.len(),
        read.as_secs_f64() * 1000.0
    );
}
