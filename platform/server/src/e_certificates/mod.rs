//! E-certificates (电子证照, GB/T 36901) of residents: asked of the licence library, which is a department, and shown to their
//! holder on the phone and at a kiosk.
//!
//! The platform keeps none. It knows the kinds, see [`LicenceKind`](contract::LicenceKind), and uses of the library's answer only
//! what fits them.

pub(crate) mod held;
pub(crate) mod library;
pub(crate) mod shown;
pub(crate) mod wallet;
