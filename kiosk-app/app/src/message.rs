//! Messages of the engine's inbox.

use engine::InputEvent;
use session::Event;

/// One message from any source.
pub(crate) enum EngineMessage {
    /// An input for the engine.
    Input(InputEvent),
    /// Heartbeat of the screen's thread.
    ScreenAlive,
    /// Request to end the program.
    Stop,
}

impl From<Event> for EngineMessage {
    fn from(event: Event) -> Self {
        Self::Input(InputEvent::Kiosk(event))
    }
}
