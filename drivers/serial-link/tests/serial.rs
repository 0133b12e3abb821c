//! `SerialLink` on pseudo-terminals.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serial_link::{FlowControl, Link, LinkFault, SerialLink};
use serialport::{SerialPort, TTYPort};

const SOON: Duration = Duration::from_secs(5);
const AT_ONCE: Duration = Duration::ZERO;

fn pair_with(flow: FlowControl) -> (TTYPort, SerialLink) {
    let (peer, near) = TTYPort::pair().unwrap();
    let path = near.name().unwrap();
    drop(near);
    (peer, SerialLink::open(&path, 115_200, flow).unwrap())
}

fn pair() -> (TTYPort, SerialLink) {
    pair_with(FlowControl::None)
}

#[test]
fn bytes_pass_unchanged_both_ways() {
    for flow in [FlowControl::None, FlowControl::XonXoff] {
        let (mut peer, mut link) = pair_with(flow);
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
}

#[test]
fn xon_and_xoff_are_data_without_flow_control() {
    let (mut peer, mut link) = pair();
    peer.write_all(&[0x13, 0x11]).unwrap();
    let mut received = [0; 2];
    assert_eq!(link.read_some(&mut received[..1], SOON), Ok(1));
    assert_eq!(link.read_some(&mut received[1..], SOON), Ok(1));
    assert_eq!(received, [0x13, 0x11]);
}

#[test]
fn xoff_stops_output_until_xon() {
    let (mut peer, mut link) = pair_with(FlowControl::XonXoff);
    peer.write_all(&[0x13]).unwrap();
    // The line's discipline handles the byte in its own time.
    let until = Instant::now() + SOON;
    while link.write_some(b"x", Duration::from_millis(20)).is_ok() {
        assert!(Instant::now() < until, "XOFF does not stop the output");
    }
    peer.write_all(&[0x11]).unwrap();
    assert_eq!(link.write_some(b"x", SOON), Ok(1));
}

#[test]
fn long_writes_are_taken_in_pieces() {
    let (mut peer, mut link) = pair();
    peer.set_timeout(SOON).unwrap();
    let bytes: Vec<u8> = (0..2_000).map(|at: u32| at.to_le_bytes()[0]).collect();
    assert_eq!(link.write_all(&bytes, SOON), Ok(()));
    let mut received = vec![0; bytes.len()];
    peer.read_exact(&mut received).unwrap();
    assert_eq!(received, bytes);
}

#[test]
fn read_without_bytes_times_out() {
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

    let begun = Instant::now();
    assert_eq!(link.write_all(&bytes, Duration::from_millis(300)), Err(LinkFault::TimedOut));
    assert!(begun.elapsed() >= Duration::from_millis(300) && begun.elapsed() < SOON);
}

#[test]
fn discard_drops_waiting_output() {
    let (mut peer, mut link) = pair_with(FlowControl::XonXoff);
    let mut written = 0;
    while let Ok(count) = link.write_some(&[0x20; 256], Duration::from_millis(20)) {
        written += count;
    }
    link.discard();
    peer.set_timeout(Duration::from_millis(200)).unwrap();
    let mut kept = Vec::new();
    // Ends with the peer's timeout.
    peer.read_to_end(&mut kept).unwrap_err();
    // What the peer's end of the pseudo-terminal has taken over cannot be discarded.
    assert!(kept.len() < written, "{} of {written} bytes arrived", kept.len());
    assert_eq!(link.write_some(b"x", SOON), Ok(1));
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
    let opened = SerialLink::open("/dev/no-such-port", 9_600, FlowControl::None);
    assert_eq!(opened.err(), Some(LinkFault::Absent));
}

#[test]
fn port_in_use_is_busy_until_closed() {
    let (_peer, near) = TTYPort::pair().unwrap();
    let path = near.name().unwrap();
    drop(near);
    let open = || SerialLink::open(&path, 9_600, FlowControl::None);
    let held = open().unwrap();
    assert_eq!(held.bytes_per_second(), 960);
    assert_eq!(open().err(), Some(LinkFault::Busy));
    drop(held);
    assert!(open().is_ok());
}
