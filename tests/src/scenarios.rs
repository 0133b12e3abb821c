//! Scenario tests: scripted runs of the whole system on the [rig](crate::rig), with expectations. They cover what a
//! city would try before it accepts a kiosk. `demo --script` runs them on one rig; the test binary `scenarios` runs each
//! on a rig of its own.

mod audit;
mod codes;
mod failures;
mod gate;
mod id_card;
mod phone_page;
mod visits;

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use contract::ScreenSize;
use view::TextId;

use crate::bench_client::BenchClient;
use crate::link_proxy::LinkCut;
use crate::repository::residents_file;
use crate::rig::{DeviceOptions, KioskPlan, Rig};
use crate::scenario_report::ScenarioReport;
use crate::screen_text::ScreenText;

pub use audit::{ScenarioResident, expect_no_personal_data, read_residents};

/// What a scenario works with: rig, report and demo residents.
pub struct ScenarioContext {
    /// The running system.
    pub rig: Rig,
    /// Pictures and expectations of this run.
    pub report: ScenarioReport,
    /// The demo residents.
    pub residents: Vec<ScenarioResident>,
}

/// One scenario. 场景测试.
pub struct Scenario {
    /// Stable name, kebab-case; `--only` matches a part of it, and its test is `scenario::` with this name.
    pub id: &'static str,
    /// Whether its test runs by default; a complete run takes long.
    pub is_sample: bool,
    /// Whether it needs a phone's browser, which [`crate::phone_browser::install_playwright`] installs.
    pub needs_browser: bool,
    /// Title on the report page, in Chinese; `--only` matches a part of it, too.
    title: &'static str,
    /// The kiosks that it needs, in the order of [`Rig::kiosks`].
    kiosks: &'static [ScenarioKiosk],
    /// Returns an error where the scenario cannot go on; expectations go to the report.
    run: fn(&mut ScenarioContext) -> Result<()>,
}

impl Scenario {
    fn matches(&self, part: &str) -> bool {
        self.id.contains(part) || self.title.contains(part)
    }

    const fn sample(mut self) -> Self {
        self.is_sample = true;
        self
    }

    const fn with_browser(mut self) -> Self {
        self.needs_browser = true;
        self
    }

    const fn at(mut self, kiosks: &'static [ScenarioKiosk]) -> Self {
        self.kiosks = kiosks;
        self
    }
}

/// A scenario at the hall's kiosk only.
const fn scenario(
    id: &'static str,
    title: &'static str,
    run: fn(&mut ScenarioContext) -> Result<()>,
) -> Scenario {
    let kiosks = &[ScenarioKiosk::Hall];
    Scenario { id, is_sample: false, needs_browser: false, title, kiosks, run }
}

/// A kiosk that scenarios use.
#[derive(Clone, Copy)]
enum ScenarioKiosk {
    /// With all devices, and a camera. Most scenarios use only this one.
    Hall,
    /// Without card reader.
    Township,
    /// With a scanner and a card reader.
    Gate,
}

impl ScenarioKiosk {
    const TWO: &[Self] = &[Self::Hall, Self::Township];
    const ALL: &[Self] = &[Self::Hall, Self::Township, Self::Gate];

    /// `hall_screen` is the size of the hall's screen if it differs from the site file.
    fn plan(self, hall_screen: Option<ScreenSize>) -> KioskPlan<'static> {
        let plan = |site, screen, slot, devices| KioskPlan { site, screen, slot, devices };
        let devices = DeviceOptions::default();
        match self {
            Self::Hall => plan(
                "district-hall",
                hall_screen,
                Some(0),
                DeviceOptions { document_printer: true, ..devices },
            ),
            Self::Township => plan("township-center", None, None, devices),
            Self::Gate => plan("gate", None, Some(1), DeviceOptions { scanner: true, ..devices }),
        }
    }
}

/// All scenarios, in the order in which a complete run plays them.
pub const SCENARIOS: &[Scenario] = &[
    scenario("card-balance", "card: see the balance of the medical account", visits::card_balance).sample(),
    scenario("code-insurance-proof", "code: print a proof of insurance", visits::code_insurance_proof)
        .sample(),
    scenario("card-water-payment", "card: pay a water bill, take the receipt", visits::card_water_payment),
    scenario("card-removed-at-every-view", "card removed at every view", visits::card_removed_at_every_view),
    scenario("paper-out-while-paying", "paper out while paying", failures::paper_out_while_paying).sample(),
    scenario("platform-link-cut", "link from kiosk to platform cut", failures::platform_link_cut),
    scenario("acquirer-link-cut", "link from platform to acquirer cut", failures::acquirer_link_cut).sample(),
    scenario("same-bill-at-two-kiosks", "the same bill at two kiosks", failures::same_bill_at_two_kiosks)
        .at(ScenarioKiosk::TWO),
    scenario("power-loss-while-paying", "power loss while paying", failures::power_loss_while_paying)
        .sample(),
    scenario(
        "paper-ends-mid-receipt",
        "paper ends in the middle of a receipt",
        failures::paper_ends_mid_receipt,
    ),
    scenario("printer-not-responding", "printer does not respond", failures::printer_not_responding),
    scenario(
        "invalid-cards-and-codes",
        "cards and codes that must be refused",
        failures::invalid_cards_and_codes,
    ),
    scenario(
        "reader-disconnected",
        "card reader disconnected and connected again",
        failures::reader_disconnected,
    ),
    scenario(
        "id-card-sign-in",
        "ID card: sign in, unreadable, expired, disconnected",
        id_card::id_card_sign_in,
    ),
    scenario(
        "offline-code-payment",
        "offline code: pay a water bill after confirming on the phone",
        codes::offline_code_payment,
    ),
    scenario(
        "code-reused-or-invalid",
        "the same code again, an old code, a foreign code",
        codes::code_reused_or_invalid,
    )
    .at(ScenarioKiosk::TWO),
    scenario(
        "offline-code-without-link",
        "the same code at two kiosks without a link",
        codes::offline_code_without_link,
    )
    .at(ScenarioKiosk::TWO),
    scenario("lost-phone-refused", "code of a lost phone", codes::lost_phone_refused),
    scenario("kiosk-clock-wrong", "clock of the kiosk is wrong", codes::kiosk_clock_wrong),
    scenario(
        "phone-page-code",
        "code in a browser: shown, shown again, shown after 20 s",
        phone_page::phone_page_code,
    )
    .at(ScenarioKiosk::TWO)
    .with_browser(),
    scenario("change-card-pin", "change the PIN of a card", visits::change_card_pin),
    scenario("e-certificate", "e-certificate: the senior card", visits::e_certificate),
    scenario("staff-card-status", "staff card: state of the kiosk", visits::staff_card_status),
    scenario("gate-admits-once", "gate: lights, beeper, passback", gate::gate_admits_once)
        .at(&[ScenarioKiosk::Gate])
        .sample(),
    scenario("bind-phone-by-card", "card and PIN: bind a phone", phone_page::bind_phone_by_card)
        .with_browser(),
];

/// The accessibility tree changes before the pixels do: pause before a screenshot.
const DRAW_DELAY: Duration = Duration::from_millis(300);
/// Time in which a kiosk that was started or connected again is online.
const CONNECTIVITY_TIMEOUT: Duration = Duration::from_secs(60);
/// Longer than any notice stays on the screen.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(100);
/// Bills that a complete run of all scenarios charges, at least.
const CHARGED_BILLS_MIN: usize = 4;

/// Runs all scenarios, or those whose id or title contains one of `only`, and the audit after them, on one rig. The
/// report page is written even if scenarios fail.
///
/// # Errors
/// When the rig does not start. Failed expectations are in the report instead.
pub fn run_scenarios(
    state: &Path,
    page: &Path,
    screen: Option<ScreenSize>,
    only: &[String],
) -> Result<ScenarioReport> {
    let chosen = |scenario: &&Scenario| only.is_empty() || only.iter().any(|part| scenario.matches(part));
    let chosen: Vec<&Scenario> = SCENARIOS.iter().filter(chosen).collect();
    let charged_min = if only.is_empty() { CHARGED_BILLS_MIN } else { 0 };
    let plans: Vec<_> = ScenarioKiosk::ALL.iter().map(|kiosk| kiosk.plan(screen)).collect();
    run(start(state, page, &plans)?, &chosen, charged_min)
}

/// Runs one scenario and the audit after it on a rig with the kiosks that it needs.
///
/// # Errors
/// When the rig does not start. Failed expectations are in the report instead.
pub fn run_scenario(state: &Path, page: &Path, scenario: &Scenario) -> Result<ScenarioReport> {
    let plans: Vec<_> = scenario.kiosks.iter().map(|kiosk| kiosk.plan(None)).collect();
    run(start(state, page, &plans)?, &[scenario], 0)
}

/// Starts a rig with these kiosks.
fn start(state: &Path, page: &Path, kiosks: &[KioskPlan<'_>]) -> Result<ScenarioContext> {
    let residents = audit::read_residents(&residents_file())?;
    let report = ScenarioReport::create(page)?;
    eprintln!("starting the rig");
    let mut rig = Rig::start(state)?;
    for plan in kiosks {
        rig.add_kiosk(*plan)?;
    }
    Ok(ScenarioContext { rig, report, residents })
}

fn run(mut context: ScenarioContext, chosen: &[&Scenario], charged_min: usize) -> Result<ScenarioReport> {
    for Scenario { id, title, run, .. } in chosen {
        eprintln!("{id} {title}");
        context.report.begin_chapter(&format!("{title} ({id})"));
        let outcome = context.reset().and_then(|()| run(&mut context));
        if outcome.is_err() {
            context.capture_screen("stopped here").ok();
        }
        context.report.record_expectation("runs to its end", outcome);
    }
    eprintln!("audit");
    context.report.begin_chapter("audit");
    let outcome = context.reset().and_then(|()| audit::run(&mut context, charged_min));
    context.report.record_expectation("the audit runs to its end", outcome);
    let ScenarioContext { rig, mut report, residents } = context;
    let state = rig.state().to_owned();
    drop(rig);
    audit::expect_no_personal_data(&state, &residents, &mut report);
    report.write_page()?;
    Ok(report)
}

/// Runs the audit after a fault run and returns why it stopped early; empty when it completed. Expectations that the
/// audit does not meet are in the report.
pub fn run_audit(context: &mut ScenarioContext) -> Vec<String> {
    match context.reset().and_then(|()| audit::run(context, 0)) {
        Ok(()) => Vec::new(),
        Err(error) => vec![format!("the audit stopped early: {error:#}")],
    }
}

impl ScenarioContext {
    /// Bench client of the first kiosk.
    pub(crate) fn first_kiosk(&self) -> Result<&BenchClient> {
        self.rig.kiosks.first().map(|kiosk| &kiosk.bench).context("the first kiosk")
    }

    /// Bench client of the second kiosk.
    pub(crate) fn second_kiosk(&self) -> Result<&BenchClient> {
        self.rig.kiosks.get(1).map(|kiosk| &kiosk.bench).context("the second kiosk")
    }

    /// Resets all kiosks: links up, no fault active, no card, code or ID card present, the idle screen shown.
    pub(crate) fn reset(&mut self) -> Result<()> {
        for kiosk in &self.rig.kiosks {
            kiosk.bench.clear_faults()?;
        }
        self.rig.platform_link.set_cut(LinkCut::None);
        self.rig.acquirer_link.set_cut(LinkCut::None);
        for kiosk in &mut self.rig.kiosks {
            if kiosk.check_running().is_err() {
                kiosk.start()?;
            }
            let bench = &kiosk.bench;
            bench.clear_faults()?;
            if kiosk.site.gate.is_some() {
                // A gate has no visits to end: it returns to its waiting view automatically.
                bench.hide_code()?;
                bench.wait_for_text_within(TextId::GateReady, CONNECTIVITY_TIMEOUT)?;
                continue;
            }
            bench.hide_code()?;
            bench.remove_card().ok();
            bench.remove_id_card().ok();
            // A notice stays for some time; `完成` closes it early.
            if bench.shows_text(TextId::Finish)? {
                bench.tap_button(TextId::Finish).ok();
            }
            if bench.shows_text(TextId::FootExit)? {
                bench.tap_button(TextId::FootExit).ok();
            }
            bench.wait_for_text_within(TextId::WelcomeTitle, NOTICE_TIMEOUT)?;
            // A kiosk reconnects automatically, and offers its identification methods only once it is online.
            bench.wait_for_text_within(TextId::LinkOnline, CONNECTIVITY_TIMEOUT)?;
        }
        Ok(())
    }

    /// Adds a screenshot of the first kiosk to the report.
    pub(crate) fn capture_screen(&mut self, caption: &str) -> Result<()> {
        thread::sleep(DRAW_DELAY);
        let png = self.first_kiosk()?.screen_png()?;
        Ok(self.report.add_picture(caption, &png, false)?)
    }

    /// Adds the newest receipt to the report and returns its text.
    pub(crate) fn capture_newest_receipt(&mut self, caption: &str) -> Result<String> {
        let mut papers = self.first_kiosk()?.receipts()?;
        let text = papers.pop().context("no receipt was printed")?;
        let png = self.first_kiosk()?.receipt_png(papers.len())?;
        self.report.add_picture(caption, &png, true)?;
        Ok(text)
    }

    /// Adds the newest A4 document to the report and returns its text.
    pub(crate) fn capture_newest_document(&mut self, caption: &str) -> Result<String> {
        let index =
            self.first_kiosk()?.document_count()?.checked_sub(1).context("no A4 document in the tray")?;
        let png = self.first_kiosk()?.document_png(index)?;
        self.report.add_picture(caption, &png, true)?;
        self.first_kiosk()?.document_text(index)
    }

    /// Records an expectation; `instead` describes the actual state and is called only when it does not hold.
    pub(crate) fn expect(&mut self, what: &str, holds: bool, instead: impl FnOnce() -> String) {
        let outcome = if holds { Ok(()) } else { Err(anyhow!(instead())) };
        self.report.record_expectation(what, outcome);
    }

    /// Demo resident with this `id` in the file of demo residents.
    pub(crate) fn resident(&self, id: &str) -> Result<ScenarioResident> {
        self.residents.iter().find(|one| one.id == id).cloned().with_context(|| format!("no resident {id}"))
    }

    /// Begins a visit at the first kiosk by resident code.
    pub(crate) fn sign_in_by_code(&self, id: &str) -> Result<()> {
        let bench = self.first_kiosk()?;
        let code = bench.fresh_code(id)?;
        bench.show_code(&code)?;
        bench.wait_for_text(TextId::MenuTitle)?;
        bench.hide_code()
    }

    /// Begins a visit at the first kiosk by card.
    pub(crate) fn sign_in_by_card(&self, id: &str) -> Result<()> {
        let bench = self.first_kiosk()?;
        bench.insert_card(id)?;
        bench.wait_for_text(TextId::MenuTitle)?;
        Ok(())
    }

    /// Goes from the menu to the confirmation of the first listed water bill.
    pub(crate) fn choose_first_bill(&self) -> Result<()> {
        let bench = self.first_kiosk()?;
        bench.open_service("water.pay")?;
        bench.wait_for_text(ScreenText::Step("water.pay", "picked"))?;
        bench.choose_first_row()?;
        bench.tap_button(TextId::RowsGo)?;
        bench.wait_for_text(TextId::ConfirmTitle)?;
        Ok(())
    }
}
