//! A small model of the platform: one charge per order, inquiries that fence, records stored once and in order.

use std::collections::{BTreeMap, BTreeSet};

use contract::{
    BatchAck, CallAnswer, ChangesAnswer, ChargeRequest, ChargeState, Entry, Evidence, FeedItem, Head,
    IdentifyAnswer, KioskId, Level, OrderId, Pseudonym, RecordBatch, SecretKey, Settlement,
    SignedServiceDocument, UnixMs, UploadWindow, VisitKey, VoidReason,
};

pub(crate) fn city_key() -> SecretKey {
    SecretKey::from_bytes(&[5; 32]).unwrap()
}

pub(crate) fn signed(key: &SecretKey, text: &str) -> FeedItem {
    let signature = key.sign(&SignedServiceDocument::to_be_signed(text));
    FeedItem::Service { document: SignedServiceDocument { text: text.to_owned(), signature } }
}

#[derive(Clone, Default)]
pub(crate) struct Platform {
    /// Oldest first; the cursor is the number of items that were delivered.
    pub(crate) feed: Vec<FeedItem>,
    /// Number of charges at the acquirer, by order.
    pub(crate) charged: BTreeMap<OrderId, u32>,
    /// Charge requests in the order of arrival.
    pub(crate) charge_requests: Vec<OrderId>,
    fenced: BTreeSet<OrderId>,
    /// Newest head by epoch.
    heads: BTreeMap<u64, Head>,
    /// Stored entries in the order of arrival.
    pub(crate) entries: Vec<Entry>,
}

impl Platform {
    pub(crate) fn with_services(texts: &[&str]) -> Self {
        let feed = texts.iter().map(|text| signed(&city_key(), text)).collect();
        Self { feed, ..Self::default() }
    }

    pub(crate) fn charge(&mut self, request: &ChargeRequest) -> ChargeState {
        self.charge_requests.push(request.order);
        if self.fenced.contains(&request.order) {
            return void();
        }
        *self.charged.entry(request.order).or_default() += 1;
        paid()
    }

    pub(crate) fn inquire(&mut self, order: OrderId) -> ChargeState {
        if self.charged.contains_key(&order) {
            return paid();
        }
        self.fenced.insert(order);
        void()
    }

    pub(crate) fn changes(&self, since: u64, now: UnixMs) -> ChangesAnswer {
        let given = usize::try_from(since).unwrap();
        let items = self.feed.get(given..).unwrap_or_default().to_vec();
        ChangesAnswer { items, cursor: u64::try_from(self.feed.len()).unwrap(), now }
    }

    /// Checks and stores a batch, as strictly as the contract demands.
    pub(crate) fn records(&mut self, body: &[u8], device: &SecretKey, now: UnixMs) -> BatchAck {
        let json = zstd::decode_all(body).unwrap();
        let batch: RecordBatch = serde_json::from_slice(&json).unwrap();
        batch.verify_chain().unwrap();
        batch.to.verify(&device.public()).unwrap();
        let epoch = batch.from.epoch;
        let stored = self.heads.get(&epoch).map_or(0, |head| head.seq);
        assert!(batch.from.seq <= stored, "records are missing before {}", batch.from.seq);
        for wire in &batch.records {
            let record = wire.to_record().unwrap();
            if record.header.seq > stored {
                self.entries.push(Entry::decode(&record.body).unwrap());
            }
        }
        if batch.to.head.seq > stored {
            self.heads.insert(epoch, batch.to.head);
        }
        BatchAck {
            device: batch.from.device,
            epoch,
            upto: self.heads[&epoch].seq,
            refused: Vec::new(),
            window: UploadWindow { records: 3, bytes: 100_000, after_ms: 0 },
            now,
        }
    }

    pub(crate) fn count(&self, matches: impl Fn(&Entry) -> bool) -> usize {
        self.entries.iter().filter(|entry| matches(entry)).count()
    }
}

fn paid() -> ChargeState {
    ChargeState::Settled { settlement: Settlement::Paid { reference: "A1".into(), at: UnixMs(1) } }
}

fn void() -> ChargeState {
    ChargeState::Settled { settlement: Settlement::Void { reason: VoidReason::Fenced } }
}

pub(crate) fn device() -> KioskId {
    "K-VP-0001".parse().unwrap()
}

pub(crate) fn identified(name: &str) -> IdentifyAnswer {
    IdentifyAnswer {
        key: VisitKey("key".into()),
        resident: Pseudonym::from_entropy(77),
        name: name.into(),
        id_number: "500101199001011239".into(),
        evidence: Evidence::CardRead,
        level: Level::Recognised,
    }
}

pub(crate) fn bills() -> CallAnswer {
    let row = |key: &str, amount: &str| {
        let fields = [("bill", key), ("payee", "重庆自来水"), ("period", "2026-10"), ("amount", amount)];
        fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    };
    CallAnswer { rows: vec![row("w-10", "8640"), row("w-09", "8160")], next: None }
}
