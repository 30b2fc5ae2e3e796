//! What the image imports.

use std::collections::{BTreeMap, BTreeSet};

use object::LittleEndian as LE;
use object::pe::ImageNtHeaders64;
use object::read::Result;
use object::read::pe::{Import, PeFile64};

use super::Finding;

/// The modules that a miniport may import from, with their exports as they are linked against.
const DEFINITIONS: [&str; 3] = [
    include_str!("../../def/storport.def"),
    include_str!("../../def/ntoskrnl.def"),
    include_str!("../../def/hal.def"),
];

/// The calls that a physical miniport must not make (rule `HwStorPortProhibitedDDIs` of Static Driver Verifier).
const PROHIBITED: &str = include_str!("../../facts/prohibited-calls.txt");

/// What else stays out: memory that is not the port driver's, and the end of the machine, that a panic is.
const PROHIBITED_FAMILIES: [&str; 3] = ["ExAllocatePool", "ExFreePool", "KeBugCheck"];

pub(super) fn check(image: &PeFile64) -> Result<Vec<Finding>> {
    let exports: BTreeMap<String, BTreeSet<&str>> =
        DEFINITIONS.iter().map(|text| exports(text)).collect();
    let mut findings = Vec::new();
    for (library, name) in imports(image)? {
        if prohibited(&name) {
            findings.push(Finding::ProhibitedImport(name));
        } else if !exports
            .get(&library.to_ascii_lowercase())
            .is_some_and(|exports| exports.contains(name.as_str()))
        {
            findings.push(Finding::UnknownImport { library, name });
        }
    }
    Ok(findings)
}

pub(super) fn prohibited(name: &str) -> bool {
    PROHIBITED.lines().any(|call| call == name)
        || PROHIBITED_FAMILIES
            .iter()
            .any(|family| name.starts_with(family))
}

/// A module and its exports, from an import definition.
pub(super) fn exports(definition: &str) -> (String, BTreeSet<&str>) {
    let mut lines = definition.lines().map(str::trim);
    let library = lines.next().and_then(|line| line.strip_prefix("LIBRARY "));
    (
        library.unwrap_or_default().to_ascii_lowercase(),
        lines.filter(|line| *line != "EXPORTS").collect(),
    )
}

/// Every import: module and function.
fn imports(image: &PeFile64) -> Result<Vec<(String, String)>> {
    let mut imports = Vec::new();
    let Some(table) = image.import_table()? else {
        return Ok(imports);
    };
    let mut descriptors = table.descriptors()?;
    while let Some(descriptor) = descriptors.next()? {
        let library = String::from_utf8_lossy(table.name(descriptor.name.get(LE))?).into_owned();
        let mut thunks = table.thunks(descriptor.original_first_thunk.get(LE))?;
        while let Some(thunk) = thunks.next::<ImageNtHeaders64>()? {
            let name = match table.import::<ImageNtHeaders64>(thunk)? {
                Import::Name(_, name) => String::from_utf8_lossy(name).into_owned(),
                Import::Ordinal(ordinal) => format!("#{ordinal}"),
            };
            imports.push((library.clone(), name));
        }
    }
    Ok(imports)
}
