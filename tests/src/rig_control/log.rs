//! The mission of the altered log: one byte of a copy of the kiosk's log is changed, and the verifier finds it.

use std::fs;

use anyhow::{Context as _, Result};
use contract::{Entry, WireRecord};
use serde_json::{Value, json};

use super::SharedRig;

/// Most records that a bench lists: the newest.
const RECORDS_MAX: usize = 40;

/// The newest records of an export, oldest first: where each is in the export, its entry's kind, its time, its body.
pub(super) fn records(export: &str) -> Result<Value> {
    let export: Value = serde_json::from_str(export)?;
    let mut rows = Vec::new();
    let epochs = export.get("epochs").and_then(Value::as_array).context("the export has no epochs")?;
    for (epoch, content) in epochs.iter().enumerate() {
        let stored = content.pointer("/batch/records").and_then(Value::as_array);
        for (record, wire) in stored.context("the export has no records")?.iter().enumerate() {
            let wire: WireRecord = serde_json::from_value(wire.clone())?;
            let decoded = wire.to_record()?;
            let entry = Entry::decode(&decoded.body).ok().map(serde_json::to_value).transpose()?;
            rows.push(json!({
                "epoch": epoch,
                "record": record,
                "seq": decoded.header.seq,
                "at_ms": decoded.header.time.0,
                "kind": entry.as_ref().and_then(|entry| entry.get("entry")),
                "body": wire.body,
            }));
        }
    }
    let older = rows.len().saturating_sub(RECORDS_MAX);
    Ok(Value::Array(rows.split_off(older)))
}

/// Changes the lowest bit of a byte in the body of a record. Returns the bodies before and after.
fn alter(export: &mut Value, epoch: usize, record: usize, byte: usize) -> Result<(String, String)> {
    let path = format!("/epochs/{epoch}/batch/records/{record}/body");
    let body = export.pointer_mut(&path).context("there is no such record")?;
    let before = body.as_str().context("the record has no body")?.to_owned();
    let mut bytes = before.clone().into_bytes();
    *bytes.get_mut(byte).context("the record has no such byte")? ^= 1;
    let after =
        String::from_utf8(bytes).ok().context("the changed byte would not be text: choose another byte")?;
    *body = Value::String(after.clone());
    Ok((before, after))
}

/// Writes an export and a copy of it with one byte changed, and runs the verifier on both.
pub(super) fn alter_and_verify(
    rig: &SharedRig,
    name: &str,
    export: &str,
    epoch: usize,
    record: usize,
    byte: usize,
) -> Result<Value> {
    let mut copy: Value = serde_json::from_str(export)?;
    let (before, after) = alter(&mut copy, epoch, record, byte)?;
    let [original, altered] =
        ["log", "log-altered"].map(|file| rig.state.join(format!("{name}-{file}.json")));
    fs::write(&original, export)?;
    fs::write(&altered, serde_json::to_vec(&copy)?)?;
    let key = rig.public_key(name)?;
    let verdict = |file| match rig.verify_export(file, &key) {
        Ok(output) => json!({ "accepted": true, "output": output }),
        Err(rejected) => json!({ "accepted": false, "output": format!("{rejected:#}") }),
    };
    Ok(json!({
        "before": before,
        "after": after,
        "byte": byte,
        "original": verdict(&original),
        "altered": verdict(&altered),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export(body: &str) -> Value {
        json!({ "epochs": [{ "batch": { "records": [{ "body": body }] } }] })
    }

    #[test]
    fn one_bit_of_the_chosen_byte_changes() {
        let mut log = export("{\"total\":4500}");
        let (before, after) = alter(&mut log, 0, 0, 9).unwrap();
        assert_eq!((before.as_str(), after.as_str()), ("{\"total\":4500}", "{\"total\":5500}"));
        assert_eq!(log, export("{\"total\":5500}"));
        // The last byte of a Chinese character stays text.
        assert!(alter(&mut export("水"), 0, 0, 2).is_ok());
    }

    #[test]
    fn byte_outside_the_log_is_refused() {
        for (epoch, record, byte) in [(1, 0, 0), (0, 1, 0), (0, 0, 2)] {
            assert!(alter(&mut export("{}"), epoch, record, byte).is_err(), "{epoch} {record} {byte}");
        }
    }
}
