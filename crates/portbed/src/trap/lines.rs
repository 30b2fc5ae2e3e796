//! The cache lines that the code under test writes, and on which processors.
//!
//! Before an instruction is stepped through that is counted, the addresses of its stores are worked out from the registers.
//! A store of the processor that has no address of that kind, such as XSAVE's, is not seen; no driver has one.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use iced_x86::{Instruction, InstructionInfoFactory, OpAccess};

use super::registers::Registers;

/// Bytes of a cache line.
pub(crate) const LINE_BYTES: u64 = 64;

/// Each line that was written, and the processors that did, one bit each.
static LINES: Mutex<BTreeMap<u64, u128>> = Mutex::new(BTreeMap::new());

thread_local! {
    /// The processor whose thread this is.
    static PROCESSOR: Cell<usize> = const { Cell::new(0) };
    static FACTORY: RefCell<InstructionInfoFactory> = RefCell::new(InstructionInfoFactory::new());
}

/// Makes this thread the one of a processor.
pub(crate) fn enter_processor(index: usize) {
    PROCESSOR.set(index);
}

/// Forgets what was written.
pub(super) fn forget() {
    lines().clear();
}

/// The address of each line that several processors have written, and which ones did, one bit each.
pub(crate) fn shared() -> Vec<(u64, u128)> {
    let lines = lines();
    let shared = lines.iter().filter(|(_, by)| by.count_ones() > 1);
    shared.map(|(&line, &by)| (line, by)).collect()
}

fn lines() -> std::sync::MutexGuard<'static, BTreeMap<u64, u128>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `instruction` is about to be carried out.
pub(super) fn note(instruction: &Instruction, registers: &Registers) {
    for (address, bytes) in stores(instruction, registers) {
        let by = 1 << (PROCESSOR.get() % 128);
        let last = address.saturating_add(bytes.max(1) - 1);
        for line in address / LINE_BYTES..=last / LINE_BYTES {
            *lines().entry(line * LINE_BYTES).or_default() |= by;
        }
    }
}

/// Where an instruction stores, and how many bytes.
fn stores(instruction: &Instruction, registers: &Registers) -> Vec<(u64, u64)> {
    FACTORY.with_borrow_mut(|factory| {
        let used = factory.info(instruction).used_memory();
        let written = used.iter().filter(|used| {
            matches!(
                used.access(),
                OpAccess::Write
                    | OpAccess::CondWrite
                    | OpAccess::ReadWrite
                    | OpAccess::ReadCondWrite
            )
        });
        let place = |used: &iced_x86::UsedMemory| {
            let address = used.virtual_address(0, |register, _, _| registers.get(register))?;
            Some((address, used.memory_size().size() as u64))
        };
        written.filter_map(place).collect()
    })
}

#[cfg(test)]
mod tests {
    use iced_x86::code_asm::{
        CodeAssembler, al, byte_ptr, dword_ptr, eax, qword_ptr, rax, rbx, rcx,
    };
    use iced_x86::{Decoder, DecoderOptions, IcedError};

    use super::*;

    /// Where one instruction stores.
    fn of(body: impl Fn(&mut CodeAssembler) -> Result<(), IcedError>) -> Vec<(u64, u64)> {
        let mut assembler = CodeAssembler::new(64).unwrap();
        body(&mut assembler).unwrap();
        let code = assembler.assemble(0x1000).unwrap();
        let instruction = Decoder::with_ip(64, &code, 0x1000, DecoderOptions::NONE).decode();
        let mut registers = Registers::default();
        for (value, register) in (1..).zip(&mut registers.general) {
            *register = value * 0x10_0000;
        }
        stores(&instruction, &registers)
    }

    #[test]
    fn stores_are_told_from_loads_and_have_their_address() {
        assert_eq!(of(|a| a.mov(eax, dword_ptr(rbx))), []);
        assert_eq!(of(|a| a.cmp(dword_ptr(rbx), 1)), []);
        assert_eq!(of(|a| a.mov(dword_ptr(rbx + 0x20), eax)), [(0x40_0020, 4)]);
        let scaled = of(|a| a.add(qword_ptr(rbx + rcx * 8 - 8), rax));
        assert_eq!(scaled, [(0x40_0000 + 8 * 0x20_0000 - 8, 8)]);
        assert_eq!(of(|a| a.lock().xadd(dword_ptr(rcx), eax)), [(0x20_0000, 4)]);
        assert_eq!(of(|a| a.xchg(byte_ptr(rcx), al)), [(0x20_0000, 1)]);
        assert_eq!(of(|a| a.push(rax)), [(0x50_0000 - 8, 8)]);
    }

    #[test]
    fn a_line_counts_that_several_processors_write() {
        let write = |processor, address: u64| {
            enter_processor(processor);
            let mut assembler = CodeAssembler::new(64).unwrap();
            assembler.mov(qword_ptr(rbx), rax).unwrap();
            let code = assembler.assemble(0x1000).unwrap();
            let instruction = Decoder::with_ip(64, &code, 0x1000, DecoderOptions::NONE).decode();
            let mut registers = Registers::default();
            registers.general[3] = address;
            note(&instruction, &registers);
        };
        // No other test writes there.
        let base = 0x7000_0000_0000;
        write(0, base);
        write(100, base + 60);
        write(0, base + 128);
        write(0, base + 136);
        let of_test = |all: Vec<(u64, u128)>| -> Vec<(u64, u128)> {
            all.into_iter().filter(|(line, _)| *line >= base).collect()
        };
        assert_eq!(of_test(shared()), [(base, 1 | 1 << 100)]);
        enter_processor(0);
    }
}
