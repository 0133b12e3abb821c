//! PC/SC driver for China's social security card (社会保障卡), 2.00 and 3.00.
//!
//! [`Reader`] watches one reader and reads what is put into it; [`read`] is the application itself over any
//! [`CardTransport`], so that it runs over scripts in tests. A 2.00 card reads wholly. A 3.00 card gives
//! its holder only to an authority (a PSAM or the platform's HSM), which this crate does not have: such a
//! card is *partly readable* and says so. The README lists every command with its source.
//!
//! Called by the device process. Knows nothing of visits or services, and never logs what a card holds.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod apdu;
mod application;
mod holder;
mod number;
mod pin;
mod reader;
mod tlv;

pub use apdu::{CardTransport, StatusWord, TransportFault};
pub use application::{ReadFault, read};
pub use holder::{Algorithm, CardHolder, Holder, Sex, SocialCard, SpecVersion};
pub use number::is_citizen_number;
pub use pin::{PinOutcome, verify_pin};
pub use reader::{Happening, Reader, ReaderFault, Tap};

use serde::{Deserialize, Serialize};

/// Why the card in the reader cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// It has no social security application: a bank card, a transport card, an ID card.
    NotSocialSecurity,
    /// It does not answer, or not as a card: upside down, blank, broken.
    Mute,
    /// Its records make no sense.
    Garbage,
    /// A record that every card has is missing or cut short.
    Incomplete,
    /// The application is locked for good (status 9303).
    Blocked,
}
