//! What the port driver connects a miniport to: one trait for every kind of controller.

mod faulty;
mod model;
mod qemu;
mod vfio;
mod wiring;

use std::io;

use crate::memory::PhysicalMemory;
pub use faulty::FaultyRegisters;
pub use model::ModelController;
pub use nvme_model::{Bus, FiredFault, Moment, Power, Width};
pub use qemu::{Monitor, Program as Qemu, ProgramError as QemuError, QemuController, QemuProfile};
pub use vfio::{NamespaceSize, NvmeClient, PciAddress, VfioController, VfioError, VfioFunction};
pub(crate) use wiring::{DmaMap, Wiring};
pub use wiring::{DmaUse, Iommu};

/// Who a controller says it is, for the report.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Identity {
    /// What it is: `model`, `qemu` or `vfio`.
    pub kind: &'static str,
    /// The model number it identifies with.
    pub model: String,
    /// HMPRE in bytes.
    pub hmpre_bytes: u64,
    /// HMMIN in bytes.
    pub hmmin_bytes: u64,
    /// HMMINDS in bytes.
    pub hmminds_bytes: u64,
    /// HMMAXD, in descriptor entries; 0 is no limit.
    pub hmmaxd: u16,
}

/// The controller's own view of the host memory buffer.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HmbView {
    /// How often the buffer was enabled.
    pub enabled: u64,
    /// How often it was disabled by command.
    pub disabled: u64,
    /// How many of the enables said that the memory was the same as before (MR = 1).
    pub memory_returned: u64,
    /// What the controller may use at this moment: (physical address, bytes).
    pub lent: Vec<(u64, u64)>,
}

/// A controller on the virtual PCI Express bus. Everything happens at a time of the machine's clock, in nanoseconds,
/// which is virtual unless [`Controller::run_in_real_time`] was called.
pub trait Controller: Send {
    /// Connects it to the memory of the machine, which is `bytes` large, before anything else is asked of it.
    fn attach(&mut self, _memory: &PhysicalMemory, _bytes: u64) -> io::Result<()> {
        Ok(())
    }
    /// The times that it is told are real: it need not wait for any.
    fn run_in_real_time(&mut self) {}
    /// The most memory that it can be connected to.
    fn most_memory_bytes(&self) -> u64 {
        u64::MAX
    }
    /// Why it stopped to work, if that was its own fault: then it answers all ones, and the run says nothing about the
    /// miniport.
    fn failure(&self) -> Option<String> {
        None
    }
    /// Where BAR0 lies in this process, if the miniport is to reach the registers straight; else its accesses are trapped
    /// and come by [`Controller::read`] and [`Controller::write`].
    fn mapped_registers(&self) -> Option<u64> {
        None
    }
    /// What holds the device to the memory that its driver was given, where DMA does not go through [`Bus`].
    fn iommu(&self) -> Option<Box<dyn Iommu>> {
        None
    }
    /// Who it is.
    fn identity(&self) -> Identity;
    /// The size of BAR0.
    fn bar_bytes(&self) -> u64;
    /// Reads 1, 2 or 4 bytes of configuration space.
    fn config_read(&self, offset: u16, bytes: u8) -> u32;
    /// Writes 1, 2 or 4 bytes of configuration space.
    fn config_write(&mut self, offset: u16, bytes: u8, value: u32, now_ns: u64, bus: &mut dyn Bus);
    /// Reads from BAR0.
    fn read(&mut self, offset: u64, width: Width, now_ns: u64, bus: &mut dyn Bus) -> u64;
    /// Writes to BAR0.
    fn write(&mut self, offset: u64, width: Width, value: u64, now_ns: u64, bus: &mut dyn Bus);
    /// Does everything that is due at `now_ns`.
    fn run(&mut self, now_ns: u64, bus: &mut dyn Bus);
    /// When [`Controller::run`] has something to do next.
    fn next_event_ns(&self) -> Option<u64>;
    /// Enters a power state.
    fn power(&mut self, to: Power, now_ns: u64, bus: &mut dyn Bus);
    /// Takes the device away: from now on it answers all ones and uses no memory.
    fn remove(&mut self, bus: &mut dyn Bus);
    /// Puts a fresh device where the one was that was taken away, with the same storage.
    fn insert(&mut self, _bus: &mut dyn Bus) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// The host memory buffer as the controller sees it.
    fn hmb(&self) -> HmbView;
    /// Whether its driver can have it do anything. One that does not listen cannot be stopped, and nothing that it was given can
    /// be taken back safely.
    fn listens(&self) -> bool {
        true
    }
    /// Whether its driver has told it to stop (CC.EN = 0).
    fn is_disabled(&self) -> bool {
        true
    }
    /// Something has just been done with the adapter that faults may wait for and that the controller does not see by itself.
    fn moment(&mut self, _moment: Moment, _now_ns: u64, _bus: &mut dyn Bus) {}
    /// The faults that it was given, and how often each happened.
    fn faults(&self) -> Vec<FiredFault> {
        Vec::new()
    }
    /// Memory that its queues lie in, as long as it may use them: physical address and bytes, as far as it can tell.
    fn queue_memory(&self) -> Vec<(u64, u64)> {
        Vec::new()
    }
}
