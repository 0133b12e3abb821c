//! The bench: a web page that shows a kiosk's real screen and operates its emulated devices, and the API of that page.
//!
//! | request | body | effect or response |
//! |---|---|---|
//! | `GET /` | – | the page; its style and scripts are `/bench.css`, `/words.js` and `/bench.js` |
//! | `GET /screen.png` | – | the screen |
//! | `GET /frames` | – | `multipart/x-mixed-replace`: the screen as PNG, again at each change |
//! | `GET /events` | – | server-sent events: the live state (`LiveState`), again at each change |
//! | `POST /touch` | `{"x", "y"}` in pixels of the screen | touches the screen |
//! | `POST /card/insert` | `{"resident"}`: an id, or `bank`, `blank`, `garbage`, `half`, `locked`, `cloned`, `recorded`, `deaf`; `"new": true` for a card in its issued state | inserts a card |
//! | `POST /card/remove` | – | removes the card |
//! | `POST /camera/forge` | `{"resident"}` | shows a fresh resident code with one byte changed; `{"valid", "forged", "byte"}`: the bytes in hexadecimal |
//! | `GET /phone/{id}` | – | `{"text", "svg"}`: a fresh resident code from the platform |
//! | `POST /camera/show` | `{"text"}` | shows a code to the camera |
//! | `POST /camera/page` | PNG or JPEG | shows a phone with this picture on its screen to the camera |
//! | `POST /camera/hide` | – | removes the phone from the camera |
//! | `GET /paper` | – | `[{"text"}]`: texts of the receipts, oldest first |
//! | `GET /paper/{n}.png` | – | picture of a receipt |
//! | `GET /sheet` | – | `["0", …]`: indices of the A4 documents in the tray, oldest first |
//! | `GET /sheet/{n}.png` | – | picture of an A4 document |
//! | `GET /sheet/{n}.txt` | – | text of an A4 document |
//! | `GET /relays` | – | `{"closed", "times"}`: which relays are closed, and how often each was closed |
//! | `POST /scanner/show` | `{"text"}` | presents a code to the scanner |
//! | `POST /scanner/hide` | – | removes the code from the scanner |
//! | `POST /id-card/lay` | `{"resident"}`: an id, or `foreign`, `expired`, `wrong-number` | places an ID card on the ID reader |
//! | `POST /id-card/lift` | – | removes the ID card |
//! | `POST /fault` | `{"name", "on"}` | switches a fault of the [catalogue](crate::faults::catalogue) on or off |
//! | `POST /fault/clear` | – | switches all faults off |
//! | `GET /fault/{name}` | – | `{"met_ms"}`: time since the fault first took effect; null if it has not |
//! | `GET /state` | – | residents, faults and devices, for the page |
//! | `POST /rig` | a [`RigRequest`] | asks the [rig](crate::rig_control) around the bench |

mod forgery;
mod frames;
mod state;

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use contract::SecretKey;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::camera::{EmulatedCamera, PhoneScreen};
use crate::card::{CardFlaw, EmulatedCard};
use crate::card_keys::CityCardKeys;
use crate::card_slot::EmulatedCardSlot;
use crate::demo_residents::BenchResident;
use crate::document_printer::DocumentTray;
use crate::faults::{EmulatedDevice, FaultSwitches, card as card_steps};
use crate::id_card::{EmulatedIdCard, IdCardFlaw};
use crate::id_reader::EmulatedIdReader;
use crate::printer::EmulatedPrinter;
use crate::psam_slot::EmulatedPsamSlot;
use crate::relay_board::EmulatedRelayBoard;
use crate::rig_control::{RigClient, RigError, RigRequest};
use crate::scanner::EmulatedScanner;
use crate::x_display::XDisplay;

/// Name on the staff card, under which site files list its key.
pub const STAFF_CARD_NAME: &str = "S-0001";

pub use frames::FrameSource;
pub use state::Presented;

/// The bench of one kiosk: its emulated devices. 试验台.
pub struct Bench {
    /// The demo residents.
    pub residents: Vec<BenchResident>,
    /// The keys of the residents' cards.
    pub card_keys: CityCardKeys,
    /// The card slot.
    pub card_slot: Mutex<EmulatedCardSlot>,
    /// The slot with the PSAM, if the kiosk has one.
    pub psam_slot: Option<EmulatedPsamSlot>,
    /// The relay board with lights and buzzer, if the kiosk has one.
    pub relay_board: Option<EmulatedRelayBoard>,
    /// The private key of the staff card, if there is one.
    pub staff_key: Option<Arc<SecretKey>>,
    /// The receipt printer.
    pub printer: EmulatedPrinter,
    /// The camera.
    pub camera: EmulatedCamera,
    /// The scanner, if the kiosk has one.
    pub scanner: Option<EmulatedScanner>,
    /// The ID reader, if the kiosk has one.
    pub id_reader: Option<EmulatedIdReader>,
    /// The tray of the document printer, if the kiosk has one.
    pub document_tray: Option<DocumentTray>,
    /// The named faults of all devices.
    pub faults: FaultSwitches,
    /// The kiosk's X display.
    pub display: Mutex<XDisplay>,
    /// Base URL of the platform, which issues the phone's codes.
    pub platform: String,
    /// The frames of the display, for the page.
    pub frames: FrameSource,
    /// The rig around the bench. `None`: there are devices only, and the card readers cannot be disconnected.
    pub rig: Option<RigClient>,
    /// What is presented to the kiosk now, and how many pages are open.
    pub presented: Mutex<Presented>,
    /// Number of pages that receive events.
    pub pages: AtomicUsize,
}

type SharedBench = State<Arc<Bench>>;

/// Routes of the page and its API.
pub fn router(bench: Arc<Bench>) -> Router {
    Router::new()
        .route("/", get(async || Html(include_str!("bench/page.html"))))
        .route("/bench.css", get(async || with_type("text/css", include_str!("bench/page.css"))))
        .route("/bench.js", get(async || with_type("text/javascript", include_str!("bench/page.js"))))
        .route("/words.js", get(async || with_type("text/javascript", include_str!("bench/words.js"))))
        .route("/state", get(state::get_state))
        .route("/events", get(state::stream_events))
        .route("/frames", get(frames::stream_frames))
        .route("/rig", post(ask_rig))
        .route("/screen.png", get(get_screen))
        .route("/touch", post(touch_screen))
        .route("/card/insert", post(insert_card))
        .route("/card/remove", post(remove_card))
        .route("/phone/{id}", get(fresh_code))
        .route("/camera/show", post(show_code_to_camera))
        .route("/camera/page", post(show_page_to_camera))
        .route("/camera/hide", post(hide_from_camera))
        .route("/camera/forge", post(forgery::show_forged_code))
        .route("/paper", get(list_receipts))
        .route("/paper/{name}", get(get_receipt))
        .route("/sheet", get(list_documents))
        .route("/sheet/{name}", get(get_document))
        .route("/relays", get(get_relays))
        .route("/scanner/show", post(show_code_to_scanner))
        .route("/scanner/hide", post(hide_from_scanner))
        .route("/id-card/lay", post(place_id_card))
        .route("/id-card/lift", post(remove_id_card))
        .route("/fault", post(switch_fault))
        .route("/fault/clear", post(clear_faults))
        .route("/fault/{name}", get(get_fault_hit))
        .with_state(bench)
}

/// A failed request, with its HTTP status and a reason for the user of the bench.
struct BenchError(StatusCode, String);

impl IntoResponse for BenchError {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

impl<E: std::fmt::Display> From<E> for BenchError {
    fn from(error: E) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file of the page with its media type.
fn with_type(kind: &'static str, text: &'static str) -> impl IntoResponse {
    (
        [
            (header::CONTENT_TYPE, format!("{kind}; charset=utf-8")),
            (header::CACHE_CONTROL, "no-store".into()),
        ],
        text,
    )
}

async fn ask_rig(
    State(bench): SharedBench,
    Json(request): Json<RigRequest>,
) -> Result<Json<Value>, BenchError> {
    let rig = bench.rig.clone().ok_or_else(no_rig)?;
    Ok(Json(tokio::task::spawn_blocking(move || rig.request(&request)).await?.map_err(rig_error)?))
}

fn no_rig() -> BenchError {
    BenchError(StatusCode::NOT_FOUND, "no rig: start kiosk-bench with --control".to_owned())
}

/// A refusal is the fault of the request; an unreachable rig is not.
fn rig_error(error: RigError) -> BenchError {
    let status = match &error {
        RigError::Refused(_) => StatusCode::CONFLICT,
        RigError::Socket(_) | RigError::Answer(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    BenchError(status, error.to_string())
}

async fn get_screen(State(bench): SharedBench) -> Result<Response, BenchError> {
    let png = tokio::task::spawn_blocking(move || locked(&bench.display).capture_png()).await??;
    Ok(([(header::CONTENT_TYPE, "image/png"), (header::CACHE_CONTROL, "no-store")], png).into_response())
}

#[derive(Deserialize)]
struct TouchRequest {
    x: i16,
    y: i16,
}

async fn touch_screen(
    State(bench): SharedBench,
    Json(TouchRequest { x, y }): Json<TouchRequest>,
) -> Result<StatusCode, BenchError> {
    tokio::task::spawn_blocking(move || locked(&bench.display).tap(x, y)).await??;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct InsertCardRequest {
    resident: String,
    /// Whether to discard the card's state, such as a changed PIN.
    #[serde(default)]
    new: bool,
}

async fn insert_card(
    State(bench): SharedBench,
    Json(InsertCardRequest { resident, new }): Json<InsertCardRequest>,
) -> Result<StatusCode, BenchError> {
    let first = bench.residents.first();
    let third = bench.residents.iter().find(|one| one.card.version == "3.00");
    let of = |one, flaw| EmulatedCard::for_resident_of_city(one, flaw, &bench.card_keys);
    let card = match resident.as_str() {
        "bank" => Some(EmulatedCard::new_bank_card()),
        "staff" => bench.staff_key.clone().map(|key| EmulatedCard::new_staff_card(STAFF_CARD_NAME, key)),
        // A staff card whose key no site file lists.
        "staff-stranger" => SecretKey::from_bytes(&[0x5A; 32])
            .ok()
            .map(|key| EmulatedCard::new_staff_card(STAFF_CARD_NAME, key.into())),
        "blank" => Some(EmulatedCard::new_blank()),
        "garbage" => first.map(|one| of(one, CardFlaw::Garbage)),
        "half" => first.map(|one| of(one, CardFlaw::TruncatedRecord)),
        "locked" => first.map(|one| of(one, CardFlaw::ApplicationLocked)),
        "cloned" => third.map(|one| of(one, CardFlaw::Cloned)),
        "recorded" => third.map(|one| of(one, CardFlaw::Replayed)),
        "deaf" => third.map(|one| of(one, CardFlaw::NoAuthentication)),
        id => bench.residents.iter().find(|one| one.id == id).map(|one| of(one, CardFlaw::None)),
    };
    let card = card.ok_or_else(|| BenchError(StatusCode::NOT_FOUND, format!("no card `{resident}`")))?;
    tokio::task::spawn_blocking(move || {
        let mut slot = locked(&bench.card_slot);
        if new {
            slot.discard_card_state(&resident);
        }
        let inserted = slot.insert(&resident, card);
        locked(&bench.presented).card = inserted.is_ok().then_some(resident);
        inserted
    })
    .await??;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove_card(State(bench): SharedBench) -> Result<StatusCode, BenchError> {
    tokio::task::spawn_blocking(move || locked(&bench.card_slot).remove()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn fresh_code(State(bench): SharedBench, Path(id): Path<String>) -> Result<Json<Value>, BenchError> {
    fetch_code(&bench, &id).await.map(Json)
}

/// Asks the platform for a fresh resident code.
async fn fetch_code(bench: &Bench, resident: &str) -> Result<Value, BenchError> {
    let known = bench.residents.iter().any(|one| one.id == resident);
    if !known {
        return Err(BenchError(StatusCode::NOT_FOUND, "no such resident".to_owned()));
    }
    let address = format!("{}/phone/{resident}/token", bench.platform);
    Ok(reqwest::get(address).await?.error_for_status()?.json().await?)
}

#[derive(Deserialize)]
struct ShowCodeRequest {
    text: String,
}

async fn show_code_to_camera(
    State(bench): SharedBench,
    Json(ShowCodeRequest { text }): Json<ShowCodeRequest>,
) -> StatusCode {
    bench.show_to_camera(PhoneScreen::from_text(&text));
    StatusCode::NO_CONTENT
}

async fn show_page_to_camera(State(bench): SharedBench, picture: Bytes) -> Result<StatusCode, BenchError> {
    let picture = image::load_from_memory(&picture);
    let picture = picture.map_err(|error| BenchError(StatusCode::BAD_REQUEST, error.to_string()))?;
    bench.show_to_camera(Some(PhoneScreen::Page(picture.to_luma8())));
    Ok(StatusCode::NO_CONTENT)
}

async fn hide_from_camera(State(bench): SharedBench) -> StatusCode {
    bench.show_to_camera(None);
    StatusCode::NO_CONTENT
}

async fn get_relays(State(bench): SharedBench) -> Result<Json<Value>, BenchError> {
    let board = bench.relay_board.as_ref().map(EmulatedRelayBoard::states);
    let board =
        board.ok_or_else(|| BenchError(StatusCode::NOT_FOUND, "this kiosk has no relay board".to_owned()))?;
    Ok(Json(json!({ "closed": board.closed, "times": board.close_counts })))
}

async fn list_receipts(State(bench): SharedBench) -> Json<Value> {
    Json(bench.printer.printouts().iter().map(|sheet| json!({ "text": sheet.text })).collect())
}

async fn get_receipt(State(bench): SharedBench, Path(name): Path<String>) -> Result<Response, BenchError> {
    let sheet = parse_index(&name, ".png").and_then(|index| bench.printer.printouts().into_iter().nth(index));
    let sheet = sheet.ok_or_else(|| BenchError(StatusCode::NOT_FOUND, "no such receipt".to_owned()))?;
    Ok(([(header::CONTENT_TYPE, "image/png")], sheet.png).into_response())
}

/// Parses the index before this file extension.
fn parse_index(name: &str, ending: &str) -> Option<usize> {
    name.strip_suffix(ending)?.parse().ok()
}

async fn list_documents(State(bench): SharedBench) -> Result<Json<Value>, BenchError> {
    let count =
        bench.document_tray.as_ref().map_or(Ok(0), |tray| tray.documents().map(|sheets| sheets.len()))?;
    Ok(Json((0..count).map(|index| json!(index.to_string())).collect()))
}

async fn get_document(State(bench): SharedBench, Path(name): Path<String>) -> Result<Response, BenchError> {
    let none = || BenchError(StatusCode::NOT_FOUND, "no such A4 document".to_owned());
    let nth = |index: usize| -> Result<Vec<u8>, BenchError> {
        bench.document_tray.as_ref().ok_or_else(none)?.documents()?.into_iter().nth(index).ok_or_else(none)
    };
    if let Some(index) = parse_index(&name, ".txt") {
        let sheet = nth(index)?;
        return Ok(tokio::task::spawn_blocking(move || DocumentTray::extract_text(&sheet))
            .await??
            .into_response());
    }
    let sheet = nth(parse_index(&name, ".png").ok_or_else(none)?)?;
    let png = tokio::task::spawn_blocking(move || DocumentTray::render_png(&sheet)).await??;
    Ok(([(header::CONTENT_TYPE, "image/png")], png).into_response())
}

#[derive(Deserialize)]
struct FaultRequest {
    name: String,
    on: bool,
}

async fn switch_fault(
    State(bench): SharedBench,
    Json(FaultRequest { name, on }): Json<FaultRequest>,
) -> Result<StatusCode, BenchError> {
    let fault = bench
        .faults
        .set_active(&name, on)
        .map_err(|unknown| BenchError(StatusCode::NOT_FOUND, unknown.to_string()))?;
    if std::ptr::eq(fault.step, &card_steps::READER_DISCONNECTED) {
        if let Err(error) = connect_readers(&bench, !on).await {
            let _ = bench.faults.set_active(&name, !on);
            return Err(error);
        }
        if on {
            let _ = bench.faults.hit(&card_steps::READER_DISCONNECTED);
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn clear_faults(State(bench): SharedBench) -> Result<StatusCode, BenchError> {
    bench.faults.clear_all();
    if bench.rig.is_some() {
        connect_readers(&bench, true).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn connect_readers(bench: &Bench, connected: bool) -> Result<(), BenchError> {
    let rig = bench.rig.clone().ok_or_else(no_rig)?;
    let request = RigRequest::Readers { connected };
    tokio::task::spawn_blocking(move || rig.request(&request)).await?.map_err(rig_error)?;
    Ok(())
}

async fn get_fault_hit(State(bench): SharedBench, Path(name): Path<String>) -> Json<Value> {
    Json(json!({ "met_ms": bench.faults.time_since_hit(&name).map(|ago| ago.as_millis()) }))
}

async fn show_code_to_scanner(
    State(bench): SharedBench,
    Json(ShowCodeRequest { text }): Json<ShowCodeRequest>,
) -> Result<StatusCode, BenchError> {
    bench.present_to_scanner(Some(&text))
}

async fn hide_from_scanner(State(bench): SharedBench) -> Result<StatusCode, BenchError> {
    bench.present_to_scanner(None)
}

#[derive(Deserialize)]
struct PlaceIdCardRequest {
    resident: String,
}

async fn place_id_card(
    State(bench): SharedBench,
    Json(PlaceIdCardRequest { resident }): Json<PlaceIdCardRequest>,
) -> Result<StatusCode, BenchError> {
    let of = |flaw| bench.residents.first().map(|one| EmulatedIdCard::for_resident(one, flaw));
    let card = match resident.as_str() {
        "foreign" => of(IdCardFlaw::OtherDocument),
        "expired" => of(IdCardFlaw::Expired),
        "wrong-number" => of(IdCardFlaw::WrongNumber),
        id => {
            let one = bench.residents.iter().find(|one| one.id == id);
            one.map(|one| EmulatedIdCard::for_resident(one, IdCardFlaw::None))
        }
    };
    let card = card.ok_or_else(|| BenchError(StatusCode::NOT_FOUND, format!("no ID card `{resident}`")))?;
    bench.id_reader()?.place_card(card);
    locked(&bench.presented).id_card = Some(resident);
    Ok(StatusCode::NO_CONTENT)
}

async fn remove_id_card(State(bench): SharedBench) -> Result<StatusCode, BenchError> {
    bench.id_reader()?.remove_card();
    Ok(StatusCode::NO_CONTENT)
}

impl Bench {
    fn id_reader(&self) -> Result<&EmulatedIdReader, BenchError> {
        let none = || BenchError(StatusCode::NOT_FOUND, "this kiosk has no ID reader".to_owned());
        self.id_reader.as_ref().ok_or_else(none)
    }

    fn present_to_scanner(&self, text: Option<&str>) -> Result<StatusCode, BenchError> {
        let none = || BenchError(StatusCode::NOT_FOUND, "this kiosk has no scanner".to_owned());
        self.scanner.as_ref().ok_or_else(none)?.present_code(text);
        Ok(StatusCode::NO_CONTENT)
    }

    fn has_device(&self, device: EmulatedDevice) -> bool {
        match device {
            EmulatedDevice::Card | EmulatedDevice::Printer | EmulatedDevice::Camera => true,
            EmulatedDevice::Scanner => self.scanner.is_some(),
            EmulatedDevice::IdReader => self.id_reader.is_some(),
            EmulatedDevice::Psam => self.psam_slot.is_some(),
            EmulatedDevice::Signal => self.relay_board.is_some(),
        }
    }

    fn show_to_camera(&self, screen: Option<PhoneScreen>) {
        locked(&self.presented).phone = screen.is_some();
        self.camera.show_screen(screen);
    }
}

#[cfg(test)]
mod tests;
