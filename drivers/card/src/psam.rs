//! The PSAM: a card of the city that holds the root keys, in a reader slot of its own. It derives a card's key from the
//! root key with the card identification, and computes with the derived key; no key leaves the PSAM.
//!
//! Commands and key usages are listed in the README; most of them are ASSUMED.

use std::ffi::CString;

use pcsc::{Context, Disposition, Error, Protocols, Scope, ShareMode};
use zeroize::Zeroizing;

use crate::apdu::{CardTransport, ResponseApdu, StatusWord, TransportFault, exchange};
use crate::authority::{AuthAnswer, AuthRequest, AuthorityFault, CardAuthority};
use crate::reader::TransactionTransport;

/// File identifier of the PSAM's social security application.
const DF_SSSE: [u8; 2] = [0xDF, 0x01];
/// Key usages: the key for a card's INTERNAL AUTHENTICATE, and the key that opens EF06.
const USAGE_INTERNAL: u8 = 0x27;
const USAGE_EXTERNAL: u8 = 0x28;
/// Block size of SM4 in bytes.
const BLOCK: u8 = 16;

/// A PSAM (purchase secure access module, 安全存取模块) over any transport.
pub struct Psam<'a>(pub &'a mut dyn CardTransport);

impl CardAuthority for Psam<'_> {
    fn authenticate(&mut self, request: &AuthRequest) -> Result<AuthAnswer, AuthorityFault> {
        let AuthRequest { identification, challenge, nonces, .. } = request;
        let identification = identification_bytes(identification).ok_or(AuthorityFault::Refused)?;
        self.send(&[0x00, 0xA4, 0x00, 0x00, 0x02, DF_SSSE[0], DF_SSSE[1]])?;
        let internal =
            self.compute(USAGE_INTERNAL, &identification, &nonces.internal_factor, &nonces.internal_source)?;
        let cryptogram = self.compute(USAGE_EXTERNAL, &identification, &nonces.external_factor, challenge)?;
        let mut external = Zeroizing::new([0; 16]);
        for (place, byte) in external.iter_mut().zip(cryptogram.iter().chain(&nonces.external_factor)) {
            *place = *byte;
        }
        Ok(AuthAnswer { internal, external })
    }
}

impl Psam<'_> {
    /// INIT_FOR_DESCRYPT derives a key in two levels, by card and by factor; DES CRYPT (with SM4 here) encrypts the source,
    /// padded with zeros. The result is the exclusive or of the block's halves.
    fn compute(
        &mut self,
        usage: u8,
        identification: &[u8; 16],
        factor: &[u8; 8],
        source: &[u8; 8],
    ) -> Result<Zeroizing<[u8; 8]>, AuthorityFault> {
        let mut derive = vec![0x80, 0x1A, usage, 0x00, 2 * BLOCK];
        derive.extend_from_slice(identification);
        derive.extend_from_slice(factor);
        derive.extend(factor.iter().map(|byte| !byte));
        self.send(&derive)?;
        let encrypt = [&[0x80, 0xFA, 0x00, 0x00, BLOCK], source.as_slice(), &[0; 8]].concat();
        let block = self.send(&encrypt)?;
        let ([head, tail], []) = block.as_chunks::<8>() else { return Err(AuthorityFault::Refused) };
        let mut folded = Zeroizing::new([0; 8]);
        for (place, (one, other)) in folded.iter_mut().zip(head.iter().zip(tail)) {
            *place = one ^ other;
        }
        Ok(folded)
    }

    fn send(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, AuthorityFault> {
        match exchange(self.0, command, false) {
            Ok(ResponseApdu { data, status: StatusWord::DONE }) => Ok(data),
            Ok(_) => Err(AuthorityFault::Refused),
            Err(TransportFault::CardLost | TransportFault::ReaderLost) => Err(AuthorityFault::Absent),
        }
    }
}

/// Parses 32 hexadecimal digits.
fn identification_bytes(digits: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let read = base16ct::mixed::decode(digits, &mut bytes).ok()?.len();
    (read == bytes.len()).then_some(bytes)
}

/// The reader that holds a PSAM. It is opened for each authentication: a replaced PSAM or a restarted pcscd works at the
/// next card, and the reset at the end deletes the derived keys.
pub struct PsamSlot<'a> {
    name_prefix: &'a str,
    alive: &'a mut dyn FnMut(),
}

impl<'a> PsamSlot<'a> {
    /// Makes a slot for the first reader whose name begins with `name_prefix`. `alive` is called before each command.
    pub const fn new(name_prefix: &'a str, alive: &'a mut dyn FnMut()) -> Self {
        Self { name_prefix, alive }
    }

    fn find_reader(&self, context: &Context) -> Result<CString, Error> {
        let readers = context.list_readers_owned()?;
        let mut matching =
            readers.into_iter().filter(|name| name.to_string_lossy().starts_with(self.name_prefix));
        matching.next().ok_or(Error::UnknownReader)
    }
}

impl CardAuthority for PsamSlot<'_> {
    fn authenticate(&mut self, request: &AuthRequest) -> Result<AuthAnswer, AuthorityFault> {
        let absent = |error: Error| {
            tracing::warn!(%error, "PC/SC error: cannot connect to the PSAM");
            AuthorityFault::Absent
        };
        // A context of its own: calls on the context that waits for cards would block.
        let context = Context::establish(Scope::System).map_err(absent)?;
        let reader = self.find_reader(&context).map_err(absent)?;
        let mut psam = context.connect(&reader, ShareMode::Exclusive, Protocols::ANY).map_err(absent)?;
        let transaction = psam.transaction2().map_err(|(_, error)| absent(error))?;
        let mut wire = TransactionTransport { card: &transaction, alive: self.alive, tap: &mut None };
        let answer = Psam(&mut wire).authenticate(request);
        transaction.end(Disposition::ResetCard).map_err(|(_, error)| error).ok();
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apdu::script::ScriptedCard;
    use crate::authority::Nonces;
    use crate::holder::{Algorithm, SpecVersion};

    fn request() -> AuthRequest {
        AuthRequest {
            area: "500112".into(),
            identification: Zeroizing::new("500112D156000005991101450000FFFF".into()),
            version: SpecVersion::V3,
            algorithm: Algorithm::Sm4,
            atr_history: Vec::new(),
            challenge: [7; 8],
            nonces: Nonces { internal_factor: [1; 8], internal_source: [2; 8], external_factor: [3; 8] },
        }
    }

    fn derive(usage: u8, factor: u8) -> Vec<u8> {
        let identification = identification_bytes("500112D156000005991101450000FFFF").unwrap();
        [&[0x80, 0x1A, usage, 0x00, 0x20], identification.as_slice(), &[factor; 8], &[!factor; 8]].concat()
    }

    fn crypt(source: u8) -> Vec<u8> {
        [&[0x80, 0xFA, 0x00, 0x00, 0x10], [source; 8].as_slice(), &[0; 8]].concat()
    }

    fn psam() -> ScriptedCard {
        let block = |head: u8, tail: u8| [[head; 8].as_slice(), &[tail; 8], &[0x90, 0x00]].concat();
        ScriptedCard::new(vec![
            (vec![0x00, 0xA4, 0x00, 0x00, 0x02, 0xDF, 0x01], vec![0x90, 0x00]),
            (derive(0x27, 1), vec![0x90, 0x00]),
            (crypt(2), block(0xF0, 0x0F)),
            (derive(0x28, 3), vec![0x90, 0x00]),
            (crypt(7), block(0x55, 0x05)),
        ])
    }

    #[test]
    fn psam_derives_by_card_and_factor_and_folds_the_block() {
        let mut script = psam();
        let answer = Psam(&mut script).authenticate(&request()).ok().unwrap();
        assert_eq!(*answer.internal, [0xFF; 8]);
        assert_eq!(answer.external[..], [[0x50; 8], [3; 8]].concat());
        assert_eq!(script.sent.len(), 5);
    }

    #[test]
    fn psam_refusal_and_absence_are_distinguished() {
        for at in 0..5 {
            let mut script = psam();
            script.answers[at].1 = vec![0x6A, 0x82];
            assert_eq!(Psam(&mut script).authenticate(&request()).err(), Some(AuthorityFault::Refused));
            let mut script = psam();
            script.removed_at = Some(at);
            assert_eq!(Psam(&mut script).authenticate(&request()).err(), Some(AuthorityFault::Absent));
        }
        let mut short = psam();
        short.answers[2].1 = vec![1, 2, 3, 4, 5, 6, 7, 8, 0x90, 0x00];
        assert_eq!(Psam(&mut short).authenticate(&request()).err(), Some(AuthorityFault::Refused));
    }
}
