//! The departments of the simulated city: those of the demo, with more water bills.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use contract::{Department, Operations, Publication, PublicationSources, SecretKey, SourceFile, UnixMs, sm3};
use rusqlite::Connection;
use sandbox::department::{
    Answering, DepartmentData, DepartmentKey, Departments, PlatformIdentity, PublicKey, Resident,
    SignedRequest, residents_from_toml,
};
use server::{Peer, PeerAnswer, PeerCall};

/// Name under which the platform signs its requests.
const PLATFORM: &str = "PLATFORM";
/// Bills of each resident: enough for a run with faults.
const BILLS: u32 = 36;

/// The demo's departments as they are.
pub(crate) static DEMO: LazyLock<Arc<DepartmentData>> = LazyLock::new(|| parse(&texts("departments")));

/// The demo's departments with enough water bills for a run with faults.
pub(crate) static SIMULATED: LazyLock<Arc<DepartmentData>> = LazyLock::new(|| {
    let mut files = texts("departments");
    files.insert("water.toml".to_owned(), water(residents().iter().map(|resident| resident.id.as_str())));
    parse(&files)
});

fn residents() -> Vec<Resident> {
    residents_from_toml(&std::fs::read_to_string(assets().join("residents.toml")).unwrap()).unwrap()
}

fn parse(files: &BTreeMap<String, String>) -> Arc<DepartmentData> {
    let files = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    Arc::new(DepartmentData::parse(files, residents()).unwrap())
}

fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets")
}

/// The TOML files of a folder of assets, by name.
fn texts(folder: &str) -> BTreeMap<String, String> {
    let files = std::fs::read_dir(assets().join(folder)).unwrap();
    files
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// The water department: its bills, and what can be submitted to it.
fn water<'a>(residents: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::from(
        r#"name = { zh = "渝水供水有限公司", en = "Yushui Water" }
[[query]]
operation = "water.bills"
fields = ["bill", "payee", "address", "period", "usage", "amount"]
key = "bill"
amount = "amount"
"#,
    );
    let submission = "[[submission]]\noperation = \"water.phone\"\nnumber = \"W$number()\"\n";
    for resident in residents {
        for number in 0..BILLS {
            let (year, month, amount) = (2010 + number / 12, 1 + number % 12, number * 100 + 1);
            write!(
                text,
                "[[query.row]]\nresident = \"{resident}\"\nvalues = {{ bill = \"{resident}-{number}\", payee = \"渝水供水有限公司\", \
                 address = \"花卉园\", period = \"{year}-{month:02}\", usage = \"18 吨\", amount = {amount} }}\n"
            )
            .unwrap();
        }
    }
    text + submission
}

/// The operations that the platform knows.
pub(crate) fn operations() -> Operations {
    static OPERATIONS: LazyLock<Operations> = LazyLock::new(|| {
        let mut all = Operations::default();
        for text in texts("operations").values() {
            all.add(Operations::parse(text).unwrap()).unwrap();
        }
        for text in texts("licences").values() {
            all.add_licence(text).unwrap();
        }
        all
    });
    OPERATIONS.clone()
}

fn secret(department: &str) -> [u8; 32] {
    sm3(&[department.as_bytes()])
}

pub(crate) fn platform_key() -> SecretKey {
    SecretKey::from_bytes(&[8; 32]).unwrap()
}

/// What the city publishes with these documents; the number rises with each change.
pub(crate) fn publication(number: u64, documents: impl Iterator<Item = String>) -> Publication {
    static SOURCES: LazyLock<PublicationSources> = LazyLock::new(|| {
        let entry = |Department { id, .. }: &Department| {
            let key = SecretKey::from_bytes(&secret(&id.to_string())).unwrap().public();
            format!(
                "[[department]]\nid = \"{id}\"\nurl = \"http://d/{id}\"\nkey = \"{key}\"\nsealing = \"{key}\"\n"
            )
        };
        let entries: String = operations().departments().map(entry).collect();
        let files = |directory| {
            let file =
                |(name, text): (&String, &String)| SourceFile { name: name.clone(), text: text.clone() };
            texts(directory).iter().map(file).collect()
        };
        PublicationSources {
            services: Vec::new(),
            operations: files("operations"),
            licences: files("licences"),
            departments: format!("platform = \"{PLATFORM}\"\n{entries}"),
        }
    });
    let services =
        documents.enumerate().map(|(at, text)| SourceFile { name: at.to_string(), text }).collect();
    let key = SecretKey::from_bytes(&[9; 32]).unwrap();
    Publication::sign(number, UnixMs(0), PublicationSources { services, ..SOURCES.clone() }, &key).unwrap().0
}

/// The departments on this database, which may be a copy of a prepared one.
pub(crate) fn open_departments(database: Connection, data: &Arc<DepartmentData>) -> Departments {
    let keys = data.ids().map(|id| (id.to_owned(), DepartmentKey::from_bytes(&secret(id)).unwrap()));
    let key = PublicKey::from_hex(&platform_key().public().to_string()).unwrap();
    let platform = PlatformIdentity { id: PLATFORM.into(), key };
    Departments::open(database, Arc::clone(data), keys.collect(), platform).unwrap()
}

/// A department answers a call of the platform.
pub(crate) fn serve(
    departments: &mut Departments,
    call: &PeerCall,
    now: UnixMs,
    answering: Answering,
) -> PeerAnswer {
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
    let answer = departments.handle_as(&department.to_string(), &request, now.0, answering).unwrap();
    PeerAnswer {
        status: answer.status,
        body: answer.body,
        time: Some(answer.time_ms.to_string()),
        signature: Some(answer.signature),
    }
}

/// The department's signed refusal to book a payment.
pub(crate) fn refusal(call: &PeerCall, now: UnixMs) -> PeerAnswer {
    let (Peer::Department(department), Some(headers)) = (&call.peer, &call.headers) else {
        panic!("a department is called with a signature")
    };
    let (status, time, body) = (409, now.0.to_string(), Vec::new());
    let signed = contract::answer_bytes_to_sign(&headers.signature.to_string(), status, &time, &body);
    let key = SecretKey::from_bytes(&secret(&department.to_string())).unwrap();
    PeerAnswer { status, body, time: Some(time), signature: Some(key.sign(&signed).to_string()) }
}
