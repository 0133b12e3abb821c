//! Reading a card in the two steps of `iReadCardBas_HSM_Step1` and `_Step2`: the files that are free to read, and the
//! holder's file, which requires authentication. No command is sent to the card between the two steps.

use zeroize::Zeroizing;

use crate::CardReadRefusal;
use crate::apdu::{CardTransport, StatusWord};
use crate::application::{
    EF05, EF06, ReadFault, external_authenticate, get_challenge, internal_authenticate, read_record,
    select_application, select_file, try_read_record,
};
use crate::authority::{AuthAnswer, AuthRequest, CardAuthority, Nonces};
use crate::fields::{decode_padded_text, decode_text, parse_packed_date, to_hex, trim_padding};
use crate::holder::{Algorithm, CardHolder, CardProof, HolderData, SocialCard, SpecVersion};

/// Length in bytes from which a name may be continued in 姓名扩展: the next character, up to four bytes in GB18030, may not
/// have fitted into the thirty bytes of 姓名. A shorter name has no extension, so the record is not requested.
const NAME_EXTENSION_MIN: usize = 27;

/// Policy for a card whose algorithm is older than SM4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OldAlgorithmPolicy {
    /// The card is read as far as possible without authentication, and is never authenticated.
    #[default]
    Limit,
    /// The card is refused.
    Refuse,
}

/// Result of step 1.
pub enum ReadStep {
    /// Reading is complete.
    Complete(Box<SocialCard>),
    /// The card requires authentication before EF06 can be read.
    NeedsAuthentication(Box<PendingCard>),
}

/// A third-generation card between the two steps: it waits for its authority's answer.
pub struct PendingCard {
    issuer: IssuerFile,
    request: AuthRequest,
}

/// Content of EF05, the issuer's file.
struct IssuerFile {
    identification: Zeroizing<String>,
    version: SpecVersion,
    algorithm: Algorithm,
    valid_to: Option<String>,
    number: Zeroizing<String>,
}

impl IssuerFile {
    fn into_card(self, holder: HolderData, proof: CardProof) -> SocialCard {
        let Self { identification, version, algorithm, valid_to, number } = self;
        SocialCard { identification, version, algorithm, valid_to, number, holder, proof }
    }
}

/// Reads the card in both steps, authenticated by `authority`.
///
/// # Errors
/// When the card is removed or cannot be used.
pub fn read_card(
    card: &mut dyn CardTransport,
    authority: &mut dyn CardAuthority,
    nonces: Nonces,
) -> Result<SocialCard, ReadFault> {
    match begin_reading(card, OldAlgorithmPolicy::Limit, &[], nonces)? {
        ReadStep::Complete(card) => Ok(*card),
        ReadStep::NeedsAuthentication(guarded) => match authority.authenticate(guarded.request()) {
            Ok(answer) => guarded.finish(card, &answer),
            Err(fault) => {
                tracing::warn!(%fault, "card not authenticated: card read in part");
                Ok(guarded.into_partial())
            }
        },
    }
}

/// Step 1: selects the application and reads EF05, each record by its tag. Then gets a challenge from a card whose version
/// begins with 3, and reads EF06 of an older card.
///
/// `atr_history`: historical bytes of the answer to reset. `nonces` must be fresh.
///
/// # Errors
/// When the card is removed or cannot be used.
pub fn begin_reading(
    card: &mut dyn CardTransport,
    older: OldAlgorithmPolicy,
    atr_history: &[u8],
    nonces: Nonces,
) -> Result<ReadStep, ReadFault> {
    let algorithm = select_application(card)?.map_err(ReadFault::Refused)?;
    if older == OldAlgorithmPolicy::Refuse && algorithm != Algorithm::Sm4 {
        return Err(ReadFault::Refused(CardReadRefusal::OldAlgorithm));
    }
    let issuer = read_issuer_file(card, algorithm)?;
    if issuer.version != SpecVersion::V3 {
        let holder = read_holder_file(card)?;
        return Ok(ReadStep::Complete(Box::new(issuer.into_card(holder, CardProof::NotAuthenticated))));
    }
    if algorithm != Algorithm::Sm4 {
        return Ok(ReadStep::Complete(Box::new(
            issuer.into_card(HolderData::NeedsAuthentication, CardProof::NotAuthenticated),
        )));
    }
    // Every third-generation card supports GET CHALLENGE; a card that does not is not genuine.
    let challenge = get_challenge(card)?.ok_or(ReadFault::Refused(CardReadRefusal::AuthenticationFailed))?;
    let request = AuthRequest {
        area: issuer.identification.get(..6).unwrap_or_default().to_owned(),
        identification: issuer.identification.clone(),
        version: issuer.version,
        algorithm,
        atr_history: atr_history.to_vec(),
        challenge,
        nonces,
    };
    Ok(ReadStep::NeedsAuthentication(Box::new(PendingCard { issuer, request })))
}

impl PendingCard {
    /// The request to the authority.
    #[must_use]
    pub const fn request(&self) -> &AuthRequest {
        &self.request
    }

    /// Step 2: authenticates the card, then the authority to the card, and reads EF06.
    ///
    /// # Errors
    /// When the card is removed, card authentication fails, or the records hold invalid data.
    pub fn finish(self, card: &mut dyn CardTransport, answer: &AuthAnswer) -> Result<SocialCard, ReadFault> {
        const UNPROVEN: ReadFault = ReadFault::Refused(CardReadRefusal::AuthenticationFailed);
        let Nonces { internal_factor, internal_source, .. } = &self.request.nonces;
        let cryptogram = internal_authenticate(card, internal_factor, internal_source)?.ok_or(UNPROVEN)?;
        if cryptogram.as_slice() != answer.internal.as_slice() {
            return Err(UNPROVEN);
        }
        // Only after the card is known to be genuine: a cryptogram under a key other than the card's would use up one of the
        // card's tries.
        if !external_authenticate(card, &answer.external)? {
            return Err(UNPROVEN);
        }
        match read_holder_file(card)? {
            HolderData::Read(holder) => {
                Ok(self.issuer.into_card(HolderData::Read(holder), CardProof::Authenticated))
            }
            // The card accepted the cryptogram and still refuses EF06.
            HolderData::NeedsAuthentication => Err(ReadFault::Refused(CardReadRefusal::Incomplete)),
        }
    }

    /// The card as far as it was read without authentication.
    #[must_use]
    pub fn into_partial(self) -> SocialCard {
        self.issuer.into_card(HolderData::NeedsAuthentication, CardProof::NotAuthenticated)
    }
}

fn read_issuer_file(card: &mut dyn CardTransport, algorithm: Algorithm) -> Result<IssuerFile, ReadFault> {
    const GARBAGE: ReadFault = ReadFault::Refused(CardReadRefusal::InvalidData);
    if select_file(card, EF05)? != StatusWord::DONE {
        return Err(ReadFault::Refused(CardReadRefusal::Incomplete));
    }
    let identification = to_hex(&read_record(card, 0x01, 16)?);
    let version = decode_padded_text(&read_record(card, 0x03, 4)?)?;
    let version = SpecVersion::parse(&version).ok_or(GARBAGE)?;
    let valid_to = parse_packed_date(&read_record(card, 0x06, 4)?)?;
    let number = decode_padded_text(&read_record(card, 0x07, 9)?)?;
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(GARBAGE);
    }
    Ok(IssuerFile { identification, version, algorithm, valid_to, number })
}

fn read_holder_file(card: &mut dyn CardTransport) -> Result<HolderData, ReadFault> {
    match select_file(card, EF06)? {
        StatusWord::DONE => {}
        StatusWord::SECURITY => return Ok(HolderData::NeedsAuthentication),
        StatusWord { .. } => return Err(ReadFault::Refused(CardReadRefusal::Incomplete)),
    }
    let id_number = match try_read_record(card, 0x08, 18)? {
        Ok(value) => decode_padded_text(&value)?,
        Err(StatusWord::SECURITY) => return Ok(HolderData::NeedsAuthentication),
        Err(StatusWord { .. }) => return Err(ReadFault::Refused(CardReadRefusal::Incomplete)),
    };
    if !citizen_number::is_valid(&id_number) {
        return Err(ReadFault::Refused(CardReadRefusal::InvalidData));
    }
    let mut name_bytes = Zeroizing::new(Vec::with_capacity(30 + 20));
    name_bytes.extend_from_slice(&trim_padding(&read_record(card, 0x09, 30)?));
    if name_bytes.len() >= NAME_EXTENSION_MIN {
        match try_read_record(card, 0x4E, 20)? {
            Ok(extension) => name_bytes.extend_from_slice(&trim_padding(&extension)),
            // Old cards have no extension and answer 6A83 or another 6Axx. After any other error the name would be
            // incomplete, so the card is refused.
            Err(StatusWord { sw1: 0x6A, .. }) => {}
            Err(StatusWord { .. }) => return Err(ReadFault::Refused(CardReadRefusal::Incomplete)),
        }
    }
    let name = decode_text(&name_bytes)?;
    if name.is_empty() {
        return Err(ReadFault::Refused(CardReadRefusal::InvalidData));
    }
    Ok(HolderData::Read(CardHolder { id_number, name }))
}

#[cfg(test)]
mod tests;
