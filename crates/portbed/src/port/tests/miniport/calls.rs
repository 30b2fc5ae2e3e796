//! Calls of the port driver, as compiled code makes them.

use std::ffi::c_void;

use crate::abi::notification as n;
use crate::port::extended::storport_extended_function;
use crate::port::notification::storport_notification;

type Variadic = unsafe extern "win64" fn(
    u64,
    u64,
    u64,
    u64,
    u64,
    u64,
    u64,
    u64,
    u64,
    u64,
    u64,
    u64,
    u64,
    u64,
    u64,
    u64,
) -> u64;

pub(super) fn variadic(
    address: *const c_void,
    code: u32,
    extension: u64,
    arguments: &[u64],
) -> u64 {
    // SAFETY: the functions are variadic; they read as many 8-byte arguments as their code documents, at most 14 more.
    let routine = unsafe { std::mem::transmute::<*const c_void, Variadic>(address) };
    let a = |index: usize| arguments.get(index).copied().unwrap_or(0xDEAD_0000_BAD0);
    // The upper half of a narrow argument is junk, as compiled code leaves it.
    let code = 0x7777_0000_0000_0000 | u64::from(code);
    // SAFETY: as above; the arguments are what the code documents.
    unsafe {
        routine(
            code,
            extension,
            a(0),
            a(1),
            a(2),
            a(3),
            a(4),
            a(5),
            a(6),
            a(7),
            a(8),
            a(9),
            a(10),
            a(11),
            a(12),
            a(13),
        )
    }
}

pub(super) fn extended(extension: u64, code: u32, arguments: &[u64]) -> u32 {
    variadic(
        storport_extended_function as *const c_void,
        code,
        extension,
        arguments,
    ) as u32
}

pub(super) fn notify(extension: u64, kind: u32, arguments: &[u64]) {
    variadic(
        storport_notification as *const c_void,
        kind,
        extension,
        arguments,
    );
}

pub(super) fn complete(extension: u64, srb: u64) {
    notify(extension, n::REQUEST_COMPLETE, &[srb]);
}

/// The address of something that a call reads or fills.
pub(super) fn at<T>(value: &mut T) -> u64 {
    std::ptr::from_mut(value).expose_provenance() as u64
}
