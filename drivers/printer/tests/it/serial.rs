//! `SerialLink` on a pseudo-terminal.

use std::io::{Read, Write};
use std::time::Duration;

use printer::{Link, LinkFault, SerialLink};
use serialport::{SerialPort, TTYPort};

const SOON: Duration = Duration::from_secs(5);
const AT_ONCE: Duration = Duration::ZERO;

fn pair() -> (TTYPort, SerialLink) {
    let (peer, near) = TTYPort::pair().unwrap();
    let path = near.name().unwrap();
    drop(near);
    (peer, SerialLink::open(&path, 115_200).unwrap())
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

    peer.write_all(&[0x12, 0x00]).unwrap();
    let mut answer = [0; 2];
    assert_eq!(link.read_some(&mut answer[..1], SOON), Ok(1));
    assert_eq!(link.read_some(&mut answer[1..], SOON), Ok(1));
    assert_eq!(answer, [0x12, 0x00]);
}

#[test]
fn silence_times_out() {
    let (_peer, mut link) = pair();

    assert_eq!(link.read_some(&mut [0], AT_ONCE), Err(LinkFault::TimedOut));
}

#[test]
fn write_to_stalled_peer_times_out_without_blocking() {
    let (_peer, mut link) = pair();
    let bytes = [0x20; 4096];

    // More than a pseudo-terminal buffers.
    let result = (0..10_000).try_for_each(|_| link.write_some(&bytes, Duration::from_millis(20)).map(drop));

    assert_eq!(result, Err(LinkFault::TimedOut));
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
    assert_eq!(SerialLink::open("/dev/no-such-printer", 9_600).err(), Some(LinkFault::Absent));
}

#[test]
fn port_in_use_is_busy() {
    let (_peer, near) = TTYPort::pair().unwrap();
    let path = near.name().unwrap();
    drop(near);
    let _held = SerialLink::open(&path, 9_600).unwrap();

    assert_eq!(SerialLink::open(&path, 9_600).err(), Some(LinkFault::Busy));
}
