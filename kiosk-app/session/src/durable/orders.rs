//! Orders that were created, or recovered from the platform, and not settled.

use std::collections::BTreeMap;

use contract::{Entry, Money, OrderId, OrderItem, PaymentMethod, VisitId};
use serde::{Deserialize, Serialize};

/// The unsettled orders, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct UnsettledOrders(BTreeMap<OrderId, UnsettledOrder>);

/// An order (订单) that is not settled: its outcome is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnsettledOrder {
    /// The visit that created the order.
    pub(crate) visit: VisitId,
    /// The service that created the order; none for an order that only the platform knew.
    pub(crate) service: Option<String>,
    /// The bills to be paid.
    pub(crate) items: Vec<OrderItem>,
    /// The sum of the bills.
    pub(crate) total: Money,
    /// The payment method.
    pub(crate) method: PaymentMethod,
}

impl UnsettledOrder {
    /// Whether the kiosk's records of the order were lost, and it is known from the platform.
    pub(crate) const fn is_recovered(&self) -> bool {
        self.service.is_none()
    }
}

impl UnsettledOrders {
    pub(super) fn apply(&mut self, entry: &Entry) {
        let (order, visit, service, items, total, method) =
            if let Entry::OrderCreated { order, visit, service, items, total, method, .. } = entry {
                (order, visit, Some(service.clone()), items, total, method)
            } else if let Entry::OrderRecovered { order, visit, items, total, method } = entry {
                (order, visit, None, items, total, method)
            } else {
                if let Entry::OrderSettled { order, .. } = entry {
                    self.0.remove(order);
                }
                return;
            };
        let (visit, items, total, method) = (*visit, items.clone(), *total, *method);
        self.0.insert(*order, UnsettledOrder { visit, service, items, total, method });
    }

    pub(crate) fn get(&self, order: OrderId) -> Option<&UnsettledOrder> {
        self.0.get(&order)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = OrderId> {
        self.0.keys().copied()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}
