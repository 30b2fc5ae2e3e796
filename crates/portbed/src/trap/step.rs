//! Steps through the code under test: pre-emption at an instruction that was counted out, or wherever it is found, and the count
//! of what a part of the driver executes.
//!
//! Stepping sets the trap flag, so that the processor traps after each instruction. Only instructions of watched images
//! count; the flag is off while the test bed works. Code that runs on is interrupted by a signal to its thread.

use std::arch::asm;
use std::cell::{Cell, OnceCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use libc::{c_int, pthread_t};

use super::{lines, rseq, stack};

/// The signal that interrupts code that runs on. By default it is ignored.
pub(super) const INTERRUPT: c_int = libc::SIGURG;
/// The trap flag (Intel SDM volume 1, section 3.4.3.3).
pub(super) const TRAP_FLAG: u64 = 1 << 8;
/// So many instructions outside of images, such as those of a memory function, end the counting.
const MOST_OUTSIDE: u32 = 256;

/// Why code is pre-empted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reason {
    /// The instruction that was counted out is reached.
    Counted,
    /// It was interrupted.
    Interrupted,
    /// It was interrupted while it waited for another processor.
    Spins,
}

/// What is called on a thread whose code under test is pre-empted.
type Hook = fn(Reason);

/// A thread that runs code under test.
#[derive(Clone, Debug)]
pub(crate) struct Thread {
    id: pthread_t,
    inside: Arc<AtomicBool>,
    /// The next interruption is meant for code that waits for another processor, and for no other.
    glance: Arc<AtomicBool>,
}

/// A part of the code under test whose instructions are counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    /// `HwStorBuildIo`.
    Build,
    /// `HwStorStartIo`.
    Start,
    /// Interrupt routines.
    Interrupt,
    /// DPCs and timers.
    Dpc,
    /// Everything else, which nobody asks for.
    Rest,
}

/// How many parts there are.
const PARTS: usize = Part::Rest as usize + 1;

/// Instructions of each part.
static COUNTS: [AtomicU64; PARTS] = [const { AtomicU64::new(0) }; PARTS];
/// The last bits of an address, which tell the places of an image from each other.
const PLACE_BITS: u32 = 20;
/// How often each place of an image was counted, by the last bits of its address.
static PLACES: [AtomicU32; 1 << PLACE_BITS] = [const { AtomicU32::new(0) }; 1 << PLACE_BITS];
/// Whether they are being counted.
static COUNTING: AtomicBool = AtomicBool::new(false);

static REACHED: AtomicU64 = AtomicU64::new(0);
static LOST: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static THREAD: OnceCell<(Thread, Hook)> = const { OnceCell::new() };
    /// Instructions in images until the code is pre-empted; 0 while nothing is counted.
    static LEFT: Cell<u32> = const { Cell::new(0) };
    static OUTSIDE: Cell<u32> = const { Cell::new(0) };
    /// The part that this thread executes.
    static PART: Cell<Part> = const { Cell::new(Part::Rest) };
    /// The instruction that was counted last: a repeated one traps at each repetition.
    static LAST: Cell<u64> = const { Cell::new(0) };
}

/// Makes this thread one that runs code under test, which calls `hook` when it is pre-empted.
pub(crate) fn enter_thread(hook: Hook) -> Thread {
    // SAFETY: the call has no preconditions.
    let id = unsafe { libc::pthread_self() };
    let entered = Thread {
        id,
        inside: Arc::new(AtomicBool::new(false)),
        glance: Arc::new(AtomicBool::new(false)),
    };
    THREAD.with(|current| current.set((entered.clone(), hook)).ok());
    stack::enter_thread();
    rseq::leave();
    entered
}

impl Thread {
    /// Interrupts the code under test if that is what the thread is in.
    pub(crate) fn interrupt(&self) {
        self.glance.store(false, Ordering::Relaxed);
        self.signal();
    }

    /// Interrupts the code under test if it waits for another processor in a loop with PAUSE, as spin locks do.
    pub(crate) fn interrupt_spinning(&self) {
        self.glance.store(true, Ordering::Relaxed);
        self.signal();
    }

    fn signal(&self) {
        if self.inside.load(Ordering::Relaxed) {
            // SAFETY: a thread that is inside code under test has not ended.
            unsafe { libc::pthread_kill(self.id, INTERRUPT) };
        }
    }
}

/// PAUSE, which code executes while it waits for another processor.
pub(super) const PAUSE: [u8; 2] = [0xf3, 0x90];

/// Whether the instruction at `rip`, in an image, is a PAUSE.
fn waits_at(rip: u64) -> bool {
    // SAFETY: the instruction is the next to be executed.
    let code = unsafe { std::slice::from_raw_parts(rip as *const u8, 1) };
    if code != &PAUSE[..1] {
        return false;
    }
    // SAFETY: a prefix is followed by its instruction.
    let code = unsafe { std::slice::from_raw_parts(rip as *const u8, PAUSE.len()) };
    code == PAUSE
}

/// Pre-empts the code under test on this thread, which was interrupted; `spins` says whether it waits for another processor.
pub(super) fn interrupted(spins: impl FnOnce() -> bool) {
    let glance = THREAD.with(|current| {
        let thread = current.get().map(|(thread, _)| &thread.glance);
        thread.is_some_and(|glance| glance.load(Ordering::Relaxed))
    });
    if !glance {
        preempt(Reason::Interrupted);
    } else if spins() {
        preempt(Reason::Spins);
    }
}

/// Pre-empts the code under test on this thread after so many instructions, unless an earlier call still counts.
pub(crate) fn preempt_after(instructions: u32) {
    if LEFT.get() == 0 {
        LEFT.set(instructions);
        OUTSIDE.set(MOST_OUTSIDE);
    }
}

/// Whether this thread steps through the code under test.
pub(crate) fn steps() -> bool {
    LEFT.get() > 0 || COUNTING.load(Ordering::Relaxed)
}

/// Begins or ends the count of instructions, for all threads, from the next time on that they enter code under test.
pub(crate) fn count(on: bool) {
    if on {
        lines::forget();
    }
    COUNTING.store(on, Ordering::Relaxed);
}

/// Whether instructions are being counted.
pub(crate) fn is_counting() -> bool {
    COUNTING.load(Ordering::Relaxed)
}

/// How many instructions of `part` have been counted in this process.
pub(crate) fn counted(part: Part) -> u64 {
    COUNTS[part as usize].load(Ordering::Relaxed)
}

/// How often the instruction at `address` has been counted; those of an image larger than 1 MiB get mixed up.
pub(crate) fn counted_at(address: u64) -> u32 {
    place(address).load(Ordering::Relaxed)
}

fn place(address: u64) -> &'static AtomicU32 {
    &PLACES[address as usize & ((1 << PLACE_BITS) - 1)]
}

/// What this thread executes from now on belongs to `part`; to which it did before.
pub(crate) fn enter_part(part: Part) -> Part {
    PART.replace(part)
}

/// An instruction of the code under test is reached at `rip`.
fn reach(rip: u64) {
    if is_counting() && LAST.replace(rip) != rip && PART.get() != Part::Rest {
        place(rip).fetch_add(1, Ordering::Relaxed);
        COUNTS[PART.get() as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// Whether what this thread executes is counted.
pub(super) fn counts() -> bool {
    is_counting() && PART.get() != Part::Rest
}

/// A register access was carried out for the code under test, which goes on at `rip` without a trap there.
pub(super) fn carried_out(rip: u64) {
    reach(rip);
}

/// The thread goes on with code under test.
pub(crate) fn go_inside() {
    set_inside(true);
    if steps() {
        // SAFETY: the trap flag changes nothing but that each instruction is followed by a signal, which is handled.
        unsafe {
            asm!("pushfq", "or qword ptr [rsp], {flag}", "popfq", flag = const TRAP_FLAG);
        }
    }
}

/// The thread leaves code under test.
pub(crate) fn go_outside() {
    if steps() {
        // SAFETY: as above.
        unsafe {
            asm!("pushfq", "and qword ptr [rsp], {flags}", "popfq", flags = const !(TRAP_FLAG.cast_signed()));
        };
    }
    set_inside(false);
}

/// Whether the thread is inside code under test.
pub(super) fn is_inside() -> bool {
    THREAD.with(|current| {
        let inside = current.get().map(|(thread, _)| &thread.inside);
        inside.is_some_and(|inside| inside.load(Ordering::Relaxed))
    })
}

/// The thread leaves code under test for a register access; whether it was inside.
pub(super) fn leave() -> bool {
    let inside = is_inside();
    set_inside(false);
    inside
}

/// The thread goes back to where it was before it left.
pub(super) fn come_back(inside: bool) {
    set_inside(inside);
}

fn set_inside(inside: bool) {
    THREAD.with(|current| {
        if let Some((thread, _)) = current.get() {
            thread.inside.store(inside, Ordering::Relaxed);
        }
    });
}

/// How many instructions that were counted out have been reached in this process, and how many were given up.
pub(crate) fn tally() -> (u64, u64) {
    (
        REACHED.load(Ordering::Relaxed),
        LOST.load(Ordering::Relaxed),
    )
}

/// An instruction was carried out with the trap flag set, and the next is at `rip`, in an image or elsewhere: pre-empts the code
/// if it was the one.
pub(super) fn stepped(rip: u64, in_image: bool) {
    if in_image {
        reach(rip);
    } else {
        LAST.set(0);
    }
    if in_image && waits_at(rip) {
        // How often it looks until it may go on must not depend on how fast this machine is.
        preempt(Reason::Spins);
    }
    if LEFT.get() == 0 {
        return;
    }
    let counter = if in_image { &LEFT } else { &OUTSIDE };
    let left = counter.get().saturating_sub(1);
    counter.set(left);
    if left > 0 {
        return;
    }
    LEFT.set(0);
    let tally = if in_image { &REACHED } else { &LOST };
    tally.fetch_add(1, Ordering::Relaxed);
    if in_image {
        preempt(Reason::Counted);
    }
}

/// Pre-empts the code under test on this thread.
fn preempt(reason: Reason) {
    let hook = THREAD.with(|current| current.get().map(|&(_, hook)| hook));
    if let Some(hook) = hook {
        set_inside(false);
        hook(reason);
        set_inside(true);
    }
}
