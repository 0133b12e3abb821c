//! Signed codes: level, single use, validity, clock trust, with a link and without.

use std::sync::Arc;

use contract::{
    CardName, Challenge, CodeHolder, Entry, Evidence, EvidenceAnswer, IssuerKey, IssuerKeys, Level,
    ProblemCode, Pseudonym, Revocations, Revoked, SecretKey, StepUpProof, UnixMs, VisitId,
};
use resident_code::{
    Alias, Capabilities, CodeIssuer, PaperCode, PaperTerms, SessionCertificate, SessionTerms,
};
use session::{CodeTrust, DeviceKind, DeviceState, Durable, Event, Failure, PlatformWork, Work, WorkAnswer};
use view::{Body, Intent, Text, TextId};

use crate::fixture::{Fixture, ID_NUMBER, NAME, WALL, code, fold, identified, setup_with_codes};

pub(crate) const DAY: u64 = 86_400_000;

/// A phone with a session certificate that is valid at `WALL`.
pub(crate) struct Phone {
    key: SecretKey,
    certificate: SessionCertificate,
    pub(crate) holder: CodeHolder,
}

impl Phone {
    pub(crate) fn registered(number: u8, issuer: &CodeIssuer) -> Self {
        let (key, alias) = (SecretKey::from_bytes(&[number; 32]).unwrap(), [number; 8]);
        let terms = SessionTerms {
            capabilities: Capabilities(1),
            alias: Alias(alias),
            issued_at: seconds(WALL) - 3600,
            lifetime_quarters: 96,
            session_key: key.public(),
        };
        let certificate = SessionCertificate::issue(&terms, issuer).unwrap();
        Self { key, certificate, holder: CodeHolder::from_alias(&alias) }
    }

    pub(crate) fn new(number: u8) -> Self {
        Self::registered(number, &CodeIssuer::new(1, SecretKey::from_bytes(&[0x51; 32]).unwrap()))
    }

    pub(crate) fn shows_code(&self, at: u64) -> Event {
        code_scanned(&self.certificate.present(&self.key, seconds(at)).unwrap().to_text())
    }

    fn shows_answer(&self, challenge: &Challenge, at: u64) -> Event {
        code_scanned(
            &self.certificate.answer(&self.key, &challenge.to_be_signed(), seconds(at)).unwrap().to_text(),
        )
    }
}

fn seconds(ms: u64) -> u32 {
    u32::try_from(ms / 1000).unwrap()
}

fn code_scanned(text: &str) -> Event {
    Event::CodeScanned(text.as_bytes().to_vec().into())
}

fn revocations(since: u64, revoked: &[CodeHolder]) -> Revocations {
    let revoked: Vec<_> =
        revoked.iter().map(|holder| Revoked { who: *holder, ends: UnixMs(WALL + DAY) }).collect();
    let until = since + u64::try_from(revoked.len()).unwrap();
    Revocations { city: "YK".into(), since, until, expires: UnixMs(WALL + DAY), revoked }
}

pub(crate) fn code_trust_event(revoked: &[CodeHolder]) -> Event {
    let mut trust = code_trust();
    trust.apply_code_revocations(&revocations(0, revoked), UnixMs(WALL));
    Event::CodeTrustChanged(Arc::new(trust))
}

/// An event with card revocations, applied in order, which are in force until `expires`.
pub(crate) fn card_revocations(entries: &[(CardName, UnixMs)], expires: UnixMs) -> Event {
    let mut trust = code_trust();
    let revoked: Vec<_> = entries.iter().map(|(card, ends)| Revoked { who: *card, ends: *ends }).collect();
    let until = u64::try_from(revoked.len()).unwrap();
    let delta = Revocations { city: "YK".into(), since: 0, until, expires, revoked };
    trust.apply_card_revocations(&delta, UnixMs(WALL));
    Event::CodeTrustChanged(Arc::new(trust))
}

fn code_trust() -> CodeTrust {
    let key = SecretKey::from_bytes(&[0x51; 32]).unwrap().public();
    let (not_before, not_after) = (UnixMs(0), UnixMs(WALL + 30 * DAY));
    let mut trust = CodeTrust::default();
    trust.install_issuer_keys(IssuerKeys {
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
fn offline() -> Fixture {
    let mut fixture = Fixture::set_up(setup_with_codes(), Durable::default());
    for device in [DeviceKind::CardReader, DeviceKind::CodeReader, DeviceKind::ReceiptPrinter] {
        fixture.event(Event::DeviceStateChanged(device, DeviceState::Ready));
    }
    fixture.event(Event::ClockSynchronised(0));
    fixture.event(code_trust_event(&[]));
    fixture
}

fn online() -> Fixture {
    let mut fixture = offline();
    fixture.event(Event::LinkChanged(true));
    fixture
}

fn assert_refused(fixture: &mut Fixture, event: Event, word: TextId) {
    let verified = fixture.count(|entry| matches!(entry, Entry::CodeVerified { .. }));
    fixture.event(event);
    assert_eq!(fixture.shown_outcome().headline, word.into());
    assert_eq!(fixture.count(|entry| matches!(entry, Entry::CodeVerified { .. })), verified);
    fixture.touch(Intent::Primary);
}

#[test]
fn offline_code_without_link_gives_level_1_and_is_recorded() {
    let (mut fixture, phone) = (offline(), Phone::new(3));
    fixture.event(phone.shows_code(WALL));
    assert_eq!(fixture.title(), TextId::MenuTitle);
    assert_eq!(fixture.view().header.resident, Some(TextId::WhoByCode.into()));
    let [Entry::CodeVerified { holder, time_step: Some(900), offline: true, visit, .. }, second] =
        &fixture.log[fixture.log.len() - 2..]
    else {
        panic!("expected a used-code record, then an identification: {:?}", fixture.log)
    };
    assert_eq!(*holder, phone.holder);
    let Entry::Identified { visit: of, resident, evidence, level, .. } = second else { panic!("{second:?}") };
    assert_eq!((of, *resident), (visit, Pseudonym::from_holder(phone.holder)));
    assert_eq!((*evidence, *level), (Evidence::OfflineCode, Level::Recognised));
}

#[test]
fn offline_code_repeated_is_refused_as_used_then_stale() {
    let (mut fixture, phone) = (offline(), Phone::new(3));
    fixture.event(phone.shows_code(WALL));
    fixture.touch(Intent::EndVisit);
    assert_refused(&mut fixture, phone.shows_code(WALL), TextId::CodeUsed);
    fixture.wait(20_000);
    assert_refused(&mut fixture, phone.shows_code(WALL), TextId::CodeStale);
    fixture.event(phone.shows_code(WALL + 20_000));
    assert_eq!(fixture.title(), TextId::MenuTitle, "a new code of the phone is accepted");
}

#[test]
fn used_offline_code_is_refused_after_crash() {
    let phone = Phone::new(3);
    let mut before = offline();
    before.event(phone.shows_code(WALL));
    let mut fixture = Fixture::set_up(setup_with_codes(), before.folded);
    fixture.event(Event::DeviceStateChanged(DeviceKind::CodeReader, DeviceState::Ready));
    fixture.event(Event::ClockSynchronised(0));
    fixture.event(code_trust_event(&[]));
    assert_refused(&mut fixture, phone.shows_code(WALL), TextId::CodeUsed);
}

#[test]
fn offline_code_forged_stale_early_or_revoked_is_refused() {
    let forged = Phone::registered(3, &CodeIssuer::new(1, SecretKey::from_bytes(&[0x52; 32]).unwrap()));
    let unknown = Phone::registered(3, &CodeIssuer::new(9, SecretKey::from_bytes(&[0x51; 32]).unwrap()));
    let phone = Phone::new(3);
    let mut fixture = offline();
    assert_refused(&mut fixture, forged.shows_code(WALL), TextId::CodeUnknown);
    assert_refused(&mut fixture, unknown.shows_code(WALL), TextId::CodeUnknown);
    assert_refused(&mut fixture, phone.shows_code(WALL - 20_000), TextId::CodeStale);
    assert_refused(&mut fixture, phone.shows_code(WALL + 20_000), TextId::CodeEarly);
    fixture.event(code_trust_event(&[phone.holder]));
    assert_refused(&mut fixture, phone.shows_code(WALL), TextId::CodeRevoked);
    fixture.event(Phone::new(4).shows_code(WALL));
    assert_eq!(fixture.title(), TextId::MenuTitle, "another phone is accepted");
}

#[test]
fn offline_code_without_keys_or_revocations_is_refused() {
    let mut fixture = Fixture::set_up(setup_with_codes(), Durable::default());
    fixture.event(Event::DeviceStateChanged(DeviceKind::CodeReader, DeviceState::Ready));
    assert_refused(&mut fixture, Phone::new(3).shows_code(WALL), TextId::ClockDoubt);
    fixture.event(Event::ClockSynchronised(0));
    assert_refused(&mut fixture, Phone::new(3).shows_code(WALL), TextId::CodeNeedsLink);
    fixture.event(code_trust_event(&[]));
    fixture.wait(DAY);
    assert_refused(&mut fixture, Phone::new(3).shows_code(WALL), TextId::CodeNeedsLink);
}

#[test]
fn offline_code_with_untrusted_clock_is_refused() {
    let synchronised = |at: u64| Entry::ClockSynchronised { platform: UnixMs(at), offset_ms: 0 };
    for (synchronised_at, floor) in [(WALL - 73 * 3_600_000, 0), (WALL - 1000, WALL + 120_000)] {
        let mut open = Durable::default();
        open.apply(&synchronised(synchronised_at), UnixMs(floor));
        let mut fixture = Fixture::set_up(setup_with_codes(), open);
        fixture.event(Event::DeviceStateChanged(DeviceKind::CodeReader, DeviceState::Ready));
        fixture.event(code_trust_event(&[]));
        assert_refused(&mut fixture, Phone::new(3).shows_code(WALL), TextId::ClockDoubt);
    }
    let open = fold(&[synchronised(WALL - 3_600_000)]);
    let mut fixture = Fixture::set_up(setup_with_codes(), open);
    fixture.event(code_trust_event(&[]));
    fixture.event(Phone::new(3).shows_code(WALL));
    assert_eq!(fixture.title(), TextId::MenuTitle, "one hour without synchronisation is accepted");
}

#[test]
fn offline_code_is_judged_by_platform_time() {
    let mut fixture = Fixture::set_up(setup_with_codes(), Durable::default());
    fixture.event(Event::ClockSynchronised(100_000));
    fixture.event(code_trust_event(&[]));
    assert!(matches!(fixture.log.last(), Some(Entry::ClockSynchronised { offset_ms: 100_000, .. })));
    assert_refused(&mut fixture, Phone::new(3).shows_code(WALL), TextId::CodeStale);
    fixture.event(Phone::new(3).shows_code(WALL + 100_000));
    assert_eq!(fixture.title(), TextId::MenuTitle);
}

#[test]
fn offline_code_platform_unreachable_falls_back_to_kiosk() {
    let (mut fixture, phone) = (online(), Phone::new(3));
    fixture.event(phone.shows_code(WALL));
    let (ticket, work) = fixture.pending_work();
    assert!(matches!(work, Work::Platform(PlatformWork::Identify(_))));
    assert!(matches!(fixture.log.last(), Some(Entry::CodeVerified { offline: false, .. })));
    fixture.event(Event::WorkAnswered(ticket, Err(Failure::Unreachable)));
    assert_eq!(fixture.title(), TextId::MenuTitle);
    fixture.touch(Intent::EndVisit);

    fixture.event(phone.shows_code(WALL + 4_000));
    let (ticket, _) = fixture.pending_work();
    fixture.event(Event::WorkAnswered(ticket, Err(Failure::Problem(ProblemCode::CodeUsed))));
    assert_eq!(fixture.shown_outcome().headline, TextId::CodeUsed.into(), "used at another kiosk before");
}

#[test]
fn level_above_evidence_is_limited() {
    let mut fixture = online();
    fixture.event(Phone::new(3).shows_code(WALL));
    let (ticket, _) = fixture.pending_work();
    let mut answered = identified(Evidence::OfflineCode);
    answered.level = Level::InPerson;
    fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::Identified(answered))));
    let level = fixture.log.iter().find_map(|entry| match entry {
        Entry::Identified { level, .. } => Some(*level),
        _ => None,
    });
    assert_eq!(level, Some(Level::Recognised));
}

#[test]
fn visit_begun_offline_opens_no_service_after_link_returns() {
    let mut fixture = offline();
    fixture.event(Phone::new(3).shows_code(WALL));
    let details = |fixture: &Fixture| match fixture.view().body {
        Body::Menu(tiles) => {
            assert!(tiles.iter().all(|tile| !tile.enabled));
            tiles.into_iter().map(|tile| tile.detail).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    // A service that acts on a card is unavailable in a visit by code, with a link and without.
    let all = |fixture: &Fixture, word: TextId| {
        details(fixture).iter().all(|detail| [word.into(), TextId::TileNeedsCard.into()].contains(detail))
    };
    assert!(all(&fixture, TextId::TileNeedsLink));
    fixture.event(Event::LinkChanged(true));
    assert!(all(&fixture, TextId::TileCodeAgain));
    fixture.touch(Intent::OpenTile(0));
    assert_eq!(fixture.title(), TextId::MenuTitle);
    assert!(fixture.effects.is_empty(), "no request and no charge");
}

#[test]
fn paper_code_can_be_shown_again_until_revoked() {
    let issuer = CodeIssuer::new(1, SecretKey::from_bytes(&[0x51; 32]).unwrap());
    let terms = PaperTerms {
        capabilities: Capabilities(1),
        alias: Alias([8; 8]),
        issued_at: seconds(WALL) - 86_400,
        lifetime_days: 30,
    };
    let text = PaperCode::issue(&terms, &issuer).unwrap().to_text();
    let mut fixture = offline();
    for _ in 0..2 {
        fixture.event(code_scanned(&text));
        assert_eq!(fixture.title(), TextId::MenuTitle);
        fixture.touch(Intent::EndVisit);
    }
    fixture.event(code_trust_event(&[CodeHolder::from_alias(&[8; 8])]));
    assert_refused(&mut fixture, code_scanned(&text), TextId::CodeRevoked);
}

/// A visit by an offline code that the platform identified, at the challenge for a service with payment.
fn at_challenge(phone: &Phone) -> (Fixture, Challenge) {
    let mut fixture = online();
    fixture.event(phone.shows_code(WALL));
    let (ticket, _) = fixture.pending_work();
    fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::Identified(identified(Evidence::OfflineCode)))));
    fixture.open("水费缴纳");
    let challenge = challenge_on(&fixture);
    (fixture, challenge)
}

fn challenge_on(fixture: &Fixture) -> Challenge {
    match fixture.view().body {
        Body::Scan(scan) => scan.qr.parse().unwrap(),
        other => panic!("expected a challenge: {other:?}"),
    }
}

fn problem(fixture: &Fixture) -> Option<Text> {
    fixture.view().banners.first().map(|banner| banner.title.clone())
}

fn is_proven(fixture: &Fixture) -> bool {
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
    fixture.event(phone.shows_answer(&challenge, WALL));
    let (ticket, work) = fixture.pending_work();
    let Work::Platform(PlatformWork::ReportEvidence(request)) = work else {
        panic!("expected a report of evidence")
    };
    assert!(matches!(&request.given, StepUpProof::ChallengeAnswer { nonce, .. } if nonce.len() == 32));
    assert!(!is_proven(&fixture));
    let answered = EvidenceAnswer { evidence: Evidence::ChallengeAnswered, level: Level::Proven };
    fixture.event(Event::WorkAnswered(ticket, Ok(WorkAnswer::Evidence(answered))));
    assert!(is_proven(&fixture));
    assert!(
        matches!(fixture.pending_work().1, Work::Platform(PlatformWork::CallOperation(_))),
        "the service is opened"
    );
}

/// The alias is new with each certificate: only the platform knows whether the phone is the same resident's.
#[test]
fn answer_code_of_other_certificate_is_sent_to_platform() {
    let phone = Phone::new(3);
    let (mut fixture, challenge) = at_challenge(&phone);
    fixture.event(Phone::new(4).shows_answer(&challenge, WALL));
    let (ticket, work) = fixture.pending_work();
    assert!(matches!(work, Work::Platform(PlatformWork::ReportEvidence(_))));
    fixture.event(Event::WorkAnswered(ticket, Err(Failure::Problem(ProblemCode::ChallengeFailed))));
    assert_eq!(problem(&fixture), Some(TextId::ProveOtherPhone.into()));
    assert!(!is_proven(&fixture));
}

#[test]
fn answer_code_of_other_challenge_or_picture_is_rejected() {
    let phone = Phone::new(3);
    let (mut fixture, challenge) = at_challenge(&phone);
    let other_challenge = Challenge { device: "K-VP-0002".parse().unwrap(), ..challenge };
    for (event, word) in [
        (phone.shows_code(WALL + 4_000), TextId::ProveShowsCode),
        (code_scanned(&code(4)), TextId::ProveShowsCode),
        (phone.shows_answer(&other_challenge, WALL), TextId::ProveWrong),
        (phone.shows_answer(&challenge, WALL - 30_000), TextId::ProveWrong),
        (code_scanned("https://example.com/"), TextId::ProveWrong),
    ] {
        fixture.event(event);
        assert_eq!(problem(&fixture), Some(word.into()));
    }
    fixture.touch(Intent::Back);
    fixture.open("水费缴纳");
    assert_ne!(challenge_on(&fixture), challenge, "each challenge has a new nonce");
    fixture.event(phone.shows_answer(&challenge, WALL));
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
            Ok(WorkAnswer::Evidence(EvidenceAnswer { evidence: Evidence::CardRead, level: Level::InPerson })),
            TextId::ProveWrong,
        ),
    ] {
        let (mut fixture, challenge) = at_challenge(&phone);
        fixture.event(phone.shows_answer(&challenge, WALL));
        let (ticket, _) = fixture.pending_work();
        fixture.event(Event::WorkAnswered(ticket, answer));
        assert_eq!(problem(&fixture), Some(word.into()));
        assert!(!is_proven(&fixture));
    }
}

#[test]
fn view_after_visit_shows_no_personal_data() {
    let (mut fixture, _) = at_challenge(&Phone::new(3));
    fixture.touch(Intent::EndVisit);
    let view = fixture.view();
    assert_eq!(view.header.resident, None);
    assert!(!format!("{view:?}").contains(NAME) && !format!("{view:?}").contains(ID_NUMBER));
    fixture.event(Phone::new(3).shows_code(WALL + 4_000));
    assert!(
        matches!(fixture.pending_work().1, Work::Platform(PlatformWork::Identify(_))),
        "the challenge ended with the visit"
    );
}

#[test]
fn used_code_limit_reached_refuses_codes() {
    let (visit, until) = (VisitId::from_entropy(1), Some(UnixMs(WALL + 60_000)));
    let used = |at: u32| Entry::CodeUsed { visit, code_hash: format!("mark {at}"), until };
    let used: Vec<Entry> = (0..4096).map(used).collect();
    let mut fixture = Fixture::set_up(setup_with_codes(), fold(&used));
    fixture.event(Event::ClockSynchronised(0));
    fixture.event(code_trust_event(&[]));
    assert_refused(&mut fixture, Phone::new(3).shows_code(WALL), TextId::CodeUsed);
    fixture.wait(61_000);
    fixture.event(Phone::new(3).shows_code(WALL + 61_000));
    assert_eq!(fixture.title(), TextId::MenuTitle);
}

#[test]
fn random_codes_are_accepted_once_within_evidence_level() {
    let phones: Vec<Phone> = (1..=3).map(Phone::new).collect();
    let (mut accepted, mut crashes, mut refusals) = (0, 0, 0);
    for seed in 1..=20_u64 {
        let mut rng = crate::seeded::SimRng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut fixture = offline();
        for _ in 0..60 {
            match rng.below(12) {
                0 => {
                    fixture = fixture.crashed(setup_with_codes());
                    fixture.event(Event::DeviceStateChanged(DeviceKind::CodeReader, DeviceState::Ready));
                    fixture.event(code_trust_event(&[]));
                    crashes += 1;
                }
                1 => fixture.event(Event::LinkChanged(rng.below(2) == 0)),
                2 => fixture.wait(rng.below(30_000)),
                3 => fixture.touch(Intent::EndVisit),
                4 => fixture.touch(Intent::OpenTile(0)),
                5 if !fixture.effects.is_empty() => {
                    let session::Effect::StartWork { ticket, work, .. } = fixture.effects.remove(0) else {
                        continue;
                    };
                    let mut answered = identified(Evidence::OfflineCode);
                    answered.level = Level::InPerson;
                    let answer = match (work, rng.below(2)) {
                        (Work::Platform(PlatformWork::Identify(_)), 0) => {
                            Ok(WorkAnswer::Identified(answered))
                        }
                        _ => Err(Failure::Unreachable),
                    };
                    fixture.event(Event::WorkAnswered(ticket, answer));
                }
                _ => {
                    // A current code, or a picture of one at most half a minute old.
                    let age = if rng.below(2) == 0 { 0 } else { rng.below(30_000) };
                    let phone = &phones[usize::try_from(rng.below(3)).unwrap()];
                    let before = fixture.log.len();
                    fixture.event(phone.shows_code(fixture.wall() - age));
                    refusals += usize::from(fixture.log.len() == before);
                }
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        for entry in &fixture.log {
            match entry {
                Entry::CodeVerified { holder, time_step: Some(slot), .. } => {
                    assert!(seen.insert((*holder, *slot)), "seed {seed}: a code was accepted twice");
                    accepted += 1;
                }
                Entry::Identified { evidence, level, .. } | Entry::EvidenceGiven { evidence, level, .. } => {
                    assert!(*level <= evidence.max_level(), "seed {seed}: {level:?} by {evidence:?}");
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
