//! Injected faults of a sandbox, requested by a test script over HTTP.

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
    /// The sandbox decides against the request. Only requests that ask for a decision consume this fault, and only a
    /// sandbox that has such requests accepts it.
    Decline,
    /// The request is executed, and the answer has status 200 and makes no sense: it is not valid JSON, or, of a department,
    /// signed and with rows that no operation declares.
    #[serde(rename = "nonsense")]
    InvalidResponse,
}

/// Requests a fault for later requests; several requested faults are injected in the order in which they were
/// requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRequest {
    /// The fault to inject.
    #[serde(flatten)]
    pub fault: Fault,
    /// Number of requests that fail; absent: until the faults are deleted.
    #[serde(default)]
    pub count: Option<u32>,
}

/// The kind of a request that may have a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestKind {
    /// Asks the sandbox for a decision, which may be a refusal.
    Decision,
    /// Any other request.
    Plain,
}

/// The requested faults that are not consumed yet.
#[derive(Debug, Default)]
pub(crate) struct FaultQueue(VecDeque<FaultRequest>);

impl FaultQueue {
    pub(crate) fn push(&mut self, request: FaultRequest) {
        if request.count != Some(0) {
            self.0.push_back(request);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault of this request; consumes it.
    pub(crate) fn next_for(&mut self, kind: RequestKind) -> Option<Fault> {
        let front = self.0.front_mut()?;
        let fault = front.fault;
        if fault == Fault::Decline && kind == RequestKind::Plain {
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
        let mut faults = FaultQueue::default();
        faults.push(FaultRequest { fault: Fault::DropBefore, count: Some(0) });
        faults.push(FaultRequest { fault: Fault::DropAfter, count: Some(1) });
        faults.push(FaultRequest { fault: Fault::Delay { ms: 5 }, count: Some(1) });
        faults.push(FaultRequest { fault: Fault::Decline, count: Some(1) });
        faults.push(FaultRequest { fault: Fault::InvalidResponse, count: None });
        assert_eq!(faults.next_for(RequestKind::Decision), Some(Fault::DropAfter));
        assert_eq!(faults.next_for(RequestKind::Plain), Some(Fault::Delay { ms: 5 }));
        assert_eq!(faults.next_for(RequestKind::Plain), None);
        assert_eq!(faults.next_for(RequestKind::Decision), Some(Fault::Decline));
        for _ in 0..3 {
            assert_eq!(faults.next_for(RequestKind::Plain), Some(Fault::InvalidResponse));
        }
        faults.clear();
        assert_eq!(faults.next_for(RequestKind::Decision), None);
    }

    #[test]
    fn fault_request_json_is_parsed() {
        for (text, fault, count) in [
            (r#"{"fault":"drop-before"}"#, Fault::DropBefore, None),
            (r#"{"fault":"drop-after","count":null}"#, Fault::DropAfter, None),
            (r#"{"fault":"delay","ms":50,"count":2}"#, Fault::Delay { ms: 50 }, Some(2)),
            (r#"{"fault":"decline","count":1}"#, Fault::Decline, Some(1)),
            (r#"{"fault":"nonsense"}"#, Fault::InvalidResponse, None),
        ] {
            assert_eq!(serde_json::from_str::<FaultRequest>(text).unwrap(), FaultRequest { fault, count });
        }
    }
}
