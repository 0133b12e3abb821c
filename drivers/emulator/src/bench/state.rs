//! What the bench page shows besides the screen: once, the residents and faults; then the live state at each change.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::frames::ChannelBody;
use super::{Bench, SharedBench, locked};
use crate::faults::{FaultKind, catalogue};
use crate::rig_control::RigRequest;

/// Time between two comparisons of the state of the devices.
const STATE_INTERVAL: Duration = Duration::from_millis(200);
/// Time between two questions to the rig, which reads the screen's texts for each.
const RIG_INTERVAL: Duration = Duration::from_millis(1000);
/// After this time without a change a comment is sent, so that a lost connection is noticed.
const COMMENT_INTERVAL: Duration = Duration::from_secs(10);

/// What is presented to the kiosk by hand.
#[derive(Clone, Debug, Default)]
pub struct Presented {
    /// Name of the card that was inserted last.
    pub card: Option<String>,
    /// Name of the ID card that was placed last.
    pub id_card: Option<String>,
    /// Whether a phone is before the camera.
    pub phone: bool,
}

/// The live state, one server-sent event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct LiveState {
    /// Name of the card in the slot.
    card: Option<String>,
    /// Name of the ID card on the ID reader.
    id_card: Option<String>,
    /// Whether a phone is before the camera.
    phone: bool,
    /// Number of receipts.
    receipts: usize,
    /// Number of A4 documents in the tray.
    documents: usize,
    /// Names of the faults that are on.
    faults: Vec<String>,
    /// Number of pages that receive events.
    pages: usize,
    /// Answer of the rig to [`RigRequest::Status`]; null without a rig.
    rig: Value,
}

/// A printed paper of the demo.
#[derive(Deserialize, Serialize)]
struct PrintedPaper {
    /// The service that asks for its code.
    service: String,
    /// What it is, in each language.
    title: BTreeMap<String, String>,
    /// Text of its code.
    code: String,
}

#[derive(Deserialize)]
struct PrintedPapersFile {
    paper: Vec<PrintedPaper>,
}

/// The printed papers of the demo, `assets/papers.toml`.
fn printed_papers() -> Vec<PrintedPaper> {
    let file = include_str!("../../../../assets/papers.toml");
    toml::from_str::<PrintedPapersFile>(file).map_or_else(|_| Vec::new(), |file| file.paper)
}

/// `GET /state`.
pub(super) async fn get_state(State(bench): SharedBench) -> Json<Value> {
    let residents: Vec<Value> = bench
        .residents
        .iter()
        .map(
            |one| json!({ "id": one.id, "name": one.name, "version": one.card.version, "pin": one.card.pin }),
        )
        .collect();
    let on = bench.faults.active_names();
    let faults: Vec<Value> = catalogue()
        .filter(|fault| bench.has_device(fault.step.device))
        .map(|fault| {
            let (name, title) = (fault.name(), fault.kind.title());
            let is_state = fault.kind == FaultKind::State;
            json!({
                "device": fault.step.device.title(),
                "device_name": fault.step.device.name(),
                "step": if is_state { "" } else { fault.step.title },
                "step_name": if is_state { "" } else { fault.step.name },
                "title": if is_state { fault.step.title } else { title },
                "kind": fault.kind.name(),
                "on": on.contains(&name),
                "name": name,
            })
        })
        .collect();
    let card = locked(&bench.card_slot).has_card();
    let (id_reader, phone_page) = (bench.id_reader.is_some(), format!("{}/code/", bench.platform));
    Json(json!({
        "residents": residents,
        "papers": printed_papers(),
        "faults": faults,
        "card": card,
        "id_reader": id_reader,
        "document_printer": bench.document_tray.is_some(),
        "rig": bench.rig.is_some(),
        "platform": bench.platform,
        "phone_page": phone_page,
    }))
}

/// `GET /events`.
pub(super) async fn stream_events(State(bench): SharedBench) -> Response {
    let (sender, body) = ChannelBody::new();
    tokio::spawn(async move {
        bench.pages.fetch_add(1, Ordering::Relaxed);
        send_events(&bench, &sender).await;
        bench.pages.fetch_sub(1, Ordering::Relaxed);
    });
    let head = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (head, Body::new(body)).into_response()
}

/// Sends events until the page is closed.
async fn send_events(bench: &Arc<Bench>, page: &tokio::sync::mpsc::Sender<Bytes>) {
    let (mut last, mut sent_at) = (None, Instant::now());
    let (mut rig, mut documents) = (Value::Null, 0);
    let mut asked_at = None;
    while !page.is_closed() {
        if asked_at.is_none_or(|at: Instant| at.elapsed() >= RIG_INTERVAL) {
            asked_at = Some(Instant::now());
            (rig, documents) = slow_state(Arc::clone(bench)).await;
        }
        let state = live_state(bench, documents, &rig);
        let event = if last.as_ref() != Some(&state) {
            let json = serde_json::to_string(&state).unwrap_or_default();
            last = Some(state);
            format!("data: {json}\n\n")
        } else if sent_at.elapsed() >= COMMENT_INTERVAL {
            ":\n\n".to_owned()
        } else {
            String::new()
        };
        if !event.is_empty() {
            sent_at = Instant::now();
            if page.send(event.into()).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(STATE_INTERVAL).await;
    }
}

/// The parts of the state that block: the rig's answer and the tray of the document printer.
async fn slow_state(bench: Arc<Bench>) -> (Value, usize) {
    let state = tokio::task::spawn_blocking(move || {
        let rig = bench.rig.as_ref().and_then(|rig| rig.request(&RigRequest::Status).ok());
        let tray = bench.document_tray.as_ref().and_then(|tray| tray.documents().ok());
        (rig.unwrap_or(Value::Null), tray.map_or(0, |documents| documents.len()))
    });
    state.await.unwrap_or_default()
}

fn live_state(bench: &Bench, documents: usize, rig: &Value) -> LiveState {
    // The slot is locked while a card is inserted, which takes a moment; then the last name is as good.
    let has_card = bench.card_slot.try_lock().map_or(true, |slot| slot.has_card());
    let has_id_card = bench.id_reader.as_ref().is_some_and(|reader| reader.has_card());
    let presented = locked(&bench.presented).clone();
    LiveState {
        card: presented.card.filter(|_| has_card),
        id_card: presented.id_card.filter(|_| has_id_card),
        phone: presented.phone,
        receipts: bench.printer.printout_count(),
        documents,
        faults: bench.faults.active_names(),
        pages: bench.pages.load(Ordering::Relaxed),
        rig: rig.clone(),
    }
}
