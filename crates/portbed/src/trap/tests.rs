//! Instructions, assembled here, that touch windows or fault.

mod counting;
mod faults;
mod instructions;
mod windows;

use iced_x86::IcedError;
use iced_x86::code_asm::{
    CodeAssembler, ptr, qword_ptr, r8, r9, r10, r12, r13, r14, r15, rax, rbp, rbx, rcx, rdi, rdx,
    rsi, xmm0, xmm1,
};

use super::stack;
use crate::pages::{Access, PAGE_BYTES, Pages};

/// The registers before and after an instruction: RAX, RCX, RDX, RBX, RBP, RSI, RDI and R8 to R10 in this order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct State {
    general: [u64; 10],
    flags: u64,
    padding: u64,
    vectors: [u128; 2],
}

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
        stack::enter_thread();
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
    let registers = [rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10];
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
