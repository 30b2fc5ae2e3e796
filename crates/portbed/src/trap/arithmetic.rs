//! Integer arithmetic with the flags it leaves (Intel SDM volume 1, section 3.4.3.1).

use super::registers::{flag, mask};

const ALL: u64 =
    flag::CARRY | flag::PARITY | flag::ADJUST | flag::ZERO | flag::SIGN | flag::OVERFLOW;

/// A result, and the flags after it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Outcome {
    pub(super) value: u64,
    pub(super) flags: u64,
}

const fn top_bit(bytes: usize) -> u64 {
    mask(bytes) ^ (mask(bytes) >> 1)
}

/// `set` if `condition`, else nothing.
const fn when(condition: bool, set: u64) -> u64 {
    if condition { set } else { 0 }
}

const fn zero_sign_parity(value: u64, bytes: usize) -> u64 {
    let even = (value as u8).count_ones().is_multiple_of(2);
    when(value == 0, flag::ZERO)
        | when(value & top_bit(bytes) != 0, flag::SIGN)
        | when(even, flag::PARITY)
}

/// `a + b + carry`, operands and result of `bytes` bytes.
pub(super) fn add(a: u64, b: u64, carry: bool, bytes: usize, flags: u64) -> Outcome {
    let wide = u128::from(a) + u128::from(b) + u128::from(carry);
    let value = wide as u64 & mask(bytes);
    let overflow = (a ^ value) & (b ^ value) & top_bit(bytes) != 0;
    let set = when(wide > u128::from(mask(bytes)), flag::CARRY)
        | when((a ^ b ^ value) & 0x10 != 0, flag::ADJUST)
        | when(overflow, flag::OVERFLOW);
    Outcome {
        value,
        flags: flags & !ALL | set | zero_sign_parity(value, bytes),
    }
}

/// `a - b - borrow`, operands and result of `bytes` bytes.
pub(super) fn subtract(a: u64, b: u64, borrow: bool, bytes: usize, flags: u64) -> Outcome {
    let value = a.wrapping_sub(b).wrapping_sub(u64::from(borrow)) & mask(bytes);
    let overflow = (a ^ b) & (a ^ value) & top_bit(bytes) != 0;
    let set = when(
        u128::from(a) < u128::from(b) + u128::from(borrow),
        flag::CARRY,
    ) | when((a ^ b ^ value) & 0x10 != 0, flag::ADJUST)
        | when(overflow, flag::OVERFLOW);
    Outcome {
        value,
        flags: flags & !ALL | set | zero_sign_parity(value, bytes),
    }
}

/// The flags after AND, OR, XOR or TEST with the result `value`.
pub(super) const fn logic(value: u64, bytes: usize, flags: u64) -> Outcome {
    Outcome {
        value,
        flags: flags & !ALL | zero_sign_parity(value, bytes),
    }
}

/// `outcome`, but with the carry flag of `flags`, which INC and DEC keep.
pub(super) const fn keep_carry(outcome: Outcome, flags: u64) -> Outcome {
    Outcome {
        value: outcome.value,
        flags: outcome.flags & !flag::CARRY | flags & flag::CARRY,
    }
}
