//! Payments: the bills of a resident, the charging of orders, and the reports of paid bills to departments.

pub(crate) mod acquirer;
pub(crate) mod bills;
pub(crate) mod charges;
pub(crate) mod inquiries;
mod lost_orders;
pub(crate) mod order_ref;
pub(crate) mod orders;
pub(crate) mod outbox;
pub(crate) mod unreported_orders;
