//! What comes into the engine's inbox.

use engine::What;
use session::Event;

/// One message, of any source.
pub(crate) enum Message {
    /// Something that the engine decides on.
    Happened(What),
    /// The screen's thread is alive.
    ScreenAlive,
    /// The kiosk is to end.
    Stop,
}

impl From<Event> for Message {
    fn from(event: Event) -> Self {
        Self::Happened(What::Event(event))
    }
}
