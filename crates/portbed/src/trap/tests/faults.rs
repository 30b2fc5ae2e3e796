//! Faults of the code under test, and of other code.

use std::sync::{Arc, Mutex};

use iced_x86::code_asm::{
    CodeAssembler, al, byte_ptr, cl, cx, edx, ptr, r8, rax, rbx, rcx, rdx, rsi, word_ptr,
};

use super::{Code, State};
use crate::pages::{Access, PAGE_BYTES, Pages};
use crate::trap::{Cause, MmioWindow, Resolution, install};

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
    let name = "trap::tests::faults::fatal_faults_are_reported_and_end_the_process";
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
    let name = "trap::tests::faults::faults_of_other_code_take_their_course";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let output = child
        .args([name, "--exact", "--nocapture"])
        .env(CASE, "1")
        .output()
        .unwrap();
    let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
    assert_eq!(signal, Some(libc::SIGSEGV), "{output:?}");
}
