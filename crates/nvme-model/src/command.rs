//! Which commands there are, and which of their fields are in use.

use nvme_spec::command::{AdminOpcode, Command, NvmOpcode};

use crate::bus::Bus;
use crate::failure::Request;
use crate::rule::Rule;

/// What an NSID means to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NsidUse {
    /// Nothing: it is zero.
    None,
    /// It depends on the rest of the command.
    Some,
    /// A namespace.
    Namespace,
}

/// A command that the controller supports. Bits that are not in use are reserved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Supported {
    /// Its opcode.
    pub(crate) opcode: u8,
    /// What the NSID means.
    pub(crate) nsid: NsidUse,
    /// It transfers data.
    data: bool,
    /// It changes what blocks hold.
    pub(crate) changes_blocks: bool,
    /// The bits in use of dwords 10 to 15.
    dwords: [u32; 6],
}

const ALL: u32 = u32::MAX;

const fn admin(opcode: AdminOpcode, nsid: NsidUse, data: bool, dwords: [u32; 6]) -> Supported {
    Supported {
        opcode: opcode.0,
        nsid,
        data,
        changes_blocks: false,
        dwords,
    }
}

const fn nvm(opcode: NvmOpcode, data: bool, changes_blocks: bool, dwords: [u32; 6]) -> Supported {
    Supported {
        opcode: opcode.0,
        nsid: NsidUse::Namespace,
        data,
        changes_blocks,
        dwords,
    }
}

/// Admin commands (NVMe Base, Admin Command Set).
pub(crate) const ADMIN: &[Supported] = &[
    admin(
        AdminOpcode::DELETE_SUBMISSION_QUEUE,
        NsidUse::None,
        false,
        [0xFFFF, 0, 0, 0, 0, 0],
    ),
    admin(
        AdminOpcode::CREATE_SUBMISSION_QUEUE,
        NsidUse::None,
        true,
        [ALL, 0xFFFF_0007, 0xFFFF, 0, 0, 0],
    ),
    admin(
        AdminOpcode::GET_LOG_PAGE,
        NsidUse::Some,
        true,
        [ALL, ALL, ALL, ALL, 0x7F, 0],
    ),
    admin(
        AdminOpcode::DELETE_COMPLETION_QUEUE,
        NsidUse::None,
        false,
        [0xFFFF, 0, 0, 0, 0, 0],
    ),
    admin(
        AdminOpcode::CREATE_COMPLETION_QUEUE,
        NsidUse::None,
        true,
        [ALL, 0xFFFF_0003, 0, 0, 0, 0],
    ),
    admin(
        AdminOpcode::IDENTIFY,
        NsidUse::Some,
        true,
        [0xFFFF_00FF, 0xFF00_FFFF, 0, 0, 0x7F, 0],
    ),
    admin(
        AdminOpcode::ABORT,
        NsidUse::None,
        false,
        [ALL, 0, 0, 0, 0, 0],
    ),
    admin(
        AdminOpcode::SET_FEATURES,
        NsidUse::Some,
        true,
        [0x8000_00FF, ALL, ALL, ALL, ALL, ALL],
    ),
    admin(
        AdminOpcode::GET_FEATURES,
        NsidUse::Some,
        true,
        [0x7FF, ALL, 0, 0, 0x7F, 0],
    ),
    admin(
        AdminOpcode::ASYNC_EVENT_REQUEST,
        NsidUse::None,
        false,
        [0; 6],
    ),
];

/// Commands of the NVM Command Set.
pub(crate) const NVM: &[Supported] = &[
    nvm(NvmOpcode::FLUSH, false, false, [0; 6]),
    nvm(
        NvmOpcode::WRITE,
        true,
        true,
        [ALL, ALL, 0xFDF0_FFFF, 0xFFFF_00FF, ALL, ALL],
    ),
    nvm(
        NvmOpcode::READ,
        true,
        false,
        [ALL, ALL, 0xFD00_FFFF, 0xFF, ALL, ALL],
    ),
    nvm(
        NvmOpcode::COMPARE,
        true,
        false,
        [ALL, ALL, 0xFD00_FFFF, 0, ALL, ALL],
    ),
    nvm(
        NvmOpcode::VERIFY,
        false,
        false,
        [ALL, ALL, 0xFD00_FFFF, 0, ALL, ALL],
    ),
    nvm(
        NvmOpcode::WRITE_ZEROES,
        false,
        true,
        [ALL, ALL, 0xFF00_FFFF, 0, ALL, ALL],
    ),
    nvm(
        NvmOpcode::DATASET_MANAGEMENT,
        true,
        true,
        [0xFF, 0x7, 0, 0, 0, 0],
    ),
];

impl Supported {
    /// Whether the fields of the command that have no meaning are zero.
    fn reserved_clear(&self, command: &Command) -> bool {
        let dwords = [
            command.cdw10,
            command.cdw11,
            command.cdw12,
            command.cdw13,
            command.cdw14,
            command.cdw15,
        ];
        let unused = dwords
            .iter()
            .zip(self.dwords)
            .all(|(dword, used)| dword & !used == 0);
        let header =
            command.cdw0.into_bits() & 0x3F00 == 0 && command.cdw2 == 0 && command.cdw3 == 0;
        let pointers = self.data || (command.prp1 == 0 && command.prp2 == 0 && command.mptr == 0);
        let nsid = self.nsid != NsidUse::None || command.nsid == 0;
        unused && header && pointers && nsid
    }
}

/// Finds the command among those that are supported, and judges its reserved fields.
pub(crate) fn look_up(
    table: &'static [Supported],
    request: Request<'_>,
    bus: &mut dyn Bus,
) -> Option<&'static Supported> {
    let opcode = request.command.cdw0.opcode();
    let found = table.iter().find(|supported| supported.opcode == opcode);
    bus.judge(Rule::CommandSupported, found.is_some(), &|| {
        format!("opcode {opcode:#04x} in submission queue {}", request.queue)
    });
    let supported = found?;
    bus.judge(
        Rule::CommandReserved,
        supported.reserved_clear(request.command),
        &|| format!("reserved fields are used in {:x?}", request.command),
    );
    Some(supported)
}
