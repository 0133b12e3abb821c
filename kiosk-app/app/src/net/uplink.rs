//! Carries the uplink's requests, and says which answers are usable.

use std::time::Duration;

use contract::{BatchAck, ChangesAnswer};
use engine::{Exchange, Failed, UplinkAnswer, UplinkRequest};
use reqwest::Method;
use session::Failure;
use zeroize::Zeroizing;

use super::client::{Limits, Platform};
use crate::clock;

/// A batch may be large and the link thin.
const BATCH: Limits = Limits { time: Duration::from_secs(60), answer_bytes: 256 * 1024 };
/// The feed of a site: some hundred documents at a first start.
const CHANGES: Limits = Limits { time: Duration::from_secs(30), answer_bytes: 8 * 1024 * 1024 };

/// Sends one request of the uplink. A refusal or nonsense is as good as no answer: the uplink tries again.
pub(super) async fn carry(platform: &Platform, request: UplinkRequest) -> UplinkAnswer {
    let sent = clock::wall();
    let exchange = || Exchange { sent, received: clock::wall() };
    match request {
        UplinkRequest::Records(body) => {
            // Compressed records: personal data in them is masked, but the buffer is wiped all the same.
            let body = Zeroizing::new(body);
            let answer = platform.send(Method::POST, "/v1/records", body, "application/zstd", BATCH).await;
            UplinkAnswer::Records(exchange(), usable::<BatchAck>(answer))
        }
        UplinkRequest::Changes { since } => {
            let path = format!("/v1/changes?since={since}");
            let body = Zeroizing::default();
            let answer = platform.send(Method::GET, &path, body, "application/json", CHANGES).await;
            UplinkAnswer::Changes(exchange(), usable::<ChangesAnswer>(answer))
        }
    }
}

/// What is said of a request that could not even be made.
pub(super) fn unanswered(request: &UplinkRequest) -> UplinkAnswer {
    let now = clock::wall();
    let exchange = Exchange { sent: now, received: now };
    match request {
        UplinkRequest::Records(_) => UplinkAnswer::Records(exchange, Err(Failed)),
        UplinkRequest::Changes { .. } => UplinkAnswer::Changes(exchange, Err(Failed)),
    }
}

fn usable<T>(answer: Result<T, Failure>) -> Result<T, Failed> {
    answer.map_err(|failure| {
        match failure {
            // Expected whenever the link is down.
            Failure::Unreachable => tracing::debug!("the platform does not answer the uplink"),
            Failure::Problem(code) => tracing::warn!(?code, "the platform refuses the uplink"),
            Failure::Nonsense => tracing::warn!("the platform answers the uplink with nonsense"),
            Failure::Device => {}
        }
        Failed
    })
}
