//! The feed, read as a kiosk reads it.

use std::collections::BTreeMap;

use contract::{
    CardName, ChangesAnswer, CodeHolder, FeedItem, IssuerKeys, PublicKey, Revocable, Revocations, Signed,
    UnixMs,
};
use rusqlite::Connection;
use server::{Request, Setup, Verb};

use crate::city::{City, Kiosk, setup};
use crate::codes::{authority, root};

fn feed(city: &mut City, since: u64) -> (Vec<FeedItem>, u64) {
    city.platform.due(city.now);
    let target = format!("/v1/changes?since={since}");
    let key = Kiosk::One.key();
    let request = Request::signed(Verb::Get, target, Vec::new(), Kiosk::One.name(), &key, city.now);
    let reply = city.handle(&request);
    let answer: ChangesAnswer = serde_json::from_slice(&city.conclude(reply).body).unwrap();
    (answer.items, answer.cursor)
}

/// Issuer keys and revocations of a kiosk that reads the feed as the contract specifies.
#[derive(Default)]
pub(crate) struct Reader {
    cursor: u64,
    keys: Option<IssuerKeys>,
    pub(crate) codes: Held<CodeHolder>,
    pub(crate) cards: Held<CardName>,
}

/// The revocations of one kind of name.
pub(crate) struct Held<Who> {
    pub(crate) at: u64,
    pub(crate) names: BTreeMap<Who, UnixMs>,
    pub(crate) expires: UnixMs,
}

impl<Who> Default for Held<Who> {
    fn default() -> Self {
        Self { at: 0, names: BTreeMap::new(), expires: UnixMs(0) }
    }
}

impl<Who: Revocable> Held<Who> {
    fn take(&mut self, delta: &Signed<Revocations<Who>>, revoker: &PublicKey) {
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

impl Reader {
    pub(crate) fn read(&mut self, city: &mut City) {
        while self.read_page(city) {}
    }

    /// Reads one answer; false when it had no items.
    pub(crate) fn read_page(&mut self, city: &mut City) -> bool {
        let (items, cursor) = feed(city, self.cursor);
        self.cursor = cursor;
        let any = !items.is_empty();
        for item in items {
            match item {
                FeedItem::IssuerKeys { list } => self.keys = Some(list.open(&root()).unwrap()),
                FeedItem::Revocations { delta } => {
                    self.codes.take(&delta, &self.keys.as_ref().unwrap().revoker);
                }
                FeedItem::CardStops { delta } => {
                    self.cards.take(&delta, &self.keys.as_ref().unwrap().revoker);
                }
                FeedItem::Service { .. } | FeedItem::ServiceWithdrawn { .. } => {}
            }
        }
        any
    }
}

#[test]
fn long_revocation_list_is_sent_in_pages() {
    let path = "file:long-list?mode=memory&cache=shared";
    let base = Connection::open(path).unwrap();
    let mut city = City::over(Connection::open(path).unwrap(), Setup { codes: Some(authority()), ..setup() });
    let lost = 6_000;
    base.execute_batch(&format!(
        "INSERT INTO cards (resident, number, identification, version, standing)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {lost})
         SELECT i + 1000, 'L' || i, printf('%032X', i), '3.00', '\"lost\"' FROM n"
    ))
    .unwrap();
    let mut kiosk = Reader::default();
    let mut pages = 0;
    while kiosk.read_page(&mut city) {
        pages += 1;
    }
    assert!(pages > 1, "the whole list came in one answer");
    assert!(kiosk.cards.names.len() >= lost);
    let one = format!("{:032X}", lost).parse().unwrap();
    assert!(kiosk.cards.names.contains_key(&CardName::of(&one)));
}
