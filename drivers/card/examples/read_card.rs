//! Reads a social security card and prints its holder, masked.
//!
//! `cargo run -p card --example read_card` reads a card that exists only in this file.
//! `cargo run -p card --example read_card -- --reader NAME` reads the card in the first PC/SC reader whose name begins
//! with NAME. No data of the holder is printed unmasked.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Duration;

use card::{
    CardReader, CardTransport, HolderData, NoAuthority, Nonces, OldAlgorithmPolicy, ReadStep, ReaderEvent,
    SocialCard, TransportFault, read_card,
};
use encoding_rs::GB18030;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut random = [0; 24];
    getrandom::fill(&mut random)?;
    let card = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => read_card(&mut ScriptedCard, &mut NoAuthority, Nonces::from(random))?,
        ["--reader", name] => read_real_card(name, random)?,
        _ => return Err("usage: read_card [--reader NAME]".into()),
    };
    print_card(&card);
    Ok(())
}

/// Waits for a card in a real reader and reads it. A third-generation card needs an authority, which this example does
/// not have: such a card is read in part.
fn read_real_card(name: &str, random: [u8; 24]) -> Result<SocialCard, Box<dyn Error>> {
    let mut reader = CardReader::open(name)?;
    reader.set_apdu_tap(Box::new(|command, response| print_exchange(command, response.unwrap_or_default())));
    println!("insert a card");
    while !matches!(reader.wait(Duration::from_secs(1))?, ReaderEvent::Inserted) {}
    Ok(match reader.begin_reading(OldAlgorithmPolicy::Limit, random, &mut || {})? {
        ReadStep::Complete(card) => *card,
        ReadStep::NeedsAuthentication(pending) => pending.into_partial(),
    })
}

/// A second-generation card of an invented resident. The tests have more such cards, and those that fail.
struct ScriptedCard;

impl CardTransport for ScriptedCard {
    fn transmit(&mut self, command: &[u8], response: &mut Vec<u8>) -> Result<(), TransportFault> {
        let text = |text: &str, length| {
            let mut bytes = GB18030.encode(text).0.into_owned();
            bytes.resize(length, 0);
            bytes
        };
        let record = match command {
            // SELECT the application: its FCI says that the algorithm is SM4.
            [0x00, 0xA4, 0x04, ..] => Some(vec![0x6F, 0x08, 0xA5, 0x06, 0x9F, 0x0C, 0x03, 0x86, 0x01, 0x03]),
            // SELECT the issuer's file EF05, then the holder's file EF06.
            [0x00, 0xA4, 0x00, ..] => Some(Vec::new()),
            // READ RECORD by tag.
            [0x00, 0xB2, tag, ..] => match tag {
                0x01 => Some(vec![0x50, 0x01, 0x12, 0xD1, 0x56, 0, 0, 5, 0x99, 0x11, 1, 0x45, 0, 0, 0, 1]),
                0x03 => Some(text("2.00", 4)),
                0x06 => Some(vec![0x20, 0x36, 0x06, 0x01]),
                0x07 => Some(text("A12345678", 9)),
                0x08 => Some(text("11010519491231002X", 18)),
                0x09 => Some(text("欧阳雪梅", 30)),
                _ => None,
            }
            .map(|value| [&[*tag, u8::try_from(value.len()).unwrap_or(u8::MAX)], value.as_slice()].concat()),
            _ => None,
        };
        match record {
            Some(data) => response.extend([data.as_slice(), &[0x90, 0x00]].concat()),
            None => response.extend([0x6A, 0x83]),
        }
        print_exchange(command, response);
        Ok(())
    }
}

/// Prints a command, and of its response only length and status word: the rest is personal.
fn print_exchange(command: &[u8], response: &[u8]) {
    let name = match command.get(1) {
        Some(0xA4) => "SELECT",
        Some(0xB2) => "READ RECORD",
        Some(0x84) => "GET CHALLENGE",
        Some(0xC0) => "GET RESPONSE",
        Some(_) | None => "",
    };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ");
    let (data, status) = response.split_at(response.len().saturating_sub(2));
    println!("{name:13} {:59} → {:2} bytes, status {}", hex(command), data.len(), hex(status));
}

fn print_card(card: &SocialCard) {
    println!("version      {} ({:?}, {:?})", card.version.as_str(), card.algorithm, card.proof);
    println!("valid to     {}", card.valid_to.as_deref().unwrap_or("not stated"));
    match &card.holder {
        HolderData::Read(holder) => {
            println!("name         {}", mask(&holder.name, 1, 1));
            println!("ID number    {}", mask(&holder.id_number, 6, 2));
        }
        HolderData::NeedsAuthentication => println!("holder       not readable without card authentication"),
    }
}

/// The text with only its first and last characters readable.
fn mask(text: &str, first: usize, last: usize) -> String {
    let length = text.chars().count();
    let is_shown = |at| at < first || at + last >= length;
    text.chars().enumerate().map(|(at, c)| if is_shown(at) { c } else { '*' }).collect()
}
