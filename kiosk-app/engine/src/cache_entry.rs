//! Values that a cache may keep beside the journal: they make a start fast, and services available without a link.
//!
//! Cached values are never trusted as such: documents are verified as if they had just arrived. Without cached values the
//! engine asks the platform.

/// The cached values that were found at a start.
#[derive(Clone, Debug, Default)]
pub struct CacheSnapshot {
    /// Value of [`CacheKey::Feed`].
    pub feed: Option<Vec<u8>>,
}

/// A value to be cached; replaces the earlier one of its key. Losing it loses nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEntry {
    /// Key of the value.
    pub key: CacheKey,
    /// The value. The cache encrypts it.
    pub bytes: Vec<u8>,
}

/// Key of a cached value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheKey {
    /// The feed state: service documents in force, statements about codes, and the cursor in the platform's feed.
    Feed,
}

impl CacheKey {
    /// Name of the key on disk; must never change.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Feed => "shelf",
        }
    }
}
