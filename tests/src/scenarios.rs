//! Scenario tests: scripted runs of the whole system on the [rig](crate::rig), with expectations. They cover what a
//! city would try before it accepts a kiosk. `demo --script` runs them.

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

use crate::bench_client::BenchClient;
use crate::link_proxy::LinkCut;
use crate::rig::{DeviceOptions, KioskPlan, Rig};
use crate::scenario_report::ScenarioReport;

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
struct Scenario {
    /// Stable name, kebab-case; `--only` matches a part of it.
    id: &'static str,
    /// Title on the report page, in Chinese; `--only` matches a part of it, too.
    title: &'static str,
    /// Returns an error where the scenario cannot go on; expectations go to the report.
    run: fn(&mut ScenarioContext) -> Result<()>,
}

impl Scenario {
    fn matches(&self, part: &str) -> bool {
        self.id.contains(part) || self.title.contains(part)
    }
}

const fn scenario(
    id: &'static str,
    title: &'static str,
    run: fn(&mut ScenarioContext) -> Result<()>,
) -> Scenario {
    Scenario { id, title, run }
}

const SCENARIOS: &[Scenario] = &[
    scenario("card-balance", "插卡：查医保余额", visits::card_balance),
    scenario("code-insurance-proof", "亮码：开参保证明", visits::code_insurance_proof),
    scenario("card-water-payment", "插卡：缴水费，取凭条", visits::card_water_payment),
    scenario("card-removed-at-every-view", "在每一个画面拔卡", visits::card_removed_at_every_view),
    scenario("paper-out-while-paying", "付款时缺纸", failures::paper_out_while_paying),
    scenario("platform-link-cut", "终端到平台断网", failures::platform_link_cut),
    scenario("acquirer-link-cut", "平台到银行断网", failures::acquirer_link_cut),
    scenario("same-bill-at-two-kiosks", "两台终端缴同一张账单", failures::same_bill_at_two_kiosks),
    scenario("power-loss-while-paying", "付款途中断电", failures::power_loss_while_paying),
    scenario("paper-ends-mid-receipt", "凭条打到一半缺纸", failures::paper_ends_mid_receipt),
    scenario("printer-not-responding", "打印机不应答", failures::printer_not_responding),
    scenario("invalid-cards-and-codes", "不该受理的卡和码", failures::invalid_cards_and_codes),
    scenario("reader-disconnected", "读卡器断开又接上", failures::reader_disconnected),
    scenario("id-card-sign-in", "放身份证：登录、读不出、过期、断开", id_card::id_card_sign_in),
    scenario("offline-code-payment", "离线码：手机确认后缴水费", codes::offline_code_payment),
    scenario("code-reused-or-invalid", "同一个码、过期的码、别处的码", codes::code_reused_or_invalid),
    scenario("offline-code-without-link", "断网时两台终端见同一个码", codes::offline_code_without_link),
    scenario("lost-phone-refused", "挂失的码", codes::lost_phone_refused),
    scenario("kiosk-clock-wrong", "本机时间不准", codes::kiosk_clock_wrong),
    scenario("phone-page-code", "浏览器里的渝快码：出示、再来一次、隔二十秒", phone_page::phone_page_code),
    scenario("change-card-pin", "修改社保卡密码", visits::change_card_pin),
    scenario("e-certificate", "电子证照：看老年人优待证", visits::e_certificate),
    scenario("staff-card-status", "工作人员卡：看本机状态", visits::staff_card_status),
    scenario("gate-admits-once", "闸口：亮灯、鸣响、防折返", gate::gate_admits_once),
    scenario("bind-phone-by-card", "插卡输密码：在手机上开通渝快码", phone_page::bind_phone_by_card),
];

/// The accessibility tree changes before the pixels do: pause before a screenshot.
const DRAW_DELAY: Duration = Duration::from_millis(300);
/// Bills that a complete run of all scenarios charges, at least.
const CHARGED_BILLS_MIN: usize = 4;

/// Runs all scenarios, or those whose id or title contains one of `only`, and the audit after them. The report page is
/// written even if scenarios fail.
///
/// # Errors
/// When the rig does not start. Failed expectations are in the report instead.
pub fn run_scenarios(
    state: &Path,
    page: &Path,
    repository: &Path,
    screen: Option<ScreenSize>,
    only: &[String],
) -> Result<ScenarioReport> {
    let residents = audit::read_residents(&repository.join("assets/residents.toml"))?;
    let report = ScenarioReport::create(page)?;
    eprintln!("starting the rig");
    let mut rig = Rig::start(state)?;
    let fitting = DeviceOptions { document_printer: true, ..DeviceOptions::default() };
    rig.add_kiosk(KioskPlan { site: "district-hall", screen, slot: Some(0), devices: fitting })?;
    rig.add_kiosk(KioskPlan {
        site: "township-center",
        screen: None,
        slot: None,
        devices: DeviceOptions::default(),
    })?;
    rig.add_kiosk(KioskPlan {
        site: "gate",
        screen: None,
        slot: Some(1),
        devices: DeviceOptions { scanner: true, ..DeviceOptions::default() },
    })?;
    let mut context = ScenarioContext { rig, report, residents };
    let chosen = |scenario: &&Scenario| only.is_empty() || only.iter().any(|part| scenario.matches(part));
    for Scenario { id, title, run } in SCENARIOS.iter().filter(chosen) {
        eprintln!("{id} {title}");
        context.report.begin_chapter(&format!("{title} ({id})"));
        let outcome = context.reset().and_then(|()| run(&mut context));
        if outcome.is_err() {
            context.capture_screen("这里停下了").ok();
        }
        context.report.record_expectation("走到最后", outcome);
    }
    eprintln!("audit");
    context.report.begin_chapter("审计");
    let charged_min = if only.is_empty() { CHARGED_BILLS_MIN } else { 0 };
    let outcome = context.reset().and_then(|()| audit::run(&mut context, charged_min));
    context.report.record_expectation("审计走到最后", outcome);
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
                bench.wait_for_text_within("请亮码", Duration::from_secs(60))?;
                continue;
            }
            bench.hide_code()?;
            bench.remove_card().ok();
            bench.remove_id_card().ok();
            // A notice stays for some time; `完成` closes it early.
            if bench.shows_text("完成")? {
                bench.tap_button("完成").ok();
            }
            if bench.shows_text("退出")? {
                bench.tap_button("退出").ok();
            }
            bench.wait_for_text_within("请选择一种方式开始", Duration::from_secs(100))?;
            // A kiosk reconnects automatically, and offers its identification methods only once it is online.
            bench.wait_for_text_within("已联网", Duration::from_secs(60))?;
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
        bench.wait_for_text("您想办什么")?;
        bench.hide_code()
    }

    /// Begins a visit at the first kiosk by card.
    pub(crate) fn sign_in_by_card(&self, id: &str) -> Result<()> {
        let bench = self.first_kiosk()?;
        bench.insert_card(id)?;
        bench.wait_for_text("您想办什么")?;
        Ok(())
    }

    /// Goes from the menu to the confirmation of the first listed water bill.
    pub(crate) fn choose_first_bill(&self) -> Result<()> {
        let bench = self.first_kiosk()?;
        bench.tap_button("水费缴纳")?;
        bench.wait_for_text("请选择要缴的水费")?;
        bench.tap_button("年")?;
        bench.tap_button("下一步")?;
        bench.wait_for_text("请核对后付款")?;
        Ok(())
    }
}
