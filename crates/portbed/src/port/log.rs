//! What the miniport tells: events, error log entries, debug output.

use super::call::Call;
use crate::abi::{callback, status};
use crate::journal::Who;
use crate::rules::port as rules;
use crate::schedule::Cpu;
use crate::schedule::irql::HIGH;
use crate::thunk::Arguments;

/// `STORPORT_ETW_MAX_DESCRIPTION_LENGTH`.
const DESCRIPTION_LIMIT: usize = 0x40;
/// `STORPORT_ETW_MAX_PARAM_NAME_LENGTH`.
const NAME_LIMIT: usize = 0x20;
/// Past this a string is not read.
const READ_LIMIT: usize = 256;
/// `StorportEtwLevelError`; a lower one is worse.
const ERROR_LEVEL: u32 = 2;
/// The highest level and channel.
const HIGHEST_LEVEL: u32 = 5;
const HIGHEST_CHANNEL: u32 = 3;
/// Bytes of `STOR_LOG_EVENT_DETAILS`, and its revision.
const LOG_DETAILS_BYTES: u32 = 72;
const LOG_DETAILS_REVISION: u32 = 1;

/// The ETW events with `parameters` parameters, of either set of codes.
pub(super) fn etw_event(
    call: &Call,
    arguments: &mut Arguments,
    has_channel: bool,
    parameters: usize,
) -> u32 {
    let cpu = call.cpu();
    let _address = arguments.next_u64();
    let channel = if has_channel { arguments.next_u32() } else { 0 };
    let (id, text_at) = (arguments.next_u32(), arguments.next_u64());
    let _keywords = arguments.next_u64();
    let (level, _opcode, _srb) = (
        arguments.next_u32(),
        arguments.next_u32(),
        arguments.next_u64(),
    );
    let text = call.wide_string(text_at, READ_LIMIT);
    let named: Vec<(String, u64)> = (0..parameters)
        .map(|_| {
            (
                call.wide_string(arguments.next_u64(), READ_LIMIT),
                arguments.next_u64(),
            )
        })
        .collect();
    let fits = (1..DESCRIPTION_LIMIT).contains(&text.chars().count())
        && named
            .iter()
            .all(|(name, _)| name.chars().count() < NAME_LIMIT);
    cpu.check(&rules::EVENT_TEXT, fits, || {
        format!("event {id}: {text:?} with {named:?}")
    });
    cpu.check(
        &rules::EVENT_LEVEL,
        level <= HIGHEST_LEVEL && channel <= HIGHEST_CHANNEL,
        || format!("event {id}: level {level}, channel {channel}"),
    );
    if level <= ERROR_LEVEL {
        cpu.state().port.adapter.told_error = true;
    }
    declare_retained(cpu, &text, &named);
    let values = named
        .iter()
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| format!("{name}={value}"));
    let parts: Vec<String> = std::iter::once(text).chain(values).collect();
    note(cpu, Who::Driver, parts.join(", "));
    status::SUCCESS
}

/// An event whose text says that memory is retained, with a number of bytes, declares it.
fn declare_retained(cpu: &Cpu, text: &str, named: &[(String, u64)]) {
    let contains = |text: &str, word: &str| text.to_ascii_lowercase().contains(word);
    if !contains(text, "retained") {
        return;
    }
    if let Some((_, bytes)) = named.iter().find(|(name, _)| contains(name, "byte")) {
        cpu.state().port.hmb.declared_bytes += bytes;
    }
}

/// `StorPortLogSystemEvent`.
pub(super) fn log_system_event(call: &Call, arguments: &mut Arguments) -> u32 {
    let (details, maximum_at) = (arguments.next_u64(), arguments.next_u64());
    if !call.needs_bytes(details, LOG_DETAILS_BYTES as usize, "details") {
        return status::INVALID_PARAMETER;
    }
    let read = |offset: u64| callback::read::<u32>(details + offset);
    let (revision, size, code, unique, dump_bytes) =
        (read(0), read(4), read(0x20), read(0x24), read(0x28));
    let dump: u64 = callback::read(details + 0x30);
    let sound = revision == LOG_DETAILS_REVISION
        && size == LOG_DETAILS_BYTES
        && (dump_bytes == 0 || dump != 0);
    let cpu = call.cpu();
    cpu.check(&rules::LOG_DETAILS, sound, || {
        format!("revision {revision}, {size} bytes, {dump_bytes} bytes of data at {dump:#x}")
    });
    call.answer(maximum_at, 0xF0_u32);
    note(
        cpu,
        Who::Driver,
        format!("system event {code:#x}, unique id {unique}"),
    );
    if sound {
        status::SUCCESS
    } else {
        status::INVALID_PARAMETER
    }
}

/// `StorPortLogError`.
pub(super) extern "win64" fn log_error(
    extension: u64,
    _srb: u64,
    _path: u8,
    _target: u8,
    _lun: u8,
    code: u32,
    unique: u32,
) {
    let call = Call::enter("StorPortLogError", extension, HIGH);
    call.cpu().check(&rules::CALL_DEPRECATED, false, || {
        "StorPortLogError".to_owned()
    });
    note(
        call.cpu(),
        Who::Driver,
        format!("error {code:#x}, unique id {unique}"),
    );
}

/// `StorPortDebugPrint`: the format, as it is.
pub(super) extern "win64" fn debug_print(first: *const u64) -> u64 {
    let call = Call::enter_without_adapter("StorPortDebugPrint", HIGH);
    // SAFETY: the naked function that calls this one passes the address of its own arguments, of which there are two.
    let mut arguments = unsafe { Arguments::new(first) };
    let (_level, format_at) = (arguments.next_u32(), arguments.next_u64());
    let text = call.string(format_at, READ_LIMIT);
    note(
        call.cpu(),
        Who::Driver,
        format!("debug: {}", text.trim_end()),
    );
    0
}

fn note(cpu: &Cpu, who: Who, what: String) {
    let now_ns = cpu.state().now_ns;
    cpu.core().journal.note(now_ns, who, what);
}
