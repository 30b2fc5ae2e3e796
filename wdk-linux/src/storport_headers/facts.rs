//! What is known of Storport's types and functions: the contents of `facts/storport-abi.json`.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What `facts/storport-abi.json` holds.
#[derive(Deserialize)]
pub(crate) struct Facts {
    pub(crate) constants: BTreeMap<String, Constant>,
    pub(crate) enums: BTreeMap<String, Enum>,
    pub(crate) records: BTreeMap<String, Record>,
    pub(super) typedefs: BTreeMap<String, String>,
    pub(crate) functions: BTreeMap<String, Function>,
}

#[derive(Deserialize)]
pub(crate) struct Constant {
    pub(crate) value: i64,
    /// The type under which wdk-sys exposes it, when it does.
    pub(crate) bindgen: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Enum {
    pub(super) header: String,
    pub(crate) values: BTreeMap<String, i64>,
}

#[derive(Deserialize)]
pub(crate) struct Record {
    #[serde(default)]
    pub(super) header: String,
    /// `struct` or `union`.
    pub(crate) kind: String,
    pub(crate) size: u64,
    pub(crate) align: u64,
    pub(crate) fields: Vec<Field>,
}

#[derive(Deserialize)]
pub(crate) struct Field {
    /// None for an anonymous member.
    pub(crate) name: Option<String>,
    pub(crate) offset_bits: u64,
    /// The width of a bit field.
    pub(crate) bits: Option<u64>,
    #[serde(rename = "type")]
    pub(super) type_: String,
    pub(crate) size: u64,
    /// The contents of a record that is defined in place.
    pub(crate) record: Option<Record>,
}

#[derive(Deserialize)]
pub(crate) struct Function {
    /// An inline function has no export.
    pub(crate) inline: bool,
    pub(super) returns: String,
    pub(super) variadic: bool,
    pub(super) params: Vec<(String, String)>,
}

/// The fields of a record, those of records inside it included.
pub(super) fn leaves(record: &Record) -> Vec<&Field> {
    record
        .fields
        .iter()
        .flat_map(|field| match &field.record {
            Some(inner) => leaves(inner),
            None => vec![field],
        })
        .collect()
}

/// The members of a record that have an address, those of records inside it included: the path and the offset in bits of each.
pub(super) fn placed(record: &Record, prefix: &str, base_bits: u64) -> Vec<(String, u64)> {
    let mut places = Vec::new();
    for field in record.fields.iter().filter(|field| field.bits.is_none()) {
        let offset_bits = base_bits + field.offset_bits;
        let path = field.name.as_ref().map(|name| format!("{prefix}{name}"));
        if let Some(inner) = &field.record {
            let prefix = path
                .as_ref()
                .map_or(prefix.to_owned(), |path| format!("{path}."));
            places.extend(placed(inner, &prefix, offset_bits));
        }
        places.extend(path.map(|path| (path, offset_bits)));
    }
    places
}
