//! Request blocks: made for a request, and read when it comes back.

use super::Adapter;
use super::buffer::{self, Buffer};
use crate::abi::callback;
use crate::abi::initialization::{SRB_TYPE_FLAG_SCSI, SRB_TYPE_FLAG_STORAGE};
use crate::abi::srb::{
    self, AddressBtl8, ExtendedCdb16, ExtendedPnp, ScatterGatherElement, ScatterGatherList,
    ScsiPnpRequestBlock, ScsiRequestBlock, StorageRequestBlock, flags, function,
};
use crate::controller::DmaUse;
use crate::machine::{Data, SrbKind, UnitAddress};
use crate::memory::{PhysicalMemory, Request};
use crate::schedule::{Appointment, State};

/// Bytes of sense data that a request has room for: the whole of what SPC allows.
pub(super) const SENSE_BYTES: u8 = 252;
/// Offsets of the parts of a `STORAGE_REQUEST_BLOCK` as it is made here.
const ADDRESS_OFFSET: u64 = size_of::<StorageRequestBlock>() as u64;
const EXTENDED_OFFSET: u64 = ADDRESS_OFFSET + size_of::<AddressBtl8>() as u64;

/// A request of the port driver, or one that came from above.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// Who waits for it.
    pub(crate) token: u64,
    pub(crate) unit: UnitAddress,
    pub(crate) what: Function,
    pub(crate) data: Data,
    pub(crate) buffer_offset: usize,
    pub(crate) pages_apart: bool,
    pub(crate) srb: SrbKind,
    pub(crate) timeout_s: u32,
    pub(crate) flags: u32,
    /// How often it came back as busy.
    pub(crate) retries: u32,
}

/// What a request is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Function {
    /// A SCSI command.
    Execute(Vec<u8>),
    /// A function without parameters, by its code.
    Plain(u8),
    /// A plug-and-play action for the adapter.
    Pnp(u32),
}

impl Function {
    /// Whether it reads or writes blocks.
    pub(super) fn moves_blocks(&self) -> bool {
        let Self::Execute(cdb) = self else {
            return false;
        };
        matches!(
            cdb.first(),
            Some(0x08 | 0x0A | 0x28 | 0x2A | 0x88 | 0x8A | 0xA8 | 0xAA)
        )
    }

    /// `SRB_FUNCTION_*`.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Execute(_) => function::EXECUTE_SCSI,
            Self::Plain(code) => *code,
            Self::Pnp(_) => function::PNP,
        }
    }
}

/// A request that the miniport has.
pub(super) struct Outstanding {
    pub(super) spec: Spec,
    /// Its tag: no other outstanding request to its unit has it.
    pub(super) tag: u32,
    /// Which request block carries it.
    pub(super) kind: SrbKind,
    pub(super) block: u64,
    pub(super) extension: Option<u64>,
    extension_bytes: u64,
    pub(super) sense: u64,
    pub(super) data: Option<Buffer>,
    pub(super) list: Option<u64>,
    /// The MDL of the data, once the miniport has asked for it.
    pub(super) mdl: Option<u64>,
    /// Physical ranges that the adapter may use for this request.
    pub(super) physical: Vec<u64>,
    /// The request block as it was sent.
    pub(super) sent: Vec<u8>,
    /// Whether the miniport has it; until then it is only prepared.
    pub(super) started: bool,
    /// How far recovery has gone after its time-out.
    pub(super) recovery: u8,
    /// The miniport holds it back, because the device cannot be stopped.
    pub(super) held: bool,
    /// When its time is over, once it has started.
    pub(super) deadline: Option<Appointment>,
}

impl Outstanding {
    /// Bytes of data that were asked for.
    pub(super) fn data_bytes(&self) -> usize {
        buffer::bytes(&self.spec.data)
    }

    /// Whether `va` lies in memory that the adapter may be told to use: the extension, the sense buffer, the data.
    pub(super) fn owns(&self, va: u64) -> bool {
        let within = |start: u64, bytes: u64| va >= start && va - start < bytes;
        self.extension
            .is_some_and(|start| within(start, self.extension_bytes))
            || self
                .data
                .is_some_and(|data| within(data.at, self.data_bytes() as u64))
            || within(self.sense, u64::from(SENSE_BYTES))
    }

    /// The request block, its extension and its sense buffer.
    pub(super) fn own_memory(&self) -> impl Iterator<Item = u64> {
        [Some(self.block), self.extension, Some(self.sense)]
            .into_iter()
            .flatten()
    }

    /// Every virtual allocation that only this request uses.
    pub(super) fn allocations(&self) -> impl Iterator<Item = u64> {
        let data = self.data.and_then(|data| data.own());
        [
            Some(self.block),
            self.extension,
            Some(self.sense),
            data,
            self.list,
            self.mdl,
        ]
        .into_iter()
        .flatten()
    }
}

/// Makes the request block of `spec` and all that belongs to it; `None` without memory.
pub(super) fn build(memory: &PhysicalMemory, state: &mut State, spec: Spec) -> Option<Outstanding> {
    let kind = kind(&state.port.adapter, spec.srb);
    let highest = state.port.adapter.highest_address();
    let scattered = |bytes: u64, label: &'static str, offset: u64| {
        memory
            .alloc_scattered(Request::new(bytes, label).up_to(highest), offset)
            .map(|mapping| mapping.va)
    };
    let block_bytes = block_bytes(kind, &spec.what);
    let block = scattered(block_bytes, "request block", state.random.u64(..200) * 16)?;
    let sense = scattered(
        u64::from(SENSE_BYTES),
        "sense buffer",
        state.random.u64(..200) * 16,
    )?;
    let extension_bytes = state.port.adapter.srb_extension_bytes();
    let extension = if extension_bytes == 0 {
        None
    } else {
        Some(scattered(
            extension_bytes,
            "request extension",
            state.random.u64(..256) * 16,
        )?)
    };
    let has_data = buffer::bytes(&spec.data) > 0;
    let data = if has_data {
        Some(buffer::obtain(memory, state, &spec)?)
    } else {
        None
    };
    let mut outstanding = Outstanding {
        tag: state.port.queues.free_tag(spec.unit),
        spec,
        kind,
        block,
        extension,
        extension_bytes,
        sense,
        data,
        list: None,
        mdl: None,
        physical: Vec::new(),
        sent: Vec::new(),
        started: false,
        recovery: 0,
        held: false,
        deadline: None,
    };
    permit(memory, state, &mut outstanding)?;
    fill(&outstanding);
    outstanding.sent = callback::read_bytes(block, block_bytes as usize);
    Some(outstanding)
}

/// Which request block the adapter takes, preferring the one that is wanted.
fn kind(adapter: &Adapter, wanted: SrbKind) -> SrbKind {
    let taken = adapter.initialization.srb_type_flags;
    match wanted {
        SrbKind::Storage if taken & SRB_TYPE_FLAG_STORAGE == 0 => SrbKind::Scsi,
        SrbKind::Scsi if taken & SRB_TYPE_FLAG_SCSI == 0 && taken & SRB_TYPE_FLAG_STORAGE != 0 => {
            SrbKind::Storage
        }
        wanted => wanted,
    }
}

fn block_bytes(kind: SrbKind, what: &Function) -> u64 {
    match (kind, what) {
        (SrbKind::Scsi, _) => size_of::<ScsiRequestBlock>() as u64,
        (SrbKind::Storage, Function::Execute(_)) => {
            EXTENDED_OFFSET + size_of::<ExtendedCdb16>() as u64
        }
        (SrbKind::Storage, Function::Pnp(_)) => EXTENDED_OFFSET + size_of::<ExtendedPnp>() as u64,
        (SrbKind::Storage, Function::Plain(_)) => EXTENDED_OFFSET,
    }
}

/// Makes the scatter/gather list of the data, and lets the adapter use them and the extension.
fn permit(memory: &PhysicalMemory, state: &mut State, outstanding: &mut Outstanding) -> Option<()> {
    if let Some(data) = outstanding.data {
        let parts = fragments(memory, data.at, outstanding.data_bytes() as u64)?;
        outstanding.list = Some(list_of(memory, &parts)?);
    }
    admit(memory, state, outstanding)
}

/// Lets the adapter use the data and the extension.
pub(super) fn admit(
    memory: &PhysicalMemory,
    state: &mut State,
    outstanding: &mut Outstanding,
) -> Option<()> {
    if let Some(extension) = outstanding.extension {
        for (pa, bytes) in fragments(memory, extension, outstanding.extension_bytes)? {
            state.port.dma.allow(pa, bytes, DmaUse::Adapter);
            outstanding.physical.push(pa);
        }
    }
    let Some(data) = outstanding.data else {
        return Some(());
    };
    let use_ = if matches!(outstanding.spec.data, Data::In(_)) {
        DmaUse::Write
    } else {
        DmaUse::Read
    };
    for (pa, bytes) in fragments(memory, data.at, outstanding.data_bytes() as u64)? {
        state.port.dma.allow(pa, bytes, use_);
        outstanding.physical.push(pa);
    }
    Some(())
}

/// A scatter/gather list of some physical pieces.
fn list_of(memory: &PhysicalMemory, parts: &[(u64, u64)]) -> Option<u64> {
    let list = memory
        .alloc_scattered(Request::new(list_bytes(parts), "scatter/gather list"), 0)?
        .va;
    write_list(list, parts);
    Some(list)
}

/// Bytes of a scatter/gather list of some physical pieces.
pub(super) fn list_bytes(parts: &[(u64, u64)]) -> u64 {
    (size_of::<ScatterGatherList>() + size_of::<ScatterGatherElement>() * parts.len()) as u64
}

/// Writes a scatter/gather list of some physical pieces.
pub(super) fn write_list(list: u64, parts: &[(u64, u64)]) {
    let header = size_of::<ScatterGatherList>() as u64;
    let element = size_of::<ScatterGatherElement>() as u64;
    callback::write(
        list,
        ScatterGatherList {
            number_of_elements: parts.len() as u32,
            gap_0: 0,
            reserved: 0,
        },
    );
    for (index, &(pa, bytes)) in (0_u64..).zip(parts) {
        let entry = ScatterGatherElement {
            physical_address: pa,
            length: bytes as u32,
            gap_0: 0,
            reserved: 0,
        };
        callback::write(list + header + index * element, entry);
    }
}

/// The physical pieces of a virtual range.
pub(super) fn fragments(memory: &PhysicalMemory, va: u64, bytes: u64) -> Option<Vec<(u64, u64)>> {
    let mut parts = Vec::new();
    let mut done = 0;
    while done < bytes {
        let (pa, contiguous) = memory.translate(va + done)?;
        let length = contiguous.min(bytes - done);
        parts.push((pa, length));
        done += length;
    }
    Some(parts)
}

fn fill(it: &Outstanding) {
    match it.kind {
        SrbKind::Storage => fill_storage(it),
        SrbKind::Scsi => match it.spec.what {
            Function::Pnp(action) => fill_pnp(it, action),
            _ => fill_scsi(it),
        },
    }
}

fn direction(data: &Data) -> u32 {
    match data {
        Data::None => 0,
        Data::In(_) => flags::DATA_IN,
        Data::Out(_) => flags::DATA_OUT,
    }
}

fn all_flags(spec: &Spec) -> u32 {
    spec.flags | direction(&spec.data) | flags::QUEUE_ACTION_ENABLE | flags::NO_QUEUE_FREEZE
}

fn cdb(what: &Function) -> ([u8; 16], u8) {
    let mut padded = [0; 16];
    let Function::Execute(cdb) = what else {
        return (padded, 0);
    };
    for (to, from) in padded.iter_mut().zip(cdb) {
        *to = *from;
    }
    (padded, cdb.len().min(16) as u8)
}

fn fill_scsi(it: &Outstanding) {
    let mut block: ScsiRequestBlock = callback::zeroed();
    block.length = size_of::<ScsiRequestBlock>() as u16;
    block.function = it.spec.what.code();
    block.path_id = it.spec.unit.path;
    block.target_id = it.spec.unit.target;
    block.lun = it.spec.unit.lun;
    block.queue_tag = it.tag as u8;
    block.queue_action = srb::SIMPLE_TAG;
    (block.cdb, block.cdb_length) = cdb(&it.spec.what);
    block.sense_info_buffer = it.sense;
    block.sense_info_buffer_length = SENSE_BYTES;
    block.srb_flags = all_flags(&it.spec);
    block.data_transfer_length = it.data_bytes() as u32;
    block.data_buffer = it.data.map_or(0, |data| data.at);
    block.time_out_value = it.spec.timeout_s;
    block.srb_extension = it.extension.unwrap_or(0);
    callback::write(it.block, block);
}

fn fill_pnp(it: &Outstanding, action: u32) {
    let mut block: ScsiPnpRequestBlock = callback::zeroed();
    block.length = size_of::<ScsiPnpRequestBlock>() as u16;
    block.function = function::PNP;
    block.pnp_action = action;
    block.srb_flags = all_flags(&it.spec);
    block.time_out_value = it.spec.timeout_s;
    block.srb_extension = it.extension.unwrap_or(0);
    block.srb_pnp_flags = srb::PNP_FLAGS_ADAPTER_REQUEST;
    callback::write(it.block, block);
}

fn fill_storage(it: &Outstanding) {
    let mut block: StorageRequestBlock = callback::zeroed();
    block.length = 8;
    block.function = function::STORAGE_REQUEST_BLOCK;
    block.signature = srb::SIGNATURE;
    block.version = srb::VERSION_1;
    block.srb_length = block_bytes(it.kind, &it.spec.what) as u32;
    block.srb_function = u32::from(it.spec.what.code());
    block.srb_flags = all_flags(&it.spec);
    block.request_tag = it.tag;
    block.time_out_value = it.spec.timeout_s;
    block.address_offset = ADDRESS_OFFSET as u32;
    block.data_transfer_length = it.data_bytes() as u32;
    block.data_buffer = it.data.map_or(0, |data| data.at);
    // The port driver's own context: where it keeps the extension, as StorPort does.
    block.miniport_context = it.extension.unwrap_or(0);
    let extended = it.block + EXTENDED_OFFSET;
    match it.spec.what {
        Function::Execute(_) => {
            block.num_srb_ex_data = 1;
            block.srb_ex_data_offset = EXTENDED_OFFSET as u32;
            let mut data: ExtendedCdb16 = callback::zeroed();
            data.kind = srb::EX_DATA_CDB16;
            data.length = size_of::<ExtendedCdb16>() as u32 - 8;
            (data.cdb, data.cdb_length) = cdb(&it.spec.what);
            data.sense_info_buffer = it.sense;
            data.sense_info_buffer_length = SENSE_BYTES;
            callback::write(extended, data);
        }
        Function::Pnp(action) => {
            block.num_srb_ex_data = 1;
            block.srb_ex_data_offset = EXTENDED_OFFSET as u32;
            let mut data: ExtendedPnp = callback::zeroed();
            data.kind = srb::EX_DATA_PNP;
            data.length = size_of::<ExtendedPnp>() as u32 - 8;
            data.pnp_action = action;
            data.srb_pnp_flags = srb::PNP_FLAGS_ADAPTER_REQUEST;
            callback::write(extended, data);
        }
        Function::Plain(_) => {}
    }
    callback::write(it.block, block);
    callback::write(
        it.block + ADDRESS_OFFSET,
        super::control::address(it.spec.unit),
    );
}

/// What a miniport left in a request block.
pub(super) struct Answer {
    pub(super) srb_status: u8,
    pub(super) scsi_status: u8,
    pub(super) transferred: u32,
    pub(super) sense_bytes: u8,
}

/// Reads the request block when it comes back.
pub(super) fn read(it: &Outstanding) -> Answer {
    match (it.kind, &it.spec.what) {
        (SrbKind::Scsi, _) => {
            let block: ScsiRequestBlock = callback::read(it.block);
            let pnp = matches!(it.spec.what, Function::Pnp(_));
            Answer {
                srb_status: block.srb_status,
                scsi_status: if pnp { 0 } else { block.scsi_status },
                transferred: block.data_transfer_length,
                sense_bytes: if pnp {
                    0
                } else {
                    block.sense_info_buffer_length
                },
            }
        }
        (SrbKind::Storage, what) => {
            let block: StorageRequestBlock = callback::read(it.block);
            let mut answer = Answer {
                srb_status: block.srb_status,
                scsi_status: 0,
                transferred: block.data_transfer_length,
                sense_bytes: 0,
            };
            if matches!(what, Function::Execute(_)) {
                let data: ExtendedCdb16 = callback::read(it.block + EXTENDED_OFFSET);
                answer.scsi_status = data.scsi_status;
                answer.sense_bytes = data.sense_info_buffer_length;
            }
            answer
        }
    }
}

/// Takes the status out of a request block that is sent again. All else is as it came back.
pub(super) fn forget_answer(it: &Outstanding) {
    callback::write(it.block + 3, 0_u8);
    let scsi_status = match (it.kind, &it.spec.what) {
        (SrbKind::Scsi, _) => Some(4),
        (SrbKind::Storage, Function::Execute(_)) => Some(EXTENDED_OFFSET + 8),
        (SrbKind::Storage, _) => None,
    };
    if let Some(offset) = scsi_status {
        callback::write(it.block + offset, 0_u8);
    }
}

/// The offsets at which a miniport changed what it may not change.
pub(super) fn changed(it: &Outstanding) -> Vec<usize> {
    let open: &[std::ops::Range<usize>] = match it.kind {
        // Status, SCSI status, sense length, transfer length, the link, the internal status.
        SrbKind::Scsi => &[3..5, 11..12, 16..20, 40..48, 64..68],
        // Status, system status, transfer length, the miniport's context, the link, and in the extended data the SCSI
        // status and the length of the sense data.
        SrbKind::Storage => &[3..4, 0x2C..0x30, 0x3C..0x40, 0x68..0x78, 0x98..0x9A],
    };
    let now = callback::read_bytes(it.block, it.sent.len());
    let differs = it
        .sent
        .iter()
        .zip(&now)
        .enumerate()
        .filter(|(_, (sent, now))| sent != now);
    differs
        .map(|(offset, _)| offset)
        .filter(|offset| !open.iter().any(|open| open.contains(offset)))
        .collect()
}
