//! The staff card: a card that proves possession of a private key of its own. The site's list says who holds the card;
//! there is no gesture and no password that could be observed.
//!
//! The card's application is defined by this project, under an unregistered AID (ISO/IEC 7816-4: category F):
//!
//! | command | answer | meaning |
//! |---|---|---|
//! | `00 A4 04 00 09` [`STAFF_AID`] | 9000 | SELECT the application |
//! | `00 CA 00 42 00` | 1 to 32 characters | GET DATA: the name under which the card's key is listed |
//! | `00 88 00 00 20` challenge 32 | 64 bytes | INTERNAL AUTHENTICATE: SM2 with SM3 over `staff-card/1`, a zero byte and the challenge; `r ‖ s` |

use serde::{Deserialize, Serialize};

use crate::apdu::{CardTransport, ResponseApdu, StatusWord, TransportFault, exchange};

/// AID of the application: F0 and `YKSTAFF1`.
pub const STAFF_AID: [u8; 9] = *b"\xF0YKSTAFF1";
/// Longest name of a listed key, in bytes.
const NAME_MAX: usize = 32;
/// Length of a signature `r ‖ s` in bytes.
const SIGNATURE_LEN: usize = 64;

/// Answer of a staff card (工作人员卡) to a challenge. It is not verified here: only the caller has the public key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaffCardProof {
    /// Name under which the card's key is listed.
    pub name: String,
    /// The challenge that the card signed.
    pub challenge: [u8; 32],
    /// Signature `r ‖ s`, 64 bytes.
    pub signature: Vec<u8>,
}

/// Requests the proof of a staff card; `None` if the card is no staff card. `challenge` must be fresh random bytes.
///
/// # Errors
/// When the card is removed or the reader disconnected.
pub fn request_staff_proof(
    card: &mut dyn CardTransport,
    challenge: [u8; 32],
) -> Result<Option<StaffCardProof>, TransportFault> {
    let select = [&[0x00, 0xA4, 0x04, 0x00, 0x09], STAFF_AID.as_slice()].concat();
    if exchange(card, &select, false)?.status != StatusWord::DONE {
        return Ok(None);
    }
    let ResponseApdu { data: name, status } = exchange(card, &[0x00, 0xCA, 0x00, 0x42, 0x00], true)?;
    let name = std::str::from_utf8(&name).ok().filter(|name| is_name(name)).map(str::to_owned);
    let (Some(name), StatusWord::DONE) = (name, status) else { return Ok(None) };
    let authenticate = [&[0x00, 0x88, 0x00, 0x00, 0x20], challenge.as_slice()].concat();
    let ResponseApdu { data: signature, status } = exchange(card, &authenticate, false)?;
    let is_complete = status == StatusWord::DONE && signature.len() == SIGNATURE_LEN;
    Ok(is_complete.then(|| StaffCardProof { name, challenge, signature: signature.to_vec() }))
}

fn is_name(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apdu::script::ScriptedCard;

    fn proof_of_card(name: &[u8], signature: &[u8]) -> Option<StaffCardProof> {
        let select = [&[0x00, 0xA4, 0x04, 0x00, 0x09], STAFF_AID.as_slice()].concat();
        let authenticate = [&[0x00, 0x88, 0x00, 0x00, 0x20], &[7; 32][..]].concat();
        let done = |data: &[u8]| [data, &[0x90, 0x00]].concat();
        let mut card = ScriptedCard::new(vec![
            (select, done(&[])),
            (vec![0x00, 0xCA, 0x00, 0x42, 0x00], done(name)),
            (authenticate, done(signature)),
        ]);
        request_staff_proof(&mut card, [7; 32]).unwrap()
    }

    #[test]
    fn staff_card_gives_its_name_and_signs_the_challenge() {
        let proof = proof_of_card(b"S-0042", &[5; 64]).unwrap();
        assert_eq!((proof.name.as_str(), proof.challenge, proof.signature.len()), ("S-0042", [7; 32], 64));
    }

    #[test]
    fn invalid_name_or_signature_is_no_staff_card() {
        assert!(proof_of_card(b"S-0042", &[5; 63]).is_none());
        assert!(proof_of_card(b"S-0042", &[5; 65]).is_none());
        for name in [&b""[..], b"S 42", b"\xFF", &[b'S'; 33]] {
            assert!(proof_of_card(name, &[5; 64]).is_none());
        }
        let select = [&[0x00, 0xA4, 0x04, 0x00, 0x09], STAFF_AID.as_slice()].concat();
        let mut other = ScriptedCard::new(vec![(select, vec![0x6A, 0x82])]);
        assert_eq!(request_staff_proof(&mut other, [7; 32]), Ok(None));
        assert_eq!(other.sent.len(), 1);
    }
}
