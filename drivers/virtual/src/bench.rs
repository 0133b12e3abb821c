//! The bench: one page that shows a kiosk's real screen and everything that can be done at it.
//!
//! | request | body | does |
//! |---|---|---|
//! | `GET /` | – | the page |
//! | `GET /screen.png` | – | the screen |
//! | `POST /touch` | `{"x", "y"}` in pixels of the screen | touches it |
//! | `POST /card/insert` | `{"resident"}`: an id, or `bank`, `blank`, `garbage`, `half`, `locked` | puts a card in |
//! | `POST /card/remove` | – | takes it out |
//! | `GET /phone/{id}` | – | `{"text", "svg"}`: a fresh code from the platform |
//! | `POST /camera/show` | `{"text"}` | holds a code before the camera |
//! | `POST /camera/hide` | – | takes it away |
//! | `GET /paper` | – | `[{"text"}]`, oldest first |
//! | `GET /paper/{n}.png` | – | picture of one |
//! | `POST /fault` | `{"name", "on"}` | see [`FAULTS`] |
//! | `GET /state` | – | who and what there is, for the page |

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::camera::VirtualCamera;
use crate::card::{Flaw, VirtualCard};
use crate::display::Display;
use crate::printer::VirtualPrinter;
use crate::residents::Resident;
use crate::slot::Slot;

/// The faults that can be switched: name and what it is called on the page.
pub const FAULTS: &[(&str, &str)] = &[
    ("card-pulled", "读卡中途拔卡"),
    ("reader-gone", "读卡器断开"),
    ("paper-out", "打印机缺纸"),
    ("paper-ends", "打印到一半缺纸"),
    ("cover-open", "打印机开盖"),
    ("printer-mute", "打印机不应答"),
    ("camera-stalled", "摄像头卡住"),
];

/// How much paper is left when the roll is to end in the middle of a receipt, in dots.
const HALF_A_RECEIPT: u32 = 240;

/// Everything on the bench.
pub struct Bench {
    /// The demo residents.
    pub residents: Vec<Resident>,
    /// The card slot.
    pub slot: Mutex<Slot>,
    /// The printer.
    pub printer: VirtualPrinter,
    /// The camera.
    pub camera: VirtualCamera,
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
        .route("/camera/hide", post(hide))
        .route("/paper", get(papers))
        .route("/paper/{name}", get(paper))
        .route("/fault", post(fault))
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
    let faults: Vec<Value> =
        FAULTS.iter().map(|(name, title)| json!({ "name": name, "title": title })).collect();
    let card = locked(&bench.slot).holds_card();
    Json(json!({ "residents": residents, "faults": faults, "card": card }))
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
}

async fn insert(
    State(bench): Shared,
    Json(Insert { resident }): Json<Insert>,
) -> Result<StatusCode, Refused> {
    let first = bench.residents.first();
    let card = match resident.as_str() {
        "bank" => Some(VirtualCard::bank()),
        "blank" => Some(VirtualCard::blank()),
        "garbage" => first.map(|one| VirtualCard::of(one, Flaw::Garbage)),
        "half" => first.map(|one| VirtualCard::of(one, Flaw::HalfRecord)),
        "locked" => first.map(|one| VirtualCard::of(one, Flaw::Locked)),
        id => bench.residents.iter().find(|one| one.id == id).map(|one| VirtualCard::of(one, Flaw::None)),
    };
    let card = card.ok_or_else(|| Refused(StatusCode::NOT_FOUND, format!("no card `{resident}`")))?;
    tokio::task::spawn_blocking(move || locked(&bench.slot).insert(&resident, card)).await??;
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
    bench.camera.show(Some(text));
    StatusCode::NO_CONTENT
}

async fn hide(State(bench): Shared) -> StatusCode {
    bench.camera.show(None);
    StatusCode::NO_CONTENT
}

async fn papers(State(bench): Shared) -> Json<Value> {
    Json(bench.printer.sheets().iter().map(|sheet| json!({ "text": sheet.text })).collect())
}

async fn paper(State(bench): Shared, Path(name): Path<String>) -> Result<Response, Refused> {
    let index = name.strip_suffix(".png").and_then(|index| index.parse::<usize>().ok());
    let sheet = index.and_then(|index| bench.printer.sheets().into_iter().nth(index));
    let sheet = sheet.ok_or_else(|| Refused(StatusCode::NOT_FOUND, "no such receipt".to_owned()))?;
    Ok(([(header::CONTENT_TYPE, "image/png")], sheet.png).into_response())
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
    match name.as_str() {
        "card-pulled" => {
            if on {
                locked(&bench.slot).pull_after(5);
            }
        }
        "reader-gone" => {
            let Some(marker) = &bench.unplugged else {
                return Err(Refused(StatusCode::NOT_FOUND, "nobody minds the readers here".to_owned()));
            };
            match on {
                true => std::fs::write(marker, "")?,
                false => match std::fs::remove_file(marker) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                    Ok(()) | Err(_) => {}
                },
            }
        }
        "paper-out" => bench.printer.set(|troubles| troubles.paper_out = on)?,
        "paper-ends" => bench.printer.set(|troubles| {
            troubles.paper_left = on.then_some(HALF_A_RECEIPT);
            troubles.paper_out = false;
        })?,
        "cover-open" => bench.printer.set(|troubles| troubles.cover_open = on)?,
        "printer-mute" => bench.printer.set(|troubles| troubles.mute = on)?,
        "camera-stalled" => bench.camera.stall(on),
        other => return Err(Refused(StatusCode::NOT_FOUND, format!("no fault `{other}`"))),
    }
    Ok(StatusCode::NO_CONTENT)
}
