//! What services at kiosks ask the platform for.

mod identity;
mod licence_calls;
pub(crate) mod operation_calls;
mod platform_operation;
