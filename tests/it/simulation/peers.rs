//! The platform, the acquirer and the departments, each with its own database in memory.
//!
//! What is the same at the start of every run is made once: the databases are copied, phones are bound already.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use contract::{
    CardEvidence, IssuerKey, IssuerKeys, KioskId, PlatformOperation, ReceiptId, SecretKey, SignedStatement,
    SiteProfile, Step, UnixMs,
};
use resident_code::FormatKey;
use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};
use sandbox::acquirer::{AcquirerChargeRequest, ChargeLedger, PaidOrdersRequest};
use sandbox::department::{Answering, DepartmentData, Departments};
use server::{
    CodeAuthority, DemoResident, IssuingRules, Peer, PeerAnswer, PeerCall, Platform, PlatformRequest,
    PlatformSetup, RegisteredKiosk, parse_demo_residents,
};

use super::departments::{DEMO, SIMULATED, open_departments, platform_key, publication, refusal, serve};
use super::kiosk::START_MS;
use super::phone::SimPhone;
use super::recording::SimRng;
use super::relying_party::pharmacy;
use crate::services::{DOCUMENTS as ALL_DOCUMENTS, Document};

const RESIDENTS: &str = include_str!("../../../assets/residents.toml");
const RULES: &str = include_str!("../../../provisioning/codes.toml");
const DOCUMENTS: [&str; 4] = [
    include_str!("../../../assets/services/insurance-proof.toml"),
    include_str!("../../../assets/services/medical-balance.toml"),
    include_str!("../../../assets/services/phone-pairing.toml"),
    include_str!("../../../assets/services/water-pay.toml"),
];

/// Services of any kind that a run has besides those of every run and some that submit or give tickets, at most.
const DRAWN_DOCUMENTS: usize = 4;

/// When the key ends that codes are issued with.
pub(crate) const ISSUER_ENDS_MS: u64 = START_MS + 90 * 24 * 3_600_000;
/// Number of kiosks.
pub(crate) const KIOSKS: usize = 2;

/// A resident of the simulation.
#[derive(Clone)]
pub(crate) struct SimResident {
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) id_number: String,
    identification: String,
    number: String,
    version: String,
}

impl SimResident {
    /// Whether the resident's card supports card authentication (version 3.00).
    pub(crate) fn needs_authentication(&self) -> bool {
        self.version == "3.00"
    }

    /// The evidence that a reader reads from the card; a card of version 3.00 gives its holder's data only when it is
    /// authenticated.
    pub(crate) fn card_evidence(&self, authenticated: bool) -> CardEvidence {
        let whole = authenticated || !self.needs_authentication();
        CardEvidence {
            identification: self.identification.clone(),
            number: self.number.clone(),
            version: self.version.clone(),
            id_number: whole.then(|| self.id_number.clone()),
            name: whole.then(|| self.name.clone()),
            authenticated,
        }
    }
}

pub(crate) struct SimCity {
    pub(crate) platform: Platform,
    pub(crate) acquirer: ChargeLedger,
    pub(crate) departments: Departments,
    pub(crate) residents: Vec<SimResident>,
    /// How the departments fail.
    pub(crate) department_fault: Option<DepartmentFault>,
    /// Orders that the water department refuses to book.
    pub(crate) refused: BTreeSet<String>,
    /// The platform's database.
    database: SharedDatabase,
    /// The service documents in force.
    documents: Arc<Vec<String>>,
    /// How often the catalogue was changed.
    catalogue_changes: u32,
    /// The generation that is kept outside of the database.
    generation: u64,
    /// The copy of the database to restore it from, and when it was made.
    backup: Option<(SharedDatabase, UnixMs)>,
}

/// A secret key that is made once: making one and wiping one each cost as much as a signature.
type Key = LazyLock<Arc<SecretKey>>;

fn new_key(byte: u8) -> Arc<SecretKey> {
    Arc::new(SecretKey::from_bytes(&[byte; 32]).unwrap())
}

pub(crate) fn catalogue_key() -> Arc<SecretKey> {
    static KEY: Key = LazyLock::new(|| new_key(9));
    Arc::clone(&KEY)
}

/// The city's root key, which signs the list of issuer keys.
pub(crate) fn root_key() -> Arc<SecretKey> {
    static KEY: Key = LazyLock::new(|| new_key(0x0e));
    Arc::clone(&KEY)
}

fn code_authority() -> CodeAuthority {
    static SIGNED: LazyLock<SignedStatement<IssuerKeys>> = LazyLock::new(|| {
        let public = |byte| new_key(byte).public();
        let not_before = UnixMs(START_MS - 3_600_000);
        let not_after = UnixMs(ISSUER_ENDS_MS);
        let list = IssuerKeys {
            city: "YK".into(),
            version: 1,
            not_before,
            not_after,
            revoker: public(0x0f),
            issuers: vec![IssuerKey { id: 1, key: public(0x51), not_before, not_after }],
        };
        SignedStatement::sign(&list, &root_key())
    });
    let rules = IssuingRules::parse(RULES).unwrap();
    CodeAuthority::new(rules, SIGNED.clone(), &root_key().public(), &[(1, [0x51; 32])], &[0x0f; 32]).unwrap()
}

/// The numbers that a receipt would have at each of the kiosks.
pub(crate) fn receipt_numbers(receipt: ReceiptId) -> [String; KIOSKS] {
    std::array::from_fn(|kiosk| receipt.number(kiosk_id(kiosk)))
}

pub(crate) fn kiosk_id(kiosk: usize) -> KioskId {
    format!("K-{kiosk}").parse().unwrap()
}

pub(crate) fn device_key(kiosk: usize) -> Arc<SecretKey> {
    static KEYS: LazyLock<[Arc<SecretKey>; KIOSKS]> =
        LazyLock::new(|| std::array::from_fn(|kiosk| new_key(u8::try_from(kiosk).unwrap() + 20)));
    Arc::clone(&KEYS[kiosk])
}

fn residents() -> Vec<SimResident> {
    let file: toml::Table = RESIDENTS.parse().unwrap();
    let text = |value: &toml::Value| value.as_str().unwrap().to_owned();
    let resident = |one: &toml::Value| SimResident {
        slug: text(&one["id"]),
        name: text(&one["name"]),
        id_number: text(&one["id_number"]),
        identification: text(&one["card"]["identification"]),
        number: text(&one["card"]["number"]),
        version: text(&one["card"]["version"]),
    };
    file["resident"].as_array().unwrap().iter().map(resident).collect()
}

/// A database in memory that can be copied while its owner uses it.
struct SharedDatabase {
    name: String,
    copier: Connection,
}

impl SharedDatabase {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name =
            format!("file:simulation-{}?mode=memory&cache=shared", COUNT.fetch_add(1, Ordering::Relaxed));
        Self { copier: Self::connect(&name), name }
    }

    fn connect(name: &str) -> Connection {
        Connection::open_with_flags(name, OpenFlags::default()).unwrap()
    }

    fn connection(&self) -> Connection {
        Self::connect(&self.name)
    }
}

fn copy_database(from: &Connection, to: &mut Connection) {
    let copied =
        Backup::new(from, to).and_then(|backup| backup.run_to_completion(i32::MAX, Duration::ZERO, None));
    copied.unwrap();
}

fn simulated_documents() -> Arc<Vec<String>> {
    static TEXTS: LazyLock<Arc<Vec<String>>> =
        LazyLock::new(|| Arc::new(DOCUMENTS.map(str::to_owned).into()));
    Arc::clone(&TEXTS)
}

/// The documents of a run: those that every run has, and some of all.
fn drawn_documents(rng: &mut SimRng) -> Vec<String> {
    let mut documents = simulated_documents().to_vec();
    let has = |is_kind: fn(&Step) -> bool| -> Vec<&Document> {
        ALL_DOCUMENTS.iter().filter(|document| document.parsed.steps.iter().any(is_kind)).collect()
    };
    let submit = has(|step| matches!(step, Step::Submit { .. }));
    // Acts of the platform itself are tickets, too, but most residents have nothing to act on.
    let tickets =
        has(|step| matches!(step, Step::Ticket { call, .. } if PlatformOperation::from_name(call).is_none()));
    let scan = has(|step| matches!(step, Step::Scan { .. }));
    for (from, count) in [(submit, 3), (tickets, 3), (scan, 1), (has(|_| true), DRAWN_DOCUMENTS)] {
        for _ in 0..count {
            let drawn = &from[rng.index(from.len())].text;
            if !documents.contains(drawn) {
                documents.push(drawn.clone());
            }
        }
    }
    documents
}

/// How departments fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DepartmentFault {
    /// They do not answer: a proxy says so.
    Silent,
    /// They answer, signed, with rows that no operation declares.
    Nonsense,
}

/// What a city begins with.
pub(crate) struct CityPlan {
    documents: Vec<String>,
    departments: Arc<DepartmentData>,
}

impl CityPlan {
    /// The demo city, with these service documents.
    pub(crate) fn demo(documents: Vec<String>) -> Self {
        Self { documents, departments: Arc::clone(&DEMO) }
    }
}

/// What every run begins with.
struct PreparedCity {
    platform: SharedDatabase,
    acquirer: SharedDatabase,
    departments: SharedDatabase,
    residents: Vec<SimResident>,
    phones: Vec<Option<SimPhone>>,
}

impl PreparedCity {
    fn new() -> Self {
        let (platform, acquirer, departments) =
            (SharedDatabase::new(), SharedDatabase::new(), SharedDatabase::new());
        let mut city = SimCity {
            platform: open_platform(
                platform.connection(),
                &simulated_documents(),
                parse_demo_residents(RESIDENTS).unwrap(),
                0,
                None,
            ),
            acquirer: ChargeLedger::open(acquirer.connection()).unwrap(),
            departments: open_departments(departments.connection(), &SIMULATED),
            residents: residents(),
            department_fault: None,
            refused: BTreeSet::new(),
            database: SharedDatabase::new(),
            documents: simulated_documents(),
            catalogue_changes: 0,
            generation: 1,
            backup: None,
        };
        let bind = |resident| SimPhone::bind(&mut city, resident, UnixMs(START_MS + resident as u64));
        let phones = (0..residents().len()).map(bind).collect();
        Self { platform, acquirer, departments, residents: city.residents, phones }
    }
}

/// Opens the platform on a database, and enters residents into it. `number`: that of the
/// publication, and the version of its documents; 0 before the first of a run;
/// `generation`: the one that is kept outside of the database.
fn open_platform(
    db: Connection,
    documents: &[String],
    residents: Vec<DemoResident>,
    number: u64,
    generation: Option<u64>,
) -> Platform {
    let version = format!("\nversion = {}\n", number.max(1));
    let devices = (0..KIOSKS).map(|kiosk| RegisteredKiosk {
        id: kiosk_id(kiosk),
        key: device_key(kiosk).public(),
        name: "大厅".into(),
        profile: SiteProfile::DistrictHall,
    });
    let documents = documents.iter().map(|text| text.replacen("\nversion = 1\n", &version, 1));
    let setup = PlatformSetup {
        format_key: FormatKey::new(1, [5; 32]),
        kiosks: devices.collect(),
        publication: publication(number, documents),
        department_key: platform_key(),
        residents,
        code_authority: Some(code_authority()),
        relying_parties: vec![pharmacy()],
        card_root_keys: None,
    };
    Platform::open_at_generation(db, setup, generation).unwrap().0
}

impl SimCity {
    /// A city at the start of a run, and the phones of its residents; none for a resident without a card in force.
    pub(crate) fn new(rng: &mut SimRng) -> (Self, Vec<Option<SimPhone>>) {
        let documents = drawn_documents(rng);
        static PREPARED: LazyLock<Mutex<PreparedCity>> = LazyLock::new(|| Mutex::new(PreparedCity::new()));
        let prepared = PREPARED.lock().unwrap_or_else(PoisonError::into_inner);
        let copy = |of: &SharedDatabase| {
            let mut database = Connection::open_in_memory().unwrap();
            copy_database(&of.copier, &mut database);
            database
        };
        let mut database = SharedDatabase::new();
        copy_database(&prepared.platform.copier, &mut database.copier);
        let city = Self {
            platform: open_platform(database.connection(), &documents, Vec::new(), 1, Some(1)),
            acquirer: ChargeLedger::open(copy(&prepared.acquirer)).unwrap(),
            departments: open_departments(copy(&prepared.departments), &SIMULATED),
            residents: prepared.residents.clone(),
            department_fault: None,
            refused: BTreeSet::new(),
            database,
            documents: Arc::new(documents),
            catalogue_changes: 0,
            generation: 1,
            backup: None,
        };
        (city, prepared.phones.clone())
    }

    /// A city by a plan.
    pub(crate) fn with_plan(plan: CityPlan) -> Self {
        let in_memory = || Connection::open_in_memory().unwrap();
        let database = SharedDatabase::new();
        let (documents, people) = (Arc::new(plan.documents), parse_demo_residents(RESIDENTS).unwrap());
        Self {
            platform: open_platform(database.connection(), &documents, people, 1, Some(1)),
            acquirer: ChargeLedger::open(in_memory()).unwrap(),
            departments: open_departments(in_memory(), &plan.departments),
            residents: residents(),
            department_fault: None,
            refused: BTreeSet::new(),
            database,
            documents,
            catalogue_changes: 0,
            generation: 1,
            backup: None,
        }
    }

    /// The platform's process ends and starts again, with its database and perhaps with new service documents.
    pub(crate) fn restart_platform(&mut self, is_catalogue_changed: bool) {
        self.catalogue_changes += u32::from(is_catalogue_changed);
        self.open_platform();
    }

    fn open_platform(&mut self) {
        let (number, generation) = (u64::from(self.catalogue_changes) + 1, Some(self.generation));
        self.platform =
            open_platform(self.database.connection(), &self.documents, Vec::new(), number, generation);
    }

    /// Copies the platform's database.
    pub(crate) fn back_up_platform(&mut self, now: UnixMs) {
        let mut copy = SharedDatabase::new();
        copy_database(&self.database.copier, &mut copy.copier);
        self.backup = Some((copy, now));
    }

    /// When the present copy of the database was made.
    pub(crate) fn backup_made(&self) -> Option<UnixMs> {
        self.backup.as_ref().map(|(_, made)| *made)
    }

    /// The platform's process ends, its database is replaced by the copy, and it starts again.
    pub(crate) fn restore_platform(&mut self) {
        let Some((copy, _)) = self.backup.take() else { return };
        // The present platform lets go of its database first.
        self.platform =
            open_platform(SharedDatabase::new().connection(), &self.documents, Vec::new(), 1, None);
        self.database = copy;
        self.generation += 1;
        self.open_platform();
    }

    /// A system behind the platform executes a call. `accepts`: whether the account has the money; `refuses`: whether the
    /// department refuses what it has not booked yet.
    pub(crate) fn serve(&mut self, call: &PeerCall, accepts: bool, refuses: bool, now: UnixMs) -> PeerAnswer {
        let json = PeerAnswer::unsigned;
        match (&call.peer, call.target.as_str()) {
            (Peer::Acquirer, "/charges") => {
                let charge: AcquirerChargeRequest = serde_json::from_slice(&call.body).unwrap();
                match self.acquirer.charge(&charge, accepts, now.0) {
                    Ok(answer) => json(200, serde_json::to_vec(&answer).unwrap()),
                    Err(_) => json(409, Vec::new()),
                }
            }
            (Peer::Acquirer, "/charges/list") => {
                let request: PaidOrdersRequest = serde_json::from_slice(&call.body).unwrap();
                json(200, serde_json::to_vec(&self.acquirer.paid_orders(&request).unwrap()).unwrap())
            }
            (Peer::Acquirer, target) => {
                let order = target.strip_prefix("/charges/").and_then(|rest| rest.strip_suffix("/inquire"));
                let answer = self.acquirer.inquire(order.unwrap(), now.0).unwrap();
                json(200, serde_json::to_vec(&answer).unwrap())
            }
            // Phones are bound before the run begins, so the identity service is not needed.
            (Peer::Identity, _) => json(503, Vec::new()),
            (Peer::Department(_), _) if self.department_fault == Some(DepartmentFault::Silent) => {
                json(503, Vec::new())
            }
            (Peer::Department(_), _) if self.department_fault == Some(DepartmentFault::Nonsense) => {
                serve(&mut self.departments, call, now, Answering::Nonsense)
            }
            (Peer::Department(_), "/payments") => {
                let payment: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
                let order = payment["order"].as_str().unwrap().to_owned();
                let is_booked = || self.departments.bookings().unwrap().iter().any(|one| one.order == order);
                if self.refused.contains(&order) || (refuses && !is_booked()) {
                    self.refused.insert(order);
                    return refusal(call, now);
                }
                serve(&mut self.departments, call, now, Answering::Normal)
            }
            (Peer::Department(_), _) if refuses => json(503, Vec::new()),
            (Peer::Department(_), _) => serve(&mut self.departments, call, now, Answering::Normal),
        }
    }

    /// An HTML page or an export of the platform.
    pub(crate) fn page(&mut self, target: &str, now: UnixMs, entropy: u128) -> Vec<u8> {
        match self.platform.handle(&PlatformRequest::get(target), now, entropy) {
            server::PlatformReply::Answer(response) => response.body,
            server::PlatformReply::CallPeer(_) => panic!("{target} must not call a peer"),
        }
    }

    /// 亮码: the text of the online token that the resident's phone shows now.
    pub(crate) fn online_token(&mut self, resident: usize, now: UnixMs, entropy: u128) -> String {
        let target = format!("/phone/{}/token", self.residents[resident].slug);
        let shown: serde_json::Value = serde_json::from_slice(&self.page(&target, now, entropy)).unwrap();
        shown["text"].as_str().unwrap().to_owned()
    }
}
