//! `UsbLink` on a pseudo-terminal instead of a USB printer. A pseudo-terminal shares `O_NONBLOCK`, `poll` and
//! hang-up with `usblp`, but neither packets nor the behaviour of a printer that is offline.

use std::io::{Read, Write};
use std::time::Duration;

use printer::UsbLink;
use serial_link::{Link, LinkFault};
use serialport::{SerialPort, TTYPort};

const SOON: Duration = Duration::from_secs(5);

fn pair() -> (TTYPort, UsbLink) {
    let (peer, mut near) = TTYPort::pair().unwrap();
    // Opening the tty through `serialport` switches it to raw mode, which stays set.
    near.set_exclusive(false).unwrap();
    let link = UsbLink::open(&near.name().unwrap()).unwrap();
    drop(near);
    (peer, link)
}

#[test]
fn bytes_pass_unchanged_both_ways() {
    let (mut peer, mut link) = pair();
    peer.set_timeout(SOON).unwrap();
    let every_byte: Vec<u8> = (0..=255).collect();

    assert_eq!(link.write_some(&every_byte, SOON), Ok(256));
    let mut received = vec![0; 256];
    peer.read_exact(&mut received).unwrap();
    assert_eq!(received, every_byte);

    peer.write_all(&[0x12]).unwrap();
    let mut answer = [0; 4];
    assert_eq!(link.read_some(&mut answer, SOON), Ok(1));
    assert_eq!(answer[0], 0x12);
}

#[test]
fn silence_and_stalled_printer_time_out() {
    let (_peer, mut link) = pair();

    assert_eq!(link.read_some(&mut [0], Duration::ZERO), Err(LinkFault::TimedOut));
    let full = (0..10_000).find_map(|_| link.write_some(&[0x20; 4096], Duration::from_millis(20)).err());
    assert_eq!(full, Some(LinkFault::TimedOut));
}

#[test]
fn unplugged_port_is_gone() {
    let (peer, mut link) = pair();
    drop(peer);

    assert_eq!(link.read_some(&mut [0], SOON), Err(LinkFault::Gone));
    assert_eq!(link.write_some(b"x", SOON), Err(LinkFault::Gone));
}

#[test]
fn missing_port_is_absent() {
    assert_eq!(UsbLink::open("/dev/usb/no-such-printer").err(), Some(LinkFault::Absent));
}
