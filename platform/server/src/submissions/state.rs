//! States of a submission, as departments name them, and as residents read them.

/// State of a submission. The text in the database and on the wire is [`SubmissionState::name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SubmissionState {
    /// The platform has it; the department has not answered yet.
    Queued,
    /// 已受理: the department has taken it.
    Accepted,
    /// 办理中.
    Working,
    /// 已办结.
    Done,
    /// 需补正: something is missing.
    Returned,
    /// 不予受理, or refused.
    Refused,
    /// The department knows another submission with this id: an operator must look at it.
    Conflict,
}

impl SubmissionState {
    const ALL: [Self; 7] = [
        Self::Queued,
        Self::Accepted,
        Self::Working,
        Self::Done,
        Self::Returned,
        Self::Refused,
        Self::Conflict,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Accepted => "accepted",
            Self::Working => "working",
            Self::Done => "done",
            Self::Returned => "returned",
            Self::Refused => "refused",
            Self::Conflict => "conflict",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// A state that a department may answer.
    pub(super) fn of_department(name: &str) -> Option<Self> {
        Self::from_name(name).filter(|state| !matches!(state, Self::Queued | Self::Conflict))
    }

    /// Whether the department decides no more.
    pub(super) const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Returned | Self::Refused | Self::Conflict)
    }

    /// The state in words for residents.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Queued => "已提交，等待部门受理",
            Self::Accepted => "已受理",
            Self::Working => "办理中",
            Self::Done => "已办结",
            Self::Returned => "需要补正材料",
            Self::Refused => "不予受理",
            Self::Conflict => "需要工作人员核对",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_read_from_its_name() {
        for state in SubmissionState::ALL {
            assert_eq!(SubmissionState::from_name(state.name()), Some(state));
        }
        assert_eq!(SubmissionState::from_name("lost"), None);
        assert_eq!(SubmissionState::of_department("queued"), None, "only the platform says so");
    }
}
