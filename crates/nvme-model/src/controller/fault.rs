//! The faults of the profile, where the controller meets them.

use nvme_spec::async_event::AsyncEvent;
use nvme_spec::log::LogPageId;

use super::{Controller, Width};
use crate::bus::Bus;
use crate::fault::{Behaviour, FiredFault, Moment, NamespaceChange, Target};

impl Controller {
    /// Each fault of the profile, and how often it happened so far.
    #[must_use]
    pub fn faults(&self) -> Vec<FiredFault> {
        self.faults.fired()
    }

    /// Something has just been done with the adapter: faults that wait for it happen. What the controller sees by itself
    /// need not be told.
    pub fn moment(&mut self, moment: Moment, now_ns: u64, bus: &mut dyn Bus) {
        let happenings = self.faults.moment(moment, now_ns);
        self.happen(happenings, bus);
    }

    /// Faults whose time has come.
    pub(super) fn faults_due(&mut self, now_ns: u64, bus: &mut dyn Bus) {
        let happenings = self.faults.due(now_ns);
        self.happen(happenings, bus);
    }

    fn happen(&mut self, happenings: Vec<(Target, Behaviour)>, bus: &mut dyn Bus) {
        for happening in happenings {
            match happening {
                (_, Behaviour::Die(death, panic)) => self.die(death, panic, bus),
                (_, Behaviour::Stray) => self.interrupts.stray_all(&self.config, bus),
                (Target::Namespace(nsid), Behaviour::Namespace(change)) => {
                    self.change_namespace(nsid, change, bus);
                }
                (_, Behaviour::ReadOnly) => self.become_read_only(bus),
                _ => {}
            }
        }
    }

    /// What a register reads as instead of what it holds, shifted to `offset`.
    pub(super) fn register_fault(
        &mut self,
        offset: u64,
        width: Width,
        bus: &mut dyn Bus,
    ) -> Option<u64> {
        let (answer, death) = self.faults.register(offset, width.bytes(), self.now_ns);
        if let Some((death, panic)) = death {
            self.die(death, panic, bus);
            if !self.responds() {
                return Some(u64::MAX);
            }
        }
        Some(answer?.at(offset))
    }

    /// A completion was posted for this vector: its interrupt, or what becomes of it.
    pub(super) fn interrupt(&mut self, vector: u16, bus: &mut dyn Bus) {
        let mut sent = true;
        for behaviour in self.faults.interrupt(self.now_ns) {
            match behaviour {
                Behaviour::Drop => sent = false,
                Behaviour::Held => self.interrupts.hold_line(),
                Behaviour::Die(death, panic) => self.die(death, panic, bus),
                Behaviour::Stray => self.interrupts.raise(vector, &self.config, bus),
                _ => {}
            }
        }
        self.interrupts.mute_line(!sent);
        if sent {
            self.interrupts.raise(vector, &self.config, bus);
        }
    }

    fn become_read_only(&mut self, bus: &mut dyn Bus) {
        self.logs.media_read_only = true;
        bus.note("the media are read-only".to_owned());
        if self.features.reports_read_only() {
            self.raise(
                AsyncEvent::RELIABILITY,
                LogPageId::SMART_HEALTH,
                self.now_ns,
            );
        }
    }

    fn change_namespace(&mut self, nsid: u32, change: NamespaceChange, bus: &mut dyn Bus) {
        let mut all = self.namespaces.iter_mut();
        let Some(namespace) = all.find(|namespace| namespace.nsid == nsid) else {
            return;
        };
        let what = match change {
            NamespaceChange::Add => {
                namespace.active = true;
                "is there".to_owned()
            }
            NamespaceChange::Delete => {
                namespace.active = false;
                "is gone".to_owned()
            }
            NamespaceChange::Resize(bytes) => {
                namespace.resize(bytes);
                format!("has {} blocks", namespace.blocks)
            }
            NamespaceChange::Create(bytes) => {
                namespace.create(bytes);
                format!("is another one, of {} blocks", namespace.blocks)
            }
            NamespaceChange::Format(block_bytes) => {
                namespace.format(block_bytes);
                format!("has blocks of {block_bytes} bytes, and nothing in them")
            }
            NamespaceChange::Protect => {
                namespace.write_protected = true;
                "is write protected".to_owned()
            }
        };
        namespace.surprise.begin();
        bus.note(format!("namespace {nsid} {what}"));
        self.logs.namespace_changed(nsid);
        if self.features.reports_namespaces() {
            self.raise(
                AsyncEvent::NAMESPACE_CHANGED,
                LogPageId::CHANGED_NAMESPACES,
                self.now_ns,
            );
        }
    }
}
