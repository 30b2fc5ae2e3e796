//! Get Log Page.

use nvme_spec::async_event::AsyncEvent;
use nvme_spec::command::{GetLogPageCdw10, GetLogPageCdw11, NSID_ALL};
use nvme_spec::log::{
    ActiveFirmware, CommandEffect, CommandEffects, CriticalWarning, FirmwareSlotInformation,
    LogPageId, SmartHealthInformation,
};
use nvme_spec::status::Status;
use nvme_spec::text::Ascii;
use zerocopy::{FromZeros, IntoBytes};

use super::{CDW10_BYTE, CDW12_BYTE};
use crate::bus::Bus;
use crate::command::{ADMIN, NVM, Supported};
use crate::controller::Controller;
use crate::failure::{Failure, Request, Verdict};
use crate::profile::Temperature;

/// More than any log page; a transfer beyond it is refused even where there is no MDTS.
const TRANSFER_MAX: u64 = 1 << 20;

impl Controller {
    pub(super) fn get_log_page(
        &mut self,
        request: Request<'_>,
        at_ns: u64,
        bus: &mut dyn Bus,
    ) -> Verdict {
        let command = request.command;
        let cdw10 = GetLogPageCdw10::from_bits(command.cdw10);
        let upper = GetLogPageCdw11::from_bits(command.cdw11).numdu_z();
        let dwords = u64::from(u32::from(upper) << 16 | u32::from(cdw10.numdl_z())) + 1;
        let bytes = dwords * 4;
        let offset = u64::from(command.cdw13) << 32 | u64::from(command.cdw12);
        let page = self.log_page(cdw10.lid(), command.nsid)?;
        if !offset.is_multiple_of(4) || offset > page.len() as u64 {
            return Err(Failure::field(Status::INVALID_FIELD, CDW12_BYTE));
        }
        self.check_transfer(bytes, CDW10_BYTE + 2, bus)?;
        if bytes > TRANSFER_MAX {
            return Err(Failure::field(Status::INVALID_FIELD, CDW10_BYTE + 2));
        }
        let mut data = page[offset as usize..].to_vec();
        data.resize(bytes as usize, 0);
        let outcome = self.send(request, &data, bus)?;
        if !cdw10.rae() {
            if cdw10.lid() == LogPageId::CHANGED_NAMESPACES {
                self.logs.forget_changes();
            }
            self.events.clear(cdw10.lid());
            if cdw10.lid() == LogPageId::SMART_HEALTH
                && self.profile.temperature == Temperature::Nags
            {
                self.raise(AsyncEvent::TEMPERATURE, LogPageId::SMART_HEALTH, at_ns);
            }
            self.deliver_events(at_ns);
        }
        Ok(outcome)
    }

    fn health(&self) -> SmartHealthInformation {
        let warning = CriticalWarning::new().with_temperature(self.features.temperature_warning());
        self.logs.health(warning)
    }

    fn log_page(&self, id: LogPageId, nsid: u32) -> Result<Vec<u8>, Failure> {
        if nsid != 0 && nsid != NSID_ALL && id == LogPageId::SMART_HEALTH {
            return Err(Failure::field(Status::INVALID_FIELD, 4));
        }
        match id {
            LogPageId::ERROR_INFORMATION => Ok(self.logs.errors().as_bytes().to_vec()),
            LogPageId::SMART_HEALTH => Ok(self.health().as_bytes().to_vec()),
            LogPageId::FIRMWARE_SLOT => {
                Ok(firmware_slots(&self.profile.firmware).as_bytes().to_vec())
            }
            LogPageId::CHANGED_NAMESPACES => Ok(self.logs.changed_namespaces().as_bytes().to_vec()),
            LogPageId::COMMAND_EFFECTS => Ok(effects().as_bytes().to_vec()),
            _ => Err(Failure::field(Status::INVALID_LOG_PAGE, CDW10_BYTE)),
        }
    }
}

fn firmware_slots(revision: &str) -> FirmwareSlotInformation {
    let mut slots = FirmwareSlotInformation::new_zeroed();
    slots.afi = ActiveFirmware::new().with_active_slot(1);
    slots.frs[0] = Ascii::padded(revision);
    slots
}

fn effects() -> CommandEffects {
    let mut effects = CommandEffects::new_zeroed();
    let effect = |supported: &Supported| {
        CommandEffect::new()
            .with_csupp(true)
            .with_lbcc(supported.changes_blocks)
    };
    for supported in ADMIN {
        effects.acs[usize::from(supported.opcode)] = effect(supported);
    }
    for supported in NVM {
        effects.iocs[usize::from(supported.opcode)] = effect(supported);
    }
    effects
}
