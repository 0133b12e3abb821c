//! What the card driver read, in the words of the session.

use card::{Holder, PinOutcome, Refusal, SocialCard};
use contract::CardEvidence;
use session::{CardEvent, CardRefusal, Failure, PinAnswer};

/// What the platform is asked about a card that was read. The driver's copy is wiped when it is dropped,
/// this one when the kiosk drops it.
pub(super) fn read(card: &SocialCard) -> CardEvent {
    let (id_number, name) = match &card.holder {
        Holder::Read(holder) => {
            (Some(holder.id_number.as_str().to_owned()), Some(holder.name.as_str().to_owned()))
        }
        Holder::NeedsAuthority => (None, None),
    };
    let evidence = CardEvidence {
        identification: card.identification.as_str().to_owned(),
        number: card.number.as_str().to_owned(),
        version: card.version.as_str().to_owned(),
        id_number,
        name,
    };
    CardEvent::Read { evidence, valid_to: card.valid_to.clone() }
}

/// Why a card cannot be used, as far as the resident can act on it.
pub(super) const fn refusal(refusal: Refusal) -> CardRefusal {
    match refusal {
        Refusal::NotSocialSecurity => CardRefusal::Foreign,
        Refusal::Mute => CardRefusal::Mute,
        Refusal::Garbage | Refusal::Incomplete => CardRefusal::Damaged,
        Refusal::Blocked => CardRefusal::Blocked,
    }
}

/// What the card said to a PIN. A card that cannot check one says nothing about it.
pub(super) const fn pin(outcome: PinOutcome) -> Result<PinAnswer, Failure> {
    match outcome {
        PinOutcome::Verified => Ok(PinAnswer::Verified),
        PinOutcome::Wrong { tries_left } => Ok(PinAnswer::Wrong { tries_left }),
        PinOutcome::Locked => Ok(PinAnswer::Locked),
        PinOutcome::NotPossible => Err(Failure::Device),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use card::{Algorithm, CardHolder, Sex, SpecVersion};

    fn card(holder: Holder) -> SocialCard {
        SocialCard {
            identification: "500000D1560000050000000000000001".to_owned().into(),
            version: SpecVersion::V3,
            algorithm: Algorithm::Sm4,
            issued: "20200101".into(),
            valid_to: Some("20300101".into()),
            number: "A12345678".to_owned().into(),
            holder,
        }
    }

    fn evidence(holder: Holder) -> CardEvidence {
        let CardEvent::Read { evidence, valid_to } = read(&card(holder)) else { panic!("it was read") };
        assert_eq!(valid_to.as_deref(), Some("20300101"));
        evidence
    }

    #[test]
    fn a_card_that_was_read_wholly_gives_its_holder() {
        let holder = CardHolder {
            id_number: "500101199001011239".to_owned().into(),
            name: "张三丰".to_owned().into(),
            sex: Sex::Male,
        };
        let evidence = evidence(Holder::Read(holder));
        assert_eq!(evidence.identification, "500000D1560000050000000000000001");
        assert_eq!((evidence.number.as_str(), evidence.version.as_str()), ("A12345678", "3.00"));
        assert_eq!(evidence.id_number.as_deref(), Some("500101199001011239"));
        assert_eq!(evidence.name.as_deref(), Some("张三丰"));
    }

    #[test]
    fn a_card_that_needs_authority_gives_only_itself() {
        let evidence = evidence(Holder::NeedsAuthority);
        assert_eq!((&evidence.id_number, &evidence.name), (&None, &None));
    }
}
