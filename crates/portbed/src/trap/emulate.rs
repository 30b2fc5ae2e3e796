//! Carries out instructions whose memory operand is a device register.

use iced_x86::{ConditionCode, Instruction, Mnemonic, OpKind, Register};

use super::arithmetic::{self, Outcome};
use super::registers::{Registers, flag, mask};

/// What the memory operands of an instruction reach. Values have `bytes` bytes: 1, 2, 4, 8, or 16 for whole vector
/// registers, of which only the lower 8 bytes are transferred.
pub(super) trait Bus {
    /// Reads `bytes` at `address`; none where that is no register and no memory.
    fn read(&mut self, address: u64, bytes: usize) -> Option<u64>;
    /// Writes `bytes` at `address`; none where that is no register and no memory.
    fn write(&mut self, address: u64, bytes: usize, value: u64) -> Option<()>;
}

/// Carries `instruction` out and moves RIP to what follows it; none if it is none of those that are known here. A
/// repeated string instruction is carried out once: its RIP stays until the count is used up.
pub(super) fn emulate(
    instruction: &Instruction,
    registers: &mut Registers,
    bus: &mut impl Bus,
) -> Option<()> {
    let mut step = Step {
        instruction,
        registers,
        bus,
    };
    let next = if instruction.is_string_instruction() {
        step.string()?
    } else if (0..instruction.op_count()).any(|operand| step.is_vector(operand)) {
        step.vector_move()?;
        instruction.next_ip()
    } else {
        step.integer()?;
        instruction.next_ip()
    };
    registers.rip = next;
    Some(())
}

/// The moves of a whole vector register, or of its lowest element.
const VECTOR_MOVES: [Mnemonic; 12] = [
    Mnemonic::Movups,
    Mnemonic::Movaps,
    Mnemonic::Movupd,
    Mnemonic::Movapd,
    Mnemonic::Movdqu,
    Mnemonic::Movdqa,
    Mnemonic::Movntdq,
    Mnemonic::Movntps,
    Mnemonic::Movd,
    Mnemonic::Movq,
    Mnemonic::Movss,
    Mnemonic::Movsd,
];

/// One instruction being carried out.
struct Step<'a, B> {
    instruction: &'a Instruction,
    registers: &'a mut Registers,
    bus: &'a mut B,
}

impl<B: Bus> Step<'_, B> {
    fn integer(&mut self) -> Option<()> {
        match self.instruction.mnemonic() {
            Mnemonic::Mov | Mnemonic::Movnti | Mnemonic::Movzx => {
                let value = self.load(1)?;
                self.store(0, value)
            }
            Mnemonic::Movsx | Mnemonic::Movsxd => {
                let unused = 64 - 8 * self.bytes(1) as u32;
                let value = (self.load(1)? << unused).cast_signed() >> unused;
                self.store(0, value.cast_unsigned())
            }
            Mnemonic::Xchg => {
                let (first, second) = (self.load(0)?, self.load(1)?);
                self.store(0, second)?;
                self.store(1, first)
            }
            Mnemonic::Xadd => {
                let (first, second) = (self.load(0)?, self.load(1)?);
                let sum =
                    arithmetic::add(first, second, false, self.bytes(0), self.registers.flags);
                self.store(1, first)?;
                self.keep(sum)
            }
            Mnemonic::Cmpxchg => self.compare_exchange(),
            Mnemonic::Not => {
                let value = !self.load(0)?;
                self.store(0, value)
            }
            Mnemonic::Bt | Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc => self.bit(),
            _ if self.instruction.condition_code() != ConditionCode::None => self.conditional(),
            _ => self.arithmetic(),
        }
    }

    fn arithmetic(&mut self) -> Option<()> {
        let (bytes, flags) = (self.bytes(0), self.registers.flags);
        let carry = self.registers.has(flag::CARRY);
        let first = self.load(0)?;
        let unary = match self.instruction.mnemonic() {
            Mnemonic::Inc => Some(arithmetic::keep_carry(
                arithmetic::add(first, 1, false, bytes, flags),
                flags,
            )),
            Mnemonic::Dec => Some(arithmetic::keep_carry(
                arithmetic::subtract(first, 1, false, bytes, flags),
                flags,
            )),
            Mnemonic::Neg => Some(arithmetic::subtract(0, first, false, bytes, flags)),
            _ => None,
        };
        if let Some(outcome) = unary {
            return self.keep(outcome);
        }
        let second = self.load(1)?;
        let outcome = match self.instruction.mnemonic() {
            Mnemonic::Add => arithmetic::add(first, second, false, bytes, flags),
            Mnemonic::Adc => arithmetic::add(first, second, carry, bytes, flags),
            Mnemonic::Sub | Mnemonic::Cmp => {
                arithmetic::subtract(first, second, false, bytes, flags)
            }
            Mnemonic::Sbb => arithmetic::subtract(first, second, carry, bytes, flags),
            Mnemonic::And | Mnemonic::Test => arithmetic::logic(first & second, bytes, flags),
            Mnemonic::Or => arithmetic::logic(first | second, bytes, flags),
            Mnemonic::Xor => arithmetic::logic(first ^ second, bytes, flags),
            _ => return None,
        };
        if matches!(self.instruction.mnemonic(), Mnemonic::Cmp | Mnemonic::Test) {
            self.registers.flags = outcome.flags;
            return Some(());
        }
        self.keep(outcome)
    }

    fn compare_exchange(&mut self) -> Option<()> {
        let accumulator = match self.bytes(0) {
            1 => Register::AL,
            2 => Register::AX,
            4 => Register::EAX,
            _ => Register::RAX,
        };
        let (current, new) = (self.load(0)?, self.load(1)?);
        let expected = self.registers.get(accumulator)?;
        let outcome = arithmetic::subtract(
            expected,
            current,
            false,
            self.bytes(0),
            self.registers.flags,
        );
        self.registers.flags = outcome.flags;
        if outcome.value == 0 {
            self.store(0, new)
        } else {
            // The processor writes in either case.
            self.store(0, current)?;
            self.registers.set(accumulator, current)
        }
    }

    /// BT, BTS, BTR and BTC with a constant: with a register they may reach beyond the operand.
    fn bit(&mut self) -> Option<()> {
        if self.instruction.op_kind(1) != OpKind::Immediate8 {
            return None;
        }
        let bit = 1 << (self.instruction.immediate(1) % (8 * self.bytes(0) as u64));
        let value = self.load(0)?;
        match self.instruction.mnemonic() {
            Mnemonic::Bts => self.store(0, value | bit)?,
            Mnemonic::Btr => self.store(0, value & !bit)?,
            Mnemonic::Btc => self.store(0, value ^ bit)?,
            _ => {}
        }
        self.registers.flags &= !flag::CARRY;
        self.registers.flags |= if value & bit == 0 { 0 } else { flag::CARRY };
        Some(())
    }

    /// Conditional moves, which read in either case, and conditional sets.
    fn conditional(&mut self) -> Option<()> {
        let met = self.registers.meets(self.instruction.condition_code());
        if self.instruction.op_count() == 1 {
            return self.store(0, u64::from(met));
        }
        let (value, unchanged) = (self.load(1)?, self.load(0)?);
        self.store(0, if met { value } else { unchanged })
    }

    /// One element of MOVS, STOS or LODS; returns where execution goes on.
    fn string(&mut self) -> Option<u64> {
        let bytes = self.instruction.memory_size().size();
        match self.instruction.mnemonic() {
            Mnemonic::Movsb | Mnemonic::Movsw | Mnemonic::Movsd | Mnemonic::Movsq => {
                let value = self.load(1)?;
                self.store(0, value)?;
                self.advance(Register::RSI, bytes)?;
                self.advance(Register::RDI, bytes)?;
            }
            Mnemonic::Stosb | Mnemonic::Stosw | Mnemonic::Stosd | Mnemonic::Stosq => {
                let value = self.load(1)?;
                self.store(0, value)?;
                self.advance(Register::RDI, bytes)?;
            }
            Mnemonic::Lodsb | Mnemonic::Lodsw | Mnemonic::Lodsd | Mnemonic::Lodsq => {
                let value = self.load(1)?;
                self.store(0, value)?;
                self.advance(Register::RSI, bytes)?;
            }
            _ => return None,
        }
        if !self.instruction.has_rep_prefix() {
            return Some(self.instruction.next_ip());
        }
        let left = self.registers.get(Register::RCX)?.wrapping_sub(1);
        self.registers.set(Register::RCX, left)?;
        Some(if left == 0 {
            self.instruction.next_ip()
        } else {
            self.instruction.ip()
        })
    }

    fn advance(&mut self, register: Register, bytes: usize) -> Option<()> {
        let (at, bytes) = (self.registers.get(register)?, bytes as u64);
        let backwards = self.registers.has(flag::DIRECTION);
        self.registers.set(
            register,
            if backwards {
                at.wrapping_sub(bytes)
            } else {
                at.wrapping_add(bytes)
            },
        )
    }

    /// A plain move between a vector register and memory; the part of the register that is not read becomes zero.
    fn vector_move(&mut self) -> Option<()> {
        if !VECTOR_MOVES.contains(&self.instruction.mnemonic()) {
            return None;
        }
        let bytes = self.instruction.memory_size().size();
        if self.is_vector(0) {
            let value = self.bus.read(self.address(1)?, bytes)?;
            *self.registers.vector(self.instruction.op0_register())? = u128::from(value);
            Some(())
        } else {
            let value =
                *self.registers.vector(self.instruction.op1_register())? as u64 & mask(bytes);
            self.bus.write(self.address(0)?, bytes, value)
        }
    }

    fn keep(&mut self, outcome: Outcome) -> Option<()> {
        self.store(0, outcome.value)?;
        self.registers.flags = outcome.flags;
        Some(())
    }

    fn is_vector(&self, operand: u32) -> bool {
        self.instruction.op_kind(operand) == OpKind::Register
            && self.instruction.op_register(operand).is_vector_register()
    }

    fn is_memory(&self, operand: u32) -> bool {
        use OpKind::{Memory, MemoryESEDI, MemoryESRDI, MemorySegESI, MemorySegRSI};
        matches!(
            self.instruction.op_kind(operand),
            Memory | MemorySegESI | MemorySegRSI | MemoryESEDI | MemoryESRDI
        )
    }

    /// Width of an operand in bytes; a constant has that of the first operand.
    fn bytes(&self, operand: u32) -> usize {
        match self.instruction.op_kind(operand) {
            OpKind::Register => self.instruction.op_register(operand).size(),
            _ if self.is_memory(operand) => self.instruction.memory_size().size(),
            _ if operand > 0 => self.bytes(0),
            _ => 0,
        }
    }

    fn address(&self, operand: u32) -> Option<u64> {
        self.instruction
            .virtual_address(operand, 0, |register, _, _| self.registers.get(register))
    }

    fn load(&mut self, operand: u32) -> Option<u64> {
        let bytes = self.bytes(operand);
        let value = match self.instruction.op_kind(operand) {
            OpKind::Register => self.registers.get(self.instruction.op_register(operand))?,
            _ if self.is_memory(operand) => self.bus.read(self.address(operand)?, bytes)?,
            _ => self.instruction.try_immediate(operand).ok()?,
        };
        Some(value & mask(bytes))
    }

    fn store(&mut self, operand: u32, value: u64) -> Option<()> {
        let bytes = self.bytes(operand);
        match self.instruction.op_kind(operand) {
            OpKind::Register => self
                .registers
                .set(self.instruction.op_register(operand), value),
            _ if self.is_memory(operand) => {
                self.bus
                    .write(self.address(operand)?, bytes, value & mask(bytes))
            }
            _ => None,
        }
    }
}
