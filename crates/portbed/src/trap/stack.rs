//! The stacks that signals are handled on: never the one of the code that was interrupted, which may be used up, or not
//! where its stack pointer points to.
//!
//! While one signal is handled, driver code may run and raise another one, whose stack may be used up just as well. So
//! each signal that arrives gives the thread another stack for the next one. The system forgets the stack that it takes
//! for a signal until the handler returns (`SS_AUTODISARM`), so that a handler can give another one.
//!
//! All stacks lie in one region, so that the address of a local variable tells which one is in use: what a driver has
//! overwritten may be the memory of the thread itself.

use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use libc::{c_int, c_void, stack_t};

/// Bytes of a stack, the inaccessible page at its end included. Memory is used as far as it is touched.
const BYTES: usize = 512 << 10;
const GUARD_BYTES: usize = 4096;
/// How many signals one thread handles within each other on stacks of their own.
const DEPTH: usize = 24;
/// How many threads have such stacks at a time.
const THREADS: usize = 128;
/// `SS_AUTODISARM` (Linux, `signal.h`).
const AUTODISARM: c_int = c_int::MIN;

/// Where the stacks lie, the first ones of each thread after each other; `None` without address space for them.
static REGION: OnceLock<Option<usize>> = OnceLock::new();
static TAKEN: [AtomicBool; THREADS] = [const { AtomicBool::new(false) }; THREADS];
/// Which stacks are accessible.
static ACCESSIBLE: [AtomicBool; THREADS * DEPTH] =
    [const { AtomicBool::new(false) }; THREADS * DEPTH];

thread_local! {
    static ENTERED: Option<Entered> = Entered::new();
}

/// A thread that handles signals on stacks of its own, until it ends.
struct Entered {
    place: usize,
}

impl Entered {
    fn new() -> Option<Self> {
        (*REGION.get_or_init(reserve))?;
        let mut taken = TAKEN.iter();
        let place = taken.position(|taken| !taken.swap(true, Ordering::Relaxed))?;
        Some(Self { place })
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        set(ptr::null_mut(), libc::SS_DISABLE);
        TAKEN[self.place].store(false, Ordering::Relaxed);
    }
}

/// From now on this thread handles signals on stacks of its own. Where there are none left, it goes on as before.
pub(crate) fn enter_thread() {
    ENTERED.with(|entered| {
        if let Some(Entered { place }) = entered {
            arm(place * DEPTH);
        }
    });
}

/// In a handler: gives the thread a stack for the signal that comes next.
pub(super) fn arm_next() {
    let here = 0_u8;
    let here = (&raw const here).addr();
    let Some(&Some(region)) = REGION.get() else {
        return;
    };
    // On a thread that did not enter, signals are handled as the system likes.
    let next = here.wrapping_sub(region) / BYTES + 1;
    if next <= THREADS * DEPTH && !next.is_multiple_of(DEPTH) {
        arm(next);
    }
}

fn arm(index: usize) {
    let Some(&Some(region)) = REGION.get() else {
        return;
    };
    let start = ptr::with_exposed_provenance_mut::<c_void>(region + index * BYTES);
    if !ACCESSIBLE[index].swap(true, Ordering::Relaxed) {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let above_guard = start.wrapping_byte_add(GUARD_BYTES);
        // SAFETY: the pages are those of this stack.
        unsafe { libc::mprotect(above_guard, BYTES - GUARD_BYTES, protection) };
    }
    set(start, AUTODISARM);
}

fn set(start: *mut c_void, flags: c_int) {
    let stack = stack_t {
        ss_sp: start,
        ss_flags: flags,
        ss_size: BYTES,
    };
    // SAFETY: the stack is the thread's own, and used for nothing else.
    unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) };
}

fn reserve() -> Option<usize> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let bytes = THREADS * DEPTH * BYTES;
    // SAFETY: new address space is reserved where the system likes.
    let start = unsafe { libc::mmap(ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) };
    (start != libc::MAP_FAILED).then(|| start.expose_provenance())
}
