//! A host behind the client of the crate `vfio_user`: memory, interrupts, and an NVMe driver of the simplest kind.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nvme_spec::command::{AdminOpcode, Command, CommandDword0, NvmOpcode};
use nvme_spec::completion::Completion;
use nvme_spec::registers;
use nvme_spec::status::Status;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use vfio_user::Client;
use zerocopy::{FromBytes, IntoBytes};

pub const BAR: u32 = 0;
pub const CONFIG: u32 = 7;
pub const LINE: u32 = 0;
pub const MSIX: u32 = 2;
pub const TRIGGER_BY_EVENTFD: u32 = 1 << 5 | 1 << 2;
pub const UNMASK: u32 = 1 << 4 | 1;

/// Where the host's memory begins for the device, and its size.
pub const BASE: u64 = 0x1_0000_0000;
pub const BYTES: u64 = 16 << 20;
const PAGE: u64 = 4096;
const ENTRIES: u32 = 8;

/// How long anything may take: far more than it does.
const PATIENCE: Duration = Duration::from_mins(1);

/// A queue pair.
pub struct Pair {
    id: u16,
    submission: u64,
    completion: u64,
    tail: u32,
    head: u32,
    phase: bool,
}

pub struct Host {
    pub client: Client,
    pub memory: File,
    free: u64,
    cid: u16,
    admin: Option<Pair>,
}

/// Where an interrupt arrives.
pub struct Target(pub OwnedFd);

impl Target {
    pub fn new() -> Self {
        Self(eventfd(0, EventfdFlags::NONBLOCK).unwrap())
    }

    /// Waits for an interrupt and takes it.
    pub fn wait(&self) {
        let mut ready = [PollFd::new(&self.0, PollFlags::IN)];
        let most = Timespec::try_from(PATIENCE).unwrap();
        assert_eq!(poll(&mut ready, Some(&most)), Ok(1), "no interrupt");
        self.take();
    }

    /// How many interrupts there were since it was last asked.
    pub fn take(&self) -> u64 {
        let mut count = [0; 8];
        rustix::io::read(&self.0, &mut count).map_or(0, |_| u64::from_ne_bytes(count))
    }
}

pub fn admin(opcode: AdminOpcode) -> Command {
    Command {
        cdw0: CommandDword0::new().with_opcode(opcode.0),
        ..Command::default()
    }
}

pub fn nvm(opcode: NvmOpcode) -> Command {
    Command {
        cdw0: CommandDword0::new().with_opcode(opcode.0),
        nsid: 1,
        ..Command::default()
    }
}

impl Host {
    /// Connects, maps memory, and lets the device decode its BAR and use memory.
    pub fn new(socket: &Path) -> Self {
        let mut client = Client::new(socket).unwrap();
        let memory = File::from(memfd_create("memory", MemfdFlags::CLOEXEC).unwrap());
        memory.set_len(BYTES).unwrap();
        client.dma_map(0, BASE, BYTES, memory.as_raw_fd()).unwrap();
        client.region_write(CONFIG, 4, &[6, 0]).unwrap();
        Self {
            client,
            memory,
            free: 0,
            cid: 0,
            admin: None,
        }
    }

    /// The same, with the controller ready and its admin queue.
    pub fn ready(socket: &Path) -> Self {
        let mut host = Self::new(socket);
        host.bring_up();
        host
    }

    pub fn bring_up(&mut self) {
        let pair = self.pair(0);
        self.set(registers::AQA, (ENTRIES - 1) << 16 | (ENTRIES - 1));
        self.set64(registers::ASQ, pair.submission);
        self.set64(registers::ACQ, pair.completion);
        self.admin = Some(pair);
        self.set(registers::CC, 4 << 20 | 6 << 16 | 1);
        self.await_status(1, 1);
    }

    /// A normal shutdown.
    pub fn shut_down(&mut self) {
        let configuration = self.get(registers::CC);
        self.set(registers::CC, configuration | 1 << 14);
        self.await_status(0b1100, 0b1000);
    }

    /// Waits until the bits of CSTS are like this.
    pub fn await_status(&mut self, mask: u32, wanted: u32) {
        let end = Instant::now() + PATIENCE;
        while self.get(registers::CSTS) & mask != wanted {
            assert!(Instant::now() < end, "CSTS never became {wanted:#x}");
            sleep(Duration::from_millis(1));
        }
    }

    pub fn config(&mut self, offset: u64, bytes: usize) -> u32 {
        let mut data = [0; 4];
        self.client
            .region_read(CONFIG, offset, &mut data[..bytes])
            .unwrap();
        u32::from_le_bytes(data)
    }

    pub fn get(&mut self, register: u32) -> u32 {
        let mut data = [0; 4];
        self.client
            .region_read(BAR, register.into(), &mut data)
            .unwrap();
        u32::from_le_bytes(data)
    }

    pub fn set(&mut self, register: u32, value: u32) {
        let data = value.to_le_bytes();
        self.client
            .region_write(BAR, register.into(), &data)
            .unwrap();
    }

    fn set64(&mut self, register: u32, value: u64) {
        let data = value.to_le_bytes();
        self.client
            .region_write(BAR, register.into(), &data)
            .unwrap();
    }

    /// Pages that nobody uses yet, all zero.
    pub fn alloc(&mut self, bytes: u64) -> u64 {
        let at = self.free;
        self.free += bytes.next_multiple_of(PAGE);
        assert!(self.free <= BYTES);
        BASE + at
    }

    pub fn put(&self, at: u64, data: &[u8]) {
        self.memory.write_all_at(data, at - BASE).unwrap();
    }

    pub fn look(&self, at: u64, bytes: usize) -> Vec<u8> {
        let mut data = vec![0; bytes];
        self.memory.read_exact_at(&mut data, at - BASE).unwrap();
        data
    }

    /// Sends interrupts from number `start` on to these.
    pub fn direct(&mut self, kind: u32, start: u32, targets: &[&Target]) {
        let descriptors: Vec<_> = targets.iter().map(|target| target.0.as_raw_fd()).collect();
        self.client
            .set_irqs(
                kind,
                TRIGGER_BY_EVENTFD,
                start,
                targets.len() as u32,
                &descriptors,
            )
            .unwrap();
    }

    fn pair(&mut self, id: u16) -> Pair {
        Pair {
            id,
            submission: self.alloc(PAGE),
            completion: self.alloc(PAGE),
            tail: 0,
            head: 0,
            phase: true,
        }
    }

    /// Creates a pair of I/O queues, which interrupts with this vector.
    pub fn io_queues(&mut self, vector: u32) -> Pair {
        let mut number = admin(AdminOpcode::SET_FEATURES);
        number.cdw10 = 7;
        self.admin_ok(number);
        let pair = self.pair(1);
        let size = (ENTRIES - 1) << 16 | 1;
        let mut create = admin(AdminOpcode::CREATE_COMPLETION_QUEUE);
        (create.prp1, create.cdw10, create.cdw11) = (pair.completion, size, vector << 16 | 0b11);
        self.admin_ok(create);
        let mut create = admin(AdminOpcode::CREATE_SUBMISSION_QUEUE);
        (create.prp1, create.cdw10, create.cdw11) = (pair.submission, size, 1 << 16 | 1);
        self.admin_ok(create);
        pair
    }

    /// Sends a command.
    pub fn send(&mut self, pair: &mut Pair, mut command: Command) {
        self.cid += 1;
        command.cdw0.set_cid(self.cid);
        let slot = pair.submission + u64::from(pair.tail) * 64;
        self.put(slot, command.as_bytes());
        pair.tail = (pair.tail + 1) % ENTRIES;
        self.set(registers::submission_tail_doorbell(pair.id, 0), pair.tail);
    }

    /// Waits for the completion of the last command and takes it.
    pub fn complete(&mut self, pair: &mut Pair) -> Completion {
        let slot = pair.completion + u64::from(pair.head) * 16;
        let end = Instant::now() + PATIENCE;
        loop {
            let entry = Completion::read_from_bytes(&self.look(slot, 16)).unwrap();
            if entry.status.phase() == pair.phase {
                pair.head = (pair.head + 1) % ENTRIES;
                pair.phase ^= pair.head == 0;
                self.set(registers::completion_head_doorbell(pair.id, 0), pair.head);
                assert_eq!(entry.cid, self.cid);
                return entry;
            }
            assert!(Instant::now() < end, "no completion");
            sleep(Duration::from_millis(1));
        }
    }

    pub fn execute(&mut self, pair: &mut Pair, command: Command) -> Status {
        self.send(pair, command);
        self.complete(pair).status.into()
    }

    /// Carries out an admin command.
    pub fn admin(&mut self, command: Command) -> Status {
        let mut pair = self.admin.take().expect("brought up");
        let status = self.execute(&mut pair, command);
        self.admin = Some(pair);
        status
    }

    pub fn admin_ok(&mut self, command: Command) {
        assert_eq!(self.admin(command), Status::SUCCESS, "{command:?}");
    }
}
