//! Records of kiosks: each once, in order, vouched for (I2, I7).

use contract::{
    Admitted, BatchAck, Chain, CloseReason, CodeHolder, ConsentId, Entry, Evidence, Head, Header, Kind,
    ProblemCode, Pseudonym, Receipt, ReceiptId, ReceiptLine, Record, RecordBatch, SALT_LEN, SecretKey,
    SignedHead, UnixMs, VisitId, WireRecord,
};
use server::{DeviceAudit, Request, Setup, Verb};

use crate::base;
use crate::city::{City, Kiosk, WANG, ZHANG, card, outcome, setup};
use crate::codes::{Phone, authority, identify};

/// A kiosk's log.
struct Log {
    kiosk: Kiosk,
    /// By which its records are dated.
    clock: UnixMs,
    heads: Vec<Head>,
    records: Vec<WireRecord>,
}

impl Log {
    fn new(kiosk: Kiosk, epoch: u64) -> Self {
        let heads = vec![Chain::genesis(kiosk.id(), epoch).head()];
        Self { kiosk, clock: UnixMs(5), heads, records: Vec::new() }
    }

    fn write(&mut self, kind: Kind, body: Vec<u8>) {
        let last = *self.heads.last().unwrap();
        let header = Header {
            kind,
            body_len: body.len() as u32,
            device: last.device,
            epoch: last.epoch,
            seq: last.seq + 1,
            time: self.clock,
        };
        let record = Record { header, salt: [header.seq as u8; SALT_LEN], body };
        let mut chain = Chain::from_head(last);
        chain.push(&record.header, &record.commitment()).unwrap();
        self.heads.push(chain.head());
        self.records.push(WireRecord::from_record(&record).unwrap());
    }

    fn enter(&mut self, entry: &Entry) {
        self.write(entry.kind(), entry.encode());
    }

    fn with_closed_visits(mut self, count: u128) -> Self {
        for visit in 0..count {
            let visit = VisitId::from_entropy(visit);
            self.enter(&Entry::VisitClosed { visit, reason: CloseReason::Exit });
        }
        self
    }

    /// The records after `from` up to `to`, signed with the kiosk's key.
    fn batch(&self, from: usize, to: usize) -> RecordBatch {
        let head = self.heads[to];
        let signature = self.kiosk.key().sign(&head.to_be_signed());
        let records = self.records[from..to].to_vec();
        RecordBatch { from: self.heads[from], records, to: SignedHead { head, signature } }
    }
}

fn send_bytes(city: &mut City, kiosk: Kiosk, body: Vec<u8>) -> Result<BatchAck, ProblemCode> {
    let request = Request::signed(Verb::Post, "/v1/records", body, kiosk.name(), &kiosk.key(), city.now);
    let reply = city.handle(&request);
    outcome(&city.conclude(reply))
}

fn send(city: &mut City, kiosk: Kiosk, batch: &RecordBatch) -> Result<BatchAck, ProblemCode> {
    let packed = zstd::encode_all(serde_json::to_vec(batch).unwrap().as_slice(), 0).unwrap();
    send_bytes(city, kiosk, packed)
}

fn upto(city: &mut City, batch: &RecordBatch) -> u64 {
    send(city, Kiosk::One, batch).unwrap().upto
}

fn audit(city: &mut City, kiosk: Kiosk) -> DeviceAudit {
    let (status, body) = city.page(&format!("/v1/audit/{}", kiosk.name()));
    assert_eq!(status, 200);
    serde_json::from_str(&body).unwrap()
}

#[test]
fn records_are_acknowledged_and_repetitions_and_overlaps_are_stored_once() {
    let mut city = City::new();
    let log = Log::new(Kiosk::One, 7).with_closed_visits(6);
    assert_eq!(upto(&mut city, &log.batch(0, 3)), 3);
    assert_eq!(upto(&mut city, &log.batch(0, 3)), 3);
    assert_eq!(upto(&mut city, &log.batch(1, 5)), 5);
    assert_eq!(upto(&mut city, &log.batch(0, 2)), 5);
    assert_eq!(upto(&mut city, &log.batch(5, 6)), 6);
    let audit = audit(&mut city, Kiosk::One);
    assert!(audit.epochs[0].batch.records == log.records);
}

#[test]
fn a_batch_beyond_a_gap_is_not_stored_and_says_where_to_go_on() {
    let mut city = City::new();
    let log = Log::new(Kiosk::One, 7).with_closed_visits(6);
    assert_eq!(upto(&mut city, &log.batch(0, 2)), 2);
    assert_eq!(upto(&mut city, &log.batch(4, 6)), 2);
    assert_eq!(upto(&mut city, &log.batch(2, 6)), 6);
}

#[test]
fn a_platform_restored_from_an_old_copy_asks_for_what_it_lost() {
    let log = Log::new(Kiosk::One, 7).with_closed_visits(6);
    let mut lost_all = City::new();
    assert_eq!(upto(&mut lost_all, &log.batch(4, 6)), 0);
    assert_eq!(upto(&mut lost_all, &log.batch(0, 6)), 6);
}

#[test]
fn an_empty_batch_asks_how_far_the_platform_is() {
    let mut city = City::new();
    let log = Log::new(Kiosk::One, 7).with_closed_visits(2);
    assert_eq!(upto(&mut city, &log.batch(0, 0)), 0);
    assert_eq!(upto(&mut city, &log.batch(0, 2)), 2);
    assert_eq!(upto(&mut city, &log.batch(2, 2)), 2);
}

#[test]
fn a_new_epoch_begins_at_one_beside_the_old_one() {
    let mut city = City::new();
    let (old, new) =
        (Log::new(Kiosk::One, 7).with_closed_visits(3), Log::new(Kiosk::One, u64::MAX).with_closed_visits(2));
    assert_eq!(upto(&mut city, &old.batch(0, 3)), 3);
    let ack = send(&mut city, Kiosk::One, &new.batch(0, 2)).unwrap();
    assert_eq!((ack.epoch, ack.upto), (u64::MAX, 2));
    assert_eq!(audit(&mut city, Kiosk::One).epochs.len(), 2);
}

#[test]
fn what_is_not_understood_is_stored_as_it_is_named_and_blocks_nothing() {
    let mut city = City::new();
    let mut log = Log::new(Kiosk::One, 7).with_closed_visits(1);
    log.write(Kind(200), b"from a newer kiosk \x01".to_vec());
    let closed = Entry::VisitClosed { visit: VisitId::from_entropy(9), reason: CloseReason::Exit };
    log.write(Kind(10), closed.encode());
    log.enter(&closed);
    let ack = send(&mut city, Kiosk::One, &log.batch(0, 4)).unwrap();
    let refused: Vec<_> = ack.refused.iter().map(|refused| (refused.seq, refused.code)).collect();
    assert_eq!(refused, [(2, ProblemCode::Malformed), (3, ProblemCode::Malformed)]);
    assert_eq!(ack.upto, 4);
    assert!(audit(&mut city, Kiosk::One).epochs[0].batch.records == log.records);
}

#[test]
fn forged_heads_changed_records_and_foreign_logs_are_refused_and_leave_nothing() {
    let mut city = City::new();
    let log = Log::new(Kiosk::One, 7).with_closed_visits(3);
    let good = log.batch(0, 3);
    let mut unsigned = good.clone();
    unsigned.to.signature = SecretKey::from_bytes(&[1; 32]).unwrap().sign(&unsigned.to.head.to_be_signed());
    let mut changed = good.clone();
    changed.records[1].body = changed.records[1].body.replace("exit", "exiT");
    let mut dropped = good.clone();
    dropped.records.remove(1);
    let foreign = Log::new(Kiosk::Two, 7).with_closed_visits(3).batch(0, 3);
    let mut grafted = good.clone();
    grafted.from = foreign.from;
    for (at, bad) in [unsigned, changed, dropped, foreign, grafted].iter().enumerate() {
        assert_eq!(send(&mut city, Kiosk::One, bad), Err(ProblemCode::Malformed), "case {at}");
    }
    assert!(audit(&mut city, Kiosk::One).epochs.is_empty());
    assert_eq!(upto(&mut city, &good), 3);
}

#[test]
fn a_kiosk_that_rewrites_its_history_is_refused_and_put_before_a_person() {
    let mut city = City::new();
    let log = Log::new(Kiosk::One, 7).with_closed_visits(3);
    assert_eq!(upto(&mut city, &log.batch(0, 3)), 3);
    let mut other = Log::new(Kiosk::One, 7).with_closed_visits(1);
    for _ in 0..3 {
        other.enter(&Entry::HelpCalled { visit: None });
    }
    assert_eq!(send(&mut city, Kiosk::One, &other.batch(0, 4)), Err(ProblemCode::Malformed));
    assert_eq!(send(&mut city, Kiosk::One, &other.batch(3, 4)), Err(ProblemCode::Malformed));
    assert!(city.page("/admin").1.contains("log K-1"));
    assert!(audit(&mut city, Kiosk::One).epochs[0].batch.records == log.records);
}

#[test]
fn bytes_that_are_no_batch_or_unpack_to_too_much_are_refused() {
    let mut city = City::new();
    let bomb = zstd::encode_all(vec![b' '; 64 * 1024 * 1024].as_slice(), 0).unwrap();
    let not_json = zstd::encode_all(&b"[]"[..], 0).unwrap();
    for body in [Vec::new(), b"{}".to_vec(), not_json, bomb] {
        assert_eq!(send_bytes(&mut city, Kiosk::One, body), Err(ProblemCode::Malformed));
    }
}

#[test]
fn an_export_is_verified_with_the_public_key_alone() {
    let mut city = City::new();
    let log = Log::new(Kiosk::One, 7).with_closed_visits(6);
    upto(&mut city, &log.batch(0, 2));
    upto(&mut city, &log.batch(2, 6));

    let public = Kiosk::One.key().public();
    let audit = audit(&mut city, Kiosk::One);
    assert_eq!(audit.key, public);
    let epoch = &audit.epochs[0];
    assert_eq!(epoch.batch.check(), Ok(()));
    assert_eq!(epoch.batch.from, Chain::genesis(Kiosk::One.id(), 7).head());
    assert_eq!(epoch.batch.to.verify(&public), Ok(()));
    let points: Vec<u64> = epoch.heads.iter().map(|signed| signed.head.seq).collect();
    assert_eq!(points, [2, 6]);
    for signed in &epoch.heads {
        assert_eq!(signed.verify(&public), Ok(()));
        assert_eq!(signed.head.hash, log.heads[signed.head.seq as usize].hash);
    }
    assert_eq!(city.page("/v1/audit/K-9").0, 404);
}

#[test]
fn a_promised_receipt_can_be_fetched_by_its_number() {
    let mut city = City::new();
    let receipt = ReceiptId::from_entropy(1_234_567);
    let content = Receipt {
        title: "缴费凭条".into(),
        lines: vec![
            ReceiptLine::Pair("姓名".into(), "张*英 <b>".into()),
            ReceiptLine::Rule,
            ReceiptLine::Amount("¥86.40".into()),
            ReceiptLine::Text("谢谢".into()),
        ],
        number: receipt.number(),
        code: None,
    };
    let visit = VisitId::from_entropy(1);
    let mut log = Log::new(Kiosk::One, 7);
    log.enter(&Entry::ReceiptPromised { receipt, visit, order: None, content });
    upto(&mut city, &log.batch(0, 1));
    let (status, page) = city.page(&format!("/r/{}", receipt.number().replace(' ', "")));
    assert_eq!(status, 200);
    for part in ["缴费凭条", "张*英 &lt;b&gt;", "¥86.40", "谢谢", "0000 0000 0123 4567"] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(city.page("/r/9999").0, 404);
}

fn consented(consent: ConsentId, resident: Pseudonym, service: &str, until: UnixMs) -> Entry {
    Entry::Consented {
        consent,
        visit: VisitId::from_entropy(1),
        resident,
        service: service.into(),
        version: 1,
        purpose: "开具参保证明".into(),
        items: vec!["参保单位".into()],
        recipient: "本人".into(),
        until,
    }
}

#[test]
fn the_record_of_a_consent_bears_out_what_was_given_under_it() {
    let mut city = City::new();
    let consent = ConsentId::from_entropy(5);
    let identified = city.visit_by_card(Kiosk::One, ZHANG);
    let give = |city: &mut City| {
        city.call(Kiosk::One, &identified.key, "insurance.proof", "insurance.proof", Some(consent))
    };
    assert!(give(&mut city).is_ok());
    assert!(city.page("/admin").1.contains("授权记录未到：1"));

    let until = city.now.plus_ms(1000);
    let mut log = Log::new(Kiosk::One, 7);
    log.enter(&consented(consent, identified.resident, "insurance.proof", until));
    upto(&mut city, &log.batch(0, 1));
    assert!(city.page("/admin").1.contains("授权记录未到：0"));
    assert!(give(&mut city).is_ok());
    city.pass(1000);
    assert_eq!(give(&mut city), Err(ProblemCode::ConsentMissing));
}

#[test]
fn a_consent_recorded_for_somebody_or_something_else_is_put_before_a_person() {
    for (at, service) in ["water.pay", "insurance.proof"].into_iter().enumerate() {
        let mut city = City::new();
        let consent = ConsentId::from_entropy(5);
        let identified = city.visit_by_card(Kiosk::One, ZHANG);
        let resident = if at == 0 { identified.resident } else { Pseudonym::from_entropy(42) };
        let give = |city: &mut City| {
            city.call(Kiosk::One, &identified.key, "insurance.proof", "insurance.proof", Some(consent))
        };
        give(&mut city).unwrap();
        let until = city.now.plus_ms(60_000);
        let mut log = Log::new(Kiosk::One, 7);
        log.enter(&consented(consent, resident, service, until));
        assert_eq!(upto(&mut city, &log.batch(0, 1)), 1);
        assert!(city.page("/admin").1.contains(&format!("consent {consent}")));
        assert_eq!(give(&mut city), Err(ProblemCode::ConsentMissing));
    }
}

/// A city that issues codes, a phone's code of this moment, and the record of a kiosk that let it in by itself.
fn let_in_alone() -> (City, String, Entry) {
    let mut city = City::with(Setup { codes: Some(authority()), ..setup() });
    let phone = Phone::bound(&mut city);
    let certificate = phone.certificate(&mut city);
    let code = phone.show(&mut city, &certificate);
    let certificate = certificate.to_bytes();
    let verified = Entry::CodeVerified {
        visit: VisitId::from_entropy(5),
        holder: CodeHolder::of(certificate[4..].first_chunk().unwrap()),
        slot: code.to_bytes().get(114..116).map(|slot| u16::from_be_bytes([slot[0], slot[1]])),
        until: city.now.plus_ms(60_000),
        offline: true,
    };
    (city, code.to_text(), verified)
}

#[test]
fn a_code_that_a_kiosk_let_in_alone_is_refused_elsewhere_once_its_record_has_come() {
    let (mut city, code, verified) = let_in_alone();
    let mut one = Log::new(Kiosk::One, 7);
    one.enter(&verified);
    upto(&mut city, &one.batch(0, 1));
    assert_eq!(identify(&mut city, Kiosk::Two, &code).err(), Some(ProblemCode::CodeUsed));
    assert!(identify(&mut city, Kiosk::One, &code).is_ok(), "its own visit goes on");
    assert!(!city.page("/admin").1.contains("one code was let in"));
}

#[test]
fn a_code_that_the_platform_let_in_is_found_when_a_kiosk_had_let_it_in_alone() {
    let (mut city, code, verified) = let_in_alone();
    identify(&mut city, Kiosk::Two, &code).unwrap();
    let mut one = Log::new(Kiosk::One, 7);
    one.enter(&verified);
    upto(&mut city, &one.batch(0, 1));
    assert!(city.page("/admin").1.contains("one code was let in at K-2 and at K-1"));
}

#[test]
fn one_code_at_two_kiosks_is_found_when_their_records_have_come_and_is_shown_to_the_operator() {
    let mut city = City::new();
    let verified = |slot| Entry::CodeVerified {
        visit: VisitId::from_entropy(5),
        holder: CodeHolder::of(b"an alias"),
        slot: Some(slot),
        until: UnixMs(1_795_500_060_000),
        offline: true,
    };
    let mut one = Log::new(Kiosk::One, 7);
    one.enter(&verified(900));
    one.enter(&verified(901));
    upto(&mut city, &one.batch(0, 2));
    upto(&mut city, &one.batch(0, 2));
    let about = format!("code {}/900", CodeHolder::of(b"an alias"));
    assert!(
        !city.page("/admin").1.contains(&about),
        "one kiosk alone proves nothing, however often it sends"
    );
    let mut two = Log::new(Kiosk::Two, 8);
    two.enter(&verified(902));
    two.enter(&verified(900));
    send(&mut city, Kiosk::Two, &two.batch(0, 2)).unwrap();
    let (_, page) = city.page("/admin");
    assert!(page.contains(&about) && page.contains("K-1") && page.contains("K-2"), "{page}");
    assert!(!page.contains("/901") && !page.contains("/902"));
}

#[test]
fn a_card_let_through_although_it_was_stopped_is_shown_to_the_operator_and_one_stopped_later_is_not() {
    let mut city = base::city();
    let card = card(WANG);
    let admitted = |visit| Entry::Admitted {
        visit: VisitId::from_entropy(visit),
        who: Admitted::Card(card.card().unwrap()),
        evidence: Evidence::CardAuthenticated,
        until: UnixMs(0),
        offline: true,
    };
    let mut gate = Log::new(Kiosk::One, 7);
    gate.clock = city.now;
    gate.enter(&admitted(1));
    city.pass(60_000);
    base::desk(&mut city, "lose", &serde_json::json!({ "number": card.number })).unwrap();
    city.pass(60_000);
    gate.clock = city.now;
    gate.enter(&admitted(2));
    upto(&mut city, &gate.batch(0, 2));
    let (_, page) = city.page("/admin");
    let told = |visit| page.contains(&format!("admission {}", VisitId::from_entropy(visit)));
    assert!(told(2) && !told(1), "{page}");
}
