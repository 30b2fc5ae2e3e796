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
    let stamp = image.nt_headers().file_header.time_date_stamp.get(LE);
    let same_build = map.contains(&format!("Timestamp is {stamp:08x} "));
    if !same_build || !symbols(map).any(|symbol| symbol == "DriverEntry") {
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
