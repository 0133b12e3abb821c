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
    /// A charge is declined. An inquiry does not consume this fault.
    Decline,
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

/// The kind of a request that may have a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Charge,
    Inquiry,
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
    pub(crate) fn next(&mut self, request: Request) -> Option<Fault> {
        let front = self.0.front_mut()?;
        let fault = front.fault;
        if fault == Fault::Decline && request == Request::Inquiry {
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
        let mut faults = Faults::default();
        faults.order(FaultOrder { fault: Fault::DropBefore, count: Some(0) });
        faults.order(FaultOrder { fault: Fault::DropAfter, count: Some(1) });
        faults.order(FaultOrder { fault: Fault::Decline, count: Some(1) });
        faults.order(FaultOrder { fault: Fault::Nonsense, count: None });
        assert_eq!(faults.next(Request::Charge), Some(Fault::DropAfter));
        assert_eq!(faults.next(Request::Inquiry), None);
        assert_eq!(faults.next(Request::Charge), Some(Fault::Decline));
        for _ in 0..3 {
            assert_eq!(faults.next(Request::Inquiry), Some(Fault::Nonsense));
        }
        faults.clear();
        assert_eq!(faults.next(Request::Charge), None);
    }

    #[test]
    fn fault_request_json_is_parsed() {
        for (text, order) in [
            (r#"{"fault":"drop-before"}"#, FaultOrder { fault: Fault::DropBefore, count: None }),
            (
                r#"{"fault":"delay","ms":50,"count":2}"#,
                FaultOrder { fault: Fault::Delay { ms: 50 }, count: Some(2) },
            ),
        ] {
            assert_eq!(serde_json::from_str::<FaultOrder>(text).unwrap(), order);
        }
    }
}
