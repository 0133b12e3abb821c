//! Injected faults of the sandbox system, requested by a test script over HTTP.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// An injected fault of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "fault")]
pub enum Fault {
    /// The connection closes before the request is executed.
    DropBefore,
    /// The request is executed, then the connection closes without an answer.
    DropAfter,
    /// The request is executed after a delay, even if the client has stopped waiting for the answer.
    Delay {
        /// Delay in milliseconds.
        ms: u64,
    },
    /// The request is executed, and the answer is not valid JSON.
    #[serde(rename = "nonsense")]
    Nonsense,
}

/// Requests a fault for later requests; several requested faults are injected in the order in which they were
/// requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultOrder {
    /// The fault to inject.
    #[serde(flatten)]
    pub fault: Fault,
    /// Number of requests that fail; absent: until the faults are deleted.
    #[serde(default)]
    pub count: Option<u32>,
}

/// The requested faults that are not consumed yet.
#[derive(Debug, Default)]
pub(crate) struct Faults(VecDeque<FaultOrder>);

impl Faults {
    pub(crate) fn order(&mut self, order: FaultOrder) {
        if order.count != Some(0) {
            self.0.push_back(order);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault of this request; consumes it.
    pub(crate) fn next(&mut self) -> Option<Fault> {
        let front = self.0.front_mut()?;
        let fault = front.fault;
        if let Some(left) = &mut front.count {
            *left -= 1;
            if *left == 0 {
                self.0.pop_front();
            }
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_injected_in_order_and_counted() {
        let mut faults = Faults::default();
        faults.order(FaultOrder { fault: Fault::DropBefore, count: Some(0) });
        faults.order(FaultOrder { fault: Fault::DropAfter, count: Some(1) });
        faults.order(FaultOrder { fault: Fault::Delay { ms: 5 }, count: Some(1) });
        faults.order(FaultOrder { fault: Fault::Nonsense, count: None });
        let injected: Vec<_> = (0..4).map(|_| faults.next()).collect();
        let invalid = Some(Fault::Nonsense);
        assert_eq!(injected, [Some(Fault::DropAfter), Some(Fault::Delay { ms: 5 }), invalid, invalid]);
        faults.clear();
        assert_eq!(faults.next(), None);
    }
}
