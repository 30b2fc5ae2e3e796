//! How the values of settings are written.

use std::ops::RangeInclusive;

use super::{
    Allocation, Answer, Dataset, Deallocated, Death, Dies, GIB, Handover, IntxLine, KIB, MIB,
    Ranges, Temperature, Verify,
};

/// A number with an optional suffix K, M, G or T.
pub(crate) fn size(text: &str, range: RangeInclusive<u64>) -> Option<u64> {
    let (digits, unit) = match text.char_indices().next_back()? {
        (at, 'k' | 'K') => (&text[..at], KIB),
        (at, 'm' | 'M') => (&text[..at], MIB),
        (at, 'g' | 'G') => (&text[..at], GIB),
        (at, 't' | 'T') => (&text[..at], GIB << 10),
        _ => (text, 1),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value = digits.parse::<u64>().ok()?.checked_mul(unit)?;
    range.contains(&value).then_some(value)
}

/// A power of two in a range.
pub(super) fn power_of_two(text: &str, least: u64, most: u64) -> Option<u64> {
    size(text, least..=most).filter(|value| value.is_power_of_two())
}

/// A size in the 4 KiB units of HMPRE, HMMIN and HMMINDS.
pub(super) fn pages(text: &str) -> Option<u64> {
    size(text, 0..=16 * GIB).filter(|bytes| bytes.is_multiple_of(4 * KIB))
}

/// A time in milliseconds, up to an hour; the result is in nanoseconds.
pub(super) fn milliseconds(text: &str) -> Option<u64> {
    size(text, 0..=3_600_000).map(|ms| ms * 1_000_000)
}

/// An answer; an error has a name of its own for each command.
pub(super) fn answer(text: &str, failure: &str) -> Option<Answer> {
    match text {
        "ok" => Some(Answer::Prompt),
        "late" => Some(Answer::Late),
        "never" => Some(Answer::Never),
        _ => (text == failure).then_some(Answer::Fails),
    }
}

/// A revision of the specification.
pub(super) fn version(text: &str) -> Option<u32> {
    match text {
        "1.4" => Some(0x0001_0400),
        "2.0" => Some(0x0002_0000),
        _ => None,
    }
}

/// Whether a reset comes to its end.
pub(super) fn reset(text: &str) -> Option<bool> {
    match text {
        "ok" => Some(true),
        "never" => Some(false),
        _ => None,
    }
}

/// How the function is handed over.
pub(super) fn handover(text: &str) -> Option<Handover> {
    match text {
        "clean" => Some(Handover::Clean),
        "masked" => Some(Handover::Masked),
        "idle" => Some(Handover::Idle),
        _ => None,
    }
}

/// What Verify covers: nothing where it is off.
pub(super) fn verify(text: &str) -> Option<Verify> {
    match text {
        "off" => Some(Verify::Absent),
        "0" => Some(Verify::Any),
        _ => power_of_two(text, 8 * KIB, GIB).map(Verify::UpTo),
    }
}

/// What Dataset Management takes, as DMRL/DMRSL/DMSL.
pub(super) fn dataset(text: &str) -> Option<Dataset> {
    match text {
        "off" => return Some(Dataset::Absent),
        "0" => return Some(Dataset::Any),
        _ => {}
    }
    let mut parts = text.split('/');
    let limits = Dataset::UpTo {
        ranges: size(parts.next()?, 0..=0xFF)? as u8,
        range_blocks: size(parts.next()?, 0..=u64::from(u32::MAX))? as u32,
        blocks: size(parts.next()?, 0..=u64::MAX)?,
    };
    parts.next().is_none().then_some(limits)
}

/// What deallocated blocks read as.
pub(super) fn deallocated(text: &str) -> Option<Deallocated> {
    match text {
        "zeros" => Some(Deallocated::Zeros),
        "ones" => Some(Deallocated::Ones),
        "any" => Some(Deallocated::Any),
        _ => None,
    }
}

/// What Dataset Management reads.
pub(super) fn ranges(text: &str) -> Option<Ranges> {
    match text {
        "named" => Some(Ranges::Named),
        "all" => Some(Ranges::All),
        _ => None,
    }
}

/// Preferred sizes as five numbers of blocks.
#[expect(
    clippy::option_option,
    reason = "the outer one is for what cannot be understood"
)]
pub(super) fn preferred(text: &str) -> Option<Option<[u32; 5]>> {
    if text == "0" {
        return Some(None);
    }
    let mut parts = text.split('/');
    let mut blocks = [0; 5];
    for place in &mut blocks {
        *place = size(parts.next()?, 1..=0x1_0000)? as u32;
    }
    parts.next().is_none().then_some(Some(blocks))
}

/// An identifier of so many bytes in hexadecimal digits, 0 for none, nothing for that of each namespace.
#[expect(
    clippy::option_option,
    reason = "the outer one is for what cannot be understood"
)]
pub(super) fn identifier<const N: usize>(text: &str) -> Option<Option<[u8; N]>> {
    match text {
        "" => return Some(None),
        "0" => return Some(Some([0; N])),
        _ if text.len() != 2 * N || !text.is_ascii() => return None,
        _ => {}
    }
    let mut identifier = [0; N];
    for (at, byte) in identifier.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(Some(identifier))
}

/// What is reported of the temperature.
pub(super) fn temperature(text: &str) -> Option<Temperature> {
    match text {
        "fine" => Some(Temperature::Fine),
        "nags" => Some(Temperature::Nags),
        _ => None,
    }
}

/// Whether CAP.TO changes with the first write of CC.
pub(super) fn late_timeout(text: &str) -> Option<bool> {
    match text {
        "fixed" => Some(false),
        "late" => Some(true),
        _ => None,
    }
}

/// Whether the INTx line stays up after a reset.
pub(super) fn allocation(text: &str) -> Option<Allocation> {
    match text {
        "asked" => Some(Allocation::Asked),
        "all" => Some(Allocation::All),
        _ => None,
    }
}

pub(super) fn line(text: &str) -> Option<IntxLine> {
    match text {
        "ok" => Some(IntxLine::Down),
        "kept" => Some(IntxLine::Kept),
        _ => None,
    }
}

/// When the controller dies.
pub(super) fn dies(text: &str) -> Option<Dies> {
    match text.split_once(':') {
        None => (text == "never").then_some(Dies::Never),
        Some(("lent", bytes)) => Some(Dies::Lent(size(bytes, 0..=16 * GIB)?)),
        Some(("command", number)) => Some(Dies::Command(size(number, 1..=u64::MAX)?)),
        Some(_) => None,
    }
}

/// How the controller dies.
pub(crate) fn death(text: &str) -> Option<Death> {
    match text {
        "fatal" => Some(Death::Fatal),
        "silent" => Some(Death::Silent),
        "gone" => Some(Death::Gone),
        "panic" => Some(Death::Panic),
        _ => None,
    }
}

/// PCI vendor and device, `V:D` in hexadecimal.
pub(super) fn function(text: &str) -> Option<(u16, u16)> {
    let (vendor, device) = text.split_once(':')?;
    Some((hexadecimal_16(vendor)?, hexadecimal_16(device)?))
}

fn hexadecimal_16(text: &str) -> Option<u16> {
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u16::from_str_radix(text, 16).ok())?
}

/// Text of so many characters, as Identify Controller has it.
pub(super) fn printable(text: &str, length: RangeInclusive<usize>) -> Option<String> {
    let printable = text
        .bytes()
        .all(|byte| byte == b' ' || byte.is_ascii_graphic());
    (printable && length.contains(&text.len())).then(|| text.to_owned())
}
