//! The messages that the platform exchanges with the acquirer about orders.

use contract::{KioskId, Money, PaymentMethod, Settlement, UnixMs, VoidReason};
use serde::{Deserialize, Serialize};

use super::order_ref::OrderRef;
use crate::peer_calls::PeerAnswer;

/// Charge request to the acquirer.
#[derive(Serialize)]
pub(super) struct AcquirerCharge<'a> {
    pub(super) order: &'a str,
    pub(super) total: Money,
    pub(super) account: String,
    pub(super) method: PaymentMethod,
    pub(super) bills: Vec<&'a str>,
    /// The amount of each bill. With it, a platform that lost the order can enter it again.
    pub(super) amounts: Vec<Money>,
    /// The kiosk; kept for the same reason.
    pub(super) terminal: KioskId,
}

/// The acquirer knows accounts by a reference without personal data.
pub(super) fn account_of(resident: i64) -> String {
    format!("resident-{resident}")
}

/// The acquirer's answer to a charge or inquiry. An inquiry's answer also has the content of the order, so that a platform
/// that lost the order can enter it again.
#[derive(Deserialize)]
pub(crate) struct AcquirerAnswer {
    pub(super) order: String,
    /// Total in fen.
    pub(super) total: i64,
    #[serde(default)]
    account: String,
    #[serde(default)]
    terminal: String,
    #[serde(default)]
    pub(super) bills: Vec<String>,
    /// Amounts in fen, one for each bill, or empty.
    #[serde(default)]
    pub(super) amounts: Vec<i64>,
    #[serde(flatten)]
    outcome: AcquirerOutcome,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
enum AcquirerOutcome {
    Paid { reference: String, at: UnixMs },
    Declined,
    Void,
}

impl AcquirerAnswer {
    /// Reads the answer about an order; `None` if it is invalid, which leaves the outcome unknown.
    pub(super) fn parse(order: &OrderRef, answer: &PeerAnswer) -> Option<Self> {
        let parsed: Self = Some(&answer.body)
            .filter(|_| answer.status == 200)
            .and_then(|body| serde_json::from_slice(body).ok())?;
        (parsed.order == order.0).then_some(parsed)
    }

    /// The outcome as kiosks are given it.
    pub(super) fn settlement(&self) -> Settlement {
        match &self.outcome {
            AcquirerOutcome::Paid { reference, at } => {
                Settlement::Paid { reference: reference.clone(), at: *at }
            }
            AcquirerOutcome::Declined => Settlement::Void { reason: VoidReason::Declined },
            AcquirerOutcome::Void => Settlement::Void { reason: VoidReason::Fenced },
        }
    }

    /// The resident whose account it is; `None` when the reference is not one of this platform.
    pub(super) fn resident(&self) -> Option<i64> {
        self.account.strip_prefix("resident-")?.parse().ok()
    }

    /// The kiosk that made the order; `None` when an earlier version of the platform did not name it.
    pub(super) fn kiosk(&self) -> Option<KioskId> {
        self.terminal.parse().ok()
    }
}
