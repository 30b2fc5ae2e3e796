//! The built-in software controller.

use std::io;

use nvme_model::{Bus, FiredFault, Media, Moment, Power, Profile, Width};

use super::{Controller, HmbView, Identity};

/// [`nvme_model::Controller`] behind the adapter.
pub struct ModelController {
    inner: nvme_model::Controller,
}

impl ModelController {
    /// A controller of this profile, with the storage behind each of its namespaces.
    #[must_use]
    pub fn new(profile: &Profile, media: Vec<Box<dyn Media>>) -> Self {
        Self {
            inner: nvme_model::Controller::new(profile, media),
        }
    }
}

impl Controller for ModelController {
    fn identity(&self) -> Identity {
        let profile = self.inner.profile();
        Identity {
            kind: "model",
            model: profile.model.clone(),
            hmpre_bytes: profile.hmpre_bytes,
            hmmin_bytes: profile.hmmin_bytes,
            hmminds_bytes: profile.hmminds_bytes,
            hmmaxd: profile.hmmaxd,
        }
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
        self.inner.read(offset, width, now_ns, bus)
    }

    fn write(&mut self, offset: u64, width: Width, value: u64, now_ns: u64, bus: &mut dyn Bus) {
        self.inner.write(offset, width, value, now_ns, bus);
    }

    fn run(&mut self, now_ns: u64, bus: &mut dyn Bus) {
        self.inner.run(now_ns, bus);
    }

    fn next_event_ns(&self) -> Option<u64> {
        self.inner.next_event_ns()
    }

    fn power(&mut self, to: Power, now_ns: u64, bus: &mut dyn Bus) {
        self.inner.power(to, now_ns, bus);
    }

    fn remove(&mut self, bus: &mut dyn Bus) {
        self.inner.remove(bus);
    }

    fn insert(&mut self, bus: &mut dyn Bus) -> io::Result<()> {
        self.inner.insert(bus);
        Ok(())
    }

    fn hmb(&self) -> HmbView {
        let counters = self.inner.hmb();
        HmbView {
            enabled: counters.enabled,
            disabled: counters.disabled,
            memory_returned: counters.memory_returned,
            lent: counters.ranges,
        }
    }

    fn listens(&self) -> bool {
        self.inner.listens()
    }

    fn is_disabled(&self) -> bool {
        self.inner.is_disabled()
    }

    fn moment(&mut self, moment: Moment, now_ns: u64, bus: &mut dyn Bus) {
        self.inner.moment(moment, now_ns, bus);
    }

    fn faults(&self) -> Vec<FiredFault> {
        self.inner.faults()
    }

    fn queue_memory(&self) -> Vec<(u64, u64)> {
        self.inner.queue_memory()
    }
}
