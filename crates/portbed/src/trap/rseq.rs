//! Restartable sequences, which the C library registers for each thread (Linux, `rseq(2)`; glibc, `sys/rseq.h`).
//!
//! The system reads the registered area whenever it goes back to the thread, and ends the process by a signal that nothing
//! handles if the area is damaged. It lies among the thread's own memory, which a driver may overwrite; so threads that run
//! drivers do without.

use std::arch::asm;
use std::ffi::CStr;

/// `RSEQ_FLAG_UNREGISTER`.
const UNREGISTER: i32 = 1;
/// `RSEQ_SIG` of x86.
const SIGNATURE: u32 = 0x5305_3053;
/// Bytes of the area in its first form, which is what is registered unless the system has a larger one.
const FIRST_FORM_BYTES: u32 = 32;

/// Takes this thread's registration back, if the C library made one.
pub(super) fn leave() {
    let (Some(offset), Some(bytes)) = (
        constant::<isize>(c"__rseq_offset"),
        constant::<u32>(c"__rseq_size"),
    ) else {
        return;
    };
    let thread: usize;
    // SAFETY: the first word of the thread's own memory is its address (System V ABI for x86-64, 3.4.2 and TLS supplement).
    unsafe {
        asm!("mov {}, fs:[0]", out(reg) thread, options(nostack, readonly, preserves_flags));
    }
    let area = thread.wrapping_add_signed(offset);
    for bytes in [FIRST_FORM_BYTES.max(bytes), bytes] {
        // SAFETY: the system forgets the area, or refuses because it is not the one that it knows.
        let refused = unsafe { libc::syscall(libc::SYS_rseq, area, bytes, UNREGISTER, SIGNATURE) };
        if refused == 0 {
            return;
        }
    }
}

/// A constant that the C library exports, if it does.
fn constant<T: Copy>(name: &CStr) -> Option<T> {
    // SAFETY: the name ends in a zero byte.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    // SAFETY: the pointer is null or that of a constant of this type.
    unsafe { found.cast::<T>().as_ref() }.copied()
}
