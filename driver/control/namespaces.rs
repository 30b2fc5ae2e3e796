//! Namespaces that come, go and change while the adapter lives: they are identified again after an event that says so, and after
//! every reset, before any request goes to them.

use nvme::lifecycle::{Controller, Goal};

use crate::adapter::Adapter;
use crate::control::call::Call;
use crate::control::report;
use crate::control::state::{Life, Stage, State};
use crate::io::pair::end_scsi;
use crate::storport::{Srb, SrbFunction, SrbList, SrbStatus};

impl State {
    /// Has the namespaces identified again, where an event says that they have changed. Requests wait meanwhile: until it is known
    /// what is behind an NSID, nothing is written there.
    pub(crate) fn find_changed_namespaces(&mut self, call: Call<'_>) -> bool {
        let changed = self
            .controller
            .as_ref()
            .is_some_and(Controller::namespaces_changed);
        self.life == Life::Running && changed && self.find_namespaces(call)
    }

    /// Has the namespaces identified again.
    pub(crate) fn find_namespaces(&mut self, call: Call<'_>) -> bool {
        self.begin(call, Goal::FindNamespaces, Stage::Identifying)
    }

    /// The namespaces were identified: the units are shown as they are now, and the port driver looks at them.
    pub(crate) fn show_units(&self, call: Call<'_>) {
        let changed = call.adapter.units.get().renew(
            &self.inventory.namespaces,
            |namespace| report::unusable(call, namespace),
            |nsid, change| report::namespace_changed(call, nsid, change),
        );
        if changed {
            call.port.bus_changed();
        }
    }

    /// Shows whether the media can be written, as the controller's health says.
    pub(crate) fn show_health(&self, call: Call<'_>) {
        if let Some(controller) = &self.controller {
            call.adapter
                .units
                .get()
                .set_read_only(controller.is_read_only());
        }
    }
}

/// A request whose logical unit went after it was translated comes back without having reached the controller: another namespace
/// may have its NSID by now.
pub(crate) fn still_there(adapter: &Adapter, mut srb: Srb, done: &mut SrbList) -> Option<Srb> {
    let lun = srb.address().map_or(0, |(_, _, lun)| lun);
    if adapter.units.get().has(lun) {
        return Some(srb);
    }
    let status = if srb.function() == SrbFunction::EXECUTE_SCSI {
        end_scsi(&mut srb, scsi::gone())
    } else {
        SrbStatus::NO_DEVICE
    };
    done.push(srb, status);
    None
}
