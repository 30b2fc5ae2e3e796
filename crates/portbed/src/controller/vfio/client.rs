//! The test bed's own client of a controller, for before and after the miniport: it asks who the controller is and what its
//! namespaces hold, and never writes to them. Polled, one command at a time.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nvme_spec::command::{
    AdminOpcode, COMMAND_BYTES, COMMAND_SHIFT, Command, CommandDword0, CreateCompletionQueueCdw11,
    CreateQueueCdw10, CreateSubmissionQueueCdw11, IdentifyCdw10, NvmOpcode, ReadWriteCdw12,
};
use nvme_spec::completion::{COMPLETION_BYTES, COMPLETION_SHIFT, Completion};
use nvme_spec::identify::{
    Cns, HOST_MEMORY_UNIT_BYTES, IDENTIFY_BYTES, IdentifyController, IdentifyNamespace,
    NamespaceList,
};
use nvme_spec::registers::{
    ACQ, AQA, ASQ, AdminQueueAttributes, CAP, CC, CSTS, Capabilities, ControllerConfiguration,
    ControllerStatus, completion_head_doorbell, submission_tail_doorbell,
};
use nvme_spec::status::Status;
use zerocopy::{FromBytes, IntoBytes};

use super::dma::Tables;
use super::error::VfioError;
use super::function::VfioFunction;
use crate::controller::Identity;
use crate::disk::Geometry;
use crate::pages::{self, PAGE_BYTES, Pages};

/// Where its memory lies for the controller: the virtual machine has nothing there.
const IOVA: u64 = 1 << 20;
/// Pages of that memory: queues, a list of pages, data.
const ADMIN: u64 = 0;
const IO: u64 = 2;
const LIST: u64 = 4;
const DATA: u64 = 5;
const DATA_PAGES: u64 = 32;
/// Entries of a queue, zero-based: each fits a page, and one command is outstanding.
const ENTRIES_Z: u16 = 15;
/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it is polled before the processor is given away.
const SPIN: Duration = Duration::from_micros(200);
/// The unit of CAP.TO.
const TIMEOUT_UNIT: Duration = Duration::from_millis(500);
/// More namespaces than the miniport can show are not looked at.
const MOST_NAMESPACES: usize = 64;

/// A queue pair: where the client is in it.
#[derive(Debug, Default)]
struct Queue {
    id: u16,
    page: u64,
    tail: u16,
    head: u16,
    /// Whether completions carry phase tag 0 in this pass.
    inverted: bool,
}

/// A namespace, as the controller describes it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NamespaceSize {
    /// Its identifier.
    pub nsid: u32,
    /// Its size.
    pub geometry: Geometry,
}

/// A controller that the test bed uses by itself.
#[derive(Debug)]
pub struct NvmeClient {
    function: Arc<VfioFunction>,
    memory: Pages,
    capabilities: Capabilities,
    admin: Queue,
    io: Option<Queue>,
    identity: Identity,
    serial: String,
    most_bytes: u64,
}

impl NvmeClient {
    /// Resets the controller, brings it up, and asks who it is.
    pub fn start(function: &Arc<VfioFunction>) -> Result<Self, VfioError> {
        let address = function.address();
        Self::bring_up(function).map_err(|why| VfioError::Controller {
            address,
            why: why.to_string(),
        })
    }

    fn bring_up(function: &Arc<VfioFunction>) -> io::Result<Self> {
        function.reset()?;
        let bytes = (DATA + DATA_PAGES) * PAGE_BYTES;
        let file = pages::memory_file(bytes)?;
        let memory = Pages::of_file(&file, bytes)?;
        // SAFETY: the pages stay mapped until the client unmaps them in `drop`, and are only copied from and to.
        unsafe { function.map(IOVA, bytes, memory.address(), true) }.map_err(|why| locked(&why))?;
        let mut client = Self {
            function: Arc::clone(function),
            memory,
            capabilities: Capabilities::new(),
            admin: Queue {
                page: ADMIN,
                ..Queue::default()
            },
            io: None,
            identity: Identity::default(),
            serial: String::new(),
            most_bytes: 0,
        };
        client.enable()?;
        client.identify_controller()?;
        Ok(client)
    }

    /// Who the controller is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Its serial number.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The longest transfer that it takes, and the client makes, in bytes.
    #[must_use]
    pub fn most_bytes(&self) -> u64 {
        self.most_bytes
    }

    fn enable(&mut self) -> io::Result<()> {
        let low = self.load(CAP)?;
        self.capabilities =
            Capabilities::from(u64::from(self.load(CAP + 4)?) << 32 | u64::from(low));
        if low == u32::MAX {
            return Err(io::Error::other("its registers read as all ones"));
        }
        if self.capabilities.mpsmin() != 0 {
            return Err(io::Error::other("it needs memory pages larger than 4 KiB"));
        }
        self.await_ready(false)?;
        let queues = AdminQueueAttributes::new()
            .with_asqs_z(ENTRIES_Z)
            .with_acqs_z(ENTRIES_Z);
        self.store(AQA, queues.into())?;
        for (register, page) in [(ASQ, ADMIN), (ACQ, ADMIN + 1)] {
            self.store(register, (IOVA + page * PAGE_BYTES) as u32)?;
            self.store(register + 4, 0)?;
        }
        let configuration = ControllerConfiguration::new()
            .with_en(true)
            .with_iosqes(COMMAND_SHIFT)
            .with_iocqes(COMPLETION_SHIFT);
        self.store(CC, configuration.into())?;
        self.await_ready(true)
    }

    fn await_ready(&self, ready: bool) -> io::Result<()> {
        let patience = TIMEOUT_UNIT * u32::from(self.capabilities.to()).max(1);
        let until = Instant::now() + patience;
        loop {
            let status = ControllerStatus::from(self.load(CSTS)?);
            if u32::from(status) == u32::MAX || status.cfs() {
                return Err(io::Error::other("it reports a fatal error"));
            }
            if status.rdy() == ready {
                return Ok(());
            }
            if Instant::now() > until {
                let state = u8::from(ready);
                return Err(io::Error::other(format!(
                    "CSTS.RDY does not become {state} in {} s",
                    patience.as_secs_f32()
                )));
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn identify_controller(&mut self) -> io::Result<()> {
        let data = self.identify(Cns::CONTROLLER, 0)?;
        let controller =
            IdentifyController::read_from_bytes(&data).map_err(|_| io::ErrorKind::InvalidData)?;
        let text = |bytes: &mut dyn Iterator<Item = u8>| -> String {
            let text: String = bytes.map(char::from).collect();
            text.trim().to_owned()
        };
        self.identity = Identity {
            kind: "vfio",
            model: text(&mut controller.mn.printable()),
            hmpre_bytes: u64::from(controller.hmpre) * HOST_MEMORY_UNIT_BYTES,
            hmmin_bytes: u64::from(controller.hmmin) * HOST_MEMORY_UNIT_BYTES,
            hmminds_bytes: u64::from(controller.hmminds) * HOST_MEMORY_UNIT_BYTES,
            hmmaxd: controller.hmmaxd,
        };
        self.serial = text(&mut controller.sn.printable());
        let ours = DATA_PAGES * PAGE_BYTES;
        self.most_bytes = match controller.mdts {
            0 => ours,
            power => ours.min(PAGE_BYTES << power.min(20)),
        };
        Ok(())
    }

    /// The active namespaces whose blocks can be a disk's, in order of their identifiers.
    pub fn namespaces(&mut self) -> io::Result<Vec<NamespaceSize>> {
        let list = self.identify(Cns::ACTIVE_NAMESPACES, 0)?;
        let list = NamespaceList::read_from_bytes(&list).map_err(|_| io::ErrorKind::InvalidData)?;
        let mut found = Vec::new();
        for nsid in list.identifiers().take(MOST_NAMESPACES) {
            let data = self.identify(Cns::NAMESPACE, nsid)?;
            let namespace = IdentifyNamespace::read_from_bytes(&data)
                .map_err(|_| io::ErrorKind::InvalidData)?;
            let index = namespace.flbas.index(namespace.nlbaf_z);
            let format = namespace.lbaf.get(usize::from(index)).copied();
            let format =
                format.filter(|format| format.ms() == 0 && [9, 12].contains(&format.lbads()));
            if let Some(format) = format.filter(|_| namespace.nsze > 0) {
                let geometry = Geometry {
                    blocks: namespace.nsze,
                    block_bytes: 1 << format.lbads(),
                };
                found.push(NamespaceSize { nsid, geometry });
            }
        }
        Ok(found)
    }

    fn identify(&mut self, cns: Cns, nsid: u32) -> io::Result<Vec<u8>> {
        let command = Command {
            nsid,
            prp1: IOVA + DATA * PAGE_BYTES,
            cdw10: IdentifyCdw10::new().with_cns(cns).into(),
            ..Command::default()
        };
        self.submit_admin(AdminOpcode::IDENTIFY, command)?;
        let mut data = vec![0; IDENTIFY_BYTES];
        self.memory.read(DATA * PAGE_BYTES, &mut data)?;
        Ok(data)
    }

    /// Reads the blocks from `lba` on, at most [`NvmeClient::most_bytes`] of them at a time.
    pub fn read(&mut self, namespace: NamespaceSize, lba: u64, into: &mut [u8]) -> io::Result<()> {
        let blocks = self.most_bytes / u64::from(namespace.geometry.block_bytes);
        for (index, part) in (0..).zip(into.chunks_mut(self.most_bytes as usize)) {
            self.read_once(namespace, lba + index * blocks, part)?;
        }
        Ok(())
    }

    fn read_once(&mut self, namespace: NamespaceSize, lba: u64, into: &mut [u8]) -> io::Result<()> {
        if self.io.is_none() {
            self.io = Some(self.create_queues()?);
        }
        let first = IOVA + DATA * PAGE_BYTES;
        let pages = (into.len() as u64).div_ceil(PAGE_BYTES);
        let rest: Vec<u64> = (1..pages).map(|page| first + page * PAGE_BYTES).collect();
        let prp2 = match rest.as_slice() {
            [] => 0,
            [second] => *second,
            list => {
                self.memory.write(LIST * PAGE_BYTES, list.as_bytes())?;
                IOVA + LIST * PAGE_BYTES
            }
        };
        let blocks = into.len() as u32 / namespace.geometry.block_bytes;
        let command = Command {
            cdw0: CommandDword0::new().with_opcode(NvmOpcode::READ.0),
            nsid: namespace.nsid,
            prp1: first,
            prp2,
            cdw10: lba as u32,
            cdw11: (lba >> 32) as u32,
            cdw12: ReadWriteCdw12::new().with_nlb_z((blocks - 1) as u16).into(),
            ..Command::default()
        };
        let mut queue = self.io.take().unwrap_or_default();
        let done = self.submit(&mut queue, command);
        self.io = Some(queue);
        done.map_err(|why| io::Error::other(format!("block {lba}: {why}")))?;
        self.memory.read(DATA * PAGE_BYTES, into)
    }

    /// Creates a pair of I/O queues.
    fn create_queues(&mut self) -> io::Result<Queue> {
        let id = CreateQueueCdw10::new().with_qid(1).with_qsize_z(ENTRIES_Z);
        let completions = CreateCompletionQueueCdw11::new().with_pc(true);
        let submissions = CreateSubmissionQueueCdw11::new().with_pc(true).with_cqid(1);
        for (opcode, page, cdw11) in [
            (
                AdminOpcode::CREATE_COMPLETION_QUEUE,
                IO + 1,
                u32::from(completions),
            ),
            (
                AdminOpcode::CREATE_SUBMISSION_QUEUE,
                IO,
                u32::from(submissions),
            ),
        ] {
            let command = Command {
                prp1: IOVA + page * PAGE_BYTES,
                cdw10: id.into(),
                cdw11,
                ..Command::default()
            };
            self.submit_admin(opcode, command)?;
        }
        Ok(Queue {
            id: 1,
            page: IO,
            ..Queue::default()
        })
    }

    fn submit_admin(&mut self, opcode: AdminOpcode, mut command: Command) -> io::Result<()> {
        command.cdw0 = CommandDword0::new().with_opcode(opcode.0);
        let mut queue = std::mem::take(&mut self.admin);
        let done = self.submit(&mut queue, command);
        self.admin = queue;
        done.map_err(|why| io::Error::other(format!("{}: {why}", opcode.name())))
    }

    /// Submits a command and waits for its completion.
    fn submit(&self, queue: &mut Queue, mut command: Command) -> io::Result<()> {
        let cid = queue.tail;
        command.cdw0.set_cid(cid);
        let at = queue.page * PAGE_BYTES + u64::from(queue.tail) * COMMAND_BYTES as u64;
        self.memory.write(at, command.as_bytes())?;
        queue.tail = (queue.tail + 1) % (ENTRIES_Z + 1);
        let stride = self.capabilities.dstrd();
        self.store(
            submission_tail_doorbell(queue.id, stride),
            queue.tail.into(),
        )?;
        let began = Instant::now();
        let completion = loop {
            if let Some(completion) = self.completion(queue)? {
                break completion;
            }
            if began.elapsed() > PATIENCE {
                return Err(io::Error::other("the controller does not answer"));
            }
            if began.elapsed() > SPIN {
                thread::sleep(SPIN);
            }
        };
        queue.head = (queue.head + 1) % (ENTRIES_Z + 1);
        queue.inverted ^= queue.head == 0;
        self.store(
            completion_head_doorbell(queue.id, stride),
            queue.head.into(),
        )?;
        let status = Status::from(completion.status);
        if completion.cid != cid {
            return Err(io::Error::other("the controller completes another command"));
        }
        if status.is_success() {
            Ok(())
        } else {
            Err(io::Error::other(status.name()))
        }
    }

    /// The completion at the head of the queue, if the controller has written it.
    fn completion(&self, queue: &Queue) -> io::Result<Option<Completion>> {
        let at = (queue.page + 1) * PAGE_BYTES + u64::from(queue.head) * COMPLETION_BYTES as u64;
        // The phase tag is read first: what it announces is there when it is.
        let phase = self.memory.load_u32(at + 12)? >> 16 & 1 == 1;
        if phase == queue.inverted {
            return Ok(None);
        }
        std::sync::atomic::fence(std::sync::atomic::Ordering::Acquire);
        let mut entry = [0; COMPLETION_BYTES];
        self.memory.read(at, &mut entry)?;
        let entry = Completion::read_from_bytes(&entry).map_err(|_| io::ErrorKind::InvalidData)?;
        Ok(Some(entry))
    }

    fn load(&self, register: u32) -> io::Result<u32> {
        self.function.bar().load_u32(register.into())
    }

    fn store(&self, register: u32, value: u32) -> io::Result<()> {
        // What was written to memory is there before the controller is told of it.
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        self.function.bar().store_u32(register.into(), value)
    }
}

impl Drop for NvmeClient {
    fn drop(&mut self) {
        // The controller uses no memory any more when it was reset, or was disabled; if it takes neither, taking the memory
        // away is what protects it.
        let reset = self.function.reset();
        let _ = reset.or_else(|_| self.store(CC, 0).and_then(|()| self.await_ready(false)));
        let _ = self.function.unmap(IOVA, (DATA + DATA_PAGES) * PAGE_BYTES);
    }
}

/// What a refused mapping means.
pub(super) fn locked(error: &io::Error) -> io::Error {
    if error.raw_os_error() == Some(libc::ENOMEM) {
        io::Error::other(
            "the system does not let so much memory be locked: run as root, or raise the limit (`ulimit -l`)",
        )
    } else {
        io::Error::other(format!("the IOMMU does not map memory: {error}"))
    }
}
