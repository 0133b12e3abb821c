//! The catalogue of named faults of the emulated devices.
//!
//! A protocol is a list of [`ProtocolStep`]s. At each step a device can fail in several [`FaultKind`]s: no response,
//! a wrong one, half of it, too late, too much, or a disconnection. Each pair is an [`InjectableFault`] with a stable
//! name, `device-step-kind`. A device can also be in a bad [state](FaultKind::State) that it reports correctly, such
//! as no paper.
//!
//! An emulator asks its [`FaultSwitches`] at each step. The bench switches faults on and off.
//!
//! To add a fault, add a [`ProtocolStep`] to the table of its device and query it where the emulator reaches that step;
//! there is no other list.

pub mod camera;
pub mod card;
pub mod id_reader;
pub mod printer;
pub mod psam;
pub mod scanner;
pub mod signal;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Delay of a late response: longer than any driver waits for one, shorter than a person would wait.
pub const LATE_DELAY: Duration = Duration::from_millis(3_000);

/// Number of surplus bytes of a flood.
pub const FLOOD_BYTES: usize = 64 * 1024;

/// The emulated device that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EmulatedDevice {
    /// The card, its contacts, and its reader.
    Card,
    /// The receipt printer.
    Printer,
    /// The camera.
    Camera,
    /// The serial code scanner.
    Scanner,
    /// The ID reader, and the card on it.
    IdReader,
    /// The PSAM in the reader's second slot.
    Psam,
    /// The relay board with a gate's lights.
    Signal,
}

impl EmulatedDevice {
    /// First part of the names of its faults.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Printer => "printer",
            Self::Camera => "camera",
            Self::Scanner => "scanner",
            Self::IdReader => "id-reader",
            Self::Psam => "psam",
            Self::Signal => "signal",
        }
    }

    /// Chinese title on the bench page.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Card => "社会保障卡和读卡器",
            Self::Printer => "凭条打印机",
            Self::Camera => "摄像头",
            Self::Scanner => "扫码器",
            Self::IdReader => "身份证阅读器",
            Self::Psam => "PSAM 卡",
            Self::Signal => "闸口灯和蜂鸣器",
        }
    }
}

/// The way in which a device fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// No response; the connection stays open.
    Silence,
    /// A response of the right length with pseudo-random content.
    Garbage,
    /// Only the first half of the response.
    Truncation,
    /// The device disconnects, and connects again when the fault is switched off.
    Disconnection,
    /// The right response, late by [`LATE_DELAY`].
    Delay,
    /// A well-formed response that is wrong for this step.
    WrongAnswer,
    /// The response, followed by [`FLOOD_BYTES`] surplus bytes.
    Flood,
    /// The device is in a bad state, which it reports correctly.
    State,
}

impl FaultKind {
    /// Last part of the names of such faults; a state has a separate name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::Garbage => "garbage",
            Self::Truncation => "truncation",
            Self::Disconnection => "disconnection",
            Self::Delay => "delay",
            Self::WrongAnswer => "wrong-answer",
            Self::Flood => "flood",
            Self::State => "state",
        }
    }

    /// Chinese title on the bench page.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Silence => "不应答",
            Self::Garbage => "乱码",
            Self::Truncation => "只来一半",
            Self::Disconnection => "断开",
            Self::Delay => "迟到",
            Self::WrongAnswer => "答非所问",
            Self::Flood => "灌水",
            Self::State => "状态",
        }
    }
}

/// One step of a device protocol, and the kinds of failure that differ on its interface.
#[derive(Debug)]
pub struct ProtocolStep {
    /// The device.
    pub device: EmulatedDevice,
    /// Name of the step within the device, kebab-case and stable; of a state, the whole name of the fault.
    pub name: &'static str,
    /// Chinese title on the bench page.
    pub title: &'static str,
    /// The kinds of failure.
    pub kinds: &'static [FaultKind],
}

/// The kinds of failure of a step with a response of several bytes.
pub const ALL_KINDS: &[FaultKind] = &[
    FaultKind::Silence,
    FaultKind::Garbage,
    FaultKind::Truncation,
    FaultKind::Disconnection,
    FaultKind::Delay,
    FaultKind::WrongAnswer,
    FaultKind::Flood,
];

/// The kinds of failure of a step with a response of one byte, which cannot be truncated.
pub const ONE_BYTE_KINDS: &[FaultKind] = &[
    FaultKind::Silence,
    FaultKind::Garbage,
    FaultKind::Disconnection,
    FaultKind::Delay,
    FaultKind::WrongAnswer,
    FaultKind::Flood,
];

/// The single kind of a device state.
pub const STATE_ONLY: &[FaultKind] = &[FaultKind::State];

/// A fault of the catalogue. 故障.
#[derive(Clone, Copy, Debug)]
pub struct InjectableFault {
    /// The step that fails.
    pub step: &'static ProtocolStep,
    /// The way in which it fails.
    pub kind: FaultKind,
}

impl InjectableFault {
    /// Stable name, kebab-case, used by tests and the bench.
    #[must_use]
    pub fn name(&self) -> String {
        if self.kind == FaultKind::State {
            return self.step.name.to_owned();
        }
        format!("{}-{}-{}", self.step.device.name(), self.step.name, self.kind.name())
    }

    /// Chinese title on the bench page.
    #[must_use]
    pub fn title(&self) -> String {
        if self.kind == FaultKind::State {
            return self.step.title.to_owned();
        }
        format!("{}：{}", self.step.title, self.kind.title())
    }
}

/// All faults, by device and step.
pub fn catalogue() -> impl Iterator<Item = InjectableFault> {
    let devices = [
        card::STEPS,
        printer::STEPS,
        camera::STEPS,
        scanner::STEPS,
        id_reader::STEPS,
        psam::STEPS,
        signal::STEPS,
    ];
    devices
        .into_iter()
        .flatten()
        .flat_map(|step| step.kinds.iter().map(move |kind| InjectableFault { step, kind: *kind }))
}

/// Error: no fault has this name.
#[derive(Debug, thiserror::Error)]
#[error("unknown fault `{0}`: the bench page lists all names")]
pub struct UnknownFault(String);

/// The active faults of one bench, shared by its emulators.
#[derive(Clone, Default)]
pub struct FaultSwitches {
    active: Arc<Mutex<BTreeMap<String, ActiveFault>>>,
}

/// A fault that is switched on.
#[derive(Clone, Copy)]
struct ActiveFault {
    fault: InjectableFault,
    /// When the fault first took effect.
    first_hit: Option<Instant>,
}

impl FaultSwitches {
    /// Switches a fault on or off. Switching it on again resets the time at which it took effect.
    ///
    /// # Errors
    /// When no fault has this name.
    pub fn set_active(&self, name: &str, on: bool) -> Result<InjectableFault, UnknownFault> {
        let fault =
            catalogue().find(|fault| fault.name() == name).ok_or_else(|| UnknownFault(name.to_owned()))?;
        let mut switches = self.locked();
        match on {
            true => switches.insert(name.to_owned(), ActiveFault { fault, first_hit: None }),
            false => switches.remove(name),
        };
        Ok(fault)
    }

    /// Switches all faults off.
    pub fn clear_all(&self) {
        self.locked().clear();
    }

    /// Called by an emulator that reaches this step: returns how it must fail, if at all, and records that the fault
    /// took effect.
    #[must_use]
    pub fn hit(&self, step: &ProtocolStep) -> Option<FaultKind> {
        let mut switches = self.locked();
        let on = switches.values_mut().find(|on| std::ptr::eq(on.fault.step, step))?;
        on.first_hit.get_or_insert_with(Instant::now);
        Some(on.fault.kind)
    }

    /// Whether this fault is switched on, without recording that it took effect.
    #[must_use]
    pub fn is_active(&self, step: &ProtocolStep, kind: FaultKind) -> bool {
        self.locked().values().any(|on| std::ptr::eq(on.fault.step, step) && on.fault.kind == kind)
    }

    /// Whether this fault is switched on and has taken effect before.
    #[must_use]
    pub fn is_in_effect(&self, step: &ProtocolStep, kind: FaultKind) -> bool {
        let holds = |on: &ActiveFault| std::ptr::eq(on.fault.step, step) && on.fault.kind == kind;
        self.locked().values().any(|on| holds(on) && on.first_hit.is_some())
    }

    /// Whether any fault of this device is switched on and has taken effect.
    #[must_use]
    pub fn has_failed(&self, device: EmulatedDevice) -> bool {
        self.locked().values().any(|on| on.fault.step.device == device && on.first_hit.is_some())
    }

    /// Whether a fault has disconnected this device and is still switched on.
    #[must_use]
    pub fn is_disconnected(&self, device: EmulatedDevice) -> bool {
        let left = |on: &ActiveFault| on.fault.kind == FaultKind::Disconnection && on.first_hit.is_some();
        self.locked().values().any(|on| on.fault.step.device == device && left(on))
    }

    /// Time since this fault first took effect after it was switched on; `None` if it has not.
    #[must_use]
    pub fn time_since_hit(&self, name: &str) -> Option<Duration> {
        self.locked().get(name).and_then(|on| on.first_hit).map(|at| at.elapsed())
    }

    /// Names of the faults that are switched on.
    #[must_use]
    pub fn active_names(&self) -> Vec<String> {
        self.locked().keys().cloned().collect()
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, ActiveFault>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a device sends instead of its response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultyResponse {
    /// Delay before the bytes.
    pub delay: Duration,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Whether the device disconnects afterwards.
    pub disconnects: bool,
}

/// Applies a fault to a response. `wrong` is the well-formed wrong response, `flood` the bytes that a flood repeats.
#[must_use]
pub fn apply_fault(kind: Option<FaultKind>, answer: Vec<u8>, wrong: &[u8], flood: &[u8]) -> FaultyResponse {
    let plain = |bytes| FaultyResponse { bytes, ..FaultyResponse::default() };
    match kind {
        None | Some(FaultKind::State) => plain(answer),
        Some(FaultKind::Silence) => plain(Vec::new()),
        Some(FaultKind::Garbage) => plain(garbage_bytes(answer.len())),
        Some(FaultKind::Truncation) => {
            let half = answer.len() / 2;
            plain(answer.into_iter().take(half).collect())
        }
        Some(FaultKind::Disconnection) => FaultyResponse { disconnects: true, ..FaultyResponse::default() },
        Some(FaultKind::Delay) => FaultyResponse { delay: LATE_DELAY, bytes: answer, disconnects: false },
        Some(FaultKind::WrongAnswer) => plain(wrong.to_vec()),
        Some(FaultKind::Flood) => {
            plain(answer.into_iter().chain(flood.iter().copied().cycle().take(FLOOD_BYTES)).collect())
        }
    }
}

/// Pseudo-random bytes, the same at each call, so that a failure can be reproduced.
#[must_use]
pub fn garbage_bytes(length: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_u32;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn catalogue_has_over_100_faults_with_unique_kebab_case_names() {
        let names: Vec<String> = catalogue().map(|fault| fault.name()).collect();
        let distinct: BTreeSet<&String> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
        assert!(names.len() >= 100, "{}", names.len());
        let kebab = |name: &String| {
            name.split('-').all(|word| {
                !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            })
        };
        assert!(names.iter().all(kebab), "{names:?}");
    }

    #[test]
    fn step_fails_only_while_switched_on_and_records_time() {
        let faults = FaultSwitches::default();
        assert_eq!(faults.hit(&card::SELECT), None);
        faults.set_active("card-select-garbage", true).unwrap();
        assert_eq!(faults.time_since_hit("card-select-garbage"), None);
        assert_eq!(faults.hit(&card::VERIFY), None);
        assert_eq!(faults.hit(&card::SELECT), Some(FaultKind::Garbage));
        assert!(faults.time_since_hit("card-select-garbage").is_some());
        faults.set_active("card-select-garbage", false).unwrap();
        assert_eq!(faults.hit(&card::SELECT), None);
        assert!(faults.set_active("card-select-nonsense", true).is_err());
    }

    #[test]
    fn device_stays_disconnected_until_fault_is_off() {
        let faults = FaultSwitches::default();
        faults.set_active("printer-fence-disconnection", true).unwrap();
        assert!(!faults.is_disconnected(EmulatedDevice::Printer), "the step was not reached yet");
        assert_eq!(faults.hit(&printer::BARRIER), Some(FaultKind::Disconnection));
        assert!(
            faults.is_disconnected(EmulatedDevice::Printer)
                && !faults.is_disconnected(EmulatedDevice::Camera)
        );
        faults.clear_all();
        assert!(!faults.is_disconnected(EmulatedDevice::Printer));
    }

    #[test]
    fn each_kind_changes_response_differently() {
        let made: Vec<FaultyResponse> =
            ALL_KINDS.iter().map(|kind| apply_fault(Some(*kind), vec![1, 2, 3, 4], &[9, 9], &[7])).collect();
        for (at, one) in made.iter().enumerate() {
            assert!(*one != apply_fault(None, vec![1, 2, 3, 4], &[], &[]), "{:?}", ALL_KINDS[at]);
            assert!(made.iter().skip(at + 1).all(|other| other != one), "{:?}", ALL_KINDS[at]);
        }
    }
}
