//! What services at kiosks ask the platform for.

pub(crate) mod operation_calls;
mod platform_operation;
