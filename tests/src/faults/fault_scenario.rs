//! The fault scenario of each kind of device: how the fault takes effect, and which texts must appear.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use emulator::faults::{
    EmulatedDevice, FaultKind, InjectableFault, ProtocolStep, camera, card, id_reader, printer, psam, scanner,
};
use view::TextId;

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
use crate::screen_text::{ScreenText, TextPattern};

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
/// Time in which a view that has language buttons is drawn.
const LANGUAGE_TIMEOUT: Duration = Duration::from_secs(2);
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
            self.bench.wait_for_fault(&self.fault_name(), HIT_TIMEOUT)?;
        }
        let inserted = is_away.then(Instant::now);
        self.bench.insert_card(THIRD_GENERATION_CARD)?;
        self.inject_since(inserted, CARD_WORKING, CARD_ENDS)?;
        self.card_after_recovery(THIRD_GENERATION_CARD)
    }

    /// Inserts this card, and expects its reading to end with one of these texts.
    fn insert_card(&mut self, card: &str, ends: &[TextId]) -> Result<()> {
        self.bench.set_fault(&self.fault_name(), true)?;
        self.bench.insert_card(card)?;
        self.inject(CARD_WORKING, ends)?;
        self.card_after_recovery(CARD)
    }

    /// Leaves the visit, clears the fault, and expects that this card is read again.
    fn card_after_recovery(&mut self, card: &str) -> Result<()> {
        self.leave_view(TextId::FootTakeCard, DRAW_TIMEOUT)?;
        self.measure_touches()?;
        self.bench.clear_faults()?;
        self.bench.remove_card()?;
        let cleared = Instant::now();
        if self.bench.shows_text(TextId::Finish)? {
            self.bench.tap_button(TextId::Finish)?;
        }
        self.wait_for_recovery(cleared, &[WELCOME], &[TextId::WayBroken])?;
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
        self.bench.open_service("water.pay")?;
        self.bench.wait_for_text(ScreenText::Step("water.pay", "picked"))?;
        self.bench.choose_first_row()?;
        self.bench.tap_button(TextId::RowsGo)?;
        self.bench.wait_for_text(TextId::ConfirmTitle)?;
        self.bench.tap_button(TextId::ConfirmGo)?;
        self.bench.wait_for_text(TextId::PinTitle)?;
        self.bench.set_fault(&self.fault_name(), true)?;
        self.bench.enter_pin(PIN)?;
        self.bench.tap_button(TextId::PinGo)?;
        self.inject(PIN_WORKING, PIN_ENDS)?;
        self.card_after_recovery(CARD)
    }

    /// The card fails while it changes its PIN, before or after the change.
    fn change_pin(&mut self) -> Result<()> {
        let (card, pin, new) = PIN_CHANGE_CARD;
        // The previous fault scenario may have changed the PIN.
        self.bench.insert_new_card(card)?;
        self.bench.wait_for_text(MENU)?;
        self.bench.open_service("social-card.pin")?;
        for (title, pin) in [(TextId::ChangePinOld, pin), (TextId::ChangePinNew, new)] {
            self.bench.wait_for_text(title)?;
            self.bench.enter_pin(pin)?;
            self.bench.tap_button(TextId::PinGo)?;
        }
        self.bench.wait_for_text(TextId::ChangePinAgain)?;
        self.bench.set_fault(&self.fault_name(), true)?;
        self.bench.enter_pin(new)?;
        self.bench.tap_button(TextId::PinGo)?;
        self.inject(NEW_PIN_WORKING, NEW_PIN_ENDS)?;
        self.card_after_recovery(CARD)
    }

    /// A gate's lights fail: the sign still works, and the lights work again after the fault was cleared.
    fn gate_lights(&mut self) -> Result<()> {
        self.bench.set_fault(&self.fault_name(), true)?;
        self.bench.wait_for_fault(&self.fault_name(), HIT_TIMEOUT)?;
        let shown = Instant::now();
        self.bench.show_code_to_scanner(&forged_code()?)?;
        self.bench.wait_for_text(GATE_REFUSED)?;
        self.measurements.first_notice =
            Some((shown.elapsed(), self.bench.pattern(GATE_REFUSED)?.to_string()));
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
        self.wait_for_recovery(cleared, &[], PRINTER_FAULT)
    }

    /// The printer fails in the middle of a receipt.
    fn receipt(&mut self) -> Result<()> {
        if std::ptr::eq(self.fault.step, &printer::CLEAR) {
            // The driver clears the printer's buffer only after it has opened the serial line again.
            self.bench.set_fault("printer-status-disconnection", true)?;
            self.bench.wait_for_text_within(TextId::PrintOff, RECOVERY_TIMEOUT)?;
            self.bench.set_fault("printer-status-disconnection", false)?;
            self.wait_for_recovery(Instant::now(), &[], &[TextId::PrintOff])?;
        }
        self.sign_in_by_code()?;
        self.bench.open_service("insurance.proof")?;
        self.bench.wait_for_text(TextId::ConsentTitle)?;
        self.bench.tap_button(TextId::ConsentAgree)?;
        self.bench.wait_for_text(TextId::SheetPrint)?;
        self.bench.set_fault(&self.fault_name(), true)?;
        self.bench.tap_button(TextId::SheetPrint)?;
        self.inject(PRINT_WORKING, PRINT_ENDS)?;
        self.leave_view(TextId::FootHome, DRAW_TIMEOUT)?;
        self.measure_touches()?;
        self.bench.clear_faults()?;
        let cleared = Instant::now();
        self.bench.tap_button(TextId::FootExit)?;
        self.wait_for_recovery(cleared, &[WELCOME], PRINTER_FAULT)?;
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
            self.bench.wait_for_text_within(TextId::WayBroken, RECOVERY_TIMEOUT)?;
        }
        self.bench.set_fault(&self.fault_name(), true)?;
        if opens {
            self.bench.set_fault("camera-frame-disconnection", false)?;
        }
        self.inject_while_idle(CAMERA_FAULT)?;
        self.measure_touches()?;
        self.bench.clear_faults()?;
        let cleared = Instant::now();
        self.wait_for_recovery(cleared, &[], &[TextId::WayBroken])?;
        self.sign_in_by_code().context("code not read after the fault was cleared")?;
        self.bench.tap_button(TextId::FootExit)
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
        for way in [TextId::FootExit, TextId::BackToMenu] {
            if self.bench.shows_text(way)? {
                self.bench.tap_button(way)?;
            }
        }
        self.wait_for_recovery(cleared, &[WELCOME], &[TextId::WayBroken])?;
        let code = self.bench.fresh_code(CODE_RESIDENT)?;
        self.bench.show_code_to_scanner(&code)?;
        self.bench
            .wait_for_text_within(MENU, RECOVERY_TIMEOUT)
            .context("code not read after the fault was cleared")?;
        self.bench.hide_code_from_scanner()?;
        self.bench.tap_button(TextId::FootExit)
    }

    /// An ID card is placed on the reader, and its reading fails or succeeds in spite of the fault.
    fn id_card(&mut self) -> Result<()> {
        self.bench.set_fault(&self.fault_name(), true)?;
        // The reader must notice that the previous card was removed.
        thread::sleep(CARD_SWAP_PAUSE);
        self.bench.place_id_card(CARD)?;
        self.inject(ID_WORKING, ID_ENDS)?;
        self.leave_view(TextId::FootExit, DRAW_TIMEOUT)?;
        self.measure_touches()?;
        self.id_card_after_recovery()
    }

    /// The ID reader fails while idle.
    fn id_reader(&mut self) -> Result<()> {
        let opens = std::ptr::eq(self.fault.step, &id_reader::SAM_ID);
        if opens {
            // The driver asks for the module number only when it opens the serial line.
            self.bench.set_fault("id-reader-unplugged", true)?;
            self.bench.wait_for_text_within(TextId::WayBroken, RECOVERY_TIMEOUT)?;
        }
        self.bench.set_fault(&self.fault_name(), true)?;
        if opens {
            self.bench.set_fault("id-reader-unplugged", false)?;
        }
        self.inject_while_idle(&[TextId::WayBroken])?;
        self.measure_touches()?;
        self.id_card_after_recovery()
    }

    fn id_card_after_recovery(&mut self) -> Result<()> {
        self.bench.clear_faults()?;
        self.bench.remove_id_card()?;
        let cleared = Instant::now();
        for way in [TextId::FootExit, TextId::BackToMenu] {
            if self.bench.shows_text(way)? {
                self.bench.tap_button(way)?;
            }
        }
        self.wait_for_recovery(cleared, &[WELCOME], &[TextId::WayBroken])?;
        thread::sleep(CARD_SWAP_PAUSE);
        self.bench.place_id_card(CARD)?;
        self.bench
            .wait_for_text_within(MENU, RECOVERY_TIMEOUT)
            .context("ID card not read after the fault was cleared")?;
        self.bench.remove_id_card()?;
        self.bench.tap_button(TextId::FootExit)
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
        let copy_mark = self.bench.pattern(TextId::CopyMark)?;
        let codes = papers.iter().filter(|paper| !copy_mark.matches(paper)).filter_map(|paper| {
            let (_, code) = paper.split_once("[QR ")?;
            code.split_once(']').map(|(code, _)| code.to_owned())
        });
        Ok(codes.filter(|code| !seen.insert(code.clone())).collect())
    }

    /// Waits until the fault takes effect, until the first message appears, and, within the limits, for the outcome.
    fn inject(&mut self, working: &[TextId], ends: &[TextId]) -> Result<()> {
        self.inject_since(None, working, ends)
    }

    /// Like [`Self::inject`], but times count from `counted_from`, if given: the fault took effect before it mattered to a
    /// resident.
    fn inject_since(
        &mut self,
        counted_from: Option<Instant>,
        working: &[TextId],
        ends: &[TextId],
    ) -> Result<()> {
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
            // The idle screen counts as an outcome only after the fault had time to show.
            let begun_to_show = self.measurements.first_notice.is_some() || since > TOLERATION_PERIOD;
            let end = self.first_shown(&words, ends)?.filter(|(id, _)| begun_to_show || *id != WELCOME);
            if self.measurements.first_notice.is_none() {
                // To its reader, a card without an answer to reset is no card: no message is possible.
                let is_none = std::ptr::eq(self.fault.step, &card::RESET);
                let ended = end.clone().filter(|(id, _)| !is_none || *id != WELCOME);
                let notice = self.first_shown(&words, working)?.or(ended);
                self.measurements.first_notice = notice.map(|(_, notice)| (since, notice.to_string()));
            }
            if let Some((_, end)) = end {
                self.measurements.outcome = Some((since, end.to_string()));
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
                self.leave_view(TextId::FootTakeCard, Duration::ZERO)?;
            }
        }
    }

    /// Waits until the fault takes effect and one of these messages appears; a tolerated fault needs no message.
    fn inject_while_idle(&mut self, messages: &[TextId]) -> Result<()> {
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
            if let Some((_, message)) = self.first_shown(&words, messages)? {
                self.measurements.first_notice = Some((since, message.to_string()));
                return Ok(());
            }
            if (is_tolerated(self.fault) || is_unnoticeable(self.fault)) && since > TOLERATION_PERIOD {
                self.measurements.outcome = Some((since, "as usual".into()));
                return Ok(());
            }
            if since > NOTICE_TIMEOUT {
                bail!("no message appeared; on the screen: {}", words.join(" | "));
            }
        }
    }

    /// Leaves the view by this button if it appears within `timeout`, and measures the latency.
    fn leave_view(&mut self, way: TextId, timeout: Duration) -> Result<()> {
        if self.measurements.released.is_some() {
            return Ok(());
        }
        // The view may change between two reads of the screen.
        let Ok(at) = self.bench.button_center_within(way, timeout) else { return Ok(()) };
        match self.pointer.touch_and_time(at) {
            Ok(took) => self.measurements.released = Some(took),
            Err(_) if !self.bench.shows_text(way)? => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Measures touches that switch the language twice to English and back, while the fault is active.
    fn measure_touches(&mut self) -> Result<()> {
        let (to_english, back) =
            (TextId::FootOtherLanguage.into(), ScreenText::English(TextId::FootOtherLanguage));
        for button in [&to_english, &back, &to_english, &back] {
            // A view without language buttons is skipped; it was usually left by then, or changes automatically.
            let Ok(at) = self.bench.button_center_within(button, LANGUAGE_TIMEOUT) else { continue };
            self.measurements.touches.push(self.pointer.touch_and_time(at)?);
        }
        if self.measurements.touches.is_empty() && self.measurements.released.is_none() {
            bail!("no button to touch; on the screen: {}", self.bench.visible_texts()?.join(" | "));
        }
        Ok(())
    }

    /// The first of these texts that is among `words`, and what it says.
    fn first_shown(&self, words: &[String], wanted: &[TextId]) -> Result<Option<(TextId, TextPattern)>> {
        for id in wanted {
            let pattern = self.bench.pattern(*id)?;
            if pattern.matches_any(words) {
                return Ok(Some((*id, pattern)));
            }
        }
        Ok(None)
    }

    /// Waits until the screen shows each of `present` and none of `absent`: the device is usable again.
    fn wait_for_recovery(&mut self, cleared: Instant, present: &[TextId], absent: &[TextId]) -> Result<()> {
        loop {
            let words = self.bench.visible_texts()?;
            let mut is_back = self.first_shown(&words, absent)?.is_none();
            for id in present {
                is_back &= self.bench.pattern(*id)?.matches_any(&words);
            }
            if is_back {
                self.measurements.recovered_after = Some(cleared.elapsed());
                return Ok(());
            }
            if cleared.elapsed() > RECOVERY_TIMEOUT {
                bail!("the device did not recover; on the screen: {}", words.join(" | "));
            }
        }
    }
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
