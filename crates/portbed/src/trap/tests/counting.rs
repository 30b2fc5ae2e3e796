//! Counting what the code under test executes.

use std::sync::atomic::{AtomicU64, Ordering};

use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, dword_ptr, eax, rax, rbx, rcx, rdi, rdx, rsp};

use super::{Code, State};
use crate::pages::{Access, PAGE_BYTES, Pages};
use crate::trap::step::{self, Part};
use crate::trap::{MmioWindow, Resolution, install};

/// RFLAGS with the trap flag.
const STEPPED: u64 = 0x302;

static ACCESSES: AtomicU64 = AtomicU64::new(0);

/// How many instructions of a function with `body` in it are counted.
fn counted(body: impl Fn(&mut CodeAssembler) -> Result<(), IcedError>, state: &mut State) -> u64 {
    let code = Code::new(body);
    let start = code.pages.address();
    install(start..start + PAGE_BYTES, |_| Resolution::End).unwrap();
    let before = step::counted(Part::Build);
    let part = step::enter_part(Part::Build);
    step::count(true);
    step::go_inside();
    code.run(state);
    step::go_outside();
    step::count(false);
    step::enter_part(part);
    step::counted(Part::Build) - before
}

/// Runs in a process of its own: counting is a matter of the whole process.
fn count() {
    let window = MmioWindow::reserve(8, |_| {
        ACCESSES.fetch_add(1, Ordering::Relaxed);
        0
    })
    .unwrap();
    let memory = Pages::reserve(PAGE_BYTES).unwrap();
    memory.protect(0, PAGE_BYTES, Access::ReadWrite).unwrap();
    let mut state = State {
        flags: STEPPED,
        ..State::default()
    };
    state.general[1] = 100;
    state.general[2] = memory.address();
    state.general[3] = window.address();
    let fresh = state;
    let empty = counted(|_| Ok(()), &mut state);
    let mut more = |body: fn(&mut CodeAssembler) -> Result<(), IcedError>| {
        state = fresh;
        counted(body, &mut state) - empty
    };
    assert_eq!(more(CodeAssembler::nop), 1);
    // A register access is carried out for the code; it counts, and so does what follows.
    let access = more(|a| {
        a.mov(dword_ptr(rbx), eax)?;
        a.mov(eax, dword_ptr(rbx))?;
        a.nop()?;
        a.nop()
    });
    assert_eq!(access, 4);
    assert_eq!(ACCESSES.load(Ordering::Relaxed), 2);
    let looped = more(|a| {
        let mut again = a.create_label();
        a.set_label(&mut again)?;
        a.dec(rcx)?;
        a.jnz(again)
    });
    assert_eq!(looped, 200);
    // An instruction that repeats itself is one.
    let repeated = more(|a| {
        a.mov(rdi, rdx)?;
        a.rep().stosb()
    });
    assert_eq!(repeated, 2);
    // What is called elsewhere does not count.
    let memset = crate::ntoskrnl::resolve("memset").unwrap();
    state = fresh;
    state.general[0] = memset.expose_provenance() as u64;
    state.general[7] = 100;
    let called = counted(
        |a| {
            a.mov(rcx, rdx)?;
            a.sub(rsp, 40)?;
            a.call(rax)?;
            a.add(rsp, 40)
        },
        &mut state,
    );
    assert_eq!(called - empty, 4);
}

#[test]
fn instructions_of_the_code_under_test_are_counted_exactly() {
    const CHILD: &str = "PORTBED_COUNTING";
    if std::env::var_os(CHILD).is_some() {
        count();
        return;
    }
    let name = "trap::tests::counting::instructions_of_the_code_under_test_are_counted_exactly";
    let this = std::env::current_exe().unwrap();
    let output = std::process::Command::new(this)
        .args([name, "--exact", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}
