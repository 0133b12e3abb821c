//! The engine's only inbox: bounded, with a quota for each source, so that no source starves another.
//!
//! A source that has used up its quota waits ([`InboxSender::send`]) or learns that there is no room
//! ([`InboxSender::try_send`]); which of the two is right depends on whether the message may be lost. Independent of
//! the type of the messages.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The receiving end. Dropping it wakes every waiting source with [`InboxClosed`].
pub(crate) struct Inbox<T> {
    shared: Arc<InboxShared<T>>,
}

/// The sending end of one source. Clones share its quota.
pub(crate) struct InboxSender<T> {
    shared: Arc<InboxShared<T>>,
    source: usize,
    quota: usize,
}

/// The inbox was dropped: messages are no longer received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine's inbox is closed: the engine has stopped")]
pub(crate) struct InboxClosed;

struct InboxShared<T> {
    state: Mutex<InboxState<T>>,
    arrived: Condvar,
    room: Condvar,
}

struct InboxState<T> {
    queue: VecDeque<(usize, T)>,
    /// How many messages of each source are in the queue.
    waiting: Vec<usize>,
    closed: bool,
}

impl<T> InboxShared<T> {
    /// A panic in any thread ends the process, so a poisoned lock is only seen while the process exits.
    fn lock(&self) -> MutexGuard<'_, InboxState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> InboxState<T> {
    fn waiting_of(&self, source: usize) -> usize {
        self.waiting.get(source).copied().unwrap_or(0)
    }

    fn update_waiting(&mut self, source: usize, change: impl FnOnce(usize) -> usize) {
        if let Some(waiting) = self.waiting.get_mut(source) {
            *waiting = change(*waiting);
        }
    }
}

impl<T> Inbox<T> {
    pub(crate) fn new() -> Self {
        let state = InboxState { queue: VecDeque::new(), waiting: Vec::new(), closed: false };
        let shared = InboxShared { state: Mutex::new(state), arrived: Condvar::new(), room: Condvar::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Creates a source with a quota of waiting messages.
    pub(crate) fn sender(&self, quota: usize) -> InboxSender<T> {
        let mut state = self.shared.lock();
        state.waiting.push(0);
        InboxSender { shared: Arc::clone(&self.shared), source: state.waiting.len() - 1, quota }
    }

    /// The oldest message; `None` when no message arrived until then.
    pub(crate) fn receive_until(&self, until: Instant) -> Option<T> {
        let mut state = self.shared.lock();
        loop {
            if let Some((source, message)) = state.queue.pop_front() {
                state.update_waiting(source, |waiting| waiting.saturating_sub(1));
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

impl<T> InboxSender<T> {
    /// Sends a message and waits for room: for messages that must not be lost.
    pub(crate) fn send(&self, message: T) -> Result<(), InboxClosed> {
        let mut state = self.shared.lock();
        while !state.closed && state.waiting_of(self.source) >= self.quota {
            state = self.shared.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        self.push(state, message)
    }

    /// Sends a message if there is room: for messages that the next one of their kind replaces. Returns whether the
    /// message was sent.
    pub(crate) fn try_send(&self, message: T) -> Result<bool, InboxClosed> {
        let state = self.shared.lock();
        if !state.closed && state.waiting_of(self.source) >= self.quota {
            return Ok(false);
        }
        self.push(state, message).map(|()| true)
    }

    fn push(&self, mut state: MutexGuard<'_, InboxState<T>>, message: T) -> Result<(), InboxClosed> {
        if state.closed {
            return Err(InboxClosed);
        }
        state.queue.push_back((self.source, message));
        state.update_waiting(self.source, |waiting| waiting + 1);
        drop(state);
        self.shared.arrived.notify_one();
        Ok(())
    }
}

impl<T> Clone for InboxSender<T> {
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
    fn receive_keeps_arrival_order_across_sources() {
        let inbox = Inbox::new();
        let (card, screen) = (inbox.sender(4), inbox.sender(4));
        card.send(1).unwrap();
        screen.send(2).unwrap();
        card.send(3).unwrap();
        let taken: Vec<i32> = (0..3).filter_map(|_| inbox.receive_until(soon())).collect();
        assert_eq!(taken, [1, 2, 3]);
        assert_eq!(inbox.receive_until(Instant::now()), None);
    }

    #[test]
    fn source_over_quota_leaves_room_for_others() {
        let inbox = Inbox::new();
        let (camera, card) = (inbox.sender(2), inbox.sender(1));
        assert_eq!(camera.try_send("hint"), Ok(true));
        assert_eq!(camera.try_send("hint"), Ok(true));
        assert_eq!(camera.try_send("hint"), Ok(false));
        assert_eq!(card.try_send("card taken"), Ok(true));
    }

    #[test]
    fn send_over_quota_waits_for_room() {
        let inbox = Inbox::new();
        let card = inbox.sender(1);
        card.send(0).unwrap();
        let sender = thread::spawn(move || (1..100).try_for_each(|number| card.send(number)));
        let taken: Vec<i32> = (0..100).filter_map(|_| inbox.receive_until(soon())).collect();
        assert_eq!(taken, (0..100).collect::<Vec<_>>());
        assert_eq!(sender.join().unwrap(), Ok(()));
    }

    #[test]
    fn send_waiting_when_inbox_drops_returns_closed() {
        let inbox = Inbox::new();
        let card = inbox.sender(1);
        card.send(0).unwrap();
        let sender = thread::spawn(move || card.send(1));
        drop(inbox);
        assert_eq!(sender.join().unwrap(), Err(InboxClosed));
    }
}
