//! What a bench asks of the rig around it: readers, power, links, ledgers, and the missions that need files or programs
//! which the bench cannot reach. JSON lines over a UNIX socket: each request is one line, and so is its answer.
//!
//! The rig serves the socket (`tests/src/rig_control.rs`); a bench without one has devices, but no rig.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The slowest request starts the platform anew, for which the rig waits up to 30 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A request to the rig.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RigRequest {
    /// The state of power, readers and links, and the texts on the screen.
    Status,
    /// Disconnects the card readers, or connects them again.
    Readers {
        /// Whether they are connected afterwards.
        connected: bool,
    },
    /// Kills the kiosk program as a power loss would, and starts it again two seconds later.
    CutPower,
    /// Cuts the power at the next charge: after the acquirer has charged, before the kiosk knows.
    CutPowerAtCharge,
    /// Cuts a link, or restores it.
    Link {
        /// The link.
        link: RigLink,
        /// Whether it is cut afterwards.
        cut: bool,
    },
    /// The orders of the kiosk's log, the platform and the acquirer, side by side.
    Ledgers,
    /// The records of the kiosk's log, as the platform holds them.
    Log,
    /// Changes one byte of a copy of the log and runs the verifier on the log and on the copy.
    AlterLog {
        /// Index of the record's epoch in the export.
        epoch: usize,
        /// Index of the record in the epoch.
        record: usize,
        /// Index of the byte in the record's body.
        byte: usize,
    },
    /// The services with their titles.
    Services,
    /// Changes the title of a service and publishes it.
    ChangeTitle {
        /// Id of the service.
        service: String,
        /// Chinese title.
        zh: String,
        /// English title.
        en: String,
    },
}

/// A link that the rig can cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RigLink {
    /// Between the kiosks and the platform.
    Platform,
    /// Between the platform and the acquirer.
    Acquirer,
}

/// The answer to a request: one line of JSON, `{"ok": …}` or `{"error": "…"}`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RigAnswer {
    /// The request was carried out. The value depends on the request.
    Ok(Value),
    /// It was not, for this reason.
    Error(String),
}

/// Why a request has no result.
#[derive(Debug, thiserror::Error)]
pub enum RigError {
    /// The rig cannot be reached.
    #[error("cannot reach the rig: it is starting, or has ended")]
    Socket(#[from] io::Error),
    /// The answer is not a line of the protocol.
    #[error("the rig sent an answer that is not understood")]
    Answer(#[from] serde_json::Error),
    /// The rig refused the request or failed to carry it out.
    #[error("{0}")]
    Refused(String),
}

/// Client of the rig. Each request opens a connection of its own.
#[derive(Clone, Debug)]
pub struct RigClient {
    socket: PathBuf,
}

impl RigClient {
    /// A client of the rig that serves this UNIX socket. Nothing is connected yet.
    #[must_use]
    pub const fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Sends a request and waits up to 60 s for its answer. Blocks.
    ///
    /// # Errors
    /// When the rig does not answer, or refuses.
    pub fn request(&self, request: &RigRequest) -> Result<Value, RigError> {
        let mut rig = UnixStream::connect(&self.socket)?;
        rig.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        let mut line = serde_json::to_string(request)?;
        line.push('\n');
        rig.write_all(line.as_bytes())?;
        let mut answer = String::new();
        BufReader::new(rig).read_line(&mut answer)?;
        match serde_json::from_str(&answer)? {
            RigAnswer::Ok(value) => Ok(value),
            RigAnswer::Error(reason) => Err(RigError::Refused(reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::os::unix::net::UnixListener;

    #[test]
    fn requests_have_stable_json() {
        let cases = [
            (RigRequest::Status, json!({ "do": "status" })),
            (RigRequest::Readers { connected: false }, json!({ "do": "readers", "connected": false })),
            (RigRequest::CutPowerAtCharge, json!({ "do": "cut-power-at-charge" })),
            (
                RigRequest::Link { link: RigLink::Acquirer, cut: true },
                json!({ "do": "link", "link": "acquirer", "cut": true }),
            ),
        ];
        for (request, expected) in cases {
            assert_eq!(serde_json::to_value(&request).unwrap(), expected);
            assert_eq!(serde_json::from_value::<RigRequest>(expected).unwrap(), request);
        }
        let unknown = json!({ "do": "link", "link": "acquirer", "cut": true, "more": 1 });
        assert!(serde_json::from_value::<RigRequest>(unknown).is_err());
    }

    fn answer_of_rig(line: &'static str) -> Result<Value, RigError> {
        let place = tempfile::tempdir().unwrap();
        let socket = place.path().join("rig");
        let listener = UnixListener::bind(&socket).unwrap();
        let rig = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut request = String::new();
            BufReader::new(&stream).read_line(&mut request).unwrap();
            (&stream).write_all(line.as_bytes()).unwrap();
            request
        });
        let answer = RigClient::new(socket).request(&RigRequest::Status);
        assert_eq!(rig.join().unwrap(), "{\"do\":\"status\"}\n");
        answer
    }

    #[test]
    fn answer_is_value_refusal_or_error() {
        assert_eq!(answer_of_rig("{\"ok\":{\"x\":1}}\n").unwrap(), json!({ "x": 1 }));
        assert!(matches!(answer_of_rig("{\"error\":\"no\"}\n"), Err(RigError::Refused(why)) if why == "no"));
        assert!(matches!(answer_of_rig("nonsense\n"), Err(RigError::Answer(_))));
        assert!(matches!(answer_of_rig(""), Err(RigError::Answer(_))));
        let nobody = RigClient::new("/nonexistent/rig".into());
        assert!(matches!(nobody.request(&RigRequest::Status), Err(RigError::Socket(_))));
    }
}
