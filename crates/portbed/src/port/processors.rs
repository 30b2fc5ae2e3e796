//! Processors, interrupt messages, time.

use super::bus::MESSAGE_ADDRESS;
use super::call::Call;
use super::topology::Topology;
use crate::abi::interrupt::{GroupAffinity, LATCHED, MessageInterruptInformation, ProcessorNumber};
use crate::abi::{callback, status};
use crate::rules::port as rules;
use crate::schedule::Callback;
use crate::schedule::irql::{self, HIGH, PASSIVE};
use crate::thunk::Arguments;

/// The performance counter counts units of 100 ns.
const COUNTER_NS: u64 = 100;
/// How often it counts in a second.
pub(super) const COUNTER_FREQUENCY: u64 = 1_000_000_000 / COUNTER_NS;
/// 2026-01-01 in units of 100 ns since 1601: when the virtual clock starts.
const SYSTEM_TIME_START: u64 = 134_116_992_000_000_000;
/// The longest single stall: shorter than a millisecond.
const LONGEST_STALL_US: u32 = 999;

/// `StorPortGetMSIInfo`.
pub(super) fn message_information(call: &Call, arguments: &mut Arguments) -> u32 {
    let (message, information_at) = (arguments.next_u32(), arguments.next_u64());
    if !call.needs_place::<MessageInterruptInformation>(information_at, "place for the information")
    {
        return status::INVALID_PARAMETER;
    }
    let (messages, first_vector) = {
        let state = call.cpu().state();
        let adapter = &state.port.adapter;
        (adapter.messages, adapter.first_vector)
    };
    if message >= messages {
        return status::INVALID_PARAMETER;
    }
    let information = MessageInterruptInformation {
        message_id: message,
        message_data: first_vector + message,
        message_address: MESSAGE_ADDRESS,
        interrupt_vector: first_vector + message,
        interrupt_level: u32::from(irql::DEVICE),
        interrupt_mode: LATCHED,
        gap_0: 0,
    };
    callback::write(information_at, information);
    status::SUCCESS
}

/// `StorPortGetMessageInterruptInformation`.
pub(super) extern "win64" fn get_message_interrupt_information(
    extension: u64,
    message: u32,
    at: u64,
) -> u64 {
    let call = Call::enter("StorPortGetMessageInterruptInformation", extension, HIGH);
    let values = [u64::from(message), at];
    // SAFETY: two arguments lie in the array, and two are read.
    let mut arguments = unsafe { Arguments::new(values.as_ptr()) };
    u64::from(message_information(&call, &mut arguments) == status::SUCCESS)
}

/// The queries about processors, groups and nodes.
pub(super) fn query(call: &Call, code: u32, arguments: &mut Arguments) -> u32 {
    use crate::abi::function as f;
    let index = call.cpu().index();
    let topology = Topology::of(call);
    match code {
        f::GET_CURRENT_PROCESSOR_NUMBER => put(call, arguments.next_u64(), topology.number(index)),
        f::GET_CURRENT_PROCESSOR_INDEX => put(call, arguments.next_u64(), index as u32),
        f::GET_PROCESSOR_COUNT => {
            let processors = call.cpu().state().processor_count() as u32;
            put(call, arguments.next_u64(), processors)
        }
        f::GET_ACTIVE_GROUP_COUNT => put(call, arguments.next_u64(), topology.groups() as u16),
        f::GET_ACTIVE_NODE_COUNT => put(call, arguments.next_u64(), topology.nodes() as u32),
        f::GET_HIGHEST_NODE_NUMBER => {
            let highest = topology.nodes() as u32 - 1;
            put(call, arguments.next_u64(), highest)
        }
        f::GET_GROUP_AFFINITY => match topology.of_group(arguments.next_u16()) {
            Some(affinity) => put(call, arguments.next_u64(), affinity.mask),
            None => status::INVALID_PARAMETER,
        },
        f::GET_NODE_AFFINITY => match topology.of_node(arguments.next_u32()).first() {
            Some(&affinity) => put(call, arguments.next_u64(), affinity),
            None => status::INVALID_PARAMETER,
        },
        f::GET_NODE_AFFINITY_2 => node_affinities(call, topology, arguments),
        f::GET_PROCESSOR_INDEX_FROM_NUMBER => {
            let (number_at, index_at) = (arguments.next_u64(), arguments.next_u64());
            if !call.needs::<ProcessorNumber>(number_at, "processor number") {
                return status::INVALID_PARAMETER;
            }
            match topology.index(callback::read(number_at)) {
                Some(index) => put(call, index_at, index as u32),
                None => status::INVALID_PARAMETER,
            }
        }
        _ => {
            let (index, message_at) = (arguments.next_u32(), arguments.next_u64());
            let message = {
                let state = call.cpu().state();
                let known =
                    (index as usize) < state.processor_count() && state.port.adapter.messages != 0;
                known.then(|| super::performance::message_of(call, &state, index))
            };
            match message {
                Some(message) => put(call, message_at, message),
                None => status::INVALID_PARAMETER,
            }
        }
    }
}

/// `StorPortGetNodeAffinity2`: one entry for each group of the node.
fn node_affinities(call: &Call, topology: Topology, arguments: &mut Arguments) -> u32 {
    let (node, affinities_at) = (arguments.next_u32(), arguments.next_u64());
    let (room, needed_at) = (arguments.next_u16(), arguments.next_u64());
    let affinities = topology.of_node(node);
    if affinities.is_empty() {
        return status::INVALID_PARAMETER;
    }
    call.answer(needed_at, affinities.len() as u16);
    if usize::from(room) < affinities.len() {
        return status::BUFFER_TOO_SMALL;
    }
    let entry_bytes = size_of::<GroupAffinity>();
    if !call.needs_room(affinities_at, affinities.len() * entry_bytes, "affinities") {
        return status::INVALID_PARAMETER;
    }
    for (at, affinity) in (affinities_at..).step_by(entry_bytes).zip(affinities) {
        callback::write(at, affinity);
    }
    status::SUCCESS
}

fn put<T: Copy>(call: &Call, at: u64, value: T) -> u32 {
    if !call.needs_place::<T>(at, "place for the answer") {
        return status::INVALID_PARAMETER;
    }
    callback::write(at, value);
    status::SUCCESS
}

/// `StorPortQueryPerformanceCounter`.
pub(super) fn performance_counter(call: &Call, arguments: &mut Arguments) -> u32 {
    let (frequency_at, counter_at) = (arguments.next_u64(), arguments.next_u64());
    call.answer(frequency_at, COUNTER_FREQUENCY);
    put(call, counter_at, counter(call))
}

/// The performance counter.
pub(super) fn counter(call: &Call) -> u64 {
    call.cpu().state().now_ns / COUNTER_NS
}

/// `StorPortGetCurrentIrql`.
pub(super) fn current_irql(call: &Call, arguments: &mut Arguments) -> u32 {
    if !call.cpu().core().options.irql_query {
        return status::NOT_IMPLEMENTED;
    }
    put(call, arguments.next_u64(), call.cpu().irql())
}

/// `StorPortDelayExecution`.
pub(super) fn delay(call: &Call, arguments: &mut Arguments) -> u32 {
    let us = arguments.next_u32();
    let cpu = call.cpu();
    let passive = cpu.irql() == PASSIVE;
    if !cpu.check(&rules::DELAY_IRQL, passive, || {
        format!("a delay of {us} us at {}", irql::name(cpu.irql()))
    }) {
        return status::INVALID_IRQL;
    }
    cpu.sleep(u64::from(us) * 1000);
    status::SUCCESS
}

/// `StorPortStallExecution`.
pub(super) extern "win64" fn stall_execution(us: u32) {
    let call = Call::enter_without_adapter("StorPortStallExecution", HIGH);
    let cpu = call.cpu();
    cpu.check(&rules::STALL_LENGTH, us <= LONGEST_STALL_US, || {
        format!("a stall of {us} us")
    });
    cpu.check(
        &rules::STALL_SITE,
        !call.is_in(&[Callback::StartIo]),
        || format!("a stall of {us} us in HwStartIo"),
    );
    cpu.stall(u64::from(us) * 1000);
}

/// `StorPortQuerySystemTime`.
pub(super) extern "win64" fn query_system_time(time_at: u64) {
    let call = Call::enter_without_adapter("StorPortQuerySystemTime", HIGH);
    let now = SYSTEM_TIME_START + call.cpu().state().now_ns / 100;
    put(&call, time_at, now);
}

/// `QueryTickCount`: ticks of 15.625 ms.
pub(super) fn tick_count(call: &Call, arguments: &mut Arguments) {
    let now_ns = call.cpu().state().now_ns;
    put(call, arguments.next_u64(), now_ns / 15_625_000);
}
