//! Processors, interrupt messages, performance options, time.

use super::bus::MESSAGE_ADDRESS;
use super::call::Call;
use crate::abi::interrupt::{
    GroupAffinity, LATCHED, MessageInterruptInformation, PerfConfigurationData, ProcessorNumber,
    StartIoPerformanceParameters, perf,
};
use crate::abi::{callback, status};
use crate::rules::port as rules;
use crate::schedule::Callback;
use crate::schedule::irql::{self, HIGH, PASSIVE};
use crate::thunk::Arguments;

/// The performance counter counts units of 100 ns.
const COUNTER_NS: u64 = 100;
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

/// `StorPortInitializePerfOpts`: asks what is offered, or sets what is wanted.
pub(super) fn performance_options(call: &Call, arguments: &mut Arguments) -> u32 {
    let (asks, data_at) = (arguments.next_u8() != 0, arguments.next_u64());
    let cpu = call.cpu();
    let site = call.is_in(&[Callback::Initialize, Callback::PassiveInitialize]);
    cpu.check(&rules::PERF_SITE, site, || {
        format!("called in {:?}", cpu.callback())
    });
    if !call.needs_place::<PerfConfigurationData>(data_at, "PERF_CONFIGURATION_DATA") {
        return status::INVALID_PARAMETER;
    }
    let mut data: PerfConfigurationData = callback::read(data_at);
    let bytes = size_of::<PerfConfigurationData>() as u32;
    let versioned = (1..=perf::VERSION).contains(&data.version) && data.size == bytes;
    let known = asks || data.flags & !perf::OFFERED == 0;
    cpu.check(&rules::PERF_DATA, versioned && known, || {
        format!(
            "version {}, {} bytes, flags {:#x}",
            data.version, data.size, data.flags
        )
    });
    if !versioned {
        return status::UNSUPPORTED_VERSION;
    }
    let (messages, processors) = {
        let state = cpu.state();
        (state.port.adapter.messages, state.processor_count() as u32)
    };
    if asks {
        data.flags = perf::OFFERED;
        data.concurrent_channels = processors;
        data.last_redirection_message_number = messages.saturating_sub(1);
        callback::write(data_at, data);
        return status::SUCCESS;
    }
    if !known {
        return status::INVALID_PARAMETER;
    }
    if data.flags & perf::CONCURRENT_CHANNELS != 0 {
        cpu.state().port.adapter.channels = data.concurrent_channels.clamp(1, processors);
    }
    let targets_bytes = messages as usize * size_of::<GroupAffinity>();
    if data.flags & perf::ADV_CONFIG_LOCALITY != 0
        && data.message_targets != 0
        && call.needs_room(data.message_targets, targets_bytes, "message targets")
    {
        for message in 0..messages {
            let mask = 1 << (message % processors);
            let affinity = GroupAffinity {
                mask,
                group: 0,
                reserved: [0; 3],
            };
            callback::write(
                data.message_targets + u64::from(message) * size_of::<GroupAffinity>() as u64,
                affinity,
            );
        }
    }
    status::SUCCESS
}

/// `StorPortGetStartIoPerfParams`.
pub(super) fn start_io_parameters(call: &Call, arguments: &mut Arguments) -> u32 {
    let (srb, parameters_at) = (arguments.next_u64(), arguments.next_u64());
    let cpu = call.cpu();
    let known = cpu.state().port.queues.outstanding.contains_key(&srb);
    cpu.check(&rules::SRB_KNOWN, known, || {
        format!("{srb:#x} is no outstanding request")
    });
    if !call.needs_place::<StartIoPerformanceParameters>(parameters_at, "place for the parameters")
        || !known
    {
        return status::INVALID_PARAMETER;
    }
    let mut parameters: StartIoPerformanceParameters = callback::read(parameters_at);
    let (messages, channels) = {
        let state = cpu.state();
        (
            state.port.adapter.messages.max(1),
            state.port.adapter.channels,
        )
    };
    parameters.message_number = cpu.index() as u32 % messages;
    parameters.channel_number = cpu.index() as u32 % channels;
    callback::write(parameters_at, parameters);
    status::SUCCESS
}

/// The queries about processors, groups and nodes: one group, one node.
pub(super) fn query(call: &Call, code: u32, arguments: &mut Arguments) -> u32 {
    use crate::abi::function as f;
    let cpu = call.cpu();
    let processors = cpu.state().processor_count() as u32;
    let mask = u64::MAX >> (64 - processors.clamp(1, 64));
    let affinity = GroupAffinity {
        mask,
        group: 0,
        reserved: [0; 3],
    };
    match code {
        f::GET_CURRENT_PROCESSOR_NUMBER => {
            let number = ProcessorNumber {
                group: 0,
                number: cpu.index() as u8,
                reserved: 0,
            };
            put(call, arguments.next_u64(), number)
        }
        f::GET_CURRENT_PROCESSOR_INDEX => put(call, arguments.next_u64(), cpu.index() as u32),
        f::GET_PROCESSOR_COUNT => put(call, arguments.next_u64(), processors),
        f::GET_ACTIVE_GROUP_COUNT => put(call, arguments.next_u64(), 1_u16),
        f::GET_ACTIVE_NODE_COUNT => put(call, arguments.next_u64(), 1_u32),
        f::GET_HIGHEST_NODE_NUMBER => put(call, arguments.next_u64(), 0_u32),
        f::GET_GROUP_AFFINITY => match arguments.next_u16() {
            0 => put(call, arguments.next_u64(), mask),
            _ => status::INVALID_PARAMETER,
        },
        f::GET_NODE_AFFINITY => match arguments.next_u32() {
            0 => put(call, arguments.next_u64(), affinity),
            _ => status::INVALID_PARAMETER,
        },
        f::GET_PROCESSOR_INDEX_FROM_NUMBER => {
            let (number_at, index_at) = (arguments.next_u64(), arguments.next_u64());
            if !call.needs::<ProcessorNumber>(number_at, "processor number") {
                return status::INVALID_PARAMETER;
            }
            let number: ProcessorNumber = callback::read(number_at);
            if number.group != 0 || u32::from(number.number) >= processors {
                return status::INVALID_PARAMETER;
            }
            put(call, index_at, u32::from(number.number))
        }
        _ => {
            let (index, message_at) = (arguments.next_u32(), arguments.next_u64());
            let messages = cpu.state().port.adapter.messages;
            if index >= processors || messages == 0 {
                return status::INVALID_PARAMETER;
            }
            put(call, message_at, index % messages)
        }
    }
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
    let now_ns = call.cpu().state().now_ns;
    call.answer(frequency_at, 1_000_000_000 / COUNTER_NS);
    put(call, counter_at, now_ns / COUNTER_NS)
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
