//! Injected faults of the sandbox system, requested by a test script over HTTP.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// An injected fault of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "fault")]
pub enum DepartmentFault {
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
    InvalidResponse,
}

/// Requests a fault for later requests; several requested faults are injected in the order in which they were
/// requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepartmentFaultRequest {
    /// The fault to inject.
    #[serde(flatten)]
    pub fault: DepartmentFault,
    /// Number of requests that fail; absent: until the faults are deleted.
    #[serde(default)]
    pub count: Option<u32>,
}

/// The requested faults that are not consumed yet.
#[derive(Debug, Default)]
pub(crate) struct DepartmentFaultQueue(VecDeque<DepartmentFaultRequest>);

impl DepartmentFaultQueue {
    pub(crate) fn push(&mut self, order: DepartmentFaultRequest) {
        if order.count != Some(0) {
            self.0.push_back(order);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault of this request; consumes it.
    pub(crate) fn pop(&mut self) -> Option<DepartmentFault> {
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
        let mut faults = DepartmentFaultQueue::default();
        faults.push(DepartmentFaultRequest { fault: DepartmentFault::DropBefore, count: Some(0) });
        faults.push(DepartmentFaultRequest { fault: DepartmentFault::DropAfter, count: Some(1) });
        faults.push(DepartmentFaultRequest { fault: DepartmentFault::Delay { ms: 5 }, count: Some(1) });
        faults.push(DepartmentFaultRequest { fault: DepartmentFault::InvalidResponse, count: None });
        let injected: Vec<_> = (0..4).map(|_| faults.pop()).collect();
        let invalid = Some(DepartmentFault::InvalidResponse);
        assert_eq!(
            injected,
            [Some(DepartmentFault::DropAfter), Some(DepartmentFault::Delay { ms: 5 }), invalid, invalid]
        );
        faults.clear();
        assert_eq!(faults.pop(), None);
    }
}
