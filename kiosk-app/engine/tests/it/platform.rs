//! A small model of the platform: one charge per order, inquiries that fence, records stored once and in order.

use std::collections::{BTreeMap, BTreeSet};

use contract::{
    BatchAck, CallAnswer, Chain, ChangesAnswer, ChargeRequest, ChargeState, Entry, Evidence, FeedItem, Head,
    IdentifyAnswer, KioskId, Level, OrderId, Pseudonym, RecordBatch, SecretKey, Settlement,
    SignedServiceDocument, UnixMs, UnreportedOrder, UnreportedOrdersAnswer, UploadWindow, VisitId, VisitKey,
    VoidReason,
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
    /// Epoch of the feed; a platform of version 2 names none.
    pub(crate) feed_epoch: Option<u64>,
    /// Number of charges at the acquirer, by order.
    pub(crate) charged: BTreeMap<OrderId, u32>,
    /// Charge requests in the order of arrival.
    pub(crate) charge_requests: Vec<OrderId>,
    fenced: BTreeSet<OrderId>,
    /// Charged orders without an outcome and a receipt in the stored records.
    unreported: BTreeMap<OrderId, UnreportedOrder>,
    /// Times that the list of them was asked for.
    pub(crate) reconciliations: u32,
    /// Heads of the stored chains, by epoch and number.
    heads: BTreeMap<(u64, u64), Head>,
    /// Bodies of the stored records, by epoch and number.
    bodies: BTreeMap<(u64, u64), Vec<u8>>,
    /// Numbers that the kiosk stated to be missing: epoch, after, last.
    pub(crate) missing: Vec<(u64, u64, u64)>,
    /// Batches that contradicted stored records.
    pub(crate) forks: u32,
    /// The kiosk has stated the ends of its log to this platform, and all are stored.
    pub(crate) has_whole_log: bool,
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
        let ChargeRequest { order, items, total, method, .. } = request.clone();
        let visit = VisitId::from_entropy(4);
        self.unreported.insert(order, UnreportedOrder { order, visit, items, total, method });
        paid()
    }

    pub(crate) fn inquire(&mut self, order: OrderId) -> ChargeState {
        if self.charged.contains_key(&order) {
            return paid();
        }
        self.fenced.insert(order);
        void()
    }

    pub(crate) fn changes(&self, since: u64, of: Option<u64>, now: UnixMs) -> ChangesAnswer {
        if since > 0 && self.feed_epoch.is_some() && of.is_some() && of != self.feed_epoch {
            return ChangesAnswer { items: Vec::new(), cursor: 0, feed: self.feed_epoch, now };
        }
        let given = usize::try_from(since).unwrap();
        let items = self.feed.get(given..).unwrap_or_default().to_vec();
        ChangesAnswer { items, cursor: u64::try_from(self.feed.len()).unwrap(), feed: self.feed_epoch, now }
    }

    pub(crate) fn unreported(&mut self, now: UnixMs) -> UnreportedOrdersAnswer {
        self.reconciliations += 1;
        UnreportedOrdersAnswer { orders: self.unreported.values().cloned().collect(), more: false, now }
    }

    fn store(&mut self, entry: Entry) {
        if let Entry::OrderSettled { order, settlement: Settlement::Void { .. } }
        | Entry::ReceiptIssued { order: Some(order), .. } = &entry
        {
            self.unreported.remove(order);
        }
        self.entries.push(entry);
    }

    /// Checks and stores a batch, as strictly as the contract demands.
    pub(crate) fn records(&mut self, body: &[u8], device: &SecretKey, now: UnixMs) -> BatchAck {
        let json = zstd::decode_all(body).unwrap();
        let batch: RecordBatch = serde_json::from_slice(&json).unwrap();
        batch.verify_chain().unwrap();
        batch.to.verify(&device.public()).unwrap();
        let (from, epoch) = (batch.from, batch.from.epoch);
        if let Some(log) = &batch.log {
            let is_stored = |head: &Head| self.heads.get(&(head.epoch, head.seq)) == Some(head);
            self.has_whole_log = Some(log.feed) == self.feed_epoch && log.heads.iter().all(is_stored);
        }
        if from.seq > self.upto(epoch) {
            let Some(missing) = batch.missing else { return self.ack(from, self.upto(epoch), false, now) };
            missing.verify(from, &device.public()).unwrap();
            assert!(missing.after <= self.upto(epoch), "more is missing than was stated");
            self.missing.push((epoch, self.upto(epoch), from.seq));
            self.heads.insert((epoch, from.seq), from);
        }
        if from.seq > 0 && self.heads.get(&(epoch, from.seq)) != Some(&from) {
            self.forks += 1;
            return self.ack(from, 0, true, now);
        }
        let mut chain = Chain::from_head(from);
        for wire in &batch.records {
            let record = wire.to_record().unwrap();
            chain.push(&record.header, &record.commitment()).unwrap();
            let head = chain.head();
            match self.heads.get(&(epoch, head.seq)) {
                Some(stored) if *stored == head => {}
                Some(_) => {
                    self.forks += 1;
                    return self.ack(from, head.seq - 1, true, now);
                }
                None => {
                    self.heads.insert((epoch, head.seq), head);
                    match Entry::decode(&record.body).unwrap() {
                        // Stated again, and here already.
                        Entry::Restated { epoch, seq, record, .. }
                            if self.bodies.get(&(epoch, seq)) == Some(&record.encode()) => {}
                        Entry::Restated { record, .. } => self.store(*record),
                        entry => self.store(entry),
                    }
                    self.bodies.insert((epoch, head.seq), record.body);
                }
            }
        }
        self.ack(from, self.upto(epoch), false, now)
    }

    fn upto(&self, epoch: u64) -> u64 {
        self.heads.range((epoch, 0)..=(epoch, u64::MAX)).last().map_or(0, |((_, seq), _)| *seq)
    }

    fn ack(&self, of: Head, upto: u64, forked: bool, now: UnixMs) -> BatchAck {
        let hash = self.heads.get(&(of.epoch, upto)).map(|head| contract::to_hex(&head.hash));
        let window = UploadWindow { records: 3, bytes: 100_000, after_ms: 0 };
        BatchAck { device: of.device, epoch: of.epoch, upto, hash, forked, refused: Vec::new(), window, now }
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
        names: Vec::new(),
    }
}

pub(crate) fn bills() -> CallAnswer {
    let row = |key: &str, amount: &str| {
        let fields = [("bill", key), ("payee", "重庆自来水"), ("period", "2026-10"), ("amount", amount)];
        fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    };
    CallAnswer { rows: vec![row("w-10", "8640"), row("w-09", "8160")], next: None, refused: None }
}
