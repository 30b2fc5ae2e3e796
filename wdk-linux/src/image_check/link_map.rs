//! What was linked, by the linker's map.

use object::LittleEndian as LE;
use object::read::pe::PeFile64;

use super::Finding;

/// Parts of the mangled names of what panics, and of what a panic runs. In both of the compiler's mangling schemes an identifier
/// stands after its length.
const PANIC: [&str; 6] = [
    "9panicking",
    "rust_begin_unwind",
    "rust_panic",
    "9wdk_panic",
    "18handle_alloc_error",
    "17capacity_overflow",
];

/// The same of `core::fmt`.
const FORMATTING: &str = "4core3fmt";

pub(super) fn check(image: &PeFile64, map: &str) -> Vec<Finding> {
    if !belongs(image, map) {
        return vec![Finding::ForeignMap];
    }
    symbols(map)
        .filter_map(|symbol| {
            if PANIC.iter().any(|part| symbol.contains(part)) {
                Some(Finding::PanicPath(symbol.to_owned()))
            } else if symbol.contains(FORMATTING) {
                Some(Finding::Formatting(symbol.to_owned()))
            } else {
                None
            }
        })
        .collect()
}

/// Is the map of this image? A reproducible build has no time, so the address of the entry point has to do there.
fn belongs(image: &PeFile64, map: &str) -> bool {
    let headers = image.nt_headers();
    let stamp = headers.file_header.time_date_stamp.get(LE);
    let optional = &headers.optional_header;
    let entry = optional
        .image_base
        .get(LE)
        .wrapping_add(optional.address_of_entry_point.get(LE).into());
    let same_build = map.contains(&format!("Timestamp is {stamp:08x} "))
        || map.contains("Timestamp is 00000000 (Repro mode)");
    let same_entry = map.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        words.next() == Some("DriverEntry") && words.next() == Some(&format!("{entry:016x}"))
    });
    same_build && same_entry
}

/// The symbols, public and static: lines such as ` 0001:00000080  name  0000000180001080  object`.
fn symbols(map: &str) -> impl Iterator<Item = &str> {
    map.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (section, offset) = words.next()?.split_once(':')?;
        let hexadecimal = |text: &str, digits| {
            text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        (hexadecimal(section, 4) && hexadecimal(offset, 8)).then(|| words.next())?
    })
}
