//! Signed codes: level, single use, validity, clock trust, with a link and without.

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

/// A phone with a session certificate that is valid at `WALL`.
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

/// An event with card revocations, applied in order, which are in force until `expires`.
pub(crate) fn stops(entries: &[(CardName, UnixMs)], expires: UnixMs) -> Event {
    let mut trust = believed();
    let revoked: Vec<_> = entries.iter().map(|(card, ends)| Revoked { who: *card, ends: *ends }).collect();
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

/// A kiosk that judges codes, with a synchronised clock, without a link.
fn offline() -> Bench {
    let mut fixture = Bench::set_up(setup_with_codes(), OpenWork::default());
    for device in [Device::CardReader, Device::CodeReader, Device::Printer] {
        fixture.event(Event::Health(device, Health::Ready));
    }
    fixture.event(Event::ClockHeard(0));
    fixture.event(trust(&[]));
    fixture
}

fn online() -> Bench {
    let mut fixture = offline();
    fixture.event(Event::Link(true));
    fixture
}

fn assert_refused(fixture: &mut Bench, event: Event, word: TextId) {
    let verified = fixture.count(|entry| matches!(entry, Entry::CodeVerified { .. }));
    fixture.event(event);
    assert_eq!(fixture.outcome().word, word.into());
    assert_eq!(fixture.count(|entry| matches!(entry, Entry::CodeVerified { .. })), verified);
    fixture.touch(Intent::Go);
}

#[test]
fn offline_code_without_link_gives_level_1_and_is_recorded() {
    let (mut fixture, phone) = (offline(), Phone::new(3));
    fixture.event(phone.shows(WALL));
    assert_eq!(fixture.title(), TextId::MenuTitle);
    assert_eq!(fixture.view().header.who, Some(TextId::WhoByCode.into()));
    let [Entry::CodeVerified { holder, slot: Some(900), offline: true, visit, .. }, second] =
        &fixture.log[fixture.log.len() - 2..]
    else {
        panic!("expected a used-code record, then an identification: {:?}", fixture.log)
    };
    assert_eq!(*holder, phone.holder);
    let Entry::Identified { visit: of, resident, evidence, level, .. } = second else { panic!("{second:?}") };
    assert_eq!((of, *resident), (visit, Pseudonym::of_holder(phone.holder)));
    assert_eq!((*evidence, *level), (Evidence::OfflineCode, Level::Recognised));
}

#[test]
fn offline_code_repeated_is_refused_as_used_then_stale() {
    let (mut fixture, phone) = (offline(), Phone::new(3));
    fixture.event(phone.shows(WALL));
    fixture.touch(Intent::Leave);
    assert_refused(&mut fixture, phone.shows(WALL), TextId::CodeUsed);
    fixture.wait(20_000);
    assert_refused(&mut fixture, phone.shows(WALL), TextId::CodeStale);
    fixture.event(phone.shows(WALL + 20_000));
    assert_eq!(fixture.title(), TextId::MenuTitle, "a new code of the phone is accepted");
}

#[test]
fn used_offline_code_is_refused_after_crash() {
    let phone = Phone::new(3);
    let mut before = offline();
    before.event(phone.shows(WALL));
    let mark = before.log.iter().find_map(|entry| match entry {
        Entry::CodeVerified { holder, slot: Some(slot), until, .. } => Some((holder.mark(*slot), *until)),
        _ => None,
    });
    let open = OpenWork { code_marks: mark.into_iter().collect(), ..OpenWork::default() };
    let mut fixture = Bench::set_up(setup_with_codes(), open);
    fixture.event(Event::Health(Device::CodeReader, Health::Ready));
    fixture.event(Event::ClockHeard(0));
    fixture.event(trust(&[]));
    assert_refused(&mut fixture, phone.shows(WALL), TextId::CodeUsed);
}

#[test]
fn offline_code_forged_stale_early_or_revoked_is_refused() {
    let forged = Phone::of(3, &Issuer::new(1, SigningKey::from_bytes(&[0x52; 32]).unwrap()));
    let unknown = Phone::of(3, &Issuer::new(9, SigningKey::from_bytes(&[0x51; 32]).unwrap()));
    let phone = Phone::new(3);
    let mut fixture = offline();
    assert_refused(&mut fixture, forged.shows(WALL), TextId::CodeUnknown);
    assert_refused(&mut fixture, unknown.shows(WALL), TextId::CodeUnknown);
    assert_refused(&mut fixture, phone.shows(WALL - 20_000), TextId::CodeStale);
    assert_refused(&mut fixture, phone.shows(WALL + 20_000), TextId::CodeEarly);
    fixture.event(trust(&[phone.holder]));
    assert_refused(&mut fixture, phone.shows(WALL), TextId::CodeRevoked);
    fixture.event(Phone::new(4).shows(WALL));
    assert_eq!(fixture.title(), TextId::MenuTitle, "another phone is accepted");
}

#[test]
fn offline_code_without_keys_or_revocations_is_refused() {
    let mut fixture = Bench::set_up(setup_with_codes(), OpenWork::default());
    fixture.event(Event::Health(Device::CodeReader, Health::Ready));
    assert_refused(&mut fixture, Phone::new(3).shows(WALL), TextId::ClockDoubt);
    fixture.event(Event::ClockHeard(0));
    assert_refused(&mut fixture, Phone::new(3).shows(WALL), TextId::CodeNeedsLink);
    fixture.event(trust(&[]));
    fixture.wait(DAY);
    assert_refused(&mut fixture, Phone::new(3).shows(WALL), TextId::CodeNeedsLink);
}

#[test]
fn offline_code_with_untrusted_clock_is_refused() {
    for (synchronised_at, floor) in [(WALL - 73 * 3_600_000, 0), (WALL - 1000, WALL + 120_000)] {
        let open = OpenWork {
            clock_heard: Some((UnixMs(synchronised_at), 0)),
            clock_floor: UnixMs(floor),
            ..OpenWork::default()
        };
        let mut fixture = Bench::set_up(setup_with_codes(), open);
        fixture.event(Event::Health(Device::CodeReader, Health::Ready));
        fixture.event(trust(&[]));
        assert_refused(&mut fixture, Phone::new(3).shows(WALL), TextId::ClockDoubt);
    }
    let open = OpenWork { clock_heard: Some((UnixMs(WALL - 3_600_000), 0)), ..OpenWork::default() };
    let mut fixture = Bench::set_up(setup_with_codes(), open);
    fixture.event(trust(&[]));
    fixture.event(Phone::new(3).shows(WALL));
    assert_eq!(fixture.title(), TextId::MenuTitle, "one hour without synchronisation is accepted");
}

#[test]
fn offline_code_is_judged_by_platform_time() {
    let mut fixture = Bench::set_up(setup_with_codes(), OpenWork::default());
    fixture.event(Event::ClockHeard(100_000));
    fixture.event(trust(&[]));
    assert!(matches!(fixture.log.last(), Some(Entry::ClockHeard { offset_ms: 100_000, .. })));
    assert_refused(&mut fixture, Phone::new(3).shows(WALL), TextId::CodeStale);
    fixture.event(Phone::new(3).shows(WALL + 100_000));
    assert_eq!(fixture.title(), TextId::MenuTitle);
}

#[test]
fn offline_code_platform_unreachable_falls_back_to_kiosk() {
    let (mut fixture, phone) = (online(), Phone::new(3));
    fixture.event(phone.shows(WALL));
    let (ticket, work) = fixture.work();
    assert!(matches!(work, Work::Identify(_)));
    assert!(matches!(fixture.log.last(), Some(Entry::CodeVerified { offline: false, .. })));
    fixture.event(Event::Answer(ticket, Err(Failure::Unreachable)));
    assert_eq!(fixture.title(), TextId::MenuTitle);
    fixture.touch(Intent::Leave);

    fixture.event(phone.shows(WALL + 4_000));
    let (ticket, _) = fixture.work();
    fixture.event(Event::Answer(ticket, Err(Failure::Problem(ProblemCode::CodeUsed))));
    assert_eq!(fixture.outcome().word, TextId::CodeUsed.into(), "used at another kiosk before");
}

#[test]
fn level_above_evidence_is_limited() {
    let mut fixture = online();
    fixture.event(Phone::new(3).shows(WALL));
    let (ticket, _) = fixture.work();
    let mut answered = identified(Evidence::OfflineCode);
    answered.level = Level::InPerson;
    fixture.event(Event::Answer(ticket, Ok(Answer::Identified(answered))));
    let level = fixture.log.iter().find_map(|entry| match entry {
        Entry::Identified { level, .. } => Some(*level),
        _ => None,
    });
    assert_eq!(level, Some(Level::Recognised));
}

#[test]
fn visit_begun_offline_opens_no_service_after_link_returns() {
    let mut fixture = offline();
    fixture.event(Phone::new(3).shows(WALL));
    let details = |fixture: &Bench| match fixture.view().body {
        Body::Menu(tiles) => {
            assert!(tiles.iter().all(|tile| !tile.enabled));
            tiles.into_iter().map(|tile| tile.detail).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    // A service that acts on a card is unavailable in a visit by code, with a link and without.
    let all = |fixture: &Bench, word: TextId| {
        details(fixture).iter().all(|detail| [word.into(), TextId::TileNeedsCard.into()].contains(detail))
    };
    assert!(all(&fixture, TextId::TileNeedsLink));
    fixture.event(Event::Link(true));
    assert!(all(&fixture, TextId::TileCodeAgain));
    fixture.touch(Intent::Open(0));
    assert_eq!(fixture.title(), TextId::MenuTitle);
    assert!(fixture.effects.is_empty(), "no request and no charge");
}

#[test]
fn paper_code_can_be_shown_again_until_revoked() {
    let issuer = Issuer::new(1, SigningKey::from_bytes(&[0x51; 32]).unwrap());
    let terms = PaperTerms {
        capabilities: Capabilities(1),
        alias: Alias([8; 8]),
        issued_at: seconds(WALL) - 86_400,
        days: 30,
    };
    let text = PaperCode::issue(&terms, &issuer).unwrap().to_text();
    let mut fixture = offline();
    for _ in 0..2 {
        fixture.event(shown(&text));
        assert_eq!(fixture.title(), TextId::MenuTitle);
        fixture.touch(Intent::Leave);
    }
    fixture.event(trust(&[CodeHolder::of(&[8; 8])]));
    assert_refused(&mut fixture, shown(&text), TextId::CodeRevoked);
}

/// A visit by an offline code that the platform identified, at the challenge for a service with payment.
fn at_challenge(phone: &Phone) -> (Bench, Challenge) {
    let mut fixture = online();
    fixture.event(phone.shows(WALL));
    let (ticket, _) = fixture.work();
    fixture.event(Event::Answer(ticket, Ok(Answer::Identified(identified(Evidence::OfflineCode)))));
    fixture.open("水费缴纳");
    let challenge = challenge_on(&fixture);
    (fixture, challenge)
}

fn challenge_on(fixture: &Bench) -> Challenge {
    match fixture.view().body {
        Body::Scan(scan) => scan.qr.parse().unwrap(),
        other => panic!("expected a challenge: {other:?}"),
    }
}

fn problem(fixture: &Bench) -> Option<Text> {
    fixture.view().banners.first().map(|banner| banner.title.clone())
}

fn is_proven(fixture: &Bench) -> bool {
    fixture.log.iter().any(|entry| {
        matches!(
            entry,
            Entry::EvidenceGiven { evidence: Evidence::ChallengeAnswered, level: Level::Proven, .. }
        )
    })
}

#[test]
fn phone_step_up_for_payment_records_evidence_and_opens() {
    let phone = Phone::new(3);
    let (mut fixture, challenge) = at_challenge(&phone);
    fixture.event(phone.answers(&challenge, WALL));
    let (ticket, work) = fixture.work();
    let Work::Prove(request) = work else { panic!("expected a report of evidence") };
    assert!(matches!(&request.given, Given::ChallengeAnswer { nonce, .. } if nonce.len() == 32));
    assert!(!is_proven(&fixture));
    let answered = EvidenceAnswer { evidence: Evidence::ChallengeAnswered, level: Level::Proven };
    fixture.event(Event::Answer(ticket, Ok(Answer::Evidence(answered))));
    assert!(is_proven(&fixture));
    assert!(matches!(fixture.work().1, Work::Call(_)), "the service is opened");
}

/// The alias is new with each certificate: only the platform knows whether the phone is the same resident's.
#[test]
fn answer_code_of_other_certificate_is_sent_to_platform() {
    let phone = Phone::new(3);
    let (mut fixture, challenge) = at_challenge(&phone);
    fixture.event(Phone::new(4).answers(&challenge, WALL));
    let (ticket, work) = fixture.work();
    assert!(matches!(work, Work::Prove(_)));
    fixture.event(Event::Answer(ticket, Err(Failure::Problem(ProblemCode::ChallengeFailed))));
    assert_eq!(problem(&fixture), Some(TextId::ProveOtherPhone.into()));
    assert!(!is_proven(&fixture));
}

#[test]
fn answer_code_of_other_challenge_or_picture_is_rejected() {
    let phone = Phone::new(3);
    let (mut fixture, challenge) = at_challenge(&phone);
    let other_challenge = Challenge { device: "K-VP-0002".parse().unwrap(), ..challenge };
    for (event, word) in [
        (phone.shows(WALL + 4_000), TextId::ProveShowsCode),
        (shown(&code(4)), TextId::ProveShowsCode),
        (phone.answers(&other_challenge, WALL), TextId::ProveWrong),
        (phone.answers(&challenge, WALL - 30_000), TextId::ProveWrong),
        (shown("https://example.com/"), TextId::ProveWrong),
    ] {
        fixture.event(event);
        assert_eq!(problem(&fixture), Some(word.into()));
    }
    fixture.touch(Intent::Back);
    fixture.open("水费缴纳");
    assert_ne!(challenge_on(&fixture), challenge, "each challenge has a new nonce");
    fixture.event(phone.answers(&challenge, WALL));
    assert_eq!(problem(&fixture), Some(TextId::ProveWrong.into()));
    assert!(!is_proven(&fixture) && fixture.charges().is_empty());
}

#[test]
fn answer_code_refused_by_platform_does_not_raise_level() {
    let phone = Phone::new(3);
    for (answer, word) in [
        (Err(Failure::Problem(ProblemCode::ChallengeFailed)), TextId::ProveOtherPhone),
        (Err(Failure::Unreachable), TextId::NoLink),
        (
            Ok(Answer::Evidence(EvidenceAnswer { evidence: Evidence::CardRead, level: Level::InPerson })),
            TextId::ProveWrong,
        ),
    ] {
        let (mut fixture, challenge) = at_challenge(&phone);
        fixture.event(phone.answers(&challenge, WALL));
        let (ticket, _) = fixture.work();
        fixture.event(Event::Answer(ticket, answer));
        assert_eq!(problem(&fixture), Some(word.into()));
        assert!(!is_proven(&fixture));
    }
}

#[test]
fn view_after_visit_shows_no_personal_data() {
    let (mut fixture, _) = at_challenge(&Phone::new(3));
    fixture.touch(Intent::Leave);
    let view = fixture.view();
    assert_eq!(view.header.who, None);
    assert!(!format!("{view:?}").contains(NAME) && !format!("{view:?}").contains(ID_NUMBER));
    fixture.event(Phone::new(3).shows(WALL + 4_000));
    assert!(matches!(fixture.work().1, Work::Identify(_)), "the challenge ended with the visit");
}

#[test]
fn used_code_limit_reached_refuses_codes() {
    let used_codes = (0..4096).map(|at| (format!("mark {at}"), UnixMs(WALL + 60_000))).collect();
    let mut fixture =
        Bench::set_up(setup_with_codes(), OpenWork { code_marks: used_codes, ..OpenWork::default() });
    fixture.event(Event::ClockHeard(0));
    fixture.event(trust(&[]));
    assert_refused(&mut fixture, Phone::new(3).shows(WALL), TextId::CodeUsed);
    fixture.wait(61_000);
    fixture.event(Phone::new(3).shows(WALL + 61_000));
    assert_eq!(fixture.title(), TextId::MenuTitle);
}

/// A reduced projection of the open work, as the journal crate computes it.
fn open_work_of(log: &[Entry]) -> OpenWork {
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
fn random_codes_are_accepted_once_within_evidence_level() {
    let phones: Vec<Phone> = (1..=3).map(Phone::new).collect();
    let (mut accepted, mut crashes, mut refusals) = (0, 0, 0);
    for seed in 1..=20_u64 {
        let mut rng = crate::seeded::Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut fixture = offline();
        for _ in 0..60 {
            match rng.roll(12) {
                0 => {
                    let open = open_work_of(&fixture.log);
                    fixture = fixture.crashed(setup_with_codes(), open);
                    fixture.event(Event::Health(Device::CodeReader, Health::Ready));
                    fixture.event(trust(&[]));
                    crashes += 1;
                }
                1 => fixture.event(Event::Link(rng.roll(2) == 0)),
                2 => fixture.wait(rng.roll(30_000)),
                3 => fixture.touch(Intent::Leave),
                4 => fixture.touch(Intent::Open(0)),
                5 if !fixture.effects.is_empty() => {
                    let session::Effect::Do { ticket, work, .. } = fixture.effects.remove(0) else {
                        continue;
                    };
                    let mut answered = identified(Evidence::OfflineCode);
                    answered.level = Level::InPerson;
                    let answer = match (work, rng.roll(2)) {
                        (Work::Identify(_), 0) => Ok(Answer::Identified(answered)),
                        _ => Err(Failure::Unreachable),
                    };
                    fixture.event(Event::Answer(ticket, answer));
                }
                _ => {
                    // A current code, or a picture of one at most half a minute old.
                    let age = if rng.roll(2) == 0 { 0 } else { rng.roll(30_000) };
                    let phone = &phones[usize::try_from(rng.roll(3)).unwrap()];
                    let before = fixture.log.len();
                    fixture.event(phone.shows(fixture.wall() - age));
                    refusals += usize::from(fixture.log.len() == before);
                }
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        for entry in &fixture.log {
            match entry {
                Entry::CodeVerified { holder, slot: Some(slot), .. } => {
                    assert!(seen.insert((*holder, *slot)), "seed {seed}: a code was accepted twice");
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
        "insufficient coverage: {accepted} acceptances, {crashes} crashes, {refusals} refusals"
    );
}
