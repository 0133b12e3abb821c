//! Payments: the bills of a resident, the charging of orders, and the reports of paid bills to departments.

pub(crate) mod bills;
pub(crate) mod charges;
mod order_ref;
pub(crate) mod outbox;
