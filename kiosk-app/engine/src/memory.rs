//! What a cache may keep beside the log, so that a start is quick and the services are there without a link.
//!
//! None of it is believed for being there: the fold of the log must fit the log, and documents are checked
//! as if they had just come. Without it the engine asks the log and the platform.

/// What was kept at the end of the life before; as much of it as could be found.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// [`Place::Log`].
    pub log: Option<Vec<u8>>,
    /// [`Place::Shelf`].
    pub shelf: Option<Vec<u8>>,
}

/// A value to be kept in the place of the one before. When it gets lost nothing else does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memo {
    /// Which one.
    pub place: Place,
    /// Its bytes. They tell what is open at the kiosk: seal them.
    pub bytes: Vec<u8>,
}

/// Which value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The fold of the log.
    Log,
    /// The service documents in force and the place in the platform's feed.
    Shelf,
}

impl Place {
    /// Its name in a cache; the same for ever.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Shelf => "shelf",
        }
    }
}
