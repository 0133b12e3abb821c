//! Calls to departments, isolated from each other: each has its own connections, its own bound of calls in progress, and a pause when
//! it does not answer. A department that is slow or dead costs the calls to it, and nothing else.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use contract::{
    DEVICE_HEADER, DepartmentId, DepartmentList, RegisteredDepartment, SIGNATURE_HEADER, TIME_HEADER,
};
use reqwest::redirect::Policy;
use serde::Serialize;
use tokio::sync::Semaphore;

use super::{ANSWER_TIMEOUT, ShellError, receive_peer_answer};
use crate::peer_calls::{PeerAnswer, PeerCall, PeerUnreachable};

/// Most calls of one department in progress. More than a city's kiosks ask for in a second.
const IN_PROGRESS_MAX: usize = 64;
/// Failures in a row after which a department is not called for a while.
const FAILURES_MAX: u32 = 5;
/// How long it is then not called. One call after that tries whether it answers again.
const PAUSE: Duration = Duration::from_secs(5);
/// Calls whose times are kept for the figures.
const TIMES_KEPT: usize = 512;

/// The departments, as the shell calls them.
pub(super) struct DepartmentClients(BTreeMap<DepartmentId, Arc<DepartmentClient>>);

struct DepartmentClient {
    url: String,
    http: reqwest::Client,
    places: Semaphore,
    state: Mutex<CallState>,
}

/// What became of the calls so far.
#[derive(Default)]
struct CallState {
    /// Failures in a row.
    failures: u32,
    paused_until: Option<Instant>,
    answered: u64,
    failed: u64,
    not_called: u64,
    times: VecDeque<Duration>,
}

/// Figures of one department since the platform was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct DepartmentFigures {
    department: DepartmentId,
    /// Calls that were answered, refusals among them.
    answered: u64,
    /// Calls without an answer, or with a server's error.
    failed: u64,
    /// Calls that were not made: too many in progress, or a pause after failures.
    not_called: u64,
    /// Whether it is not called at the moment.
    is_paused: bool,
    /// Median time of the last answered calls, in milliseconds.
    median_ms: Option<u64>,
    /// 99th percentile of the same.
    p99_ms: Option<u64>,
}

impl DepartmentClients {
    /// The clients of these departments. A department whose address is that of `before` keeps its client, with its connections
    /// and figures.
    pub(super) fn new(departments: &DepartmentList, before: Option<&Self>) -> Result<Self, ShellError> {
        let client = |department: &RegisteredDepartment| {
            // A redirect would take a signed request with personal data to another host.
            let builder = reqwest::Client::builder().redirect(Policy::none());
            let http = builder.timeout(ANSWER_TIMEOUT).build()?;
            let (url, places) = (department.url.clone(), Semaphore::new(IN_PROGRESS_MAX));
            Ok(Arc::new(DepartmentClient { url, http, places, state: Mutex::default() }))
        };
        let client_of = |department: &RegisteredDepartment| {
            let kept = before.and_then(|before| before.0.get(&department.id));
            let kept = kept.filter(|kept| kept.url == department.url).map(Arc::clone);
            Ok((department.id.clone(), kept.map_or_else(|| client(department), Ok)?))
        };
        departments
            .departments()
            .map(client_of)
            .collect::<Result<_, _>>()
            .map(Self)
            .map_err(ShellError::HttpClient)
    }

    /// Makes a call, unless the department has too many already or does not answer.
    pub(super) async fn send(
        &self,
        department: &DepartmentId,
        call: &PeerCall,
    ) -> Result<PeerAnswer, PeerUnreachable> {
        let Some(client) = self.0.get(department) else {
            tracing::warn!(%department, "department is not in the list of departments and cannot be called");
            return Err(PeerUnreachable);
        };
        client.send(department, call).await
    }

    pub(super) fn figures(&self) -> Vec<DepartmentFigures> {
        self.0.iter().map(|(department, client)| client.state().figures(department, Instant::now())).collect()
    }
}

impl DepartmentClient {
    fn state(&self) -> MutexGuard<'_, CallState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, department: &DepartmentId, call: &PeerCall) -> Result<PeerAnswer, PeerUnreachable> {
        let place = self.places.try_acquire();
        let Ok(_place) = place else {
            self.state().not_called += 1;
            return Err(PeerUnreachable);
        };
        let begun = Instant::now();
        if !self.state().may_call(begun) {
            return Err(PeerUnreachable);
        }
        let mut request = self
            .http
            .post(format!("{}{}", self.url, call.target))
            .header(axum::http::header::CONTENT_TYPE, "application/json")
            .body(call.body.clone());
        if let Some(timeout) = call.timeout_ms {
            request = request.timeout(Duration::from_millis(timeout.into()));
        }
        if let Some(headers) = &call.headers {
            request = request
                .header(DEVICE_HEADER, headers.device.to_string())
                .header(TIME_HEADER, &headers.time)
                .header(SIGNATURE_HEADER, headers.signature.to_string());
        }
        let answer = receive_peer_answer(request).await;
        let is_answered = answer.as_ref().is_ok_and(|answer| answer.status < 500);
        if self.state().on_end(is_answered, begun.elapsed(), Instant::now()) {
            tracing::warn!(%department, pause_s = PAUSE.as_secs(), "department does not answer; it is not called for a while");
        }
        answer.map_err(|error| {
            // The URL names an operation only, but an error of another layer may quote more.
            tracing::warn!(%department, error = %error.without_url(), "call to department failed");
            PeerUnreachable
        })
    }
}

impl CallState {
    /// Whether a call may be made now. After a pause, one call may: it begins the next pause, which its answer ends.
    fn may_call(&mut self, now: Instant) -> bool {
        match self.paused_until {
            Some(until) if now < until => {
                self.not_called += 1;
                false
            }
            Some(_) => {
                self.paused_until = Some(now + PAUSE);
                true
            }
            None => true,
        }
    }

    /// Accounts for a call; true if a pause begins.
    fn on_end(&mut self, is_answered: bool, took: Duration, now: Instant) -> bool {
        if is_answered {
            self.answered += 1;
            (self.failures, self.paused_until) = (0, None);
            if self.times.len() == TIMES_KEPT {
                self.times.pop_front();
            }
            self.times.push_back(took);
            return false;
        }
        self.failed += 1;
        self.failures = self.failures.saturating_add(1);
        if self.failures < FAILURES_MAX {
            return false;
        }
        self.paused_until = Some(now + PAUSE);
        self.failures == FAILURES_MAX
    }

    fn figures(&self, department: &DepartmentId, now: Instant) -> DepartmentFigures {
        let mut times: Vec<u64> =
            self.times.iter().map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)).collect();
        times.sort_unstable();
        let at = |percent: usize| {
            times.get((times.len() * percent / 100).min(times.len().saturating_sub(1))).copied()
        };
        DepartmentFigures {
            department: department.clone(),
            answered: self.answered,
            failed: self.failed,
            not_called: self.not_called,
            is_paused: self.paused_until.is_some_and(|until| now < until),
            median_ms: at(50),
            p99_ms: at(99),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: Duration = Duration::from_millis(7);

    #[test]
    fn department_is_paused_after_failures_until_a_call_succeeds() {
        let (mut state, start) = (CallState::default(), Instant::now());
        for failure in 1..=FAILURES_MAX {
            assert!(state.may_call(start));
            assert_eq!(state.on_end(false, TOOK, start), failure == FAILURES_MAX);
        }
        assert!(!state.may_call(start) && !state.may_call(start + PAUSE - TOOK));

        // One call tries; the others wait for its answer.
        let later = start + PAUSE;
        assert!(state.may_call(later) && !state.may_call(later));
        assert!(!state.on_end(false, TOOK, later), "the pause goes on and is not announced again");
        let later = later + PAUSE;
        assert!(state.may_call(later));
        state.on_end(true, TOOK, later);
        assert!(state.may_call(later) && state.may_call(later));
    }

    #[test]
    fn single_failures_begin_no_pause() {
        let (mut state, now) = (CallState::default(), Instant::now());
        for _ in 0..20 {
            for _ in 1..FAILURES_MAX {
                state.on_end(false, TOOK, now);
            }
            state.on_end(true, TOOK, now);
        }
        assert!(state.may_call(now));
    }

    #[test]
    fn figures_count_calls_and_give_median_and_p99() {
        let (mut state, now) = (CallState::default(), Instant::now());
        let water: DepartmentId = "water".parse().unwrap();
        assert_eq!(state.figures(&water, now).median_ms, None);
        for ms in 1..=100 {
            state.on_end(true, Duration::from_millis(ms), now);
        }
        state.on_end(false, TOOK, now);
        let figures = state.figures(&water, now);
        assert_eq!((figures.answered, figures.failed, figures.not_called), (100, 1, 0));
        assert_eq!((figures.median_ms, figures.p99_ms, figures.is_paused), (Some(51), Some(100), false));
    }
}
