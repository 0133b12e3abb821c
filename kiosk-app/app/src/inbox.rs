//! The engine's one inbox: bounded, with a quota for each source, so that none crowds out another.
//!
//! A source that has used up its quota waits ([`Port::post`]) or is told that there is no room
//! ([`Port::offer`]); which of the two is right depends on whether the message may be lost. Knows nothing of
//! what it carries.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The receiving end. When it is dropped, every waiting source is released.
pub(crate) struct Inbox<T> {
    shared: Arc<Shared<T>>,
}

/// One source's end. Clones share the quota.
pub(crate) struct Port<T> {
    shared: Arc<Shared<T>>,
    source: usize,
    quota: usize,
}

/// Nobody takes messages any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine has stopped")]
pub(crate) struct Closed;

struct Shared<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
    room: Condvar,
}

struct State<T> {
    queue: VecDeque<(usize, T)>,
    /// How many messages of each source are in the queue.
    waiting: Vec<usize>,
    closed: bool,
}

impl<T> Shared<T> {
    /// A thread that panics ends the process, so a poisoned lock is only seen on the way out.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn used(&self, source: usize) -> usize {
        self.waiting.get(source).copied().unwrap_or(0)
    }

    fn count(&mut self, source: usize, change: impl FnOnce(usize) -> usize) {
        if let Some(waiting) = self.waiting.get_mut(source) {
            *waiting = change(*waiting);
        }
    }
}

impl<T> Inbox<T> {
    pub(crate) fn new() -> Self {
        let state = State { queue: VecDeque::new(), waiting: Vec::new(), closed: false };
        let shared = Shared { state: Mutex::new(state), arrived: Condvar::new(), room: Condvar::new() };
        Self { shared: Arc::new(shared) }
    }

    /// A new source that may have this many messages waiting.
    pub(crate) fn port(&self, quota: usize) -> Port<T> {
        let mut state = self.shared.lock();
        state.waiting.push(0);
        Port { shared: Arc::clone(&self.shared), source: state.waiting.len() - 1, quota }
    }

    /// The oldest message; `None` when none came until then.
    pub(crate) fn take(&self, until: Instant) -> Option<T> {
        let mut state = self.shared.lock();
        loop {
            if let Some((source, message)) = state.queue.pop_front() {
                state.count(source, |waiting| waiting.saturating_sub(1));
                drop(state);
                self.shared.room.notify_all();
                return Some(message);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return None;
            }
            let waited = self.shared.arrived.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl<T> Drop for Inbox<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.queue.clear();
        drop(state);
        self.shared.room.notify_all();
    }
}

impl<T> Port<T> {
    /// Puts a message in, waiting for room: for what must not be lost.
    pub(crate) fn post(&self, message: T) -> Result<(), Closed> {
        let mut state = self.shared.lock();
        while !state.closed && state.used(self.source) >= self.quota {
            state = self.shared.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        self.put(state, message)
    }

    /// Puts a message in if there is room: for what the next message of its kind replaces. Whether it did.
    pub(crate) fn offer(&self, message: T) -> Result<bool, Closed> {
        let state = self.shared.lock();
        if !state.closed && state.used(self.source) >= self.quota {
            return Ok(false);
        }
        self.put(state, message).map(|()| true)
    }

    fn put(&self, mut state: MutexGuard<'_, State<T>>, message: T) -> Result<(), Closed> {
        if state.closed {
            return Err(Closed);
        }
        state.queue.push_back((self.source, message));
        state.count(self.source, |waiting| waiting + 1);
        drop(state);
        self.shared.arrived.notify_one();
        Ok(())
    }
}

impl<T> Clone for Port<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), source: self.source, quota: self.quota }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn messages_come_out_in_the_order_of_their_arrival_whatever_their_source() {
        let inbox = Inbox::new();
        let (card, screen) = (inbox.port(4), inbox.port(4));
        card.post(1).unwrap();
        screen.post(2).unwrap();
        card.post(3).unwrap();
        let taken: Vec<i32> = (0..3).filter_map(|_| inbox.take(soon())).collect();
        assert_eq!(taken, [1, 2, 3]);
        assert_eq!(inbox.take(Instant::now()), None);
    }

    #[test]
    fn a_source_over_its_quota_takes_no_room_from_another() {
        let inbox = Inbox::new();
        let (camera, card) = (inbox.port(2), inbox.port(1));
        assert_eq!(camera.offer("hint"), Ok(true));
        assert_eq!(camera.offer("hint"), Ok(true));
        assert_eq!(camera.offer("hint"), Ok(false));
        assert_eq!(card.offer("card taken"), Ok(true));
    }

    #[test]
    fn what_must_not_be_lost_waits_for_room() {
        let inbox = Inbox::new();
        let card = inbox.port(1);
        card.post(0).unwrap();
        let sender = thread::spawn(move || (1..100).try_for_each(|number| card.post(number)));
        let taken: Vec<i32> = (0..100).filter_map(|_| inbox.take(soon())).collect();
        assert_eq!(taken, (0..100).collect::<Vec<_>>());
        assert_eq!(sender.join().unwrap(), Ok(()));
    }

    #[test]
    fn a_waiting_source_is_released_when_the_engine_stops() {
        let inbox = Inbox::new();
        let card = inbox.port(1);
        card.post(0).unwrap();
        let sender = thread::spawn(move || card.post(1));
        drop(inbox);
        assert_eq!(sender.join().unwrap(), Err(Closed));
    }
}
