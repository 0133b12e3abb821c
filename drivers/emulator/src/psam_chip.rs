//! The chip of the emulated PSAM: holds the city's root keys, for the reader's second slot.

use crate::card_keys::{CityCardKeys, sm4_encrypt_block};
use crate::faults::{ProtocolStep, psam as steps};

/// File id of the social security application.
const DF_SSSE: [u8; 2] = [0xDF, 0x01];
/// Key usages: keys for internal and external authentication.
const USAGE_INTERNAL: u8 = 0x27;
const USAGE_EXTERNAL: u8 = 0x28;

/// Keys and state of the PSAM.
#[derive(Clone)]
pub(crate) struct PsamChip {
    city: CityCardKeys,
    application_selected: bool,
    /// Result of INIT_FOR_DESCRYPT, cleared by a reset.
    derived_key: Option<[u8; 16]>,
}

impl PsamChip {
    pub(crate) const fn new(city: CityCardKeys) -> Self {
        Self { city, application_selected: false, derived_key: None }
    }

    /// The protocol step of this command.
    pub(crate) const fn protocol_step(apdu: &[u8]) -> Option<&'static ProtocolStep> {
        match apdu {
            [0x00, 0xA4, ..] => Some(&steps::SELECT),
            [0x80, 0x1A, ..] => Some(&steps::INIT),
            [0x80, 0xFA, ..] => Some(&steps::CRYPT),
            _ => None,
        }
    }

    pub(crate) fn reset(&mut self) {
        self.application_selected = false;
        self.derived_key = None;
    }

    /// Executes a command APDU; returns the data and the status word.
    pub(crate) fn respond(&mut self, apdu: &[u8]) -> (Vec<u8>, [u8; 2]) {
        const DONE: [u8; 2] = [0x90, 0x00];
        match apdu {
            [0x00, 0xA4, 0x00, 0x00, 0x02, file @ ..] if file == DF_SSSE => {
                self.application_selected = true;
                (Vec::new(), DONE)
            }
            [0x00, 0xA4, ..] => (Vec::new(), [0x6A, 0x82]),
            [0x80, 0x1A, ..] | [0x80, 0xFA, ..] if !self.application_selected => (Vec::new(), [0x69, 0x85]),
            [0x80, 0x1A, usage, 0x00, 0x20, levels @ ..] => {
                let external = match *usage {
                    USAGE_INTERNAL => false,
                    USAGE_EXTERNAL => true,
                    _ => return (Vec::new(), [0x94, 0x03]),
                };
                let ([card, factor], []) = levels.as_chunks::<16>() else {
                    return (Vec::new(), [0x67, 0x00]);
                };
                self.derived_key =
                    Some(sm4_encrypt_block(&sm4_encrypt_block(self.city.root_key(external), card), factor));
                (Vec::new(), DONE)
            }
            [0x80, 0xFA, 0x00, 0x00, 0x10, block @ ..] => match (self.derived_key, block.try_into()) {
                (Some(key), Ok(block)) => (sm4_encrypt_block(&key, block).to_vec(), DONE),
                (None, _) => (Vec::new(), [0x69, 0x85]),
                (Some(_), Err(_)) => (Vec::new(), [0x67, 0x00]),
            },
            _ => (Vec::new(), [0x6D, 0x00]),
        }
    }
}
