//! Card authentication (卡鉴权): which cards the platform authenticates, its rate limit, and that each random number of a
//! card is answered once.

use contract::routes;
use contract::{
    CardAuthAnswer, CardAuthRequest, CardChallenge, Evidence, HexBytes, IdentifyRequest, PresentedCredential,
    ProblemCode, VisitId,
};
use rusqlite::Connection;
use server::{CardRootKeys, PlatformSetup, parse_demo_residents};

use crate::fixture::{
    CityFixture, FixtureResident, RESIDENTS, TestKiosk, WANG_JIANGUO, ZHANG_GUIYING, card_evidence, setup,
};

fn with_key() -> CityFixture {
    CityFixture::with(PlatformSetup { card_root_keys: Some(CardRootKeys::new(&[6; 32])), ..setup() })
}

/// The challenge of this person's card while it waits in a reader.
fn challenge(person: FixtureResident, random: u8) -> CardChallenge {
    let card = card_evidence(person);
    CardChallenge {
        area: card.identification[..6].to_owned(),
        identification: card.identification.parse().unwrap(),
        version: card.version.clone(),
        algorithm: 3,
        atr_history: "815443".into(),
        challenge: HexBytes([random; 8]),
        internal_factor: HexBytes([2; 8]),
        internal_source: HexBytes([3; 8]),
        external_factor: HexBytes([4; 8]),
    }
}

fn ask(city: &mut CityFixture, kiosk: TestKiosk, card: CardChallenge) -> Result<CardAuthAnswer, ProblemCode> {
    let visit = VisitId::from_entropy(city.next_entropy());
    city.request(kiosk, routes::CARD_AUTHENTICATIONS.path, &CardAuthRequest { visit, card })
}

#[test]
fn card_in_force_gets_an_answer_with_its_own_key() {
    let mut city = with_key();
    let asked = challenge(WANG_JIANGUO, 1);
    let answer = ask(&mut city, TestKiosk::One, asked.clone()).ok().unwrap();
    assert!(answer == CardRootKeys::new(&[6; 32]).card_cryptogram(&asked));
    assert_eq!(answer.external.0[8..], [4; 8]);
    let other = ask(&mut city, TestKiosk::One, challenge(WANG_JIANGUO, 2)).ok().unwrap();
    assert!(other.external != answer.external, "bound to the card's random number");
}

#[test]
fn card_random_number_is_answered_once_in_the_city() {
    let mut city = with_key();
    assert!(ask(&mut city, TestKiosk::One, challenge(WANG_JIANGUO, 1)).is_ok());
    for kiosk in [TestKiosk::One, TestKiosk::Two] {
        let again = ask(&mut city, kiosk, challenge(WANG_JIANGUO, 1));
        assert_eq!(again.err(), Some(ProblemCode::ChallengeFailed), "{kiosk:?}");
    }
}

#[test]
fn card_authentication_refuses_with_the_reason() {
    type Change = fn(&mut CardChallenge);
    let changes: [(Change, ProblemCode); 5] = [
        (|c| c.algorithm = 1, ProblemCode::NotOffered),
        (|c| c.version = "2.00".into(), ProblemCode::NotOffered),
        (|c| c.area = "500112".into(), ProblemCode::CardMismatch),
        (
            |c| {
                c.identification.0[15] ^= 1;
            },
            ProblemCode::CardUnknown,
        ),
        (|c| c.atr_history = "g".repeat(4), ProblemCode::Malformed),
    ];
    for (at, (change, expected)) in changes.into_iter().enumerate() {
        let mut city = with_key();
        let mut card = challenge(WANG_JIANGUO, 1);
        change(&mut card);
        assert_eq!(ask(&mut city, TestKiosk::One, card).err(), Some(expected), "case {at}");
    }
    let second = ask(&mut with_key(), TestKiosk::One, challenge(ZHANG_GUIYING, 1));
    assert_eq!(second.err(), Some(ProblemCode::NotOffered));
    let keyless = ask(&mut CityFixture::new(), TestKiosk::One, challenge(WANG_JIANGUO, 1));
    assert_eq!(keyless.err(), Some(ProblemCode::NotOffered));
}

#[test]
fn card_not_in_force_is_not_authenticated() {
    let number = card_evidence(WANG_JIANGUO).number.clone();
    for standing in ["lost", "cancelled", "issued"] {
        let line = format!("number = \"{number}\"");
        let text = RESIDENTS.replace(&line, &format!("{line}\nstanding = \"{standing}\""));
        assert_ne!(text, RESIDENTS);
        let residents = parse_demo_residents(&text).unwrap();
        let mut city = CityFixture::with(PlatformSetup {
            residents,
            card_root_keys: Some(CardRootKeys::new(&[6; 32])),
            ..setup()
        });
        let refused = ask(&mut city, TestKiosk::One, challenge(WANG_JIANGUO, 1));
        assert_eq!(refused.err(), Some(ProblemCode::CardStopped), "{standing}");
    }
}

#[test]
fn card_authentications_are_limited_per_kiosk() {
    let mut city = with_key();
    for random in 0..20 {
        assert!(ask(&mut city, TestKiosk::One, challenge(WANG_JIANGUO, random)).is_ok(), "{random}");
    }
    assert_eq!(
        ask(&mut city, TestKiosk::One, challenge(WANG_JIANGUO, 30)).err(),
        Some(ProblemCode::Unavailable)
    );
    assert!(ask(&mut city, TestKiosk::Two, challenge(WANG_JIANGUO, 31)).is_ok());
    city.advance(60_001);
    assert!(ask(&mut city, TestKiosk::One, challenge(WANG_JIANGUO, 32)).is_ok());
}

#[test]
fn refused_card_authentications_count_in_the_limit() {
    let mut city = with_key();
    for random in 0..20 {
        let mut unknown = challenge(WANG_JIANGUO, random);
        unknown.identification.0[15] ^= 1;
        assert_eq!(ask(&mut city, TestKiosk::One, unknown).err(), Some(ProblemCode::CardUnknown));
    }
    assert_eq!(
        ask(&mut city, TestKiosk::One, challenge(WANG_JIANGUO, 30)).err(),
        Some(ProblemCode::Unavailable)
    );
}

#[test]
fn card_authentications_are_stored_with_stable_outcome_names() {
    let path = "file:card-outcomes?mode=memory&cache=shared";
    let base = Connection::open(path).unwrap();
    let setup = PlatformSetup { card_root_keys: Some(CardRootKeys::new(&[6; 32])), ..setup() };
    let mut city = CityFixture::with_database(Connection::open(path).unwrap(), setup);
    assert!(ask(&mut city, TestKiosk::One, challenge(WANG_JIANGUO, 1)).is_ok());
    let mut unknown = challenge(WANG_JIANGUO, 2);
    unknown.identification.0[15] ^= 1;
    assert_eq!(ask(&mut city, TestKiosk::One, unknown).err(), Some(ProblemCode::CardUnknown));
    let mut stored = base.prepare("SELECT outcome FROM card_authentications ORDER BY outcome").unwrap();
    let outcomes: Vec<String> =
        stored.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(outcomes, ["answered", "card-unknown"]);
}

#[test]
fn visit_evidence_says_if_card_was_authenticated() {
    let mut city = with_key();
    for (authenticated, evidence) in [(true, Evidence::CardAuthenticated), (false, Evidence::CardRead)] {
        let mut presented = card_evidence(WANG_JIANGUO);
        presented.authenticated = authenticated;
        let visit = VisitId::from_entropy(city.next_entropy());
        let request = IdentifyRequest { visit, presented: PresentedCredential::Card(presented) };
        let identified: contract::IdentifyAnswer =
            city.request(TestKiosk::One, routes::IDENTIFY.path, &request).unwrap();
        assert_eq!(identified.evidence, evidence);
        assert_eq!(identified.level, contract::Level::Recognised);
    }
}
