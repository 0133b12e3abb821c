//! The fault scenario of each kind of device: how the fault takes effect, and which texts must appear.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use virtual_hardware::faults::{Device, Fault, Kind, Step, camera, card, id_reader, printer, psam, scanner};

use super::figures::Figures;
use super::is_borne;
use super::words::{
    CARD, CARD_ENDS, CARD_WORKING, CHANGED, CODE, CODE_ENDS, CODE_TROUBLE, GUARDED, ID_ENDS, ID_WORKING,
    MENU, NEW_PIN_ENDS, NEW_PIN_WORKING, PIN, PIN_ENDS, PIN_WORKING, PRINT_ENDS, PRINT_WORKING,
    PRINTER_TROUBLE, STAFF_ENDS, STOPPED, WAITING, WELCOME,
};
use crate::finger::Finger;
use crate::phone::forged;
use crate::station::Station;

/// Time in which a fault takes effect after it was switched on.
const STRIKES: Duration = Duration::from_secs(20);
/// Time in which a device recovers after its fault was cleared.
const BACK: Duration = Duration::from_secs(40);
/// Time in which a message must appear.
const TOLD_MAX: Duration = Duration::from_secs(20);
/// Time after which the scenario tries to leave a view that still waits.
const LETS_GO: Duration = Duration::from_millis(1_200);
/// Time in which a new view is drawn completely.
const DRAWN: Duration = Duration::from_millis(500);
/// Time for which a device that tolerates its fault is observed.
const BORNE: Duration = Duration::from_millis(1_500);

/// Pause between two cards. pcscd and ID readers poll every 400 ms, and the idle screen can appear before the last
/// card is out, so that a faster change would go unnoticed.
const SWAP: Duration = Duration::from_secs(1);

/// A scenario that injects one named fault into one device of one kiosk. 故障场景.
pub(super) struct Drill<'a> {
    at: &'a Station,
    finger: &'a Finger,
    fault: &'a Fault,
    figures: &'a mut Figures,
}

impl<'a> Drill<'a> {
    pub(super) fn new(
        at: &'a Station,
        finger: &'a Finger,
        fault: &'a Fault,
        figures: &'a mut Figures,
    ) -> Self {
        Self { at, finger, fault, figures }
    }

    /// Measures only touches, without a fault.
    pub(super) fn without_fault(&mut self) -> Result<()> {
        self.touches()
    }

    /// Runs the fault scenario. The measurements are filled in even if it fails.
    pub(super) fn run(&mut self) -> Result<()> {
        let is = |step: &Step| std::ptr::eq(self.fault.step, step);
        match self.fault.step.device {
            Device::Card if is(&card::VERIFY) => self.pin(),
            Device::Card if is(&card::CHANGE_PIN) => self.new_pin(),
            Device::Card if is(&card::STAFF_NAME) || is(&card::STAFF_PROOF) => {
                self.put_in("staff", STAFF_ENDS)
            }
            Device::Psam => self.psam(),
            Device::Signal => self.lights(),
            Device::Card => self.card(),
            Device::Printer if is_in_a_receipt(self.fault.step) => self.receipt(),
            Device::Printer => self.idle_printer(),
            Device::Camera => self.camera(),
            Device::Scanner => self.scanner(),
            Device::IdReader if is_with_an_id_card(self.fault.step) => self.id_card(),
            Device::IdReader => self.id_reader(),
        }
    }

    fn name(&self) -> String {
        self.fault.name()
    }

    /// A card is inserted, and its reading fails or succeeds in spite of the fault.
    fn card(&mut self) -> Result<()> {
        let needs_authentication = [&card::CHALLENGE, &card::INTERNAL, &card::EXTERNAL]
            .into_iter()
            .any(|step| std::ptr::eq(step, self.fault.step));
        self.put_in(if needs_authentication { GUARDED } else { CARD }, CARD_ENDS)
    }

    /// The PSAM fails to authenticate a card.
    fn psam(&mut self) -> Result<()> {
        self.at.fault(&self.name(), true)?;
        // A missing PSAM is noticed before a card is inserted.
        let is_away = [&psam::RESET, &psam::GONE].into_iter().any(|step| std::ptr::eq(step, self.fault.step));
        if is_away {
            self.wait_for_fault()?;
        }
        let inserted = is_away.then(Instant::now);
        self.at.insert(GUARDED)?;
        self.strike_since(inserted, CARD_WORKING, CARD_ENDS)?;
        self.card_after_mending(GUARDED)
    }

    /// Inserts this card, and expects its reading to end with one of these texts.
    fn put_in(&mut self, card: &str, ends: &[&str]) -> Result<()> {
        self.at.fault(&self.name(), true)?;
        self.at.insert(card)?;
        self.strike(CARD_WORKING, ends)?;
        self.card_after_mending(CARD)
    }

    /// Leaves the visit, clears the fault, and expects that this card is read again.
    fn card_after_mending(&mut self, card: &str) -> Result<()> {
        self.leave(&["取卡离开"], DRAWN)?;
        self.touches()?;
        self.at.mend()?;
        self.at.take_card()?;
        let cleared = Instant::now();
        if self.at.shows("完成")? {
            self.at.tap("完成")?;
        }
        self.see_again(cleared, |words| has(words, WELCOME) && !has(words, "暂时不能用"))?;
        thread::sleep(SWAP);
        self.at.insert(card)?;
        self.at.see_within(MENU, BACK).context("card not read after the fault was cleared")?;
        self.at.take_card()?;
        Ok(())
    }

    /// The card fails while it verifies the PIN.
    fn pin(&mut self) -> Result<()> {
        self.at.insert(CARD)?;
        self.at.see(MENU)?;
        self.at.tap("水费缴纳")?;
        self.at.see("请选择要缴的水费")?;
        self.at.tap("年")?;
        self.at.tap("下一步")?;
        self.at.see("请核对后付款")?;
        self.at.tap("确认付款")?;
        self.at.see("请输入社保卡密码")?;
        self.at.fault(&self.name(), true)?;
        self.at.enter_pin(PIN)?;
        self.at.tap("确定")?;
        self.strike(PIN_WORKING, PIN_ENDS)?;
        self.card_after_mending(CARD)
    }

    /// The card fails while it changes its PIN, before or after the change.
    fn new_pin(&mut self) -> Result<()> {
        let (card, pin, new) = CHANGED;
        // The previous fault scenario may have changed the PIN.
        self.at.insert_new(card)?;
        self.at.see(MENU)?;
        self.at.tap("修改社保卡密码")?;
        for (title, pin) in [("请输入现在的密码", pin), ("请设置新密码", new)] {
            self.at.see(title)?;
            self.at.enter_pin(pin)?;
            self.at.tap("确定")?;
        }
        self.at.see("请再输入一次新密码")?;
        self.at.fault(&self.name(), true)?;
        self.at.enter_pin(new)?;
        self.at.tap("确定")?;
        self.strike(NEW_PIN_WORKING, NEW_PIN_ENDS)?;
        self.card_after_mending(CARD)
    }

    /// A gate's lights fail: the sign still works, and the lights work again after the fault was cleared.
    fn lights(&mut self) -> Result<()> {
        self.at.fault(&self.name(), true)?;
        self.wait_for_fault()?;
        let shown = Instant::now();
        self.at.aim_code(&forged()?)?;
        self.at.see(STOPPED)?;
        self.figures.told = Some((shown.elapsed(), STOPPED.to_owned()));
        self.at.lay_down_code()?;
        self.at.see_within(WAITING, BACK)?;
        self.at.mend()?;
        let cleared = Instant::now();
        loop {
            let (_, before, _) = self.at.signalled()?;
            self.at.aim_code(&forged()?)?;
            self.at.see(STOPPED)?;
            self.at.lay_down_code()?;
            self.at.see_within(WAITING, BACK)?;
            let (_, after, _) = self.at.signalled()?;
            if after > before {
                self.figures.back = Some(cleared.elapsed());
                return Ok(());
            }
            if cleared.elapsed() > BACK {
                bail!("the lights did not recover within {} s", BACK.as_secs());
            }
        }
    }

    /// The printer fails while idle.
    fn idle_printer(&mut self) -> Result<()> {
        self.at.fault(&self.name(), true)?;
        self.strike_idle(PRINTER_TROUBLE)?;
        self.touches()?;
        self.at.mend()?;
        let cleared = Instant::now();
        self.see_again(cleared, |words| !PRINTER_TROUBLE.iter().any(|message| has(words, message)))
    }

    /// The printer fails in the middle of a receipt.
    fn receipt(&mut self) -> Result<()> {
        if std::ptr::eq(self.fault.step, &printer::CLEAR) {
            // The driver clears the printer's buffer only after it has opened the serial line again.
            self.at.fault("printer-status-disconnection", true)?;
            self.at.see_within("打印机暂时不能用", BACK)?;
            self.at.fault("printer-status-disconnection", false)?;
            self.see_again(Instant::now(), |words| !has(words, "打印机暂时不能用"))?;
        }
        self.sign_in_by_code()?;
        self.at.tap("社保参保证明")?;
        self.at.see("请确认是否授权")?;
        self.at.tap("同意，继续")?;
        self.at.see("打印")?;
        self.at.fault(&self.name(), true)?;
        self.at.tap("打印")?;
        self.strike(PRINT_WORKING, PRINT_ENDS)?;
        self.leave(&["首页"], DRAWN)?;
        self.touches()?;
        self.at.mend()?;
        let cleared = Instant::now();
        self.at.tap("退出")?;
        self.see_again(cleared, |words| {
            has(words, WELCOME) && !PRINTER_TROUBLE.iter().any(|message| has(words, message))
        })?;
        match self.copied()?.len() {
            0 => Ok(()),
            copied => bail!("{copied} receipts were printed more than once without a copy mark"),
        }
    }

    /// The camera fails while the kiosk is idle, or delivers unusable pictures.
    fn camera(&mut self) -> Result<()> {
        let opens = std::ptr::eq(self.fault.step, &camera::HEADER);
        if opens {
            // The header is sent only when a stream is opened: the current stream must end first.
            self.at.fault("camera-frame-disconnection", true)?;
            self.at.see_within("暂时不能用", BACK)?;
        }
        self.at.fault(&self.name(), true)?;
        if opens {
            self.at.fault("camera-frame-disconnection", false)?;
        }
        self.strike_idle(CODE_TROUBLE)?;
        self.touches()?;
        self.at.mend()?;
        let cleared = Instant::now();
        self.see_again(cleared, |words| !has(words, "暂时不能用"))?;
        self.sign_in_by_code().context("code not read after the fault was cleared")?;
        self.at.tap("退出")
    }

    /// The scanner sends a code wrongly.
    fn scanner(&mut self) -> Result<()> {
        let code = self.at.fresh_code(CODE)?;
        self.at.fault(&self.name(), true)?;
        if !std::ptr::eq(self.fault.step, &scanner::UNPLUGGED) {
            self.at.aim_code(&code)?;
        }
        self.strike_idle(CODE_ENDS)?;
        self.touches()?;
        self.at.mend()?;
        self.at.lay_down_code()?;
        let cleared = Instant::now();
        for way in ["退出", "返回首页"] {
            if self.at.shows(way)? {
                self.at.tap(way)?;
            }
        }
        self.see_again(cleared, |words| has(words, WELCOME) && !has(words, "暂时不能用"))?;
        let code = self.at.fresh_code(CODE)?;
        self.at.aim_code(&code)?;
        self.at.see_within(MENU, BACK).context("code not read after the fault was cleared")?;
        self.at.lay_down_code()?;
        self.at.tap("退出")
    }

    /// An ID card is placed on the reader, and its reading fails or succeeds in spite of the fault.
    fn id_card(&mut self) -> Result<()> {
        self.at.fault(&self.name(), true)?;
        // The reader must notice that the previous card was removed.
        thread::sleep(SWAP);
        self.at.lay_id_card(CARD)?;
        self.strike(ID_WORKING, ID_ENDS)?;
        self.leave(&["退出"], DRAWN)?;
        self.touches()?;
        self.id_card_is_read_again()
    }

    /// The ID reader fails while idle.
    fn id_reader(&mut self) -> Result<()> {
        let opens = std::ptr::eq(self.fault.step, &id_reader::SAM_ID);
        if opens {
            // The driver asks for the module number only when it opens the serial line.
            self.at.fault("id-reader-unplugged", true)?;
            self.at.see_within("暂时不能用", BACK)?;
        }
        self.at.fault(&self.name(), true)?;
        if opens {
            self.at.fault("id-reader-unplugged", false)?;
        }
        self.strike_idle(&["暂时不能用"])?;
        self.touches()?;
        self.id_card_is_read_again()
    }

    fn id_card_is_read_again(&mut self) -> Result<()> {
        self.at.mend()?;
        self.at.lift_id_card()?;
        let cleared = Instant::now();
        for way in ["退出", "返回首页"] {
            if self.at.shows(way)? {
                self.at.tap(way)?;
            }
        }
        self.see_again(cleared, |words| has(words, WELCOME) && !has(words, "暂时不能用"))?;
        thread::sleep(SWAP);
        self.at.lay_id_card(CARD)?;
        self.at.see_within(MENU, BACK).context("ID card not read after the fault was cleared")?;
        self.at.lift_id_card()?;
        self.at.tap("退出")
    }

    fn sign_in_by_code(&self) -> Result<()> {
        let code = self.at.fresh_code(CODE)?;
        let scans = self.at.aim_code(&code).is_ok();
        if !scans {
            self.at.show_code(&code)?;
        }
        self.at.see_within(MENU, BACK)?;
        if scans { self.at.lay_down_code() } else { self.at.hide_code() }
    }

    /// QR code texts that are on more than one complete receipt without a copy mark. A receipt that was interrupted
    /// may be printed completely later, beside that of the next visit, but each only once.
    fn copied(&self) -> Result<Vec<String>> {
        let mut seen = BTreeSet::new();
        let papers = self.at.papers()?;
        let codes = papers.iter().filter(|paper| !paper.contains("补打")).filter_map(|paper| {
            let (_, code) = paper.split_once("[QR ")?;
            code.split_once(']').map(|(code, _)| code.to_owned())
        });
        Ok(codes.filter(|code| !seen.insert(code.clone())).collect())
    }

    /// Waits until the fault takes effect, until the first message appears, and, within the limits, for the outcome.
    fn strike(&mut self, working: &[&str], ends: &[&str]) -> Result<()> {
        self.strike_since(None, working, ends)
    }

    /// Like [`Self::inject`], but times count from `counted_from`, if given: the fault took effect before it mattered to a
    /// resident.
    fn strike_since(&mut self, counted_from: Option<Instant>, working: &[&str], ends: &[&str]) -> Result<()> {
        let begun = Instant::now();
        let mut met = None;
        loop {
            let words = self.at.words()?;
            let now = Instant::now();
            met = met.or(self.at.met(&self.name())?);
            let Some(met) = met else {
                if begun.elapsed() > STRIKES {
                    bail!("the fault did not take effect; on the screen: {}", words.join(" | "));
                }
                continue;
            };
            let since = now.saturating_duration_since(counted_from.unwrap_or(met));
            let shown =
                |wanted: &[&str]| wanted.iter().find(|one| has(&words, one)).map(|one| (*one).to_owned());
            // The idle screen counts as an outcome only after the fault had time to show.
            let begun_to_show = self.figures.told.is_some() || since > BORNE;
            let end = shown(ends).filter(|end| begun_to_show || end != WELCOME);
            if self.figures.told.is_none() {
                // To its reader, a card without an answer to reset is no card: no message is possible.
                let is_none = std::ptr::eq(self.fault.step, &card::RESET);
                let notice = shown(working).or(end.clone().filter(|end| !is_none || end != WELCOME));
                self.figures.told = notice.map(|words| (since, words));
            }
            if let Some(end) = end {
                self.figures.settled = Some((since, end));
                return Ok(());
            }
            if since > TOLD_MAX {
                // The device may block for an unlimited time; only the resident must be able to leave.
                return if self.figures.told.is_some() {
                    Ok(())
                } else {
                    bail!("no message appeared; on the screen: {words:?}")
                };
            }
            if self.figures.released.is_none() && since > LETS_GO {
                self.leave(&["取卡离开"], Duration::ZERO)?;
            }
        }
    }

    fn wait_for_fault(&self) -> Result<()> {
        let begun = Instant::now();
        while self.at.met(&self.name())?.is_none() {
            if begun.elapsed() > STRIKES {
                bail!("the fault `{}` did not take effect", self.name());
            }
        }
        Ok(())
    }

    /// Waits until the fault takes effect and one of these messages appears; a tolerated fault needs no message.
    fn strike_idle(&mut self, messages: &[&str]) -> Result<()> {
        let begun = Instant::now();
        let mut met = None;
        loop {
            let words = self.at.words()?;
            let now = Instant::now();
            met = met.or(self.at.met(&self.name())?);
            let Some(met) = met else {
                if begun.elapsed() > STRIKES {
                    bail!("the fault did not take effect; on the screen: {}", words.join(" | "));
                }
                continue;
            };
            let since = now.saturating_duration_since(met);
            if let Some(message) = messages.iter().find(|one| has(&words, one)) {
                self.figures.told = Some((since, (*message).to_owned()));
                return Ok(());
            }
            if (is_borne(self.fault) || is_quiet(self.fault)) && since > BORNE {
                self.figures.settled = Some((since, "照常".into()));
                return Ok(());
            }
            if since > TOLD_MAX {
                bail!("no message appeared; on the screen: {}", words.join(" | "));
            }
        }
    }

    /// Leaves the view by one of these buttons if one appears within `timeout`, and measures the latency.
    fn leave(&mut self, ways: &[&str], timeout: Duration) -> Result<()> {
        if self.figures.released.is_some() {
            return Ok(());
        }
        for way in ways {
            // The view may change between two reads of the screen.
            let Ok(at) = self.at.button_within(way, timeout) else { continue };
            match self.finger.touch(at) {
                Ok(took) => self.figures.released = Some(took),
                Err(_) if !self.at.shows(way)? => {}
                Err(error) => return Err(error),
            }
            return Ok(());
        }
        Ok(())
    }

    /// Measures touches that switch the language twice to English and back, while the fault is active.
    fn touches(&mut self) -> Result<()> {
        for button in ["English", "中文", "English", "中文"] {
            // A view without language buttons is skipped; it was usually left by then, or changes automatically.
            let Ok(at) = self.at.button_within(button, Duration::from_secs(2)) else { continue };
            self.figures.touches.push(self.finger.touch(at)?);
        }
        if self.figures.touches.is_empty() && self.figures.released.is_none() {
            bail!("no button to touch; on the screen: {}", self.at.words()?.join(" | "));
        }
        Ok(())
    }

    /// Waits until `is_back` accepts the texts on the screen: the device is usable again.
    fn see_again(&mut self, cleared: Instant, is_back: impl Fn(&[String]) -> bool) -> Result<()> {
        loop {
            let words = self.at.words()?;
            if is_back(&words) {
                self.figures.back = Some(cleared.elapsed());
                return Ok(());
            }
            if cleared.elapsed() > BACK {
                bail!("the device did not recover; on the screen: {}", words.join(" | "));
            }
        }
    }
}

fn has(words: &[String], wanted: &str) -> bool {
    words.iter().any(|word| word.contains(wanted))
}

/// Steps that an ID reader reaches only with a card on it.
fn is_with_an_id_card(step: &Step) -> bool {
    [&id_reader::SELECT, &id_reader::READ, &id_reader::LIFTED].into_iter().any(|one| std::ptr::eq(one, step))
}

/// Steps that a printer reaches only during a print job.
fn is_in_a_receipt(step: &Step) -> bool {
    [
        &printer::CLEAR,
        &printer::BODY,
        &printer::QR,
        &printer::RASTER,
        &printer::CUT,
        &printer::FENCE,
        &printer::PROCESS_ID,
        &printer::PAPER_ENDS,
        &printer::POWER_DIP,
    ]
    .into_iter()
    .any(|one| std::ptr::eq(one, step))
}

/// Faults that a kiosk cannot distinguish from the absence of a resident.
fn is_quiet(fault: &Fault) -> bool {
    fault.step.device == Device::Scanner
        && !matches!(fault.kind, Kind::Disconnection)
        && !std::ptr::eq(fault.step, &scanner::UNPLUGGED)
        || [&camera::DARK, &camera::GLARE, &camera::MANY_CODES]
            .into_iter()
            .any(|step| std::ptr::eq(step, fault.step))
}
