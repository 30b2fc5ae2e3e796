//! The port driver that the test bed plays towards a miniport.
//!
//! Calls of the miniport come in through [`imports`]; each is judged and carried out in the module of its subject. What
//! the port driver does by itself, finding and starting the adapter, sending requests, changing power, stopping, are
//! functions that run on a processor of the machine.

mod adapter;
mod buffer;
mod bus;
mod call;
mod complete;
mod control;
mod dpc;
mod extended;
mod find;
mod gather;
mod hmb;
mod idle;
pub(crate) mod imports;
mod initialize;
mod kernel;
mod leaks;
mod lists;
mod locks;
mod log;
mod mdl;
mod memory;
mod notification;
mod performance;
mod power;
mod processors;
mod queue;
mod rebalance;
mod registers;
mod registry;
mod scatter;
mod srb;
mod start;
mod stop;
#[cfg(test)]
mod tests;
mod timer;
mod topology;
mod units;
mod unload;
mod unoffered;
mod worker;

pub(crate) use adapter::{Adapter, Phase};
pub(crate) use find::find_adapter;
pub(crate) use hmb::{HmbLedger, judge_lent};
pub(crate) use initialize::{Driver, enter_driver};
pub(crate) use leaks::remove_adapter;
pub(crate) use memory::{is_of_adapter, judge_overruns};
pub(crate) use power::{power_down, power_up, prepare_power_down};
pub(crate) use queue::{Queues, pump as resume, submit};
pub(crate) use rebalance::{hold, reassign, stop_for_rebalance};
pub(crate) use srb::{Function, Spec};
pub(crate) use start::initialize_adapter;
pub(crate) use stop::{
    Announcement, announce, drop_what_waits, flush, insert, retire, silence, stop_adapter, surprise,
};
pub(crate) use unload::unload_driver;

use std::collections::{BTreeMap, BTreeSet};

use crate::controller::{DmaMap, Moment};
use crate::machine::Interrupts;
use crate::schedule::{Core, Cpu, Dispatch, Due, State};

/// The port driver's memory of one adapter.
pub(crate) struct Port {
    pub(crate) adapter: Adapter,
    pub(crate) dma: DmaMap,
    /// Whether the adapter is stopped: it must be quiet.
    pub(crate) stopped: bool,
    /// Whether DPCs are dropped instead of run.
    pub(crate) drops_dpcs: bool,
    /// The adapter's stop or removal has begun.
    pub(crate) leaves: bool,
    pub(crate) queues: Queues,
    pub(crate) hmb: HmbLedger,
    memory: memory::Ledger,
    timers: timer::Timers,
    dpcs: BTreeMap<u64, dpc::Dpc>,
    mdls: BTreeMap<u64, mdl::Allocated>,
    lists: gather::Lists,
    idle: idle::Idle,
    workers: BTreeMap<u64, worker::Worker>,
    registry: registry::Registry,
    windows: Vec<registers::Window>,
    /// What the miniport was told once that it cannot have here.
    told: BTreeSet<String>,
}

impl Port {
    /// A port driver for adapter `number` with a BAR of this size and these interrupts.
    pub(crate) fn new(number: usize, bar_bytes: u64, interrupts: Interrupts) -> Self {
        Self {
            adapter: Adapter::new(number, bar_bytes, interrupts),
            dma: DmaMap::default(),
            stopped: false,
            drops_dpcs: false,
            leaves: false,
            queues: Queues::default(),
            hmb: HmbLedger::default(),
            memory: memory::Ledger::default(),
            timers: timer::Timers::default(),
            dpcs: BTreeMap::new(),
            mdls: BTreeMap::new(),
            lists: gather::Lists::new(),
            idle: idle::Idle::default(),
            workers: BTreeMap::new(),
            registry: registry::Registry::default(),
            windows: Vec::new(),
            told: BTreeSet::new(),
        }
    }
}

/// Something has just been done with the adapter: faults of its controller may wait for that.
pub(crate) fn moment(cpu: &Cpu, moment: Moment) {
    {
        let mut state = cpu.state();
        cpu.core()
            .with_controller(&mut state, |controller, now_ns, wiring| {
                controller.moment(moment, now_ns, wiring);
            });
    }
    cpu.serve();
}

/// Something is due.
pub(crate) fn due(core: &Core, state: &mut State, due: Due) {
    match due {
        Due::Timer { generation } => timer::expire(state, generation),
        Due::TimerEx { handle, generation } => timer::expire_ex(state, handle, generation),
        Due::Deadline { srb } => queue::deadline(state, srb),
        Due::Resume => queue::resume_due(core, state),
    }
}

/// Does work at `DISPATCH_LEVEL`.
pub(crate) fn dispatch(cpu: &Cpu, work: Dispatch) {
    match work {
        Dispatch::Dpc(address) => dpc::run(cpu, address),
        Dispatch::Timer => timer::run(cpu),
        Dispatch::TimerEx(handle) => timer::run_ex(cpu, handle),
        Dispatch::List(buffer) => gather::run(cpu, buffer),
        Dispatch::Start(srb) => queue::start(cpu, srb),
        Dispatch::TimedOut(srb) => queue::timed_out(cpu, srb),
        Dispatch::Power(state, action) => power::set_power(cpu, state, action),
        Dispatch::ResetBus(path) => queue::reset_bus(cpu, path),
    }
}
