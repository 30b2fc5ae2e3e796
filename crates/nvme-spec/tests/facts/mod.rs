//! `nvme-abi.json`: what the Windows SDK's `nvme.h` says of the same structures, measured by a compiler. It shares nothing
//! with this crate, so a slip in either shows.

use std::sync::LazyLock;

use serde_json::Value;

static FACTS: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("nvme-abi.json")).expect("the facts are JSON")
});

/// Where something lies in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub offset_bits: u64,
    pub bits: u64,
}

/// A record of the facts, or a named member of one that has members of its own.
#[derive(Clone)]
pub struct Record(Value);

/// A named member, found in anonymous members too.
pub struct Member {
    pub name: String,
    pub place: Place,
    record: Option<Record>,
}

impl Record {
    /// The record of that name, or the member at that path: `NVME_POWER_STATE_DESC`, `NVME_COMPLETION_ENTRY.DW2`.
    pub fn named(path: &str) -> Self {
        let mut parts = path.split('.');
        let name = parts.next().expect("a path has a first part");
        let record = Self(FACTS["records"][name].clone());
        assert!(record.0.is_object(), "no record {name}");
        parts.fold(record, |record, part| {
            let inner = record.member(part).record;
            inner.unwrap_or_else(|| panic!("{path}: {part} has no members"))
        })
    }

    pub fn bytes(&self) -> u64 {
        self.0["size"].as_u64().expect("a record has a size")
    }

    /// The place of a member, by its path in this record.
    pub fn place(&self, path: &str) -> Place {
        let (name, rest) = path
            .split_once('.')
            .map_or((path, None), |(name, rest)| (name, Some(rest)));
        let member = self.member(name);
        let Some(rest) = rest else {
            return member.place;
        };
        let record = member
            .record
            .unwrap_or_else(|| panic!("{name} has no members"));
        let inner = record.place(rest);
        Place {
            offset_bits: member.place.offset_bits + inner.offset_bits,
            bits: inner.bits,
        }
    }

    pub fn members(&self) -> Vec<Member> {
        members(&self.0, 0)
    }

    fn member(&self, name: &str) -> Member {
        let member = self
            .members()
            .into_iter()
            .find(|member| member.name == name);
        member.unwrap_or_else(|| panic!("no member {name}"))
    }
}

fn members(record: &Value, base: u64) -> Vec<Member> {
    let fields = record["fields"].as_array().expect("a record has fields");
    fields
        .iter()
        .flat_map(|field| member(field, base))
        .collect()
}

fn member(field: &Value, base: u64) -> Vec<Member> {
    let number = |key: &str| field[key].as_u64();
    let offset_bits = base + number("offset_bits").expect("a field has an offset");
    let bits = number("bits").unwrap_or_else(|| number("size").expect("a field has a size") * 8);
    let record = field.get("record");
    match (field["name"].as_str(), record) {
        (Some(name), _) => vec![Member {
            name: name.to_owned(),
            place: Place { offset_bits, bits },
            record: record.cloned().map(Record),
        }],
        (None, Some(record)) => members(record, offset_bits),
        (None, None) => panic!("an anonymous field without members"),
    }
}

/// The value of an enumerator.
pub fn enumerator(enumeration: &str, name: &str) -> u64 {
    let value = &FACTS["enums"][enumeration]["values"][name];
    value
        .as_u64()
        .unwrap_or_else(|| panic!("no {enumeration}::{name}"))
}

/// All enumerators of an enumeration.
pub fn enumerators(enumeration: &str) -> Vec<(String, u64)> {
    let values = FACTS["enums"][enumeration]["values"].as_object();
    let values = values.unwrap_or_else(|| panic!("no enumeration {enumeration}"));
    let value = |value: &Value| value.as_u64().expect("an enumerator is a number");
    values
        .iter()
        .map(|(name, number)| (name.clone(), value(number)))
        .collect()
}
