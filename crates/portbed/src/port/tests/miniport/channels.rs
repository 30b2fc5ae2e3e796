//! Performance options in use, and what the miniport sees of them.

use super::calls::{at, extended, notify};
use super::dma::Allocated;
use super::habits::{Habit, has};
use super::request::Srb;
use super::{device, with};
use crate::abi::callback::{read, write, zeroed};
use crate::abi::interrupt::{
    GroupAffinity, PerfConfigurationData, ProcessorNumber, StartIoPerformanceParameters,
};
use crate::abi::srb::function;
use crate::abi::{function as f, notification as n, status};

/// How often a processor looks whether another one joins it in `HwStartIo`, where it may and where it must not.
const LOOKS: [u32; 2] = [50_000, 300];
/// Messages of the bench device.
const MESSAGES: usize = 2;

/// What the miniport saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// What the set of the options was answered.
    pub(crate) set: u32,
    /// The version and the options that were taken.
    pub(crate) version: u32,
    pub(crate) flags: u32,
    pub(crate) channels: u32,
    /// How many `HwStartIo` calls ran at once.
    pub(crate) at_once: u32,
    inside: u32,
    /// How many interrupt routines ran at once.
    pub(crate) interrupts_at_once: u32,
    inside_interrupt: u32,
    /// Whether `HwStartIo` holds the lock of a message, and how often its routine ran all the same.
    holds_message: bool,
    pub(crate) intruded: u32,
    /// Where the messages are sent.
    pub(crate) targets: Vec<(u16, u64)>,
    /// What a request was told: the processor, the message, the channel.
    pub(crate) told: Vec<(u32, u32, u32)>,
    /// `STOR_STATUS` values other than success that `StorPortGetStartIoPerfParams` returned.
    pub(crate) untold: Vec<u32>,
    /// The message and the processor of each interrupt, and the processor of each DPC.
    pub(crate) interrupts: Vec<(u32, u32)>,
    pub(crate) dpcs: Vec<u32>,
    /// Contiguous memory that it asked for.
    pub(crate) dma: Vec<Allocated>,
}

/// What the miniport with the device extension `extension` saw.
pub(crate) fn seen(extension: u64) -> Seen {
    with(extension, |adapter| adapter.seen.clone())
}

fn note<R>(extension: u64, work: impl FnOnce(&mut Seen) -> R) -> R {
    with(extension, |adapter| work(&mut adapter.seen))
}

fn processor(extension: u64) -> u32 {
    let (mut index, mut number) = (0_u32, zeroed::<ProcessorNumber>());
    for (code, place) in [
        (f::GET_CURRENT_PROCESSOR_INDEX, at(&mut index)),
        (f::GET_CURRENT_PROCESSOR_NUMBER, at(&mut number)),
    ] {
        assert_eq!(extended(extension, code, &[place]), status::SUCCESS);
    }
    let mut same = u32::MAX;
    let arguments = [at(&mut number), at(&mut same)];
    extended(extension, f::GET_PROCESSOR_INDEX_FROM_NUMBER, &arguments);
    assert_eq!(read::<u32>(at(&mut same)), read::<u32>(at(&mut index)));
    same
}

/// Asks for everything that there is, in the newest version that the port driver knows.
pub(super) fn initialize(extension: u64) {
    if !has(extension, Habit::Channels) {
        return;
    }
    let mut targets = 0_u64;
    let bytes = (MESSAGES * size_of::<GroupAffinity>()) as u64;
    extended(extension, f::ALLOCATE_POOL, &[bytes, 0, at(&mut targets)]);
    let call = |asks: u64, options: &mut PerfConfigurationData| {
        let code = f::INITIALIZE_PERFORMANCE_OPTIMIZATIONS;
        extended(extension, code, &[asks, at(options)])
    };
    let offered = (1..=8).rev().find_map(|version| {
        let mut options = PerfConfigurationData {
            version,
            size: 40,
            ..zeroed()
        };
        (call(1, &mut options) == status::SUCCESS).then_some(options)
    });
    if let Some(mut options) = offered {
        // What is offered without what it needs is left out.
        if options.flags & 1 == 0 {
            options.flags &= 2;
        }
        if options.flags & 4 == 0 {
            options.flags &= !8;
        }
        options.message_targets = targets;
        let set = call(0, &mut options);
        let entry = size_of::<GroupAffinity>() as u64;
        let told = if set == status::SUCCESS && options.flags & 8 != 0 {
            (0..=u64::from(options.last_redirection_message_number))
                .map(|message| read::<GroupAffinity>(targets + message * entry))
                .map(|target| (target.group, target.mask))
                .collect()
        } else {
            Vec::new()
        };
        note(extension, |seen| {
            *seen = Seen {
                set,
                targets: told,
                version: options.version,
                flags: options.flags,
                channels: options.concurrent_channels,
                ..Seen::default()
            }
        });
    }
    extended(extension, f::FREE_POOL, &[targets]);
    let registers = with(extension, |adapter| adapter.registers);
    write(registers + device::MESSAGE, 1_u32);
}

fn is_granted(extension: u64) -> bool {
    note(extension, |seen| {
        seen.set == status::SUCCESS && seen.flags & 2 != 0 && seen.channels > 1
    })
}

/// In `HwStartIo`: waits a while for another processor, and asks what it is told of the request.
pub(super) fn meet(extension: u64, srb: &Srb) {
    if !has(extension, Habit::Channels)
        || srb.function != function::EXECUTE_SCSI
        || srb.cdb[0] != 0x28
    {
        return;
    }
    note(extension, |seen| {
        seen.inside += 1;
        seen.at_once = seen.at_once.max(seen.inside);
    });
    let mut here = 0;
    let [granted, serial] = LOOKS;
    for _ in 0..if is_granted(extension) {
        granted
    } else {
        serial
    } {
        here = processor(extension);
        if note(extension, |seen| seen.at_once > 1) {
            break;
        }
    }
    let mut parameters = StartIoPerformanceParameters {
        size: 16,
        ..zeroed()
    };
    let code = f::GET_START_IO_PERFORMANCE_PARAMETERS;
    let answer = extended(extension, code, &[srb.at, at(&mut parameters)]);
    let told = (here, parameters.message_number, parameters.channel_number);
    note(extension, |seen| {
        seen.inside -= 1;
        if answer == status::SUCCESS {
            seen.told.push(told);
        } else {
            seen.untold.push(answer);
        }
    });
}

/// Does something with the device, which the requests of several channels share.
pub(super) fn guarded(extension: u64, work: impl FnOnce()) {
    if !is_granted(extension) {
        return work();
    }
    let mut handle = [0_u64; 4];
    notify(extension, n::ACQUIRE_SPIN_LOCK, &[2, 0, at(&mut handle)]);
    work();
    notify(extension, n::RELEASE_SPIN_LOCK, &[at(&mut handle)]);
}

/// Whether messages are told apart, and each has a lock of its own.
fn locks_each(extension: u64) -> Option<bool> {
    if has(extension, Habit::LockPerMessage) {
        Some(true)
    } else {
        has(extension, Habit::LockForAll).then_some(false)
    }
}

/// `InterruptSynchronizationMode`.
pub(super) fn synchronization(extension: u64) -> u32 {
    1 + u32::from(locks_each(extension) == Some(true))
}

/// Before the device gets a transfer: chooses the message that ends it.
pub(super) fn choose_message(extension: u64, block: u32) {
    let Some(each) = locks_each(extension) else {
        return;
    };
    let registers = with(extension, |adapter| adapter.registers);
    write(registers + device::MESSAGE, block % 2);
    let mut old = 0_u32;
    if each {
        extended(extension, f::ACQUIRE_MSI_SPIN_LOCK, &[1, at(&mut old)]);
        note(extension, |seen| seen.holds_message = true);
        processor(extension);
        note(extension, |seen| seen.holds_message = false);
        extended(extension, f::RELEASE_MSI_SPIN_LOCK, &[1, u64::from(old)]);
    }
}

/// In the interrupt routine of a message: waits a while for another processor.
pub(super) fn interrupted(extension: u64, message: u32) {
    let apart = locks_each(extension);
    if apart.is_none() && !has(extension, Habit::Channels) {
        return;
    }
    let here = processor(extension);
    note(extension, |seen| {
        seen.interrupts.push((message, here));
        seen.inside_interrupt += 1;
        seen.interrupts_at_once = seen.interrupts_at_once.max(seen.inside_interrupt);
        seen.intruded += u32::from(seen.holds_message && message == 1);
    });
    let [long, short] = LOOKS;
    for _ in 0..match apart {
        Some(true) => long / 100,
        Some(false) => short,
        None => 0,
    } {
        processor(extension);
        if note(extension, |seen| seen.interrupts_at_once > 1) {
            break;
        }
    }
    note(extension, |seen| seen.inside_interrupt -= 1);
}

/// In the DPC.
pub(super) fn deferred(extension: u64) {
    if has(extension, Habit::Channels) {
        let here = processor(extension);
        note(extension, |seen| seen.dpcs.push(here));
    }
}
