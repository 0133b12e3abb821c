//! Scenario tests: scripted runs of the whole system on the [rig](crate::rig), with expectations. They cover what a
//! city would try before it accepts a kiosk. `demo --script` runs them.

mod audit;
mod codes;
mod faults;
mod gate;
mod id_card;
mod page;
mod visits;

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use contract::ScreenSize;

use crate::proxy::Cut;
use crate::report::Report;
use crate::rig::{Fitting, Plan, Rig};
use crate::station::Station;

pub use audit::{Resident, nothing_personal, residents};

/// What a scenario works with: rig, report and demo residents.
pub struct Stage {
    /// The running system.
    pub rig: Rig,
    /// Pictures and expectations of this run.
    pub report: Report,
    /// The demo residents.
    pub residents: Vec<Resident>,
}

/// One scenario. 场景测试.
struct Scenario {
    /// Stable name, kebab-case; `--only` matches a part of it.
    id: &'static str,
    /// Title on the report page, in Chinese; `--only` matches a part of it, too.
    title: &'static str,
    /// Returns an error where the scenario cannot go on; expectations go to the report.
    run: fn(&mut Stage) -> Result<()>,
}

impl Scenario {
    fn matches(&self, part: &str) -> bool {
        self.id.contains(part) || self.title.contains(part)
    }
}

const fn scenario(id: &'static str, title: &'static str, run: fn(&mut Stage) -> Result<()>) -> Scenario {
    Scenario { id, title, run }
}

const SCENARIOS: &[Scenario] = &[
    scenario("card-balance", "插卡：查医保余额", visits::by_card),
    scenario("code-insurance-proof", "亮码：开参保证明", visits::by_code),
    scenario("card-water-payment", "插卡：缴水费，取凭条", visits::pays_by_card),
    scenario("card-removed-at-every-view", "在每一个画面拔卡", visits::card_taken_everywhere),
    scenario("paper-out-while-paying", "付款时缺纸", faults::paper_out),
    scenario("platform-link-cut", "终端到平台断网", faults::platform_link),
    scenario("acquirer-link-cut", "平台到银行断网", faults::acquirer_link),
    scenario("same-bill-at-two-kiosks", "两台终端缴同一张账单", faults::second_kiosk),
    scenario("power-loss-while-paying", "付款途中断电", faults::killed_while_paying),
    scenario("paper-ends-mid-receipt", "凭条打到一半缺纸", faults::paper_ends),
    scenario("printer-not-responding", "打印机不应答", faults::printer_mute),
    scenario("invalid-cards-and-codes", "不该受理的卡和码", faults::bad_input),
    scenario("reader-disconnected", "读卡器断开又接上", faults::reader_gone),
    scenario("id-card-sign-in", "放身份证：登录、读不出、过期、断开", id_card::laid_down),
    scenario("offline-code-payment", "离线码：手机确认后缴水费", codes::pays_after_the_phone_answered),
    scenario("code-reused-or-invalid", "同一个码、过期的码、别处的码", codes::shown_again),
    scenario("offline-code-without-link", "断网时两台终端见同一个码", codes::without_a_link),
    scenario("lost-phone-refused", "挂失的码", codes::reported_lost),
    scenario("kiosk-clock-wrong", "本机时间不准", codes::clock_off),
    scenario("phone-page-code", "浏览器里的渝快码：出示、再来一次、隔二十秒", page::shown),
    scenario("change-card-pin", "修改社保卡密码", visits::changes_pin),
    scenario("e-certificate", "电子证照：看老年人优待证", visits::sees_a_licence),
    scenario("staff-card-status", "工作人员卡：看本机状态", visits::staff_looks),
    scenario("gate-admits-once", "闸口：亮灯、鸣响、防折返", gate::lets_through_once),
    scenario("bind-phone-by-card", "插卡输密码：在手机上开通渝快码", page::bound_by_card_and_pin),
];

/// The accessibility tree changes before the pixels do: pause before a screenshot.
const DRAWN: Duration = Duration::from_millis(300);
/// Bills that a complete run of all scenarios charges, at least.
const CHARGED_MIN: usize = 4;

/// Runs all scenarios, or those whose id or title contains one of `only`, and the audit after them. The report page is
/// written even if scenarios fail.
///
/// # Errors
/// When the rig does not start. Failed expectations are in the report instead.
pub fn play(
    state: &Path,
    page: &Path,
    repository: &Path,
    screen: Option<ScreenSize>,
    only: &[String],
) -> Result<Report> {
    let residents = audit::residents(&repository.join("assets/residents.toml"))?;
    let report = Report::begin(page)?;
    eprintln!("starting the rig");
    let mut rig = Rig::start(state)?;
    let fitting = Fitting { sheet_printer: true, ..Fitting::default() };
    rig.add(Plan { site: "district-hall", screen, slot: Some(0), fitting })?;
    rig.add(Plan { site: "township-center", screen: None, slot: None, fitting: Fitting::default() })?;
    rig.add(Plan {
        site: "gate",
        screen: None,
        slot: Some(1),
        fitting: Fitting { scanner: true, ..Fitting::default() },
    })?;
    let mut context = Stage { rig, report, residents };
    let chosen = |scenario: &&Scenario| only.is_empty() || only.iter().any(|part| scenario.matches(part));
    for Scenario { id, title, run } in SCENARIOS.iter().filter(chosen) {
        eprintln!("{id} {title}");
        context.report.chapter(&format!("{title} ({id})"));
        let outcome = context.calm().and_then(|()| run(&mut context));
        if outcome.is_err() {
            context.shot("这里停下了").ok();
        }
        context.report.expect("走到最后", outcome);
    }
    eprintln!("audit");
    context.report.chapter("审计");
    let charged_min = if only.is_empty() { CHARGED_MIN } else { 0 };
    let outcome = context.calm().and_then(|()| audit::audit(&mut context, charged_min));
    context.report.expect("审计走到最后", outcome);
    let Stage { rig, mut report, residents } = context;
    let state = rig.state().to_owned();
    drop(rig);
    audit::nothing_personal(&state, &residents, &mut report);
    report.finish()?;
    Ok(report)
}

/// Runs the audit after a fault run and returns why it stopped early; empty when it completed. Expectations that the
/// audit does not meet are in the report.
pub fn everything_holds(context: &mut Stage) -> Vec<String> {
    match context.calm().and_then(|()| audit::audit(context, 0)) {
        Ok(()) => Vec::new(),
        Err(error) => vec![format!("the audit stopped early: {error:#}")],
    }
}

impl Stage {
    /// Bench client of the first kiosk.
    pub(crate) fn at(&self) -> Result<&Station> {
        self.rig.kiosks.first().map(|kiosk| &kiosk.station).context("the first kiosk")
    }

    /// Bench client of the second kiosk.
    pub(crate) fn other(&self) -> Result<&Station> {
        self.rig.kiosks.get(1).map(|kiosk| &kiosk.station).context("the second kiosk")
    }

    /// Resets all kiosks: links up, no fault active, no card, code or ID card present, the idle screen shown.
    pub(crate) fn calm(&mut self) -> Result<()> {
        for kiosk in &self.rig.kiosks {
            kiosk.station.mend()?;
        }
        self.rig.mind_readers()?;
        self.rig.platform_link.set(Cut::None);
        self.rig.acquirer_link.set(Cut::None);
        for kiosk in &mut self.rig.kiosks {
            if kiosk.check().is_err() {
                kiosk.start()?;
            }
            let bench = &kiosk.station;
            bench.mend()?;
            if kiosk.site.gate.is_some() {
                // A gate has no visits to end: it returns to its waiting view automatically.
                bench.hide_code()?;
                bench.see_within("请亮码", Duration::from_secs(60))?;
                continue;
            }
            bench.hide_code()?;
            bench.take_card().ok();
            bench.lift_id_card().ok();
            // A notice stays for some time; `完成` closes it early.
            if bench.shows("完成")? {
                bench.tap("完成").ok();
            }
            if bench.shows("退出")? {
                bench.tap("退出").ok();
            }
            bench.see_within("请选择一种方式开始", Duration::from_secs(100))?;
            // A kiosk reconnects automatically, and offers its identification methods only once it is online.
            bench.see_within("已联网", Duration::from_secs(60))?;
        }
        Ok(())
    }

    /// Adds a screenshot of the first kiosk to the report.
    pub(crate) fn shot(&mut self, caption: &str) -> Result<()> {
        thread::sleep(DRAWN);
        let png = self.at()?.screen_png()?;
        Ok(self.report.picture(caption, &png, false)?)
    }

    /// Adds the newest receipt to the report and returns its text.
    pub(crate) fn newest_paper(&mut self, caption: &str) -> Result<String> {
        let mut papers = self.at()?.papers()?;
        let text = papers.pop().context("no receipt was printed")?;
        let png = self.at()?.paper_png(papers.len())?;
        self.report.picture(caption, &png, true)?;
        Ok(text)
    }

    /// Adds the newest A4 document to the report and returns its text.
    pub(crate) fn newest_sheet(&mut self, caption: &str) -> Result<String> {
        let index = self.at()?.sheets()?.checked_sub(1).context("no A4 document in the tray")?;
        let png = self.at()?.sheet_png(index)?;
        self.report.picture(caption, &png, true)?;
        self.at()?.sheet_text(index)
    }

    /// Records an expectation; `instead` describes the actual state and is called only when it does not hold.
    pub(crate) fn expect(&mut self, what: &str, holds: bool, instead: impl FnOnce() -> String) {
        let outcome = if holds { Ok(()) } else { Err(anyhow!(instead())) };
        self.report.expect(what, outcome);
    }

    /// Demo resident with this `id` in the file of demo residents.
    pub(crate) fn resident(&self, id: &str) -> Result<Resident> {
        self.residents.iter().find(|one| one.id == id).cloned().with_context(|| format!("no resident {id}"))
    }

    /// Begins a visit at the first kiosk by resident code.
    pub(crate) fn sign_in_by_code(&self, id: &str) -> Result<()> {
        let bench = self.at()?;
        let code = bench.fresh_code(id)?;
        bench.show_code(&code)?;
        bench.see("您想办什么")?;
        bench.hide_code()
    }

    /// Begins a visit at the first kiosk by card.
    pub(crate) fn sign_in_by_card(&self, id: &str) -> Result<()> {
        let bench = self.at()?;
        bench.insert(id)?;
        bench.see("您想办什么")?;
        Ok(())
    }

    /// Goes from the menu to the confirmation of the first listed water bill.
    pub(crate) fn choose_first_bill(&self) -> Result<()> {
        let bench = self.at()?;
        bench.tap("水费缴纳")?;
        bench.see("请选择要缴的水费")?;
        bench.tap("年")?;
        bench.tap("下一步")?;
        bench.see("请核对后付款")?;
        Ok(())
    }
}
