//! Counts of what happened in the runs, and how much must have happened.

use super::simulator::FaultCounts;

/// Counts of what happened in all runs together.
#[derive(Debug, Default)]
pub(crate) struct RunCounts {
    pub(crate) counts: FaultCounts,
    pub(crate) simulated_ms: u64,
    pub(crate) visits: usize,
    pub(crate) paid: usize,
    pub(crate) void: usize,
    pub(crate) consents: usize,
    pub(crate) submitted: usize,
    pub(crate) tickets: usize,
    pub(crate) printed: usize,
    /// Visits by a code that a kiosk verified itself, and of those the ones without a link.
    pub(crate) verified: usize,
    pub(crate) offline_visits: usize,
    /// Codes that both kiosks accepted.
    pub(crate) accepted_twice: usize,
    /// Visits raised by a phone's answer, and visits raised by a card's PIN.
    pub(crate) raised_by_phone: usize,
    pub(crate) raised_by_pin: usize,
}

impl RunCounts {
    /// Number of checks that were made.
    pub(crate) const fn checks(&self) -> u64 {
        self.counts.checks
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.counts.crashes += other.counts.crashes;
        self.counts.platform_crashes += other.counts.platform_crashes;
        self.counts.disk_faults += other.counts.disk_faults;
        self.counts.messages_lost += other.counts.messages_lost;
        self.counts.duplicates += other.counts.duplicates;
        self.counts.out_of_service += other.counts.out_of_service;
        self.counts.shown_as_paid += other.counts.shown_as_paid;
        self.counts.held_back += other.counts.held_back;
        self.counts.late_devices += other.counts.late_devices;
        self.counts.clock_jumps += other.counts.clock_jumps;
        self.counts.bits_rotten += other.counts.bits_rotten;
        self.counts.read_errors += other.counts.read_errors;
        self.counts.catalogue_changes += other.counts.catalogue_changes;
        self.counts.restores += other.counts.restores;
        self.counts.disks_restored += other.counts.disks_restored;
        self.counts.recovered += other.counts.recovered;
        self.counts.reconciled += other.counts.reconciled;
        self.counts.refusals += other.counts.refusals;
        self.counts.papers_scanned += other.counts.papers_scanned;
        self.counts.rests += other.counts.rests;
        self.counts.rotated += other.counts.rotated;
        self.counts.deleted += other.counts.deleted;
        self.counts.issuer_ended += other.counts.issuer_ended;
        self.counts.checks += other.counts.checks;
        self.simulated_ms += other.simulated_ms;
        self.visits += other.visits;
        self.paid += other.paid;
        self.void += other.void;
        self.consents += other.consents;
        self.submitted += other.submitted;
        self.tickets += other.tickets;
        self.printed += other.printed;
        self.verified += other.verified;
        self.offline_visits += other.offline_visits;
        self.accepted_twice += other.accepted_twice;
        self.raised_by_phone += other.raised_by_phone;
        self.raised_by_pin += other.raised_by_pin;
    }

    /// Checks that the sparse world reached what only long times reach.
    pub(crate) fn assert_sparse_coverage(&self, seeds: u64) {
        let FaultCounts { rests, rotated, deleted, issuer_ended, reconciled, .. } = self.counts;
        let reached = [rests, rotated, deleted, issuer_ended];
        assert!(
            reached.iter().all(|count| *count >= seeds / 2),
            "too little of a long time was reached: {reached:?}"
        );
        // It takes a payment shortly before a restore: a run of a few seeds may have none.
        assert!(reconciled >= seeds / 10, "too few orders were asked for after a restore: {reconciled}");
    }

    /// Checks that enough happened: a simulation without faults and visits proves nothing.
    pub(crate) fn assert_coverage(&self, seeds: u64) {
        let FaultCounts {
            crashes: deaths,
            platform_crashes: platform_deaths,
            disk_faults,
            messages_lost: lost,
            duplicates: repeated,
            out_of_service,
            shown_as_paid,
            held_back,
            late_devices,
            clock_jumps,
            bits_rotten,
            read_errors,
            catalogue_changes,
            restores,
            disks_restored,
            recovered,
            reconciled: _,
            refusals,
            papers_scanned,
            checks: _,
            rests: _,
            rotated,
            deleted: _,
            issuer_ended: _,
        } = self.counts;
        let faults =
            [deaths, platform_deaths, disk_faults, lost, repeated, out_of_service, shown_as_paid, held_back];
        let rarer =
            [late_devices, clock_jumps, bits_rotten, read_errors, catalogue_changes, restores, rotated];
        let work = [
            self.visits,
            self.paid,
            self.void,
            self.consents,
            self.printed,
            self.verified,
            self.offline_visits,
        ];
        let proofs = [self.raised_by_phone, self.raised_by_pin];
        // About a quarter of what usually happens in 30 seeds, so that no change of the draws falls below it by chance.
        assert!(faults.iter().all(|count| *count >= seeds / 2), "too few faults occurred: {faults:?}");
        assert!(
            rarer.iter().all(|count| *count >= seeds / 4),
            "too few of the rarer faults occurred: {rarer:?}"
        );
        assert!(disks_restored >= seeds / 10, "too few disks were restored from a copy: {disks_restored}");
        assert!(recovered >= seeds / 30, "too few lost orders were recovered: {recovered}");
        assert!(papers_scanned >= seeds / 10, "too few papers were scanned: {papers_scanned}");
        assert!(refusals >= seeds / 10, "the department refused too few payments: {refusals}");
        let seeds = usize::try_from(seeds).unwrap();
        let handed_in = [self.submitted, self.tickets];
        assert!(
            handed_in.iter().all(|count| *count >= seeds / 10),
            "too few submissions or tickets: {handed_in:?}"
        );
        assert!(work.iter().all(|count| *count >= seeds / 2), "too few visits, payments or prints: {work:?}");
        assert!(proofs.iter().all(|count| *count >= seeds / 10), "too few visits were raised: {proofs:?}");
        assert!(seeds < 200 || self.accepted_twice > 0, "no code was accepted at both kiosks");
    }
}
