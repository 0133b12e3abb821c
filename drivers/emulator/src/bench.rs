//! The bench: a web page that shows a kiosk's real screen and operates its emulated devices, and the API of that page.
//!
//! | request | body | effect or response |
//! |---|---|---|
//! | `GET /` | – | the page |
//! | `GET /screen.png` | – | the screen |
//! | `POST /touch` | `{"x", "y"}` in pixels of the screen | touches the screen |
//! | `POST /card/insert` | `{"resident"}`: an id, or `bank`, `blank`, `garbage`, `half`, `locked`, `cloned`, `recorded`, `deaf`; `"new": true` for a card in its issued state | inserts a card |
//! | `POST /card/remove` | – | removes the card |
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

use std::path::PathBuf;
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
use crate::faults::{EmulatedDevice, FaultKind, FaultSwitches, card as card_steps, catalogue};
use crate::id_card::{EmulatedIdCard, IdCardFlaw};
use crate::id_reader::EmulatedIdReader;
use crate::printer::EmulatedPrinter;
use crate::psam_slot::EmulatedPsamSlot;
use crate::relay_board::EmulatedRelayBoard;
use crate::scanner::EmulatedScanner;
use crate::x_display::XDisplay;

/// Name on the staff card, under which site files list its key.
pub const STAFF_CARD_NAME: &str = "S-0001";

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
    /// Path of a marker file that exists while the card readers are disconnected. The process that runs pcscd watches
    /// it. `None`: the readers cannot be disconnected.
    pub readers_unplugged_marker: Option<PathBuf>,
}

type SharedBench = State<Arc<Bench>>;

/// Routes of the page and its API.
pub fn router(bench: Arc<Bench>) -> Router {
    Router::new()
        .route("/", get(async || Html(include_str!("bench.html"))))
        .route("/state", get(get_state))
        .route("/screen.png", get(get_screen))
        .route("/touch", post(touch_screen))
        .route("/card/insert", post(insert_card))
        .route("/card/remove", post(remove_card))
        .route("/phone/{id}", get(fresh_code))
        .route("/camera/show", post(show_code_to_camera))
        .route("/camera/page", post(show_page_to_camera))
        .route("/camera/hide", post(hide_from_camera))
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

async fn get_state(State(bench): SharedBench) -> Json<Value> {
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
                "step": if is_state { "" } else { fault.step.title },
                "title": if is_state { fault.step.title } else { title },
                "on": on.contains(&name),
                "name": name,
            })
        })
        .collect();
    let card = locked(&bench.card_slot).has_card();
    let (id_reader, phone_page) = (bench.id_reader.is_some(), format!("{}/code/", bench.platform));
    Json(json!({
        "residents": residents, "faults": faults, "card": card, "id_reader": id_reader, "phone_page": phone_page,
    }))
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
        slot.insert(&resident, card)
    })
    .await??;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove_card(State(bench): SharedBench) -> Result<StatusCode, BenchError> {
    tokio::task::spawn_blocking(move || locked(&bench.card_slot).remove()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn fresh_code(State(bench): SharedBench, Path(id): Path<String>) -> Result<Json<Value>, BenchError> {
    let known = bench.residents.iter().any(|one| one.id == id);
    if !known {
        return Err(BenchError(StatusCode::NOT_FOUND, "no such resident".to_owned()));
    }
    let address = format!("{}/phone/{id}/token", bench.platform);
    Ok(Json(reqwest::get(address).await?.error_for_status()?.json().await?))
}

#[derive(Deserialize)]
struct ShowCodeRequest {
    text: String,
}

async fn show_code_to_camera(
    State(bench): SharedBench,
    Json(ShowCodeRequest { text }): Json<ShowCodeRequest>,
) -> StatusCode {
    bench.camera.show_screen(PhoneScreen::from_text(&text));
    StatusCode::NO_CONTENT
}

async fn show_page_to_camera(State(bench): SharedBench, picture: Bytes) -> Result<StatusCode, BenchError> {
    let picture = image::load_from_memory(&picture);
    let picture = picture.map_err(|error| BenchError(StatusCode::BAD_REQUEST, error.to_string()))?;
    bench.camera.show_screen(Some(PhoneScreen::Page(picture.to_luma8())));
    Ok(StatusCode::NO_CONTENT)
}

async fn hide_from_camera(State(bench): SharedBench) -> StatusCode {
    bench.camera.show_screen(None);
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
        bench.set_readers_unplugged(on)?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn clear_faults(State(bench): SharedBench) -> Result<StatusCode, BenchError> {
    bench.faults.clear_all();
    if bench.readers_unplugged_marker.is_some() {
        bench.set_readers_unplugged(false)?;
    }
    Ok(StatusCode::NO_CONTENT)
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

    /// Creates or removes the marker file that disconnects the card readers.
    fn set_readers_unplugged(&self, gone: bool) -> Result<(), BenchError> {
        let Some(marker) = &self.readers_unplugged_marker else {
            return Err(BenchError(
                StatusCode::NOT_FOUND,
                "the card readers cannot be disconnected: start kiosk-bench with --unplugged".to_owned(),
            ));
        };
        if gone {
            std::fs::write(marker, "")?;
            let _ = self.faults.hit(&card_steps::READER_DISCONNECTED);
            return Ok(());
        }
        match std::fs::remove_file(marker) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
