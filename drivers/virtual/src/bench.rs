//! The bench: one page that shows a kiosk's real screen and everything that can be done at it.
//!
//! | request | body | does |
//! |---|---|---|
//! | `GET /` | – | the page |
//! | `GET /screen.png` | – | the screen |
//! | `POST /touch` | `{"x", "y"}` in pixels of the screen | touches it |
//! | `POST /card/insert` | `{"resident"}`: an id, or `bank`, `blank`, `garbage`, `half`, `locked`, `cloned`, `recorded`, `deaf`; `"new": true` for a card as it was made | puts a card in |
//! | `POST /card/remove` | – | takes it out |
//! | `GET /phone/{id}` | – | `{"text", "svg"}`: a fresh code from the platform |
//! | `POST /camera/show` | `{"text"}` | holds a code before the camera |
//! | `POST /camera/page` | PNG or JPEG | holds a phone with this picture on its screen before the camera |
//! | `POST /camera/hide` | – | takes it away |
//! | `GET /paper` | – | `[{"text"}]`, oldest first |
//! | `GET /paper/{n}.png` | – | picture of one |
//! | `GET /sheet` | – | `["0", …]`, what lies in the tray of the A4 printer, oldest first |
//! | `GET /sheet/{n}.png` | – | picture of one |
//! | `GET /sheet/{n}.txt` | – | text of one |
//! | `GET /relays` | – | `{"closed", "times"}`: which relays of the board are closed, and how often each was |
//! | `POST /scanner/show` | `{"text"}` | holds a code before the scanner |
//! | `POST /scanner/hide` | – | takes it away |
//! | `POST /id-card/lay` | `{"resident"}`: an id, or `foreign`, `expired`, `wrong-number` | lays an ID card down |
//! | `POST /id-card/lift` | – | takes it away |
//! | `POST /fault` | `{"name", "on"}` | switches one of the [catalogue](crate::faults::catalogue) |
//! | `POST /fault/clear` | – | switches all off |
//! | `GET /fault/{name}` | – | `{"met_ms"}`: how long ago a device first failed by it; null: not yet |
//! | `GET /state` | – | who and what there is, for the page |

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

/// What the staff card calls itself.
pub const STAFF: &str = "S-0001";

/// Everything on the bench.
pub struct Bench {
    /// The demo residents.
    pub residents: Vec<Resident>,
    /// The keys of their cards.
    pub city: CityKey,
    /// The card slot.
    pub slot: Mutex<Slot>,
    /// The PSAM in the reader's other slot, if the kiosk has one.
    pub psam: Option<SamSlot>,
    /// The relay board with the lights and the buzzer, if there is one.
    pub relays: Option<VirtualRelays>,
    /// The key of the staff card, if there is one.
    pub staff: Option<Arc<SecretKey>>,
    /// The printer.
    pub printer: VirtualPrinter,
    /// The camera.
    pub camera: VirtualCamera,
    /// The scanner, where the kiosk has one.
    pub scanner: Option<VirtualScanner>,
    /// The ID reader, where the kiosk has one.
    pub id_reader: Option<VirtualIdReader>,
    /// The tray of the A4 printer, where the kiosk has one.
    pub tray: Option<Tray>,
    /// What is wrong with all of these.
    pub faults: Faults,
    /// The screen.
    pub display: Mutex<Display>,
    /// Base URL of the platform, for the phone.
    pub platform: String,
    /// A file that is there while the readers are unplugged: whoever runs pcscd minds it. Without one the
    /// readers stay.
    pub unplugged: Option<PathBuf>,
}

type Shared = State<Arc<Bench>>;

/// The page and its requests.
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

/// A request that could not be done, with the reason for whoever is at the bench.
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
    /// As it was made, whatever was done to its PIN here.
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
        // Somebody made it, and no site lists its key.
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
    let board = board.ok_or_else(|| Refused(StatusCode::NOT_FOUND, "this kiosk has no light".to_owned()))?;
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

/// `n` of `n` with this ending.
fn index(name: &str, ending: &str) -> Option<usize> {
    name.strip_suffix(ending)?.parse().ok()
}

async fn sheets(State(bench): Shared) -> Result<Json<Value>, Refused> {
    let count = bench.tray.as_ref().map_or(Ok(0), |tray| tray.sheets().map(|sheets| sheets.len()))?;
    Ok(Json((0..count).map(|index| json!(index.to_string())).collect()))
}

async fn sheet(State(bench): Shared, Path(name): Path<String>) -> Result<Response, Refused> {
    let none = || Refused(StatusCode::NOT_FOUND, "no such sheet".to_owned());
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

    /// Tells whoever minds the readers that they are to be gone, or back.
    fn unplug(&self, gone: bool) -> Result<(), Refused> {
        let Some(marker) = &self.unplugged else {
            return Err(Refused(StatusCode::NOT_FOUND, "nobody minds the readers here".to_owned()));
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
