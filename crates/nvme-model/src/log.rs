//! What the log pages are made of: errors and health.

use std::collections::{BTreeSet, VecDeque};

use nvme_spec::log::{
    ChangedNamespaces, CriticalWarning, ErrorInformation, ParameterErrorLocation,
    SmartHealthInformation,
};
use zerocopy::FromZeros;

use crate::failure::{Failure, Request};

/// Entries of the Error Information log page.
pub(crate) const ERROR_ENTRIES: usize = 64;
/// The composite temperature, in kelvins.
pub(crate) const TEMPERATURE: u16 = 308;

/// Errors and health. They survive resets, and what is counted survives power cycles.
pub(crate) struct Logs {
    errors: VecDeque<ErrorInformation>,
    error_count: u64,
    /// 512-byte units read and written.
    pub(crate) units: [u64; 2],
    /// Read and write commands completed.
    pub(crate) commands: [u64; 2],
    power_cycles: u64,
    unsafe_shutdowns: u64,
    media_errors: u64,
    orderly: bool,
    /// The media are read-only.
    pub(crate) media_read_only: bool,
    /// Namespaces that changed since that was last read, in order.
    changed: BTreeSet<u32>,
}

impl Logs {
    /// Logs of a controller that was just switched on for the first time.
    pub(crate) fn new() -> Self {
        Self {
            errors: VecDeque::new(),
            error_count: 0,
            units: [0; 2],
            commands: [0; 2],
            power_cycles: 1,
            unsafe_shutdowns: 0,
            media_errors: 0,
            orderly: false,
            media_read_only: false,
            changed: BTreeSet::new(),
        }
    }

    /// A namespace changed.
    pub(crate) fn namespace_changed(&mut self, nsid: u32) {
        self.changed.insert(nsid);
    }

    /// The namespaces that changed; more than the list holds are told as all.
    pub(crate) fn changed_namespaces(&self) -> ChangedNamespaces {
        let mut list = ChangedNamespaces::new_zeroed();
        if self.changed.len() > list.0.len() {
            list.0[0] = u32::MAX;
            return list;
        }
        for (entry, nsid) in list.0.iter_mut().zip(&self.changed) {
            *entry = *nsid;
        }
        list
    }

    /// They were read, and are told no more.
    pub(crate) fn forget_changes(&mut self) {
        self.changed.clear();
    }

    /// A command failed.
    pub(crate) fn add_error(&mut self, request: Request<'_>, failure: Failure) {
        self.error_count += 1;
        self.media_errors += u64::from(failure.status.code_type().0 == 2);
        let location = match failure.byte {
            Some(byte) => ParameterErrorLocation::new().with_byte(byte),
            None => ParameterErrorLocation::from_bits(0xFFFF),
        };
        self.errors.truncate(ERROR_ENTRIES - 1);
        self.errors.push_front(ErrorInformation {
            error_count: self.error_count,
            sq_id: request.queue,
            cid: request.cid(),
            status: failure
                .status
                .into_field()
                .with_do_not_retry(failure.do_not_retry),
            parameter_error: location,
            lba: failure.lba,
            nsid: request.command.nsid,
            ..ErrorInformation::default()
        });
    }

    /// The errors, newest first; entries that were never used are zero.
    pub(crate) fn errors(&self) -> Vec<ErrorInformation> {
        let unused = std::iter::repeat(ErrorInformation::default());
        self.errors
            .iter()
            .copied()
            .chain(unused)
            .take(ERROR_ENTRIES)
            .collect()
    }

    /// A shutdown completed.
    pub(crate) fn shut_down(&mut self) {
        self.orderly = true;
    }

    /// Power was lost. Error entries are not kept.
    pub(crate) fn power_cycle(&mut self) {
        self.unsafe_shutdowns += u64::from(!self.orderly);
        self.power_cycles += 1;
        self.orderly = false;
        self.errors.clear();
    }

    /// SMART / Health Information.
    pub(crate) fn health(&self, warning: CriticalWarning) -> SmartHealthInformation {
        let mut health = SmartHealthInformation::new_zeroed();
        let [read, written] = self.units.map(|units| u128::from(units.div_ceil(1000)));
        let [reads, writes] = self.commands.map(u128::from);
        health.critical_warning = warning.with_read_only(self.media_read_only);
        health.composite_temperature = TEMPERATURE.into();
        health.temperature_sensors[0] = TEMPERATURE;
        health.available_spare_percent = 100;
        health.available_spare_threshold_percent = 10;
        health.data_units_read = read.into();
        health.data_units_written = written.into();
        health.host_read_commands = reads.into();
        health.host_write_commands = writes.into();
        health.power_cycles = u128::from(self.power_cycles).into();
        health.unsafe_shutdowns = u128::from(self.unsafe_shutdowns).into();
        health.media_errors = u128::from(self.media_errors).into();
        health.error_log_entries = u128::from(self.error_count).into();
        health
    }
}
