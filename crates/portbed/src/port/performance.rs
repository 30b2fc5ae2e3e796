//! Performance options: what is offered, what the miniport sets, and what follows from it.

use std::ops::RangeInclusive;

use super::call::Call;
use super::topology::Topology;
use crate::abi::interrupt::{
    GroupAffinity, PerfConfigurationData, StartIoPerformanceParameters, perf,
};
use crate::abi::{callback, status};
use crate::machine::{Affinity, PerformanceOffer, PortOptions, StartIoAnswer};
use crate::rules::port as rules;
use crate::schedule::{Callback, Cpu, State};
use crate::thunk::Arguments;

/// The performance options that an adapter was granted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Granted {
    /// `STOR_PERF_*`.
    flags: u32,
    /// Concurrent channels; 0 where there are none.
    channels: u32,
    /// The first and the last redirection message.
    redirected: Option<(u32, u32)>,
}

impl Granted {
    /// What an adapter with `messages` messages gets that asks for what `data` says, of `offered` channels.
    fn of(data: &PerfConfigurationData, offered: u32) -> Self {
        let has = |flag| data.flags & flag != 0;
        Self {
            flags: data.flags,
            channels: if has(perf::CONCURRENT_CHANNELS) {
                data.concurrent_channels.min(offered)
            } else {
                0
            },
            redirected: has(perf::INTERRUPT_MESSAGE_RANGES).then_some((
                data.first_redirection_message_number,
                data.last_redirection_message_number,
            )),
        }
    }

    /// Whether the port driver holds the StartIo lock round `HwStartIo` (`StorPortAcquireSpinLock`): with several channels
    /// it does not, whichever channel a request comes in.
    pub(super) fn holds_start_io_lock(self) -> bool {
        self.channels <= 1
    }

    /// The redirection messages, or all that there are.
    fn messages(self, of: u32) -> Option<RangeInclusive<u32>> {
        let (first, last) = self.redirected.unwrap_or((0, of.checked_sub(1)?));
        Some(first..=last)
    }

    fn channel_of(self, processor: u32) -> u32 {
        processor % self.channels.max(1)
    }
}

/// The message with which a device interrupts best for a request that comes from `processor`: one that this processor
/// takes, where there is one.
pub(super) fn message_of(call: &Call, state: &State, processor: u32) -> u32 {
    best_message(state, &call.cpu().core().options, processor)
}

fn best_message(state: &State, options: &PortOptions, processor: u32) -> u32 {
    let (affinity, group) = (options.affinity, options.group_size as usize);
    let adapter = &state.port.adapter;
    let Some(messages) = adapter.performance.messages(adapter.messages) else {
        return 0;
    };
    let (first, count) = (*messages.start(), messages.end() - messages.start() + 1);
    let processors = state.processor_count();
    let own =
        |message: &u32| affinity.may_take(processor as usize, *message as usize, processors, group);
    // Where a processor takes every message, or another one all of them, requests are spread over them all the same.
    let alike = matches!(affinity, Affinity::First | Affinity::Turns);
    let own = messages.filter(|_| !alike).find(own);
    own.unwrap_or(first + processor % count)
}

/// `StorPortInitializePerfOpts`: asks what is offered, or sets what is wanted.
pub(super) fn options(call: &Call, arguments: &mut Arguments) -> u32 {
    let (asks, data_at) = (arguments.next_u8() != 0, arguments.next_u64());
    let cpu = call.cpu();
    let options = cpu.core().options.performance;
    let site = call.is_in(&[Callback::Initialize, Callback::PassiveInitialize]);
    cpu.check(&rules::PERF_SITE, site, || {
        format!("called in {:?}", cpu.callback())
    });
    if !call.needs_place::<PerfConfigurationData>(data_at, "PERF_CONFIGURATION_DATA") {
        return status::INVALID_PARAMETER;
    }
    let offered = match options.offer {
        PerformanceOffer::NotImplemented => return status::NOT_IMPLEMENTED,
        PerformanceOffer::Flags(_) if !site => return status::UNSUCCESSFUL,
        PerformanceOffer::Flags(flags) => flags,
    };
    let mut data: PerfConfigurationData = callback::read(data_at);
    let bytes = size_of::<PerfConfigurationData>() as u32;
    let of_the_kit = (1..=perf::VERSION).contains(&data.version) && data.size == bytes;
    // An older port driver knows fewer versions than the kit, and a miniport may try.
    let versioned = of_the_kit && data.version <= options.version;
    let offered = offered & perf::valid_in(data.version);
    let known = asks || !versioned || data.flags & !offered == 0;
    cpu.check(&rules::PERF_DATA, of_the_kit && known, || {
        format!(
            "version {}, {} bytes, flags {:#x} where {offered:#x} are offered",
            data.version, data.size, data.flags
        )
    });
    if !versioned {
        return status::UNSUPPORTED_VERSION;
    }
    if asks {
        let (messages, channels) = {
            let state = cpu.state();
            (state.port.adapter.messages, channels(call, &state))
        };
        data.flags = offered;
        data.concurrent_channels = if offered & perf::CONCURRENT_CHANNELS == 0 {
            0
        } else {
            channels
        };
        data.last_redirection_message_number = messages.saturating_sub(1);
        callback::write(data_at, data);
        return status::SUCCESS;
    }
    if !known {
        return status::UNSUCCESSFUL;
    }
    set(call, data_at, data)
}

/// The concurrent channels that are offered.
fn channels(call: &Call, state: &State) -> u32 {
    let options = call.cpu().core().options.performance;
    options.channels.unwrap_or(state.processor_count() as u32)
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

/// Sets what was offered.
fn set(call: &Call, data_at: u64, mut data: PerfConfigurationData) -> u32 {
    let cpu = call.cpu();
    let missing = missing_flags(data.flags);
    let complete = cpu.check(&rules::PERF_FLAGS, missing == 0, || {
        format!("flags {:#x} need {missing:#x} as well", data.flags)
    });
    let messages = cpu.state().port.adapter.messages;
    let (first, last) = (
        data.first_redirection_message_number,
        data.last_redirection_message_number,
    );
    let ranged = data.flags & perf::INTERRUPT_MESSAGE_RANGES != 0;
    let within = !ranged || (first <= last && last < messages);
    cpu.check(&rules::PERF_MESSAGES, within, || {
        format!("messages {first} to {last} of {messages}")
    });
    if !complete || !within {
        return status::INVALID_PARAMETER;
    }
    if cpu.core().options.performance.refuses {
        return status::INSUFFICIENT_RESOURCES;
    }
    if data.flags & perf::ADV_CONFIG_LOCALITY != 0 {
        if data.message_targets != 0 && !tell_targets(call, &data) {
            return status::INVALID_PARAMETER;
        }
        data.device_node = 0;
        callback::write(data_at, data);
    }
    let mut state = cpu.state();
    let offered = channels(call, &state);
    state.port.adapter.performance = Granted::of(&data, offered);
    status::SUCCESS
}

/// Fills `MessageTargets`: one entry for each redirection message, the first one's first.
fn tell_targets(call: &Call, data: &PerfConfigurationData) -> bool {
    let options = &call.cpu().core().options;
    let (affinity, group) = (options.affinity, options.group_size as usize);
    let processors = call.cpu().state().processor_count();
    let topology = Topology::of(call);
    let redirected = data.first_redirection_message_number..=data.last_redirection_message_number;
    let entry_bytes = size_of::<GroupAffinity>();
    let bytes = redirected.clone().count() * entry_bytes;
    if !call.needs_room(data.message_targets, bytes, "message targets") {
        return false;
    }
    for (message, at) in redirected.zip((data.message_targets..).step_by(entry_bytes)) {
        let takes = |index| affinity.may_take(index, message as usize, processors, group);
        if let Some(&target) = topology.affinities(takes).first() {
            callback::write(at, target);
        }
    }
    true
}

/// The processor that runs a DPC which `cpu` issues. In the interrupt routine of a redirection message it is one that
/// requests of this message come from; the miniport may have asked for its own all the same.
pub(super) fn dpc_target(cpu: &Cpu, state: &mut State) -> usize {
    let granted = state.port.adapter.performance;
    let Some(message) = state.message_on(cpu.index()).map(u32::from) else {
        return cpu.index();
    };
    let redirected = granted.redirected.is_some_and(|(first, last)| {
        (first..=last).contains(&message) && granted.flags & perf::DPC_REDIRECTION_CURRENT_CPU == 0
    });
    if !redirected {
        return cpu.index();
    }
    let options = &cpu.core().options;
    let origins: Vec<usize> = (0..state.processor_count())
        .filter(|&origin| best_message(state, options, origin as u32) == message)
        .collect();
    state.random.choice(origins).unwrap_or(cpu.index())
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
    let bytes = size_of::<StartIoPerformanceParameters>() as u32;
    let sized = cpu.check(&rules::PERF_PARAMETERS, parameters.size >= bytes, || {
        format!("{} bytes of {bytes}", parameters.size)
    });
    if !sized {
        return status::INVALID_PARAMETER;
    }
    let mut state = cpu.state();
    let processors = state.processor_count() as u32;
    let processor = match cpu.core().options.performance.start_io {
        StartIoAnswer::NotImplemented => return status::NOT_IMPLEMENTED,
        StartIoAnswer::Own => cpu.index() as u32,
        StartIoAnswer::Other => (cpu.index() as u32 + 1) % processors,
        StartIoAnswer::Any => state.random.u32(..processors),
        StartIoAnswer::Shared => 0,
    };
    parameters.message_number = message_of(call, &state, processor);
    parameters.channel_number = state.port.adapter.performance.channel_of(processor);
    drop(state);
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

    #[test]
    fn an_older_version_has_fewer_options() {
        let valid: Vec<u32> = (1..=5).map(perf::valid_in).collect();
        assert_eq!(valid, [0, 7, 0x1F, 0x3F, 0x3F]);
    }
}
