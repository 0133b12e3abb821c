//! PC/SC driver for China's social security card, versions 2.00 and 3.00.
//!
//! [`CardReader`] watches one reader and reads the card in it; [`begin_reading`] and [`PendingCard::finish`] run the
//! application over any [`CardTransport`], so that tests can use scripts. A 2.00 card is read completely. A 3.00 card can
//! be authenticated, and its holder's file read, only with a [`CardAuthority`]: a PSAM in a reader of its own
//! ([`PsamSlot`]), or an authority that the caller asks. Without an authority the card is *partly readable*, which the
//! result says. The README lists every command with its source.
//!
//! Called by the device process. The crate knows nothing of visits or services, and never logs card data.
//!
//! # Examples
//!
//! `examples/read_card.rs` reads a scripted card, or one in a real reader, and prints its holder masked:
//!
//! ```text
//! cargo run -p card --example read_card
//! cargo run -p card --example read_card -- --reader NAME
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod apdu;
mod application;
mod authority;
mod fields;
mod holder;
mod pin;
mod psam;
mod reader;
mod reading;
mod staff_card;
mod tlv;

pub use apdu::{CardTransport, StatusWord, TransportFault};
pub use application::ReadFault;
pub use authority::{AuthAnswer, AuthRequest, AuthorityFault, CardAuthority, NoAuthority, Nonces};
pub use citizen_number::is_valid as is_citizen_number;
pub use holder::{Algorithm, CardHolder, CardProof, HolderData, SocialCard, SpecVersion};
pub use pin::{PinOutcome, change_pin, reset_pin, verify_pin};
pub use psam::{Psam, PsamSlot};
pub use reader::{ApduTap, CardReader, CardReaderFault, ReaderEvent};
pub use reading::{OldAlgorithmPolicy, PendingCard, ReadStep, begin_reading, read_card};
pub use staff_card::{STAFF_AID, StaffCardProof, request_staff_proof};

use serde::{Deserialize, Serialize};

/// Why the card in the reader cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CardReadRefusal {
    /// The card has no social security application, for example a bank card, a transport card, an ID card.
    NotSocialSecurity,
    /// The card does not respond, or not as a smart card: upside down, blank, broken.
    NotResponding,
    /// The card's records hold invalid data.
    InvalidData,
    /// A record that every card has is missing or cut short.
    Incomplete,
    /// The application is permanently locked (status word 9303).
    Blocked,
    /// Card authentication failed: the card does not have the issuer's key, or does not accept the authority's cryptogram.
    AuthenticationFailed,
    /// The card's algorithm is older than this site accepts.
    OldAlgorithm,
}
