//! What a profile cannot be.

use std::fmt;

/// A profile that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// No such key.
    #[error("no setting is called '{0}'")]
    UnknownKey(String),
    /// The value cannot be read, or is outside the range of its key.
    #[error("'{value}' is no value of '{key}': {meaning}")]
    BadValue {
        /// The key.
        key: &'static str,
        /// The value that was given.
        value: String,
        /// What the key takes.
        meaning: &'static str,
    },
    /// Each value is possible, but not together.
    #[error("no controller can be this: {0}")]
    Impossible(Refusal),
}

/// Why values do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A field has a value that no setting gives it.
    Range,
    /// `capacity` is not a whole number of blocks.
    Capacity,
    /// `mdts` is below two pages of `mpsmin`, which MDTS cannot express.
    TransferBelowPages,
    /// `mpsmin` is above `mpsmax`.
    Pages,
    /// The doorbells do not fit the register window.
    Doorbells,
    /// A fault is one of a namespace that there is not.
    FaultNamespace,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Range => "a value is outside its range",
            Self::Capacity => "capacity is not a whole number of blocks",
            Self::TransferBelowPages => {
                "mdts or the limit of verify is smaller than two pages of mpsmin"
            }
            Self::Pages => "mpsmin is larger than mpsmax",
            Self::FaultNamespace => "a fault names a namespace beyond the last",
            Self::Doorbells => "the doorbells of so many queues at this dstrd exceed 1 MiB",
        })
    }
}
