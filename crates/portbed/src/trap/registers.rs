//! The registers of an interrupted instruction.

use iced_x86::{ConditionCode, Register};

/// The flags that arithmetic instructions set (Intel SDM volume 1, section 3.4.3).
pub(super) mod flag {
    pub(crate) const CARRY: u64 = 1;
    pub(crate) const PARITY: u64 = 1 << 2;
    pub(crate) const ADJUST: u64 = 1 << 4;
    pub(crate) const ZERO: u64 = 1 << 6;
    pub(crate) const SIGN: u64 = 1 << 7;
    pub(crate) const DIRECTION: u64 = 1 << 10;
    pub(crate) const OVERFLOW: u64 = 1 << 11;
}

/// Registers by their numbers in instructions: `general[0]` is RAX, `[1]` RCX, `[2]` RDX, `[3]` RBX, `[4]` RSP, `[5]`
/// RBP, `[6]` RSI, `[7]` RDI, then R8 to R15; `vector[n]` is XMM`n`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Registers {
    pub(super) general: [u64; 16],
    pub(super) vector: [u128; 16],
    pub(super) rip: u64,
    pub(super) flags: u64,
}

/// The lower `bytes` bytes of a value, all of them from 8 on.
pub(super) const fn mask(bytes: usize) -> u64 {
    if bytes >= 8 {
        u64::MAX
    } else {
        (1 << (bytes * 8)) - 1
    }
}

/// The second byte of a register, as AH, CH, DH and BH name it.
const fn is_high_byte(register: Register) -> bool {
    matches!(
        register,
        Register::AH | Register::CH | Register::DH | Register::BH
    )
}

impl Registers {
    /// The value of `register`, none for one that is not kept here. The data segments start at 0.
    pub(super) fn get(&self, register: Register) -> Option<u64> {
        match register {
            Register::CS | Register::DS | Register::ES | Register::SS => Some(0),
            _ if register.is_gpr() => {
                let whole = *self.general.get(register.full_register().number())?;
                let value = if is_high_byte(register) {
                    whole >> 8
                } else {
                    whole
                };
                Some(value & mask(register.size()))
            }
            _ => None,
        }
    }

    /// Sets `register`. As the processor does it: 32 bits clear the upper half, 8 and 16 bits keep the rest.
    pub(super) fn set(&mut self, register: Register, value: u64) -> Option<()> {
        let whole = self
            .general
            .get_mut(register.full_register().number())
            .filter(|_| register.is_gpr())?;
        *whole = match register.size() {
            1 if is_high_byte(register) => *whole & !0xFF00 | (value & 0xFF) << 8,
            size @ (1 | 2) => *whole & !mask(size) | value & mask(size),
            size => value & mask(size),
        };
        Some(())
    }

    /// XMM`n` by its register.
    pub(super) fn vector(&mut self, register: Register) -> Option<&mut u128> {
        self.vector
            .get_mut(register.number())
            .filter(|_| register.is_xmm())
    }

    /// Whether any of `flags` is set.
    pub(super) const fn has(&self, flags: u64) -> bool {
        self.flags & flags != 0
    }

    /// Whether a conditional instruction acts.
    pub(super) fn meets(&self, condition: ConditionCode) -> bool {
        let (carry, zero, sign) = (
            self.has(flag::CARRY),
            self.has(flag::ZERO),
            self.has(flag::SIGN),
        );
        let overflow = self.has(flag::OVERFLOW);
        match condition {
            ConditionCode::o => overflow,
            ConditionCode::no => !overflow,
            ConditionCode::b => carry,
            ConditionCode::ae => !carry,
            ConditionCode::e => zero,
            ConditionCode::ne => !zero,
            ConditionCode::be => carry || zero,
            ConditionCode::a => !carry && !zero,
            ConditionCode::s => sign,
            ConditionCode::ns => !sign,
            ConditionCode::p => self.has(flag::PARITY),
            ConditionCode::np => !self.has(flag::PARITY),
            ConditionCode::l => sign != overflow,
            ConditionCode::ge => sign == overflow,
            ConditionCode::le => zero || sign != overflow,
            ConditionCode::g => !zero && sign == overflow,
            ConditionCode::None => true,
        }
    }
}
