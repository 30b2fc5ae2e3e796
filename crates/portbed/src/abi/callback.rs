//! Calling a miniport, and reading and writing what it points to.

use std::mem::MaybeUninit;
use std::ptr;

use zerocopy::FromBytes;

type Routine = unsafe extern "win64" fn(u64, u64, u64, u64, u64, u64) -> u64;

/// Calls the routine at `address` with up to six arguments. The result register is returned whole: a caller cuts it to
/// the width of the routine's result.
pub(crate) fn call(address: u64, arguments: [u64; 6]) -> u64 {
    let address = ptr::with_exposed_provenance::<()>(address as usize);
    // SAFETY: the miniport registered the address as a routine; in this convention every argument takes one slot, and
    // slots that a routine does not read do no harm.
    let routine = unsafe { std::mem::transmute::<*const (), Routine>(address) };
    let [first, second, third, fourth, fifth, sixth] = arguments;
    // SAFETY: the arguments are those that the port driver documents for this routine.
    unsafe { routine(first, second, third, fourth, fifth, sixth) }
}

/// Reads what a miniport points to.
pub(crate) fn read<T: FromBytes>(address: u64) -> T {
    let from = ptr::with_exposed_provenance::<T>(address as usize);
    // SAFETY: the miniport shares this address space and passed the address for the port driver to read; a wrong one
    // faults here, as it would in the port driver.
    unsafe { from.read_unaligned() }
}

/// Writes where a miniport wants an answer.
pub(crate) fn write<T: Copy>(address: u64, value: T) {
    let to = ptr::with_exposed_provenance_mut::<T>(address as usize);
    // SAFETY: as for `read`.
    unsafe { to.write_unaligned(value) };
}

/// Writes an answer where the miniport wants one at all.
pub(crate) fn answer<T: Copy>(address: u64, value: T) {
    if address != 0 {
        write(address, value);
    }
}

/// Reads `bytes` bytes.
pub(crate) fn read_bytes(address: u64, bytes: usize) -> Vec<u8> {
    (0..bytes as u64)
        .map(|offset| read(address.wrapping_add(offset)))
        .collect()
}

/// Writes bytes.
pub(crate) fn write_bytes(address: u64, bytes: &[u8]) {
    for (offset, &byte) in (0_u64..).zip(bytes) {
        write(address.wrapping_add(offset), byte);
    }
}

/// Reads a string that ends in a zero byte, at most `limit` characters.
pub(crate) fn read_string(address: u64, limit: usize) -> String {
    if address == 0 {
        return String::new();
    }
    (0..limit as u64)
        .map(|offset| read::<u8>(address.wrapping_add(offset)))
        .take_while(|&byte| byte != 0)
        .map(char::from)
        .collect()
}

/// Reads a wide string that ends in a zero, at most `limit` characters.
pub(crate) fn read_wide_string(address: u64, limit: usize) -> String {
    if address == 0 {
        return String::new();
    }
    let units: Vec<u16> = (0..limit as u64)
        .map(|index| read::<u16>(address.wrapping_add(2 * index)))
        .take_while(|&unit| unit != 0)
        .collect();
    String::from_utf16_lossy(&units)
}

/// A structure of zeroes.
pub(crate) fn zeroed<T: FromBytes>() -> T {
    let value = MaybeUninit::<T>::zeroed();
    // SAFETY: `FromBytes` says that every bit pattern is a value.
    unsafe { value.assume_init() }
}
