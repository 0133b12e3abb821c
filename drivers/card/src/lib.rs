//! PC/SC driver for China's social security card (社会保障卡), 2.00 and 3.00.
//!
//! [`Reader`] watches one reader and reads what is put into it; [`begin`] and [`Guarded::finish`] are the application
//! itself over any [`CardTransport`], so that it runs over scripts in tests. A 2.00 card reads wholly. A 3.00 card proves
//! itself and gives its holder only with the help of a [`CardAuthority`]: a PSAM in a reader of its own ([`PsamSlot`]), or
//! whoever the caller asks. Without one it is *partly readable* and says so. The README lists every command with its source.
//!
//! Called by the device process. Knows nothing of visits or services, and never logs what a card holds.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod apdu;
mod application;
mod authority;
mod fields;
mod holder;
mod number;
mod pin;
mod psam;
mod reader;
mod reading;
mod staff;
mod tlv;

pub use apdu::{CardTransport, StatusWord, TransportFault};
pub use application::ReadFault;
pub use authority::{AuthAnswer, AuthRequest, AuthorityFault, CardAuthority, NoAuthority, Nonces};
pub use holder::{Algorithm, CardHolder, Holder, Proof, SocialCard, SpecVersion};
pub use number::is_citizen_number;
pub use pin::{PinOutcome, change_pin, reset_pin, verify_pin};
pub use psam::{Psam, PsamSlot};
pub use reader::{Happening, Reader, ReaderFault, Tap};
pub use reading::{Begun, Guarded, OlderCards, begin, read};
pub use staff::{STAFF, StaffProof, staff};

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
    /// It does not prove to be the issuer's own: it has not the key, or takes nobody's word.
    Unproven,
    /// Its algorithm is older than this site takes.
    OldAlgorithm,
}
