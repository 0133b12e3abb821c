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

use crate::camera::{Screen, VirtualCamera};
use crate::card::{Flaw, VirtualCard};
use crate::display::Display;
use crate::faults::{Device, Faults, Kind, card as card_steps, catalogue};
use crate::id_card::{IdFlaw, VirtualIdCard};
use crate::id_reader::VirtualIdReader;
use crate::keys::CityKey;
use crate::printer::VirtualPrinter;
use crate::relays::VirtualRelays;
use crate::residents::Resident;
use crate::sam_slot::SamSlot;
use crate::scanner::VirtualScanner;
use crate::sheet_printer::Tray;
use crate::slot::Slot;

/// Name on the staff card, under which site files list its key.
pub const STAFF: &str = "S-0001";

/// The bench of one kiosk: its emulated devices. 试验台.
pub struct Bench {
    /// The demo residents.
    pub residents: Vec<Resident>,
    /// The keys of the residents' cards.
    pub city: CityKey,
    /// The card slot.
    pub slot: Mutex<Slot>,
    /// The slot with the PSAM, if the kiosk has one.
    pub psam: Option<SamSlot>,
    /// The relay board with lights and buzzer, if the kiosk has one.
    pub relays: Option<VirtualRelays>,
    /// The private key of the staff card, if there is one.
    pub staff: Option<Arc<SecretKey>>,
    /// The receipt printer.
    pub printer: VirtualPrinter,
    /// The camera.
    pub camera: VirtualCamera,
    /// The scanner, if the kiosk has one.
    pub scanner: Option<VirtualScanner>,
    /// The ID reader, if the kiosk has one.
    pub id_reader: Option<VirtualIdReader>,
    /// The tray of the document printer, if the kiosk has one.
    pub tray: Option<Tray>,
    /// The named faults of all devices.
    pub faults: Faults,
    /// The kiosk's X display.
    pub display: Mutex<Display>,
    /// Base URL of the platform, which issues the phone's codes.
    pub platform: String,
    /// Path of a marker file that exists while the card readers are disconnected. The process that runs pcscd watches
    /// it. `None`: the readers cannot be disconnected.
    pub unplugged: Option<PathBuf>,
}

type Shared = State<Arc<Bench>>;

/// Routes of the page and its API.
pub fn router(bench: Arc<Bench>) -> Router {
    Router::new()
        .route("/", get(async || Html(include_str!("bench.html"))))
        .route("/state", get(state))
        .route("/screen.png", get(screen))
        .route("/touch", post(touch))
        .route("/card/insert", post(insert))
        .route("/card/remove", post(remove))
        .route("/phone/{id}", get(phone))
        .route("/camera/show", post(show))
        .route("/camera/page", post(page))
        .route("/camera/hide", post(hide))
        .route("/paper", get(papers))
        .route("/paper/{name}", get(paper))
        .route("/sheet", get(sheets))
        .route("/sheet/{name}", get(sheet))
        .route("/relays", get(relays))
        .route("/scanner/show", post(aim))
        .route("/scanner/hide", post(lay_down))
        .route("/id-card/lay", post(lay_id_card))
        .route("/id-card/lift", post(lift_id_card))
        .route("/fault", post(fault))
        .route("/fault/clear", post(clear))
        .route("/fault/{name}", get(met))
        .with_state(bench)
}

/// A failed request, with its HTTP status and a reason for the user of the bench.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

impl<E: std::fmt::Display> From<E> for Refused {
    fn from(error: E) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn state(State(bench): Shared) -> Json<Value> {
    let residents: Vec<Value> = bench
        .residents
        .iter()
        .map(
            |one| json!({ "id": one.id, "name": one.name, "version": one.card.version, "pin": one.card.pin }),
        )
        .collect();
    let on = bench.faults.on();
    let faults: Vec<Value> = catalogue()
        .filter(|fault| bench.has(fault.step.device))
        .map(|fault| {
            let (name, title) = (fault.name(), fault.kind.title());
            let is_state = fault.kind == Kind::State;
            json!({
                "device": fault.step.device.title(),
                "step": if is_state { "" } else { fault.step.title },
                "title": if is_state { fault.step.title } else { title },
                "on": on.contains(&name),
                "name": name,
            })
        })
        .collect();
    let card = locked(&bench.slot).holds_card();
    let (id_reader, phone_page) = (bench.id_reader.is_some(), format!("{}/code/", bench.platform));
    Json(json!({
        "residents": residents, "faults": faults, "card": card, "id_reader": id_reader, "phone_page": phone_page,
    }))
}

async fn screen(State(bench): Shared) -> Result<Response, Refused> {
    let png = tokio::task::spawn_blocking(move || locked(&bench.display).png()).await??;
    Ok(([(header::CONTENT_TYPE, "image/png"), (header::CACHE_CONTROL, "no-store")], png).into_response())
}

#[derive(Deserialize)]
struct Touch {
    x: i16,
    y: i16,
}

async fn touch(State(bench): Shared, Json(Touch { x, y }): Json<Touch>) -> Result<StatusCode, Refused> {
    tokio::task::spawn_blocking(move || locked(&bench.display).tap(x, y)).await??;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Insert {
    resident: String,
    /// Whether to discard the card's state, such as a changed PIN.
    #[serde(default)]
    new: bool,
}

async fn insert(
    State(bench): Shared,
    Json(Insert { resident, new }): Json<Insert>,
) -> Result<StatusCode, Refused> {
    let first = bench.residents.first();
    let third = bench.residents.iter().find(|one| one.card.version == "3.00");
    let of = |one, flaw| VirtualCard::of_city(one, flaw, &bench.city);
    let card = match resident.as_str() {
        "bank" => Some(VirtualCard::bank()),
        "staff" => bench.staff.clone().map(|key| VirtualCard::staff(STAFF, key)),
        // A staff card whose key no site file lists.
        "staff-stranger" => {
            SecretKey::from_bytes(&[0x5A; 32]).ok().map(|key| VirtualCard::staff(STAFF, key.into()))
        }
        "blank" => Some(VirtualCard::blank()),
        "garbage" => first.map(|one| of(one, Flaw::Garbage)),
        "half" => first.map(|one| of(one, Flaw::HalfRecord)),
        "locked" => first.map(|one| of(one, Flaw::Locked)),
        "cloned" => third.map(|one| of(one, Flaw::Cloned)),
        "recorded" => third.map(|one| of(one, Flaw::Recorded)),
        "deaf" => third.map(|one| of(one, Flaw::Deaf)),
        id => bench.residents.iter().find(|one| one.id == id).map(|one| of(one, Flaw::None)),
    };
    let card = card.ok_or_else(|| Refused(StatusCode::NOT_FOUND, format!("no card `{resident}`")))?;
    tokio::task::spawn_blocking(move || {
        let mut slot = locked(&bench.slot);
        if new {
            slot.forget(&resident);
        }
        slot.insert(&resident, card)
    })
    .await??;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove(State(bench): Shared) -> Result<StatusCode, Refused> {
    tokio::task::spawn_blocking(move || locked(&bench.slot).remove()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn phone(State(bench): Shared, Path(id): Path<String>) -> Result<Json<Value>, Refused> {
    let known = bench.residents.iter().any(|one| one.id == id);
    if !known {
        return Err(Refused(StatusCode::NOT_FOUND, "no such resident".to_owned()));
    }
    let address = format!("{}/phone/{id}/token", bench.platform);
    Ok(Json(reqwest::get(address).await?.error_for_status()?.json().await?))
}

#[derive(Deserialize)]
struct Show {
    text: String,
}

async fn show(State(bench): Shared, Json(Show { text }): Json<Show>) -> StatusCode {
    bench.camera.show(Screen::code(&text));
    StatusCode::NO_CONTENT
}

async fn page(State(bench): Shared, picture: Bytes) -> Result<StatusCode, Refused> {
    let picture = image::load_from_memory(&picture);
    let picture = picture.map_err(|error| Refused(StatusCode::BAD_REQUEST, error.to_string()))?;
    bench.camera.show(Some(Screen::Page(picture.to_luma8())));
    Ok(StatusCode::NO_CONTENT)
}

async fn hide(State(bench): Shared) -> StatusCode {
    bench.camera.show(None);
    StatusCode::NO_CONTENT
}

async fn relays(State(bench): Shared) -> Result<Json<Value>, Refused> {
    let board = bench.relays.as_ref().map(VirtualRelays::board);
    let board =
        board.ok_or_else(|| Refused(StatusCode::NOT_FOUND, "this kiosk has no relay board".to_owned()))?;
    Ok(Json(json!({ "closed": board.closed, "times": board.times })))
}

async fn papers(State(bench): Shared) -> Json<Value> {
    Json(bench.printer.sheets().iter().map(|sheet| json!({ "text": sheet.text })).collect())
}

async fn paper(State(bench): Shared, Path(name): Path<String>) -> Result<Response, Refused> {
    let sheet = index(&name, ".png").and_then(|index| bench.printer.sheets().into_iter().nth(index));
    let sheet = sheet.ok_or_else(|| Refused(StatusCode::NOT_FOUND, "no such receipt".to_owned()))?;
    Ok(([(header::CONTENT_TYPE, "image/png")], sheet.png).into_response())
}

/// Parses the index before this file extension.
fn index(name: &str, ending: &str) -> Option<usize> {
    name.strip_suffix(ending)?.parse().ok()
}

async fn sheets(State(bench): Shared) -> Result<Json<Value>, Refused> {
    let count = bench.tray.as_ref().map_or(Ok(0), |tray| tray.sheets().map(|sheets| sheets.len()))?;
    Ok(Json((0..count).map(|index| json!(index.to_string())).collect()))
}

async fn sheet(State(bench): Shared, Path(name): Path<String>) -> Result<Response, Refused> {
    let none = || Refused(StatusCode::NOT_FOUND, "no such A4 document".to_owned());
    let nth = |index: usize| -> Result<Vec<u8>, Refused> {
        bench.tray.as_ref().ok_or_else(none)?.sheets()?.into_iter().nth(index).ok_or_else(none)
    };
    if let Some(index) = index(&name, ".txt") {
        let sheet = nth(index)?;
        return Ok(tokio::task::spawn_blocking(move || Tray::text(&sheet)).await??.into_response());
    }
    let sheet = nth(index(&name, ".png").ok_or_else(none)?)?;
    let png = tokio::task::spawn_blocking(move || Tray::png(&sheet)).await??;
    Ok(([(header::CONTENT_TYPE, "image/png")], png).into_response())
}

#[derive(Deserialize)]
struct FaultSwitch {
    name: String,
    on: bool,
}

async fn fault(
    State(bench): Shared,
    Json(FaultSwitch { name, on }): Json<FaultSwitch>,
) -> Result<StatusCode, Refused> {
    let fault = bench
        .faults
        .switch(&name, on)
        .map_err(|unknown| Refused(StatusCode::NOT_FOUND, unknown.to_string()))?;
    if std::ptr::eq(fault.step, &card_steps::READER_GONE) {
        bench.unplug(on)?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn clear(State(bench): Shared) -> Result<StatusCode, Refused> {
    bench.faults.clear();
    if bench.unplugged.is_some() {
        bench.unplug(false)?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn met(State(bench): Shared, Path(name): Path<String>) -> Json<Value> {
    Json(json!({ "met_ms": bench.faults.met(&name).map(|ago| ago.as_millis()) }))
}

async fn aim(State(bench): Shared, Json(Show { text }): Json<Show>) -> Result<StatusCode, Refused> {
    bench.scan(Some(&text))
}

async fn lay_down(State(bench): Shared) -> Result<StatusCode, Refused> {
    bench.scan(None)
}

#[derive(Deserialize)]
struct Lay {
    resident: String,
}

async fn lay_id_card(State(bench): Shared, Json(Lay { resident }): Json<Lay>) -> Result<StatusCode, Refused> {
    let of = |flaw| bench.residents.first().map(|one| VirtualIdCard::of(one, flaw));
    let card = match resident.as_str() {
        "foreign" => of(IdFlaw::Foreign),
        "expired" => of(IdFlaw::Expired),
        "wrong-number" => of(IdFlaw::WrongNumber),
        id => {
            let one = bench.residents.iter().find(|one| one.id == id);
            one.map(|one| VirtualIdCard::of(one, IdFlaw::None))
        }
    };
    let card = card.ok_or_else(|| Refused(StatusCode::NOT_FOUND, format!("no ID card `{resident}`")))?;
    bench.id_reader()?.lay(card);
    Ok(StatusCode::NO_CONTENT)
}

async fn lift_id_card(State(bench): Shared) -> Result<StatusCode, Refused> {
    bench.id_reader()?.lift();
    Ok(StatusCode::NO_CONTENT)
}

impl Bench {
    fn id_reader(&self) -> Result<&VirtualIdReader, Refused> {
        let none = || Refused(StatusCode::NOT_FOUND, "this kiosk has no ID reader".to_owned());
        self.id_reader.as_ref().ok_or_else(none)
    }

    fn scan(&self, text: Option<&str>) -> Result<StatusCode, Refused> {
        let none = || Refused(StatusCode::NOT_FOUND, "this kiosk has no scanner".to_owned());
        self.scanner.as_ref().ok_or_else(none)?.show(text);
        Ok(StatusCode::NO_CONTENT)
    }

    fn has(&self, device: Device) -> bool {
        match device {
            Device::Card | Device::Printer | Device::Camera => true,
            Device::Scanner => self.scanner.is_some(),
            Device::IdReader => self.id_reader.is_some(),
            Device::Psam => self.psam.is_some(),
            Device::Signal => self.relays.is_some(),
        }
    }

    /// Creates or removes the marker file that disconnects the card readers.
    fn unplug(&self, gone: bool) -> Result<(), Refused> {
        let Some(marker) = &self.unplugged else {
            return Err(Refused(
                StatusCode::NOT_FOUND,
                "the card readers cannot be disconnected: start kiosk-bench with --unplugged".to_owned(),
            ));
        };
        if gone {
            std::fs::write(marker, "")?;
            let _ = self.faults.at(&card_steps::READER_GONE);
            return Ok(());
        }
        match std::fs::remove_file(marker) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
