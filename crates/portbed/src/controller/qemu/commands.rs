//! What each command that is handed to QEMU lets it transfer: looked at when the doorbell is rung, because QEMU itself
//! completes a command successfully though its data lie where there is no memory.

use std::collections::BTreeMap;

use nvme_model::{Access, Bus, Profile, data_parts};
use nvme_spec::command::{
    AdminOpcode, COMMAND_BYTES, Command, CreateQueueCdw10, DatasetManagementCdw10, FeatureCdw10,
    GetLogPageCdw10, GetLogPageCdw11, NvmOpcode, ReadWriteCdw12,
};
use nvme_spec::completion::COMPLETION_BYTES;
use nvme_spec::feature::FeatureId;
use nvme_spec::registers::{
    ACQ, AQA, ASQ, AdminQueueAttributes, CC, Capabilities, ControllerConfiguration, DOORBELLS,
};
use zerocopy::FromBytes;

/// Bytes of the registers that are kept as they were written.
const KEPT_BYTES: usize = 0x38;
/// Bytes of Identify data, and of the data of features that have any.
const IDENTIFY_BYTES: u64 = 4096;
const HOST_BEHAVIOR_BYTES: u64 = 512;
const POWER_TRANSITION_BYTES: u64 = 256;
const TIMESTAMP_BYTES: u64 = 8;
const RANGE_TYPE_BYTES: u64 = 4096;
const RANGE_BYTES: u64 = 16;

/// A submission queue.
#[derive(Clone, Copy, Debug)]
struct Queue {
    address: u64,
    entries: u32,
    /// The entry that was not looked at yet.
    next: u32,
}

/// The submission queues, followed by what is written into the registers and the admin queue.
#[derive(Debug)]
pub(super) struct Commands {
    block_bytes: u64,
    /// More than this in a command is refused; 0 is no limit.
    most_bytes: u64,
    capabilities: Capabilities,
    registers: [u8; KEPT_BYTES],
    queues: BTreeMap<u16, Queue>,
}

impl Commands {
    /// Those of a controller with namespaces of this geometry.
    pub(super) fn new(geometry: &Profile) -> Self {
        Self {
            block_bytes: geometry.block_bytes.into(),
            most_bytes: geometry.mdts_bytes,
            capabilities: Capabilities::new(),
            registers: [0; KEPT_BYTES],
            queues: BTreeMap::new(),
        }
    }

    /// A controller with these capabilities begins anew.
    pub(super) fn restart(&mut self, capabilities: u64) {
        self.capabilities = capabilities.into();
        self.registers = [0; KEPT_BYTES];
        self.queues.clear();
    }

    /// A register is about to be written.
    pub(super) fn written(&mut self, offset: u64, bytes: usize, value: u64, bus: &mut dyn Bus) {
        if offset >= u64::from(DOORBELLS) {
            self.rung(offset - u64::from(DOORBELLS), value as u32, bus);
            return;
        }
        let was_enabled = self.configuration().en();
        let value = value.to_le_bytes();
        let kept = self.registers.iter_mut().skip(offset as usize);
        for (kept, byte) in kept.zip(value.into_iter().take(bytes)) {
            *kept = byte;
        }
        match (was_enabled, self.configuration().en()) {
            (false, true) => self.enabled(bus),
            (true, false) => self.queues.clear(),
            _ => {}
        }
    }

    fn register(&self, offset: u32) -> u64 {
        let place = self.registers.get(offset as usize..);
        place
            .and_then(<[u8]>::first_chunk)
            .map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    fn configuration(&self) -> ControllerConfiguration {
        ControllerConfiguration::from(self.register(CC) as u32)
    }

    fn page_bytes(&self) -> u64 {
        4096 << self.configuration().mps()
    }

    /// The controller begins with its admin queues.
    fn enabled(&mut self, bus: &mut dyn Bus) {
        let attributes = AdminQueueAttributes::from(self.register(AQA) as u32);
        let completions = (u64::from(attributes.acqs_z()) + 1) * COMPLETION_BYTES as u64;
        let why = Access::CompletionEntry { queue: 0 };
        bus.transfer(self.register(ACQ), completions, true, why);
        let queue = Queue {
            address: self.register(ASQ),
            entries: u32::from(attributes.asqs_z()) + 1,
            next: 0,
        };
        self.queues.insert(0, queue);
    }

    /// A doorbell is rung: `offset` is its place among them.
    fn rung(&mut self, offset: u64, value: u32, bus: &mut dyn Bus) {
        let stride = 4_u64 << self.capabilities.dstrd();
        let (number, is_completion) = (offset / stride / 2, offset / stride % 2 == 1);
        let Ok(id) = u16::try_from(number) else {
            return;
        };
        if is_completion || !offset.is_multiple_of(stride) {
            return;
        }
        while let Some(queue) = self.queues.get_mut(&id) {
            // A value outside of the queue is the controller's to refuse.
            if queue.next == value || value >= queue.entries {
                return;
            }
            let offset = u64::from(queue.next) * COMMAND_BYTES as u64;
            let at = queue.address.wrapping_add(offset);
            queue.next = (queue.next + 1) % queue.entries;
            let mut entry = [0; COMMAND_BYTES];
            let why = Access::SubmissionEntry { queue: id };
            if bus.read(at, &mut entry, why).is_err() {
                continue;
            }
            if let Ok(command) = Command::read_from_bytes(&entry) {
                self.submitted(id, &command, bus);
            }
        }
    }

    fn submitted(&mut self, queue: u16, command: &Command, bus: &mut dyn Bus) {
        if queue == 0 && self.changes_queues(command, bus) {
            return;
        }
        let bytes = if queue == 0 {
            admin_bytes(command)
        } else {
            self.nvm_bytes(command)
        };
        if bytes == 0 || self.most_bytes != 0 && bytes > self.most_bytes {
            return;
        }
        let why = Access::Data {
            queue,
            cid: command.cdw0.cid(),
        };
        // The lower bits of an opcode say in which direction its data go: 1 to the controller, 2 from it.
        let writes = command.cdw0.opcode() & 3 == 2;
        let parts = data_parts(command, queue, bytes, self.page_bytes(), bus);
        for (address, bytes) in parts.unwrap_or_default() {
            bus.transfer(address, bytes, writes, why);
        }
    }

    /// Takes note of a queue that is made or deleted; whether the command is about one.
    fn changes_queues(&mut self, command: &Command, bus: &mut dyn Bus) -> bool {
        let size = CreateQueueCdw10::from(command.cdw10);
        let entries = u32::from(size.qsize_z()) + 1;
        match AdminOpcode(command.cdw0.opcode()) {
            AdminOpcode::CREATE_SUBMISSION_QUEUE => {
                let queue = Queue {
                    address: command.prp1,
                    entries,
                    next: 0,
                };
                // One that is there already stays as it is: the command fails.
                self.queues.entry(size.qid()).or_insert(queue);
            }
            AdminOpcode::CREATE_COMPLETION_QUEUE => {
                let bytes = u64::from(entries) * COMPLETION_BYTES as u64;
                let why = Access::CompletionEntry { queue: size.qid() };
                bus.transfer(command.prp1, bytes, true, why);
            }
            AdminOpcode::DELETE_SUBMISSION_QUEUE => {
                self.queues.remove(&size.qid());
            }
            _ => return false,
        }
        true
    }

    fn nvm_bytes(&self, command: &Command) -> u64 {
        match NvmOpcode(command.cdw0.opcode()) {
            NvmOpcode::READ | NvmOpcode::WRITE | NvmOpcode::COMPARE => {
                let blocks = u64::from(ReadWriteCdw12::from(command.cdw12).nlb_z()) + 1;
                blocks * self.block_bytes
            }
            NvmOpcode::DATASET_MANAGEMENT => {
                let ranges = DatasetManagementCdw10::from(command.cdw10).nr_z();
                (u64::from(ranges) + 1) * RANGE_BYTES
            }
            _ => 0,
        }
    }
}

/// The bytes of data of an admin command; 0 for one that has none, or that QEMU does not have.
fn admin_bytes(command: &Command) -> u64 {
    match AdminOpcode(command.cdw0.opcode()) {
        AdminOpcode::IDENTIFY => IDENTIFY_BYTES,
        AdminOpcode::GET_LOG_PAGE => {
            let lower = GetLogPageCdw10::from(command.cdw10).numdl_z();
            let upper = GetLogPageCdw11::from(command.cdw11).numdu_z();
            ((u64::from(upper) << 16 | u64::from(lower)) + 1) * 4
        }
        AdminOpcode::SET_FEATURES | AdminOpcode::GET_FEATURES => {
            match FeatureCdw10::from(command.cdw10).fid() {
                FeatureId::LBA_RANGE_TYPE => RANGE_TYPE_BYTES,
                FeatureId::AUTONOMOUS_POWER_STATE_TRANSITION => POWER_TRANSITION_BYTES,
                FeatureId::TIMESTAMP => TIMESTAMP_BYTES,
                FeatureId::HOST_BEHAVIOR_SUPPORT => HOST_BEHAVIOR_BYTES,
                _ => 0,
            }
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use nvme_model::{BusFault, Rule};
    use nvme_spec::command::CommandDword0;
    use zerocopy::IntoBytes;

    use super::*;

    const ADMIN: u64 = 0x10_0000;
    const IO: u64 = 0x20_0000;
    const COMPLETIONS: u64 = 0x30_0000;

    /// Memory that holds one entry everywhere, and all that it was asked for.
    #[derive(Default)]
    struct Memory {
        entry: Command,
        fetched: Vec<u64>,
        transferred: Vec<(u64, u64, bool)>,
    }

    impl Bus for Memory {
        fn read(&mut self, from: u64, into: &mut [u8], why: Access) -> Result<(), BusFault> {
            if let Access::SubmissionEntry { .. } = why {
                self.fetched.push(from);
                into.copy_from_slice(self.entry.as_bytes());
            }
            Ok(())
        }
        fn write(&mut self, address: u64, _: &[u8], _: Access) -> Result<(), BusFault> {
            Err(BusFault { address })
        }
        fn transfer(&mut self, start: u64, bytes: u64, write: bool, _: Access) {
            self.transferred.push((start, bytes, write));
        }
        fn interrupt(&mut self, _: u16) {}
        fn line(&mut self, _: bool) {}
        fn judge(&mut self, _: Rule, _: bool, _: &dyn Fn() -> String) {}
        fn note(&mut self, _: String) {}
    }

    fn command(opcode: u8, prp1: u64, cdw10: u32, cdw12: u32) -> Command {
        Command {
            cdw0: CommandDword0::new().with_opcode(opcode),
            prp1,
            prp2: 0x9000,
            cdw10,
            cdw12,
            ..Command::default()
        }
    }

    /// Enabled, with admin queues of four entries.
    fn enabled(memory: &mut Memory) -> Commands {
        let mut commands = Commands::new(&Profile::default());
        commands.restart(0);
        commands.written(AQA.into(), 4, 0x3_0003, memory);
        commands.written(ASQ.into(), 4, ADMIN, memory);
        commands.written(u64::from(ASQ) + 4, 4, 0, memory);
        commands.written(ACQ.into(), 8, COMPLETIONS, memory);
        commands.written(CC.into(), 4, 1, memory);
        assert_eq!(memory.transferred, [(COMPLETIONS, 64, true)]);
        memory.transferred.clear();
        commands
    }

    /// Submits `entry` to queue `id`, whose tail then is `tail`.
    fn submit(commands: &mut Commands, memory: &mut Memory, id: u64, tail: u64, entry: Command) {
        memory.entry = entry;
        commands.written(0x1000 + 8 * id, 4, tail, memory);
    }

    #[test]
    fn each_new_command_is_looked_at_once_and_its_data_in_their_direction() {
        let mut memory = Memory::default();
        let mut commands = enabled(&mut memory);
        let create = command(1, IO, 0x1_0001, 0);
        submit(&mut commands, &mut memory, 0, 1, create);
        // Two entries: the first, the second, and around.
        submit(&mut commands, &mut memory, 1, 1, command(1, 0x5000, 0, 3));
        submit(&mut commands, &mut memory, 1, 0, command(2, 0x7800, 0, 7));
        submit(&mut commands, &mut memory, 1, 1, command(0, 0x9000, 0, 7));
        assert_eq!(memory.fetched, [ADMIN, IO, IO + 64, IO]);
        let data = [
            (0x5000, 2048, false),
            (0x7800, 0x800, true),
            (0x9000, 0x800, true),
        ];
        assert_eq!(memory.transferred, data);
    }

    #[test]
    fn a_reset_forgets_the_queues() {
        let mut memory = Memory::default();
        let mut commands = enabled(&mut memory);
        commands.written(CC.into(), 4, 0, &mut memory);
        submit(&mut commands, &mut memory, 0, 1, command(6, 0x5000, 1, 0));
        assert_eq!(memory.fetched, [0; 0]);
    }

    #[test]
    fn nonsense_is_left_to_the_controller() {
        let mut memory = Memory::default();
        let mut commands = enabled(&mut memory);
        for (offset, value) in [
            (0x1000, 4),
            (0x1000, u64::MAX),
            (0x1001, 1),
            (0x1004, 1),
            (0x1008, 1),
            (u64::MAX, 1),
            (0x36, u64::MAX),
        ] {
            commands.written(offset, 8, value, &mut memory);
        }
        assert_eq!(memory.fetched, [0; 0]);
        let huge = Command {
            cdw11: u32::MAX,
            ..command(2, u64::MAX, u32::MAX, u32::MAX)
        };
        submit(&mut commands, &mut memory, 0, 1, huge);
        assert_eq!(memory.fetched, [ADMIN]);
        assert_eq!(memory.transferred, []);
    }
}
