//! Signed codes: what they are worth, once, for how long, by which clock, with a link and without.

use std::sync::Arc;

use contract::{
    CardName, Challenge, CodeHolder, Entry, Evidence, EvidenceAnswer, Given, IssuerKey, IssuerKeys, Level,
    ProblemCode, Pseudonym, Revocations, Revoked, SecretKey, UnixMs,
};
use resident_code::{
    Alias, Capabilities, Issuer, PaperCode, PaperTerms, SessionCertificate, SessionTerms, SigningKey,
};
use session::{Answer, CodeTrust, Device, Event, Failure, Health, OpenWork, Work};
use view::{Body, Intent, Text, TextId};

use crate::bench::{Bench, ID_NUMBER, NAME, WALL, code, identified, setup_with_codes};

pub(crate) const DAY: u64 = 86_400_000;

/// A phone with a certificate of today.
pub(crate) struct Phone {
    key: SigningKey,
    certificate: SessionCertificate,
    pub(crate) holder: CodeHolder,
}

impl Phone {
    pub(crate) fn of(number: u8, issuer: &Issuer) -> Self {
        let (key, alias) = (SigningKey::from_bytes(&[number; 32]).unwrap(), [number; 8]);
        let terms = SessionTerms {
            capabilities: Capabilities(1),
            alias: Alias(alias),
            issued_at: seconds(WALL) - 3600,
            lifetime: 96,
            session_key: key.public(),
        };
        let certificate = SessionCertificate::issue(&terms, issuer).unwrap();
        Self { key, certificate, holder: CodeHolder::of(&alias) }
    }

    pub(crate) fn new(number: u8) -> Self {
        Self::of(number, &Issuer::new(1, SigningKey::from_bytes(&[0x51; 32]).unwrap()))
    }

    pub(crate) fn shows(&self, at: u64) -> Event {
        shown(&self.certificate.present(&self.key, seconds(at)).unwrap().to_text())
    }

    fn answers(&self, challenge: &Challenge, at: u64) -> Event {
        shown(&self.certificate.answer(&self.key, &challenge.to_be_signed(), seconds(at)).unwrap().to_text())
    }
}

fn seconds(ms: u64) -> u32 {
    u32::try_from(ms / 1000).unwrap()
}

fn shown(text: &str) -> Event {
    Event::Code(text.as_bytes().to_vec().into())
}

fn revocations(since: u64, revoked: &[CodeHolder]) -> Revocations {
    let revoked: Vec<_> =
        revoked.iter().map(|holder| Revoked { who: *holder, ends: UnixMs(WALL + DAY) }).collect();
    let until = since + u64::try_from(revoked.len()).unwrap();
    Revocations { city: "YK".into(), since, until, expires: UnixMs(WALL + DAY), revoked }
}

pub(crate) fn trust(revoked: &[CodeHolder]) -> Event {
    let mut trust = believed();
    trust.take_delta(&revocations(0, revoked), UnixMs(WALL));
    Event::Codes(Arc::new(trust))
}

/// The same of cards: what was said of each, in its order, and for how long it holds.
pub(crate) fn stops(said: &[(CardName, UnixMs)], expires: UnixMs) -> Event {
    let mut trust = believed();
    let revoked: Vec<_> = said.iter().map(|(card, ends)| Revoked { who: *card, ends: *ends }).collect();
    let until = u64::try_from(revoked.len()).unwrap();
    let delta = Revocations { city: "YK".into(), since: 0, until, expires, revoked };
    trust.take_stops(&delta, UnixMs(WALL));
    Event::Codes(Arc::new(trust))
}

fn believed() -> CodeTrust {
    let key = SecretKey::from_bytes(&[0x51; 32]).unwrap().public();
    let (not_before, not_after) = (UnixMs(0), UnixMs(WALL + 30 * DAY));
    let mut trust = CodeTrust::default();
    trust.take_keys(IssuerKeys {
        city: "YK".into(),
        version: 1,
        not_before,
        not_after,
        revoker: SecretKey::from_bytes(&[9; 32]).unwrap().public(),
        issuers: vec![IssuerKey { id: 1, key, not_before, not_after }],
    });
    trust
}

/// A kiosk that judges codes and has heard the platform's clock, without a link.
fn offline() -> Bench {
    let mut bench = Bench::set_up(setup_with_codes(), OpenWork::default());
    for device in [Device::CardReader, Device::CodeReader, Device::Printer] {
        bench.event(Event::Health(device, Health::Ready));
    }
    bench.event(Event::ClockHeard(0));
    bench.event(trust(&[]));
    bench
}

fn online() -> Bench {
    let mut bench = offline();
    bench.event(Event::Link(true));
    bench
}

fn refused(bench: &mut Bench, event: Event, word: TextId) {
    let verified = bench.count(|entry| matches!(entry, Entry::CodeVerified { .. }));
    bench.event(event);
    assert_eq!(bench.outcome().word, word.into());
    assert_eq!(bench.count(|entry| matches!(entry, Entry::CodeVerified { .. })), verified);
    bench.touch(Intent::Go);
}

#[test]
fn without_a_link_an_offline_code_is_worth_level_1_and_its_mark_is_recorded_first() {
    let (mut bench, phone) = (offline(), Phone::new(3));
    bench.event(phone.shows(WALL));
    assert_eq!(bench.title(), TextId::MenuTitle);
    assert_eq!(bench.view().header.who, Some(TextId::WhoByCode.into()));
    let [Entry::CodeVerified { holder, slot: Some(900), offline: true, visit, .. }, second] =
        &bench.log[bench.log.len() - 2..]
    else {
        panic!("a mark, then an identity: {:?}", bench.log)
    };
    assert_eq!(*holder, phone.holder);
    let Entry::Identified { visit: of, resident, evidence, level, .. } = second else { panic!("{second:?}") };
    assert_eq!((of, *resident), (visit, Pseudonym::of_holder(phone.holder)));
    assert_eq!((*evidence, *level), (Evidence::OfflineCode, Level::Recognised));
}

#[test]
fn the_same_picture_is_refused_at_once_and_after_its_time_for_its_age() {
    let (mut bench, phone) = (offline(), Phone::new(3));
    bench.event(phone.shows(WALL));
    bench.touch(Intent::Leave);
    refused(&mut bench, phone.shows(WALL), TextId::CodeUsed);
    bench.wait(20_000);
    refused(&mut bench, phone.shows(WALL), TextId::CodeStale);
    bench.event(phone.shows(WALL + 20_000));
    assert_eq!(bench.title(), TextId::MenuTitle, "the phone itself is not held up");
}

#[test]
fn a_mark_outlives_a_crash() {
    let phone = Phone::new(3);
    let mut before = offline();
    before.event(phone.shows(WALL));
    let mark = before.log.iter().find_map(|entry| match entry {
        Entry::CodeVerified { holder, slot: Some(slot), until, .. } => Some((holder.mark(*slot), *until)),
        _ => None,
    });
    let open = OpenWork { code_marks: mark.into_iter().collect(), ..OpenWork::default() };
    let mut bench = Bench::set_up(setup_with_codes(), open);
    bench.event(Event::Health(Device::CodeReader, Health::Ready));
    bench.event(Event::ClockHeard(0));
    bench.event(trust(&[]));
    refused(&mut bench, phone.shows(WALL), TextId::CodeUsed);
}

#[test]
fn what_is_not_the_citys_or_not_of_now_is_refused_by_its_own_words() {
    let forged = Phone::of(3, &Issuer::new(1, SigningKey::from_bytes(&[0x52; 32]).unwrap()));
    let unknown = Phone::of(3, &Issuer::new(9, SigningKey::from_bytes(&[0x51; 32]).unwrap()));
    let phone = Phone::new(3);
    let mut bench = offline();
    refused(&mut bench, forged.shows(WALL), TextId::CodeUnknown);
    refused(&mut bench, unknown.shows(WALL), TextId::CodeUnknown);
    refused(&mut bench, phone.shows(WALL - 20_000), TextId::CodeStale);
    refused(&mut bench, phone.shows(WALL + 20_000), TextId::CodeEarly);
    bench.event(trust(&[phone.holder]));
    refused(&mut bench, phone.shows(WALL), TextId::CodeRevoked);
    bench.event(Phone::new(4).shows(WALL));
    assert_eq!(bench.title(), TextId::MenuTitle, "another phone is not held up");
}

#[test]
fn until_keys_and_revocations_are_there_no_code_is_accepted_alone() {
    let mut bench = Bench::set_up(setup_with_codes(), OpenWork::default());
    bench.event(Event::Health(Device::CodeReader, Health::Ready));
    refused(&mut bench, Phone::new(3).shows(WALL), TextId::ClockDoubt);
    bench.event(Event::ClockHeard(0));
    refused(&mut bench, Phone::new(3).shows(WALL), TextId::CodeNeedsLink);
    bench.event(trust(&[]));
    bench.wait(DAY);
    refused(&mut bench, Phone::new(3).shows(WALL), TextId::CodeNeedsLink);
}

#[test]
fn a_clock_that_went_back_or_was_too_long_alone_judges_nothing() {
    for (heard, floor) in [(WALL - 73 * 3_600_000, 0), (WALL - 1000, WALL + 120_000)] {
        let open = OpenWork {
            clock_heard: Some((UnixMs(heard), 0)),
            clock_floor: UnixMs(floor),
            ..OpenWork::default()
        };
        let mut bench = Bench::set_up(setup_with_codes(), open);
        bench.event(Event::Health(Device::CodeReader, Health::Ready));
        bench.event(trust(&[]));
        refused(&mut bench, Phone::new(3).shows(WALL), TextId::ClockDoubt);
    }
    let open = OpenWork { clock_heard: Some((UnixMs(WALL - 3_600_000), 0)), ..OpenWork::default() };
    let mut bench = Bench::set_up(setup_with_codes(), open);
    bench.event(trust(&[]));
    bench.event(Phone::new(3).shows(WALL));
    assert_eq!(bench.title(), TextId::MenuTitle, "an hour alone is nothing");
}

#[test]
fn codes_are_judged_by_the_platforms_time_and_not_by_the_kiosks() {
    let mut bench = Bench::set_up(setup_with_codes(), OpenWork::default());
    bench.event(Event::ClockHeard(100_000));
    bench.event(trust(&[]));
    assert!(matches!(bench.log.last(), Some(Entry::ClockHeard { offset_ms: 100_000, .. })));
    refused(&mut bench, Phone::new(3).shows(WALL), TextId::CodeStale);
    bench.event(Phone::new(3).shows(WALL + 100_000));
    assert_eq!(bench.title(), TextId::MenuTitle);
}

#[test]
fn with_a_link_the_platform_says_who_it_is_and_without_its_answer_the_code_is_worth_what_it_is_worth() {
    let (mut bench, phone) = (online(), Phone::new(3));
    bench.event(phone.shows(WALL));
    let (ticket, work) = bench.work();
    assert!(matches!(work, Work::Identify(_)));
    assert!(matches!(bench.log.last(), Some(Entry::CodeVerified { offline: false, .. })));
    bench.event(Event::Answer(ticket, Err(Failure::Unreachable)));
    assert_eq!(bench.title(), TextId::MenuTitle);
    bench.touch(Intent::Leave);

    bench.event(phone.shows(WALL + 4_000));
    let (ticket, _) = bench.work();
    bench.event(Event::Answer(ticket, Err(Failure::Problem(ProblemCode::CodeUsed))));
    assert_eq!(bench.outcome().word, TextId::CodeUsed.into(), "shown at another kiosk a moment ago");
}

#[test]
fn the_platform_cannot_raise_a_level_above_its_evidence() {
    let mut bench = online();
    bench.event(Phone::new(3).shows(WALL));
    let (ticket, _) = bench.work();
    let mut told = identified(Evidence::OfflineCode);
    told.level = Level::InPerson;
    bench.event(Event::Answer(ticket, Ok(Answer::Identified(told))));
    let level = bench.log.iter().find_map(|entry| match entry {
        Entry::Identified { level, .. } => Some(*level),
        _ => None,
    });
    assert_eq!(level, Some(Level::Recognised));
}

#[test]
fn a_visit_that_began_alone_opens_no_service_of_the_platform_even_when_the_link_is_back() {
    let mut bench = offline();
    bench.event(Phone::new(3).shows(WALL));
    let details = |bench: &Bench| match bench.view().body {
        Body::Menu(tiles) => {
            assert!(tiles.iter().all(|tile| !tile.enabled));
            tiles.into_iter().map(|tile| tile.detail).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    // What is about a card is closed to whoever came by code, with a link and without.
    let all = |bench: &Bench, word: TextId| {
        details(bench).iter().all(|detail| [word.into(), TextId::TileNeedsCard.into()].contains(detail))
    };
    assert!(all(&bench, TextId::TileNeedsLink));
    bench.event(Event::Link(true));
    assert!(all(&bench, TextId::TileCodeAgain));
    bench.touch(Intent::Open(0));
    assert_eq!(bench.title(), TextId::MenuTitle);
    assert!(bench.effects.is_empty(), "nothing was asked and nothing charged");
}

#[test]
fn a_paper_code_is_level_1_and_can_be_shown_again() {
    let issuer = Issuer::new(1, SigningKey::from_bytes(&[0x51; 32]).unwrap());
    let terms = PaperTerms {
        capabilities: Capabilities(1),
        alias: Alias([8; 8]),
        issued_at: seconds(WALL) - 86_400,
        days: 30,
    };
    let text = PaperCode::issue(&terms, &issuer).unwrap().to_text();
    let mut bench = offline();
    for _ in 0..2 {
        bench.event(shown(&text));
        assert_eq!(bench.title(), TextId::MenuTitle);
        bench.touch(Intent::Leave);
    }
    bench.event(trust(&[CodeHolder::of(&[8; 8])]));
    refused(&mut bench, shown(&text), TextId::CodeRevoked);
}

/// In front of the service that pays, by an offline code that the platform knows.
fn asked(phone: &Phone) -> (Bench, Challenge) {
    let mut bench = online();
    bench.event(phone.shows(WALL));
    let (ticket, _) = bench.work();
    bench.event(Event::Answer(ticket, Ok(Answer::Identified(identified(Evidence::OfflineCode)))));
    bench.open("水费缴纳");
    let challenge = challenge_on(&bench);
    (bench, challenge)
}

fn challenge_on(bench: &Bench) -> Challenge {
    match bench.view().body {
        Body::Scan(scan) => scan.qr.parse().unwrap(),
        other => panic!("no challenge: {other:?}"),
    }
}

fn problem(bench: &Bench) -> Option<Text> {
    bench.view().banners.first().map(|banner| banner.title.clone())
}

fn proven(bench: &Bench) -> bool {
    bench.log.iter().any(|entry| {
        matches!(
            entry,
            Entry::EvidenceGiven { evidence: Evidence::ChallengeAnswered, level: Level::Proven, .. }
        )
    })
}

#[test]
fn money_takes_the_phone_itself_and_its_answer_is_recorded_before_the_level_rises() {
    let phone = Phone::new(3);
    let (mut bench, challenge) = asked(&phone);
    bench.event(phone.answers(&challenge, WALL));
    let (ticket, work) = bench.work();
    let Work::Prove(request) = work else { panic!("the platform is asked") };
    assert!(matches!(&request.given, Given::ChallengeAnswer { nonce, .. } if nonce.len() == 32));
    assert!(!proven(&bench));
    let told = EvidenceAnswer { evidence: Evidence::ChallengeAnswered, level: Level::Proven };
    bench.event(Event::Answer(ticket, Ok(Answer::Evidence(told))));
    assert!(proven(&bench));
    assert!(matches!(bench.work().1, Work::Call(_)), "and the service is open");
}

/// The alias is new with each certificate: whether it is the same resident's phone is the platform's to say.
#[test]
fn an_answer_under_another_certificate_is_for_the_platform_to_judge() {
    let phone = Phone::new(3);
    let (mut bench, challenge) = asked(&phone);
    bench.event(Phone::new(4).answers(&challenge, WALL));
    let (ticket, work) = bench.work();
    assert!(matches!(work, Work::Prove(_)));
    bench.event(Event::Answer(ticket, Err(Failure::Problem(ProblemCode::ChallengeFailed))));
    assert_eq!(problem(&bench), Some(TextId::ProveOtherPhone.into()));
    assert!(!proven(&bench));
}

#[test]
fn a_relayed_picture_and_another_challenge_prove_nothing() {
    let phone = Phone::new(3);
    let (mut bench, challenge) = asked(&phone);
    let elsewhere = Challenge { device: "K-VP-0002".parse().unwrap(), ..challenge };
    for (event, word) in [
        (phone.shows(WALL + 4_000), TextId::ProveShowsCode),
        (shown(&code(4)), TextId::ProveShowsCode),
        (phone.answers(&elsewhere, WALL), TextId::ProveWrong),
        (phone.answers(&challenge, WALL - 30_000), TextId::ProveWrong),
        (shown("https://example.com/"), TextId::ProveWrong),
    ] {
        bench.event(event);
        assert_eq!(problem(&bench), Some(word.into()));
    }
    bench.touch(Intent::Back);
    bench.open("水费缴纳");
    assert_ne!(challenge_on(&bench), challenge, "each asking draws anew");
    bench.event(phone.answers(&challenge, WALL));
    assert_eq!(problem(&bench), Some(TextId::ProveWrong.into()));
    assert!(!proven(&bench) && bench.charges().is_empty());
}

#[test]
fn the_platform_may_refuse_an_answer_and_then_nothing_has_risen() {
    let phone = Phone::new(3);
    for (answer, word) in [
        (Err(Failure::Problem(ProblemCode::ChallengeFailed)), TextId::ProveOtherPhone),
        (Err(Failure::Unreachable), TextId::NoLink),
        (
            Ok(Answer::Evidence(EvidenceAnswer { evidence: Evidence::CardRead, level: Level::InPerson })),
            TextId::ProveWrong,
        ),
    ] {
        let (mut bench, challenge) = asked(&phone);
        bench.event(phone.answers(&challenge, WALL));
        let (ticket, _) = bench.work();
        bench.event(Event::Answer(ticket, answer));
        assert_eq!(problem(&bench), Some(word.into()));
        assert!(!proven(&bench));
    }
}

#[test]
fn nothing_of_the_person_is_on_screen_after_the_visit() {
    let (mut bench, _) = asked(&Phone::new(3));
    bench.touch(Intent::Leave);
    let view = bench.view();
    assert_eq!(view.header.who, None);
    assert!(!format!("{view:?}").contains(NAME) && !format!("{view:?}").contains(ID_NUMBER));
    bench.event(Phone::new(3).shows(WALL + 4_000));
    assert!(matches!(bench.work().1, Work::Identify(_)), "no challenge is left");
}

#[test]
fn no_more_codes_are_accepted_than_can_be_remembered() {
    let marks = (0..4096).map(|at| (format!("mark {at}"), UnixMs(WALL + 60_000))).collect();
    let mut bench = Bench::set_up(setup_with_codes(), OpenWork { code_marks: marks, ..OpenWork::default() });
    bench.event(Event::ClockHeard(0));
    bench.event(trust(&[]));
    refused(&mut bench, Phone::new(3).shows(WALL), TextId::CodeUsed);
    bench.wait(61_000);
    bench.event(Phone::new(3).shows(WALL + 61_000));
    assert_eq!(bench.title(), TextId::MenuTitle);
}

/// What the log's fold gives back, here by hand.
fn fold(log: &[Entry]) -> OpenWork {
    let mut open = OpenWork::default();
    for entry in log {
        match entry {
            Entry::CodeVerified { visit, holder, slot: Some(slot), until, .. } => {
                open.visit = Some(*visit);
                open.code_marks.push((holder.mark(*slot), *until));
            }
            Entry::ClockHeard { platform, offset_ms } => open.clock_heard = Some((*platform, *offset_ms)),
            Entry::VisitClosed { .. } => open.visit = None,
            _ => {}
        }
    }
    open
}

#[test]
fn whatever_happens_a_code_is_accepted_once_and_no_level_is_above_its_evidence() {
    let phones: Vec<Phone> = (1..=3).map(Phone::new).collect();
    let (mut accepted, mut crashes, mut refusals) = (0, 0, 0);
    for seed in 1..=20_u64 {
        let mut dice = crate::seeded::Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut bench = offline();
        for _ in 0..60 {
            match dice.roll(12) {
                0 => {
                    let open = fold(&bench.log);
                    bench = bench.crashed(setup_with_codes(), open);
                    bench.event(Event::Health(Device::CodeReader, Health::Ready));
                    bench.event(trust(&[]));
                    crashes += 1;
                }
                1 => bench.event(Event::Link(dice.roll(2) == 0)),
                2 => bench.wait(dice.roll(30_000)),
                3 => bench.touch(Intent::Leave),
                4 => bench.touch(Intent::Open(0)),
                5 if !bench.effects.is_empty() => {
                    let session::Effect::Do { ticket, work, .. } = bench.effects.remove(0) else { continue };
                    let mut told = identified(Evidence::OfflineCode);
                    told.level = Level::InPerson;
                    let answer = match (work, dice.roll(2)) {
                        (Work::Identify(_), 0) => Ok(Answer::Identified(told)),
                        _ => Err(Failure::Unreachable),
                    };
                    bench.event(Event::Answer(ticket, answer));
                }
                _ => {
                    // Live, or one of the pictures taken in the last half minute.
                    let age = if dice.roll(2) == 0 { 0 } else { dice.roll(30_000) };
                    let phone = &phones[usize::try_from(dice.roll(3)).unwrap()];
                    let before = bench.log.len();
                    bench.event(phone.shows(bench.wall() - age));
                    refusals += usize::from(bench.log.len() == before);
                }
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        for entry in &bench.log {
            match entry {
                Entry::CodeVerified { holder, slot: Some(slot), .. } => {
                    assert!(seen.insert((*holder, *slot)), "seed {seed}: one code twice");
                    accepted += 1;
                }
                Entry::Identified { evidence, level, .. } | Entry::EvidenceGiven { evidence, level, .. } => {
                    assert!(*level <= evidence.most(), "seed {seed}: {level:?} by {evidence:?}");
                }
                _ => {}
            }
        }
    }
    assert!(
        accepted > 100 && crashes > 20 && refusals > 100,
        "the dice must reach acceptances ({accepted}), crashes ({crashes}) and refusals ({refusals})"
    );
}
