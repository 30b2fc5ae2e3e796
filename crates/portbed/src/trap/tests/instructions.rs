//! Instructions do to a window what they do to memory.

use std::sync::{Arc, Mutex};

use iced_x86::IcedError;
use iced_x86::code_asm::{
    CodeAssembler, al, ax, byte_ptr, dh, dl, dword_ptr, dx, eax, edx, ptr, qword_ptr, r8d, r9b,
    r12, r13, rax, rbx, rcx, rdi, rdx, rsi, word_ptr, xmm0, xmm1,
};

use super::{Code, State};
use crate::pages::{Access, PAGE_BYTES, Pages};
use crate::trap::registers::flag;
use crate::trap::{MmioAccess, MmioWindow};

const ARITHMETIC: u64 = flag::CARRY
    | flag::PARITY
    | flag::ADJUST
    | flag::ZERO
    | flag::SIGN
    | flag::OVERFLOW
    | flag::DIRECTION;

/// Those of the registers that hold addresses: RBX, RSI and RDI.
const ADDRESSES: [usize; 3] = [3, 5, 6];

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
