//! What is written to the registry.

use super::{Lint, Rule, number};
use crate::inf::{Entry, Section};

/// Whose key the values are relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// The device's hardware key.
    Device,
    /// The device's software key.
    Software,
    /// The service's key.
    Service,
    /// The key of the service's event source.
    EventLog,
}

/// A value that is written.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) owner: Owner,
    pub(super) key: String,
    pub(super) name: String,
    pub(super) text: String,
    pub(super) line: usize,
}

/// `FLG_ADDREG_NOCLOBBER`, which leaves a value alone that is there.
const NO_CLOBBER: u32 = 0x2;

/// `FLG_ADDREG_APPEND`.
const APPEND: u32 = 0x8;

const BINARY: u32 = 0x1;
/// `FLG_ADDREG_OVERWRITEONLY`, which leaves alone what is not there.
const OVERWRITE_ONLY: u32 = 0x20;

const KEY_ONLY: u32 = 0x10;
const DWORD: u32 = 0x0001_0001;
const SZ: u32 = 0;
const MULTI_SZ: u32 = 0x0001_0000;
const EXPAND_SZ: u32 = 0x0002_0000;
const QWORD: u32 = 0x000b_0001;

impl<'a> Lint<'a> {
    /// The sections that a section's `AddReg` names.
    pub(super) fn registry(&mut self, section: &'a Section, owner: Owner) {
        for entry in &section.entries {
            if !entry.has_key("AddReg") {
                continue;
            }
            for name in self.texts(entry) {
                if let Some(section) = self.section(&name, entry.line) {
                    for entry in &section.entries {
                        self.value(entry, owner);
                    }
                }
            }
        }
    }

    fn value(&mut self, entry: &'a Entry, owner: Owner) {
        let texts = self.texts(entry);
        let text = |index: usize| texts.get(index).cloned().unwrap_or_default();
        let (key, name) = (text(1), text(2));
        if !text(0).eq_ignore_ascii_case("HKR") {
            let what = format!("{} is not the package's own key", text(0));
            self.find(entry.line, Rule::RegistryRoot, what);
        }
        let first = key.split('\\').next().unwrap_or_default();
        if owner == Owner::Service && !first.eq_ignore_ascii_case("Parameters") {
            let what = format!("{key:?} is not below the service's Parameters");
            self.find(entry.line, Rule::RegistryKey, what);
        }
        let data = texts.get(4..).unwrap_or_default();
        if let Err(what) = check_data(&text(3), &name, data) {
            self.find(entry.line, Rule::RegistryValue, what);
        }
        self.values.push(Value {
            owner,
            key,
            name,
            text: text(4),
            line: entry.line,
        });
    }

    /// A value by its owner, key and name.
    pub(super) fn written(&self, owner: Owner, key: &str, name: &str) -> Option<&Value> {
        self.values.iter().find(|value| {
            value.owner == owner
                && value.key.eq_ignore_ascii_case(key)
                && value.name.eq_ignore_ascii_case(name)
        })
    }
}

fn check_data(flags: &str, name: &str, data: &[String]) -> Result<(), String> {
    let flags = match flags {
        "" => SZ,
        text => number(text).ok_or_else(|| format!("{text} is not a number"))?,
    };
    if flags == SZ && data.is_empty() && name.starts_with("0x") && number(name).is_some() {
        return Err(format!(
            "the flags {name} stand in the place of the value's name: a comma is missing"
        ));
    }
    let one = |wanted: &str, fits: fn(&str) -> bool| match data {
        [text] if fits(text) => Ok(()),
        _ => Err(format!("{name} is not {wanted}")),
    };
    match flags & !(NO_CLOBBER | OVERWRITE_ONLY) {
        KEY_ONLY if name.is_empty() && data.is_empty() => Ok(()),
        KEY_ONLY => Err("a key alone has neither name nor data".into()),
        DWORD => one("a number of 32 bits", |text| number(text).is_some()),
        QWORD => one("a number of 64 bits", is_qword),
        // Without data the value is empty.
        SZ | EXPAND_SZ if data.is_empty() => Ok(()),
        SZ | EXPAND_SZ => one("one text", |_| true),
        MULTI_SZ => Ok(()),
        BINARY if data.iter().all(|byte| u8::from_str_radix(byte, 16).is_ok()) => Ok(()),
        BINARY => Err(format!("{name} is not a list of bytes")),
        other if other & APPEND != 0 => Err(format!(
            "{name} adds to a list, which removal does not undo"
        )),
        other => Err(format!("{other:#x} is no type, or deletes something")),
    }
}

fn is_qword(text: &str) -> bool {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).is_ok(),
        None => text.parse::<u64>().is_ok(),
    }
}
