//! The departments of the demo city in memory, and what the platform knows of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use contract::{Operations, SecretKey, UnixMs, sm3};
use rusqlite::Connection;
use sandbox::department::{
    Answering, Booking, DepartmentData, DepartmentKey, PlatformIdentity, PublicKey, SignedRequest,
    read_departments,
};
use server::{Peer, PeerAnswer, PeerCall};

use crate::publications::files_in;

const PLATFORM: &str = "PLATFORM";
const PLATFORM_KEY: [u8; 32] = [8; 32];

static DATA: LazyLock<Arc<DepartmentData>> = LazyLock::new(|| {
    let assets = assets();
    Arc::new(read_departments(&assets.join("departments"), &assets.join("residents.toml")).unwrap())
});

pub(crate) fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets")
}

/// The operations and licence kinds of the demo city.
pub(crate) fn operations() -> Operations {
    static OPERATIONS: LazyLock<Operations> = LazyLock::new(|| {
        let mut all = Operations::default();
        for file in files_in(&assets().join("operations")) {
            all.add(Operations::parse(&file.text).unwrap()).unwrap();
        }
        for file in files_in(&assets().join("licences")) {
            all.add_licence(&file.text).unwrap();
        }
        all
    });
    OPERATIONS.clone()
}

fn secret(department: &str) -> [u8; 32] {
    sm3(&[department.as_bytes()])
}

/// The departments as the platform registers them, below this base URL.
pub(crate) fn department_list(base: &str) -> String {
    let entry = |department: &contract::Department| {
        let key = SecretKey::from_bytes(&secret(&department.id.to_string())).unwrap().public();
        let id = &department.id;
        format!(
            "[[department]]\nid = \"{id}\"\nurl = \"{base}/{id}\"\nkey = \"{key}\"\nsealing = \"{key}\"\n"
        )
    };
    let entries: String = operations().departments().map(entry).collect();
    format!("platform = \"{PLATFORM}\"\n{entries}")
}

/// The key that the platform signs its requests to departments with.
pub(crate) fn platform_key() -> SecretKey {
    SecretKey::from_bytes(&PLATFORM_KEY).unwrap()
}

/// All departments of the demo city.
pub(crate) struct Departments {
    sandbox: sandbox::department::Departments,
    /// How they answer the next calls.
    pub(crate) answering: Answering,
}

impl Departments {
    pub(crate) fn new() -> Self {
        Self { sandbox: sandbox_departments(), answering: Answering::Normal }
    }

    /// Departments with other data files than those of the demo.
    pub(crate) fn with_data(directory: &Path) -> Self {
        let data = Arc::new(read_departments(directory, &assets().join("residents.toml")).unwrap());
        Self { sandbox: sandbox_with(&data), answering: Answering::Normal }
    }

    /// A department answers a call of the platform.
    pub(crate) fn serve(&mut self, call: &PeerCall, now: UnixMs) -> PeerAnswer {
        let (Peer::Department(department), Some(headers)) = (&call.peer, &call.headers) else {
            panic!("a department is called with a signature")
        };
        let request = SignedRequest {
            method: "POST".into(),
            target: call.target.clone(),
            platform: headers.device.to_string(),
            time: headers.time.clone(),
            signature: headers.signature.to_string(),
            body: call.body.clone(),
        };
        let answer =
            self.sandbox.handle_as(&department.to_string(), &request, now.0, self.answering).unwrap();
        PeerAnswer {
            status: answer.status,
            body: answer.body,
            time: Some(answer.time_ms.to_string()),
            signature: Some(answer.signature),
        }
    }

    /// The bookings of a bill, by its key `DEPARTMENT/KEY`.
    pub(crate) fn bookings_of(&self, bill: &str) -> Vec<Booking> {
        let all = self.sandbox.bookings().unwrap();
        all.into_iter().filter(|booking| format!("{}/{}", booking.department, booking.key) == bill).collect()
    }

    /// Somebody pays a bill at the department's own counter.
    pub(crate) fn pay_at_counter(&mut self, bill: &str, amount: i64, now: UnixMs) {
        let (department, key) = bill.split_once('/').unwrap();
        let body = serde_json::json!({
            "order": "0".repeat(32), "reference": "counter", "paid_ms": now.0, "bills": [{ "key": key, "amount": amount }],
        });
        let body = serde_json::to_vec(&body).unwrap();
        let time = now.0.to_string();
        let signed = contract::request_bytes_to_sign(
            contract::HttpMethod::Post,
            &format!("{department}/payments"),
            &time,
            &body,
        );
        let signature = SecretKey::from_bytes(&PLATFORM_KEY).unwrap().sign(&signed).to_string();
        let request = SignedRequest {
            method: "POST".into(),
            target: "/payments".into(),
            platform: PLATFORM.into(),
            time,
            signature,
            body,
        };
        assert_eq!(self.sandbox.handle(department, &request, now.0).unwrap().status, 204);
    }
}

/// The sandbox with a database in memory.
pub(crate) fn sandbox_departments() -> sandbox::department::Departments {
    sandbox_with(&DATA)
}

fn sandbox_with(data: &Arc<DepartmentData>) -> sandbox::department::Departments {
    let keys: BTreeMap<String, DepartmentKey> =
        data.ids().map(|id| (id.to_owned(), DepartmentKey::from_bytes(&secret(id)).unwrap())).collect();
    let key = SecretKey::from_bytes(&PLATFORM_KEY).unwrap().public().to_string();
    let platform = PlatformIdentity { id: PLATFORM.into(), key: PublicKey::from_hex(&key).unwrap() };
    let database = Connection::open_in_memory().unwrap();
    sandbox::department::Departments::open(database, Arc::clone(data), keys, platform).unwrap()
}
