use std::cell::RefCell;
use std::collections::HashMap;

use nvme_spec::command::CommandDword0;
use zerocopy::IntoBytes;

use super::*;

const SUBMISSIONS: u64 = 0x10_0000;
const COMPLETIONS: u64 = 0x20_0000;
const LIST: u64 = 0x30_0000;
/// Entries of each queue: few, so that they are used several times.
const ENTRIES: u16 = 4;

/// A driver and a controller that do what they do in memory that the watch sees.
struct Machine {
    registers: HashMap<u32, u32>,
    memory: RefCell<Vec<u8>>,
    submitted: u16,
    completed: u16,
}

impl Machine {
    fn enabled() -> Self {
        let attributes = AdminQueueAttributes::new()
            .with_asqs_z(ENTRIES - 1)
            .with_acqs_z(ENTRIES - 1);
        let registers = [
            (CC, ControllerConfiguration::new().with_en(true).into()),
            (CSTS, ControllerStatus::new().with_rdy(true).into()),
            (AQA, attributes.into()),
            (ASQ, SUBMISSIONS as u32),
            (ASQ + 4, 0),
            (ACQ, COMPLETIONS as u32),
            (ACQ + 4, 0),
        ];
        Self {
            registers: registers.into(),
            memory: RefCell::new(vec![0; 4 << 20]),
            submitted: 0,
            completed: 0,
        }
    }

    fn put(&self, at: u64, bytes: &[u8]) {
        self.memory.borrow_mut()[at as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    fn submit(&mut self, command: &Command) {
        let slot = u64::from(self.submitted % ENTRIES);
        let cid = self.submitted % 2;
        let cdw0 = CommandDword0::new()
            .with_opcode(command.cdw0.opcode())
            .with_cid(cid);
        let command = Command { cdw0, ..*command };
        self.put(
            SUBMISSIONS + slot * COMMAND_BYTES as u64,
            command.as_bytes(),
        );
        self.submitted += 1;
    }

    fn complete(&mut self, status: Status) {
        let slot = self.completed % ENTRIES;
        let phase = (self.completed / ENTRIES).is_multiple_of(2);
        let entry = Completion {
            sq_head: (self.completed + 1) % ENTRIES,
            cid: self.completed % 2,
            status: status.into_field().with_phase(phase),
            ..Completion::default()
        };
        let at = COMPLETIONS + u64::from(slot) * COMPLETION_BYTES as u64;
        self.put(at, entry.as_bytes());
        self.completed += 1;
    }

    fn look(&self, watch: &mut AdminWatch) {
        let registers = |register: u32| self.registers.get(&register).copied();
        let memory = |at: u64, into: &mut [u8]| {
            let memory = self.memory.borrow();
            let Some(found) = memory.get(at as usize..at as usize + into.len()) else {
                return false;
            };
            into.copy_from_slice(found);
            true
        };
        watch.look(&registers, &memory);
    }

    fn set_feature(
        &mut self,
        watch: &mut AdminWatch,
        cdw11: HostMemoryBufferCdw11,
        status: Status,
    ) {
        self.submit(&host_memory(cdw11));
        self.look(watch);
        self.complete(status);
        self.look(watch);
    }
}

fn host_memory(cdw11: HostMemoryBufferCdw11) -> Command {
    let fid = FeatureCdw10::new().with_fid(FeatureId::HOST_MEMORY_BUFFER);
    Command {
        cdw0: CommandDword0::new().with_opcode(AdminOpcode::SET_FEATURES.0),
        cdw10: fid.into(),
        cdw11: cdw11.into(),
        cdw13: LIST as u32,
        cdw15: 2,
        ..Command::default()
    }
}

/// Gives the controller a list of two ranges.
fn with_list() -> Machine {
    let machine = Machine::enabled();
    for (at, badd, bsize) in [(LIST, 0x100_0000, 16), (LIST + 16, 0x200_0000, 32)] {
        let descriptor = HostMemoryBufferDescriptor {
            badd,
            bsize,
            reserved: 0,
        };
        machine.put(at, descriptor.as_bytes());
    }
    machine
}

const ENABLE: HostMemoryBufferCdw11 = HostMemoryBufferCdw11::new().with_ehm(true);
const DISABLE: HostMemoryBufferCdw11 = HostMemoryBufferCdw11::new();

#[test]
fn what_is_lent_is_known_from_the_completion_on_until_it_is_taken_back() {
    let (mut machine, mut watch) = (with_list(), AdminWatch::default());
    machine.look(&mut watch);
    machine.submit(&host_memory(ENABLE));
    machine.look(&mut watch);
    assert_eq!(*watch.hmb(), HmbView::default(), "it has not completed");
    machine.complete(Status::SUCCESS);
    machine.look(&mut watch);
    assert_eq!(
        watch.hmb().lent,
        [(0x100_0000, 16 << 12), (0x200_0000, 32 << 12)]
    );
    assert_eq!(watch.take_lists(), [(LIST, 32)]);
    let expected = "Host Memory Buffer enabled: 192 KiB in 2 ranges, MR = 0";
    assert_eq!(watch.take_notes(), [expected]);
    machine.look(&mut watch);
    assert_eq!(watch.hmb().enabled, 1, "a completion counts once");
    machine.set_feature(&mut watch, DISABLE, Status::SUCCESS);
    assert_eq!((watch.hmb().disabled, watch.hmb().lent.len()), (1, 0));
}

#[test]
fn commands_are_followed_round_the_queues_and_through_bursts() {
    let (mut machine, mut watch) = (with_list(), AdminWatch::default());
    for _ in 0..9 {
        machine.set_feature(&mut watch, ENABLE.with_mr(true), Status::SUCCESS);
        // Two at once, the first of which is none of ours.
        machine.submit(&Command {
            cdw0: CommandDword0::new().with_opcode(AdminOpcode::IDENTIFY.0),
            ..Command::default()
        });
        machine.submit(&host_memory(DISABLE));
        machine.complete(Status::SUCCESS);
        machine.complete(Status::SUCCESS);
        machine.look(&mut watch);
    }
    let HmbView {
        enabled,
        disabled,
        memory_returned,
        ..
    } = *watch.hmb();
    assert_eq!((enabled, disabled, memory_returned), (9, 9, 9));
}

#[test]
fn what_was_refused_is_not_lent_and_a_failed_disable_takes_nothing_back() {
    let (mut machine, mut watch) = (with_list(), AdminWatch::default());
    machine.set_feature(&mut watch, ENABLE, Status::INVALID_FIELD);
    assert_eq!(*watch.hmb(), HmbView::default());
    machine.set_feature(&mut watch, ENABLE, Status::SUCCESS);
    machine.set_feature(&mut watch, DISABLE, Status::INTERNAL_ERROR);
    assert_eq!(watch.hmb().lent.len(), 2);
    assert_eq!(watch.hmb().disabled, 0);
    assert_eq!(watch.take_notes().len(), 3);
}

#[test]
fn a_reset_takes_everything_back_and_the_queues_begin_anew() {
    let (mut machine, mut watch) = (with_list(), AdminWatch::default());
    machine.set_feature(&mut watch, ENABLE, Status::SUCCESS);
    machine.registers.insert(CC, 0);
    machine.look(&mut watch);
    assert_eq!(watch.hmb().lent.len(), 2, "it is not seen to have stopped");
    machine.registers.insert(CSTS, 0);
    machine.look(&mut watch);
    assert_eq!(watch.hmb().lent, []);
    let mut again = with_list();
    again.set_feature(&mut watch, ENABLE, Status::SUCCESS);
    assert_eq!(watch.hmb().enabled, 2);
}

#[test]
fn a_device_that_has_gone_says_nothing() {
    let (mut machine, mut watch) = (with_list(), AdminWatch::default());
    machine.set_feature(&mut watch, ENABLE, Status::SUCCESS);
    machine.registers.insert(CC, u32::MAX);
    machine.registers.insert(CSTS, u32::MAX);
    machine.look(&mut watch);
    assert_eq!(watch.hmb().lent.len(), 2);
}
