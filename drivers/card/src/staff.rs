//! 工作人员卡: a card that proves a key pair of its own. Who holds it is who the site's list says; there is no gesture and
//! no password to be watched.
//!
//! Its application is this project's own, under an unregistered name (ISO/IEC 7816-4: category F):
//!
//! | command | answer | means |
//! |---|---|---|
//! | `00 A4 04 00 09` [`STAFF`] | 9000 | select it |
//! | `00 CA 00 42 00` | 1 to 32 characters | GET DATA: under which name its key is listed |
//! | `00 88 00 00 20` challenge 32 | 64 bytes | INTERNAL AUTHENTICATE: SM2 with SM3 over `staff-card/1`, a zero byte and the challenge; `r ‖ s` |

use serde::{Deserialize, Serialize};

use crate::apdu::{CardTransport, Response, StatusWord, TransportFault, exchange};

/// The application's name: F0 and `YKSTAFF1`.
pub const STAFF: [u8; 9] = *b"\xF0YKSTAFF1";
/// Longest name under which a key is listed.
const NAME_MAX: usize = 32;
/// `r ‖ s`.
const SIGNATURE_LEN: usize = 64;

/// What a staff card said to a challenge. Whether it is true is for whoever has its public key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaffProof {
    /// Under which name its key is listed.
    pub name: String,
    /// What it was asked to sign.
    pub challenge: [u8; 32],
    /// `r ‖ s`, 64 bytes.
    pub signature: Vec<u8>,
}

/// Asks a card to prove that it is a staff card; none when it is another. `challenge` must be fresh random.
///
/// # Errors
/// When the card or the reader goes away.
pub fn staff(
    card: &mut dyn CardTransport,
    challenge: [u8; 32],
) -> Result<Option<StaffProof>, TransportFault> {
    let select = [&[0x00, 0xA4, 0x04, 0x00, 0x09], STAFF.as_slice()].concat();
    if exchange(card, &select, false)?.status != StatusWord::DONE {
        return Ok(None);
    }
    let Response { data: name, status } = exchange(card, &[0x00, 0xCA, 0x00, 0x42, 0x00], true)?;
    let name = std::str::from_utf8(&name).ok().filter(|name| is_name(name)).map(str::to_owned);
    let (Some(name), StatusWord::DONE) = (name, status) else { return Ok(None) };
    let ask = [&[0x00, 0x88, 0x00, 0x00, 0x20], challenge.as_slice()].concat();
    let Response { data: signature, status } = exchange(card, &ask, false)?;
    let is_whole = status == StatusWord::DONE && signature.len() == SIGNATURE_LEN;
    Ok(is_whole.then(|| StaffProof { name, challenge, signature: signature.to_vec() }))
}

fn is_name(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apdu::script::Script;

    fn says(name: &[u8], signature: &[u8]) -> Option<StaffProof> {
        let select = [&[0x00, 0xA4, 0x04, 0x00, 0x09], STAFF.as_slice()].concat();
        let ask = [&[0x00, 0x88, 0x00, 0x00, 0x20], &[7; 32][..]].concat();
        let done = |data: &[u8]| [data, &[0x90, 0x00]].concat();
        let mut card = Script::new(vec![
            (select, done(&[])),
            (vec![0x00, 0xCA, 0x00, 0x42, 0x00], done(name)),
            (ask, done(signature)),
        ]);
        staff(&mut card, [7; 32]).unwrap()
    }

    #[test]
    fn a_staff_card_gives_its_name_and_signs_the_challenge() {
        let proof = says(b"S-0042", &[5; 64]).unwrap();
        assert_eq!((proof.name.as_str(), proof.challenge, proof.signature.len()), ("S-0042", [7; 32], 64));
    }

    #[test]
    fn what_is_no_name_or_no_signature_is_no_staff_card() {
        assert!(says(b"S-0042", &[5; 63]).is_none());
        assert!(says(b"S-0042", &[5; 65]).is_none());
        for name in [&b""[..], b"S 42", b"\xFF", &[b'S'; 33]] {
            assert!(says(name, &[5; 64]).is_none());
        }
        let select = [&[0x00, 0xA4, 0x04, 0x00, 0x09], STAFF.as_slice()].concat();
        let mut other = Script::new(vec![(select, vec![0x6A, 0x82])]);
        assert_eq!(staff(&mut other, [7; 32]), Ok(None));
        assert_eq!(other.sent.len(), 1);
    }
}
