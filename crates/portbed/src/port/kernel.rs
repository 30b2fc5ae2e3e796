//! Exports of the kernel that need the machine: time, processors, addresses. A miniport may call them, although the port
//! driver offers the same.

use std::ffi::c_void;

use super::call::Call;
use super::processors;
use super::topology::Topology;
use crate::abi::callback;
use crate::schedule::irql::HIGH;

/// The version that `RtlGetVersion` tells: major, minor, build, platform.
const VERSION: [u32; 4] = [10, 0, 26100, 2];
/// `ALL_PROCESSOR_GROUPS`.
const ALL_GROUPS: u16 = 0xFFFF;
/// 1970-01-01 in units of 100 ns since 1601.
const UNIX_EPOCH: u64 = 116_444_736_000_000_000;
/// Text is compared up to so many characters.
const MOST_TEXT: usize = 1 << 16;

/// Address of an export.
pub(super) fn resolve(name: &str) -> Option<*const c_void> {
    Some(match name {
        "KeStallExecutionProcessor" => processors::stall_execution as *const c_void,
        "KeQueryPerformanceCounter" => query_performance_counter as *const c_void,
        "KeGetCurrentProcessorNumberEx" => current_processor_number as *const c_void,
        "KeQueryActiveProcessorCountEx" | "KeQueryMaximumProcessorCountEx" => {
            processor_count as *const c_void
        }
        "MmGetPhysicalAddress" => physical_address as *const c_void,
        "RtlGetVersion" => version as *const c_void,
        "RtlTimeToSecondsSince1970" => seconds_since_1970 as *const c_void,
        "strlen" => length as *const c_void,
        "strcmp" => compare as *const c_void,
        "strncmp" => compare_some as *const c_void,
        _ => return None,
    })
}

extern "win64" fn query_performance_counter(frequency_at: u64) -> u64 {
    let call = Call::enter_without_adapter("KeQueryPerformanceCounter", HIGH);
    call.answer(frequency_at, processors::COUNTER_FREQUENCY);
    processors::counter(&call)
}

extern "win64" fn current_processor_number(number_at: u64) -> u32 {
    let call = Call::enter_without_adapter("KeGetCurrentProcessorNumberEx", HIGH);
    let index = call.cpu().index();
    call.answer(number_at, Topology::of(&call).number(index));
    index as u32
}

extern "win64" fn processor_count(group: u16) -> u32 {
    let call = Call::enter_without_adapter("KeQueryActiveProcessorCountEx", HIGH);
    if group == ALL_GROUPS {
        call.cpu().state().processor_count() as u32
    } else {
        Topology::of(&call).count(group)
    }
}

/// The physical address, whosever the memory is: whether the adapter may use it shows when it does.
extern "win64" fn physical_address(va: u64) -> u64 {
    let call = Call::enter_without_adapter("MmGetPhysicalAddress", HIGH);
    let found = call.cpu().core().memory.translate(va);
    found.map_or(0, |(pa, _)| pa)
}

extern "win64" fn version(information: u64) -> u32 {
    let call = Call::enter_without_adapter("RtlGetVersion", HIGH);
    // The size that the caller has written stays.
    if call.needs_place::<[u32; 5]>(information, "place for the version") {
        callback::write(information + 4, VERSION);
    }
    0
}

extern "win64" fn seconds_since_1970(time_at: u64, seconds_at: u64) -> u8 {
    let call = Call::enter_without_adapter("RtlTimeToSecondsSince1970", HIGH);
    if !call.needs::<u64>(time_at, "time") {
        return 0;
    }
    let time: u64 = callback::read(time_at);
    let seconds = time.checked_sub(UNIX_EPOCH).map(|since| since / 10_000_000);
    let Some(seconds) = seconds.and_then(|seconds| u32::try_from(seconds).ok()) else {
        return 0;
    };
    call.answer(seconds_at, seconds);
    1
}

extern "win64" fn length(text: u64) -> u64 {
    let call = Call::enter_without_adapter("strlen", HIGH);
    call.string(text, MOST_TEXT).chars().count() as u64
}

extern "win64" fn compare(one: u64, other: u64) -> i32 {
    order("strcmp", one, other, MOST_TEXT)
}

extern "win64" fn compare_some(one: u64, other: u64, characters: u64) -> i32 {
    order(
        "strncmp",
        one,
        other,
        characters.min(MOST_TEXT as u64) as usize,
    )
}

fn order(name: &'static str, one: u64, other: u64, limit: usize) -> i32 {
    let call = Call::enter_without_adapter(name, HIGH);
    call.string(one, limit).cmp(&call.string(other, limit)) as i32
}
