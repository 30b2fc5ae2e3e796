//! `HwFindAdapter`: the registers, the queues' memory, and what the controller is.

use nvme::identify::MAX_NAMESPACES;
use nvme::identity::{self, Doubt, Identity};
use nvme::lifecycle::{ADMIN_ENTRIES, AdminMemory, Controller, Failure, Goal, Progress, Settings};
use nvme::queue::{CompletionQueue, SubmissionQueue};
use nvme::quirks::{self, Quirks};
use nvme::{PAGE_BYTES, Registers, prp};
use nvme_spec::command::COMMAND_BYTES;
use nvme_spec::completion::COMPLETION_BYTES;
use nvme_spec::registers::{CC, ControllerConfiguration, INTMC, INTMS};

use crate::adapter::Adapter;
use crate::control::call::Call;
use crate::control::naming;
use crate::control::policy;
use crate::control::recovery::MissedInterrupts;
use crate::control::report::{self, Missing};
use crate::control::state::{Life, MAX_RESETS, Stage, State, is_final};
use crate::io::gate::Gate;
use crate::io::pair::MAX_ENTRIES;
use crate::io::units::Change;
use crate::storport::{
    Configuration, DmaBlock, Finding, Irql, Limits, MAX_TRANSFER_BYTES, MessageRoutine,
    PciFunction, Port, RegisterWindow, SrbStatus,
};

/// Why there is no adapter.
pub(crate) enum FindError {
    /// The port driver's resources are not enough, or are not what a controller needs.
    Configuration(Missing),
    /// The controller does not work, or is none that this driver knows.
    Controller,
}

/// The identifier of the first I/O queue pair's queues; the others follow.
const FIRST_IO_QUEUE: u16 = 1;

const PAGE: usize = PAGE_BYTES as usize;
const SUBMISSION_BYTES: usize = MAX_ENTRIES as usize * COMMAND_BYTES;
const COMPLETION_RING_BYTES: usize = MAX_ENTRIES as usize * COMPLETION_BYTES;
const _: () = assert!(ADMIN_ENTRIES as usize * COMMAND_BYTES <= PAGE);

/// Storport wants an adapter to take at least so many physical breaks.
const LEAST_BREAKS: u32 = 16;

/// What no controller raises.
const UPPER_BOUNDS: Limits = Limits {
    transfer_bytes: MAX_TRANSFER_BYTES,
    physical_breaks: prp::max_entries(MAX_TRANSFER_BYTES),
    requests: MAX_ENTRIES as u32 - 1,
    units: MAX_NAMESPACES as u8,
};
const _: () = assert!(UPPER_BOUNDS.physical_breaks >= LEAST_BREAKS);

/// Four pages for the admin queues, Identify and the HMB descriptor list, the I/O queues, and a page to align them.
const fn memory_bytes(pairs: usize) -> usize {
    let rings = pairs.saturating_mul(SUBMISSION_BYTES + COMPLETION_RING_BYTES);
    rings.saturating_add(5 * PAGE)
}

/// Finds out what the adapter is: enables the controller with its interrupts masked and polls it through Identify. Why it does
/// not, an event tells.
pub(crate) fn find(
    adapter: &Adapter,
    port: Port,
    configuration: &mut Configuration<'_>,
    messages: MessageRoutine,
    finding: &mut Finding,
) -> Result<(), FindError> {
    if configuration.is_dump() {
        // Writing crash dumps is not supported: better no dump than a controller in an unknown state. At HIGH_LEVEL nothing can be
        // told.
        return Err(FindError::Configuration(Missing::Dump));
    }
    // Outside dump mode, a driver that supports ScsiRestartAdapter is only called here at PASSIVE_LEVEL.
    let irql = port.current_irql().unwrap_or(Irql::Passive);
    let call = Call::barred(adapter, port, irql);
    let found = attach(call, configuration, messages, finding);
    if let Err(FindError::Configuration(missing)) = found {
        report::not_found(call, missing);
    }
    found
}

fn attach(
    call: Call<'_>,
    configuration: &mut Configuration<'_>,
    messages: MessageRoutine,
    finding: &mut Finding,
) -> Result<(), FindError> {
    let (adapter, port) = (call.adapter, call.port);
    let missing = FindError::Configuration;
    let registers = configuration
        .map_registers(port)
        .ok_or(missing(Missing::Registers))?;
    configuration.set(&UPPER_BOUNDS, messages);
    let memory = memory(call, configuration).ok_or(missing(Missing::Memory))?;
    let function = port.pci_function(configuration);
    if let Some(function) = &function {
        function.let_master(port, configuration);
    }
    let pci = function.as_ref().map_or((0, 0), PciFunction::identifier);
    let given = given_quirks(call);
    let quirks = given.unwrap_or_else(|| quirks::of_function(pci));
    let mut state = adapter.state.try_lock().ok_or(missing(Missing::State))?;
    let _void = adapter.owed.take();
    adapter.admin_lookout.turn_to(None);
    adapter.io.look_away();
    prepare(&mut state, registers, memory, quirks).ok_or(missing(Missing::Layout))?;
    let masked = !function.as_ref().is_some_and(PciFunction::msi_x_enabled);
    let msi_x = function.as_ref().is_some_and(PciFunction::has_msi_x);
    adapter.mask.set_msi_x(msi_x);
    // How many there are, the start asks. What an earlier one was told may be wrong by now.
    adapter.set_messages(u16::from(!masked));
    identify(&mut state, call, masked)?;
    if masked {
        // The rings are drained and no command is outstanding: nothing interrupts before the start. A mask that stayed would
        // hold plain MSI back for good, and nobody can take it away once MSI-X is enabled.
        registers.write32(INTMC, u32::MAX);
    }
    let state = &mut *state;
    let Some(controller) = &mut state.controller else {
        return Err(FindError::Controller);
    };
    let Some(mut info) = controller.info().copied() else {
        return Err(FindError::Controller);
    };
    let quirks = given.unwrap_or_else(|| quirks::of_device(pci, &info.model.0, &info.firmware.0));
    if quirks != Quirks::NONE {
        report::quirks(call, quirks, given.is_some());
    }
    adapter.set_quirks(quirks);
    if quirks.has(Quirks::NO_WRITE_ZEROES) {
        info.write_zeroes_bytes = None;
    }
    // Those by model and firmware are known only now.
    controller.set_settings(settings(quirks));
    let namespaces = state.inventory.namespaces.as_slice();
    let identity = Identity::of(&info, namespaces);
    let naming = name(call, &identity, quirks, configuration.place());
    let units = adapter.io.units.get_mut(finding);
    units.set(&info, naming);
    // The port driver looks for units once the adapter is started.
    let _changed = units.renew(
        &state.inventory.namespaces,
        |namespace| report::unusable(call, namespace),
        |nsid, change| {
            // What comes with its adapter is no change.
            if change != Change::Added {
                report::namespace_changed(call, nsid, change);
            }
        },
    );
    let depth = adapter
        .io
        .pairs()
        .first()
        .map_or(0, |pair| pair.lock().depth());
    let limits = Limits {
        transfer_bytes: units.max_transfer_bytes(),
        physical_breaks: prp::max_entries(units.max_transfer_bytes()).max(LEAST_BREAKS),
        requests: u32::from(depth).max(1),
        units: UPPER_BOUNDS.units,
    };
    *adapter.registers.get_mut(finding) = Some(registers);
    configuration.set(&limits, messages);
    Ok(())
}

/// Memory for a queue pair for each processor, or for fewer.
fn memory(call: Call<'_>, configuration: &mut Configuration<'_>) -> Option<DmaBlock> {
    let mut pairs = call.adapter.io.all_pairs().len();
    while pairs > 0 {
        let bytes = memory_bytes(pairs) as u32;
        let memory = call.port.uncached_extension(configuration, bytes);
        if memory.is_some() {
            return memory;
        }
        pairs /= 2;
    }
    None
}

/// By what the namespaces are named.
fn name(call: Call<'_>, identity: &Identity, quirks: Quirks, place: u64) -> scsi::Naming {
    let not_unique = quirks.has(Quirks::IDENTIFIERS_NOT_UNIQUE);
    let known = Doubt {
        identifiers: not_unique,
        uuid: not_unique,
        serial: false,
    };
    match naming::choose(call, identity, known) {
        identity::Naming::Reported => scsi::Naming::Reported,
        identity::Naming::Uuid => scsi::Naming::Uuid,
        identity::Naming::Serial => scsi::Naming::Serial,
        identity::Naming::Place => scsi::Naming::Place(place),
    }
}

/// The quirks that the registry gives in the place of those that are known. `PASSIVE_LEVEL`; elsewhere those that are known count.
fn given_quirks(call: Call<'_>) -> Option<Quirks> {
    if call.irql == Irql::Passive {
        policy::quirks(call.port)
    } else {
        None
    }
}

/// How a controller with these quirks is treated.
fn settings(quirks: Quirks) -> Settings {
    Settings {
        max_transfer_bytes: MAX_TRANSFER_BYTES,
        ready_delay_us: if quirks.has(Quirks::READY_DELAY) {
            quirks::READY_DELAY_US
        } else {
            0
        },
        namespace_list: !quirks.has(Quirks::NO_NAMESPACE_LIST),
        descriptors: !quirks.has(Quirks::NO_DESCRIPTORS),
        ..Settings::default()
    }
}

/// Lays the controller's memory out. Whatever an earlier start left behind is replaced.
fn prepare(
    state: &mut State,
    registers: RegisterWindow,
    mut memory: DmaBlock,
    quirks: Quirks,
) -> Option<()> {
    memory.align(PAGE)?;
    let admin = AdminMemory {
        submission: memory.take(PAGE)?,
        completion: memory.take(PAGE)?,
        data: memory.take(PAGE)?,
        hmb_list: memory.take(PAGE)?,
    };
    state.controller = Some(Controller::new(admin, settings(quirks))?);
    state.registers = Some(registers);
    state.io_memory = Some(memory);
    state.life = Life::Empty;
    state.stage = Stage::Idle;
    state.removed = false;
    state.missed_interrupts = MissedInterrupts::NONE;
    state.unfinished = SrbStatus::NO_HBA;
    state.hmb.start_anew();
    Some(())
}

/// Brings the controller up as far as Identify goes, and makes its I/O queues of the size that it takes. A controller that
/// fails is told of and stopped: the port driver takes its memory back. `masked` says that its line interrupt has to be
/// held down.
fn identify(state: &mut State, call: Call<'_>, masked: bool) -> Result<(), FindError> {
    let mut tries = MAX_RESETS;
    // With MSI-X enabled nobody may touch a mask that was left behind (NVMe over PCIe Transport 1.0c, section 3.5.1.1), and a
    // controller may hold its messages back for it. A reset takes it away; one that was found disabled has to be enabled for that.
    let mask_may_stay = !masked && state.registers.as_ref().is_some_and(is_disabled);
    while let Err(failure) = reach(state, call, Goal::Identify, masked).and_then(|()| {
        if mask_may_stay {
            reach(state, call, Goal::Reset, masked)
        } else {
            Ok(())
        }
    }) {
        report::failed(call, failure);
        tries = tries.saturating_sub(1);
        if tries == 0 || is_final(failure) || matches!(failure, Failure::Unsupported(_)) {
            silence(state, call, masked);
            return Err(FindError::Controller);
        }
    }
    if make_queues(state, call).is_none() {
        silence(state, call, masked);
        return Err(FindError::Configuration(Missing::Queues));
    }
    Ok(())
}

fn is_disabled(registers: &RegisterWindow) -> bool {
    !ControllerConfiguration::from(registers.read32(CC)).en()
}

/// The adapter is not to be: its controller is stopped, and the line stays down.
fn silence(state: &mut State, call: Call<'_>, masked: bool) {
    let _stopped = reach(state, call, Goal::Disable, masked);
    if masked && let Some(registers) = &state.registers {
        registers.write32(INTMS, u32::MAX);
    }
}

/// Makes the I/O queues, as large as the controller takes them.
fn make_queues(state: &mut State, call: Call<'_>) -> Option<()> {
    let controller = state.controller.as_ref()?;
    let entries = controller.max_queue_entries().min(MAX_ENTRIES);
    let dstrd = controller.capabilities().dstrd();
    let (mut memory, registers) = (state.io_memory.take()?, state.registers?);
    let io = &call.adapter.io;
    let mut placed = 0;
    for (pair, queue_id) in io.all_pairs().iter().zip(FIRST_IO_QUEUE..) {
        let (Some(submission), Some(completion)) = (
            memory.take(SUBMISSION_BYTES),
            memory.take(COMPLETION_RING_BYTES),
        ) else {
            break;
        };
        let submission = SubmissionQueue::new(submission, queue_id, entries, dstrd)?;
        let completion = CompletionQueue::new(completion, queue_id, entries, dstrd)?;
        pair.lock().place((submission, completion), registers);
        placed = usize::from(queue_id);
    }
    io.set_placed(placed);
    io.set_used(placed);
    state.gate = Gate::Closed;
    (placed > 0).then_some(())
}

/// Steps the controller to a goal. Every wait inside has a deadline, so this ends.
fn reach(state: &mut State, call: Call<'_>, goal: Goal, masked: bool) -> Result<(), Failure> {
    let (Some(controller), Some(registers)) = (&mut state.controller, &state.registers) else {
        return Err(Failure::Removed);
    };
    let now = || call.port.now();
    controller
        .begin(goal, now())
        .map_err(|_| Failure::QueueMemory)?;
    loop {
        if masked {
            // A reset clears the mask, and nobody handles the interrupt yet.
            registers.write32(INTMS, u32::MAX);
        }
        match controller.step(registers, &mut state.inventory, now()) {
            Progress::Again { after_us: 0 } => {}
            Progress::Again { after_us } => call.port.pause(after_us, call.irql),
            Progress::Done => return Ok(()),
            Progress::Failed(failure) => return Err(failure),
        }
    }
}
