//! The department.
