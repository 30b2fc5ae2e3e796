//! The driver's side: steps in virtual time, and what came of them.

use nvme::identify::NamespaceInfo;
use nvme::lifecycle::{Controller, Failure, Goal, Inventory, Progress, QueueMemory, Settings};
use nvme_spec::command::{AdminOpcode, Command};
use nvme_spec::registers::{CC, ControllerConfiguration};

use super::{BASE, Device, Memory};

/// A driver for the controller: steps in virtual time.
pub struct Host {
    pub controller: Controller<Memory>,
    pub inventory: Box<Inventory>,
    pub device: Device,
}

impl Host {
    pub fn new(device: Device) -> Self {
        let mut inventory = Box::new(Inventory::new());
        for (index, queue) in inventory.queues.iter_mut().enumerate().take(8) {
            let offset = 0x1_0000 + 0x2000 * index as u64;
            *queue = QueueMemory {
                submission_address: BASE + offset,
                completion_address: BASE + offset + 0x1000,
                submission_entries: 64,
                completion_entries: 64,
                vector: u16::try_from(index).unwrap(),
            };
        }
        let controller = Controller::new(device.admin_memory(), Settings::default()).unwrap();
        Self {
            controller,
            inventory,
            device,
        }
    }

    /// A controller that is enabled, identified, and has one I/O queue pair.
    pub fn started() -> Self {
        let mut host = Self::new(Device::new());
        assert_eq!(host.reach(Goal::Identify), Progress::Done);
        assert_eq!(host.reach(Goal::Start { pairs: 1 }), Progress::Done);
        host
    }

    pub fn step(&mut self) -> Progress {
        let now = self.device.now();
        self.controller.step(&self.device, &mut self.inventory, now)
    }

    /// Begins a goal and steps to its end.
    pub fn reach(&mut self, goal: Goal) -> Progress {
        self.controller
            .begin(goal, self.device.now())
            .expect("a goal that can be begun now");
        self.settle()
    }

    /// Steps until something is reached or missed. Every wait inside has a deadline, so the number of steps is bounded.
    pub fn settle(&mut self) -> Progress {
        for _ in 0..1_000_000 {
            match self.step() {
                Progress::Again { after_us } => {
                    self.device
                        .now_us
                        .set(self.device.now_us.get() + u64::from(after_us));
                }
                end => return end,
            }
        }
        panic!("an endless goal");
    }

    pub fn namespaces(&self) -> &[NamespaceInfo] {
        self.inventory.namespaces.as_slice()
    }
}

/// The last command that has this opcode.
pub fn last(device: &Device, opcode: AdminOpcode) -> Command {
    let commands = device.commands.borrow();
    let found = commands
        .iter()
        .rfind(|command| command.cdw0.opcode() == opcode.0);
    *found.expect("such a command")
}

/// Why a goal was missed.
pub fn failed(progress: Progress) -> Failure {
    match progress {
        Progress::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

/// Values written to CC, in order.
pub fn configurations(device: &Device) -> Vec<ControllerConfiguration> {
    let writes = device.writes.borrow();
    writes
        .iter()
        .filter(|write| write.0 == CC)
        .map(|write| (write.1 as u32).into())
        .collect()
}
