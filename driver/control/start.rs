//! The start of an adapter, once it is found: everything that takes time, at `PASSIVE_LEVEL`.

use nvme::quirks::Quirks;

use crate::adapter::Adapter;
use crate::control::call::Call;
use crate::control::downgrade;
use crate::control::policy;
use crate::control::state::Life;
use crate::storport::{Irql, Port};

/// Messages that are of use: one for the admin queue, one for the I/O queue.
const MESSAGES: u16 = 2;

/// `HwStorPassiveInitializeRoutine`: I/O queues, event requests, Host Memory Buffer. True when the adapter runs.
pub(crate) fn start(adapter: &Adapter, port: Port) -> bool {
    let quirks = adapter.quirks();
    let wanted = if quirks.has(Quirks::ONE_MESSAGE) {
        1
    } else {
        MESSAGES
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
    adapter.set_starting(false);
    // Whatever an interrupt told of meanwhile.
    adapter.dpc.issue(port);
    call.with(|state, _| state.life == Life::Running)
        .unwrap_or(false)
}
