//! What miniports may do, each in its own way, and break no rule.

use super::calls::{at, extended, notify};
use super::request::Srb;
use super::{device, with};
use crate::abi::callback::{read, write, zeroed};
use crate::abi::configuration::PortConfiguration;
use crate::abi::interrupt::{GroupAffinity, PerfConfigurationData, perf};
use crate::abi::srb::status as srb_status;
use crate::abi::status;
use crate::abi::{function as f, notification as n};
use crate::port::processors;

/// A way to be right.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Habit {
    /// Declares as many breaks as the longest transfer has at any alignment, and none to spare.
    ExactBreaks = 0x100,
    /// Declares fewer breaks than its longest transfer has where it is scattered.
    ScarceBreaks,
    /// Asks where its redirection messages, which are not all that it has, are sent, in an array that has room for them.
    SomeMessages,
    /// Writes a register after it has completed a request.
    RegisterAfterCompletion,
    /// Completes its plug-and-play request in a timer routine that goes on for a while.
    LongTimer,
}

impl Habit {
    pub(crate) const ALL: [Self; 5] = [
        Self::ExactBreaks,
        Self::ScarceBreaks,
        Self::SomeMessages,
        Self::RegisterAfterCompletion,
        Self::LongTimer,
    ];
}

fn has(extension: u64, habit: Habit) -> bool {
    with(extension, |adapter| adapter.fault == habit as u32)
}

pub(super) fn configure(extension: u64, it: &mut PortConfiguration) {
    if has(extension, Habit::ExactBreaks) {
        it.number_of_physical_breaks = 16;
    }
    if has(extension, Habit::ScarceBreaks) {
        it.maximum_transfer_length = 1 << 20;
    }
}

/// In the passive initialisation routine.
pub(super) fn initialize(extension: u64) {
    if has(extension, Habit::SomeMessages) {
        ask_targets(extension);
    }
}

/// Whether the plug-and-play request is completed later.
pub(super) fn answers_later(extension: u64, srb: u64) -> bool {
    if has(extension, Habit::LongTimer) {
        with(extension, |adapter| adapter.late = srb);
        let arguments = [timer as *const () as u64, 1000];
        notify(extension, n::REQUEST_TIMER_CALL, &arguments);
    }
    has(extension, Habit::LongTimer)
}

extern "win64" fn timer(extension: u64) {
    let srb = with(extension, |adapter| adapter.late);
    Srb::new(srb).finish(extension, srb_status::SUCCESS);
    for _ in 0..100 {
        processors::stall_execution(100);
    }
}

fn ask_targets(extension: u64) {
    let mut pool = 0_u64;
    let bytes = size_of::<GroupAffinity>() as u64;
    extended(extension, f::ALLOCATE_POOL, &[bytes, 0, at(&mut pool)]);
    let mut options = PerfConfigurationData {
        version: 3,
        size: 40,
        flags: perf::DPC_REDIRECTION | perf::INTERRUPT_MESSAGE_RANGES | perf::ADV_CONFIG_LOCALITY,
        first_redirection_message_number: 1,
        last_redirection_message_number: 1,
        message_targets: pool,
        ..zeroed()
    };
    let set = extended(
        extension,
        f::INITIALIZE_PERFORMANCE_OPTIMIZATIONS,
        &[0, at(&mut options)],
    );
    assert_eq!(set, status::SUCCESS);
    assert_ne!(read::<GroupAffinity>(pool).mask, 0);
    extended(extension, f::FREE_POOL, &[pool]);
}

/// After a request was completed.
pub(super) fn completed(extension: u64) {
    if has(extension, Habit::RegisterAfterCompletion) {
        let registers = with(extension, |adapter| adapter.registers);
        write(registers + device::LENGTH, 0_u32);
    }
}
