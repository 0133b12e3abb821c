//! How an order is named outside of the contract.

use contract::OrderId;

/// An order id as text: key of the order's row, and the order's name at the acquirer and the department.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OrderRef(pub(crate) String);

impl From<OrderId> for OrderRef {
    fn from(order: OrderId) -> Self {
        Self(order.to_string())
    }
}
