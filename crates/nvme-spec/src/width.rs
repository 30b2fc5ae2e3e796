//! Setters of fields that are narrower than their type: what does not fit is left out, without a panic in a release build.

/// The low `BITS` bits of a value that should have no others.
pub(crate) const fn u8<const BITS: u32>(value: u8) -> u8 {
    let mask = !u8::MAX.unbounded_shl(BITS);
    debug_assert!(value <= mask, "the value is wider than its field");
    value & mask
}

/// The low `BITS` bits of a value that should have no others.
pub(crate) const fn u16<const BITS: u32>(value: u16) -> u16 {
    let mask = !u16::MAX.unbounded_shl(BITS);
    debug_assert!(value <= mask, "the value is wider than its field");
    value & mask
}

/// The low `BITS` bits of a value that should have no others.
pub(crate) const fn u32<const BITS: u32>(value: u32) -> u32 {
    let mask = !u32::MAX.unbounded_shl(BITS);
    debug_assert!(value <= mask, "the value is wider than its field");
    value & mask
}

/// The low `BITS` bits of a value that should have no others.
pub(crate) const fn u64<const BITS: u32>(value: u64) -> u64 {
    let mask = !u64::MAX.unbounded_shl(BITS);
    debug_assert!(value <= mask, "the value is wider than its field");
    value & mask
}
