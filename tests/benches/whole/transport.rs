//! Time that envelopes and mutual TLS add to a request.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use contract::{EnvelopeSecret, RequestBinding};
use system_tests::relay_endpoints::RelayEndpoints;
use zeroize::Zeroizing;

use crate::report;

const ENVELOPES: u8 = 200;
const CONNECTIONS: usize = 100;
/// About the size of the body of a charge, and of its response.
const BODY: [u8; 600] = [b'x'; 600];

pub(crate) fn measure(state: &Path) -> Result<()> {
    let secret = EnvelopeSecret::new(1, &[8; 32])?;
    let (keys, public) = ([secret], EnvelopeSecret::new(1, &[8; 32])?.public());
    let to = RequestBinding { method: "POST", target: "/v1/charges", device: "K-DH-0001", time: "1" };
    let (mut kiosk, mut platform) = (Vec::new(), Vec::new());
    for round in 0..ENVELOPES {
        let begin = Instant::now();
        let (sealed, answer) = public.seal(&BODY, to, &Zeroizing::new([round; 32]));
        let sealing = begin.elapsed();
        let begin = Instant::now();
        let (_, key) = EnvelopeSecret::open(&keys, &sealed, to)?;
        let answered = key.seal(200, &BODY, &[round; 11]);
        platform.push(begin.elapsed());
        let begin = Instant::now();
        answer.open(200, &answered)?;
        kiosk.push(sealing + begin.elapsed());
    }
    report("envelope of 600 bytes: kiosk seals and opens", kiosk)?;
    report("envelope of 600 bytes: platform opens and seals", platform)?;
    report("mutual TLS: a connection and its first byte back", connections(state)?)
}

fn connections(state: &Path) -> Result<Vec<std::time::Duration>> {
    let keys = [state.join("keys/district-hall")];
    let ends = Arc::new(RelayEndpoints::read(&state.join("city"), &keys, "127.0.0.1")?);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let (address, server) = (listener.local_addr()?, Arc::clone(&ends));
    std::thread::spawn(move || -> Result<()> {
        for socket in listener.incoming().take(CONNECTIONS) {
            let (mut stream, mut byte) = (server.accept_kiosk(socket?)?, [0]);
            stream.read_exact(&mut byte)?;
            stream.write_all(&byte)?;
            stream.flush()?;
        }
        Ok(())
    });
    (0..CONNECTIONS)
        .map(|_| {
            let begin = Instant::now();
            let mut stream = ends
                .connect_as_kiosk(0, TcpStream::connect(address)?)
                .context("cannot connect as the first kiosk")?;
            stream.write_all(b"x")?;
            stream.flush()?;
            stream.read_exact(&mut [0])?;
            Ok(begin.elapsed())
        })
        .collect()
}
