use super::*;
use crate::apdu::TransportFault;
use crate::apdu::script::ScriptedCard;
use crate::application::SSSE_AID;
use crate::authority::{AuthorityFault, NoAuthority};
use encoding_rs::GB18030;
use proptest::prelude::*;

const NONCES: Nonces = Nonces { internal_factor: [1; 8], internal_source: [2; 8], external_factor: [3; 8] };
const INTERNAL: [u8; 8] = [0xA1; 8];
const EXTERNAL: [u8; 16] = [0xE0; 16];

/// An authority with given cryptograms: internal, external.
struct ScriptedAuthority([u8; 8], [u8; 16]);

impl CardAuthority for ScriptedAuthority {
    fn authenticate(&mut self, _: &AuthRequest) -> Result<AuthAnswer, AuthorityFault> {
        Ok(AuthAnswer { internal: Zeroizing::new(self.0), external: Zeroizing::new(self.1) })
    }
}

fn read_without_authority(card: &mut dyn CardTransport) -> Result<SocialCard, ReadFault> {
    read_card(card, &mut NoAuthority, NONCES)
}

fn read_with_authority(card: &mut dyn CardTransport) -> Result<SocialCard, ReadFault> {
    read_card(card, &mut ScriptedAuthority(INTERNAL, EXTERNAL), NONCES)
}

fn an(text: &str, length: usize) -> Vec<u8> {
    let mut bytes = GB18030.encode(text).0.into_owned();
    bytes.resize(length, 0);
    bytes
}

fn answer(tag: u8, value: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    let length = value.len() as u8;
    let mut record = vec![tag, length];
    record.extend(value);
    record.extend([0x90, 0x00]);
    (vec![0x00, 0xB2, tag, 0x00, length + 2], record)
}

fn fci(algorithm: u8) -> Vec<u8> {
    let mut inner = vec![0x84, 0x0F];
    inner.extend(SSSE_AID);
    inner.extend([0xA5, 0x06, 0x9F, 0x0C, 0x03, 0x86, 0x01, algorithm]);
    let mut fci = vec![0x6F, inner.len() as u8];
    fci.extend(inner);
    fci.extend([0x90, 0x00]);
    fci
}

/// A 2.00 card of an invented resident.
fn second_generation_card(name: &str) -> ScriptedCard {
    let identification =
        [0x50, 0x01, 0x12, 0xD1, 0x56, 0, 0, 0x05, 0x99, 0x11, 0x01, 0x45, 0xFF, 0xFF, 0xFF, 0xFF];
    let encoded = GB18030.encode(name).0.into_owned();
    let (head, tail) = encoded.split_at(encoded.len().min(30));
    let fill = |bytes: &[u8], length| {
        let mut bytes = bytes.to_vec();
        bytes.resize(length, 0);
        bytes
    };
    let mut answers = vec![
        ([&[0x00, 0xA4, 0x04, 0x00, 0x0F], SSSE_AID.as_slice()].concat(), fci(3)),
        (vec![0x00, 0xA4, 0x00, 0x00, 0x02, 0xEF, 0x05], vec![0x90, 0x00]),
        (vec![0x00, 0xA4, 0x00, 0x00, 0x02, 0xEF, 0x06], vec![0x90, 0x00]),
        answer(0x01, identification.to_vec()),
        answer(0x03, an("2.00", 4)),
        answer(0x06, vec![0x20, 0x36, 0x06, 0x01]),
        answer(0x07, an("A12345678", 9)),
        answer(0x08, an("11010519491231002X", 18)),
        answer(0x09, fill(head, 30)),
    ];
    answers.push(if tail.is_empty() {
        (vec![0x00, 0xB2, 0x4E, 0x00, 22], vec![0x6A, 0x83])
    } else {
        answer(0x4E, fill(tail, 20))
    });
    ScriptedCard::new(answers)
}

/// A 3.00 card of the same resident, which has the issuer's key.
fn third_generation_card(name: &str) -> ScriptedCard {
    let mut script = second_generation_card(name);
    set(&mut script, 0x03, answer(0x03, an("3.00", 4)).1);
    script.answers.extend([
        (vec![0x00, 0x84, 0x00, 0x00, 0x08], vec![7, 7, 7, 7, 7, 7, 7, 7, 0x90, 0x00]),
        (internal(), [INTERNAL.as_slice(), &[0x90, 0x00]].concat()),
        ([&[0x00, 0x82, 0x00, 0x0A, 0x10], EXTERNAL.as_slice()].concat(), vec![0x90, 0x00]),
    ]);
    script
}

fn internal() -> Vec<u8> {
    [&[0x00, 0x88, 0x00, 0x00, 0x10], [1; 8].as_slice(), &[2; 8]].concat()
}

fn set(card: &mut ScriptedCard, tag: u8, answer: Vec<u8>) {
    let at = card.answers.iter().position(|(command, _)| command[..3] == [0x00, 0xB2, tag]).unwrap();
    card.answers[at].1 = answer;
}

fn set_command(card: &mut ScriptedCard, ins: u8, answer: Vec<u8>) {
    let at = card.answers.iter().position(|(command, _)| command[1] == ins).unwrap();
    card.answers[at].1 = answer;
}

#[test]
fn second_generation_card_is_read_in_nine_commands() {
    let mut script = second_generation_card("欧阳雪梅");
    let read = read_without_authority(&mut script).ok().unwrap();
    assert_eq!(read.version, SpecVersion::V2);
    assert_eq!(read.algorithm, Algorithm::Sm4);
    assert_eq!(read.number.as_str(), "A12345678");
    assert_eq!(read.valid_to.as_deref(), Some("20360601"));
    assert_eq!(read.identification.len(), 32);
    assert_eq!(read.proof, CardProof::NotAuthenticated);
    let HolderData::Read(holder) = read.holder else { panic!("the holder") };
    assert_eq!(holder.name.as_str(), "欧阳雪梅");
    assert_eq!(holder.id_number.as_str(), "11010519491231002X");
    assert_eq!(script.sent.len(), 9);
}

#[test]
fn authenticated_third_generation_card_takes_twelve_commands() {
    let mut script = third_generation_card("欧阳雪梅");
    let read = read_with_authority(&mut script).ok().unwrap();
    assert_eq!((read.version, read.proof), (SpecVersion::V3, CardProof::Authenticated));
    assert!(matches!(read.holder, HolderData::Read(_)));
    assert_eq!(script.sent.len(), 12);
}

#[test]
fn auth_request_holds_card_identification_and_nonces() {
    let mut script = third_generation_card("张三");
    let Ok(ReadStep::NeedsAuthentication(pending)) =
        begin_reading(&mut script, OldAlgorithmPolicy::Refuse, &[0xAB], NONCES)
    else {
        panic!("authentication expected")
    };
    let request = pending.request();
    assert_eq!(request.area, "500112");
    assert_eq!(request.identification.as_str(), "500112D15600000599110145FFFFFFFF");
    assert_eq!((request.version, request.algorithm), (SpecVersion::V3, Algorithm::Sm4));
    assert_eq!((request.challenge, request.atr_history.as_slice()), ([7; 8], [0xAB].as_slice()));
    assert_eq!(request.nonces.external_factor, [3; 8]);
}

#[test]
fn long_and_rare_names_are_read_completely() {
    for name in ["李䶮", "𠮷田", "阿依古丽·买买提·吐尔逊江·阿不都热合曼", "阿依古丽·买买提·吐尔逊"]
    {
        for read in [
            read_without_authority(&mut second_generation_card(name)),
            read_with_authority(&mut third_generation_card(name)),
        ] {
            let Ok(SocialCard { holder: HolderData::Read(holder), .. }) = read else { panic!("{name}") };
            assert_eq!(holder.name.as_str(), name);
        }
    }
}

#[test]
fn third_generation_card_without_authority_is_read_in_part() {
    let mut script = third_generation_card("王建国");
    let read = read_without_authority(&mut script).ok().unwrap();
    assert_eq!((read.version, read.proof), (SpecVersion::V3, CardProof::NotAuthenticated));
    assert!(matches!(read.holder, HolderData::NeedsAuthentication));
    assert!(script.sent.iter().all(|command| command[1] != 0x82), "a try of the card was used");
}

#[test]
fn failed_authentication_refuses_card_and_keeps_its_tries() {
    for (ins, response, tried) in [
        // Cryptogram of another key, none, half of one; no challenge.
        (0x88, [[0xA2; 8].as_slice(), &[0x90, 0x00]].concat(), false),
        (0x88, vec![0x6A, 0x88], false),
        (0x88, [&INTERNAL[..4], &[0x90, 0x00]].concat(), false),
        (0x84, vec![0x6D, 0x00], false),
        // The card has the key and refuses the cryptogram.
        (0x82, vec![0x63, 0xC2], true),
        (0x82, vec![0x69, 0x83], true),
    ] {
        let mut script = third_generation_card("王建国");
        set_command(&mut script, ins, response);
        assert_eq!(
            read_with_authority(&mut script).err(),
            Some(ReadFault::Refused(CardReadRefusal::AuthenticationFailed)),
            "{ins:02X}"
        );
        assert_eq!(script.sent.iter().any(|command| command[1] == 0x82), tried, "{ins:02X}");
        assert!(!script.sent.iter().any(|command| command.ends_with(&[0xEF, 0x06])), "EF06 was selected");
    }
}

#[test]
fn card_that_refuses_ef06_after_authentication_is_refused() {
    for refusing in [vec![0x00, 0xA4, 0x00, 0x00, 0x02, 0xEF, 0x06], vec![0x00, 0xB2, 0x08, 0x00, 20]] {
        let mut script = third_generation_card("王建国");
        let at = script.answers.iter().position(|(command, _)| *command == refusing).unwrap();
        script.answers[at].1 = vec![0x69, 0x82];
        assert_eq!(
            read_with_authority(&mut script).err(),
            Some(ReadFault::Refused(CardReadRefusal::Incomplete))
        );
    }
}

#[test]
fn old_algorithms_are_limited_or_refused_by_policy() {
    for (mut script, complete) in
        [(second_generation_card("张三"), true), (third_generation_card("张三"), false)]
    {
        script.answers[0].1 = fci(1);
        let read = read_with_authority(&mut script).ok().unwrap();
        assert_eq!((read.algorithm, read.proof), (Algorithm::Des, CardProof::NotAuthenticated));
        assert_eq!(matches!(read.holder, HolderData::Read(_)), complete);
        let refused = begin_reading(&mut script, OldAlgorithmPolicy::Refuse, &[], NONCES).err();
        assert_eq!(refused, Some(ReadFault::Refused(CardReadRefusal::OldAlgorithm)));
    }
    assert!(
        begin_reading(&mut second_generation_card("张三"), OldAlgorithmPolicy::Refuse, &[], NONCES).is_ok(),
        "SM4"
    );
}

#[test]
fn other_cards_and_invalid_records_are_refused_with_reason() {
    let refused = |change: fn(&mut ScriptedCard)| {
        let mut script = second_generation_card("张三");
        change(&mut script);
        match read_without_authority(&mut script) {
            Err(ReadFault::Refused(refusal)) => refusal,
            other => panic!("{:?}", other.err()),
        }
    };
    assert_eq!(refused(|c| c.answers[0].1 = vec![0x6A, 0x82]), CardReadRefusal::NotSocialSecurity);
    assert_eq!(refused(|c| c.answers[0].1 = vec![0x93, 0x03]), CardReadRefusal::Blocked);
    assert_eq!(refused(|c| set(c, 0x07, vec![0x6A, 0x83])), CardReadRefusal::Incomplete);
    assert_eq!(
        refused(|c| set(c, 0x09, vec![0x09, 0x02, 0xC9, 0xE7, 0x90, 0x00])),
        CardReadRefusal::Incomplete
    );
    assert_eq!(
        refused(|c| set(c, 0x09, vec![0xDE, 0xAD, 0xBE, 0xEF, 0x90, 0x00])),
        CardReadRefusal::InvalidData
    );
    assert_eq!(refused(|c| set(c, 0x03, answer(0x03, an("9.99", 4)).1)), CardReadRefusal::InvalidData);
    assert_eq!(
        refused(|c| set(c, 0x08, answer(0x08, an("110105194912310021", 18)).1)),
        CardReadRefusal::InvalidData
    );
    let no_text = |c: &mut ScriptedCard| {
        let mut name = vec![0x41; 30];
        name[4] = 0xFF;
        set(c, 0x09, answer(0x09, name).1);
    };
    assert_eq!(refused(no_text), CardReadRefusal::InvalidData);
    let half_a_name = |c: &mut ScriptedCard| {
        set(c, 0x09, answer(0x09, vec![0x41; 30]).1);
        set(c, 0x4E, vec![0x65, 0x81]);
    };
    assert_eq!(refused(half_a_name), CardReadRefusal::Incomplete);
}

#[test]
fn truncated_record_is_never_read() {
    let long = "阿依古丽·买买提·吐尔逊江·阿不都热合曼";
    let complete = third_generation_card(long).answers;
    for (at, (command, answer)) in complete.iter().enumerate().skip(3) {
        let body = &answer[..answer.len() - 2];
        for cut in 0..body.len() {
            let mut script = third_generation_card(long);
            script.answers[at].1 = [&body[..cut], &[0x90, 0x00]].concat();
            assert!(
                matches!(read_with_authority(&mut script), Err(ReadFault::Refused(_))),
                "{command:02X?} cut at {cut}"
            );
            script.answers[at].1 = body[..cut].to_vec();
            assert!(
                read_with_authority(&mut script).is_err(),
                "{command:02X?} cut at {cut}, without a status word"
            );
        }
    }
}

#[test]
fn card_removed_at_any_command_is_reported_as_lost() {
    for at in 0..12 {
        let mut script = third_generation_card("张三");
        script.removed_at = Some(at);
        assert_eq!(
            read_with_authority(&mut script).err(),
            Some(ReadFault::Transport(TransportFault::CardLost)),
            "{at}"
        );
    }
}

proptest! {
    #[test]
    fn arbitrary_card_answers_never_panic(
        answers in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 1..20),
    ) {
        struct ArbitraryCard(Vec<Vec<u8>>, usize);
        impl CardTransport for ArbitraryCard {
            fn transmit(&mut self, _: &[u8], response: &mut Vec<u8>) -> Result<(), TransportFault> {
                self.1 += 1;
                response.extend_from_slice(&self.0[self.1 % self.0.len()]);
                if self.1.is_multiple_of(2) { response.extend([0x90, 0x00]); }
                Ok(())
            }
        }
        let _ = read_with_authority(&mut ArbitraryCard(answers, 0)).is_ok();
    }
}
