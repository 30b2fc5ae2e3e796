//! The start of an adapter, once it is found: everything that takes time, at `PASSIVE_LEVEL`.

use nvme::quirks::Quirks;

use crate::adapter::Adapter;
use crate::control::call::Call;
use crate::control::downgrade;
use crate::control::policy;
use crate::control::report;
use crate::control::state::Life;
use crate::storport::{Irql, Port};

/// `HwStorPassiveInitializeRoutine`: I/O queues, event requests, Host Memory Buffer. True when the adapter runs.
pub(crate) fn start(adapter: &Adapter, port: Port) -> bool {
    let quirks = adapter.quirks();
    // One for the admin queue, and one for each I/O queue pair.
    let wanted = if quirks.has(Quirks::ONE_MESSAGE) {
        1
    } else {
        (adapter.io.pairs().len() as u16).saturating_add(1)
    };
    adapter.set_messages(port.interrupt_messages(wanted));
    let mut policy = policy::read(port);
    if quirks.has(Quirks::NO_HMB) {
        policy.maximum_megabytes = 0;
    }
    let call = Call::barred(adapter, port, Irql::Passive);
    let downgrade = downgrade::read(port, adapter.io.units.get().firmware());
    adapter.set_starting(true);
    call.with(|state, call| {
        state.policy = Some(policy);
        state.hmb.downgrade = downgrade;
        state.begin_start(call);
    });
    call.advance_to_end();
    optimize(call);
    adapter.set_starting(false);
    // Whatever an interrupt told of meanwhile.
    adapter.dpc.issue(port);
    call.with(|state, _| state.life == Life::Running)
        .unwrap_or(false)
}

/// Has the port driver do for the I/O path what it can, and tells of the queues.
fn optimize(call: Call<'_>) {
    let (adapter, port) = (call.adapter, call.port);
    let pairs = adapter.io.used();
    let messages = if adapter.io_has_own_messages() {
        pairs as u16
    } else {
        0
    };
    let granted = port.optimize(messages, &adapter.targets);
    adapter.io.set_assigned(granted.assigns_messages());
    report::queues(call, pairs, adapter.io.all_pairs().len(), granted);
}
