//! What comes into the engine's inbox.

use session::Event;

/// One message, of any source.
pub(crate) enum Message {
    /// Something that the kiosk decides on.
    Kiosk(Event),
    /// What came of a request of the uplink.
    Uplink(engine::UplinkAnswer),
    /// The screen's thread is alive.
    ScreenAlive,
    /// The kiosk is to end.
    Stop,
}
