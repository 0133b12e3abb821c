//! The scripted visits: what a city would try before it trusts a kiosk, played on the rig.

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

/// Everything that a scene may touch.
pub struct Stage {
    /// The city.
    pub rig: Rig,
    /// What was seen.
    pub report: Report,
    /// The demo residents.
    pub residents: Vec<Resident>,
}

/// One scene: its title and what happens.
type Scene = (&'static str, fn(&mut Stage) -> Result<()>);

const SCENES: &[Scene] = &[
    ("甲 插卡：查医保余额", visits::by_card),
    ("乙 亮码：开参保证明", visits::by_code),
    ("丙 插卡：缴水费，取凭条", visits::pays_by_card),
    ("丁 在每一个画面拔卡", visits::card_taken_everywhere),
    ("戊 付款时缺纸", faults::paper_out),
    ("己 终端到平台断网", faults::platform_link),
    ("庚 平台到银行断网", faults::acquirer_link),
    ("辛 两台终端缴同一张账单", faults::second_kiosk),
    ("壬 付款途中断电", faults::killed_while_paying),
    ("癸 凭条打到一半缺纸", faults::paper_ends),
    ("子 打印机不应答", faults::printer_mute),
    ("丑 不该受理的卡和码", faults::bad_input),
    ("寅 读卡器断开又接上", faults::reader_gone),
    ("卯 放身份证：登录、读不出、过期、断开", id_card::laid_down),
    ("辰 离线码：手机确认后缴水费", codes::pays_after_the_phone_answered),
    ("巳 同一个码、过期的码、别处的码", codes::shown_again),
    ("午 断网时两台终端见同一个码", codes::without_a_link),
    ("未 挂失的码", codes::reported_lost),
    ("亥 本机时间不准", codes::clock_off),
    ("申 浏览器里的渝快码：出示、再来一次、隔二十秒", page::shown),
    ("乾 修改社保卡密码", visits::changes_pin),
    ("艮 电子证照：看老年人优待证", visits::sees_a_licence),
    ("坤 工作人员卡：看本机状态", visits::staff_looks),
    ("戌 闸口：亮灯、鸣响、防折返", gate::lets_through_once),
    ("酉 插卡输密码：在手机上开通渝快码", page::bound_by_card_and_pin),
];

/// What the screen says to assistive programs is there a moment before it is drawn.
const DRAWN: Duration = Duration::from_millis(300);
/// So many bills at least are paid in the scenes.
const CHARGED_MIN: usize = 4;

/// Plays all scenes, or those whose title contains one of `only`, and the audit after them. The page is written
/// whatever happens.
///
/// # Errors
/// When the rig does not start. What a scene does not meet is in the report instead.
pub fn play(
    state: &Path,
    page: &Path,
    repository: &Path,
    screen: Option<ScreenSize>,
    only: &[String],
) -> Result<Report> {
    let residents = audit::residents(&repository.join("assets/residents.toml"))?;
    let report = Report::begin(page)?;
    eprintln!("starting the city");
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
    let mut stage = Stage { rig, report, residents };
    let chosen = |title: &str| only.is_empty() || only.iter().any(|part| title.contains(part.as_str()));
    for (title, scene) in SCENES.iter().filter(|(title, _)| chosen(title)) {
        eprintln!("{title}");
        stage.report.chapter(title);
        let outcome = stage.calm().and_then(|()| scene(&mut stage));
        if outcome.is_err() {
            stage.shot("这里停下了").ok();
        }
        stage.report.expect("走到最后", outcome);
    }
    eprintln!("audit");
    stage.report.chapter("审计");
    let charged_min = if only.is_empty() { CHARGED_MIN } else { 0 };
    let outcome = stage.calm().and_then(|()| audit::audit(&mut stage, charged_min));
    stage.report.expect("审计走到最后", outcome);
    let Stage { rig, mut report, residents } = stage;
    let state = rig.state().to_owned();
    drop(rig);
    audit::nothing_personal(&state, &residents, &mut report);
    report.finish()?;
    Ok(report)
}

/// What of the books does not agree after all that happened: nothing, as it should be.
pub fn everything_holds(stage: &mut Stage) -> Vec<String> {
    match stage.calm().and_then(|()| audit::audit(stage, 0)) {
        Ok(()) => Vec::new(),
        Err(error) => vec![format!("the audit broke off: {error:#}")],
    }
}

impl Stage {
    /// The first kiosk.
    pub(crate) fn at(&self) -> Result<&Station> {
        self.rig.kiosks.first().map(|kiosk| &kiosk.station).context("the first kiosk")
    }

    /// The second kiosk.
    pub(crate) fn other(&self) -> Result<&Station> {
        self.rig.kiosks.get(1).map(|kiosk| &kiosk.station).context("the second kiosk")
    }

    /// Every link whole, every device well, nobody there, the welcome view on.
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
            let station = &kiosk.station;
            station.mend()?;
            if kiosk.site.gate.is_some() {
                // Nobody is ever at a gate for long: it waits again by itself.
                station.hide_code()?;
                station.see_within("请亮码", Duration::from_secs(60))?;
                continue;
            }
            station.hide_code()?;
            station.take_card().ok();
            station.lift_id_card().ok();
            // Last words stay a while; whoever comes next need not wait for them.
            if station.shows("完成")? {
                station.tap("完成").ok();
            }
            if station.shows("退出")? {
                station.tap("退出").ok();
            }
            station.see_within("请选择一种方式开始", Duration::from_secs(100))?;
            // A kiosk that has just lost the link finds it again by itself, and offers its ways only then.
            station.see_within("已联网", Duration::from_secs(60))?;
        }
        Ok(())
    }

    /// Puts a picture of the first kiosk's screen on the page.
    pub(crate) fn shot(&mut self, caption: &str) -> Result<()> {
        thread::sleep(DRAWN);
        let png = self.at()?.screen_png()?;
        Ok(self.report.picture(caption, &png, false)?)
    }

    /// Puts the newest receipt on the page and gives its text.
    pub(crate) fn newest_paper(&mut self, caption: &str) -> Result<String> {
        let mut papers = self.at()?.papers()?;
        let text = papers.pop().context("there is no receipt in the tray")?;
        let png = self.at()?.paper_png(papers.len())?;
        self.report.picture(caption, &png, true)?;
        Ok(text)
    }

    /// Puts the newest A4 sheet on the page and gives its text.
    pub(crate) fn newest_sheet(&mut self, caption: &str) -> Result<String> {
        let index = self.at()?.sheets()?.checked_sub(1).context("there is no sheet in the tray")?;
        let png = self.at()?.sheet_png(index)?;
        self.report.picture(caption, &png, true)?;
        self.at()?.sheet_text(index)
    }

    /// Notes an expectation.
    pub(crate) fn expect(&mut self, what: &str, holds: bool, instead: impl FnOnce() -> String) {
        let outcome = if holds { Ok(()) } else { Err(anyhow!(instead())) };
        self.report.expect(what, outcome);
    }

    /// A demo resident by name of the entry.
    pub(crate) fn resident(&self, id: &str) -> Result<Resident> {
        self.residents.iter().find(|one| one.id == id).cloned().with_context(|| format!("no resident {id}"))
    }

    /// Signs a resident in by code at the first kiosk.
    pub(crate) fn sign_in_by_code(&self, id: &str) -> Result<()> {
        let station = self.at()?;
        let code = station.fresh_code(id)?;
        station.show_code(&code)?;
        station.see("您想办什么")?;
        station.hide_code()
    }

    /// Signs a resident in by card at the first kiosk.
    pub(crate) fn sign_in_by_card(&self, id: &str) -> Result<()> {
        let station = self.at()?;
        station.insert(id)?;
        station.see("您想办什么")?;
        Ok(())
    }

    /// From the menu to the confirmation of the first bill that is listed.
    pub(crate) fn choose_first_bill(&self) -> Result<()> {
        let station = self.at()?;
        station.tap("水费缴纳")?;
        station.see("请选择要缴的水费")?;
        station.tap("年")?;
        station.tap("下一步")?;
        station.see("请核对后付款")?;
        Ok(())
    }
}
