//! The faults that such a system has, switched on by a script.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// How a request goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "fault")]
pub enum Fault {
    /// The connection closes; nothing was done.
    DropBefore,
    /// It is done, then the connection closes without an answer.
    DropAfter,
    /// It is done only after a while, whether or not somebody still waits for the answer.
    Delay {
        /// How long, in milliseconds.
        ms: u64,
    },
    /// A charge is declined. Inquiries do not use this fault up.
    Decline,
    /// It is done, and the answer is no answer.
    Nonsense,
}

/// Orders a fault for requests to come; faults ordered one after the other come one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultOrder {
    /// Which.
    #[serde(flatten)]
    pub fault: Fault,
    /// For how many requests; absent: until the faults are deleted.
    #[serde(default)]
    pub count: Option<u32>,
}

/// What kind of request asks for its fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Charge,
    Inquiry,
}

/// The faults ordered and not yet used up.
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

    /// The fault of this request, which uses it up.
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
    fn faults_come_in_order_and_as_often_as_ordered() {
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
    fn orders_are_written_as_the_script_writes_them() {
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
