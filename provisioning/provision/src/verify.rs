//! The independent verifier of kiosk logs: its only inputs are an export and a public key.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use contract::{Chain, Entry, Head, KioskId, PublicKey, RecordBatch, SignedHead};
use serde::Deserialize;

/// The platform's export of one kiosk's log, with the fields that are verified.
#[derive(Deserialize)]
struct Export {
    device: KioskId,
    epochs: Vec<Epoch>,
}

#[derive(Deserialize)]
struct Epoch {
    batch: RecordBatch,
    #[serde(default)]
    after_missing: Vec<RecordBatch>,
    heads: Vec<SignedHead>,
}

/// Result of a verification: what was verified.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct VerifiedLog {
    device: KioskId,
    epochs: usize,
    records: usize,
    heads: usize,
    /// Records that the kiosk itself states to be lost: epoch, first and last number.
    missing: Vec<(u64, u64, u64)>,
    /// Epochs that forked, of which the kiosk stated its records again in the next one.
    forked: Vec<u64>,
    /// Records that the kiosk says it had, by naming the head of an epoch in the next one: epoch, first and last number.
    not_exported: Vec<(u64, u64, u64)>,
    /// Records that are others than the kiosk names: epoch and number.
    contradicted: Vec<(u64, u64)>,
}

impl VerifiedLog {
    /// Whether the export has all that the kiosk says it had, except what it states to be lost or states again.
    pub(crate) const fn is_complete(&self) -> bool {
        self.not_exported.is_empty() && self.contradicted.is_empty()
    }
}

impl fmt::Display for VerifiedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} records in {} epochs, {} signed heads: ",
            self.device, self.records, self.epochs, self.heads
        )?;
        let Self { missing, forked, not_exported, contradicted, .. } = self;
        if self.is_complete() && missing.is_empty() && forked.is_empty() {
            return f.write_str("complete and unchanged");
        }
        f.write_str("unchanged")?;
        if !missing.is_empty() {
            f.write_str("; the kiosk states that these records are lost:")?;
            missing.iter().try_for_each(|(epoch, first, last)| write!(f, " {epoch:016x}/{first}-{last}"))?;
        }
        if !forked.is_empty() {
            f.write_str("; the kiosk had other records, and stated them again, of these epochs:")?;
            forked.iter().try_for_each(|epoch| write!(f, " {epoch:016x}"))?;
        }
        if !not_exported.is_empty() {
            f.write_str("; the kiosk had these records, and the export has not:")?;
            not_exported
                .iter()
                .try_for_each(|(epoch, first, last)| write!(f, " {epoch:016x}/{first}-{last}"))?;
        }
        if !contradicted.is_empty() {
            f.write_str("; the kiosk names another record than the export has at:")?;
            contradicted.iter().try_for_each(|(epoch, seq)| write!(f, " {epoch:016x}/{seq}"))?;
        }
        Ok(())
    }
}

/// Why an export is rejected. Each variant names the place where an auditor has to look.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    /// The bytes are not an export.
    #[error("the export is not valid JSON of an export")]
    Syntax(#[from] serde_json::Error),
    /// The export has no records, so it proves nothing.
    #[error("the export has no records")]
    Empty,
    /// The records do not start with the first record of the epoch.
    #[error("epoch {0:016x} does not start with its first record of this kiosk")]
    NotFirstRecord(u64),
    /// A record is missing, changed, or of another log.
    #[error("epoch {epoch:016x}: the chain is broken")]
    Chain {
        /// Number of the epoch.
        epoch: u64,
        /// The first error of the chain.
        source: contract::RecordError,
    },
    /// A head is not signed by this key.
    #[error("epoch {epoch:016x}: the head at record {seq} is not signed by this key")]
    Unsigned {
        /// Number of the epoch.
        epoch: u64,
        /// Sequence number of the record.
        seq: u64,
    },
    /// Records are missing without a statement of the kiosk.
    #[error(
        "epoch {epoch:016x}: records up to {seq} are missing, and the kiosk's statement about them does not verify"
    )]
    MissingUnstated {
        /// Number of the epoch.
        epoch: u64,
        /// Sequence number of the last missing record.
        seq: u64,
    },
    /// A signed head is not on the chain: the log was rolled back or rewritten after the head was signed.
    #[error("epoch {epoch:016x}: the head signed at record {seq} does not match these records")]
    HeadNotOnChain {
        /// Number of the epoch.
        epoch: u64,
        /// Sequence number of the record.
        seq: u64,
    },
}

/// Verifies an export.
pub(crate) fn verify(json: &[u8], key: &PublicKey) -> Result<VerifiedLog, VerifyError> {
    let export: Export = serde_json::from_slice(json)?;
    let mut verdict = VerifiedLog {
        device: export.device,
        epochs: export.epochs.len(),
        records: 0,
        heads: 0,
        missing: Vec::new(),
        forked: Vec::new(),
        not_exported: Vec::new(),
        contradicted: Vec::new(),
    };
    let mut statements = Statements::default();
    for Epoch { batch, after_missing, heads } in &export.epochs {
        let epoch = batch.from.epoch;
        if batch.from != Chain::genesis(export.device, epoch).head() {
            return Err(VerifyError::NotFirstRecord(epoch));
        }
        let mut points = Vec::new();
        let mut last = None;
        for run in std::iter::once(batch).chain(after_missing) {
            if let Some(last) = last {
                let unstated = VerifyError::MissingUnstated { epoch, seq: run.from.seq };
                let stated = run.missing.filter(|missing| missing.after <= last && last < run.from.seq);
                if (run.from.device, run.from.epoch) != (export.device, epoch) {
                    return Err(unstated);
                }
                // The kiosk may have stated more than turned out to be missing.
                let Some(missing) = stated else { return Err(unstated) };
                missing.verify(run.from, key).map_err(|_| unstated)?;
                verdict.missing.push((epoch, last + 1, run.from.seq));
            }
            last = Some(verify_run(run, &mut points, &mut statements)?);
            verdict.records += run.records.len();
        }
        let ends = std::iter::once(batch).chain(after_missing).map(|run| &run.to);
        for signed in heads.iter().chain(ends) {
            let seq = signed.head.seq;
            signed.verify(key).map_err(|_| VerifyError::Unsigned { epoch, seq })?;
            if !points.contains(&signed.head) {
                return Err(VerifyError::HeadNotOnChain { epoch, seq });
            }
        }
        verdict.heads += heads.len();
        statements.points.insert(epoch, points);
    }
    statements.compare(&mut verdict);
    if verdict.records == 0 { Err(VerifyError::Empty) } else { Ok(verdict) }
}

/// What the records say about earlier epochs, and the points of the exported chains.
#[derive(Default)]
struct Statements {
    /// By epoch, each in the order of the numbers.
    points: BTreeMap<u64, Vec<Head>>,
    /// Heads of earlier epochs, each with the epoch that names it.
    named: Vec<(u64, Head)>,
    /// Epochs with records that are stated again in another: the other, and the epoch.
    restated: BTreeSet<(u64, u64)>,
}

impl Statements {
    fn add(&mut self, epoch: u64, entry: &Entry) {
        if let Entry::JournalOpened { previous: Some(head), .. } = entry {
            self.named.push((epoch, *head));
        } else if let Entry::Restated { epoch: of, .. } = entry {
            self.restated.insert((epoch, *of));
        }
    }

    /// Compares each head that the kiosk names with the exported epoch.
    fn compare(&self, verdict: &mut VerifiedLog) {
        for (by, named) in &self.named {
            let exported = self.points.get(&named.epoch).map(Vec::as_slice).unwrap_or_default();
            let last = exported.last().map_or(0, |head| head.seq);
            let at = exported.iter().find(|head| head.seq == named.seq);
            let is_other = at.is_some_and(|head| head != named) || named.device != verdict.device;
            // A number without a point is in a gap that the kiosk has stated.
            if !is_other && named.seq <= last {
                continue;
            }
            if self.restated.contains(&(*by, named.epoch)) {
                verdict.forked.push(named.epoch);
            } else if is_other {
                verdict.contradicted.push((named.epoch, named.seq));
            } else {
                verdict.not_exported.push((named.epoch, last + 1, named.seq));
            }
        }
    }
}

/// Verifies the chain of one run of records. Adds its heads to the points of the chain and what it says of earlier epochs to the
/// statements, and returns the number of its last record.
fn verify_run(
    run: &RecordBatch,
    points: &mut Vec<Head>,
    statements: &mut Statements,
) -> Result<u64, VerifyError> {
    let epoch = run.from.epoch;
    let broken = |source| VerifyError::Chain { epoch, source };
    let mut chain = Chain::from_head(run.from);
    points.push(chain.head());
    for wire in &run.records {
        let record = wire.to_record().map_err(broken)?;
        chain.push(&record.header, &record.commitment()).map_err(broken)?;
        points.push(chain.head());
        // A record of a later version of the software says nothing here.
        if let Ok(entry) = Entry::decode(&record.body) {
            statements.add(epoch, &entry);
        }
    }
    let end = chain.head();
    if run.to.head == end {
        Ok(end.seq)
    } else {
        Err(VerifyError::HeadNotOnChain { epoch, seq: run.to.head.seq })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{
        CloseReason, Entry, MissingRecords, Record, RecordHeader, SecretKey, UnixMs, VisitId, WireRecord,
    };
    use serde_json::{Value, json};

    fn closed_visit(number: u128) -> Entry {
        Entry::VisitClosed { visit: VisitId::from_entropy(number), reason: CloseReason::Exit }
    }

    fn export(key: &SecretKey) -> Value {
        let entries: Vec<Entry> = (1..=6).map(closed_visit).collect();
        json!({ "device": "K-1", "key": key.public(), "epochs": [exported_epoch(key, 5, &entries)] })
    }

    /// An epoch with these entries, and a signed head after every second one and at its end.
    fn exported_epoch(key: &SecretKey, epoch: u64, entries: &[Entry]) -> Value {
        let device: KioskId = "K-1".parse().unwrap();
        let mut chain = Chain::genesis(device, epoch);
        let from = chain.head();
        let sign = |head: Head| SignedHead { head, signature: key.sign(&head.to_be_signed()) };
        let (mut records, mut heads) = (Vec::new(), Vec::new());
        for (seq, entry) in (1_u64..).zip(entries) {
            let body = entry.encode();
            let body_len = u32::try_from(body.len()).unwrap();
            let header = RecordHeader { kind: entry.kind(), body_len, device, epoch, seq, time: UnixMs(1) };
            let record = Record { header, salt: [2; 16], body };
            chain.push(&record.header, &record.commitment()).unwrap();
            records.push(WireRecord::from_record(&record).unwrap());
            if seq % 2 == 0 {
                heads.push(sign(chain.head()));
            }
        }
        let batch = RecordBatch { from, records, to: sign(chain.head()), missing: None, log: None };
        json!({ "batch": batch, "heads": heads })
    }

    /// An export with a second epoch, which names this head as the end of the first and continues with these entries.
    fn export_with_next_epoch(key: &SecretKey, previous: Head, entries: &[Entry]) -> Value {
        let opened = Entry::JournalOpened {
            software: "1".into(),
            configuration: "00".into(),
            previous: Some(previous),
            torn_bytes: 0,
            damaged_segments: 1,
        };
        let mut export = export(key);
        let next = exported_epoch(key, 6, &[&[opened], entries].concat());
        export["epochs"].as_array_mut().unwrap().push(next);
        export
    }

    fn end_of_first_epoch(key: &SecretKey) -> Head {
        serde_json::from_value(export(key)["epochs"][0]["batch"]["to"]["head"].clone()).unwrap()
    }

    #[test]
    fn epoch_that_the_next_one_names_is_complete() {
        let key = SecretKey::from_bytes(&[4; 32]).unwrap();
        let verdict = check(&export_with_next_epoch(&key, end_of_first_epoch(&key), &[]), &key).unwrap();
        assert!(verdict.is_complete() && verdict.to_string().ends_with("complete and unchanged"));
    }

    #[test]
    fn end_of_an_epoch_that_the_export_lacks_is_named() {
        let key = SecretKey::from_bytes(&[4; 32]).unwrap();
        let end = end_of_first_epoch(&key);
        let later = Head { seq: 9, ..end };
        let verdict = check(&export_with_next_epoch(&key, later, &[]), &key).unwrap();
        assert!(!verdict.is_complete());
        assert!(verdict.to_string().ends_with("and the export has not: 0000000000000005/7-9"), "{verdict}");
        let mut without = export_with_next_epoch(&key, end, &[]);
        without["epochs"].as_array_mut().unwrap().remove(0);
        let verdict = check(&without, &key).unwrap();
        assert_eq!((&*verdict.not_exported, verdict.is_complete()), (&[(5, 1, 6)][..], false));
    }

    #[test]
    fn other_record_than_the_kiosk_names_is_contradicted() {
        let key = SecretKey::from_bytes(&[4; 32]).unwrap();
        let other = Head { hash: [1; 32], ..end_of_first_epoch(&key) };
        let verdict = check(&export_with_next_epoch(&key, other, &[]), &key).unwrap();
        assert_eq!((&*verdict.contradicted, verdict.is_complete()), (&[(5, 6)][..], false));
        // A fork, of which the kiosk stated its own records again.
        let restated =
            Entry::Restated { epoch: 5, seq: 6, time: UnixMs(1), record: Box::new(closed_visit(9)) };
        let verdict = check(&export_with_next_epoch(&key, other, &[restated]), &key).unwrap();
        assert_eq!((&*verdict.forked, verdict.is_complete()), (&[5][..], true));
    }

    #[test]
    fn named_head_within_a_stated_gap_is_no_difference() {
        let key = SecretKey::from_bytes(&[4; 32]).unwrap();
        let named = Head { seq: 3, ..end_of_first_epoch(&key) };
        let mut export = export_with_next_epoch(&key, named, &[]);
        export["epochs"][0] = export_with_gap(&key, &key)["epochs"][0].clone();
        assert!(check(&export, &key).unwrap().is_complete());
    }

    fn check(export: &Value, key: &SecretKey) -> Result<VerifiedLog, VerifyError> {
        verify(&serde_json::to_vec(export).unwrap(), &key.public())
    }

    /// An export in which records 3 and 4 are missing, with the kiosk's statement about them.
    fn export_with_gap(key: &SecretKey, signer: &SecretKey) -> Value {
        let mut export = export(key);
        let mut whole: RecordBatch = serde_json::from_value(export["epochs"][0]["batch"].clone()).unwrap();
        let heads: Vec<SignedHead> = serde_json::from_value(export["epochs"][0]["heads"].clone()).unwrap();
        let records = whole.records.split_off(4);
        whole.records.truncate(2);
        let from = heads[1].head;
        let statement = MissingRecords::to_be_signed(from.device, from.epoch, 2, from.seq);
        let missing = Some(MissingRecords { after: 2, signature: signer.sign(&statement) });
        let run = RecordBatch { from, records, to: whole.to, missing, log: None };
        whole.to = heads[0];
        export["epochs"][0] = json!({ "batch": whole, "after_missing": [run], "heads": heads });
        export
    }

    #[test]
    fn gap_that_the_kiosk_states_is_named() {
        let key = SecretKey::from_bytes(&[4; 32]).unwrap();
        let verdict = check(&export_with_gap(&key, &key), &key).unwrap();
        assert_eq!((verdict.records, &*verdict.missing), (4, &[(5, 3, 4)][..]));
        assert!(verdict.to_string().ends_with("are lost: 0000000000000005/3-4"));
    }

    #[test]
    fn gap_without_a_valid_statement_is_refused() {
        let key = SecretKey::from_bytes(&[4; 32]).unwrap();
        let other = SecretKey::from_bytes(&[5; 32]).unwrap();
        let forged = export_with_gap(&key, &other);
        assert!(matches!(check(&forged, &key), Err(VerifyError::MissingUnstated { epoch: 5, seq: 4 })));
        let mut silent = export_with_gap(&key, &key);
        silent["epochs"][0]["after_missing"][0].as_object_mut().unwrap().remove("missing");
        assert!(matches!(check(&silent, &key), Err(VerifyError::MissingUnstated { .. })));
    }

    #[test]
    fn valid_export_is_accepted_and_counted() {
        let key = SecretKey::from_bytes(&[4; 32]).unwrap();
        let verdict = check(&export(&key), &key).unwrap();
        assert_eq!((verdict.records, verdict.heads, verdict.epochs), (6, 3, 1));
    }

    #[test]
    fn missing_changed_or_rolled_back_record_is_detected() {
        let key = SecretKey::from_bytes(&[4; 32]).unwrap();
        let good = export(&key);
        let tampered = |tamper: fn(&mut Value)| {
            let mut export = good.clone();
            tamper(&mut export);
            check(&export, &key).unwrap_err()
        };
        let records =
            |export: &mut Value| export["epochs"][0]["batch"]["records"].as_array_mut().unwrap().len();
        assert_eq!(records(&mut good.clone()), 6);
        let missing = tampered(|export| {
            export["epochs"][0]["batch"]["records"].as_array_mut().unwrap().remove(2);
        });
        assert!(matches!(missing, VerifyError::Chain { .. }), "{missing}");
        let changed = tampered(|export| {
            let body = export["epochs"][0]["batch"]["records"][1]["body"].as_str().unwrap().to_owned();
            export["epochs"][0]["batch"]["records"][1]["body"] = body.replace("exit", "exiT").into();
        });
        assert!(matches!(changed, VerifyError::HeadNotOnChain { .. }), "{changed}");
        let rolled_back = tampered(|export| {
            // The last two records are removed, and an earlier signed head replaces the last one.
            let earlier = export["epochs"][0]["heads"][1].clone();
            let records = export["epochs"][0]["batch"]["records"].as_array_mut().unwrap();
            records.truncate(4);
            export["epochs"][0]["batch"]["to"] = earlier;
        });
        assert!(matches!(rolled_back, VerifyError::HeadNotOnChain { seq: 6, .. }), "{rolled_back}");
        let other = SecretKey::from_bytes(&[5; 32]).unwrap();
        assert!(matches!(check(&good, &other), Err(VerifyError::Unsigned { .. })));
        let empty = json!({ "device": "K-1", "epochs": [] });
        assert!(matches!(check(&empty, &key), Err(VerifyError::Empty)));
    }
}
