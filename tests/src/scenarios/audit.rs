//! The audit after the scenarios: each record exactly once, one charge per bill, a chain that verifies, and no
//! personal data outside the places that may hold it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use contract::{Chain, Entry, KioskId, OrderId, RecordBatch};
use serde::Deserialize;
use serde_json::Value;

use super::ScenarioContext;
use crate::personal_data_scan::{Needle, scan_directories};
use crate::process::wait_until;
use crate::publication::DEPARTMENT_DATA;
use crate::scenario_report::ScenarioReport;

/// Time without a new record after which the uplink has sent all: nothing shows that its queue is empty.
const QUIET_PERIOD: Duration = Duration::from_secs(4);

/// A demo resident: the fields that scenarios and audit need.
#[derive(Clone, Deserialize)]
pub struct ScenarioResident {
    /// Id of the entry in the file of demo residents.
    pub id: String,
    /// Name. 姓名.
    pub name: String,
    /// Citizen ID number. 公民身份号码.
    pub id_number: String,
    /// The resident's social security card.
    pub card: ScenarioCard,
    /// The resident's ID card.
    pub id_card: ScenarioIdCard,
}

/// The card of a demo resident.
#[derive(Clone, Deserialize)]
pub struct ScenarioCard {
    /// Card identification. 卡识别码.
    pub identification: String,
    /// Card number. 卡号.
    pub number: String,
    /// The card's PIN.
    pub pin: String,
}

/// The ID card of a demo resident.
#[derive(Clone, Deserialize)]
pub struct ScenarioIdCard {
    /// Address. 住址. Only the ID card and the ID reader hold it.
    pub address: String,
}

#[derive(Deserialize)]
struct ScenarioResidentsFile {
    resident: Vec<ScenarioResident>,
}

#[derive(Deserialize)]
struct AuditExport {
    device: KioskId,
    epochs: Vec<ExportedEpoch>,
}

#[derive(Deserialize)]
struct ExportedEpoch {
    batch: RecordBatch,
}

/// Reads the demo residents.
///
/// # Errors
/// When the file cannot be read.
pub fn read_residents(file: &Path) -> Result<Vec<ScenarioResident>> {
    Ok(toml::from_str::<ScenarioResidentsFile>(&fs::read_to_string(file)?)?.resident)
}

/// Compares the data of the platform and the acquirer with the kiosks' records.
pub(super) fn run(context: &mut ScenarioContext, charged_min: usize) -> Result<()> {
    let http = reqwest::blocking::Client::builder().no_proxy().build()?;
    let mut intended: BTreeSet<OrderId> = BTreeSet::new();
    let mut settled: BTreeSet<OrderId> = BTreeSet::new();
    let sites: Vec<(String, KioskId)> =
        context.rig.kiosks.iter().map(|kiosk| (kiosk.bench.name().to_owned(), kiosk.site.device)).collect();
    for (name, device) in sites {
        let address = format!("http://{}/v1/audit/{device}", context.rig.platform);
        // The uplink may still have to send the last records.
        let mut last = 0;
        let json = wait_until("the last records", Duration::from_secs(60), || {
            let json = http.get(&address).send()?.error_for_status()?.text()?;
            let export: AuditExport = serde_json::from_str(&json)?;
            let count = export.epochs.iter().map(|epoch| epoch.batch.records.len()).sum::<usize>();
            let still = count == last && count > 0;
            last = count;
            std::thread::sleep(QUIET_PERIOD);
            Ok(still.then_some(json))
        })?;
        let file = context.rig.state().join(format!("{name}-export.json"));
        fs::write(&file, &json)?;
        let verdict = context.rig.verify_export(&file, &context.rig.public_key(&name)?);
        let said = verdict.as_ref().cloned().unwrap_or_default();
        context.report.record_expectation(&format!("independent verification: {said}"), verdict.map(drop));

        let export: AuditExport = serde_json::from_str(&json)?;
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for ExportedEpoch { batch } in &export.epochs {
            let whole = batch.from == Chain::genesis(export.device, batch.from.epoch).head()
                && batch.verify_chain().is_ok();
            context.expect(&format!("{name}: each record exactly once and in order"), whole, || {
                "the chain is incomplete".into()
            });
            for wire in &batch.records {
                let record = wire.to_record()?;
                let Ok(entry) = Entry::decode(&record.body) else { continue };
                let kind = serde_json::to_value(&entry)?;
                let kind = kind.get("entry").and_then(Value::as_str).unwrap_or_default().to_owned();
                *kinds.entry(kind).or_default() += 1;
                if let Entry::OrderCreated { order, .. } = &entry {
                    intended.insert(*order);
                }
                if let Entry::OrderSettled { order, .. } = &entry {
                    settled.insert(*order);
                }
            }
        }
        let rows = kinds.into_iter().map(|(kind, count)| vec![kind, count.to_string()]).collect();
        context.report.add_table(&format!("records of {name} at the platform"), &["record", "count"], rows);
    }
    let open: Vec<String> = intended.difference(&settled).map(ToString::to_string).collect();
    context.expect("each order has an outcome", open.is_empty(), || open.join(" "));

    let charges: Vec<Value> =
        http.get(format!("http://{}/charges", context.rig.acquirer)).send()?.error_for_status()?.json()?;
    let mut paid: BTreeMap<String, usize> = BTreeMap::new();
    for charge in &charges {
        if charge.get("outcome").and_then(|outcome| outcome.get("paid")).is_some()
            || charge.get("outcome").and_then(Value::as_str) == Some("paid")
        {
            for bill in charge.get("bills").and_then(Value::as_array).into_iter().flatten() {
                *paid.entry(bill.as_str().unwrap_or_default().to_owned()).or_default() += 1;
            }
        }
    }
    let twice: Vec<&String> = paid.iter().filter(|(_, count)| **count > 1).map(|(bill, _)| bill).collect();
    context.expect("the acquirer's own ledger has one charge for each bill", twice.is_empty(), || {
        format!("{twice:?}")
    });
    context.expect("charges were made", paid.len() >= charged_min, || format!("{paid:?}"));
    let rows = paid.into_iter().map(|(bill, count)| vec![bill, count.to_string()]).collect();
    context.report.add_table("charges in the acquirer's ledger", &["bill", "charges"], rows);
    Ok(())
}

/// Expects no resident data in any file of the kiosks, any log and any export. The databases of the platform and the
/// department are exempt, since they hold residents; the acquirer's is not.
pub fn expect_no_personal_data(state: &Path, residents: &[ScenarioResident], report: &mut ScenarioReport) {
    let passed = fs::read(state.join("wire/kiosk-platform")).unwrap_or_default();
    let calls = b"POST /v1/";
    let recorded = passed.windows(calls.len()).any(|window| window == calls);
    report.record_expectation(
        "the traffic between kiosks and platform was decrypted and recorded for the next check",
        if recorded { Ok(()) } else { Err(anyhow!("nothing was recorded")) },
    );
    let outcome = search_state(state, residents);
    report.record_expectation(
        "no name, number or PIN of a resident in state directories, logs and decrypted traffic",
        outcome.and_then(|found| if found.is_empty() { Ok(()) } else { Err(anyhow!(found.join("; "))) }),
    );
    let planted = check_planted_values(residents);
    report.record_expectation("what was planted on purpose is found", planted);
}

fn resident_needles(residents: &[ScenarioResident]) -> Vec<Needle> {
    residents
        .iter()
        .flat_map(|resident| {
            let id = &resident.id;
            [
                Needle::text(&format!("name of {id}"), &resident.name),
                Needle::number(&format!("ID number of {id}"), &resident.id_number),
                Needle::number(&format!("card number of {id}"), &resident.card.number),
                Needle::number(&format!("card identification of {id}"), &resident.card.identification),
                Needle::pin(&format!("PIN of {id}"), &resident.card.pin),
                Needle::text(&format!("address on the ID card of {id}"), &resident.id_card.address),
            ]
        })
        .collect()
}

fn search_state(state: &Path, residents: &[ScenarioResident]) -> Result<Vec<String>> {
    // What the platform and the departments know of residents.
    let own = ["platform.db", "departments.db", DEPARTMENT_DATA];
    let mut directories = Vec::new();
    for entry in fs::read_dir(state)? {
        let path = entry?.path();
        if path.ends_with("city") {
            for file in fs::read_dir(&path)? {
                let file = file?.path();
                let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if !own.iter().any(|db| name.starts_with(db)) {
                    directories.push(file);
                }
            }
        } else {
            directories.push(path);
        }
    }
    let paths: Vec<&Path> = directories.iter().map(std::path::PathBuf::as_path).collect();
    let found = scan_directories(&paths, &resident_needles(residents))?;
    Ok(found
        .into_iter()
        .map(|one| format!("{} ({}) in {} at {}", one.description, one.form, one.file.display(), one.offset))
        .collect())
}

fn check_planted_values(residents: &[ScenarioResident]) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let resident = residents.first().context("there are demo residents")?;
    let text = format!("{} {} pin {}.", resident.name, resident.id_number, resident.card.pin);
    fs::write(directory.path().join("planted"), text)?;
    let found = scan_directories(&[directory.path()], &resident_needles(residents))?;
    anyhow::ensure!(found.len() == 3, "only {} of 3 planted were found", found.len());
    Ok(())
}
