//! What a miniport is held to: rules, the judge that evaluates them, and the catalogue of all of them.

mod catalog;
mod judge;
pub(crate) mod port;

pub use catalog::catalog;
pub(crate) use catalog::of_controller;
pub use judge::{Judge, Violation};

/// One rule: something that a miniport must do, with the document that says so.
#[derive(Debug, Eq, PartialEq)]
pub struct Rule {
    /// A short name in lower case with hyphens, for reports and for the command line.
    pub id: &'static str,
    /// What is required, one line.
    pub meaning: &'static str,
    /// The document that requires it.
    pub source: &'static str,
}

/// Extended functions that are documented and answered `STOR_STATUS_NOT_IMPLEMENTED`, as on an older Windows: code, name, and why.
#[must_use]
pub fn not_carried_out() -> &'static [(u32, &'static str, &'static str)] {
    crate::abi::function::OTHERS
}
