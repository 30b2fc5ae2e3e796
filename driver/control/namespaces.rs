//! Namespaces that come, go and change while the adapter lives: they are identified again after an event that says so, and after
//! every reset, before any request goes to them.

use nvme::lifecycle::{Controller, Goal};

use crate::control::call::Call;
use crate::control::report;
use crate::control::state::{Life, Stage, State};

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
        let changed = call.adapter.io.units.get().renew(
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
                .io
                .units
                .get()
                .set_read_only(controller.is_read_only());
        }
    }
}
