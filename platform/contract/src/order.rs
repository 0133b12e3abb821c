//! Orders: what is to be paid and how, the requests about it, and its outcome.

use serde::{Deserialize, Serialize};

use crate::api::VisitKey;
use crate::id::{OrderId, VisitId};
use crate::money::Money;
use crate::problem::ProblemCode;
use crate::time::UnixMs;

/// How a resident pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PaymentMethod {
    /// The bank account bound to the card.
    CardAccount,
    /// The account bound to the resident code.
    ResidentCode,
}

/// One bill of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderItem {
    /// The platform's key of the bill.
    pub key: String,
    /// Name of the bill, as shown to the resident.
    pub label: String,
    /// The payee.
    pub payee: String,
    /// The amount of the bill.
    pub amount: Money,
}

/// 结算: the known, final outcome of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Settlement {
    /// The order was charged once.
    Paid {
        /// The acquirer's reference.
        reference: String,
        /// When the acquirer charged it.
        at: UnixMs,
    },
    /// 作废: the order was not charged, and can never be charged again.
    Void {
        /// The reason why the order is void.
        reason: VoidReason,
    },
}

/// Why an order became void.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "why", content = "problem")]
pub enum VoidReason {
    /// The acquirer declined: balance, limit, blocked account.
    Declined,
    /// An inquiry found no charge and fenced the order: a later charge is refused.
    Fenced,
    /// The platform refused the order before anything was charged.
    Refused(ProblemCode),
}

/// Charges an order. Idempotent by the order id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChargeRequest {
    /// The order.
    pub order: OrderId,
    /// From [`IdentifyAnswer`](crate::IdentifyAnswer).
    pub key: VisitKey,
    /// The bills.
    pub items: Vec<OrderItem>,
    /// Their sum.
    pub total: Money,
    /// The payment method.
    pub method: PaymentMethod,
}

/// Asks for the final outcome of an order and fences the order: an order that the platform never saw becomes void
/// permanently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InquiryRequest {
    /// The order.
    pub order: OrderId,
}

/// State of an order at the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum ChargeState {
    /// The outcome is known and final.
    Settled {
        /// The outcome.
        settlement: Settlement,
    },
    /// The outcome is not known yet: the kiosk has to inquire.
    Pending,
}

/// An order of a kiosk of which the platform has no recorded outcome: the kiosk's records about it did not arrive, or not yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreportedOrder {
    /// The order.
    pub order: OrderId,
    /// The visit that created it.
    pub visit: VisitId,
    /// The bills.
    pub items: Vec<OrderItem>,
    /// Their sum.
    pub total: Money,
    /// The payment method.
    pub method: PaymentMethod,
}

/// Answer to `GET /v1/unreported-orders`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreportedOrdersAnswer {
    /// The oldest orders of this kiosk whose outcome it has not recorded, as far as the platform has its records.
    pub orders: Vec<UnreportedOrder>,
    /// There are more: they follow when these are settled and recorded.
    pub more: bool,
    /// The platform's clock at the time of the answer.
    pub now: UnixMs,
}
