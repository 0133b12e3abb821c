//! Records of kiosks: each stored once, in order, under a signed head (I2, I7).

use contract::{
    AdmissionSubject, BatchAck, Chain, CloseReason, CodeHolder, ConsentId, Entry, Evidence, Head,
    MissingRecords, PrintForm, ProblemCode, Pseudonym, Receipt, ReceiptId, ReceiptLine, Record, RecordBatch,
    RecordHeader, RecordKind, SALT_LEN, SecretKey, SignedHead, UnixMs, VisitId, WireRecord,
};
use contract::{HttpMethod, routes};
use server::{KioskAudit, PlatformRequest, PlatformSetup};

use crate::card_base;
use crate::codes::{TestPhone, authority, identify};
use crate::fixture::{
    CityFixture, TestKiosk, WANG_JIANGUO, ZHANG_GUIYING, answer_or_problem, card_evidence, setup,
};

/// The log of a kiosk.
pub(crate) struct KioskLog {
    kiosk: TestKiosk,
    /// The kiosk's clock, which dates its records.
    pub(crate) clock: UnixMs,
    heads: Vec<Head>,
    records: Vec<WireRecord>,
}

impl KioskLog {
    pub(crate) fn new(kiosk: TestKiosk, epoch: u64) -> Self {
        let heads = vec![Chain::genesis(kiosk.id(), epoch).head()];
        Self { kiosk, clock: UnixMs(5), heads, records: Vec::new() }
    }

    fn write(&mut self, kind: RecordKind, body: Vec<u8>) {
        let last = *self.heads.last().unwrap();
        let header = RecordHeader {
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

    pub(crate) fn append_entry(&mut self, entry: &Entry) {
        self.write(entry.kind(), entry.encode());
    }

    /// The newest head.
    pub(crate) fn end(&self) -> Head {
        *self.heads.last().unwrap()
    }

    /// The kiosk opens its log in a new epoch after this head.
    pub(crate) fn open_after(&mut self, previous: Head) {
        self.append_entry(&Entry::JournalOpened {
            software: "1".into(),
            configuration: "00".into(),
            previous: Some(previous),
            torn_bytes: 0,
            damaged_segments: 1,
        });
    }

    pub(crate) fn with_closed_visits(mut self, count: u128) -> Self {
        for visit in 0..count {
            let visit = VisitId::from_entropy(visit);
            self.append_entry(&Entry::VisitClosed { visit, reason: CloseReason::Exit });
        }
        self
    }

    /// The records after `from` up to `to`, signed with the kiosk's key.
    pub(crate) fn batch(&self, from: usize, to: usize) -> RecordBatch {
        let head = self.heads[to];
        let signature = self.kiosk.key().sign(&head.to_be_signed());
        let records = self.records[from..to].to_vec();
        RecordBatch {
            from: self.heads[from],
            records,
            to: SignedHead { head, signature },
            missing: None,
            log: None,
        }
    }

    /// A batch whose kiosk states that the records before it are missing after this number.
    fn batch_after_missing(&self, after: u64, from: usize, to: usize) -> RecordBatch {
        let head = self.heads[from];
        let statement = MissingRecords::to_be_signed(head.device, head.epoch, after, head.seq);
        let missing = MissingRecords { after, signature: self.kiosk.key().sign(&statement) };
        RecordBatch { missing: Some(missing), ..self.batch(from, to) }
    }
}

fn send_bytes(city: &mut CityFixture, kiosk: TestKiosk, body: Vec<u8>) -> Result<BatchAck, ProblemCode> {
    let request = PlatformRequest::signed(
        HttpMethod::Post,
        routes::RECORDS.path,
        body,
        kiosk.name(),
        &kiosk.key(),
        city.now,
    );
    let reply = city.handle(&request);
    answer_or_problem(&city.complete(reply))
}

pub(crate) fn send(
    city: &mut CityFixture,
    kiosk: TestKiosk,
    batch: &RecordBatch,
) -> Result<BatchAck, ProblemCode> {
    let packed = zstd::encode_all(serde_json::to_vec(batch).unwrap().as_slice(), 0).unwrap();
    send_bytes(city, kiosk, packed)
}

fn send_and_get_acknowledged(city: &mut CityFixture, batch: &RecordBatch) -> u64 {
    send(city, TestKiosk::One, batch).unwrap().upto
}

fn audit(city: &mut CityFixture, kiosk: TestKiosk) -> KioskAudit {
    let (status, body) = city.page(&format!("/v1/audit/{}", kiosk.name()));
    assert_eq!(status, 200);
    serde_json::from_str(&body).unwrap()
}

#[test]
fn repeated_and_overlapping_batches_are_stored_once() {
    let mut city = CityFixture::new();
    let log = KioskLog::new(TestKiosk::One, 7).with_closed_visits(6);
    assert_eq!(send_and_get_acknowledged(&mut city, &log.batch(0, 3)), 3);
    assert_eq!(send_and_get_acknowledged(&mut city, &log.batch(0, 3)), 3);
    assert_eq!(send_and_get_acknowledged(&mut city, &log.batch(1, 5)), 5);
    assert_eq!(send_and_get_acknowledged(&mut city, &log.batch(0, 2)), 5);
    assert_eq!(send_and_get_acknowledged(&mut city, &log.batch(5, 6)), 6);
    let audit = audit(&mut city, TestKiosk::One);
    assert!(audit.epochs[0].batch.records == log.records);
}

#[test]
fn batch_after_a_gap_is_refused_with_the_last_number() {
    let mut city = CityFixture::new();
    let log = KioskLog::new(TestKiosk::One, 7).with_closed_visits(6);
    assert_eq!(send_and_get_acknowledged(&mut city, &log.batch(0, 2)), 2);
    assert_eq!(send_and_get_acknowledged(&mut city, &log.batch(4, 6)), 2);
    assert_eq!(send_and_get_acknowledged(&mut city, &log.batch(2, 6)), 6);
}

#[test]
fn missing_records_are_accepted_when_the_kiosk_states_them() {
    let mut city = CityFixture::new();
    let log = KioskLog::new(TestKiosk::One, 7).with_closed_visits(9);
    assert_eq!(send_and_get_acknowledged(&mut city, &log.batch(0, 2)), 2);
    // Stated for more than the platform has: it asks from where it stands.
    assert_eq!(send_and_get_acknowledged(&mut city, &log.batch_after_missing(3, 5, 6)), 2);
    let mut forged = log.batch_after_missing(2, 5, 6);
    forged.missing =
        log.batch_after_missing(1, 5, 6).missing.map(|missing| MissingRecords { after: 2, ..missing });
    assert_eq!(send(&mut city, TestKiosk::One, &forged), Err(ProblemCode::Malformed));
    let ack = send(&mut city, TestKiosk::One, &log.batch_after_missing(2, 5, 7)).unwrap();
    assert_eq!((ack.upto, ack.hash), (7, Some(contract::to_hex(&log.heads[7].hash))));
    assert_eq!(send_and_get_acknowledged(&mut city, &log.batch(7, 9)), 9);
    assert!(city.page("/admin").1.contains("no longer exist"), "an incident");
    let epoch = audit(&mut city, TestKiosk::One).epochs.remove(0);
    assert!(epoch.batch.records == log.records[..2]);
    let [run] = epoch.after_missing.as_slice() else { panic!("one gap") };
    assert!(run.records == log.records[5..] && run.from == log.heads[5]);
    assert_eq!(run.missing.map(|missing| missing.after), Some(2));
    epoch.batch.verify_chain().unwrap();
    run.verify_chain().unwrap();
}

#[test]
fn statement_about_fewer_missing_records_verifies_in_the_export() {
    let mut city = CityFixture::new();
    let log = KioskLog::new(TestKiosk::One, 7).with_closed_visits(9);
    assert_eq!(send_and_get_acknowledged(&mut city, &log.batch(0, 4)), 4);
    // The kiosk has lost the acknowledgement: it states more records to be missing than the platform lacks.
    assert_eq!(send_and_get_acknowledged(&mut city, &log.batch_after_missing(2, 6, 7)), 7);
    // Two statements of one epoch, one after the other.
    assert_eq!(send_and_get_acknowledged(&mut city, &log.batch_after_missing(6, 8, 9)), 9);
    // A kiosk that compares its log may state the head before the first record after a gap.
    assert_eq!(send_and_get_acknowledged(&mut city, &log.batch(6, 6)), 9);
    let key = TestKiosk::One.key().public();
    let epoch = audit(&mut city, TestKiosk::One).epochs.remove(0);
    assert!(epoch.heads.iter().all(|head| head.verify(&key).is_ok()));
    assert!(epoch.batch.records == log.records[..4]);
    let [first, second] = epoch.after_missing.as_slice() else { panic!("two gaps") };
    assert!(first.records == log.records[6..7] && second.records == log.records[8..]);
    for run in [first, second] {
        run.verify_chain().unwrap();
        run.missing.unwrap().verify(run.from, &key).unwrap();
    }
}

#[test]
fn restated_record_is_applied_as_when_it_was_first_made() {
    let mut city = CityFixture::new();
    let mut log = KioskLog::new(TestKiosk::One, 8);
    let receipt = ReceiptId::from_entropy(5);
    let number = receipt.number(TestKiosk::One.id());
    let content = Receipt { title: "缴费凭条".into(), lines: Vec::new(), number, code: None };
    let (visit, form) = (VisitId::from_entropy(1), PrintForm::Receipt);
    let issued = Entry::ReceiptIssued { receipt, visit, order: None, content, form };
    let restated = |seq| Entry::Restated { epoch: 7, seq, time: UnixMs(3), record: Box::new(issued.clone()) };
    log.append_entry(&restated(4));
    log.append_entry(&restated(4));
    assert_eq!(send_and_get_acknowledged(&mut city, &log.batch(0, 2)), 2);
    let (status, page) = city.page(&format!("/r/{receipt}"));
    assert!(status == 200 && page.contains("缴费凭条"));
}

#[test]
fn restored_platform_acknowledges_a_lower_number() {
    let log = KioskLog::new(TestKiosk::One, 7).with_closed_visits(6);
    let mut lost_all = CityFixture::new();
    assert_eq!(send_and_get_acknowledged(&mut lost_all, &log.batch(4, 6)), 0);
    assert_eq!(send_and_get_acknowledged(&mut lost_all, &log.batch(0, 6)), 6);
}

#[test]
fn empty_batch_returns_the_acknowledged_number() {
    let mut city = CityFixture::new();
    let log = KioskLog::new(TestKiosk::One, 7).with_closed_visits(2);
    assert_eq!(send_and_get_acknowledged(&mut city, &log.batch(0, 0)), 0);
    assert_eq!(send_and_get_acknowledged(&mut city, &log.batch(0, 2)), 2);
    assert_eq!(send_and_get_acknowledged(&mut city, &log.batch(2, 2)), 2);
}

#[test]
fn new_epoch_starts_at_record_one() {
    let mut city = CityFixture::new();
    let (old, new) = (
        KioskLog::new(TestKiosk::One, 7).with_closed_visits(3),
        KioskLog::new(TestKiosk::One, u64::MAX).with_closed_visits(2),
    );
    assert_eq!(send_and_get_acknowledged(&mut city, &old.batch(0, 3)), 3);
    let ack = send(&mut city, TestKiosk::One, &new.batch(0, 2)).unwrap();
    assert_eq!((ack.epoch, ack.upto), (u64::MAX, 2));
    assert_eq!(audit(&mut city, TestKiosk::One).epochs.len(), 2);
}

#[test]
fn epochs_are_exported_in_the_order_of_their_arrival() {
    let mut city = CityFixture::new();
    for epoch in [7, u64::MAX, 3] {
        let log = KioskLog::new(TestKiosk::One, epoch).with_closed_visits(1);
        assert_eq!(send_and_get_acknowledged(&mut city, &log.batch(0, 1)), 1);
        city.now = city.now.plus_ms(1_000);
    }
    let epochs = audit(&mut city, TestKiosk::One).epochs;
    assert_eq!(epochs.iter().map(|one| one.batch.from.epoch).collect::<Vec<_>>(), [7, u64::MAX, 3]);
}

#[test]
fn unknown_record_is_stored_reported_and_does_not_block() {
    let mut city = CityFixture::new();
    let mut log = KioskLog::new(TestKiosk::One, 7).with_closed_visits(1);
    log.write(RecordKind(200), b"from a newer kiosk \x01".to_vec());
    let closed = Entry::VisitClosed { visit: VisitId::from_entropy(9), reason: CloseReason::Exit };
    log.write(RecordKind(10), closed.encode());
    log.append_entry(&closed);
    let ack = send(&mut city, TestKiosk::One, &log.batch(0, 4)).unwrap();
    let refused: Vec<_> = ack.refused.iter().map(|refused| (refused.seq, refused.code)).collect();
    assert_eq!(refused, [(2, ProblemCode::Malformed), (3, ProblemCode::Malformed)]);
    assert_eq!(ack.upto, 4);
    assert!(audit(&mut city, TestKiosk::One).epochs[0].batch.records == log.records);
}

#[test]
fn forged_or_changed_batch_is_refused_and_not_stored() {
    let mut city = CityFixture::new();
    let log = KioskLog::new(TestKiosk::One, 7).with_closed_visits(3);
    let good = log.batch(0, 3);
    let mut unsigned = good.clone();
    unsigned.to.signature = SecretKey::from_bytes(&[1; 32]).unwrap().sign(&unsigned.to.head.to_be_signed());
    let mut changed = good.clone();
    changed.records[1].body = changed.records[1].body.replace("exit", "exiT");
    let mut dropped = good.clone();
    dropped.records.remove(1);
    let foreign = KioskLog::new(TestKiosk::Two, 7).with_closed_visits(3).batch(0, 3);
    let mut grafted = good.clone();
    grafted.from = foreign.from;
    for (at, bad) in [unsigned, changed, dropped, foreign, grafted].iter().enumerate() {
        assert_eq!(send(&mut city, TestKiosk::One, bad), Err(ProblemCode::Malformed), "case {at}");
    }
    assert!(audit(&mut city, TestKiosk::One).epochs.is_empty());
    assert_eq!(send_and_get_acknowledged(&mut city, &good), 3);
}

#[test]
fn rewritten_chain_is_refused_and_becomes_an_incident() {
    let mut city = CityFixture::new();
    let log = KioskLog::new(TestKiosk::One, 7).with_closed_visits(3);
    assert_eq!(send_and_get_acknowledged(&mut city, &log.batch(0, 3)), 3);
    let mut other = KioskLog::new(TestKiosk::One, 7).with_closed_visits(1);
    for _ in 0..3 {
        other.append_entry(&Entry::HelpRequested { visit: None });
    }
    let ack = send(&mut city, TestKiosk::One, &other.batch(0, 4)).unwrap();
    assert_eq!((ack.forked, ack.upto), (true, 1), "both have the first record");
    let ack = send(&mut city, TestKiosk::One, &other.batch(3, 4)).unwrap();
    assert_eq!((ack.forked, ack.upto), (true, 0), "what both have is not in this batch");
    assert!(city.page("/admin").1.contains("log K-1"));
    assert!(audit(&mut city, TestKiosk::One).epochs[0].batch.records == log.records);
}

#[test]
fn malformed_or_oversized_batch_is_refused() {
    let mut city = CityFixture::new();
    let bomb = zstd::encode_all(vec![b' '; 64 * 1024 * 1024].as_slice(), 0).unwrap();
    let not_json = zstd::encode_all(&b"[]"[..], 0).unwrap();
    for body in [Vec::new(), b"{}".to_vec(), not_json, bomb] {
        assert_eq!(send_bytes(&mut city, TestKiosk::One, body), Err(ProblemCode::Malformed));
    }
}

#[test]
fn export_verifies_with_the_public_key_alone() {
    let mut city = CityFixture::new();
    let log = KioskLog::new(TestKiosk::One, 7).with_closed_visits(6);
    send_and_get_acknowledged(&mut city, &log.batch(0, 2));
    send_and_get_acknowledged(&mut city, &log.batch(2, 6));

    let public = TestKiosk::One.key().public();
    let audit = audit(&mut city, TestKiosk::One);
    assert_eq!(audit.key, public);
    let epoch = &audit.epochs[0];
    assert_eq!(epoch.batch.verify_chain(), Ok(()));
    assert_eq!(epoch.batch.from, Chain::genesis(TestKiosk::One.id(), 7).head());
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
fn issued_receipt_is_fetched_by_its_number() {
    let mut city = CityFixture::new();
    let receipt = ReceiptId::from_entropy(1_234_567);
    let number = receipt.number(TestKiosk::One.id());
    let content = Receipt {
        title: "缴费凭条".into(),
        lines: vec![
            ReceiptLine::Pair("姓名".into(), "张*英 <b>".into()),
            ReceiptLine::Rule,
            ReceiptLine::Amount("¥86.40".into()),
            ReceiptLine::Text("谢谢".into()),
        ],
        number: number.clone(),
        code: None,
    };
    let visit = VisitId::from_entropy(1);
    let mut log = KioskLog::new(TestKiosk::One, 7);
    log.append_entry(&Entry::ReceiptIssued {
        receipt,
        visit,
        order: None,
        content,
        form: PrintForm::Receipt,
    });
    send_and_get_acknowledged(&mut city, &log.batch(0, 1));
    let (status, page) = city.page(&format!("/r/{receipt}"));
    assert_eq!(status, 200);
    for part in ["缴费凭条", "张*英 &lt;b&gt;", "¥86.40", "谢谢", &number] {
        assert!(page.contains(part), "{part}");
    }
    // The number on the paper opens nothing: who counts through all numbers finds no receipt.
    for other in ["9999", &number, &number.replace(' ', ""), &ReceiptId::from_entropy(1_234_568).to_string()]
    {
        assert_eq!(city.page(&format!("/r/{}", other.replace(' ', "%20"))).0, 404, "{other}");
    }
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
fn consent_record_confirms_the_query_under_it() {
    let mut city = CityFixture::new();
    let consent = ConsentId::from_entropy(5);
    let identified = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING);
    let give = |city: &mut CityFixture| {
        city.call(TestKiosk::One, &identified.key, "insurance.proof", "insurance.proof", Some(consent))
    };
    assert!(give(&mut city).is_ok());
    assert!(city.page("/admin").1.contains("授权记录未到：1"));

    let until = city.now.plus_ms(1000);
    let mut log = KioskLog::new(TestKiosk::One, 7);
    log.append_entry(&consented(consent, identified.resident, "insurance.proof", until));
    send_and_get_acknowledged(&mut city, &log.batch(0, 1));
    assert!(city.page("/admin").1.contains("授权记录未到：0"));
    assert!(give(&mut city).is_ok());
    city.advance(1000);
    assert_eq!(give(&mut city), Err(ProblemCode::ConsentMissing));
}

#[test]
fn contradicting_consent_record_becomes_an_incident() {
    for (at, service) in ["water.pay", "insurance.proof"].into_iter().enumerate() {
        let mut city = CityFixture::new();
        let consent = ConsentId::from_entropy(5);
        let identified = city.visit_by_card(TestKiosk::One, ZHANG_GUIYING);
        let resident = if at == 0 { identified.resident } else { Pseudonym::from_entropy(42) };
        let give = |city: &mut CityFixture| {
            city.call(TestKiosk::One, &identified.key, "insurance.proof", "insurance.proof", Some(consent))
        };
        give(&mut city).unwrap();
        let until = city.now.plus_ms(60_000);
        let mut log = KioskLog::new(TestKiosk::One, 7);
        log.append_entry(&consented(consent, resident, service, until));
        assert_eq!(send_and_get_acknowledged(&mut city, &log.batch(0, 1)), 1);
        assert!(city.page("/admin").1.contains(&format!("consent {consent}")));
        assert_eq!(give(&mut city), Err(ProblemCode::ConsentMissing));
    }
}

/// A city that issues codes, a code that a phone shows now, and the record of a kiosk that accepted it offline.
fn city_with_code_verified_offline() -> (CityFixture, String, Entry) {
    let mut city = CityFixture::with(PlatformSetup { code_authority: Some(authority()), ..setup() });
    let phone = TestPhone::bind_zhang_guiying(&mut city);
    let certificate = phone.certificate(&mut city);
    let code = phone.show(&mut city, &certificate);
    let certificate = certificate.to_bytes();
    let verified = Entry::CodeVerified {
        visit: VisitId::from_entropy(5),
        holder: CodeHolder::from_alias(certificate[4..].first_chunk().unwrap()),
        time_step: code.to_bytes().get(114..116).map(|slot| u16::from_be_bytes([slot[0], slot[1]])),
        until: city.now.plus_ms(60_000),
        offline: true,
    };
    (city, code.to_text(), verified)
}

#[test]
fn code_used_offline_is_refused_after_its_record_arrives() {
    let (mut city, code, verified) = city_with_code_verified_offline();
    let mut one = KioskLog::new(TestKiosk::One, 7);
    one.append_entry(&verified);
    send_and_get_acknowledged(&mut city, &one.batch(0, 1));
    assert_eq!(identify(&mut city, TestKiosk::Two, &code).err(), Some(ProblemCode::CodeUsed));
    assert!(identify(&mut city, TestKiosk::One, &code).is_ok(), "the visit at the first kiosk continues");
    assert!(!city.page("/admin").1.contains("one code was accepted"));
}

#[test]
fn code_used_online_and_offline_becomes_an_incident() {
    let (mut city, code, verified) = city_with_code_verified_offline();
    identify(&mut city, TestKiosk::Two, &code).unwrap();
    let mut one = KioskLog::new(TestKiosk::One, 7);
    one.append_entry(&verified);
    send_and_get_acknowledged(&mut city, &one.batch(0, 1));
    assert!(city.page("/admin").1.contains("one code was accepted at K-2 and at K-1"));
}

#[test]
fn code_used_at_two_kiosks_becomes_an_incident() {
    let mut city = CityFixture::new();
    let verified = |slot| Entry::CodeVerified {
        visit: VisitId::from_entropy(5),
        holder: CodeHolder::from_alias(b"an alias"),
        time_step: Some(slot),
        until: UnixMs(1_795_500_060_000),
        offline: true,
    };
    let mut one = KioskLog::new(TestKiosk::One, 7);
    one.append_entry(&verified(900));
    one.append_entry(&verified(901));
    send_and_get_acknowledged(&mut city, &one.batch(0, 2));
    send_and_get_acknowledged(&mut city, &one.batch(0, 2));
    let about = format!("code {}/900", CodeHolder::from_alias(b"an alias"));
    assert!(!city.page("/admin").1.contains(&about), "repeated records of one kiosk are no incident");
    let mut two = KioskLog::new(TestKiosk::Two, 8);
    two.append_entry(&verified(902));
    two.append_entry(&verified(900));
    send(&mut city, TestKiosk::Two, &two.batch(0, 2)).unwrap();
    let (_, page) = city.page("/admin");
    assert!(page.contains(&about) && page.contains("K-1") && page.contains("K-2"), "{page}");
    assert!(!page.contains("/901") && !page.contains("/902"));
}

#[test]
fn admission_with_revoked_card_becomes_an_incident() {
    let mut city = card_base::city();
    let card = card_evidence(WANG_JIANGUO);
    let admitted = |visit| Entry::Admitted {
        visit: VisitId::from_entropy(visit),
        who: AdmissionSubject::Card(card.card_name().unwrap()),
        also: Vec::new(),
        evidence: Evidence::CardAuthenticated,
        until: UnixMs(0),
        offline: true,
    };
    let mut gate = KioskLog::new(TestKiosk::One, 7);
    gate.clock = city.now;
    gate.append_entry(&admitted(1));
    city.advance(60_000);
    card_base::service_desk_request(&mut city, "lose", &serde_json::json!({ "number": card.number }))
        .unwrap();
    city.advance(60_000);
    gate.clock = city.now;
    gate.append_entry(&admitted(2));
    send_and_get_acknowledged(&mut city, &gate.batch(0, 2));
    let (_, page) = city.page("/admin");
    let is_reported = |visit| page.contains(&format!("admission {}", VisitId::from_entropy(visit)));
    assert!(is_reported(2) && !is_reported(1), "{page}");
}
