//! Messages of the engine's inbox.

use engine::What;
use session::Event;

/// One message from any source.
pub(crate) enum Message {
    /// An input for the engine.
    Happened(What),
    /// Heartbeat of the screen's thread.
    ScreenAlive,
    /// Request to end the program.
    Stop,
}

impl From<Event> for Message {
    fn from(event: Event) -> Self {
        Self::Happened(What::Event(event))
    }
}
