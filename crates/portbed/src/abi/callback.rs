//! Calling a miniport, and reading and writing what it points to.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;
use std::sync::LazyLock;

use zerocopy::FromBytes;

use crate::memory::PAGE_BYTES;
use crate::trap::step;

type Routine = unsafe extern "win64" fn(u64, u64, u64, u64, u64, u64) -> u64;

/// Calls the routine at `address` with up to six arguments. The result register is returned whole: a caller cuts it to
/// the width of the routine's result.
pub(crate) fn call(address: u64, arguments: [u64; 6]) -> u64 {
    let address = ptr::with_exposed_provenance::<()>(address as usize);
    // SAFETY: the miniport registered the address as a routine; in this convention every argument takes one slot, and
    // slots that a routine does not read do no harm.
    let routine = unsafe { std::mem::transmute::<*const (), Routine>(address) };
    let [first, second, third, fourth, fifth, sixth] = arguments;
    step::go_inside();
    // SAFETY: the arguments are those that the port driver documents for this routine.
    let result = unsafe { routine(first, second, third, fourth, fifth, sixth) };
    step::go_outside();
    result
}

/// Reads what a miniport points to.
pub(crate) fn read<T: FromBytes>(address: u64) -> T {
    let from = ptr::with_exposed_provenance::<T>(address as usize);
    // SAFETY: the address is that of memory that the port driver gave, or one of the miniport's that was found reachable.
    unsafe { from.read_unaligned() }
}

/// Writes where a miniport wants an answer.
pub(crate) fn write<T: Copy>(address: u64, value: T) {
    let to = ptr::with_exposed_provenance_mut::<T>(address as usize);
    // SAFETY: as for `read`.
    unsafe { to.write_unaligned(value) };
}

/// Whether all of `bytes` bytes can be read, and where they are `to_fill` written as well. The kernel is asked, because a
/// miniport may point to its image and everything that it was given; the part of this stack that is in use needs no question.
pub(crate) fn is_reachable(address: u64, bytes: usize, to_fill: bool) -> bool {
    if is_in_use_on_this_stack(address, bytes) {
        return true;
    }
    let Some(last) = address.checked_add(bytes.max(1) as u64 - 1) else {
        return false;
    };
    let pages = address / PAGE_BYTES..=last / PAGE_BYTES;
    pages
        .map(|page| address.max(page * PAGE_BYTES))
        .all(|at| is_reachable_byte(at, to_fill))
}

thread_local! {
    /// Where this thread's own stack lies; empty where the system does not say.
    static STACK: Range<usize> = own_stack().unwrap_or_default();
}

/// Whether it lies between here and the start of this thread's stack, all of which can be read and written.
fn is_in_use_on_this_stack(address: u64, bytes: usize) -> bool {
    let here = 0_u8;
    let here = (&raw const here).addr();
    let address = address as usize;
    let end = address.checked_add(bytes);
    STACK.with(|stack| {
        stack.contains(&here) && address > here && end.is_some_and(|end| end <= stack.end)
    })
}

fn own_stack() -> Option<Range<usize>> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: the function names the thread that calls it.
    let thread = unsafe { libc::pthread_self() };
    // SAFETY: the attributes are filled in, unless that fails.
    if unsafe { libc::pthread_getattr_np(thread, attributes.as_mut_ptr()) } != 0 {
        return None;
    }
    let (mut start, mut bytes) = (ptr::null_mut(), 0);
    // SAFETY: they were filled in.
    let found =
        unsafe { libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut start, &raw mut bytes) };
    // SAFETY: as above, and they are not used any more.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    (found == 0).then(|| start.addr()..start.addr() + bytes)
}

/// This process, which asks for its number once.
static PROCESS: LazyLock<i32> = LazyLock::new(|| std::process::id().cast_signed());

fn is_reachable_byte(address: u64, to_fill: bool) -> bool {
    let mut byte = 0_u8;
    let local = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    let remote = libc::iovec {
        iov_base: ptr::with_exposed_provenance_mut(address as usize),
        iov_len: 1,
    };
    let process = *PROCESS;
    // SAFETY: one byte is copied to `byte`; an address that cannot be read is refused.
    let read =
        unsafe { libc::process_vm_readv(process, &raw const local, 1, &raw const remote, 1, 0) };
    if read != 1 {
        return !faulted();
    }
    !to_fill || is_writable(address)
}

/// Whether the byte at `address`, which can be read, can be written: the kernel adds 0 to its word in one step, so that
/// nothing is lost that another processor writes at the same time.
fn is_writable(address: u64) -> bool {
    /// `FUTEX_OP` of `linux/futex.h`: add the number in bits 12 to 23 to the second word.
    const ADD_ZERO: i32 = libc::FUTEX_OP_ADD << 28;
    let word = ptr::with_exposed_provenance_mut::<u32>((address & !3) as usize);
    let nobody: usize = 0;
    // SAFETY: the call wakes nobody and leaves the word as it is; an address that cannot be written is refused. An
    // aligned word is in the same page as each of its bytes.
    let woken = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word,
            libc::FUTEX_WAKE_OP | libc::FUTEX_PRIVATE_FLAG,
            nobody,
            nobody,
            word,
            ADD_ZERO,
        )
    };
    woken >= 0 || !faulted()
}

/// Whether the last call failed for its address; a system that forbids the call says nothing about that.
fn faulted() -> bool {
    std::io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
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

/// Reads units that end in a zero one, at most `limit` of them; `None` if they cannot all be read.
pub(crate) fn read_until_zero<T>(address: u64, limit: usize) -> Option<Vec<T>>
where
    T: FromBytes + Copy + Default + PartialEq,
{
    let mut units = Vec::new();
    let mut checked = None;
    for index in 0..limit as u64 {
        let at = address.wrapping_add(index * size_of::<T>() as u64);
        let page = at.wrapping_add(size_of::<T>() as u64 - 1) / PAGE_BYTES;
        if checked != Some(page) && !is_reachable(at, size_of::<T>(), false) {
            return None;
        }
        checked = Some(page);
        let unit: T = read(at);
        if unit == T::default() {
            break;
        }
        units.push(unit);
    }
    Some(units)
}

/// A structure of zeroes.
pub(crate) fn zeroed<T: FromBytes>() -> T {
    let value = MaybeUninit::<T>::zeroed();
    // SAFETY: `FromBytes` says that every bit pattern is a value.
    unsafe { value.assume_init() }
}
