//! The feed, read as a kiosk reads it.

use std::collections::BTreeMap;

use contract::{
    CardName, ChangesAnswer, CodeHolder, FeedItem, IssuerKeys, PublicKey, Revocable, Revocations,
    SignedStatement, UnixMs,
};
use contract::{HttpMethod, routes};
use rusqlite::Connection;
use server::{PlatformRequest, PlatformSetup};

use crate::codes::{authority, root};
use crate::fixture::{CityFixture, TestKiosk, setup};

fn feed(city: &mut CityFixture, since: u64) -> (Vec<FeedItem>, u64) {
    city.platform.due_calls(city.now);
    let target = routes::changes_target(since, None);
    let key = TestKiosk::One.key();
    let request =
        PlatformRequest::signed(HttpMethod::Get, target, Vec::new(), TestKiosk::One.name(), &key, city.now);
    let reply = city.handle(&request);
    let answer: ChangesAnswer = serde_json::from_slice(&city.complete(reply).body).unwrap();
    (answer.items, answer.cursor)
}

/// Issuer keys and revocations of a kiosk that reads the feed as the contract specifies.
#[derive(Default)]
pub(crate) struct FeedReader {
    cursor: u64,
    keys: Option<IssuerKeys>,
    pub(crate) codes: RevocationState<CodeHolder>,
    pub(crate) cards: RevocationState<CardName>,
}

/// The revocations of one kind of name.
pub(crate) struct RevocationState<Who> {
    pub(crate) at: u64,
    pub(crate) names: BTreeMap<Who, UnixMs>,
    pub(crate) expires: UnixMs,
}

impl<Who> Default for RevocationState<Who> {
    fn default() -> Self {
        Self { at: 0, names: BTreeMap::new(), expires: UnixMs(0) }
    }
}

impl<Who: Revocable> RevocationState<Who> {
    fn apply(&mut self, delta: &SignedStatement<Revocations<Who>>, revoker: &PublicKey) {
        let delta = delta.open(revoker).unwrap();
        if delta.since == 0 {
            self.names.clear();
        } else {
            assert_eq!(delta.since, self.at, "a delta does not continue the list");
        }
        (self.at, self.expires) = (delta.until, delta.expires);
        self.names.extend(delta.revoked.iter().map(|revoked| (revoked.who, revoked.ends)));
    }
}

impl FeedReader {
    pub(crate) fn read(&mut self, city: &mut CityFixture) {
        while self.read_page(city) {}
    }

    /// Reads one answer; false when it had no items.
    pub(crate) fn read_page(&mut self, city: &mut CityFixture) -> bool {
        let (items, cursor) = feed(city, self.cursor);
        self.cursor = cursor;
        let any = !items.is_empty();
        for item in items {
            match item {
                FeedItem::IssuerKeys { list } => self.keys = Some(list.open(&root()).unwrap()),
                FeedItem::Revocations { delta } => {
                    self.codes.apply(&delta, &self.keys.as_ref().unwrap().revoker);
                }
                FeedItem::CardRevocations { delta } => {
                    self.cards.apply(&delta, &self.keys.as_ref().unwrap().revoker);
                }
                FeedItem::Service { .. }
                | FeedItem::ServiceWithdrawn { .. }
                | FeedItem::DepartmentKeys { .. } => {}
            }
        }
        any
    }
}

#[test]
fn long_revocation_list_is_sent_in_pages() {
    let path = "file:long-list?mode=memory&cache=shared";
    let base = Connection::open(path).unwrap();
    let mut city = CityFixture::with_database(
        Connection::open(path).unwrap(),
        PlatformSetup { code_authority: Some(authority()), ..setup() },
    );
    let lost = 6_000;
    base.execute_batch(&format!(
        "INSERT INTO cards (resident, number, identification, version, standing)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {lost})
         SELECT i + 1000, 'L' || i, printf('%032X', i), '3.00', '\"lost\"' FROM n"
    ))
    .unwrap();
    let mut kiosk = FeedReader::default();
    let mut pages = 0;
    while kiosk.read_page(&mut city) {
        pages += 1;
    }
    assert!(pages > 1, "the whole list came in one answer");
    assert!(kiosk.cards.names.len() >= lost);
    let one = format!("{:032X}", lost).parse().unwrap();
    assert!(kiosk.cards.names.contains_key(&CardName::from_identification(&one)));
}
