//! `--profile`: a name, keys of the device, of the port driver and of the registry.

use std::collections::BTreeMap;

use nvme_model::{Profile, ProfileError};
use thiserror::Error;

use crate::machine::{PortOptionError, PortOptions};

/// Keys with this prefix are values of the registry.
pub const REGISTRY_PREFIX: &str = "reg.";

/// What a profile selects.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Selection {
    /// The controller.
    pub device: Profile,
    /// The port driver.
    pub port: PortOptions,
    /// Values of the service's `Parameters\Device` key.
    pub registry: BTreeMap<String, u32>,
}

/// Why a profile cannot be understood. One line.
#[derive(Debug, Error)]
pub enum SelectionError {
    /// No profile and no key is called that.
    #[error(
        "--profile: nothing is called '{given}'; did you mean '{nearest}'? `portbed profiles` lists all"
    )]
    Unknown {
        /// What was given.
        given: String,
        /// What comes nearest.
        nearest: String,
    },
    /// A name stands behind something else.
    #[error("--profile: the name '{0}' must come first")]
    NameNotFirst(String),
    /// A value of the device.
    #[error("--profile: {0}")]
    Device(ProfileError),
    /// A value of the port driver.
    #[error("--profile: {0}")]
    Port(PortOptionError),
    /// A registry value that is no number.
    #[error("--profile: '{value}' is no value of '{key}': a number of 32 bits, decimal or with 0x")]
    Registry {
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
}

impl Selection {
    /// Reads `NAME`, `k=v,...` or `NAME,k=v,...`.
    pub fn parse(text: &str) -> Result<Self, SelectionError> {
        let mut selection = Self::default();
        for (index, item) in text.split(',').map(str::trim).enumerate() {
            match item.split_once('=') {
                Some((key, value)) => selection.set(key.trim(), value.trim())?,
                None => match Profile::named(item) {
                    Some(_) if index > 0 => {
                        return Err(SelectionError::NameNotFirst(item.to_owned()));
                    }
                    Some(device) => selection.device = device,
                    None => return Err(unknown(item)),
                },
            }
        }
        Ok(selection)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), SelectionError> {
        if let Some(name) = key.strip_prefix(REGISTRY_PREFIX) {
            let number = number(value).filter(|_| !name.is_empty());
            let bad = || SelectionError::Registry {
                key: key.to_owned(),
                value: value.to_owned(),
            };
            self.registry
                .insert(name.to_owned(), number.ok_or_else(bad)?);
            return Ok(());
        }
        match self.device.set(key, value) {
            Err(ProfileError::UnknownKey(_)) => match self.port.set(key, value) {
                Err(PortOptionError::UnknownKey(_)) => Err(unknown(key)),
                other => other.map_err(SelectionError::Port),
            },
            other => other.map_err(SelectionError::Device),
        }
    }
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn unknown(given: &str) -> SelectionError {
    let names = Profile::names().iter().map(|named| named.name);
    let device = Profile::keys().iter().map(|key| key.name);
    let port = PortOptions::keys().iter().map(|key| key.name);
    let known = names.chain(device).chain(port).chain([REGISTRY_PREFIX]);
    let nearest = known
        .min_by_key(|known| strsim::damerau_levenshtein(given, known))
        .unwrap_or_default();
    SelectionError::Unknown {
        given: given.to_owned(),
        nearest: nearest.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Grant;

    #[test]
    fn a_name_and_keys_of_all_three_kinds_go_together() {
        let selection =
            Selection::parse("4k, hmpre=32M,hmmin=8M,grant=ranges:5,reg.HmbMaximumMegabytes=0x10")
                .unwrap();
        assert_eq!(selection.device.block_bytes, 4096);
        assert_eq!(selection.device.hmpre_bytes, 32 << 20);
        assert_eq!(selection.port.grant, Grant::Ranges(5));
        assert_eq!(
            selection.registry,
            BTreeMap::from([("HmbMaximumMegabytes".to_owned(), 16)])
        );
    }

    #[test]
    fn what_is_not_understood_is_told_in_one_line_with_what_comes_nearest() {
        let refused = |text| Selection::parse(text).unwrap_err().to_string();
        assert!(refused("hmpref=1M").contains("'hmpre'"));
        assert!(refused("grnat=half").contains("'grant'"));
        assert!(refused("plian").contains("'plain'"));
        assert!(refused("hmpre=1M,plain").contains("must come first"));
        assert!(refused("reg.X=many").contains("'reg.X'"));
        assert!(refused("reg.=1").contains("'reg.'"));
        assert!(refused("grant=all").contains("preferred"));
        assert!(refused("block=513").contains("512 to 4096"));
        assert!(!refused("").contains('\n'));
    }
}
