//! A controller whose registers read as they should not, now and then: faults in front of one that cannot be told to have any.

use std::io;

use nvme_model::{Bus, Fault, FiredFault, Moment, Power, RegisterFaults, Width};
use nvme_spec::registers::{CC, ControllerConfiguration};

use super::{Controller, HmbView, Identity, Iommu};
use crate::memory::PhysicalMemory;

/// Another controller, with faults of its registers.
pub struct FaultyRegisters {
    inner: Box<dyn Controller>,
    faults: RegisterFaults,
    enabled: bool,
    now_ns: u64,
}

impl FaultyRegisters {
    /// `inner` with these faults; of others than those of registers nothing comes.
    #[must_use]
    pub fn new(inner: Box<dyn Controller>, faults: &[Fault]) -> Self {
        Self {
            inner,
            faults: RegisterFaults::new(faults),
            enabled: false,
            now_ns: 0,
        }
    }
}

impl Controller for FaultyRegisters {
    fn attach(&mut self, memory: &PhysicalMemory, bytes: u64) -> io::Result<()> {
        self.inner.attach(memory, bytes)
    }

    fn run_in_real_time(&mut self) {
        self.inner.run_in_real_time();
    }

    fn most_memory_bytes(&self) -> u64 {
        self.inner.most_memory_bytes()
    }

    fn failure(&self) -> Option<String> {
        self.inner.failure()
    }

    fn iommu(&self) -> Option<Box<dyn Iommu>> {
        self.inner.iommu()
    }

    fn identity(&self) -> Identity {
        self.inner.identity()
    }

    fn bar_bytes(&self) -> u64 {
        self.inner.bar_bytes()
    }

    fn config_read(&self, offset: u16, bytes: u8) -> u32 {
        self.inner.config_read(offset, bytes)
    }

    fn config_write(&mut self, offset: u16, bytes: u8, value: u32, now_ns: u64, bus: &mut dyn Bus) {
        self.inner.config_write(offset, bytes, value, now_ns, bus);
    }

    fn read(&mut self, offset: u64, width: Width, now_ns: u64, bus: &mut dyn Bus) -> u64 {
        self.now_ns = now_ns;
        let held = self.inner.read(offset, width, now_ns, bus);
        self.faults.read(offset, width, now_ns).unwrap_or(held)
    }

    fn write(&mut self, offset: u64, width: Width, value: u64, now_ns: u64, bus: &mut dyn Bus) {
        self.inner.write(offset, width, value, now_ns, bus);
        if offset == u64::from(CC) {
            let enabled = ControllerConfiguration::from_bits(value as u32).en();
            if enabled != std::mem::replace(&mut self.enabled, enabled) {
                let moment = if enabled {
                    Moment::Enable
                } else {
                    Moment::Reset
                };
                self.faults.moment(moment, now_ns);
            }
        }
    }

    fn run(&mut self, now_ns: u64, bus: &mut dyn Bus) {
        self.now_ns = now_ns;
        self.inner.run(now_ns, bus);
    }

    fn next_event_ns(&self) -> Option<u64> {
        self.inner.next_event_ns()
    }

    fn power(&mut self, to: Power, now_ns: u64, bus: &mut dyn Bus) {
        self.inner.power(to, now_ns, bus);
        if to == Power::D0 {
            self.faults.moment(Moment::D0, now_ns);
        }
    }

    fn remove(&mut self, bus: &mut dyn Bus) {
        self.inner.remove(bus);
    }

    fn insert(&mut self, bus: &mut dyn Bus) -> io::Result<()> {
        self.inner.insert(bus)
    }

    fn hmb(&self) -> HmbView {
        self.inner.hmb()
    }

    fn listens(&self) -> bool {
        self.inner.listens() && !self.faults.hide_registers(self.now_ns)
    }

    fn is_disabled(&self) -> bool {
        self.inner.is_disabled()
    }

    fn moment(&mut self, moment: Moment, now_ns: u64, _bus: &mut dyn Bus) {
        self.faults.moment(moment, now_ns);
    }

    fn faults(&self) -> Vec<FiredFault> {
        self.faults.fired()
    }

    fn queue_memory(&self) -> Vec<(u64, u64)> {
        self.inner.queue_memory()
    }
}
