//! Performance options: what is offered, what the miniport sets, and what follows from it.

use super::call::Call;
use crate::abi::interrupt::{
    GroupAffinity, PerfConfigurationData, StartIoPerformanceParameters, perf,
};
use crate::abi::{callback, status};
use crate::rules::port as rules;
use crate::schedule::Callback;
use crate::thunk::Arguments;

/// `StorPortInitializePerfOpts`: asks what is offered, or sets what is wanted.
pub(super) fn options(call: &Call, arguments: &mut Arguments) -> u32 {
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
    if asks {
        let state = cpu.state();
        data.flags = perf::OFFERED;
        data.concurrent_channels = state.processor_count() as u32;
        data.last_redirection_message_number = state.port.adapter.messages.saturating_sub(1);
        drop(state);
        callback::write(data_at, data);
        return status::SUCCESS;
    }
    let missing = missing_flags(data.flags);
    let complete = cpu.check(&rules::PERF_FLAGS, missing == 0, || {
        format!("flags {:#x} need {missing:#x} as well", data.flags)
    });
    if !known || !complete {
        return status::INVALID_PARAMETER;
    }
    set(call, &data)
}

/// The flags that are not set although one that is needs them (`PERF_CONFIGURATION_DATA`, Flags).
fn missing_flags(flags: u32) -> u32 {
    const NEEDS: [(u32, u32); 4] = [
        (perf::INTERRUPT_MESSAGE_RANGES, perf::DPC_REDIRECTION),
        (
            perf::ADV_CONFIG_LOCALITY,
            perf::DPC_REDIRECTION | perf::INTERRUPT_MESSAGE_RANGES,
        ),
        (perf::COMPLETION_DURING_STARTIO, perf::DPC_REDIRECTION),
        (perf::DPC_REDIRECTION_CURRENT_CPU, perf::DPC_REDIRECTION),
    ];
    let set = NEEDS.iter().filter(|(flag, _)| flags & flag != 0);
    set.fold(0, |missing, (_, needed)| missing | needed & !flags)
}

fn set(call: &Call, data: &PerfConfigurationData) -> u32 {
    let cpu = call.cpu();
    let processors = cpu.state().processor_count() as u32;
    if data.flags & perf::ADV_CONFIG_LOCALITY != 0
        && data.message_targets != 0
        && !tell_targets(call, data, processors)
    {
        return status::INVALID_PARAMETER;
    }
    if data.flags & perf::CONCURRENT_CHANNELS != 0 {
        cpu.state().port.adapter.channels = data.concurrent_channels.clamp(1, processors);
    }
    status::SUCCESS
}

/// Fills `MessageTargets`: one entry for each redirection message, the first one's first.
fn tell_targets(call: &Call, data: &PerfConfigurationData, processors: u32) -> bool {
    let redirected = data.first_redirection_message_number..=data.last_redirection_message_number;
    let entry_bytes = size_of::<GroupAffinity>();
    let bytes = redirected.clone().count() * entry_bytes;
    if !call.needs_room(data.message_targets, bytes, "message targets") {
        return false;
    }
    for (message, at) in redirected.zip((data.message_targets..).step_by(entry_bytes)) {
        let affinity = GroupAffinity {
            mask: 1 << (message % processors),
            group: 0,
            reserved: [0; 3],
        };
        callback::write(at, affinity);
    }
    true
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_build_on_others_need_them() {
        let redirection = perf::DPC_REDIRECTION | perf::INTERRUPT_MESSAGE_RANGES;
        assert_eq!(missing_flags(0), 0);
        assert_eq!(missing_flags(perf::CONCURRENT_CHANNELS), 0);
        assert_eq!(missing_flags(perf::OFFERED), 0);
        assert_eq!(missing_flags(perf::ADV_CONFIG_LOCALITY), redirection);
        for flag in [
            perf::INTERRUPT_MESSAGE_RANGES,
            perf::COMPLETION_DURING_STARTIO,
            perf::DPC_REDIRECTION_CURRENT_CPU,
        ] {
            assert_eq!(missing_flags(flag), perf::DPC_REDIRECTION, "{flag:#x}");
        }
    }
}
