//! What miniports may do, each in its own way, and break no rule.

use super::calls::{at, extended, notify};
use super::request::Srb;
use super::{channels, describe, device, dma, with};
use crate::abi::callback::{read, write, zeroed};
use crate::abi::configuration::{AccessRange, PortConfiguration};
use crate::abi::interrupt::{GroupAffinity, PerfConfigurationData, perf};
use crate::abi::srb::{ScsiRequestBlock, StorageRequestBlock, function, status as srb_status};
use crate::abi::status;
use crate::abi::{function as f, notification as n};
use crate::port::{bus, processors};

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
    /// Looks for its registers in configuration space, and asks for a bus that there is not.
    BusReader,
    /// Keeps lists, asks about nodes, and asks for what an older Windows does not have.
    ManyCalls,
    /// Touches the data of a read through the address that it asks for.
    DataToucher,
    /// Keeps what it knows of a request in a table, by its tag.
    TagTable,
    /// Does not know REPORT LUNS.
    NoUnitList,
    /// Sets every performance option that it is offered, whichever version the port driver knows, and notes what follows.
    Channels,
    /// Has the device use its messages in turn, each of which has a lock of its own, and waits in the interrupt routine.
    LockPerMessage,
    /// The same with one lock for all messages.
    LockForAll,
    /// Asks for contiguous memory, and gives it back.
    DmaMemory,
    /// Describes memory with MDLs and scatter/gather lists, its own and that of requests.
    Describer,
    /// Registers with the power management framework, and says when it is active.
    Idler,
    /// Issues no DPC that is not initialised yet.
    CautiousMessage,
}

impl Habit {
    pub(crate) const ALL: [Self; 17] = [
        Self::ExactBreaks,
        Self::ScarceBreaks,
        Self::SomeMessages,
        Self::RegisterAfterCompletion,
        Self::LongTimer,
        Self::BusReader,
        Self::ManyCalls,
        Self::DataToucher,
        Self::TagTable,
        Self::NoUnitList,
        Self::Channels,
        Self::LockPerMessage,
        Self::LockForAll,
        Self::DmaMemory,
        Self::Describer,
        Self::Idler,
        Self::CautiousMessage,
    ];
}

pub(super) fn has(extension: u64, habit: Habit) -> bool {
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
    if has(extension, Habit::ManyCalls) {
        call_much(extension);
    }
    channels::initialize(extension);
    dma::initialize(extension);
    if has(extension, Habit::Describer) {
        describe::allocate(extension);
    }
    if has(extension, Habit::Idler) {
        describe::register(extension);
    }
}

/// In `HwFindAdapter`.
pub(super) fn find(extension: u64, range: &AccessRange) {
    if has(extension, Habit::BusReader) {
        let mut bar = [0_u32; 6];
        let data = |kind, bar: &mut [u32; 6]| {
            let mut header = [0_u32; 10];
            let read = bus::get_bus_data(extension, kind, 0, 0, at(&mut header), 40);
            bar.copy_from_slice(&header[4..]);
            read
        };
        assert_eq!(data(5, &mut bar), 0);
        assert_eq!(data(4, &mut bar), 40);
        assert_eq!(u64::from(bar[0] & !0xF), range.start);
    }
}

/// When a read is begun that `srb` asks for.
pub(super) fn begun(extension: u64, srb: u64) {
    if has(extension, Habit::DataToucher) {
        let mut address = 0_u64;
        let asked = extended(extension, f::GET_SYSTEM_ADDRESS, &[srb, at(&mut address)]);
        assert_eq!(asked, status::SUCCESS);
        write(address, 0_u8);
    }
    if has(extension, Habit::Describer) {
        describe::begun(extension, srb);
    }
    if has(extension, Habit::Idler) {
        describe::activate(extension, srb);
    }
    if has(extension, Habit::TagTable) {
        let waiting = with(extension, |adapter| adapter.waiting.clone());
        let mut tags: Vec<u32> = waiting.iter().map(|&(srb, _)| tag(srb)).collect();
        tags.sort_unstable();
        assert!(tags.is_sorted_by(|one, other| one < other), "{tags:?}");
        assert!(tags.iter().all(|&tag| tag < 255), "{tags:?}");
    }
}

fn tag(srb: u64) -> u32 {
    let old: ScsiRequestBlock = read(srb);
    if old.function == function::STORAGE_REQUEST_BLOCK {
        read::<StorageRequestBlock>(srb).request_tag
    } else {
        u32::from(old.queue_tag)
    }
}

fn call_much(extension: u64) {
    let (mut head, mut entries) = ([0_u64; 2], [[0_u64; 2]; 2]);
    let head_at = at(&mut head);
    let ask = |code, more: u64| {
        let mut answer = 7_u64;
        let answer_at = at(&mut answer);
        let arguments = if more == 0 {
            [head_at, answer_at, 0]
        } else {
            [head_at, more, answer_at]
        };
        assert_eq!(extended(extension, code, &arguments), status::SUCCESS);
        read::<u64>(answer_at)
    };
    let [first, second] = entries.each_mut().map(at);
    ask(f::INITIALIZE_SLIST_HEAD, 0);
    assert_eq!(ask(f::PUSH_ENTRY_SLIST, first), 0);
    assert_eq!(ask(f::PUSH_ENTRY_SLIST, second), first);
    assert_eq!(ask(f::QUERY_DEPTH_SLIST, 0) as u16, 2);
    assert_eq!(ask(f::POP_ENTRY_SLIST, 0), second);
    assert_eq!(ask(f::FLUSH_SLIST, 0), first);
    assert_eq!(ask(f::POP_ENTRY_SLIST, 0), 0);
    let (mut affinity, mut needed) = (zeroed::<GroupAffinity>(), 0_u16);
    let arguments = [0, at(&mut affinity), 1, at(&mut needed)];
    extended(extension, f::GET_NODE_AFFINITY_2, &arguments);
    assert_eq!((affinity.mask, needed), (3, 1));
    // StorPortGetD3ColdSupport.
    assert_eq!(extended(extension, 67, &[0, 0]), status::NOT_IMPLEMENTED);
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

pub(super) fn lists_no_units(extension: u64) -> bool {
    has(extension, Habit::NoUnitList)
}

/// Whether an interrupt is left alone that comes before the DPC is initialised.
pub(super) fn is_too_early(extension: u64) -> bool {
    has(extension, Habit::CautiousMessage) && with(extension, |adapter| adapter.dpc == 0)
}

/// After a request was completed.
pub(super) fn completed(extension: u64) {
    if has(extension, Habit::RegisterAfterCompletion) {
        let registers = with(extension, |adapter| adapter.registers);
        write(registers + device::LENGTH, 0_u32);
    }
}
