//! Names of code holders and cards in records and revocations: distinct for each holder and card, without revealing
//! who the resident is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::card::HexBytes;
use sm_crypto::{SignError, from_hex, sm3, to_hex};

macro_rules! short_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 8]);

        impl $name {
            fn of_bytes(domain: &[u8], bytes: &[u8]) -> Self {
                let [a, b, c, d, e, f, g, h, ..] = sm3(&[domain, b"\0", bytes]);
                Self([a, b, c, d, e, f, g, h])
            }

            /// The 8 bytes.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; 8] {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&to_hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }

        impl FromStr for $name {
            type Err = SignError;
            fn from_str(text: &str) -> Result<Self, SignError> {
                from_hex(text).map(Self).ok_or(SignError::NotHex(8))
            }
        }

        impl TryFrom<String> for $name {
            type Error = SignError;
            fn try_from(text: String) -> Result<Self, SignError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.to_string()
            }
        }
    };
}

short_name! {
    /// 持有人: the holder of a code: the first 8 bytes of SM3(`code-holder/1`, a zero byte, the code's alias). It changes
    /// with each certificate; only the platform can resolve it to a resident.
    CodeHolder
}

impl CodeHolder {
    /// The holder of the codes that carry this alias.
    #[must_use]
    pub fn from_alias(alias: &[u8; 8]) -> Self {
        Self::of_bytes(b"code-holder/1", alias)
    }

    /// The key of the used-code record for the code that the holder showed in time step `slot`; the same code is not
    /// accepted twice.
    #[must_use]
    pub fn used_code_key(self, slot: u16) -> String {
        format!("{self}/{slot}")
    }
}

short_name! {
    /// A card: the first 8 bytes of SM3(`card/1`, a zero byte, the 16 bytes of its 卡识别码).
    CardName
}

impl CardName {
    /// The card with this identification code (卡识别码), which every card gives to every reader.
    #[must_use]
    pub fn from_identification(identification: &HexBytes<16>) -> Self {
        Self::of_bytes(b"card/1", &identification.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_holder_is_distinct_and_hidden_in_debug() {
        let holder = CodeHolder::from_alias(b"12345678");
        assert_ne!(holder, CodeHolder::from_alias(b"12345679"));
        assert_eq!(format!("{holder:?}"), "CodeHolder(…)");
        assert_eq!(holder.used_code_key(7), format!("{holder}/7"));
        assert_eq!(holder.to_string().parse(), Ok(holder));
    }

    /// Version 1 of the wire format. If this test fails, do not change the test: kiosks in the field store these names.
    #[test]
    fn card_name_of_version_1_is_stable() {
        let identification: HexBytes<16> = "500000000000000000000000A1B2C3D4".parse().unwrap();
        let same: HexBytes<16> = "500000000000000000000000a1b2c3d4".parse().unwrap();
        assert!(CardName::from_identification(&identification) == CardName::from_identification(&same));
        assert_eq!(CardName::from_identification(&identification).to_string(), "e18173ac3a8c2d76");
        assert_eq!(format!("{:?}", CardName::from_identification(&same)), "CardName(…)");
    }
}
