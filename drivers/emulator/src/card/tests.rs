use super::*;

fn resident(version: &str) -> BenchResident {
    let toml = include_str!("../../../../assets/residents.toml");
    #[derive(serde::Deserialize)]
    struct File {
        resident: Vec<BenchResident>,
    }
    let mut one = toml::from_str::<File>(toml).unwrap().resident.remove(0);
    one.card.version = version.into();
    one
}

fn select(card: &mut EmulatedCard) -> Vec<u8> {
    card.respond(&[&[0x00, 0xA4, 0x04, 0x00, 0x0F], SOCIAL_SECURITY_AID].concat())
}

#[test]
fn second_generation_card_reads_record_by_tag_with_right_le() {
    let mut card = EmulatedCard::for_resident(&resident("2.00"), CardFlaw::None);
    let [0x61, length] = select(&mut card)[..] else { panic!("61xx") };
    let fci = card.respond(&[0x00, 0xC0, 0x00, 0x00, length]);
    assert_eq!(fci.first(), Some(&0x6F));
    assert_eq!(card.respond(&[0x00, 0xA4, 0x00, 0x00, 0x02, 0xEF, 0x06]), [0x90, 0x00]);
    assert_eq!(card.respond(&[0x00, 0xB2, 0x08, 0x00, 0x00]), [0x6C, 20]);
    let record = card.respond(&[0x00, 0xB2, 0x08, 0x00, 20]);
    assert_eq!((record[0], record[1], record.len()), (0x08, 18, 22));
    assert_eq!(card.respond(&[0x00, 0xB2, 0x4E, 0x00, 0x00]), [0x6A, 0x83]);
}

#[test]
fn third_generation_card_refuses_holder_file_unauthenticated() {
    let mut card = EmulatedCard::for_resident(&resident("3.00"), CardFlaw::None);
    select(&mut card);
    assert_eq!(card.respond(&[0x00, 0xA4, 0x00, 0x00, 0x02, 0xEF, 0x06]), [0x69, 0x82]);
}

/// EXTERNAL AUTHENTICATE with the cryptogram that a PSAM or HSM with these root keys computes.
fn cryptogram(city: &CityCardKeys, resident: &BenchResident, challenge: [u8; 8]) -> Vec<u8> {
    let identification = packed_bcd(&resident.card.identification, 16).try_into().unwrap();
    let said =
        authentication_cryptogram(&city.derive_for_card(&identification).external, &[9; 8], &challenge);
    [&[0x00, 0x82, 0x00, 0x0A, 0x10], said.as_slice(), &[9; 8]].concat()
}

fn challenge(card: &mut EmulatedCard) -> [u8; 8] {
    card.respond(&[0x00, 0x84, 0x00, 0x00, 0x08])[..8].try_into().unwrap()
}

#[test]
fn external_authenticate_needs_right_key_and_fresh_challenge() {
    let resident = resident("3.00");
    let holder = [0x00, 0xA4, 0x00, 0x00, 0x02, 0xEF, 0x06];
    let mut card = EmulatedCard::for_resident(&resident, CardFlaw::None);
    select(&mut card);
    let first = challenge(&mut card);
    let wrong = cryptogram(&CityCardKeys::new(&[1; 32]), &resident, first);
    assert_eq!(card.respond(&wrong), [0x63, 0x00]);
    let late = cryptogram(&CityCardKeys::for_tests(), &resident, first);
    assert_eq!(card.respond(&late), [0x69, 0x85], "a challenge is used once");
    let second = challenge(&mut card);
    assert_ne!(first, second);
    assert_eq!(card.respond(&late), [0x63, 0x00], "the answer to another challenge");
    let third = challenge(&mut card);
    assert_eq!(card.respond(&holder), [0x69, 0x82]);
    assert_eq!(card.respond(&cryptogram(&CityCardKeys::for_tests(), &resident, third)), [0x90, 0x00]);
    assert_eq!(card.respond(&holder), [0x90, 0x00]);
    card.reset();
    select(&mut card);
    assert_eq!(card.respond(&holder), [0x69, 0x82], "a reset clears the authorisation");
}

#[test]
fn internal_authenticate_of_copies_differs_or_is_silent() {
    let resident = resident("3.00");
    let ask = |flaw: CardFlaw, number: u8| {
        let mut card = EmulatedCard::for_resident(&resident, flaw);
        select(&mut card);
        let command = [&[0x00, 0x88, 0x00, 0x00, 0x10], [number; 16].as_slice()].concat();
        match card.respond(&command)[..] {
            [0x61, 8] => card.respond(&[0x00, 0xC0, 0x00, 0x00, 8]),
            _ => Vec::new(),
        }
    };
    assert_eq!(ask(CardFlaw::None, 1).len(), 10);
    assert_ne!(ask(CardFlaw::None, 1), ask(CardFlaw::None, 2));
    assert_ne!(ask(CardFlaw::Cloned, 1), ask(CardFlaw::None, 1));
    assert_eq!(ask(CardFlaw::Replayed, 1), ask(CardFlaw::Replayed, 2));
    assert!(ask(CardFlaw::NoAuthentication, 1).is_empty());
}

#[test]
fn psam_computes_card_cryptogram_only_in_its_application() {
    let resident = resident("3.00");
    let city = CityCardKeys::for_tests();
    let identification: [u8; 16] = packed_bcd(&resident.card.identification, 16).try_into().unwrap();
    let mut psam = EmulatedCard::new_psam(&city);
    let init = [&[0x80, 0x1A, 0x27, 0x00, 0x20], identification.as_slice(), &[1; 8], &[0xFE; 8]].concat();
    let crypt = [&[0x80, 0xFA, 0x00, 0x00, 0x10], [2; 8].as_slice(), &[0; 8]].concat();
    assert_eq!(psam.respond(&init), [0x69, 0x85]);
    assert_eq!(psam.respond(&[0x00, 0xA4, 0x00, 0x00, 0x02, 0xDF, 0x01]), [0x90, 0x00]);
    assert_eq!(psam.respond(&crypt), [0x69, 0x85]);
    assert_eq!(psam.respond(&init), [0x90, 0x00]);
    assert_eq!(psam.respond(&crypt), [0x61, 16]);
    let block = psam.respond(&[0x00, 0xC0, 0x00, 0x00, 16]);
    let folded: Vec<u8> = (0..8).map(|at| block[at] ^ block[at + 8]).collect();
    assert_eq!(
        folded,
        authentication_cryptogram(&city.derive_for_card(&identification).internal, &[1; 8], &[2; 8])
    );
}

#[test]
fn pin_counter_counts_survives_reset_and_locks() {
    let mut card = EmulatedCard::for_resident(&resident("2.00"), CardFlaw::None);
    let wrong = [0x00, 0x20, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00];
    let right = [0x00, 0x20, 0x00, 0x00, 0x03, 0x73, 0x09, 0x14];
    assert_eq!(card.respond(&wrong), [0x63, 0xC2]);
    assert_eq!(card.respond(&right), [0x90, 0x00]);
    for left in [2, 1, 0] {
        assert_eq!(card.respond(&wrong), [0x63, 0xC0 | left]);
        card.reset();
    }
    assert_eq!(card.respond(&right), [0x69, 0x83]);
}

#[test]
fn bank_card_has_no_social_security_application() {
    assert_eq!(select(&mut EmulatedCard::new_bank_card()), [0x6A, 0x82]);
}
