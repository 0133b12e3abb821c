//! Injected faults of the sandbox system, requested by a test script over HTTP.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// An injected fault of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "fault")]
pub enum AcquirerFault {
    /// The connection closes before the request is executed.
    DropBefore,
    /// The request is executed, then the connection closes without an answer.
    DropAfter,
    /// The request is executed after a delay, even if the client has stopped waiting for the answer.
    Delay {
        /// Delay in milliseconds.
        ms: u64,
    },
    /// A charge is declined. An inquiry does not consume this fault.
    Decline,
    /// The request is executed, and the answer is not valid JSON.
    #[serde(rename = "nonsense")]
    InvalidResponse,
}

/// Requests a fault for later requests; several requested faults are injected in the order in which they were
/// requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcquirerFaultRequest {
    /// The fault to inject.
    #[serde(flatten)]
    pub fault: AcquirerFault,
    /// Number of requests that fail; absent: until the faults are deleted.
    #[serde(default)]
    pub count: Option<u32>,
}

/// The kind of a request that may have a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AcquirerRequestKind {
    Charge,
    Inquiry,
}

/// The requested faults that are not consumed yet.
#[derive(Debug, Default)]
pub(crate) struct AcquirerFaultQueue(VecDeque<AcquirerFaultRequest>);

impl AcquirerFaultQueue {
    pub(crate) fn push(&mut self, order: AcquirerFaultRequest) {
        if order.count != Some(0) {
            self.0.push_back(order);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault of this request; consumes it.
    pub(crate) fn next_for(&mut self, request: AcquirerRequestKind) -> Option<AcquirerFault> {
        let front = self.0.front_mut()?;
        let fault = front.fault;
        if fault == AcquirerFault::Decline && request == AcquirerRequestKind::Inquiry {
            return None;
        }
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
        let mut faults = AcquirerFaultQueue::default();
        faults.push(AcquirerFaultRequest { fault: AcquirerFault::DropBefore, count: Some(0) });
        faults.push(AcquirerFaultRequest { fault: AcquirerFault::DropAfter, count: Some(1) });
        faults.push(AcquirerFaultRequest { fault: AcquirerFault::Decline, count: Some(1) });
        faults.push(AcquirerFaultRequest { fault: AcquirerFault::InvalidResponse, count: None });
        assert_eq!(faults.next_for(AcquirerRequestKind::Charge), Some(AcquirerFault::DropAfter));
        assert_eq!(faults.next_for(AcquirerRequestKind::Inquiry), None);
        assert_eq!(faults.next_for(AcquirerRequestKind::Charge), Some(AcquirerFault::Decline));
        for _ in 0..3 {
            assert_eq!(faults.next_for(AcquirerRequestKind::Inquiry), Some(AcquirerFault::InvalidResponse));
        }
        faults.clear();
        assert_eq!(faults.next_for(AcquirerRequestKind::Charge), None);
    }

    #[test]
    fn fault_request_json_is_parsed() {
        for (text, order) in [
            (
                r#"{"fault":"drop-before"}"#,
                AcquirerFaultRequest { fault: AcquirerFault::DropBefore, count: None },
            ),
            (
                r#"{"fault":"delay","ms":50,"count":2}"#,
                AcquirerFaultRequest { fault: AcquirerFault::Delay { ms: 50 }, count: Some(2) },
            ),
        ] {
            assert_eq!(serde_json::from_str::<AcquirerFaultRequest>(text).unwrap(), order);
        }
    }
}
