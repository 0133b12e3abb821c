//! Prints a receipt and shows what was sent to the printer, what it answered, and the outcome.
//!
//! `cargo run -p printer --example print_receipt` prints to a printer that exists only in this file.
//! `cargo run -p printer --example print_receipt -- --tty PATH` prints on the printer at a serial line of 115,200 baud.

#![allow(clippy::print_stdout)]

use std::collections::VecDeque;
use std::error::Error;
use std::time::Duration;

use encoding_rs::GB18030;
use printer::{PrintOutcome, PrintableReceipt, PrinterProfile, ReceiptBlock, ReceiptPrinter};
use serial_link::{FlowControl, Link, LinkFault, SerialLink};

const BAUD: u32 = 115_200;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let link: Box<dyn Link + Send> = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Box::new(PrinterInMemory::default()),
        ["--tty", path] => Box::new(SerialLink::open(path, BAUD, FlowControl::XonXoff)?),
        _ => return Err("usage: print_receipt [--tty PATH]".into()),
    };
    let profile = PrinterProfile::by_name("generic-80").ok_or("no such printer profile")?;
    let mut printer = ReceiptPrinter::open(link, profile);
    match printer.print(&receipt(), &mut |_progress| {}) {
        PrintOutcome::Printed { confirmation } => println!("printed, known by {confirmation:?}"),
        PrintOutcome::NotStarted(failure) => println!("nothing was printed: {failure:?}; try again"),
        PrintOutcome::Unconfirmed(failure) => println!("unknown outcome: {failure:?}; look at the paper"),
    }
    Ok(())
}

/// The content of a receipt. How a printer encodes it is decided by its profile.
fn receipt() -> PrintableReceipt {
    let pair = |label: &str, value: &str| ReceiptBlock::Pair { label: label.into(), value: value.into() };
    PrintableReceipt {
        blocks: vec![
            ReceiptBlock::Title("水费缴纳凭条".into()),
            ReceiptBlock::Rule,
            pair("户号", "10023345"),
            pair("户名", "张*三"),
            ReceiptBlock::Amount { label: "实缴".into(), value: "¥86.40".into() },
            ReceiptBlock::Qr("https://example.invalid/r/8F2K".into()),
        ],
        copy_mark: None,
    }
}

/// A link whose other end answers as a printer with paper does, and prints what passes.
#[derive(Default)]
struct PrinterInMemory {
    received: Vec<u8>,
    answers: VecDeque<u8>,
}

impl Link for PrinterInMemory {
    fn write_some(&mut self, bytes: &[u8], _timeout: Duration) -> Result<usize, LinkFault> {
        self.received.extend(bytes);
        let (meaning, answer): (_, &[u8]) = match self.received.as_slice() {
            [.., 0x10, 0x04, 1..=4] => ("DLE EOT 1 to 4: what is your status?", &[0x12]),
            [.., 0x1D, b'r', 1] => ("GS r 1: have you processed all before this?", &[0x00]),
            [.., 0x10, 0x14, 8, 1, 3, 20, 1, 6, 2, 8] => ("DLE DC4: clear your buffers", &[0x37, 0x25, 0x00]),
            [.., 0x00, 0x00, 0x00] => ("NULs: the end of a command that may have been interrupted", &[]),
            [.., 0x1B, b'@'] => ("ESC @: reset", &[]),
            [.., 0x1D, b'V', 66, _] => ("GS V: cut", &[]),
            _ => ("", &[]),
        };
        self.answers.extend(answer);
        // The status is asked in four commands, of which the first one is shown.
        if !matches!(bytes, [0x10, 0x04, 2..=4]) {
            let described = if meaning.is_empty() { text_of(bytes) } else { meaning.to_owned() };
            let answered = if answer.is_empty() { String::new() } else { format!(" → {}", hex(answer)) };
            println!("{:4} bytes  {:31} {described}{answered}", bytes.len(), hex(bytes));
        }
        Ok(bytes.len())
    }

    fn read_some(&mut self, buffer: &mut [u8], _timeout: Duration) -> Result<usize, LinkFault> {
        match (buffer.first_mut(), self.answers.pop_front()) {
            (Some(first), Some(answer)) => {
                *first = answer;
                Ok(1)
            }
            (_, _) => Err(LinkFault::TimedOut),
        }
    }

    fn bytes_per_second(&self) -> u32 {
        BAUD / 10
    }
}

/// The first bytes in hexadecimal.
fn hex(bytes: &[u8]) -> String {
    let first: Vec<String> = bytes.iter().take(10).map(|byte| format!("{byte:02X}")).collect();
    first.join(" ") + if bytes.len() > 10 { "…" } else { "" }
}

/// The text in the bytes; control characters, with which commands begin, are shown as dots.
fn text_of(bytes: &[u8]) -> String {
    GB18030.decode(bytes).0.trim_end().chars().map(|c| if c.is_control() { '·' } else { c }).collect()
}
