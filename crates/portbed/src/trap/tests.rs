use std::sync::{Arc, Mutex};

use iced_x86::IcedError;
use iced_x86::code_asm::{
    CodeAssembler, al, ax, byte_ptr, cl, cx, dh, dl, dword_ptr, dx, eax, edx, ptr, qword_ptr, r8,
    r8d, r9b, r10, r12, r13, r14, r15, rax, rbp, rbx, rcx, rdi, rdx, rsi, word_ptr, xmm0, xmm1,
};

use super::registers::flag;
use super::{Cause, MmioAccess, MmioWindow, Resolution, install};
use crate::pages::{Access, PAGE_BYTES, Pages};

const ARITHMETIC: u64 = flag::CARRY
    | flag::PARITY
    | flag::ADJUST
    | flag::ZERO
    | flag::SIGN
    | flag::OVERFLOW
    | flag::DIRECTION;

/// The registers before and after an instruction: RAX, RCX, RDX, RBX, RBP, RSI, RDI and R8 to R10 in this order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct State {
    general: [u64; 10],
    flags: u64,
    padding: u64,
    vectors: [u128; 2],
}

/// Those of the registers that hold addresses: RBX, RSI and RDI.
const ADDRESSES: [usize; 3] = [3, 5, 6];

/// One instruction as a function that loads the state, executes it and stores the state.
struct Code {
    pages: Pages,
}

impl Code {
    fn new(instruction: impl Fn(&mut CodeAssembler) -> Result<(), IcedError>) -> Self {
        let mut assembler = CodeAssembler::new(64).unwrap();
        wrap(&mut assembler, instruction).unwrap();
        let pages = Pages::reserve(PAGE_BYTES).unwrap();
        pages.protect(0, PAGE_BYTES, Access::ReadWrite).unwrap();
        let bytes = assembler.assemble(pages.address()).unwrap();
        pages.write(0, &bytes).unwrap();
        pages.protect(0, PAGE_BYTES, Access::ReadExecute).unwrap();
        Self { pages }
    }

    fn run(&self, state: &mut State) {
        let address = std::ptr::with_exposed_provenance::<()>(self.pages.address() as usize);
        // SAFETY: the code has this signature and keeps the registers that belong to its caller.
        let function =
            unsafe { std::mem::transmute::<*const (), extern "sysv64" fn(*mut State)>(address) };
        function(state);
    }
}

fn wrap(
    a: &mut CodeAssembler,
    instruction: impl Fn(&mut CodeAssembler) -> Result<(), IcedError>,
) -> Result<(), IcedError> {
    let registers = [
        rax,
        rcx,
        rdx,
        rbx,
        rbp,
        rsi,
        rdi,
        r8,
        iced_x86::code_asm::r9,
        r10,
    ];
    let saved = [rbx, rbp, r12, r13, r14, r15];
    for register in saved {
        a.push(register)?;
    }
    a.mov(r15, rdi)?;
    a.movdqu(xmm0, ptr(r15 + 96))?;
    a.movdqu(xmm1, ptr(r15 + 112))?;
    a.push(qword_ptr(r15 + 80))?;
    a.popfq()?;
    for (number, register) in registers.into_iter().enumerate() {
        a.mov(register, qword_ptr(r15 + 8 * number as u64))?;
    }
    instruction(a)?;
    for (number, register) in registers.into_iter().enumerate() {
        a.mov(qword_ptr(r15 + 8 * number as u64), register)?;
    }
    a.pushfq()?;
    a.pop(qword_ptr(r15 + 80))?;
    a.movdqu(ptr(r15 + 96), xmm0)?;
    a.movdqu(ptr(r15 + 112), xmm1)?;
    a.cld()?;
    for register in saved.into_iter().rev() {
        a.pop(register)?;
    }
    a.ret()
}

/// A window that behaves as memory.
fn window_of(contents: &Arc<Mutex<Vec<u8>>>) -> MmioWindow {
    let contents = Arc::clone(contents);
    MmioWindow::reserve(
        PAGE_BYTES,
        move |MmioAccess {
                  offset,
                  bytes,
                  value,
              }| {
            let mut contents = contents.lock().unwrap();
            let place = &mut contents[offset as usize..][..usize::from(bytes)];
            let mut word = [0; 8];
            match value {
                Some(value) => place.copy_from_slice(&value.to_le_bytes()[..place.len()]),
                None => word[..place.len()].copy_from_slice(place),
            }
            u64::from_le_bytes(word)
        },
    )
    .unwrap()
}

/// Executes the same code on memory and on a window with the same contents, from the same random states, and compares
/// everything that it can change.
fn compare(name: &str, instruction: impl Fn(&mut CodeAssembler) -> Result<(), IcedError>) {
    let code = Code::new(instruction);
    let memory = Pages::reserve(PAGE_BYTES).unwrap();
    memory.protect(0, PAGE_BYTES, Access::ReadWrite).unwrap();
    let registers = Arc::new(Mutex::new(vec![0; PAGE_BYTES as usize]));
    let window = window_of(&registers);
    let mut random = fastrand::Rng::with_seed(1);
    for round in 0..200 {
        let mut bytes = vec![0; PAGE_BYTES as usize];
        random.fill(&mut bytes[..256]);
        let small = |value: u64| {
            if round % 4 == 0 {
                value & 0x0101_0101_0101_0101
            } else {
                value
            }
        };
        let mut start = State {
            general: std::array::from_fn(|_| small(random.u64(..))),
            flags: 0x202 | random.u64(..) & ARITHMETIC,
            vectors: [random.u128(..), random.u128(..)],
            ..State::default()
        };
        // A small count for repeated instructions, an equal accumulator for compare and exchange.
        start.general[1] = 1 + random.u64(..6);
        if round % 3 == 0 {
            start.general[0] = u64::from_le_bytes(*bytes[72..].first_chunk().unwrap());
        }
        let run = |base: u64| {
            let mut state = start;
            for register in ADDRESSES {
                state.general[register] = base + 64;
            }
            code.run(&mut state);
            for register in ADDRESSES {
                state.general[register] = state.general[register].wrapping_sub(base);
            }
            state
        };
        memory.write(0, &bytes).unwrap();
        registers.lock().unwrap().clone_from(&bytes);
        let expected = run(memory.address());
        let emulated = run(window.address());
        assert_eq!(emulated, expected, "{name}, round {round}, from {start:x?}");
        memory.read(0, &mut bytes).unwrap();
        assert!(
            *registers.lock().unwrap() == bytes,
            "{name}, round {round}: memory differs"
        );
    }
    assert!(
        window.reads() + window.writes() >= 200,
        "{name} never touched the window"
    );
}

/// Compares one instruction for each line.
macro_rules! compare {
    ($($name:ident($($operand:expr),*));* $(;)?) => {
        $(compare(stringify!($name($($operand),*)), |a| a.$name($($operand),*));)*
    };
}

#[test]
fn moves_do_to_a_window_what_they_do_to_memory() {
    compare! {
        mov(al, byte_ptr(rbx + 8)); mov(dh, byte_ptr(rbx + 8)); mov(r9b, byte_ptr(rbx + 8));
        mov(ax, word_ptr(rbx + 8)); mov(eax, dword_ptr(rbx + 8)); mov(rax, qword_ptr(rbx + 8));
        mov(r8d, dword_ptr(rbx + 8)); mov(rdx, qword_ptr(rsi + rcx * 4 - 8));
        mov(byte_ptr(rbx + 8), dl); mov(byte_ptr(rbx + 8), dh); mov(word_ptr(rbx + 8), dx);
        mov(dword_ptr(rbx + 8), edx); mov(qword_ptr(rbx + rcx * 8), rdx);
        mov(byte_ptr(rbx + 8), 0x81); mov(word_ptr(rbx + 8), 0x8123_u32); mov(dword_ptr(rbx + 8), 0x8123_4567_u32);
        mov(qword_ptr(rbx + 8), -5);
        movnti(dword_ptr(rbx + 8), edx); movnti(qword_ptr(rbx + 8), rdx);
        movzx(eax, byte_ptr(rbx + 8)); movzx(ax, byte_ptr(rbx + 8)); movzx(rdx, word_ptr(rbx + 8));
        movsx(eax, byte_ptr(rbx + 8)); movsx(ax, byte_ptr(rbx + 8)); movsx(rdx, word_ptr(rbx + 8));
        movsxd(rax, dword_ptr(rbx + 8));
        xchg(byte_ptr(rbx + 8), dl); xchg(word_ptr(rbx + 8), dx); xchg(dword_ptr(rbx + 8), edx);
        xchg(qword_ptr(rbx + 8), rdx);
    }
}

#[test]
fn arithmetic_does_to_a_window_what_it_does_to_memory() {
    compare! {
        add(dword_ptr(rbx + 8), edx); add(edx, dword_ptr(rbx + 8)); add(byte_ptr(rbx + 8), dl); add(rdx, qword_ptr(rbx + 8));
        adc(dword_ptr(rbx + 8), edx); adc(dx, word_ptr(rbx + 8)); adc(qword_ptr(rbx + 8), -1);
        sub(dword_ptr(rbx + 8), edx); sub(edx, dword_ptr(rbx + 8)); sub(byte_ptr(rbx + 8), dh); sub(qword_ptr(rbx + 8), rdx);
        sbb(dword_ptr(rbx + 8), edx); sbb(dl, byte_ptr(rbx + 8)); sbb(qword_ptr(rbx + 8), -1);
        cmp(dword_ptr(rbx + 8), edx); cmp(edx, dword_ptr(rbx + 8)); cmp(word_ptr(rbx + 8), 1); cmp(rax, qword_ptr(rbx + 8));
        cmp(dword_ptr(rbx + 8), -1);
        and(dword_ptr(rbx + 8), edx); and(edx, dword_ptr(rbx + 8)); and(qword_ptr(rbx + 8), -16);
        or(dword_ptr(rbx + 8), edx); or(dx, word_ptr(rbx + 8)); or(dword_ptr(rbx + 8), 0x8000_0000_u32);
        xor(dword_ptr(rbx + 8), edx); xor(dl, byte_ptr(rbx + 8)); xor(qword_ptr(rbx + 8), rdx);
        test(dword_ptr(rbx + 8), edx); test(byte_ptr(rbx + 8), 1); test(qword_ptr(rbx + 8), rdx);
        inc(dword_ptr(rbx + 8)); inc(byte_ptr(rbx + 8)); dec(qword_ptr(rbx + 8)); dec(word_ptr(rbx + 8));
        neg(dword_ptr(rbx + 8)); neg(byte_ptr(rbx + 8)); not(dword_ptr(rbx + 8)); not(qword_ptr(rbx + 8));
        xadd(dword_ptr(rbx + 8), edx); xadd(byte_ptr(rbx + 8), dl);
        cmpxchg(dword_ptr(rbx + 8), edx); cmpxchg(qword_ptr(rbx + 8), rdx); cmpxchg(byte_ptr(rbx + 8), dl);
        bt(dword_ptr(rbx + 8), 31); bts(dword_ptr(rbx + 8), 5); btr(word_ptr(rbx + 8), 17); btc(qword_ptr(rbx + 8), 40);
        cmove(eax, dword_ptr(rbx + 8)); cmovg(rax, qword_ptr(rbx + 8)); cmovb(ax, word_ptr(rbx + 8));
        cmovle(edx, dword_ptr(rbx + 8)); cmovns(edx, dword_ptr(rbx + 8)); cmovp(edx, dword_ptr(rbx + 8));
        cmova(edx, dword_ptr(rbx + 8)); cmovo(edx, dword_ptr(rbx + 8)); cmovge(edx, dword_ptr(rbx + 8));
        sete(byte_ptr(rbx + 8)); setbe(byte_ptr(rbx + 8)); setl(byte_ptr(rbx + 8)); setnp(byte_ptr(rbx + 8));
    }
    compare("lock or", |a| a.lock().or(dword_ptr(rbx + 8), edx));
    compare("lock cmpxchg", |a| {
        a.lock().cmpxchg(dword_ptr(rbx + 8), edx)
    });
}

#[test]
fn strings_do_to_a_window_what_they_do_to_memory() {
    compare! { stosb(); stosw(); stosd(); stosq(); lodsb(); lodsw(); lodsd(); lodsq(); movsb(); movsd(); movsq(); }
    compare("rep stosd", |a| a.rep().stosd());
    compare("rep movsb", |a| a.rep().movsb());
    compare("rep lodsw", |a| a.rep().lodsw());
    // From the window to the stack and back: only one of the operands is a register.
    compare("rep movsd through memory", |a| {
        a.mov(r12, rcx)?;
        a.sub(iced_x86::code_asm::rsp, 256)?;
        a.mov(r13, rdi)?;
        a.lea(rdi, ptr(iced_x86::code_asm::rsp + 128))?;
        a.rep().movsd()?;
        a.mov(rcx, r12)?;
        a.lea(rsi, ptr(iced_x86::code_asm::rsp + 128))?;
        a.lea(rdi, ptr(r13 + 64))?;
        a.cld()?;
        a.rep().movsd()?;
        a.mov(rsi, r13)?;
        a.add(iced_x86::code_asm::rsp, 256)?;
        a.test(eax, eax)
    });
}

#[test]
fn the_lowest_element_of_a_vector_register_moves_as_with_memory() {
    compare! {
        movd(xmm0, dword_ptr(rbx + 8)); movd(dword_ptr(rbx + 8), xmm1);
        movq(xmm1, qword_ptr(rbx + 8)); movq(qword_ptr(rbx + 8), xmm0);
        movss(xmm0, dword_ptr(rbx + 8)); movss(dword_ptr(rbx + 8), xmm0);
        movsd_2(xmm0, qword_ptr(rbx + 8)); movsd_2(qword_ptr(rbx + 8), xmm1);
    }
}

/// Runs one instruction on a window that answers every read with `answer`; returns the state and the accesses.
fn accesses(
    answer: u64,
    instruction: impl Fn(&mut CodeAssembler) -> Result<(), IcedError>,
) -> (State, Vec<MmioAccess>) {
    let log = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&log);
    let handler = move |access| {
        seen.lock().unwrap().push(access);
        answer
    };
    let window = MmioWindow::reserve(PAGE_BYTES, handler).unwrap();
    let mut state = State {
        flags: 0x202,
        vectors: [u128::MAX; 2],
        ..State::default()
    };
    state.general[2] = 0x1111_2222_3333_4444;
    state.general[3] = window.address();
    Code::new(instruction).run(&mut state);
    let accesses = log.lock().unwrap().clone();
    assert_eq!(window.reads() + window.writes(), accesses.len() as u64);
    (state, accesses)
}

#[test]
fn the_handler_learns_offset_width_and_value() {
    let (_, seen) = accesses(0, |a| a.mov(dword_ptr(rbx + 0x14), edx));
    assert_eq!(
        seen,
        [MmioAccess {
            offset: 0x14,
            bytes: 4,
            value: Some(0x3333_4444)
        }]
    );
    let (state, seen) = accesses(0xFFFF_FFFF_8000_0001, |a| a.mov(eax, dword_ptr(rbx + 0x1C)));
    assert_eq!(
        seen,
        [MmioAccess {
            offset: 0x1C,
            bytes: 4,
            value: None
        }]
    );
    assert_eq!(state.general[0], 0x8000_0001, "only as wide as was read");
    let (_, seen) = accesses(0x0F, |a| a.or(byte_ptr(rbx + 0xFFF), 0x70));
    let write = MmioAccess {
        offset: 0xFFF,
        bytes: 1,
        value: Some(0x7F),
    };
    assert_eq!(
        seen,
        [
            MmioAccess {
                value: None,
                ..write
            },
            write
        ]
    );
}

#[test]
fn whole_vector_registers_are_one_access_of_a_wrong_width() {
    let (state, seen) = accesses(7, |a| a.movdqu(xmm1, ptr(rbx + 0x28)));
    assert_eq!(
        seen,
        [MmioAccess {
            offset: 0x28,
            bytes: 16,
            value: None
        }]
    );
    assert_eq!(state.vectors, [u128::MAX, 7]);
    let (_, seen) = accesses(7, |a| a.movups(ptr(rbx + 0x28), xmm0));
    assert_eq!(
        seen,
        [MmioAccess {
            offset: 0x28,
            bytes: 16,
            value: Some(u64::MAX)
        }]
    );
}

#[test]
fn a_handler_may_use_another_window() {
    let inner = MmioWindow::reserve(16, |_| 5).unwrap();
    let address = inner.address();
    let outer = MmioWindow::reserve(16, move |_| {
        // SAFETY: the register stays as long as this window does.
        unsafe { std::ptr::with_exposed_provenance::<u32>(address as usize).read_volatile() }.into()
    });
    let outer = outer.unwrap();
    let register = std::ptr::with_exposed_provenance::<u32>(outer.address() as usize);
    // SAFETY: the address is that of a register of a live window.
    assert_eq!(unsafe { register.read_volatile() }, 5);
    assert_eq!(inner.reads(), 1);
}

/// What each case of a fatal fault does, and what the process says before it ends.
const FATAL: [(&str, &str); 9] = [
    ("undefined", "at +0 address 0x0 write false Undefined"),
    ("breakpoint", "at +0 address 0x0 write false Breakpoint"),
    ("fastfail", "at +0 address 0x0 write false Privileged"),
    ("cli", "at +0 address 0x0 write false Privileged"),
    ("divide", "at +0 address 0x0 write false Arithmetic"),
    (
        "not canonical",
        "at +0 address 0xbdbdbdbdbdbdbdbd write true Memory",
    ),
    ("null", "at +0 address 0x10 write false Memory"),
    ("jump", "at +2 address 0x0 write false Execute"),
    ("window", "Mmio"),
];

/// Where the instruction of [`Code::new`] begins: found by an instruction with a distinct encoding.
fn instruction_offset(code: &Code, first: &[u8]) -> u64 {
    let mut bytes = vec![0; PAGE_BYTES as usize];
    code.pages.read(0, &mut bytes).unwrap();
    bytes
        .windows(first.len())
        .position(|window| window == first)
        .unwrap() as u64
}

fn fatal_case(case: &str) {
    let (code, first): (Code, &[u8]) = match case {
        "undefined" => (Code::new(CodeAssembler::ud2), &[0x0F, 0x0B]),
        "breakpoint" => (Code::new(CodeAssembler::int3), &[0xCC]),
        "fastfail" => (Code::new(|a| a.int(0x29)), &[0xCD, 0x29]),
        "cli" => (Code::new(CodeAssembler::cli), &[0xFA]),
        "divide" => (Code::new(|a| a.div(cl)), &[0xF6, 0xF1]),
        "not canonical" => (Code::new(|a| a.mov(byte_ptr(rdx), 1)), &[0xC6, 0x02, 0x01]),
        "null" => (
            Code::new(|a| a.mov(al, byte_ptr(rsi + 0x10))),
            &[0x8A, 0x46, 0x10],
        ),
        "jump" => (Code::new(|a| a.call(rsi)), &[0xFF, 0xD6]),
        _ => (
            Code::new(|a| a.imul_2(cx, word_ptr(rbx))),
            &[0x66, 0x0F, 0xAF, 0x0B],
        ),
    };
    let window = MmioWindow::reserve(8, |_| 0).unwrap();
    let start = code.pages.address();
    let instruction = start + instruction_offset(&code, first);
    install(start..start + PAGE_BYTES, move |fault| {
        let offset = fault.rip - instruction;
        println!(
            "at +{offset} address {:#x} write {} {:?}",
            fault.address, fault.write, fault.cause
        );
        Resolution::End
    })
    .unwrap();
    let mut state = State {
        flags: 0x202,
        ..State::default()
    };
    state.general[2] = 0xBDBD_BDBD_BDBD_BDBD;
    state.general[3] = window.address();
    code.run(&mut state);
}

#[test]
fn fatal_faults_are_reported_and_end_the_process() {
    const CASE: &str = "PORTBED_FATAL_CASE";
    if let Ok(case) = std::env::var(CASE) {
        fatal_case(&case);
        return;
    }
    let this = std::env::current_exe().unwrap();
    let name = "trap::tests::fatal_faults_are_reported_and_end_the_process";
    for (case, said) in FATAL {
        let mut child = std::process::Command::new(&this);
        let output = child
            .args([name, "--exact", "--nocapture"])
            .env(CASE, case)
            .output()
            .unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{case}: {output:?}");
        assert!(stdout.contains(said), "{case}: {stdout}");
    }
}

#[test]
fn a_fault_whose_cause_is_removed_is_tried_again() {
    let copy = crate::ntoskrnl::resolve("memset")
        .unwrap()
        .expose_provenance() as u64;
    let code = Code::new(|a| {
        a.mov(byte_ptr(rbx + 5), 3)?;
        // memset(rbx + 4096, 3, rcx)
        a.mov(r8, rcx)?;
        a.lea(rcx, ptr(rbx + 4096))?;
        a.mov(edx, 3)?;
        a.call(rax)?;
        a.mov(rcx, r8)
    });
    let start = code.pages.address();
    let memory = Arc::new(Pages::reserve(2 * PAGE_BYTES).unwrap());
    let base = memory.address();
    let faults = Arc::new(Mutex::new(Vec::new()));
    let (seen, opened) = (Arc::clone(&faults), Arc::clone(&memory));
    install(start..start + PAGE_BYTES, move |fault| {
        seen.lock().unwrap().push(fault);
        let page = (fault.address - base) & !(PAGE_BYTES - 1);
        opened.protect(page, PAGE_BYTES, Access::ReadWrite).unwrap();
        Resolution::Retry
    })
    .unwrap();
    let mut state = State {
        flags: 0x202,
        ..State::default()
    };
    state.general[0] = copy;
    state.general[1] = 100;
    state.general[3] = base;
    code.run(&mut state);
    let faults = faults.lock().unwrap().clone();
    assert_eq!(
        faults.iter().map(|fault| fault.address).collect::<Vec<_>>(),
        [base + 5, base + 4096]
    );
    assert!(
        faults
            .iter()
            .all(|fault| fault.write && fault.cause == Cause::Memory)
    );
    assert!(
        faults
            .iter()
            .all(|fault| (start..start + PAGE_BYTES).contains(&fault.rip)),
        "the caller of memset"
    );
    let mut bytes = [0; 101];
    memory.read(4096, &mut bytes).unwrap();
    assert!(bytes[..100] == [3; 100] && bytes[100] == 0);
}

#[test]
fn faults_of_other_code_take_their_course() {
    const CASE: &str = "PORTBED_FOREIGN_FAULT";
    if std::env::var_os(CASE).is_some() {
        install(0..1, |_| Resolution::End).unwrap();
        // SAFETY: it is not: this process is to be killed for it.
        unsafe { std::ptr::without_provenance::<u8>(16).read_volatile() };
        return;
    }
    let name = "trap::tests::faults_of_other_code_take_their_course";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let output = child
        .args([name, "--exact", "--nocapture"])
        .env(CASE, "1")
        .output()
        .unwrap();
    let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
    assert_eq!(signal, Some(libc::SIGSEGV), "{output:?}");
}
