//! The signal handler: from a fault to an emulated instruction or a report.

use std::arch::asm;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use iced_x86::{Decoder, DecoderOptions, Instruction, OpKind};
use libc::{c_int, c_void, siginfo_t, ucontext_t};

use super::emulate::emulate;
use super::registers::Registers;
use super::window::{self, Devices};
use super::{Cause, Fault, Resolution, lines, stack, step};
use crate::abi::callback;
use crate::pages::PAGE_BYTES;
use crate::{last_words, ntoskrnl};

const SIGNALS: [c_int; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGFPE,
    libc::SIGABRT,
    step::INTERRUPT,
];

/// Exception vector of a page fault (Intel SDM volume 3, section 6.15).
const PAGE_FAULT: i64 = 14;
/// Exception vector of a stack fault: the stack pointer is no address at all.
const STACK_FAULT: i64 = 12;
/// Exception vector of an alignment check.
const ALIGNMENT_CHECK: i64 = 17;
/// The alignment check flag (Intel SDM volume 1, section 3.4.3.3).
const ALIGNMENT_FLAG: i64 = 1 << 18;
/// Page fault error code: the access was a write.
const WRITE: i64 = 1 << 1;
/// Page fault error code: the access fetched an instruction.
const FETCH: i64 = 1 << 4;

/// The longest instruction of the architecture, in bytes.
const INSTRUCTION_BYTES: u64 = 15;

/// The general registers of a context, in the order of their numbers in instructions.
const GENERAL: [c_int; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

type OnFault = Box<dyn Fn(Fault) -> Resolution + Send + Sync>;

struct Watch {
    image: Range<u64>,
    on_fault: OnFault,
}

/// The images that are watched, none overlapping another.
static WATCHED: RwLock<Vec<Arc<Watch>>> = RwLock::new(Vec::new());

/// The thread whose fault is being looked into, or 0. A fault of that code itself is not.
static BLAMING: AtomicI32 = AtomicI32::new(0);

/// What handled the signals before, by their place in `SIGNALS`.
static BEFORE: OnceLock<Vec<libc::sigaction>> = OnceLock::new();

/// Tells `on_fault` about faults of the code in `image` from now on.
pub(super) fn watch(image: Range<u64>, on_fault: OnFault) {
    let mut watched = WATCHED.write().unwrap_or_else(PoisonError::into_inner);
    watched.retain(|other| other.image.end <= image.start || image.end <= other.image.start);
    watched.push(Arc::new(Watch { image, on_fault }));
}

/// Handles the signals from now on.
pub(super) fn handle() -> io::Result<()> {
    let mut outcome = Ok(());
    BEFORE.get_or_init(|| {
        SIGNALS
            .iter()
            .filter_map(|&signal| replace(signal).map_err(|e| outcome = Err(e)).ok())
            .collect()
    });
    outcome
}

/// Sets the handler for `signal` and returns what handled it before.
fn replace(signal: c_int) -> io::Result<libc::sigaction> {
    let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = on_signal;
    // SAFETY: the structure is plain data, for which zero is valid.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER | libc::SA_RESTART | libc::SA_ONSTACK;
    let mut before = action;
    // SAFETY: both structures are valid, and the handler has the signature that SA_SIGINFO asks for.
    if unsafe { libc::sigaction(signal, &raw const action, &raw mut before) } == 0 {
        Ok(before)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Leaves `signal` to what handled it before. The instruction then faults again.
fn give_back(signal: c_int) {
    let place = SIGNALS.iter().position(|&handled| handled == signal);
    if let Some(before) = place.and_then(|place| BEFORE.get()?.get(place)) {
        // SAFETY: the structure is one that the system gave for this signal.
        unsafe { libc::sigaction(signal, before, std::ptr::null_mut()) };
    }
}

extern "C" fn on_signal(signal: c_int, information: *mut siginfo_t, context: *mut c_void) {
    // The system leaves the flag as the interrupted code had it.
    // SAFETY: no compiled code relies on the flag.
    unsafe {
        asm!("pushfq", "and qword ptr [rsp], {flags}", "popfq", flags = const !ALIGNMENT_FLAG);
    }
    stack::arm_next();
    // SAFETY: with SA_SIGINFO the second argument is what the system says about the signal.
    let code = unsafe { (*information).si_code };
    // SAFETY: with SA_SIGINFO the third argument is the interrupted context, which nobody else refers to.
    let context = unsafe { &mut *context.cast::<ucontext_t>() };
    if is_unaligned(signal, context) || preempts(signal, code, context) {
        return;
    }
    // What a driver has overwritten may be what blames it.
    // SAFETY: the call has no preconditions.
    let thread = unsafe { libc::syscall(libc::SYS_gettid) } as c_int;
    if BLAMING.swap(thread, Ordering::Relaxed) != thread {
        let resolved = resolve(signal, context);
        BLAMING.store(0, Ordering::Relaxed);
        if resolved {
            return;
        }
    }
    if last_words::are_prepared() {
        let rip = context.uc_mcontext.gregs[index(libc::REG_RIP)];
        last_words::end(format_args!(
            "the test bed ends by signal {signal} in its own code, at {rip:#x}: the driver has overwritten its memory or \
             used up its stack, or the fault is the test bed's own"
        ));
    }
    give_back(signal);
}

/// Turns the alignment check off if that is what has interrupted the code; whether it was. In kernel mode, where the
/// code belongs, the processor makes none (Intel SDM volume 3, section 6.15, interrupt 17).
fn is_unaligned(signal: c_int, context: &mut ucontext_t) -> bool {
    let gregs = &mut context.uc_mcontext.gregs;
    let unaligned = signal == libc::SIGBUS && gregs[index(libc::REG_TRAPNO)] == ALIGNMENT_CHECK;
    if unaligned {
        gregs[index(libc::REG_EFL)] &= !ALIGNMENT_FLAG;
    }
    unaligned
}

/// Carries the interrupted instruction out or reports it; false for code that is not under test.
fn resolve(signal: c_int, context: &mut ucontext_t) -> bool {
    let mut registers = registers_of(context);
    let Some(mut fault) = describe(signal, context, &registers) else {
        return false;
    };
    if fault.cause == Cause::Memory && window::is_register(fault.address) {
        let instruction = instruction_at(fault.rip);
        let before = registers.vector;
        BLAMING.store(0, Ordering::Relaxed);
        let inside = step::leave();
        let emulated = emulate(&instruction, &mut registers, &mut Devices).is_some();
        step::come_back(inside);
        if emulated {
            // What a register access let happen may have been that counting starts.
            if step::steps() {
                registers.flags |= step::TRAP_FLAG;
            }
            step::carried_out(registers.rip);
            note_stores(&registers);
            set_registers(context, &registers, before != registers.vector);
            return true;
        }
        fault.cause = Cause::Mmio;
    }
    blame(fault)
}

/// Reports a fault to whoever watches the image that is to blame; false for code that is not under test.
fn blame(mut fault: Fault) -> bool {
    let blamed = |watch: &Arc<Watch>| {
        let rip = culprit(&watch.image, &fault)?;
        Some((Arc::clone(watch), rip))
    };
    let found = {
        let watched = WATCHED.read().unwrap_or_else(PoisonError::into_inner);
        let jumped =
            || Some((Arc::clone(watched.last()?), fault.rip)).filter(|_| step::is_inside());
        watched.iter().find_map(blamed).or_else(jumped)
    };
    let Some((watch, rip)) = found else {
        return false;
    };
    fault.rip = rip;
    match (watch.on_fault)(fault) {
        Resolution::Retry => true,
        Resolution::End => std::process::exit(1),
    }
}

/// Pre-empts the interrupted code if that is what the signal is for; whether it was.
fn preempts(signal: c_int, code: c_int, context: &mut ucontext_t) -> bool {
    let steps = signal == libc::SIGTRAP && code == libc::TRAP_TRACE;
    if !steps && signal != step::INTERRUPT {
        return false;
    }
    let rip = context.uc_mcontext.gregs[index(libc::REG_RIP)].cast_unsigned();
    let in_image = is_watched(rip);
    if steps {
        if in_image && step::counts() {
            note_stores(&registers_of(context));
        }
        step::stepped(rip, in_image);
    } else if in_image {
        step::interrupted(|| spins(rip));
    }
    let flags = &mut context.uc_mcontext.gregs[index(libc::REG_EFL)];
    if step::steps() && !steps && in_image {
        *flags |= step::TRAP_FLAG.cast_signed();
    } else if steps && !step::steps() {
        *flags &= !step::TRAP_FLAG.cast_signed();
    }
    // Of an instruction that was stepped the flag stays as it is: the one that turns it off, as the thread leaves the
    // code under test, is stepped as well.
    true
}

/// Whether the code at `rip` waits for another processor: PAUSE, which takes most of the time of a loop that does, is near.
fn spins(rip: u64) -> bool {
    /// Bytes of half a loop.
    const NEAR: u64 = 16;
    let before = (1..=NEAR).take_while(|&bytes| is_watched(rip - bytes));
    let after = (1..=NEAR).take_while(|&bytes| is_watched(rip + bytes));
    let (begin, end) = (rip - before.count() as u64, rip + after.count() as u64);
    // SAFETY: the code of an image lies between the two, and is not written while it runs.
    let code = unsafe { std::slice::from_raw_parts(begin as *const u8, (end - begin) as usize) };
    code.windows(step::PAUSE.len())
        .any(|bytes| bytes == step::PAUSE)
}

/// Notes the cache lines that the instruction which comes next writes.
fn note_stores(registers: &Registers) {
    if step::counts() {
        lines::note(&instruction_at(registers.rip), registers);
    }
}

fn is_watched(rip: u64) -> bool {
    let watched = WATCHED.read().unwrap_or_else(PoisonError::into_inner);
    watched.iter().any(|watch| watch.image.contains(&rip))
}

/// What happened, whoever did it.
fn describe(signal: c_int, context: &ucontext_t, registers: &Registers) -> Option<Fault> {
    let greg = |register| context.uc_mcontext.gregs[index(register)];
    let rip = registers.rip;
    let (address, write, cause) = match signal {
        libc::SIGSEGV | libc::SIGBUS if greg(libc::REG_TRAPNO) == PAGE_FAULT => {
            let cause = if greg(libc::REG_ERR) & FETCH == 0 {
                Cause::Memory
            } else {
                Cause::Execute
            };
            (
                greg(libc::REG_CR2).cast_unsigned(),
                greg(libc::REG_ERR) & WRITE != 0,
                cause,
            )
        }
        libc::SIGSEGV | libc::SIGBUS if greg(libc::REG_TRAPNO) == STACK_FAULT => {
            (greg(libc::REG_RSP).cast_unsigned(), false, Cause::Memory)
        }
        libc::SIGSEGV | libc::SIGBUS => match not_canonical(&instruction_at(rip), registers) {
            Some((address, write)) => (address, write, Cause::Memory),
            None => (0, false, Cause::Privileged),
        },
        libc::SIGILL => (0, false, Cause::Undefined),
        libc::SIGFPE => (0, false, Cause::Arithmetic),
        libc::SIGTRAP => (0, false, Cause::Breakpoint),
        _ => return None,
    };
    // A breakpoint is the only one of these that the processor reports after the instruction.
    let rip = if cause == Cause::Breakpoint {
        rip.wrapping_sub(1)
    } else {
        rip
    };
    Some(Fault {
        rip,
        stack: greg(libc::REG_RSP).cast_unsigned(),
        address,
        write,
        cause,
    })
}

/// The memory operand that is no address at all: the processor raises a protection fault for it and tells no address.
fn not_canonical(instruction: &Instruction, registers: &Registers) -> Option<(u64, bool)> {
    (0..instruction.op_count())
        .filter(|&operand| instruction.op_kind(operand) == OpKind::Memory)
        .find_map(|operand| {
            let address = instruction
                .virtual_address(operand, 0, |register, _, _| registers.get(register))?;
            let canonical = matches!(address.cast_signed() >> 47, 0 | -1);
            (!canonical).then_some((address, operand == 0))
        })
}

/// The instruction in `image` that is to blame: the one that faulted, or the call that led out of the image.
fn culprit(image: &Range<u64>, fault: &Fault) -> Option<u64> {
    let called = || {
        let caller = callback::is_reachable(fault.stack, size_of::<u64>(), false)
            .then(|| callback::read::<u64>(fault.stack))?;
        Some(caller).filter(|caller| image.contains(caller))
    };
    let inside = Some(fault.rip).filter(|rip| image.contains(rip));
    match fault.cause {
        Cause::Execute => called().or(inside),
        _ if ntoskrnl::is_leaf(fault.rip) => called(),
        _ => inside,
    }
}

/// Decodes what lies at `rip`. The next page is read only where the instruction goes on there.
fn instruction_at(rip: u64) -> Instruction {
    let in_page = PAGE_BYTES - rip % PAGE_BYTES;
    let instruction = decode(rip, in_page.min(INSTRUCTION_BYTES));
    if instruction.is_invalid() && in_page < INSTRUCTION_BYTES {
        decode(rip, INSTRUCTION_BYTES)
    } else {
        instruction
    }
}

fn decode(rip: u64, bytes: u64) -> Instruction {
    let mut code = [0; INSTRUCTION_BYTES as usize];
    let from = std::ptr::with_exposed_provenance::<u8>(rip as usize);
    if !callback::is_reachable(rip, bytes as usize, false) {
        return Instruction::default();
    }
    // SAFETY: the bytes can be read.
    unsafe { from.copy_to_nonoverlapping(code.as_mut_ptr(), bytes as usize) };
    Decoder::with_ip(64, &code[..bytes as usize], rip, DecoderOptions::NONE).decode()
}

/// Where a context keeps `register`.
const fn index(register: c_int) -> usize {
    register.unsigned_abs() as usize
}

fn registers_of(context: &ucontext_t) -> Registers {
    let gregs = &context.uc_mcontext.gregs;
    let mut registers = Registers {
        general: GENERAL.map(|register| gregs[index(register)].cast_unsigned()),
        rip: gregs[index(libc::REG_RIP)].cast_unsigned(),
        flags: gregs[index(libc::REG_EFL)].cast_unsigned(),
        ..Registers::default()
    };
    // SAFETY: the pointer is null or that of this context's floating-point state.
    if let Some(state) = unsafe { context.uc_mcontext.fpregs.as_ref() } {
        for (value, saved) in registers.vector.iter_mut().zip(&state._xmm) {
            *value = saved
                .element
                .iter()
                .rev()
                .fold(0, |value, &part| value << 32 | u128::from(part));
        }
    }
    registers
}

fn set_registers(context: &mut ucontext_t, registers: &Registers, vectors: bool) {
    let gregs = &mut context.uc_mcontext.gregs;
    for (register, value) in GENERAL.into_iter().zip(registers.general) {
        gregs[index(register)] = value.cast_signed();
    }
    gregs[index(libc::REG_RIP)] = registers.rip.cast_signed();
    gregs[index(libc::REG_EFL)] = registers.flags.cast_signed();
    if vectors {
        set_vectors(context.uc_mcontext.fpregs, registers);
    }
}

/// Puts the vector registers into the saved floating-point state.
fn set_vectors(state: *mut libc::_libc_fpstate, registers: &Registers) {
    // SAFETY: the pointer is null or that of the interrupted context's floating-point state, which nobody else refers to.
    let Some(saved) = (unsafe { state.as_mut() }) else {
        return;
    };
    for (saved, value) in saved._xmm.iter_mut().zip(registers.vector) {
        saved.element = std::array::from_fn(|part| (value >> (32 * part)) as u32);
    }
    mark_vectors_in_use(state);
}

/// Where the state has the extended form, it says which registers hold anything but their initial values.
fn mark_vectors_in_use(state: *mut libc::_libc_fpstate) {
    /// Offset of the mark of the extended form, and its value (Linux, `asm/sigcontext.h`).
    const MAGIC_OFFSET: usize = 464;
    const MAGIC: u32 = 0x4650_5853;
    /// `XSTATE_BV`, the first field after the 512 bytes of the basic form; bit 1 is for the vector registers.
    const IN_USE_OFFSET: usize = 512;
    const VECTORS: u64 = 1 << 1;

    let magic = state.wrapping_byte_add(MAGIC_OFFSET).cast::<u32>();
    // SAFETY: the basic form has 512 bytes.
    if unsafe { magic.read() } == MAGIC {
        let in_use = state.wrapping_byte_add(IN_USE_OFFSET).cast::<u64>();
        // SAFETY: the mark says that the extended form follows.
        let before = unsafe { in_use.read() };
        // SAFETY: as above.
        unsafe { in_use.write(before | VECTORS) };
    }
}
