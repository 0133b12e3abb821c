//! The gateway to the departments (业务部门): signed requests, signed answers, and what each is checked against.
//!
//! The contract with a department is `docs/departments.md`. A department is outside the trust boundary: its answer counts only when it
//! is signed, dated and of the declared shape.

pub(crate) mod answers;
pub(crate) mod calls;
pub(crate) mod requests;
