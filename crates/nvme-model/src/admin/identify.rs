//! Identify.

use nvme_spec::command::{COMMAND_SHIFT, IdentifyCdw10, IdentifyCdw11, NSID_ALL};
use nvme_spec::completion::COMPLETION_SHIFT;
use nvme_spec::identify::{
    Cns, ControllerType, DeallocateFeatures, FirmwareUpdates, HOST_MEMORY_UNIT_BYTES,
    IDENTIFY_BYTES, IdentifyController, IdentifyControllerNvm, IdentifyNamespace, LbaFormat,
    LogPageAttributes, MultiPathCapabilities, NamespaceAttributes, NamespaceFeatures,
    NamespaceIdDescriptorHeader, NamespaceIdType, NamespaceList, NamespaceSharing,
    OptionalAsyncEvents, OptionalNvmCommands, PowerStateDescriptor, PowerStateFlags,
    QueueEntrySize, VolatileWriteCacheAttributes,
};
use nvme_spec::registers::Version;
use nvme_spec::status::Status;
use nvme_spec::text::Ascii;
use zerocopy::{FromZeros, IntoBytes};

use super::{ABORTS_Z, CDW10_BYTE, CDW11_BYTE};
use crate::bus::Bus;
use crate::controller::Controller;
use crate::failure::{Failure, Request, Verdict, ensure};
use crate::feature::POWER_STATE_MAX;
use crate::log::ERROR_ENTRIES;
use crate::namespace::{Namespace, OUI};
use crate::nvm::judge_namespace;
use crate::profile::{Dataset, Deallocated, Identifiers, Verify};

const CONTROLLER_ID: u16 = 1;
/// The first version with data that are special to a command set.
const VERSION_2_0: Version = Version::new().with_mjr(2);

/// Where the NSID is in a command.
const NSID_BYTE: u8 = 4;

impl Controller {
    pub(super) fn identify(&mut self, request: Request<'_>, bus: &mut dyn Bus) -> Verdict {
        let command = request.command;
        let cdw10 = IdentifyCdw10::from_bits(command.cdw10);
        let nsid = command.nsid;
        match cdw10.cns() {
            Cns::CONTROLLER => self.send(request, self.identify_controller().as_bytes(), bus),
            Cns::NAMESPACE => {
                let data = self.identify_namespace(nsid, bus)?;
                self.send(request, data.as_bytes(), bus)
            }
            Cns::ACTIVE_NAMESPACES => {
                let list = self.active_namespaces(nsid)?;
                self.send(request, list.as_bytes(), bus)
            }
            Cns::COMMAND_SET_CONTROLLER if self.registers.version >= VERSION_2_0 => {
                let cdw11 = IdentifyCdw11::from_bits(command.cdw11);
                ensure(
                    cdw11.csi() == 0,
                    Failure::field(Status::INVALID_FIELD, CDW11_BYTE + 3),
                )?;
                self.send(request, self.identify_nvm().as_bytes(), bus)
            }
            Cns::NAMESPACE_DESCRIPTORS => {
                let identifiers = self.profile.identifiers;
                let data = descriptors(self.active(nsid, bus)?, identifiers);
                self.send(request, &data, bus)
            }
            _ => Err(Failure::field(Status::INVALID_FIELD, CDW10_BYTE)),
        }
    }

    /// A namespace that the host looks at.
    fn active(&mut self, nsid: u32, bus: &mut dyn Bus) -> Result<&Namespace, Failure> {
        let now_ns = self.now_ns;
        let found = self
            .namespaces
            .iter_mut()
            .find(|namespace| namespace.nsid == nsid);
        let excused = found
            .as_ref()
            .is_some_and(|namespace| namespace.surprise.excuses(now_ns));
        let active = found.as_ref().is_some_and(|namespace| namespace.active);
        if active || !excused {
            judge_namespace(nsid, active, bus)?;
        }
        let found = found.filter(|namespace| namespace.active);
        found
            .map(|namespace| {
                namespace.surprise.end(now_ns);
                &*namespace
            })
            .ok_or_else(|| Status::INVALID_NAMESPACE_OR_FORMAT.into())
    }

    /// Namespaces above this identifier, in order.
    fn active_namespaces(&mut self, above: u32) -> Result<NamespaceList, Failure> {
        if above >= NSID_ALL - 1 {
            return Err(Failure::field(
                Status::INVALID_NAMESPACE_OR_FORMAT,
                NSID_BYTE,
            ));
        }
        for namespace in &mut self.namespaces {
            namespace.surprise.end(self.now_ns);
        }
        let mut list = NamespaceList::new_zeroed();
        let active = self.namespaces.iter().filter(|namespace| namespace.active);
        let active = active.map(|namespace| namespace.nsid);
        for (entry, nsid) in list.0.iter_mut().zip(active.filter(|nsid| *nsid > above)) {
            *entry = nsid;
        }
        Ok(list)
    }

    fn identify_namespace(
        &mut self,
        nsid: u32,
        bus: &mut dyn Bus,
    ) -> Result<IdentifyNamespace, Failure> {
        let mut data = IdentifyNamespace::new_zeroed();
        data.dlfeat = match self.profile.deallocated {
            Deallocated::Zeros => DeallocateFeatures::new()
                .with_read_behavior(1)
                .with_write_zeroes_deallocate(true),
            Deallocated::Ones => DeallocateFeatures::new().with_read_behavior(2),
            Deallocated::Any => DeallocateFeatures::new(),
        };
        let identifiers = self.profile.identifiers;
        data.noiob = self.profile.boundary_blocks;
        if let Some(blocks) = self.profile.preferred_blocks {
            [
                data.npwg_z,
                data.npwa_z,
                data.npdg_z,
                data.npda_z,
                data.nows_z,
            ] = blocks.map(|blocks| (blocks - 1) as u16);
            data.nsfeat = NamespaceFeatures::new().with_optperf(true);
        }
        let shared = self.profile.path != 0;
        // An identifier below NN that is of no namespace is none to blame anybody for (NVM 4.1.5.1).
        let known = self
            .namespaces
            .iter()
            .any(|namespace| namespace.nsid == nsid && !namespace.active);
        if known {
            return Ok(IdentifyNamespace::new_zeroed());
        }
        let namespace = self.active(nsid, bus)?;
        let shift = namespace.block_bytes.trailing_zeros();
        data.lbaf[0] = LbaFormat::new().with_lbads(shift as u8);
        data.nsattr = NamespaceAttributes::new().with_write_protected(namespace.write_protected);
        data.nsze = namespace.blocks;
        data.ncap = namespace.blocks;
        data.nuse = namespace.blocks;
        data.nmic = NamespaceSharing::new().with_shared(shared);
        data.nguid = identifiers.nguid.unwrap_or_else(|| namespace.nguid());
        data.eui64 = identifiers.eui64.unwrap_or_else(|| namespace.eui64());
        Ok(data)
    }

    fn identify_controller(&self) -> IdentifyController {
        let profile = &self.profile;
        let mut data = IdentifyController::new_zeroed();
        data.vid = profile.pci.0;
        data.ssvid = profile.pci.0;
        data.sn = Ascii::padded(&profile.serial);
        data.mn = Ascii::padded(&profile.model);
        data.fr = Ascii::padded(&profile.firmware);
        data.ieee = [OUI[2], OUI[1], OUI[0]];
        data.mdts = mdts(profile.mdts_bytes, profile.page_min_bytes);
        data.cntlid = profile.path.max(CONTROLLER_ID);
        data.cmic = MultiPathCapabilities::new().with_multiple_controllers(profile.path != 0);
        data.ver = self.registers.version;
        data.rtd3r_us = (profile.ready_ns / 1000) as u32;
        data.rtd3e_us = (profile.ready_ns / 1000) as u32;
        data.cntrltype = ControllerType::IO;
        data.oaes = OptionalAsyncEvents::new().with_namespace_attribute(true);
        self.identify_admin(&mut data);
        self.identify_io(&mut data);
        let name = format!(
            "nqn.2014-08.org.nvmexpress:uuid:{}",
            "00000000-0000-8000-8000-feed00000001"
        );
        for (to, from) in data.subnqn.iter_mut().zip(name.bytes()) {
            *to = from;
        }
        data
    }

    /// What is special to the NVM Command Set.
    fn identify_nvm(&self) -> IdentifyControllerNvm {
        let mut data = IdentifyControllerNvm::new_zeroed();
        let page_bytes = self.profile.page_min_bytes;
        let limit = |command: Verify| mdts(command.limit_bytes().unwrap_or(0), page_bytes);
        data.vsl = limit(self.profile.verify);
        data.wzsl = limit(self.profile.write_zeroes);
        (data.dmrl, data.dmrsl_blocks, data.dmsl_blocks) = self.profile.dataset.limits();
        data
    }

    fn identify_admin(&self, data: &mut IdentifyController) {
        let profile = &self.profile;
        let units = |bytes: u64| (bytes / HOST_MEMORY_UNIT_BYTES) as u32;
        data.acl_z = ABORTS_Z;
        data.aerl_z = (profile.event_requests - 1) as u8;
        data.frmw = FirmwareUpdates::new()
            .with_slot_1_read_only(true)
            .with_slots(1);
        data.lpa = LogPageAttributes::new()
            .with_command_effects(true)
            .with_extended_data(true);
        data.elpe_z = (ERROR_ENTRIES - 1) as u8;
        data.npss_z = POWER_STATE_MAX;
        data.wctemp = 343;
        data.cctemp = 353;
        data.hmpre = units(profile.hmpre_bytes);
        data.hmmin = units(profile.hmmin_bytes);
        data.hmminds = units(profile.hmminds_bytes);
        data.hmmaxd = profile.hmmaxd;
        for (number, state) in (0..=u16::from(POWER_STATE_MAX)).zip(&mut data.psd) {
            *state = PowerStateDescriptor {
                mp: 800 / (1 + 4 * number),
                flags: PowerStateFlags::new().with_nops(number == u16::from(POWER_STATE_MAX)),
                enlat_us: 100 * u32::from(number),
                exlat_us: 100 * u32::from(number),
                ..PowerStateDescriptor::default()
            };
        }
        let bytes = |namespace: &Namespace| {
            u128::from(namespace.blocks) * u128::from(namespace.block_bytes)
        };
        data.tnvmcap = self.namespaces.iter().map(bytes).sum::<u128>().into();
    }

    fn identify_io(&self, data: &mut IdentifyController) {
        let size = |shift| {
            QueueEntrySize::new()
                .with_required(shift)
                .with_maximum(shift)
        };
        data.sqes = size(COMMAND_SHIFT);
        data.cqes = size(COMPLETION_SHIFT);
        data.nn = self.namespaces.len() as u32;
        data.oncs = OptionalNvmCommands::new()
            .with_compare(true)
            .with_dataset_management(self.profile.dataset != Dataset::Absent)
            .with_write_zeroes(self.profile.write_zeroes != Verify::Absent)
            .with_verify(self.profile.verify != Verify::Absent)
            .with_save_and_select(true);
        data.vwc = VolatileWriteCacheAttributes::new()
            .with_present(self.profile.write_cache)
            .with_flush_behavior(3);
    }
}

/// MDTS or VSL: a power of two of the smallest page, 0 for no limit.
fn mdts(bytes: u64, page_bytes: u64) -> u8 {
    match bytes {
        0 => 0,
        _ => (bytes / page_bytes).trailing_zeros() as u8,
    }
}

/// Namespace Identification Descriptors: EUI-64, NGUID and UUID.
fn descriptors(namespace: &Namespace, given: Identifiers) -> Vec<u8> {
    let mut data = Vec::with_capacity(IDENTIFY_BYTES);
    let mut add = |nidt, identifier: &[u8]| {
        if identifier.iter().all(|byte| *byte == 0) {
            return;
        }
        let header = NamespaceIdDescriptorHeader {
            nidt,
            nidl: identifier.len() as u8,
            reserved: [0; 2],
        };
        data.extend_from_slice(header.as_bytes());
        data.extend_from_slice(identifier);
    };
    add(
        NamespaceIdType::EUI64,
        &given.eui64.unwrap_or_else(|| namespace.eui64()),
    );
    add(
        NamespaceIdType::NGUID,
        &given.nguid.unwrap_or_else(|| namespace.nguid()),
    );
    add(
        NamespaceIdType::UUID,
        &given.uuid.unwrap_or_else(|| namespace.uuid()),
    );
    data.resize(IDENTIFY_BYTES, 0);
    data
}
