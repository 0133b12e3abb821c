//! Recovery of a database that was restored from a backup (I1).
//!
//! A restored database does not know what happened since the backup. The generation of the database, a number that is also
//! kept in a file beside it, shows that: a restore raises the number in the file only. While the database is behind the
//! file, the platform refuses charges, bindings of phones and changes of cards. Recovery ends when the acquirer's list of
//! paid orders was read, every registered kiosk has sent its log up to now or an operator confirmed to go on without it, and
//! every order in these logs that was not known here has its outcome.

pub mod backup;
pub mod generation_file;
pub(crate) mod paid_orders;

pub use crate::recovery_state::{ConfirmRecoveryError, confirm_recovery};
