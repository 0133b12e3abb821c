//! Converts between the card driver's types and those of session and contract.

use card::{AuthAnswer, AuthRequest, CardProof, CardReadRefusal, HolderData, PinOutcome, SocialCard};
use contract::{
    CardAuthAnswer, CardChallenge, CardEvidence, CardReaderSettings, HexBytes, Signature, StaffProof,
};
use device::wire::DeviceConfig;
use session::{CardEvent, CardRefusal, Failure, PinAnswer};

/// Configuration of the card driver: which reader, which PSAM, and how older cards are treated.
pub(super) fn reader_config(path: &CardReaderSettings) -> DeviceConfig {
    let older = match path.older_cards {
        contract::LegacyCardPolicy::Limit => card::OldAlgorithmPolicy::Limit,
        contract::LegacyCardPolicy::Refuse => card::OldAlgorithmPolicy::Refuse,
    };
    DeviceConfig::Card { reader: path.reader.clone(), psam: path.psam.clone(), older }
}

/// The question to the platform about a card that waits for its authentication; `None` when the card's
/// identification is malformed.
pub(super) fn card_challenge(request: &AuthRequest) -> Option<CardChallenge> {
    let nonces = &request.nonces;
    Some(CardChallenge {
        area: request.area.clone(),
        identification: request.identification.parse().ok()?,
        version: request.version.as_str().to_owned(),
        algorithm: request.algorithm.number(),
        atr_history: contract::to_hex(&request.atr_history),
        challenge: HexBytes(request.challenge),
        internal_factor: HexBytes(nonces.internal_factor),
        internal_source: HexBytes(nonces.internal_source),
        external_factor: HexBytes(nonces.external_factor),
    })
}

/// The platform's answer in the card driver's type.
pub(super) fn auth_answer(answer: &CardAuthAnswer) -> AuthAnswer {
    AuthAnswer { internal: answer.internal.0.into(), external: answer.external.0.into() }
}

/// The event of a card that was read, with the evidence for the platform. The driver's copy is wiped when it is
/// dropped, this one when the kiosk drops it.
pub(super) fn card_event(card: &SocialCard) -> CardEvent {
    let (id_number, name) = match &card.holder {
        HolderData::Read(holder) => {
            (Some(holder.id_number.as_str().to_owned()), Some(holder.name.as_str().to_owned()))
        }
        HolderData::NeedsAuthentication => (None, None),
    };
    let evidence = CardEvidence {
        identification: card.identification.as_str().to_owned(),
        number: card.number.as_str().to_owned(),
        version: card.version.as_str().to_owned(),
        id_number,
        name,
        authenticated: card.proof == CardProof::Authenticated,
    };
    CardEvent::Read { evidence, valid_to: card.valid_to.clone() }
}

/// The proof of a staff card; `None` when its signature has the wrong length.
pub(super) fn staff_proof(proof: card::StaffCardProof) -> Option<StaffProof> {
    let signature = Signature(proof.signature.try_into().ok()?);
    Some(StaffProof { name: proof.name, challenge: proof.challenge, signature })
}

/// Why a card cannot be used, reduced to what the resident can act on.
pub(super) const fn card_refusal(refusal: CardReadRefusal) -> CardRefusal {
    match refusal {
        CardReadRefusal::NotSocialSecurity => CardRefusal::Unsupported,
        CardReadRefusal::NotResponding => CardRefusal::NotResponding,
        CardReadRefusal::InvalidData | CardReadRefusal::Incomplete => CardRefusal::Damaged,
        CardReadRefusal::Blocked => CardRefusal::Blocked,
        // Both can be examined at a service desk, not at a kiosk.
        CardReadRefusal::AuthenticationFailed | CardReadRefusal::OldAlgorithm => CardRefusal::NotAuthentic,
    }
}

/// The card's answer to a PIN.
pub(super) const fn pin_answer(outcome: PinOutcome) -> Result<PinAnswer, Failure> {
    match outcome {
        PinOutcome::Verified => Ok(PinAnswer::Verified),
        PinOutcome::Wrong { tries_left } => Ok(PinAnswer::Wrong { tries_left }),
        PinOutcome::Locked => Ok(PinAnswer::Locked),
        PinOutcome::NotPossible => Ok(PinAnswer::Unsupported),
        PinOutcome::Unknown => Err(Failure::InvalidResponse),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use card::{Algorithm, CardHolder, Nonces, SpecVersion};

    fn card(holder: HolderData) -> SocialCard {
        let proof = match holder {
            HolderData::Read(_) => CardProof::Authenticated,
            HolderData::NeedsAuthentication => CardProof::NotAuthenticated,
        };
        SocialCard {
            identification: "500000D1560000050000000000000001".to_owned().into(),
            version: SpecVersion::V3,
            algorithm: Algorithm::Sm4,
            valid_to: Some("20300101".into()),
            number: "A12345678".to_owned().into(),
            holder,
            proof,
        }
    }

    fn evidence(holder: HolderData) -> CardEvidence {
        let CardEvent::Read { evidence, valid_to } = card_event(&card(holder)) else { panic!("it was read") };
        assert_eq!(valid_to.as_deref(), Some("20300101"));
        evidence
    }

    #[test]
    fn evidence_of_authenticated_card_has_holder() {
        let holder = CardHolder {
            id_number: "500101199001011239".to_owned().into(),
            name: "张三丰".to_owned().into(),
        };
        let evidence = evidence(HolderData::Read(holder));
        assert_eq!(evidence.identification, "500000D1560000050000000000000001");
        assert_eq!((evidence.number.as_str(), evidence.version.as_str()), ("A12345678", "3.00"));
        assert_eq!(evidence.id_number.as_deref(), Some("500101199001011239"));
        assert_eq!(evidence.name.as_deref(), Some("张三丰"));
        assert!(evidence.authenticated);
    }

    #[test]
    fn evidence_of_unauthenticated_card_has_no_holder() {
        let evidence = evidence(HolderData::NeedsAuthentication);
        assert_eq!((&evidence.id_number, &evidence.name, evidence.authenticated), (&None, &None, false));
    }

    #[test]
    fn challenge_copies_all_fields_and_refuses_malformed_name() {
        let mut request = AuthRequest {
            area: "500103".into(),
            identification: "500103D1560000050010300000000000".to_owned().into(),
            version: SpecVersion::V3,
            algorithm: Algorithm::Sm4,
            atr_history: vec![0x81, 0x0A],
            challenge: [1; 8],
            nonces: Nonces { internal_factor: [2; 8], internal_source: [3; 8], external_factor: [4; 8] },
        };
        let question = card_challenge(&request).unwrap();
        assert_eq!(question.identification.0[..5], [0x50, 0x01, 0x03, 0xD1, 0x56]);
        assert_eq!(
            (question.area.as_str(), question.version.as_str(), question.algorithm),
            ("500103", "3.00", 3)
        );
        assert_eq!(question.atr_history, "810a");
        assert_eq!((question.challenge.0, question.internal_factor.0), ([1; 8], [2; 8]));
        assert_eq!((question.internal_source.0, question.external_factor.0), ([3; 8], [4; 8]));
        for wrong in ["", "500103", "500103D15600000500103000000000XY"] {
            request.identification = wrong.to_owned().into();
            assert!(card_challenge(&request).is_none(), "{wrong}");
        }
        let answer = CardAuthAnswer { internal: HexBytes([5; 8]), external: HexBytes([6; 16]) };
        let for_card = auth_answer(&answer);
        assert_eq!((*for_card.internal, *for_card.external), ([5; 8], [6; 16]));
    }
}
