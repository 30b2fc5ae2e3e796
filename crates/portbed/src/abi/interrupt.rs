//! Interrupt messages, performance options, processors, DPCs and locks.

use zerocopy::FromBytes;

/// `MESSAGE_INTERRUPT_INFORMATION`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
pub(crate) struct MessageInterruptInformation {
    pub(crate) message_id: u32,
    pub(crate) message_data: u32,
    pub(crate) message_address: u64,
    pub(crate) interrupt_vector: u32,
    pub(crate) interrupt_level: u32,
    pub(crate) interrupt_mode: u32,
    pub(crate) gap_0: u32,
}

/// `PERF_CONFIGURATION_DATA`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
pub(crate) struct PerfConfigurationData {
    pub(crate) version: u32,
    pub(crate) size: u32,
    pub(crate) flags: u32,
    pub(crate) concurrent_channels: u32,
    pub(crate) first_redirection_message_number: u32,
    pub(crate) last_redirection_message_number: u32,
    pub(crate) device_node: u32,
    pub(crate) reserved: u32,
    pub(crate) message_targets: u64,
}

/// `STARTIO_PERFORMANCE_PARAMETERS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
pub(crate) struct StartIoPerformanceParameters {
    pub(crate) version: u32,
    pub(crate) size: u32,
    pub(crate) message_number: u32,
    pub(crate) channel_number: u32,
}

/// `GROUP_AFFINITY`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
pub(crate) struct GroupAffinity {
    pub(crate) mask: u64,
    pub(crate) group: u16,
    pub(crate) reserved: [u16; 3],
}

/// `PROCESSOR_NUMBER`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
pub(crate) struct ProcessorNumber {
    pub(crate) group: u16,
    pub(crate) number: u8,
    pub(crate) reserved: u8,
}

/// `STOR_DPC`: the routine and its context lie where a kernel DPC has them; the rest belongs to the port driver.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
pub(crate) struct StorDpc {
    pub(crate) kind: u16,
    pub(crate) number: u8,
    pub(crate) importance: u8,
    pub(crate) gap_0: u32,
    pub(crate) links: [u64; 2],
    pub(crate) deferred_routine: u64,
    pub(crate) deferred_context: u64,
    pub(crate) system_argument_1: u64,
    pub(crate) system_argument_2: u64,
    pub(crate) dpc_data: u64,
    pub(crate) lock: u64,
}

/// `STOR_LOCK_HANDLE`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
pub(crate) struct StorLockHandle {
    pub(crate) lock: u32,
    pub(crate) gap_0: u32,
    pub(crate) queue_next: u64,
    pub(crate) queue_lock: u64,
    pub(crate) old_irql: u8,
    pub(crate) gap_1: [u8; 7],
}

/// `STOR_SPINLOCK`.
pub(crate) mod spin_lock {
    pub(crate) const DPC: u32 = 1;
    pub(crate) const START_IO: u32 = 2;
    pub(crate) const INTERRUPT: u32 = 3;
    pub(crate) const THREADED_DPC: u32 = 4;
    pub(crate) const DPC_LEVEL: u32 = 5;
}

/// `KINTERRUPT_MODE`: messages are latched, the line is level sensitive.
pub(crate) const LATCHED: u32 = 1;

/// `STOR_PERF_*` that this port driver offers.
pub(crate) mod perf {
    pub(crate) const DPC_REDIRECTION: u32 = 1;
    pub(crate) const CONCURRENT_CHANNELS: u32 = 2;
    pub(crate) const INTERRUPT_MESSAGE_RANGES: u32 = 4;
    pub(crate) const ADV_CONFIG_LOCALITY: u32 = 8;
    pub(crate) const COMPLETION_DURING_STARTIO: u32 = 0x10;
    pub(crate) const DPC_REDIRECTION_CURRENT_CPU: u32 = 0x20;
    /// All of them.
    pub(crate) const OFFERED: u32 = DPC_REDIRECTION
        | CONCURRENT_CHANNELS
        | INTERRUPT_MESSAGE_RANGES
        | ADV_CONFIG_LOCALITY
        | COMPLETION_DURING_STARTIO
        | DPC_REDIRECTION_CURRENT_CPU;
    /// `STOR_PERF_VERSION`.
    pub(crate) const VERSION: u32 = 8;

    /// The options that are valid in a version of `PERF_CONFIGURATION_DATA`.
    pub(crate) const fn valid_in(version: u32) -> u32 {
        match version {
            0 | 1 => 0,
            2 => DPC_REDIRECTION | CONCURRENT_CHANNELS | INTERRUPT_MESSAGE_RANGES,
            3 => OFFERED & !DPC_REDIRECTION_CURRENT_CPU,
            _ => OFFERED,
        }
    }
}
