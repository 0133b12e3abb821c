//! Open work in the journal: what a kiosk must take up again after any end of its process.

use contract::{
    AdmissionSubject, Money, OrderId, OrderItem, PaymentMethod, Receipt, ReceiptId, UnixMs, VisitId,
};

/// Open work (未结事项), projected from the records of the journal; see [`Kiosk::recover`](crate::Kiosk::recover).
#[derive(Default)]
pub struct OpenWork {
    /// Orders that were created and not settled.
    pub payments: Vec<OpenPayment>,
    /// Receipts that were issued and neither printed nor abandoned.
    pub print_jobs: Vec<OpenPrintJob>,
    /// The visit that was not closed.
    pub visit: Option<VisitId>,
    /// Used-code records of codes accepted here, each with the time until which it is kept.
    pub used_codes: Vec<(String, UnixMs)>,
    /// Admissions at a gate, each with the time until which that resident is not admitted again.
    pub admitted: Vec<(AdmissionSubject, UnixMs)>,
    /// The latest time in any record: the wall clock must not be earlier.
    pub clock_floor: UnixMs,
    /// Last synchronisation with the platform: the platform's time, and the offset to add to the kiosk's clock in ms.
    pub last_clock_sync: Option<(UnixMs, i64)>,
}

/// An order whose outcome is not known.
pub struct OpenPayment {
    /// Id of the order.
    pub order: OrderId,
    /// The visit that created the order.
    pub visit: VisitId,
    /// Id of the service that created the order.
    pub service: String,
    /// The bills to be paid.
    pub items: Vec<OrderItem>,
    /// Sum of the bills.
    pub total: Money,
    /// Method of payment.
    pub method: PaymentMethod,
}

/// A receipt that was issued and not finished.
pub struct OpenPrintJob {
    /// Id of the receipt.
    pub receipt: ReceiptId,
    /// Content of the receipt.
    pub content: Receipt,
    /// The copy whose printing was started and has no outcome.
    pub started_copy: Option<u32>,
}
