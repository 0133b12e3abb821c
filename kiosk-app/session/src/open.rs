//! The work that a log leaves open: what a kiosk must take up again after any end of its process.

use contract::{Admitted, Method, Money, OrderId, OrderItem, Receipt, ReceiptId, UnixMs, VisitId};

/// Folded from the records of the log; see [`Kiosk::recover`](crate::Kiosk::recover).
#[derive(Default)]
pub struct OpenWork {
    /// Orders that were intended and not settled.
    pub payments: Vec<OpenPayment>,
    /// Receipts that were promised and neither printed nor waived.
    pub papers: Vec<OpenPaper>,
    /// The visit that was not closed.
    pub visit: Option<VisitId>,
    /// Marks of codes accepted here, each with the time until which it is remembered.
    pub code_marks: Vec<(String, UnixMs)>,
    /// Whom a gate let through, each with the time until which that one is not let through again.
    pub admitted: Vec<(Admitted, UnixMs)>,
    /// The latest time in any record: the clock was never before it.
    pub clock_floor: UnixMs,
    /// The platform's clock when it was last heard, and what had to be added to the kiosk's.
    pub clock_heard: Option<(UnixMs, i64)>,
}

/// An order whose outcome is not known.
pub struct OpenPayment {
    /// The order.
    pub order: OrderId,
    /// The visit that made it.
    pub visit: VisitId,
    /// The service that made it.
    pub service: String,
    /// The bills.
    pub items: Vec<OrderItem>,
    /// Their sum.
    pub total: Money,
    /// How it is paid.
    pub method: Method,
}

/// A receipt that was promised.
pub struct OpenPaper {
    /// The receipt.
    pub receipt: ReceiptId,
    /// What it says.
    pub content: Receipt,
    /// The copy whose printing was begun and has no outcome.
    pub started: Option<u32>,
}
