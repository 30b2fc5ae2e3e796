//! Faults of the passive initialisation routine.

use super::calls::{at, extended, notify};
use super::request::Srb;
use super::{Fault, dma, once, passive, wants, with};
use crate::abi::callback::{write, zeroed};
use crate::abi::interrupt::{GroupAffinity, PerfConfigurationData};
use crate::abi::{function as f, notification as n};
use crate::port::srb::SENSE_BYTES;
use crate::port::{bus, memory, registry, units};

const POOL_TAG: u32 = u32::from_le_bytes(*b"bnch");
/// What `StorPortAllocatePool` is asked for.
const POOL_BYTES: u64 = 100;

pub(super) fn passive_faults(extension: u64) {
    let mut pool = 0_u64;
    let mut handle = 0_u64;
    extended(
        extension,
        f::ALLOCATE_POOL,
        &[POOL_BYTES, u64::from(POOL_TAG), at(&mut pool)],
    );
    let at_the_end = wants(extension, Fault::OverrunAtTheEnd);
    if wants(extension, Fault::PoolBehindItsEnd) || at_the_end {
        write(pool + POOL_BYTES, 0x55_u8);
    }
    if !wants(extension, Fault::PoolKept) && !at_the_end {
        extended(extension, f::FREE_POOL, &[pool]);
    }
    if wants(extension, Fault::PoolFreedTwice) {
        extended(extension, f::FREE_POOL, &[pool]);
    }
    extended(extension, f::INITIALIZE_TIMER, &[at(&mut handle)]);
    if !wants(extension, Fault::TimerKept) {
        extended(extension, f::FREE_TIMER, &[handle]);
    }
    if wants(extension, Fault::TimerFreedTwice) {
        extended(extension, f::FREE_TIMER, &[handle]);
    }
    extended(extension, f::INITIALIZE_WORKER, &[at(&mut handle)]);
    if !wants(extension, Fault::WorkerKept) {
        extended(extension, f::FREE_WORKER, &[handle]);
    }
    if wants(extension, Fault::DmaKept) {
        dma::allocate(extension);
    }
    if wants(extension, Fault::WorkerUnknown) {
        extended(
            extension,
            f::QUEUE_WORK_ITEM,
            &[passive as *const () as u64, 0x1234, 0],
        );
    }
    if wants(extension, Fault::UncachedLate) {
        let configuration = with(extension, |adapter| adapter.configuration);
        memory::get_uncached_extension(extension, configuration, 4096);
    }
    if wants(extension, Fault::BusDataLate) {
        let mut header = [0_u8; 4];
        bus::get_bus_data(extension, 4, 0, 0, at(&mut header), 4);
    }
    if wants(extension, Fault::PassiveFromPassive) {
        notify(
            extension,
            n::ENABLE_PASSIVE_INITIALIZATION,
            &[passive as *const () as u64, 0],
        );
    }
    for (fault, flags) in [
        (Fault::MessageTargetsShort, 13),
        (Fault::PerfFlagAlone, 0x20),
    ] {
        if wants(extension, fault) {
            message_targets(extension, flags);
        }
    }
    if wants(extension, Fault::Undocumented) {
        assert_eq!(
            extended(extension, 4000, &[]),
            crate::abi::status::NOT_IMPLEMENTED
        );
    }
    if wants(extension, Fault::WrongExtension) {
        extended(extension + 8, f::GET_PROCESSOR_COUNT, &[at(&mut handle)]);
    }
    if wants(extension, Fault::DepthOfZero) {
        units::set_device_queue_depth(extension, 0, 0, 0, 0);
    }
    if wants(extension, Fault::DpcUnknown) {
        notify(extension, n::ISSUE_DPC, &[extension, 0, 0, 0]);
    }
    if wants(extension, Fault::RegistryWithoutBuffer) {
        let mut name = *b"Fault\0";
        let mut length = 4_u32;
        registry::registry_read(
            extension,
            at(&mut name),
            1,
            4,
            at(&mut handle),
            at(&mut length),
        );
    }
}

/// Before a read is completed.
pub(super) fn end(extension: u64, srb: &Srb) {
    if once(extension, Fault::SenseBehindItsEnd) {
        write(srb.sense + u64::from(SENSE_BYTES), 1_u8);
    }
}

/// Asks where two redirection messages are sent, in an array of one.
fn message_targets(extension: u64, flags: u32) {
    let mut pool = 0_u64;
    let bytes = size_of::<GroupAffinity>() as u64;
    extended(extension, f::ALLOCATE_POOL, &[bytes, 0, at(&mut pool)]);
    let mut options = PerfConfigurationData {
        version: 4,
        size: 40,
        flags,
        first_redirection_message_number: 0,
        last_redirection_message_number: 1,
        message_targets: pool,
        ..zeroed()
    };
    extended(
        extension,
        f::INITIALIZE_PERFORMANCE_OPTIMIZATIONS,
        &[0, at(&mut options)],
    );
    extended(extension, f::FREE_POOL, &[pool]);
}
