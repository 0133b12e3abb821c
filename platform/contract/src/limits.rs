//! Limits that kiosk and platform share, and limits of what a kiosk remembers, for the session, which refuses at a limit, and
//! for its journal.

/// Longest body of a record in bytes: far above any entry. What would be longer is refused before it is recorded.
pub const RECORD_BYTES_MAX: usize = 256 * 1024;

/// Lifetime of a visit key in milliseconds by the platform's clock: longer than any visit that a kiosk allows. A charge request
/// that comes later is refused, so no order of an ended visit can appear at the platform after this time.
pub const VISIT_KEY_TTL_MS: u64 = 15 * 60 * 1000;

/// The used-code record of an online token is kept this long in milliseconds, far beyond the validity of the token.
pub const USED_CODE_KEPT_MS: u64 = 3_600_000;
/// Used-code records at most: a kiosk that holds this many accepts no further code until one expires. A queue of
/// residents shows a few codes per minute.
pub const USED_CODES_MAX: usize = 4096;
/// Admissions at most: a gate that holds this many admits nobody until one expires. More than any gate admits within its
/// anti-passback time.
pub const ADMISSIONS_MAX: usize = 4096;
/// Other names of one resident that a gate is given at most: more than a phone gets certificates a day, each of which is a name.
/// Most residents have two or three.
pub const GATE_NAMES_MAX: usize = 64;
