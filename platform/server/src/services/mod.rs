//! What services at kiosks ask the platform for.

mod operation;
pub(crate) mod operation_calls;
