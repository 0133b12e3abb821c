//! The line to a printer of USB's printer class. There is no such printer here: a pseudo-terminal takes its place, which
//! shares `O_NONBLOCK`, `poll` and hanging up with it, and neither its packets nor its answers to being off line.

use std::io::{Read, Write};
use std::time::Duration;

use printer::{Link, LinkFault, UsbLink};
use serialport::{SerialPort, TTYPort};

const SOON: Duration = Duration::from_secs(5);

fn pair() -> (TTYPort, UsbLink) {
    let (far, mut near) = TTYPort::pair().unwrap();
    // What a tty would do with the bytes is switched off by the first that opens it, and stays so.
    near.set_exclusive(false).unwrap();
    let link = UsbLink::open(&near.name().unwrap()).unwrap();
    drop(near);
    (far, link)
}

#[test]
fn bytes_pass_unchanged_both_ways() {
    let (mut far, mut link) = pair();
    far.set_timeout(SOON).unwrap();
    let every_byte: Vec<u8> = (0..=255).collect();

    assert_eq!(link.write_some(&every_byte, SOON), Ok(256));
    let mut received = vec![0; 256];
    far.read_exact(&mut received).unwrap();
    assert_eq!(received, every_byte);

    far.write_all(&[0x12]).unwrap();
    let mut answer = [0; 4];
    assert_eq!(link.read_some(&mut answer, SOON), Ok(1));
    assert_eq!(answer[0], 0x12);
}

#[test]
fn silence_and_stalled_printer_time_out() {
    let (_far, mut link) = pair();

    assert_eq!(link.read_some(&mut [0], Duration::ZERO), Err(LinkFault::TimedOut));
    let full = (0..10_000).find_map(|_| link.write_some(&[0x20; 4096], Duration::from_millis(20)).err());
    assert_eq!(full, Some(LinkFault::TimedOut));
}

#[test]
fn unplugged_port_is_gone() {
    let (far, mut link) = pair();
    drop(far);

    assert_eq!(link.read_some(&mut [0], SOON), Err(LinkFault::Gone));
    assert_eq!(link.write_some(b"x", SOON), Err(LinkFault::Gone));
}

#[test]
fn missing_port_is_absent() {
    assert_eq!(UsbLink::open("/dev/usb/no-such-printer").err(), Some(LinkFault::Absent));
}
