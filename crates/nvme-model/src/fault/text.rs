//! How the parts of a fault are written: numbers, times, names.

use nvme_spec::command::{AdminOpcode, NvmOpcode};
use nvme_spec::registers as reg;

use super::{EntryField, Moment};

/// A number, decimal or with 0x.
pub(super) fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => digits
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit())
            .then(|| u64::from_str_radix(digits, 16).ok())?,
        None => text
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse().ok())?,
    }
}

/// A number of 32 bits.
pub(super) fn dword(text: &str) -> Option<u32> {
    number(text)?.try_into().ok()
}

/// A time of at most an hour with its unit, in nanoseconds.
pub(super) fn duration(text: &str) -> Option<u64> {
    let (digits, unit) = [("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)]
        .iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, *unit)))?;
    let ns = number(digits)?.checked_mul(unit)?;
    (ns <= 3_600_000_000_000).then_some(ns)
}

/// A hexadecimal number without prefix.
pub(super) fn hexadecimal(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    hexadecimal
        .then(|| u16::from_str_radix(digits, 16).ok())
        .flatten()
}

/// The admin commands that have a name here.
const ADMIN: [AdminOpcode; 10] = [
    AdminOpcode::DELETE_SUBMISSION_QUEUE,
    AdminOpcode::CREATE_SUBMISSION_QUEUE,
    AdminOpcode::GET_LOG_PAGE,
    AdminOpcode::DELETE_COMPLETION_QUEUE,
    AdminOpcode::CREATE_COMPLETION_QUEUE,
    AdminOpcode::IDENTIFY,
    AdminOpcode::ABORT,
    AdminOpcode::SET_FEATURES,
    AdminOpcode::GET_FEATURES,
    AdminOpcode::ASYNC_EVENT_REQUEST,
];

/// The I/O commands that have a name here.
const NVM: [NvmOpcode; 7] = [
    NvmOpcode::FLUSH,
    NvmOpcode::WRITE,
    NvmOpcode::READ,
    NvmOpcode::COMPARE,
    NvmOpcode::VERIFY,
    NvmOpcode::WRITE_ZEROES,
    NvmOpcode::DATASET_MANAGEMENT,
];

/// A command by its name in the specification, in lower case and with hyphens: whether it is an admin command, and its opcode.
pub(super) fn opcode(text: &str) -> Option<(bool, u8)> {
    opcodes()
        .find(|(name, ..)| name == text)
        .map(|(_, admin, opcode)| (admin, opcode))
}

/// Every command with a name: the name, whether it is an admin command, the opcode.
pub(super) fn opcodes() -> impl Iterator<Item = (String, bool, u8)> {
    let admin = ADMIN.map(|opcode| (hyphened(opcode.name()), true, opcode.0));
    let nvm = NVM.map(|opcode| (hyphened(opcode.name()), false, opcode.0));
    admin.into_iter().chain(nvm)
}

fn hyphened(name: &str) -> String {
    name.to_lowercase().replace(' ', "-").replace('/', "")
}

/// A register by its name: its offset and its size.
pub(super) fn register(text: &str) -> Option<(u32, u32)> {
    Some(match text {
        "cap" => (reg::CAP, 8),
        "vs" => (reg::VS, 4),
        "intms" => (reg::INTMS, 4),
        "intmc" => (reg::INTMC, 4),
        "cc" => (reg::CC, 4),
        "csts" => (reg::CSTS, 4),
        "nssr" => (reg::NSSR, 4),
        "aqa" => (reg::AQA, 4),
        "asq" => (reg::ASQ, 8),
        "acq" => (reg::ACQ, 8),
        "cmbloc" => (reg::CMBLOC, 4),
        "cmbsz" => (reg::CMBSZ, 4),
        "crto" => (reg::CRTO, 4),
        _ => return None,
    })
}

/// A field of a completion by its name.
pub(super) fn entry_field(text: &str) -> Option<EntryField> {
    Some(match text {
        "cid" => EntryField::Cid,
        "sqhd" => EntryField::SqHead,
        "sqid" => EntryField::SqId,
        "phase" => EntryField::Phase,
        "status" => EntryField::Status,
        _ => return None,
    })
}

/// A moment by its name.
pub(super) fn moment(text: &str) -> Option<Moment> {
    Some(match text {
        "find" => Moment::Find,
        "initialize" => Moment::Initialize,
        "start" => Moment::Start,
        "enable" => Moment::Enable,
        "lend" => Moment::Lend,
        "reset" => Moment::Reset,
        "d0" => Moment::D0,
        "stop" => Moment::Stop,
        "rest" => Moment::Rest,
        _ => return None,
    })
}
