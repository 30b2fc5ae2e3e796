//! What passes through the admin queue, seen in memory: registers that are mapped straight tell nobody of a command, but its
//! entry stays in the queue for a while, and so does its completion.

use std::collections::BTreeMap;

use nvme_spec::command::{AdminOpcode, COMMAND_BYTES, Command, FeatureCdw10};
use nvme_spec::completion::{COMPLETION_BYTES, Completion};
use nvme_spec::feature::{FeatureId, HostMemoryBufferCdw11, HostMemoryBufferDescriptor};
use nvme_spec::registers::{
    ACQ, AQA, ASQ, AdminQueueAttributes, CC, CSTS, ControllerConfiguration, ControllerStatus,
};
use nvme_spec::status::Status;
use zerocopy::FromBytes;

use crate::controller::HmbView;

/// A list of descriptors that is longer is not read to its end.
const MOST_DESCRIPTORS: u32 = 1 << 16;

/// Reads a register; nothing where that cannot be.
type Registers<'a> = &'a dyn Fn(u32) -> Option<u32>;
/// Reads from a physical address; whether that could be.
type Memory<'a> = &'a dyn Fn(u64, &mut [u8]) -> bool;

/// The admin queue pair of a controller that is enabled, and what was seen of it.
#[derive(Debug)]
struct Queues {
    submissions: u64,
    completions: u64,
    attributes: AdminQueueAttributes,
    page_bytes: u64,
    /// The next submission that is not known yet, and the next completion.
    tail: u16,
    head: u16,
    /// Whether completions carry phase tag 0 in this pass.
    inverted: bool,
    /// Commands whose completion was not seen.
    fetched: BTreeMap<u16, Command>,
}

/// Watches the admin queue, and knows from it what the controller was lent.
#[derive(Debug, Default)]
pub(super) struct AdminWatch {
    queues: Option<Queues>,
    hmb: HmbView,
    lists: Vec<(u64, usize)>,
    notes: Vec<String>,
}

impl AdminWatch {
    /// The host memory buffer, from what was seen.
    pub(super) fn hmb(&self) -> &HmbView {
        &self.hmb
    }

    /// Lists of descriptors that the controller was given since this was asked: physical address and bytes.
    pub(super) fn take_lists(&mut self) -> Vec<(u64, usize)> {
        std::mem::take(&mut self.lists)
    }

    /// What happened since this was asked.
    pub(super) fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// The controller was reset: it has no queues, and nothing is lent to it.
    pub(super) fn forget(&mut self) {
        self.queues = None;
        self.hmb.lent.clear();
    }

    /// Looks at what is new.
    pub(super) fn look(&mut self, registers: Registers<'_>, memory: Memory<'_>) {
        let (Some(configuration), Some(status)) = (registers(CC), registers(CSTS)) else {
            return;
        };
        if status == u32::MAX {
            return;
        }
        let configuration = ControllerConfiguration::from(configuration);
        let ready = ControllerStatus::from(status).rdy();
        match (configuration.en(), ready) {
            (false, false) if self.queues.is_some() => {
                self.forget();
                self.notes.push("CSTS.RDY = 0".to_owned());
            }
            (true, true) if self.queues.is_none() => {
                self.queues = Queues::of(configuration, registers);
            }
            _ => {}
        }
        while let Some((command, status)) = self.queues.as_mut().and_then(|it| it.next(memory)) {
            self.completed(&command, status, memory);
        }
    }

    fn completed(&mut self, command: &Command, status: Status, memory: Memory<'_>) {
        let feature = FeatureCdw10::from(command.cdw10).fid();
        if command.cdw0.opcode() != AdminOpcode::SET_FEATURES.0
            || feature != FeatureId::HOST_MEMORY_BUFFER
        {
            return;
        }
        let how = HostMemoryBufferCdw11::from(command.cdw11);
        let page_bytes = self.queues.as_ref().map_or(0, |queues| queues.page_bytes);
        let note = match (how.ehm(), status.is_success()) {
            (true, true) => {
                let at = u64::from(command.cdw14) << 32 | u64::from(command.cdw13 & !0xF);
                let ranges = ranges(at, command.cdw15, page_bytes, memory);
                let bytes: u64 = ranges.iter().map(|&(_, bytes)| bytes).sum();
                let count = ranges.len();
                let list_bytes = count * size_of::<HostMemoryBufferDescriptor>();
                self.hmb.enabled += 1;
                self.hmb.memory_returned += u64::from(how.mr());
                self.hmb.lent = ranges;
                self.lists.push((at, list_bytes));
                format!(
                    "Host Memory Buffer enabled: {} KiB in {count} ranges, MR = {}",
                    bytes >> 10,
                    u8::from(how.mr())
                )
            }
            (false, true) => {
                self.hmb.disabled += 1;
                self.hmb.lent.clear();
                "Host Memory Buffer disabled".to_owned()
            }
            (enable, false) => {
                let what = if enable { "enabled" } else { "disabled" };
                format!("Host Memory Buffer not {what}: {}", status.name())
            }
        };
        self.notes.push(note);
    }
}

impl Queues {
    /// Those of a controller that has just become ready.
    fn of(configuration: ControllerConfiguration, registers: Registers<'_>) -> Option<Self> {
        let address = |register: u32| {
            let (low, high) = (registers(register)?, registers(register + 4)?);
            Some((u64::from(high) << 32 | u64::from(low)) & !0xFFF)
        };
        Some(Self {
            submissions: address(ASQ)?,
            completions: address(ACQ)?,
            attributes: AdminQueueAttributes::from(registers(AQA)?),
            page_bytes: 4096 << configuration.mps(),
            tail: 0,
            head: 0,
            inverted: false,
            fetched: BTreeMap::new(),
        })
    }

    /// The next command that has completed, and how. A completion of a command that was not seen is passed over.
    fn next(&mut self, memory: Memory<'_>) -> Option<(Command, Status)> {
        loop {
            let mut entry = [0; COMPLETION_BYTES];
            let at = self.completions + u64::from(self.head) * COMPLETION_BYTES as u64;
            let read = memory(at, &mut entry);
            let seen = Completion::read_from_bytes(&entry).ok()?;
            // What the phase tag announces is there when the tag is: it is read after it.
            if !read || seen.status.phase() == self.inverted || !memory(at, &mut entry) {
                return None;
            }
            let entry = Completion::read_from_bytes(&entry).ok()?;
            self.head = (self.head + 1) % (self.attributes.acqs_z() + 1);
            self.inverted ^= self.head == 0;
            self.fetch(entry.sq_head, memory);
            if let Some(command) = self.fetched.remove(&entry.cid) {
                return Some((command, Status::from(entry.status)));
            }
        }
    }

    /// Takes note of the commands that the controller has fetched: those before `head`.
    fn fetch(&mut self, head: u16, memory: Memory<'_>) {
        let entries = self.attributes.asqs_z() + 1;
        while self.tail != head % entries {
            let mut entry = [0; COMMAND_BYTES];
            let at = self.submissions + u64::from(self.tail) * COMMAND_BYTES as u64;
            if memory(at, &mut entry)
                && let Ok(command) = Command::read_from_bytes(&entry)
            {
                self.fetched.insert(command.cdw0.cid(), command);
            }
            self.tail = (self.tail + 1) % entries;
        }
    }
}

/// What a list of descriptors describes: physical address and bytes of each range.
fn ranges(at: u64, count: u32, page_bytes: u64, memory: Memory<'_>) -> Vec<(u64, u64)> {
    let entry_bytes = size_of::<HostMemoryBufferDescriptor>() as u64;
    (0..u64::from(count.min(MOST_DESCRIPTORS)))
        .map_while(|index| {
            let mut entry = [0; size_of::<HostMemoryBufferDescriptor>()];
            memory(at + index * entry_bytes, &mut entry).then_some(())?;
            let entry = HostMemoryBufferDescriptor::read_from_bytes(&entry).ok()?;
            Some((entry.badd, u64::from(entry.bsize) * page_bytes))
        })
        .collect()
}

#[cfg(test)]
mod tests;
