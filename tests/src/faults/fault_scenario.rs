//! The fault scenario of each kind of device: how the fault takes effect, and which texts must appear.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use emulator::faults::{
    EmulatedDevice, FaultKind, InjectableFault, ProtocolStep, camera, card, id_reader, printer, psam, scanner,
};

use super::is_tolerated;
use super::measurements::Measurements;
use super::screen_texts::{
    CAMERA_FAULT, CARD, CARD_ENDS, CARD_WORKING, CODE_RESIDENT, GATE_REFUSED, GATE_WAITING, ID_ENDS,
    ID_WORKING, MENU, NEW_PIN_ENDS, NEW_PIN_WORKING, PIN, PIN_CHANGE_CARD, PIN_ENDS, PIN_WORKING, PRINT_ENDS,
    PRINT_WORKING, PRINTER_FAULT, SCAN_ENDS, STAFF_ENDS, THIRD_GENERATION_CARD, WELCOME,
};
use crate::bench_client::BenchClient;
use crate::phone_client::forged_code;
use crate::pointer::Pointer;

/// Time in which a fault takes effect after it was switched on.
const HIT_TIMEOUT: Duration = Duration::from_secs(20);
/// Time in which a device recovers after its fault was cleared.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(40);
/// Time in which a message must appear.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(20);
/// Time after which the scenario tries to leave a view that still waits.
const LEAVE_AFTER: Duration = Duration::from_millis(1_200);
/// Time in which a new view is drawn completely.
const DRAW_TIMEOUT: Duration = Duration::from_millis(500);
/// Time for which a device that tolerates its fault is observed.
const TOLERATION_PERIOD: Duration = Duration::from_millis(1_500);

/// Pause between two cards. pcscd and ID readers poll every 400 ms, and the idle screen can appear before the last
/// card is out, so that a faster change would go unnoticed.
const CARD_SWAP_PAUSE: Duration = Duration::from_secs(1);

/// A scenario that injects one named fault into one device of one kiosk. 故障场景.
pub(super) struct FaultScenario<'a> {
    bench: &'a BenchClient,
    pointer: &'a Pointer,
    fault: &'a InjectableFault,
    measurements: &'a mut Measurements,
}

impl<'a> FaultScenario<'a> {
    pub(super) fn new(
        bench: &'a BenchClient,
        pointer: &'a Pointer,
        fault: &'a InjectableFault,
        measurements: &'a mut Measurements,
    ) -> Self {
        Self { bench, pointer, fault, measurements }
    }

    /// Measures only touches, without a fault.
    pub(super) fn run_without_fault(&mut self) -> Result<()> {
        self.measure_touches()
    }

    /// Runs the fault scenario. The measurements are filled in even if it fails.
    pub(super) fn run(&mut self) -> Result<()> {
        let is = |step: &ProtocolStep| std::ptr::eq(self.fault.step, step);
        match self.fault.step.device {
            EmulatedDevice::Card if is(&card::VERIFY) => self.pin(),
            EmulatedDevice::Card if is(&card::CHANGE_PIN) => self.change_pin(),
            EmulatedDevice::Card if is(&card::STAFF_NAME) || is(&card::STAFF_PROOF) => {
                self.insert_card("staff", STAFF_ENDS)
            }
            EmulatedDevice::Psam => self.psam(),
            EmulatedDevice::Signal => self.gate_lights(),
            EmulatedDevice::Card => self.card(),
            EmulatedDevice::Printer if needs_print_job(self.fault.step) => self.receipt(),
            EmulatedDevice::Printer => self.idle_printer(),
            EmulatedDevice::Camera => self.camera(),
            EmulatedDevice::Scanner => self.scanner(),
            EmulatedDevice::IdReader if needs_id_card(self.fault.step) => self.id_card(),
            EmulatedDevice::IdReader => self.id_reader(),
        }
    }

    fn fault_name(&self) -> String {
        self.fault.name()
    }

    /// A card is inserted, and its reading fails or succeeds in spite of the fault.
    fn card(&mut self) -> Result<()> {
        let needs_authentication = [&card::CHALLENGE, &card::INTERNAL, &card::EXTERNAL]
            .into_iter()
            .any(|step| std::ptr::eq(step, self.fault.step));
        self.insert_card(if needs_authentication { THIRD_GENERATION_CARD } else { CARD }, CARD_ENDS)
    }

    /// The PSAM fails to authenticate a card.
    fn psam(&mut self) -> Result<()> {
        self.bench.set_fault(&self.fault_name(), true)?;
        // A missing PSAM is noticed before a card is inserted.
        let is_away =
            [&psam::RESET, &psam::PSAM_REMOVED].into_iter().any(|step| std::ptr::eq(step, self.fault.step));
        if is_away {
            self.wait_for_fault()?;
        }
        let inserted = is_away.then(Instant::now);
        self.bench.insert_card(THIRD_GENERATION_CARD)?;
        self.inject_since(inserted, CARD_WORKING, CARD_ENDS)?;
        self.card_after_recovery(THIRD_GENERATION_CARD)
    }

    /// Inserts this card, and expects its reading to end with one of these texts.
    fn insert_card(&mut self, card: &str, ends: &[&str]) -> Result<()> {
        self.bench.set_fault(&self.fault_name(), true)?;
        self.bench.insert_card(card)?;
        self.inject(CARD_WORKING, ends)?;
        self.card_after_recovery(CARD)
    }

    /// Leaves the visit, clears the fault, and expects that this card is read again.
    fn card_after_recovery(&mut self, card: &str) -> Result<()> {
        self.leave_view(&["取卡离开"], DRAW_TIMEOUT)?;
        self.measure_touches()?;
        self.bench.clear_faults()?;
        self.bench.remove_card()?;
        let cleared = Instant::now();
        if self.bench.shows_text("完成")? {
            self.bench.tap_button("完成")?;
        }
        self.wait_for_recovery(cleared, |words| {
            any_contains(words, WELCOME) && !any_contains(words, "暂时不能用")
        })?;
        thread::sleep(CARD_SWAP_PAUSE);
        self.bench.insert_card(card)?;
        self.bench
            .wait_for_text_within(MENU, RECOVERY_TIMEOUT)
            .context("card not read after the fault was cleared")?;
        self.bench.remove_card()?;
        Ok(())
    }

    /// The card fails while it verifies the PIN.
    fn pin(&mut self) -> Result<()> {
        self.bench.insert_card(CARD)?;
        self.bench.wait_for_text(MENU)?;
        self.bench.tap_button("水费缴纳")?;
        self.bench.wait_for_text("请选择要缴的水费")?;
        self.bench.tap_button("年")?;
        self.bench.tap_button("下一步")?;
        self.bench.wait_for_text("请核对后付款")?;
        self.bench.tap_button("确认付款")?;
        self.bench.wait_for_text("请输入社保卡密码")?;
        self.bench.set_fault(&self.fault_name(), true)?;
        self.bench.enter_pin(PIN)?;
        self.bench.tap_button("确定")?;
        self.inject(PIN_WORKING, PIN_ENDS)?;
        self.card_after_recovery(CARD)
    }

    /// The card fails while it changes its PIN, before or after the change.
    fn change_pin(&mut self) -> Result<()> {
        let (card, pin, new) = PIN_CHANGE_CARD;
        // The previous fault scenario may have changed the PIN.
        self.bench.insert_new_card(card)?;
        self.bench.wait_for_text(MENU)?;
        self.bench.tap_button("修改社保卡密码")?;
        for (title, pin) in [("请输入现在的密码", pin), ("请设置新密码", new)] {
            self.bench.wait_for_text(title)?;
            self.bench.enter_pin(pin)?;
            self.bench.tap_button("确定")?;
        }
        self.bench.wait_for_text("请再输入一次新密码")?;
        self.bench.set_fault(&self.fault_name(), true)?;
        self.bench.enter_pin(new)?;
        self.bench.tap_button("确定")?;
        self.inject(NEW_PIN_WORKING, NEW_PIN_ENDS)?;
        self.card_after_recovery(CARD)
    }

    /// A gate's lights fail: the sign still works, and the lights work again after the fault was cleared.
    fn gate_lights(&mut self) -> Result<()> {
        self.bench.set_fault(&self.fault_name(), true)?;
        self.wait_for_fault()?;
        let shown = Instant::now();
        self.bench.show_code_to_scanner(&forged_code()?)?;
        self.bench.wait_for_text(GATE_REFUSED)?;
        self.measurements.first_notice = Some((shown.elapsed(), GATE_REFUSED.to_owned()));
        self.bench.hide_code_from_scanner()?;
        self.bench.wait_for_text_within(GATE_WAITING, RECOVERY_TIMEOUT)?;
        self.bench.clear_faults()?;
        let cleared = Instant::now();
        loop {
            let (_, before, _) = self.bench.relay_close_counts()?;
            self.bench.show_code_to_scanner(&forged_code()?)?;
            self.bench.wait_for_text(GATE_REFUSED)?;
            self.bench.hide_code_from_scanner()?;
            self.bench.wait_for_text_within(GATE_WAITING, RECOVERY_TIMEOUT)?;
            let (_, after, _) = self.bench.relay_close_counts()?;
            if after > before {
                self.measurements.recovered_after = Some(cleared.elapsed());
                return Ok(());
            }
            if cleared.elapsed() > RECOVERY_TIMEOUT {
                bail!("the lights did not recover within {} s", RECOVERY_TIMEOUT.as_secs());
            }
        }
    }

    /// The printer fails while idle.
    fn idle_printer(&mut self) -> Result<()> {
        self.bench.set_fault(&self.fault_name(), true)?;
        self.inject_while_idle(PRINTER_FAULT)?;
        self.measure_touches()?;
        self.bench.clear_faults()?;
        let cleared = Instant::now();
        self.wait_for_recovery(cleared, |words| {
            !PRINTER_FAULT.iter().any(|message| any_contains(words, message))
        })
    }

    /// The printer fails in the middle of a receipt.
    fn receipt(&mut self) -> Result<()> {
        if std::ptr::eq(self.fault.step, &printer::CLEAR) {
            // The driver clears the printer's buffer only after it has opened the serial line again.
            self.bench.set_fault("printer-status-disconnection", true)?;
            self.bench.wait_for_text_within("打印机暂时不能用", RECOVERY_TIMEOUT)?;
            self.bench.set_fault("printer-status-disconnection", false)?;
            self.wait_for_recovery(Instant::now(), |words| !any_contains(words, "打印机暂时不能用"))?;
        }
        self.sign_in_by_code()?;
        self.bench.tap_button("社保参保证明")?;
        self.bench.wait_for_text("请确认是否授权")?;
        self.bench.tap_button("同意，继续")?;
        self.bench.wait_for_text("打印")?;
        self.bench.set_fault(&self.fault_name(), true)?;
        self.bench.tap_button("打印")?;
        self.inject(PRINT_WORKING, PRINT_ENDS)?;
        self.leave_view(&["首页"], DRAW_TIMEOUT)?;
        self.measure_touches()?;
        self.bench.clear_faults()?;
        let cleared = Instant::now();
        self.bench.tap_button("退出")?;
        self.wait_for_recovery(cleared, |words| {
            any_contains(words, WELCOME) && !PRINTER_FAULT.iter().any(|message| any_contains(words, message))
        })?;
        match self.duplicate_receipts()?.len() {
            0 => Ok(()),
            copied => bail!("{copied} receipts were printed more than once without a copy mark"),
        }
    }

    /// The camera fails while the kiosk is idle, or delivers unusable pictures.
    fn camera(&mut self) -> Result<()> {
        let opens = std::ptr::eq(self.fault.step, &camera::HEADER);
        if opens {
            // The header is sent only when a stream is opened: the current stream must end first.
            self.bench.set_fault("camera-frame-disconnection", true)?;
            self.bench.wait_for_text_within("暂时不能用", RECOVERY_TIMEOUT)?;
        }
        self.bench.set_fault(&self.fault_name(), true)?;
        if opens {
            self.bench.set_fault("camera-frame-disconnection", false)?;
        }
        self.inject_while_idle(CAMERA_FAULT)?;
        self.measure_touches()?;
        self.bench.clear_faults()?;
        let cleared = Instant::now();
        self.wait_for_recovery(cleared, |words| !any_contains(words, "暂时不能用"))?;
        self.sign_in_by_code().context("code not read after the fault was cleared")?;
        self.bench.tap_button("退出")
    }

    /// The scanner sends a code wrongly.
    fn scanner(&mut self) -> Result<()> {
        let code = self.bench.fresh_code(CODE_RESIDENT)?;
        self.bench.set_fault(&self.fault_name(), true)?;
        if !std::ptr::eq(self.fault.step, &scanner::UNPLUGGED) {
            self.bench.show_code_to_scanner(&code)?;
        }
        self.inject_while_idle(SCAN_ENDS)?;
        self.measure_touches()?;
        self.bench.clear_faults()?;
        self.bench.hide_code_from_scanner()?;
        let cleared = Instant::now();
        for way in ["退出", "返回首页"] {
            if self.bench.shows_text(way)? {
                self.bench.tap_button(way)?;
            }
        }
        self.wait_for_recovery(cleared, |words| {
            any_contains(words, WELCOME) && !any_contains(words, "暂时不能用")
        })?;
        let code = self.bench.fresh_code(CODE_RESIDENT)?;
        self.bench.show_code_to_scanner(&code)?;
        self.bench
            .wait_for_text_within(MENU, RECOVERY_TIMEOUT)
            .context("code not read after the fault was cleared")?;
        self.bench.hide_code_from_scanner()?;
        self.bench.tap_button("退出")
    }

    /// An ID card is placed on the reader, and its reading fails or succeeds in spite of the fault.
    fn id_card(&mut self) -> Result<()> {
        self.bench.set_fault(&self.fault_name(), true)?;
        // The reader must notice that the previous card was removed.
        thread::sleep(CARD_SWAP_PAUSE);
        self.bench.place_id_card(CARD)?;
        self.inject(ID_WORKING, ID_ENDS)?;
        self.leave_view(&["退出"], DRAW_TIMEOUT)?;
        self.measure_touches()?;
        self.id_card_after_recovery()
    }

    /// The ID reader fails while idle.
    fn id_reader(&mut self) -> Result<()> {
        let opens = std::ptr::eq(self.fault.step, &id_reader::SAM_ID);
        if opens {
            // The driver asks for the module number only when it opens the serial line.
            self.bench.set_fault("id-reader-unplugged", true)?;
            self.bench.wait_for_text_within("暂时不能用", RECOVERY_TIMEOUT)?;
        }
        self.bench.set_fault(&self.fault_name(), true)?;
        if opens {
            self.bench.set_fault("id-reader-unplugged", false)?;
        }
        self.inject_while_idle(&["暂时不能用"])?;
        self.measure_touches()?;
        self.id_card_after_recovery()
    }

    fn id_card_after_recovery(&mut self) -> Result<()> {
        self.bench.clear_faults()?;
        self.bench.remove_id_card()?;
        let cleared = Instant::now();
        for way in ["退出", "返回首页"] {
            if self.bench.shows_text(way)? {
                self.bench.tap_button(way)?;
            }
        }
        self.wait_for_recovery(cleared, |words| {
            any_contains(words, WELCOME) && !any_contains(words, "暂时不能用")
        })?;
        thread::sleep(CARD_SWAP_PAUSE);
        self.bench.place_id_card(CARD)?;
        self.bench
            .wait_for_text_within(MENU, RECOVERY_TIMEOUT)
            .context("ID card not read after the fault was cleared")?;
        self.bench.remove_id_card()?;
        self.bench.tap_button("退出")
    }

    fn sign_in_by_code(&self) -> Result<()> {
        let code = self.bench.fresh_code(CODE_RESIDENT)?;
        let scans = self.bench.show_code_to_scanner(&code).is_ok();
        if !scans {
            self.bench.show_code(&code)?;
        }
        self.bench.wait_for_text_within(MENU, RECOVERY_TIMEOUT)?;
        if scans { self.bench.hide_code_from_scanner() } else { self.bench.hide_code() }
    }

    /// QR code texts that are on more than one complete receipt without a copy mark. A receipt that was interrupted
    /// may be printed completely later, beside that of the next visit, but each only once.
    fn duplicate_receipts(&self) -> Result<Vec<String>> {
        let mut seen = BTreeSet::new();
        let papers = self.bench.receipts()?;
        let codes = papers.iter().filter(|paper| !paper.contains("补打")).filter_map(|paper| {
            let (_, code) = paper.split_once("[QR ")?;
            code.split_once(']').map(|(code, _)| code.to_owned())
        });
        Ok(codes.filter(|code| !seen.insert(code.clone())).collect())
    }

    /// Waits until the fault takes effect, until the first message appears, and, within the limits, for the outcome.
    fn inject(&mut self, working: &[&str], ends: &[&str]) -> Result<()> {
        self.inject_since(None, working, ends)
    }

    /// Like [`Self::inject`], but times count from `counted_from`, if given: the fault took effect before it mattered to a
    /// resident.
    fn inject_since(&mut self, counted_from: Option<Instant>, working: &[&str], ends: &[&str]) -> Result<()> {
        let begun = Instant::now();
        let mut met = None;
        loop {
            let words = self.bench.visible_texts()?;
            let now = Instant::now();
            met = met.or(self.bench.fault_hit_at(&self.fault_name())?);
            let Some(met) = met else {
                if begun.elapsed() > HIT_TIMEOUT {
                    bail!("the fault did not take effect; on the screen: {}", words.join(" | "));
                }
                continue;
            };
            let since = now.saturating_duration_since(counted_from.unwrap_or(met));
            let shown = |wanted: &[&str]| {
                wanted.iter().find(|one| any_contains(&words, one)).map(|one| (*one).to_owned())
            };
            // The idle screen counts as an outcome only after the fault had time to show.
            let begun_to_show = self.measurements.first_notice.is_some() || since > TOLERATION_PERIOD;
            let end = shown(ends).filter(|end| begun_to_show || end != WELCOME);
            if self.measurements.first_notice.is_none() {
                // To its reader, a card without an answer to reset is no card: no message is possible.
                let is_none = std::ptr::eq(self.fault.step, &card::RESET);
                let notice = shown(working).or(end.clone().filter(|end| !is_none || end != WELCOME));
                self.measurements.first_notice = notice.map(|words| (since, words));
            }
            if let Some(end) = end {
                self.measurements.outcome = Some((since, end));
                return Ok(());
            }
            if since > NOTICE_TIMEOUT {
                // The device may block for an unlimited time; only the resident must be able to leave.
                return if self.measurements.first_notice.is_some() {
                    Ok(())
                } else {
                    bail!("no message appeared; on the screen: {words:?}")
                };
            }
            if self.measurements.released.is_none() && since > LEAVE_AFTER {
                self.leave_view(&["取卡离开"], Duration::ZERO)?;
            }
        }
    }

    fn wait_for_fault(&self) -> Result<()> {
        let begun = Instant::now();
        while self.bench.fault_hit_at(&self.fault_name())?.is_none() {
            if begun.elapsed() > HIT_TIMEOUT {
                bail!("the fault `{}` did not take effect", self.fault_name());
            }
        }
        Ok(())
    }

    /// Waits until the fault takes effect and one of these messages appears; a tolerated fault needs no message.
    fn inject_while_idle(&mut self, messages: &[&str]) -> Result<()> {
        let begun = Instant::now();
        let mut met = None;
        loop {
            let words = self.bench.visible_texts()?;
            let now = Instant::now();
            met = met.or(self.bench.fault_hit_at(&self.fault_name())?);
            let Some(met) = met else {
                if begun.elapsed() > HIT_TIMEOUT {
                    bail!("the fault did not take effect; on the screen: {}", words.join(" | "));
                }
                continue;
            };
            let since = now.saturating_duration_since(met);
            if let Some(message) = messages.iter().find(|one| any_contains(&words, one)) {
                self.measurements.first_notice = Some((since, (*message).to_owned()));
                return Ok(());
            }
            if (is_tolerated(self.fault) || is_unnoticeable(self.fault)) && since > TOLERATION_PERIOD {
                self.measurements.outcome = Some((since, "照常".into()));
                return Ok(());
            }
            if since > NOTICE_TIMEOUT {
                bail!("no message appeared; on the screen: {}", words.join(" | "));
            }
        }
    }

    /// Leaves the view by one of these buttons if one appears within `timeout`, and measures the latency.
    fn leave_view(&mut self, ways: &[&str], timeout: Duration) -> Result<()> {
        if self.measurements.released.is_some() {
            return Ok(());
        }
        for way in ways {
            // The view may change between two reads of the screen.
            let Ok(at) = self.bench.button_center_within(way, timeout) else { continue };
            match self.pointer.touch_and_time(at) {
                Ok(took) => self.measurements.released = Some(took),
                Err(_) if !self.bench.shows_text(way)? => {}
                Err(error) => return Err(error),
            }
            return Ok(());
        }
        Ok(())
    }

    /// Measures touches that switch the language twice to English and back, while the fault is active.
    fn measure_touches(&mut self) -> Result<()> {
        for button in ["English", "中文", "English", "中文"] {
            // A view without language buttons is skipped; it was usually left by then, or changes automatically.
            let Ok(at) = self.bench.button_center_within(button, Duration::from_secs(2)) else { continue };
            self.measurements.touches.push(self.pointer.touch_and_time(at)?);
        }
        if self.measurements.touches.is_empty() && self.measurements.released.is_none() {
            bail!("no button to touch; on the screen: {}", self.bench.visible_texts()?.join(" | "));
        }
        Ok(())
    }

    /// Waits until `is_back` accepts the texts on the screen: the device is usable again.
    fn wait_for_recovery(&mut self, cleared: Instant, is_back: impl Fn(&[String]) -> bool) -> Result<()> {
        loop {
            let words = self.bench.visible_texts()?;
            if is_back(&words) {
                self.measurements.recovered_after = Some(cleared.elapsed());
                return Ok(());
            }
            if cleared.elapsed() > RECOVERY_TIMEOUT {
                bail!("the device did not recover; on the screen: {}", words.join(" | "));
            }
        }
    }
}

fn any_contains(words: &[String], wanted: &str) -> bool {
    words.iter().any(|word| word.contains(wanted))
}

/// Steps that an ID reader reaches only with a card on it.
fn needs_id_card(step: &ProtocolStep) -> bool {
    [&id_reader::SELECT, &id_reader::READ, &id_reader::CARD_LIFTED]
        .into_iter()
        .any(|one| std::ptr::eq(one, step))
}

/// Steps that a printer reaches only during a print job.
fn needs_print_job(step: &ProtocolStep) -> bool {
    [
        &printer::CLEAR,
        &printer::BODY,
        &printer::QR,
        &printer::RASTER,
        &printer::CUT,
        &printer::BARRIER,
        &printer::PROCESS_ID,
        &printer::PAPER_ENDS,
        &printer::POWER_DIP,
    ]
    .into_iter()
    .any(|one| std::ptr::eq(one, step))
}

/// Faults that a kiosk cannot distinguish from the absence of a resident.
fn is_unnoticeable(fault: &InjectableFault) -> bool {
    fault.step.device == EmulatedDevice::Scanner
        && !matches!(fault.kind, FaultKind::Disconnection)
        && !std::ptr::eq(fault.step, &scanner::UNPLUGGED)
        || [&camera::DARK, &camera::GLARE, &camera::MANY_CODES]
            .into_iter()
            .any(|step| std::ptr::eq(step, fault.step))
}
