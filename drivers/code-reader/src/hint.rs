//! Hints for the resident when no code can be read.

use serde::{Deserialize, Serialize};

/// Why no code was read from a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScanHint {
    /// The picture is too dark.
    Dark,
    /// A reflection or an over-bright screen hides a part of the picture.
    Glare,
    /// The code moves or is out of focus.
    Moving,
    /// The code is too small in the picture: hold it nearer.
    TooFar,
    /// The code is larger than the picture: hold it farther away.
    TooNear,
}
