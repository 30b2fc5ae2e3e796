//! `StorPortExtendedFunction`: each known code to its subject.

use super::call::Call;
use super::{
    dpc, gather, hmb, idle, lists, locks, log, mdl, memory, performance, processors, registry,
    scatter, timer, units, worker,
};
use crate::abi::function as f;
use crate::abi::srb::AddressBtl8;
use crate::abi::{callback, status};
use crate::machine::UnitAddress;
use crate::rules::port as rules;
use crate::schedule::Callback;
use crate::schedule::irql::HIGH;
use crate::thunk::Arguments;

crate::variadic!(
    /// `StorPortExtendedFunction`.
    pub(super) storport_extended_function => extended
);

/// Carries an extended function out; a code that is not known is not implemented, as on an older Windows.
unsafe extern "win64" fn extended(first: *const u64) -> u64 {
    // SAFETY: `storport_extended_function` passes the address of its own arguments; what follows reads no more of them
    // than the code documents.
    let mut arguments = unsafe { Arguments::new(first) };
    let (code, extension) = (arguments.next_u32(), arguments.next_u64());
    let undone = f::name(code).unwrap_or("an extended function");
    let (name, highest) = f::known(code).unwrap_or((undone, HIGH));
    let call = Call::enter(name, extension, highest);
    call.cpu()
        .check(&rules::CALL_DOCUMENTED, code < f::END, || {
            format!("extended function {code}")
        });
    u64::from(carry_out(&call, code, &mut arguments))
}

fn carry_out(call: &Call, code: u32, arguments: &mut Arguments) -> u32 {
    match code {
        f::ALLOCATE_POOL => memory::allocate_pool(call, arguments),
        f::FREE_POOL => memory::free_pool(call, arguments),
        f::ALLOCATE_CONTIGUOUS_MEMORY => memory::allocate_dma(call, arguments, false),
        f::FREE_CONTIGUOUS_MEMORY => memory::free_dma(call, arguments, false),
        f::ALLOCATE_DMA_MEMORY => memory::allocate_dma(call, arguments, true),
        f::FREE_DMA_MEMORY => memory::free_dma(call, arguments, true),
        f::ALLOCATE_HMB => hmb::allocate(call, arguments),
        f::FREE_HMB => hmb::free(call, arguments),
        f::ACQUIRE_SPIN_LOCK => locks::acquire(call, arguments),
        f::ACQUIRE_MSI_SPIN_LOCK => locks::acquire_message(call, arguments),
        f::RELEASE_MSI_SPIN_LOCK => locks::release_message(call, arguments),
        f::INITIALIZE_SPINLOCK => {
            call.answer(arguments.next_u64(), 0_u64);
            status::SUCCESS
        }
        f::GET_MESSAGE_INTERRUPT_INFORMATION => processors::message_information(call, arguments),
        f::INITIALIZE_PERFORMANCE_OPTIMIZATIONS => performance::options(call, arguments),
        f::GET_START_IO_PERFORMANCE_PARAMETERS => performance::start_io_parameters(call, arguments),
        f::QUERY_PERFORMANCE_COUNTER => processors::performance_counter(call, arguments),
        f::GET_CURRENT_IRQL => processors::current_irql(call, arguments),
        f::DELAY_EXECUTION => processors::delay(call, arguments),
        f::GET_CURRENT_PROCESSOR_NUMBER
        | f::GET_CURRENT_PROCESSOR_INDEX
        | f::GET_PROCESSOR_COUNT
        | f::GET_ACTIVE_GROUP_COUNT
        | f::GET_ACTIVE_NODE_COUNT
        | f::GET_HIGHEST_NODE_NUMBER
        | f::GET_GROUP_AFFINITY
        | f::GET_NODE_AFFINITY
        | f::GET_NODE_AFFINITY_2
        | f::GET_PROCESSOR_INDEX_FROM_NUMBER
        | f::GET_MESSAGE_FROM_PROCESSOR => processors::query(call, code, arguments),
        f::LOG_SYSTEM_EVENT => log::log_system_event(call, arguments),
        f::ETW_EVENT_2 => log::etw_event(call, arguments, false, 2),
        f::ETW_EVENT_4 => log::etw_event(call, arguments, false, 4),
        f::ETW_EVENT_8 => log::etw_event(call, arguments, false, 8),
        f::CHANNEL_ETW_EVENT_2 => log::etw_event(call, arguments, true, 2),
        f::CHANNEL_ETW_EVENT_4 => log::etw_event(call, arguments, true, 4),
        f::CHANNEL_ETW_EVENT_8 => log::etw_event(call, arguments, true, 8),
        f::REGISTRY_READ_ADAPTER_KEY => registry::read_adapter_key(call, arguments),
        f::REGISTRY_WRITE_ADAPTER_KEY => registry::write_adapter_key(call, arguments),
        _ => carry_out_deferred(call, code, arguments),
    }
}

/// Timers, workers, DPCs, and what is said about units and the adapter.
fn carry_out_deferred(call: &Call, code: u32, arguments: &mut Arguments) -> u32 {
    match code {
        f::CANCEL_DPC => dpc::cancel(call, arguments),
        f::INITIALIZE_WORKER => worker::initialize(call, arguments),
        f::QUEUE_WORK_ITEM => worker::queue(call, arguments),
        f::FREE_WORKER => worker::free(call, arguments),
        f::INITIALIZE_TIMER => timer::initialize(call, arguments),
        f::REQUEST_TIMER => timer::request_ex(call, arguments),
        f::FREE_TIMER => timer::free(call, arguments, false),
        f::INITIALIZE_HIGH_RESOLUTION_TIMER => timer::initialize_high_resolution(call, arguments),
        f::REQUEST_HIGH_RESOLUTION_TIMER => timer::request_high_resolution(call, arguments),
        f::CANCEL_HIGH_RESOLUTION_TIMER => timer::cancel_high_resolution(call, arguments),
        f::FREE_HIGH_RESOLUTION_TIMER => timer::free(call, arguments, true),
        f::SET_UNIT_ATTRIBUTES => set_unit_attributes(call, arguments),
        f::UPDATE_ADAPTER_MAX_IO | f::UPDATE_ADAPTER_MAX_IO_INFO => {
            update_limits(call, code, arguments)
        }
        f::SET_FEATURE_LIST => {
            let site = call.is_in(&[Callback::FindAdapter]);
            call.cpu().check(&rules::FEATURE_LIST_SITE, site, || {
                format!("in {:?}", call.cpu().callback())
            });
            status::SUCCESS
        }
        f::SET_ADAPTER_BUS_TYPE | f::MARK_DUMP_MEMORY => status::SUCCESS,
        f::LOG_TELEMETRY | f::LOG_TELEMETRY_EX | f::LOG_HARDWARE_ERROR => {
            call.tell_once(&format!("{}: what it logs is not kept", call.name()));
            status::SUCCESS
        }
        f::INITIALIZE_SLIST_HEAD
        | f::FLUSH_SLIST
        | f::POP_ENTRY_SLIST
        | f::PUSH_ENTRY_SLIST
        | f::QUERY_DEPTH_SLIST => lists::carry_out(call, code, arguments),
        f::ALLOCATE_MDL => mdl::allocate(call, arguments),
        f::FREE_MDL => mdl::free(call, arguments),
        f::BUILD_MDL => mdl::build(call, arguments),
        f::GET_ORIGINAL_MDL => mdl::of_request(call, arguments, false),
        f::GET_DATA_IN_MDL => mdl::of_request(call, arguments, true),
        f::GET_DATA_IN_LIST => scatter::list_of_input(call, arguments),
        f::GET_DATA_IN_ADDRESS => scatter::address_of_input(call, arguments),
        f::BUILD_LIST => gather::build(call, arguments),
        f::PUT_LIST => gather::release(call, arguments),
        f::INITIALIZE_POFX => idle::register(call, arguments),
        f::POFX_ACTIVATE => idle::activate(call, arguments),
        f::POFX_IDLE => idle::idle(call, arguments),
        f::POFX_LATENCY | f::POFX_RESIDENCY => idle::tolerate(call, arguments),
        f::POFX_TIMEOUT => idle::set_timeout(call, arguments),
        f::GET_SYSTEM_ADDRESS => scatter::system_address(call, arguments),
        f::GET_SYSTEM_PORT_NUMBER => system_port_number(call, arguments),
        _ => {
            call.tell_once(&format!(
                "{} (extended function {code}) is not implemented here, as on an older Windows",
                call.name()
            ));
            status::NOT_IMPLEMENTED
        }
    }
}

/// `StorPortGetSystemPortNumber`: in the address that the miniport gives.
fn system_port_number(call: &Call, arguments: &mut Arguments) -> u32 {
    let address_at = arguments.next_u64();
    if !call.needs_place::<AddressBtl8>(address_at, "address") {
        return status::INVALID_PARAMETER;
    }
    let mut address: AddressBtl8 = callback::read(address_at);
    address.port = call.cpu().adapter() as u16;
    callback::write(address_at, address);
    status::SUCCESS
}

/// `StorPortSetUnitAttributes`.
fn set_unit_attributes(call: &Call, arguments: &mut Arguments) -> u32 {
    let address_at = arguments.next_u64();
    if !call.needs::<AddressBtl8>(address_at, "address") {
        return status::INVALID_PARAMETER;
    }
    let address: AddressBtl8 = callback::read(address_at);
    units::judge(
        call,
        UnitAddress {
            adapter: call.cpu().adapter(),
            path: address.path,
            target: address.target,
            lun: address.lun,
        },
    );
    status::SUCCESS
}

/// `StorPortUpdateAdapterMaxIO` and `StorPortUpdatePortConfigMaxIOInfo`.
fn update_limits(call: &Call, code: u32, arguments: &mut Arguments) -> u32 {
    let cpu = call.cpu();
    let site = call.is_in(&[Callback::Initialize, Callback::PassiveInitialize]);
    cpu.check(&rules::MAX_IO_SITE, site, || {
        format!("in {:?}", cpu.callback())
    });
    if !site {
        return status::INVALID_DEVICE_REQUEST;
    }
    let most = arguments.next_u32();
    let per_unit = (code == f::UPDATE_ADAPTER_MAX_IO_INFO).then(|| arguments.next_u32());
    cpu.state().port.adapter.limit_requests(most, per_unit);
    status::SUCCESS
}
