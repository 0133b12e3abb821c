//! Sandboxes of other organisations' systems, for the demo and the tests. They do not belong on a real platform.
//!
//! | module | program | stands for |
//! |---|---|---|
//! | [`acquirer`] | `kiosk-acquirer` | the institution that charges money: a bank or a card network |
//! | [`department`] | `kiosk-department` | the business systems of all departments of the demo city, from data files |
//! | [`identity`] | `kiosk-identity` | the state's trusted identity service (可信身份认证) |
//!
//! Each sandbox is a process of its own, and the first two have a database of their own. The crate shares no code with
//! the platform on purpose, no type and no constant: both sides agree only on the HTTP interface. A type used by both
//! would change on both sides at once, and no test would notice that a real system is no longer understood.
//!
//! The sandboxes share only the [`shell`]: HTTP, injected faults, files, clock, signals. The shell knows none of them,
//! and they do not know each other.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation))]

pub mod acquirer;
pub mod department;
pub mod identity;
pub mod shell;
