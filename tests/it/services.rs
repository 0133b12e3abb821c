//! The services of the demo city, each played from its scenario file in `tests/services` by the real engine, the real platform and the
//! departments of the demo: no time passes, so a visit takes milliseconds.
//!
//! `SERVICE=water.pay cargo test -p system-tests --test it services::` plays one service.

mod player;
mod scenario;
mod screen;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};
use std::{fs, thread};

use contract::{PlatformOperation, ServiceDocument, Step};

use self::player::{Player, Trouble};
use self::scenario::Scenario;
use crate::simulation::peers::DepartmentFault;
use crate::simulation::residents::PAPERS;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The TOML files of a folder, with their texts.
fn texts(folder: &str) -> Vec<(PathBuf, String)> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(repository().join(folder)).unwrap().map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// A service document, parsed and as it is.
pub(crate) struct Document {
    pub(crate) parsed: ServiceDocument,
    pub(crate) text: String,
}

pub(crate) static DOCUMENTS: LazyLock<Vec<Document>> = LazyLock::new(|| {
    let parse = |(path, text): (PathBuf, String)| {
        let parsed =
            ServiceDocument::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Document { parsed, text }
    };
    texts("assets/services").into_iter().map(parse).collect()
});

fn scenarios() -> Vec<Scenario> {
    let parse = |(path, text): (PathBuf, String)| {
        Scenario::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    texts("tests/services").into_iter().map(parse).collect()
}

#[test]
fn every_service_works_as_its_scenario_says() {
    let only = std::env::var("SERVICE").ok();
    let all: Vec<Scenario> = scenarios()
        .into_iter()
        .filter(|scenario| only.as_ref().is_none_or(|only| *only == scenario.service))
        .collect();
    assert!(!all.is_empty(), "no scenario is of this service");
    play_all(&all, play);
}

/// Plays scenarios on all processors, and fails with all that fail.
fn play_all(all: &[Scenario], play: fn(&Scenario) -> Result<(), String>) {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let play_some = || {
        while let Some(scenario) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(failure) = caught(|| play(scenario)) {
                failures.lock().unwrap().push(format!("{}: {failure}", scenario.service));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(play_some);
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    assert!(failures.is_empty(), "{} services fail:\n{}", failures.len(), failures.join("\n"));
}

/// A check of the simulation that fails is a failure, too.
fn caught(play: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(play)).unwrap_or_else(|cause| {
        let text = cause.downcast_ref::<String>().cloned();
        Err(text.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
    })
}

/// Plays a scenario in a city of its own.
fn play(scenario: &Scenario) -> Result<(), String> {
    let mut player = Player::new(&scenario.services());
    for (number, visit) in scenario.visits.iter().enumerate() {
        let played = player.visit(scenario.service_of(visit), visit);
        played.map_err(|failure| format!("visit {}: {failure}", number + 1))?;
    }
    Ok(())
}

/// Whether a service asks a department while the resident waits.
fn asks_a_department(service: &str) -> bool {
    let document = DOCUMENTS.iter().find(|document| document.parsed.id == service);
    document.is_some_and(|document| {
        document.parsed.steps.iter().any(|step| match step {
            Step::Query { call, .. } | Step::Ticket { call, .. } => {
                // Licences are the platform's operations, and their library a department.
                PlatformOperation::from_name(call).is_none_or(|own| own.declaration().personal)
            }
            _ => false,
        })
    })
}

/// The first visit of a scenario fails with a view that says so, and takes no money, whatever does not work.
fn play_with_trouble(scenario: &Scenario) -> Result<(), String> {
    let Some(visit) = scenario.visits.iter().find(|visit| visit.service.is_none()) else { return Ok(()) };
    let troubles = [
        Trouble::Departments(DepartmentFault::Silent),
        Trouble::Departments(DepartmentFault::Nonsense),
        Trouble::NoLink,
    ];
    for trouble in troubles {
        let mut player = Player::new(&scenario.services());
        player
            .failing_visit(&scenario.service, visit, trouble)
            .map_err(|failure| format!("{trouble:?}: {failure}"))?;
        if player.charged() != 0 {
            return Err(format!("{trouble:?}: money was taken"));
        }
    }
    Ok(())
}

#[test]
fn service_says_that_it_fails_without_department_or_link() {
    let mut all = scenarios();
    all.retain(|scenario| asks_a_department(&scenario.service));
    play_all(&all, play_with_trouble);
}

/// A visit whose link is lost after the resident signed in: what is queued is submitted, and its department has it when the link is
/// back.
#[test]
fn queued_service_is_submitted_without_link_and_delivered_later() {
    let all = scenarios();
    let mut queued = 0;
    for document in DOCUMENTS.iter().filter(|document| document.parsed.is_queued()) {
        let scenario = all.iter().find(|scenario| scenario.service == document.parsed.id).unwrap();
        let visit = scenario.visits.iter().find(|visit| visit.service.is_none()).unwrap();
        let mut player = Player::new(&scenario.services());
        player.visit_without_link(&scenario.service, visit).unwrap();
        queued += 1;
    }
    assert!(queued >= 2, "{queued} services are queued");
}

/// The services that a resident of the demo city cannot use yet without a card's PIN or phone, and have tests of their own.
const TESTED_ELSEWHERE: [&str; 2] = ["phone.pairing", "social-card.pin"];

#[test]
fn every_service_has_a_scenario_with_a_visit() {
    let played: BTreeSet<String> = scenarios()
        .into_iter()
        .inspect(|scenario| assert!(!scenario.visits.is_empty(), "{}", scenario.service))
        .map(|scenario| scenario.service)
        .collect();
    let missing: Vec<&str> = DOCUMENTS
        .iter()
        .map(|document| document.parsed.id.as_str())
        .filter(|id| !played.contains(*id) && !TESTED_ELSEWHERE.contains(id))
        .collect();
    assert!(missing.is_empty(), "services without a scenario in tests/services: {missing:?}");
}

/// The printed papers of the demo: each is accepted by the service that asks for it, and each such service has one.
#[test]
fn printed_papers_of_the_demo_fit_their_services() {
    let mut asking = 0;
    for document in DOCUMENTS.iter() {
        for step in &document.parsed.steps {
            let Step::Scan { code, prefix, .. } = step else { continue };
            asking += 1;
            let id = &document.parsed.id;
            let papers: Vec<_> = PAPERS.iter().filter(|paper| paper.service == *id).collect();
            assert!(!papers.is_empty(), "{id} has no paper in assets/papers.toml");
            for paper in papers {
                let value = paper.code.strip_prefix(prefix.as_deref().unwrap_or_default());
                assert!(value.is_some_and(|value| code.accepts(value)), "{id}: {}", paper.code);
            }
        }
    }
    assert!(asking >= 5, "{asking} services ask for a paper");
}

/// What the plan asks for: services that pay, that submit, that give tickets.
#[test]
fn services_of_each_kind_are_as_many_as_the_city_needs() {
    let count = |is_kind: fn(&Step) -> bool| {
        DOCUMENTS.iter().filter(|document| document.parsed.steps.iter().any(is_kind)).count()
    };
    let pay = count(|step| matches!(step, Step::Pay { .. }));
    let submit = count(|step| matches!(step, Step::Submit { .. }));
    let tickets = count(|step| matches!(step, Step::Ticket { .. }));
    assert!(pay >= 12 && tickets >= 4 && submit >= 10, "{pay} pay, {submit} submit, {tickets} give tickets");
}
