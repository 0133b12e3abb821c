//! One visit, from the card to its removal, on a clock that only this example advances.
//!
//! `cargo run -p session --example one_visit`. For each event it prints what the kiosk records, which effects it wants
//! afterwards, and what it then shows.

#![allow(clippy::print_stdout)]

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

use contract::{
    Bilingual, CallAnswer, CardEvidence, Entry, Evidence, IdentifyAnswer, Level, Pseudonym, ServiceDocument,
    SiteProfile, UnixMs, VisitKey,
};
use session::{
    CardEvent, CardWork, Catalogue, DeviceKind, DeviceState, Durable, Effect, Equipment, Event, Kiosk,
    KioskInput, KioskSetup, MonotonicMs, Now, PlatformWork, Ticket, TimeLimits, Transition, Work, WorkAnswer,
};
use view::{Body, Intent, Text, Texts};

/// A service that is in force at this kiosk; in the field it comes signed from the platform.
const SERVICE: &str = include_str!("../../../assets/services/medical-balance.toml");
const NAME: &str = "张三丰";
const ID_NUMBER: &str = "500101199001011239";

fn main() -> Result<(), Box<dyn Error>> {
    let now = Now { mono: MonotonicMs(0), wall: UnixMs(1_795_000_000_000) };
    let service = ServiceDocument::parse(SERVICE)?;
    let catalogue = Catalogue {
        cursor: 1,
        services: [(service.id.clone(), Arc::new(service))].into(),
        ..Catalogue::default()
    };
    // A kiosk always begins with what its journal folds to; here nothing was recorded yet.
    let (kiosk, transition) = Kiosk::recover(Arc::new(setup()?), catalogue, Durable::default(), now);
    let mut example = Example { kiosk, now, entropy: 0, texts: Texts::built_in() };
    example.commit("start", transition);
    example
        .handle("card reader ready", Event::DeviceStateChanged(DeviceKind::CardReader, DeviceState::Ready));
    example.handle("platform reached", Event::LinkChanged(true));

    example.touch("language changed", Intent::SwitchLanguage);
    example.handle("card inserted", Event::Card(CardEvent::Inserted));
    let read = CardEvent::Read { evidence: card_evidence(), valid_to: Some("20360101".into()) };
    let ticket = example.handle("card read", Event::Card(read)).ok_or("no work was started")?;
    // The kiosk only says what it wants; the program asks the platform and comes back with the answer.
    let answer = Event::WorkAnswered(ticket, Ok(WorkAnswer::Identified(identified())));
    example.handle("platform identified the resident", answer);

    let ticket = example.touch("first tile touched", Intent::OpenTile(0)).ok_or("no work was started")?;
    let row = [("balance", "128050"), ("as-of", "2026-11-01"), ("status", "正常"), ("insurance", "职工医保")];
    let row = row.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let answer = WorkAnswer::CallAnswered(CallAnswer { rows: vec![row], next: None, refused: None });
    example.handle("platform answered", Event::WorkAnswered(ticket, Ok(answer)));
    example.handle("card removed", Event::Card(CardEvent::Removed));
    Ok(())
}

/// A kiosk and everything that comes to it from outside: clock, entropy, events.
struct Example {
    kiosk: Kiosk,
    now: Now,
    entropy: u128,
    texts: Texts,
}

impl Example {
    /// Hands an event to the kiosk two seconds after the last one; returns the ticket of the work that it starts.
    fn handle(&mut self, what: &str, event: Event) -> Option<Ticket> {
        self.now = Now { mono: self.now.mono.plus_ms(2_000), wall: self.now.wall.plus_ms(2_000) };
        // Numbers in order make the run repeatable; the product takes 128 random bits for each event.
        self.entropy += 1;
        let transition = self.kiosk.handle(KioskInput { at: self.now, entropy: self.entropy, event });
        self.commit(what, transition)
    }

    /// Touches the view that is shown now. On a view that has changed meanwhile, a touch means nothing.
    fn touch(&mut self, what: &str, intent: Intent) -> Option<Ticket> {
        let view = self.kiosk.view().id;
        self.handle(what, Event::Touch { view, intent })
    }

    /// Prints a transition. Its effects are out of reach until its records are durable.
    fn commit(&self, what: &str, transition: Transition) -> Option<Ticket> {
        println!("\n{} s: {what}", self.now.mono.0 / 1_000);
        let append = |records: &[Entry]| -> Result<(), Infallible> {
            records.iter().for_each(|record| println!("    record  {record:?}"));
            Ok(())
        };
        let Ok(effects) = transition.commit(append);
        effects.iter().for_each(|effect| println!("    effect  {}", describe(effect)));
        let view = self.kiosk.view();
        let text = |text: &Text| self.texts.render(view.lang, text);
        println!("    view    {}", text(&view.title));
        if let Body::Menu(tiles) = &view.body {
            tiles.iter().for_each(|tile| println!("            [{}]", text(&tile.title)));
        }
        if let Body::Details(values) = &view.body {
            values.iter().for_each(|one| println!("            {}: {}", text(&one.label), text(&one.value)));
        }
        effects.iter().find_map(|effect| {
            if let Effect::StartWork { ticket, .. } = effect { Some(*ticket) } else { None }
        })
    }
}

fn describe(effect: &Effect) -> String {
    match effect {
        Effect::StartWork { ticket, deadline, work } => {
            format!("work {}: {}, wait until {} s", ticket.0, name(work), deadline.0 / 1_000)
        }
        Effect::CancelWork(ticket) => format!("cancel work {}", ticket.0),
        Effect::Charge(_) => "charge an order".into(),
        Effect::Inquire(_) => "inquire an order".into(),
        Effect::Print { .. } => "print a receipt".into(),
    }
}

const fn name(work: &Work) -> &'static str {
    match work {
        Work::Platform(PlatformWork::Identify(_)) => "ask the platform who the resident is",
        Work::Platform(PlatformWork::CallOperation(_)) => "ask the platform for the data of the service",
        Work::Platform(PlatformWork::ReportEvidence(_)) => "report evidence to the platform",
        Work::Platform(PlatformWork::RequestCardAuthentication(_))
        | Work::Card(CardWork::Authenticate(_)) => "authenticate the card",
        Work::Card(CardWork::VerifyPin(_)) | Work::Card(CardWork::ChangePin { .. }) => {
            "have the card check the PIN"
        }
    }
}

fn setup() -> Result<KioskSetup, Box<dyn Error>> {
    Ok(KioskSetup {
        kiosk: "K-VP-0001".parse()?,
        profile: SiteProfile::VillagePoint,
        hall: Bilingual { zh: "龙溪村便民服务点".into(), en: "Longxi".into() },
        utc_offset_minutes: 480,
        receipt_url: "http://127.0.0.1/r/".into(),
        equipment: Equipment { card_reader: true, ..Equipment::default() },
        code_rules: None,
        gate_rules: None,
        time_limits: TimeLimits::default(),
        staff_keys: Vec::new(),
        texts: Arc::new(Texts::built_in()),
    })
}

fn card_evidence() -> CardEvidence {
    CardEvidence {
        identification: "500000D1560000050000000000000001".into(),
        number: "A12345678".into(),
        version: "2.00".into(),
        id_number: Some(ID_NUMBER.into()),
        name: Some(NAME.into()),
        authenticated: false,
    }
}

fn identified() -> IdentifyAnswer {
    IdentifyAnswer {
        key: VisitKey("key".into()),
        resident: Pseudonym::from_entropy(77),
        name: NAME.into(),
        id_number: ID_NUMBER.into(),
        evidence: Evidence::CardRead,
        level: Level::Recognised,
        names: Vec::new(),
    }
}
