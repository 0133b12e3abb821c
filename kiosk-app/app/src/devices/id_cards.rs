//! Converts from the ID card reader's types to those of the session.

use contract::IdCardEvidence;
use device::wire::IdCardHolder;
use id_reader::IdReadRefusal;
use session::{IdCardEvent, IdCardRefusal};

/// The event of an ID card that was read, with the evidence for the platform. The device's copy is wiped when it
/// is dropped, this one when the kiosk drops it.
pub(super) fn id_card_event(holder: &IdCardHolder) -> IdCardEvent {
    let evidence = IdCardEvidence {
        id_number: holder.number.as_str().to_owned(),
        name: holder.name.as_str().to_owned(),
    };
    IdCardEvent::Read { evidence, valid_to: holder.valid_to.clone() }
}

/// Why an ID card cannot be used, reduced to what the resident can act on. A failed mutual authentication counts
/// as unreadable: a badly placed card causes it too, and a kiosk must not accuse a resident of forgery.
pub(super) const fn id_card_refusal(refusal: IdReadRefusal) -> IdCardRefusal {
    match refusal {
        IdReadRefusal::NotAnIdCard => IdCardRefusal::Unsupported,
        IdReadRefusal::Unreadable | IdReadRefusal::NotAccepted => IdCardRefusal::NotRead,
        IdReadRefusal::InvalidData => IdCardRefusal::Damaged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_card_event_keeps_holder_and_expiry() {
        let holder = IdCardHolder {
            number: "500103199003070017".to_owned().into(),
            name: "张三丰".to_owned().into(),
            valid_to: Some("20400101".into()),
        };
        let IdCardEvent::Read { evidence, valid_to } = id_card_event(&holder) else { panic!("it was read") };
        assert_eq!((evidence.id_number.as_str(), evidence.name.as_str()), ("500103199003070017", "张三丰"));
        assert_eq!(valid_to.as_deref(), Some("20400101"));
    }
}
