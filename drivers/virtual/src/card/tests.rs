use super::*;

fn resident(version: &str) -> Resident {
    let toml = include_str!("../../../../assets/residents.toml");
    #[derive(serde::Deserialize)]
    struct File {
        resident: Vec<Resident>,
    }
    let mut one = toml::from_str::<File>(toml).unwrap().resident.remove(0);
    one.card.version = version.into();
    one
}

fn select(card: &mut VirtualCard) -> Vec<u8> {
    card.answer(&[&[0x00, 0xA4, 0x04, 0x00, 0x0F], SSSE].concat())
}

#[test]
fn second_generation_card_reads_record_by_tag_with_right_le() {
    let mut card = VirtualCard::of(&resident("2.00"), Flaw::None);
    let [0x61, length] = select(&mut card)[..] else { panic!("61xx") };
    let fci = card.answer(&[0x00, 0xC0, 0x00, 0x00, length]);
    assert_eq!(fci.first(), Some(&0x6F));
    assert_eq!(card.answer(&[0x00, 0xA4, 0x00, 0x00, 0x02, 0xEF, 0x06]), [0x90, 0x00]);
    assert_eq!(card.answer(&[0x00, 0xB2, 0x08, 0x00, 0x00]), [0x6C, 20]);
    let record = card.answer(&[0x00, 0xB2, 0x08, 0x00, 20]);
    assert_eq!((record[0], record[1], record.len()), (0x08, 18, 22));
    assert_eq!(card.answer(&[0x00, 0xB2, 0x4E, 0x00, 0x00]), [0x6A, 0x83]);
}

#[test]
fn third_generation_card_refuses_holder_file_unauthenticated() {
    let mut card = VirtualCard::of(&resident("3.00"), Flaw::None);
    select(&mut card);
    assert_eq!(card.answer(&[0x00, 0xA4, 0x00, 0x00, 0x02, 0xEF, 0x06]), [0x69, 0x82]);
}

/// EXTERNAL AUTHENTICATE with the cryptogram that a PSAM or HSM with these root keys computes.
fn cryptogram(city: &CityKey, resident: &Resident, challenge: [u8; 8]) -> Vec<u8> {
    let identification = packed(&resident.card.identification, 16).try_into().unwrap();
    let said = answer(&city.of_card(&identification).external, &[9; 8], &challenge);
    [&[0x00, 0x82, 0x00, 0x0A, 0x10], said.as_slice(), &[9; 8]].concat()
}

fn challenge(card: &mut VirtualCard) -> [u8; 8] {
    card.answer(&[0x00, 0x84, 0x00, 0x00, 0x08])[..8].try_into().unwrap()
}

#[test]
fn external_authenticate_needs_right_key_and_fresh_challenge() {
    let resident = resident("3.00");
    let holder = [0x00, 0xA4, 0x00, 0x00, 0x02, 0xEF, 0x06];
    let mut card = VirtualCard::of(&resident, Flaw::None);
    select(&mut card);
    let first = challenge(&mut card);
    let wrong = cryptogram(&CityKey::new(&[1; 32]), &resident, first);
    assert_eq!(card.answer(&wrong), [0x63, 0x00]);
    let late = cryptogram(&CityKey::test(), &resident, first);
    assert_eq!(card.answer(&late), [0x69, 0x85], "a challenge is used once");
    let second = challenge(&mut card);
    assert_ne!(first, second);
    assert_eq!(card.answer(&late), [0x63, 0x00], "the answer to another challenge");
    let third = challenge(&mut card);
    assert_eq!(card.answer(&holder), [0x69, 0x82]);
    assert_eq!(card.answer(&cryptogram(&CityKey::test(), &resident, third)), [0x90, 0x00]);
    assert_eq!(card.answer(&holder), [0x90, 0x00]);
    card.reset();
    select(&mut card);
    assert_eq!(card.answer(&holder), [0x69, 0x82], "a reset clears the authorisation");
}

#[test]
fn internal_authenticate_of_copies_differs_or_is_silent() {
    let resident = resident("3.00");
    let ask = |flaw: Flaw, number: u8| {
        let mut card = VirtualCard::of(&resident, flaw);
        select(&mut card);
        let command = [&[0x00, 0x88, 0x00, 0x00, 0x10], [number; 16].as_slice()].concat();
        match card.answer(&command)[..] {
            [0x61, 8] => card.answer(&[0x00, 0xC0, 0x00, 0x00, 8]),
            _ => Vec::new(),
        }
    };
    assert_eq!(ask(Flaw::None, 1).len(), 10);
    assert_ne!(ask(Flaw::None, 1), ask(Flaw::None, 2));
    assert_ne!(ask(Flaw::Cloned, 1), ask(Flaw::None, 1));
    assert_eq!(ask(Flaw::Recorded, 1), ask(Flaw::Recorded, 2));
    assert!(ask(Flaw::Deaf, 1).is_empty());
}

#[test]
fn psam_computes_card_cryptogram_only_in_its_application() {
    let resident = resident("3.00");
    let city = CityKey::test();
    let identification: [u8; 16] = packed(&resident.card.identification, 16).try_into().unwrap();
    let mut psam = VirtualCard::psam(&city);
    let init = [&[0x80, 0x1A, 0x27, 0x00, 0x20], identification.as_slice(), &[1; 8], &[0xFE; 8]].concat();
    let crypt = [&[0x80, 0xFA, 0x00, 0x00, 0x10], [2; 8].as_slice(), &[0; 8]].concat();
    assert_eq!(psam.answer(&init), [0x69, 0x85]);
    assert_eq!(psam.answer(&[0x00, 0xA4, 0x00, 0x00, 0x02, 0xDF, 0x01]), [0x90, 0x00]);
    assert_eq!(psam.answer(&crypt), [0x69, 0x85]);
    assert_eq!(psam.answer(&init), [0x90, 0x00]);
    assert_eq!(psam.answer(&crypt), [0x61, 16]);
    let block = psam.answer(&[0x00, 0xC0, 0x00, 0x00, 16]);
    let folded: Vec<u8> = (0..8).map(|at| block[at] ^ block[at + 8]).collect();
    assert_eq!(folded, answer(&city.of_card(&identification).internal, &[1; 8], &[2; 8]));
}

#[test]
fn pin_counter_counts_survives_reset_and_locks() {
    let mut card = VirtualCard::of(&resident("2.00"), Flaw::None);
    let wrong = [0x00, 0x20, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00];
    let right = [0x00, 0x20, 0x00, 0x00, 0x03, 0x73, 0x09, 0x14];
    assert_eq!(card.answer(&wrong), [0x63, 0xC2]);
    assert_eq!(card.answer(&right), [0x90, 0x00]);
    for left in [2, 1, 0] {
        assert_eq!(card.answer(&wrong), [0x63, 0xC0 | left]);
        card.reset();
    }
    assert_eq!(card.answer(&right), [0x69, 0x83]);
}

#[test]
fn bank_card_has_no_social_security_application() {
    assert_eq!(select(&mut VirtualCard::bank()), [0x6A, 0x82]);
}
