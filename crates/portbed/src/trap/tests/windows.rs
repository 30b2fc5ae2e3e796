//! What the handler of a window learns, and what it may do.

use std::sync::{Arc, Mutex};

use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, byte_ptr, dword_ptr, eax, edx, ptr, rbx, xmm0, xmm1};

use super::{Code, State};
use crate::pages::PAGE_BYTES;
use crate::trap::{MmioAccess, MmioWindow, stack};

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
    stack::enter_thread();
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
