//! The catalogue of faults: what can go wrong on a wire, by name.
//!
//! A protocol is a row of [`Step`]s, and at each step a far side can fail in several [`Kind`]s of way: it says
//! nothing, something else, half of it, too late, too much, or leaves. Each pair is a [`Fault`] with a stable name,
//! `device-step-kind`; a device can also be in an honest bad [state](Kind::State), such as out of paper.
//!
//! A far side asks its [`Faults`] at each step. Whoever stands at the bench switches them there.
//!
//! To add faults, add a [`Step`] to the table of its device and ask for it where the far side comes by; nothing
//! else lists them.

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

/// How much too late an answer comes: longer than any driver's patience for one, shorter than a person's.
pub const LATE: Duration = Duration::from_millis(3_000);

/// Bytes of a flood.
pub const FLOOD: usize = 64 * 1024;

/// Which far side fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Device {
    /// The card, its contacts, its reader.
    Card,
    /// The receipt printer.
    Printer,
    /// The camera.
    Camera,
    /// The serial code scanner.
    Scanner,
    /// The ID reader, and the card on it.
    IdReader,
    /// The PSAM in the reader's other slot.
    Psam,
    /// The relay board with a gate's lights.
    Signal,
}

impl Device {
    /// First part of a fault's name.
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

    /// What it is called on the bench.
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

/// In which way it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Nothing comes, and the connection stays.
    Silence,
    /// As many bytes as there should be, and none of them right.
    Garbage,
    /// The first half comes and no more.
    Truncation,
    /// The other side leaves, and is back when the fault is switched off.
    Disconnection,
    /// The right answer comes [`LATE`].
    Delay,
    /// A well-formed answer comes that is not the answer to this.
    WrongAnswer,
    /// The answer comes, and far more than anybody asked for.
    Flood,
    /// The device is in a bad state and says so as it should.
    State,
}

impl Kind {
    /// Last part of a fault's name; a state has a name of its own.
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

    /// What it is called on the bench.
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

/// One step of a protocol, and the ways in which it can fail that differ on the wire.
#[derive(Debug)]
pub struct Step {
    /// Whose protocol.
    pub device: Device,
    /// Its name within the device's, kebab-case and stable; the whole name of a state.
    pub name: &'static str,
    /// What it is called on the bench.
    pub title: &'static str,
    /// How it can fail.
    pub kinds: &'static [Kind],
}

/// All ways in which a step with an answer of several bytes can fail.
pub const ALL: &[Kind] = &[
    Kind::Silence,
    Kind::Garbage,
    Kind::Truncation,
    Kind::Disconnection,
    Kind::Delay,
    Kind::WrongAnswer,
    Kind::Flood,
];

/// The same where the answer is a single byte, which has no half.
pub const ONE_BYTE: &[Kind] =
    &[Kind::Silence, Kind::Garbage, Kind::Disconnection, Kind::Delay, Kind::WrongAnswer, Kind::Flood];

/// A state that the device is in.
pub const STATE: &[Kind] = &[Kind::State];

/// One thing that can go wrong.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Where.
    pub step: &'static Step,
    /// How.
    pub kind: Kind,
}

impl Fault {
    /// Its name: stable, kebab-case, used by tests and bench.
    #[must_use]
    pub fn name(&self) -> String {
        if self.kind == Kind::State {
            return self.step.name.to_owned();
        }
        format!("{}-{}-{}", self.step.device.name(), self.step.name, self.kind.name())
    }

    /// What it is called on the bench.
    #[must_use]
    pub fn title(&self) -> String {
        if self.kind == Kind::State {
            return self.step.title.to_owned();
        }
        format!("{}：{}", self.step.title, self.kind.title())
    }
}

/// Every fault there is, device by device, step by step.
pub fn catalogue() -> impl Iterator<Item = Fault> {
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
        .flat_map(|step| step.kinds.iter().map(move |kind| Fault { step, kind: *kind }))
}

/// No fault has this name.
#[derive(Debug, thiserror::Error)]
#[error("no fault is called `{0}`: the bench's page lists them")]
pub struct Unknown(String);

/// The switches of one bench, shared by its far sides.
#[derive(Clone, Default)]
pub struct Faults {
    switches: Arc<Mutex<BTreeMap<String, Switched>>>,
}

/// A fault that is on.
#[derive(Clone, Copy)]
struct Switched {
    fault: Fault,
    /// When a far side first came by and failed.
    met: Option<Instant>,
}

impl Faults {
    /// Switches a fault on or off. Switching on anew forgets that it was met.
    ///
    /// # Errors
    /// When none has this name.
    pub fn switch(&self, name: &str, on: bool) -> Result<Fault, Unknown> {
        let fault = catalogue().find(|fault| fault.name() == name).ok_or_else(|| Unknown(name.to_owned()))?;
        let mut switches = self.locked();
        match on {
            true => switches.insert(name.to_owned(), Switched { fault, met: None }),
            false => switches.remove(name),
        };
        Ok(fault)
    }

    /// Switches all off.
    pub fn clear(&self) {
        self.locked().clear();
    }

    /// A far side has come to this step: how it is to fail, if at all.
    #[must_use]
    pub fn at(&self, step: &Step) -> Option<Kind> {
        let mut switches = self.locked();
        let on = switches.values_mut().find(|on| std::ptr::eq(on.fault.step, step))?;
        on.met.get_or_insert_with(Instant::now);
        Some(on.fault.kind)
    }

    /// Whether this is switched on, without being there.
    #[must_use]
    pub fn is_on(&self, step: &Step, kind: Kind) -> bool {
        self.locked().values().any(|on| std::ptr::eq(on.fault.step, step) && on.fault.kind == kind)
    }

    /// Whether a far side has failed so at this step and is not mended yet, without being there again.
    #[must_use]
    pub fn holds(&self, step: &Step, kind: Kind) -> bool {
        let holds = |on: &Switched| std::ptr::eq(on.fault.step, step) && on.fault.kind == kind;
        self.locked().values().any(|on| holds(on) && on.met.is_some())
    }

    /// Whether this device has failed in any way and is not mended.
    #[must_use]
    pub fn hurts(&self, device: Device) -> bool {
        self.locked().values().any(|on| on.fault.step.device == device && on.met.is_some())
    }

    /// Whether this device has left and is not back.
    #[must_use]
    pub fn is_away(&self, device: Device) -> bool {
        let left = |on: &Switched| on.fault.kind == Kind::Disconnection && on.met.is_some();
        self.locked().values().any(|on| on.fault.step.device == device && left(on))
    }

    /// How long ago a far side first failed by this fault since it was switched on.
    #[must_use]
    pub fn met(&self, name: &str) -> Option<Duration> {
        self.locked().get(name).and_then(|on| on.met).map(|at| at.elapsed())
    }

    /// Names of those that are on.
    #[must_use]
    pub fn on(&self) -> Vec<String> {
        self.locked().keys().cloned().collect()
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Switched>> {
        self.switches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What goes over the wire in place of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bent {
    /// How long nothing comes first.
    pub wait: Duration,
    /// What comes then.
    pub bytes: Vec<u8>,
    /// Whether the other side leaves after that.
    pub leaves: bool,
}

/// What a fault makes of an answer. `wrong` is the well-formed answer that is not the answer to this, `flood` what is
/// repeated without end.
#[must_use]
pub fn bend(kind: Option<Kind>, answer: Vec<u8>, wrong: &[u8], flood: &[u8]) -> Bent {
    let plain = |bytes| Bent { bytes, ..Bent::default() };
    match kind {
        None | Some(Kind::State) => plain(answer),
        Some(Kind::Silence) => plain(Vec::new()),
        Some(Kind::Garbage) => plain(garbage(answer.len())),
        Some(Kind::Truncation) => {
            let half = answer.len() / 2;
            plain(answer.into_iter().take(half).collect())
        }
        Some(Kind::Disconnection) => Bent { leaves: true, ..Bent::default() },
        Some(Kind::Delay) => Bent { wait: LATE, bytes: answer, leaves: false },
        Some(Kind::WrongAnswer) => plain(wrong.to_vec()),
        Some(Kind::Flood) => {
            plain(answer.into_iter().chain(flood.iter().copied().cycle().take(FLOOD)).collect())
        }
    }
}

/// Bytes that mean nothing: the same ones every time, so that a failure can be repeated.
#[must_use]
pub fn garbage(length: usize) -> Vec<u8> {
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
    fn there_are_more_than_a_hundred_faults_and_each_has_a_name_of_its_own() {
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
    fn a_step_fails_as_it_was_switched_to_and_remembers_when() {
        let faults = Faults::default();
        assert_eq!(faults.at(&card::SELECT), None);
        faults.switch("card-select-garbage", true).unwrap();
        assert_eq!(faults.met("card-select-garbage"), None);
        assert_eq!(faults.at(&card::VERIFY), None);
        assert_eq!(faults.at(&card::SELECT), Some(Kind::Garbage));
        assert!(faults.met("card-select-garbage").is_some());
        faults.switch("card-select-garbage", false).unwrap();
        assert_eq!(faults.at(&card::SELECT), None);
        assert!(faults.switch("card-select-nonsense", true).is_err());
    }

    #[test]
    fn who_left_stays_away_until_the_fault_is_off() {
        let faults = Faults::default();
        faults.switch("printer-fence-disconnection", true).unwrap();
        assert!(!faults.is_away(Device::Printer), "it has not come to that step");
        assert_eq!(faults.at(&printer::FENCE), Some(Kind::Disconnection));
        assert!(faults.is_away(Device::Printer) && !faults.is_away(Device::Camera));
        faults.clear();
        assert!(!faults.is_away(Device::Printer));
    }

    #[test]
    fn every_kind_makes_something_else_of_an_answer() {
        let made: Vec<Bent> =
            ALL.iter().map(|kind| bend(Some(*kind), vec![1, 2, 3, 4], &[9, 9], &[7])).collect();
        for (at, one) in made.iter().enumerate() {
            assert!(*one != bend(None, vec![1, 2, 3, 4], &[], &[]), "{:?}", ALL[at]);
            assert!(made.iter().skip(at + 1).all(|other| other != one), "{:?}", ALL[at]);
        }
    }
}
