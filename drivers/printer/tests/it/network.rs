//! `TcpLink` on loopback.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use printer::TcpLink;
use serial_link::{Link, LinkFault};

const SOON: Duration = Duration::from_secs(5);

fn pair() -> (TcpStream, TcpLink) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let link = TcpLink::connect(&listener.local_addr().unwrap().to_string()).unwrap();
    (listener.accept().unwrap().0, link)
}

/// Writes until no byte is accepted any more.
fn fill(link: &mut TcpLink) -> LinkFault {
    (0..100_000).find_map(|_| link.write_some(&[0x20; 1024], Duration::from_millis(20)).err()).unwrap()
}

#[test]
fn bytes_pass_unchanged_both_ways() {
    let (mut peer, mut link) = pair();

    assert_eq!(link.write_some(&[0x10, 0x04, 0x01], SOON), Ok(3));
    let mut received = [0; 3];
    peer.read_exact(&mut received).unwrap();
    assert_eq!(received, [0x10, 0x04, 0x01]);

    peer.write_all(&[0x12]).unwrap();
    let mut answer = [0; 4];
    assert_eq!(link.read_some(&mut answer, SOON), Ok(1));
    assert_eq!(answer[0], 0x12);
}

#[test]
fn silence_and_full_buffer_time_out() {
    let (_peer, mut link) = pair();

    assert_eq!(link.read_some(&mut [0], Duration::ZERO), Err(LinkFault::TimedOut));
    assert_eq!(fill(&mut link), LinkFault::TimedOut);
}

#[test]
fn discard_resets_connection_and_drops_unsent_bytes() {
    let (mut peer, mut link) = pair();
    fill(&mut link);

    link.discard();

    // Bytes that had arrived are readable; the others are discarded.
    let mut all = Vec::new();
    assert_eq!(peer.read_to_end(&mut all).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(link.write_some(b"x", SOON), Err(LinkFault::Gone));
    assert_eq!(link.read_some(&mut [0], SOON), Err(LinkFault::Gone));
}

#[test]
fn printer_closing_connection_is_gone() {
    let (peer, mut link) = pair();
    drop(peer);

    assert_eq!(link.read_some(&mut [0], SOON), Err(LinkFault::Gone));
}

#[test]
fn refused_connection_is_busy_unknown_host_is_absent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);

    assert_eq!(TcpLink::connect(&address).err(), Some(LinkFault::Busy));
    assert_eq!(TcpLink::connect("nowhere").err(), Some(LinkFault::Absent));
}
