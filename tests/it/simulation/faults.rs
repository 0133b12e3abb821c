//! The faults that are injected into a run.

use contract::UnixMs;
use journal::Disk as _;
use session::{DeviceKind, DeviceState, Event, FaultReason};

use super::peers::KIOSKS;
use super::rates::FaultKind;
use super::simulator::{SimEvent, Simulator};

/// An older copy of the platform's database is not restored.
const BACKUP_AGE_MAX_MS: u64 = 5 * 24 * 3_600_000;

impl Simulator {
    /// Injects one fault, or clears one.
    pub(crate) fn inject_fault(&mut self) {
        let kiosk = self.rng.index(KIOSKS);
        match self.rates.next_fault(&mut self.rng) {
            FaultKind::KioskCrash => self.crash_kiosk(kiosk),
            FaultKind::Link => {
                let up = self.rng.percent(self.rates.links_up);
                self.kiosks[kiosk].online = up;
            }
            FaultKind::PlatformCrash => {
                self.platform_generation += 1;
                self.counts.platform_crashes += 1;
                let is_catalogue_changed = self.rng.percent(40);
                self.counts.catalogue_changes += u64::from(is_catalogue_changed);
                self.city.restart_platform(is_catalogue_changed);
            }
            FaultKind::PeerLinks => self.acquirer_reachable = self.rng.percent(50),
            FaultKind::DiskLimit => {
                self.counts.disk_faults += 1;
                let left = usize::try_from(self.rng.below(4)).unwrap();
                if self.rng.percent(50) {
                    self.kiosks[kiosk].disk.lock().limit_syncs(Some(left));
                } else {
                    self.kiosks[kiosk].disk.lock().limit_space(Some(left * 150));
                }
                if self.rng.percent(40) {
                    // The next process meets the fault while it opens the journal.
                    self.crash_kiosk(kiosk);
                }
                let healed = 3_000 + self.rng.below(10_000);
                self.schedule(healed, SimEvent::Repair(kiosk));
            }
            FaultKind::Paper => {
                let has_paper = self.rng.percent(60);
                self.set_paper(kiosk, has_paper);
            }
            FaultKind::DamageOfStoredSegment => self.damage_stored_segment(kiosk),
            FaultKind::ClockJump => {
                self.counts.clock_jumps += 1;
                let ahead = i64::try_from(self.rng.below(4 * 3_600_000)).unwrap() - 2 * 3_600_000;
                let drift = i64::try_from(self.rng.below(400)).unwrap() - 200;
                self.kiosks[kiosk].set_clock(self.now, ahead, drift);
            }
            FaultKind::PlatformRestore => self.back_up_or_restore_platform(),
            FaultKind::DamageOfAnySegment if self.loses_records => {
                if self.rng.percent(50) {
                    let is_crash = self.rng.percent(60);
                    self.damage_any_segment(kiosk, is_crash);
                } else {
                    self.damage_undelivered_records(kiosk);
                }
            }
            FaultKind::DiskRestore if self.loses_records => self.copy_or_restore_disk(kiosk),
            FaultKind::DamageOfAnySegment | FaultKind::DiskRestore | FaultKind::Repair => self.repair(kiosk),
        }
    }

    /// Copies the platform's database, or restores it from its copy: the platform has forgotten what came after it. Kiosks keep what
    /// the platform has for seven days.
    pub(crate) fn back_up_or_restore_platform(&mut self) {
        // What is lost on both sides is lost.
        if self.loses_records || self.kiosks.iter().any(|kiosk| kiosk.is_damaged) {
            return;
        }
        let is_recent = |made: UnixMs| self.wall().0 - made.0 < BACKUP_AGE_MAX_MS;
        if self.city.backup_made().is_some_and(is_recent) {
            self.platform_generation += 1;
            self.counts.restores += 1;
            self.city.restore_platform();
            self.answers.forget_acknowledgements();
            for kiosk in 0..KIOSKS {
                if self.rng.percent(50) {
                    // It may end while it compares its log with what the platform has.
                    let soon = self.rng.below(25_000);
                    self.schedule(soon, SimEvent::Crash(kiosk));
                }
            }
        } else {
            let now = self.wall();
            self.city.back_up_platform(now);
        }
    }

    /// Turns a bit of a segment that the platform has, or makes it unreadable: nothing is lost, and service must go on.
    fn damage_stored_segment(&mut self, kiosk: usize) {
        if self.counts.restores > 0 {
            return;
        }
        let terminal = &mut self.kiosks[kiosk];
        let mut disk = terminal.disk.lock();
        let stored: Vec<String> =
            disk.list().unwrap().into_iter().filter(|name| name.contains(".settled-")).collect();
        if stored.is_empty() {
            return;
        }
        let name = &stored[self.rng.index(stored.len())];
        terminal.is_damaged = true;
        if self.rng.percent(50) {
            self.counts.bits_rotten += 1;
            let at = self.rng.index(disk.file_len(name).max(1));
            disk.flip_bit(name, at);
        } else {
            self.counts.read_errors += 1;
            disk.fail_reads(name);
        }
    }

    /// Damages a segment of which the platform may not have all: what is lost is stated, and no payment is without an outcome.
    /// `is_crash`: the process ends first.
    pub(crate) fn damage_any_segment(&mut self, kiosk: usize, is_crash: bool) {
        if is_crash {
            self.crash_kiosk(kiosk);
        }
        let rng = &mut self.rng;
        match self.kiosks[kiosk].damage_any_segment(&mut |count| rng.index(count)) {
            Some(true) => self.counts.bits_rotten += 1,
            Some(false) => self.counts.read_errors += 1,
            None => {}
        }
    }

    /// Takes a kiosk's link down until records that the platform does not have are damaged.
    fn damage_undelivered_records(&mut self, kiosk: usize) {
        self.kiosks[kiosk].online = false;
        let (rot, is_crash) = (5_000 + self.rng.below(40_000), self.rng.percent(40));
        if self.rng.percent(50) {
            // They are in more than one segment.
            self.schedule(rot / 3, SimEvent::Crash(kiosk));
        }
        self.schedule(rot, SimEvent::Rot { kiosk, is_crash });
        let repair = rot + self.rng.below(20_000);
        self.schedule(repair, SimEvent::Repair(kiosk));
    }

    /// Copies a kiosk's disk, or ends the kiosk and starts it with the copy.
    fn copy_or_restore_disk(&mut self, kiosk: usize) {
        if self.kiosks[kiosk].has_copy() {
            self.crash_kiosk(kiosk);
        }
        self.counts.disks_restored += u64::from(self.kiosks[kiosk].copy_or_restore_disk());
    }

    pub(crate) fn crash_kiosk(&mut self, kiosk: usize) {
        if self.kiosks[kiosk].is_running() {
            self.counts.crashes += 1;
            let (seed, cache) = (self.rng.below(1 << 30), self.rng.percent(66));
            self.kiosks[kiosk].crash(seed, cache);
            // The resident takes the card along.
            self.kiosks[kiosk].card = None;
            let pause = 1_000 + self.rng.below(15_000);
            self.schedule(pause, SimEvent::Start(kiosk));
        }
    }

    pub(crate) fn repair(&mut self, kiosk: usize) {
        self.kiosks[kiosk].online = true;
        self.acquirer_reachable = true;
        let mut disk = self.kiosks[kiosk].disk.lock();
        disk.limit_space(None);
        disk.limit_syncs(None);
    }

    pub(crate) fn set_paper(&mut self, kiosk: usize, has_paper: bool) {
        self.kiosks[kiosk].has_paper = has_paper;
        let health = if has_paper { DeviceState::Ready } else { DeviceState::Faulty(FaultReason::PaperOut) };
        self.event(kiosk, Event::DeviceStateChanged(DeviceKind::ReceiptPrinter, health));
    }
}
