//! What is in the way of reading a code, in the words that a screen can help with.

use serde::{Deserialize, Serialize};

/// Why no code was read from what the camera sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hint {
    /// It is too dark.
    Dark,
    /// A reflection or an over-bright screen hides a part of the picture.
    Glare,
    /// The code moves or is out of focus.
    Moving,
    /// The code is there and too small: hold it nearer.
    TooFar,
    /// The code is larger than the picture: hold it farther away.
    TooNear,
}
