//! Identifiers. Each kind of id is a type of its own, so that an order id cannot be used as a visit id.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sm_crypto::sm3;

use crate::names::CodeHolder;

/// Why a text is not an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not 32 lower-case hexadecimal digits.
    #[error("an id is 32 lower-case hexadecimal digits")]
    NotHex,
    /// Not 1–16 characters of `A–Z 0–9 -`.
    #[error("a kiosk id is 1 to 16 characters of A-Z, 0-9 and -")]
    NotKiosk,
    /// Not 1–16 characters of `A–Z 0–9 -`.
    #[error("the id of a relying party or of the platform is 1 to 16 characters of A-Z, 0-9 and -")]
    NotRelyingParty,
}

macro_rules! id_128 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(u128);

        impl $name {
            /// Makes the id from 128 bits of entropy.
            #[must_use]
            pub const fn from_entropy(entropy: u128) -> Self {
                Self(entropy)
            }

            /// The 16 bytes, big-endian.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.to_be_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let digits = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                if text.len() != 32 || !digits {
                    return Err(IdError::NotHex);
                }
                u128::from_str_radix(text, 16).map(Self).map_err(|_| IdError::NotHex)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

id_128! {
    /// One visit of one resident to one kiosk.
    VisitId
}
id_128! {
    /// One payment order. Made before its first attempt; the idempotency key of everything about it.
    OrderId
}
id_128! {
    /// One receipt, however often it is printed. Who has the id may read the receipt: it is the secret in the QR code on the
    /// paper, and is nowhere printed in letters.
    ReceiptId
}
id_128! {
    /// One consent of one resident to one purpose in one visit.
    ConsentId
}
id_128! {
    /// One submission, however often it is sent: made before it is recorded.
    SubmissionId
}
id_128! {
    /// One ticket of one resident: made before its first attempt, so that a repeated request gives the same ticket.
    TicketId
}
id_128! {
    /// The name of a resident in the records of one kiosk: drawn at random by the platform, meaningless elsewhere.
    Pseudonym
}

impl Pseudonym {
    /// The name of a resident in a visit that the platform does not know yet: derived from the code's holder, whom
    /// the platform can resolve.
    #[must_use]
    pub fn from_holder(holder: CodeHolder) -> Self {
        Self(u128::from(u64::from_be_bytes(holder.to_bytes())))
    }
}

impl ReceiptId {
    /// 凭条号: the number of the receipt, to be read aloud at a counter. Alone it opens nothing.
    #[must_use]
    pub fn number(self, kiosk: KioskId) -> String {
        number_of(b"receipt-number", self.to_bytes(), kiosk)
    }
}

impl SubmissionId {
    /// 办件编号: the number of the submission, to be read aloud at a counter. Alone it opens nothing.
    #[must_use]
    pub fn number(self, kiosk: KioskId) -> String {
        number_of(b"submission-number", self.to_bytes(), kiosk)
    }
}

/// Sixteen decimal digits in groups of four: five of the kiosk, ten of the id, and a check digit (ISO/IEC 7064, MOD 11,10), which
/// finds every wrong digit and nearly every swap of two neighbours. They cannot be guessed or counted through, and do not lead to the
/// id.
fn number_of(label: &[u8], id: [u8; 16], kiosk: KioskId) -> String {
    let part = |label: &[u8], bytes: &[u8], size: u64| {
        let hash = sm3(&[label, bytes]);
        hash.iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)) % size
    };
    let of_kiosk = part(b"receipt-kiosk", &kiosk.to_bytes(), 100_000);
    let own = part(label, &id, 10_000_000_000);
    let digits = format!("{of_kiosk:05}{own:010}");
    let digits = format!("{digits}{}", check_digit(&digits));
    let mut grouped = String::with_capacity(19);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && at % 4 == 0 {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// The check digit of decimal digits: ISO/IEC 7064, MOD 11,10.
fn check_digit(digits: &str) -> u32 {
    let product = digits.chars().filter_map(|digit| digit.to_digit(10)).fold(10, |product, digit| {
        let sum = (product + digit) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10
}

macro_rules! name_16 {
    ($(#[$doc:meta])* $name:ident, $refusal:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 16]);

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let allowed = text.bytes().all(|b| matches!(b, b'A'..=b'Z' | b'0'..=b'9' | b'-'));
                if text.is_empty() || text.len() > 16 || !allowed {
                    return Err(IdError::$refusal);
                }
                let mut bytes = [0; 16];
                for (to, from) in bytes.iter_mut().zip(text.bytes()) {
                    *to = from;
                }
                Ok(Self(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for byte in self.0.iter().take_while(|b| **b != 0) {
                    write!(f, "{}", char::from(*byte))?;
                }
                Ok(())
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

name_16! {
    /// 自助终端: name of a kiosk: 1–16 characters of `A–Z 0–9 -`, zero-padded to 16 bytes in a record header.
    KioskId, NotKiosk
}
name_16! {
    /// 依赖方: name of a relying party or service desk, of the same form as a [`KioskId`]. Both stand in `X-Device`.
    RelyingPartyId, NotRelyingParty
}

impl KioskId {
    /// The 16 bytes of a record header's device field.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// Reads the 16 bytes of a record header.
    ///
    /// # Errors
    /// When they are not a zero-padded kiosk name.
    pub fn from_bytes(bytes: [u8; 16]) -> Result<Self, IdError> {
        let name: Vec<u8> = bytes.iter().copied().take_while(|b| *b != 0).collect();
        let text = String::from_utf8(name).map_err(|_| IdError::NotKiosk)?;
        let id: Self = text.parse()?;
        if id.0 == bytes { Ok(id) } else { Err(IdError::NotKiosk) }
    }

    /// The name in this kiosk's TLS certificate. The suffix `.kiosk` prevents it from being the name of a platform.
    #[must_use]
    pub fn certificate_name(self) -> String {
        format!("{}.kiosk", self.to_string().to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_round_trips_through_text_and_refuses_other_text() {
        let order = OrderId::from_entropy(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
        assert_eq!(order.to_string().parse::<OrderId>().unwrap(), order);
        for bad in ["", "0", "+123456789abcdef00112233445566770", &"G".repeat(32), &"A".repeat(32)] {
            assert_eq!(bad.parse::<OrderId>(), Err(IdError::NotHex), "{bad}");
        }
    }

    #[test]
    fn receipt_number_is_four_groups_of_four_digits() {
        let [kiosk, other]: [KioskId; 2] = ["K-DH-0001", "K-DH-0002"].map(|id| id.parse().unwrap());
        let number = ReceiptId::from_entropy(42).number(kiosk);
        assert_eq!(number.split(' ').map(str::len).collect::<Vec<_>>(), [4; 4]);
        assert!(number.chars().all(|c| c.is_ascii_digit() || c == ' '), "{number}");
        let (next, elsewhere) =
            (ReceiptId::from_entropy(43).number(kiosk), ReceiptId::from_entropy(42).number(other));
        assert_eq!(number.replace(' ', "")[..5], next.replace(' ', "")[..5], "the kiosk's part");
        assert_ne!(number.replace(' ', "")[5..], next.replace(' ', "")[5..]);
        assert_ne!(number, elsewhere);
    }

    #[test]
    fn check_digit_finds_wrong_and_swapped_digits() {
        // The example of ISO/IEC 7064 for MOD 11,10.
        assert_eq!(check_digit("0794"), 5);
        let digits = "058213947610284";
        let check = check_digit(digits);
        for at in 0..digits.len() {
            for wrong in '0'..='9' {
                let mut changed: Vec<char> = digits.chars().collect();
                if changed[at] != wrong {
                    changed[at] = wrong;
                    assert_ne!(check_digit(&changed.iter().collect::<String>()), check, "{at} {wrong}");
                }
            }
            let mut swapped: Vec<char> = digits.chars().collect();
            if at > 0 && swapped[at - 1] != swapped[at] {
                swapped.swap(at - 1, at);
                assert_ne!(check_digit(&swapped.iter().collect::<String>()), check, "{at}");
            }
        }
    }

    #[test]
    fn kiosk_id_is_padded_and_checked() {
        let id: KioskId = "K-DH-0001".parse().unwrap();
        assert_eq!(KioskId::from_bytes(id.to_bytes()).unwrap(), id);
        assert_eq!(id.to_string(), "K-DH-0001");
        let mut padded_inside = id.to_bytes();
        padded_inside[12] = b'X';
        assert!(KioskId::from_bytes(padded_inside).is_err());
        assert!("k-1".parse::<KioskId>().is_err());
        assert!("K-1234567890123456".parse::<KioskId>().is_err());
    }

    #[test]
    fn relying_party_id_has_the_form_of_a_kiosk_id() {
        let id: RelyingPartyId = serde_json::from_str("\"PHARMACY\"").unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"PHARMACY\"");
        for bad in ["", "pharmacy", "PHARMACY-123456789"] {
            assert_eq!(bad.parse::<RelyingPartyId>(), Err(IdError::NotRelyingParty), "{bad}");
        }
    }
}
