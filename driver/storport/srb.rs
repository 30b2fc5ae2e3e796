//! Requests of the port driver: `SCSI_REQUEST_BLOCK` and `STORAGE_REQUEST_BLOCK` behind one type.

use core::ffi::c_void;
use core::mem::offset_of;
use core::ptr::NonNull;
use core::slice;

use nvme::prp::Segment;

use scsi::Transfer;
use wdk_sys::_SCSI_NOTIFICATION_TYPE::RequestComplete;
use wdk_sys::_SRBEXDATATYPE::{SrbExDataTypePnP, SrbExDataTypeScsiCdb16, SrbExDataTypeScsiCdb32};
use wdk_sys::STOR_PNP_ACTION::{StorRemoveDevice, StorStopDevice, StorSurpriseRemoval};
use wdk_sys::storage::{StorPortGetScatterGatherList, StorPortNotification};
use wdk_sys::{
    SCSI_PNP_REQUEST_BLOCK, SCSI_REQUEST_BLOCK, SRB_FLAGS_DATA_IN, SRB_FLAGS_DATA_OUT,
    SRB_FUNCTION_STORAGE_REQUEST_BLOCK, SRB_PNP_FLAGS_ADAPTER_REQUEST, SRB_STATUS_AUTOSENSE_VALID,
    SRBEX_DATA, SRBEX_DATA_PNP, SRBEX_DATA_SCSI_CDB16, SRBEX_DATA_SCSI_CDB32, STOR_ADDR_BTL8,
    STOR_SCATTER_GATHER_ELEMENT, STORAGE_REQUEST_BLOCK,
};

use super::Port;

/// How a request ends: `SRB_STATUS_*`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SrbStatus(pub(crate) u8);

/// What a request is about: `SRB_FUNCTION_*`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SrbFunction(pub(crate) u32);

/// Declares constants of a newtype over the WDK's values.
macro_rules! values {
    ($type:ident($inner:ty) { $($name:ident = $value:ident),* $(,)? }) => {
        #[expect(clippy::allow_attributes, reason = "not every value is used in every build")]
        #[allow(dead_code, missing_docs)]
        impl $type {
            $(pub(crate) const $name: Self = Self(wdk_sys::$value as $inner);)*
        }
    };
}

values!(SrbStatus(u8) {
    SUCCESS = SRB_STATUS_SUCCESS,
    ERROR = SRB_STATUS_ERROR,
    BUSY = SRB_STATUS_BUSY,
    BUS_RESET = SRB_STATUS_BUS_RESET,
    INVALID_REQUEST = SRB_STATUS_INVALID_REQUEST,
    INVALID_PATH_ID = SRB_STATUS_INVALID_PATH_ID,
    INVALID_TARGET_ID = SRB_STATUS_INVALID_TARGET_ID,
    INVALID_LUN = SRB_STATUS_INVALID_LUN,
    NO_DEVICE = SRB_STATUS_NO_DEVICE,
    NO_HBA = SRB_STATUS_NO_HBA,
    DATA_OVERRUN = SRB_STATUS_DATA_OVERRUN,
});

values!(SrbFunction(u32) {
    EXECUTE_SCSI = SRB_FUNCTION_EXECUTE_SCSI,
    FLUSH = SRB_FUNCTION_FLUSH,
    SHUTDOWN = SRB_FUNCTION_SHUTDOWN,
    PNP = SRB_FUNCTION_PNP,
    POWER = SRB_FUNCTION_POWER,
    RESET_BUS = SRB_FUNCTION_RESET_BUS,
    RESET_DEVICE = SRB_FUNCTION_RESET_DEVICE,
    RESET_LOGICAL_UNIT = SRB_FUNCTION_RESET_LOGICAL_UNIT,
});

/// What a plug and play request asks for: `STOR_PNP_ACTION`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PnpAction {
    /// The adapter gives its resources up and may get others.
    Stop,
    /// The adapter goes.
    Remove,
    /// The adapter is gone.
    SurpriseRemoval,
    /// Anything else.
    Other,
}

/// A request that the port driver handed over and that was not completed yet.
///
/// There is one for each request: completing it consumes it, and afterwards nothing of it can be reached.
pub(crate) struct Srb {
    pub(super) block: NonNull<SCSI_REQUEST_BLOCK>,
}

// SAFETY: a request belongs to whoever holds this handle; the port driver does not bind it to a processor.
unsafe impl Send for Srb {}

/// Where the parts of a SCSI command are, in either kind of request.
struct ScsiPart {
    status: *mut u8,
    cdb: *const u8,
    cdb_bytes: u8,
    sense: *mut u8,
    sense_bytes: u8,
}

/// The SCSI part of a structure that has one: the three kinds name its fields alike.
macro_rules! scsi_part {
    ($block:expr, $type:ty) => {{
        let block: NonNull<$type> = $block;
        // SAFETY: the block lies inside a request that is ours until it is completed.
        let fields = unsafe { block.as_ref() };
        // SAFETY: the offset is that of a field.
        let status = unsafe { block.cast::<u8>().add(offset_of!($type, ScsiStatus)) };
        ScsiPart {
            status: status.as_ptr(),
            cdb: fields.Cdb.as_ptr(),
            cdb_bytes: fields.CdbLength.min(fields.Cdb.len() as u8),
            sense: fields.SenseInfoBuffer.cast(),
            sense_bytes: fields.SenseInfoBufferLength,
        }
    }};
}

impl Srb {
    /// # Safety
    /// `block` is a request that the port driver passed to the current callback and that was not completed.
    pub(super) const unsafe fn new(block: NonNull<SCSI_REQUEST_BLOCK>) -> Self {
        Self { block }
    }

    /// The header that both kinds share.
    const fn block(&self) -> &SCSI_REQUEST_BLOCK {
        // SAFETY: the request is ours until it is completed, which consumes `self`.
        unsafe { self.block.as_ref() }
    }

    fn block_mut(&mut self) -> &mut SCSI_REQUEST_BLOCK {
        // SAFETY: as in `block`; `self` is borrowed mutably.
        unsafe { self.block.as_mut() }
    }

    /// The request as the newer kind, when it is one.
    fn extended(&self) -> Option<&STORAGE_REQUEST_BLOCK> {
        let newer = u32::from(self.block().Function) == SRB_FUNCTION_STORAGE_REQUEST_BLOCK;
        // SAFETY: the function code says that the block is a STORAGE_REQUEST_BLOCK.
        newer.then(|| unsafe { self.block.cast::<STORAGE_REQUEST_BLOCK>().as_ref() })
    }

    fn extended_mut(&mut self) -> Option<&mut STORAGE_REQUEST_BLOCK> {
        self.extended()?;
        // SAFETY: `extended` has checked the kind; `self` is borrowed mutably.
        Some(unsafe { self.block.cast::<STORAGE_REQUEST_BLOCK>().as_mut() })
    }

    /// What is asked.
    pub(crate) fn function(&self) -> SrbFunction {
        SrbFunction(self.extended().map_or_else(
            || u32::from(self.block().Function),
            |newer| newer.SrbFunction,
        ))
    }

    /// Path, target and logical unit.
    pub(crate) fn address(&self) -> Option<(u8, u8, u8)> {
        let Some(newer) = self.extended() else {
            let block = self.block();
            return Some((block.PathId, block.TargetId, block.Lun));
        };
        let address = self.part::<STOR_ADDR_BTL8>(newer.AddressOffset)?;
        // SAFETY: the address lies inside the request.
        let address = unsafe { address.as_ref() };
        (u32::from(address.Type) == wdk_sys::STOR_ADDRESS_TYPE_BTL8).then_some((
            address.Path,
            address.Target,
            address.Lun,
        ))
    }

    /// The data buffer as SCSI sees it.
    pub(crate) fn transfer(&self) -> Transfer {
        let flags = self
            .extended()
            .map_or_else(|| self.block().SrbFlags, |newer| newer.SrbFlags);
        Transfer {
            bytes: self.transfer_bytes(),
            data_in: flags & SRB_FLAGS_DATA_IN != 0,
            data_out: flags & SRB_FLAGS_DATA_OUT != 0,
        }
    }

    fn transfer_bytes(&self) -> u32 {
        self.extended().map_or_else(
            || self.block().DataTransferLength,
            |newer| newer.DataTransferLength,
        )
    }

    fn set_transfer_bytes(&mut self, bytes: u32) {
        if let Some(newer) = self.extended_mut() {
            newer.DataTransferLength = bytes;
        } else {
            self.block_mut().DataTransferLength = bytes;
        }
    }

    /// Where a structure of the newer kind lies, `offset` bytes from its start: aligned and inside the request.
    fn part<T>(&self, offset: u32) -> Option<NonNull<T>> {
        let newer = self.extended()?;
        let end = (offset as usize).checked_add(size_of::<T>())?;
        if end > newer.SrbLength as usize || !(offset as usize).is_multiple_of(align_of::<T>()) {
            return None;
        }
        // SAFETY: the offset lies inside the request, as its length says.
        Some(unsafe { self.block.cast::<u8>().add(offset as usize) }.cast::<T>())
    }

    /// The extended data of type `wanted`, when the newer kind carries it.
    fn extended_data<T>(&self, wanted: i32) -> Option<NonNull<T>> {
        let newer = self.extended()?;
        // The list of offsets ends at 8 in practice; a larger count is no reason to walk on.
        (0..newer.NumSrbExData.min(8)).find_map(|index| {
            let entry = (offset_of!(STORAGE_REQUEST_BLOCK, SrbExDataOffset) as u32)
                .checked_add(index.checked_mul(4)?)?;
            let entry = self.part::<u32>(entry)?;
            // SAFETY: the entry lies inside the request.
            let offset = unsafe { entry.read() };
            let header = self.part::<SRBEX_DATA>(offset)?;
            // SAFETY: the header lies inside the request.
            if unsafe { header.as_ref() }.Type == wanted {
                self.part(offset)
            } else {
                None
            }
        })
    }

    fn scsi(&self) -> Option<ScsiPart> {
        if self.extended().is_none() {
            return Some(scsi_part!(self.block, SCSI_REQUEST_BLOCK));
        }
        if let Some(data) = self.extended_data::<SRBEX_DATA_SCSI_CDB16>(SrbExDataTypeScsiCdb16) {
            return Some(scsi_part!(data, SRBEX_DATA_SCSI_CDB16));
        }
        let data = self.extended_data::<SRBEX_DATA_SCSI_CDB32>(SrbExDataTypeScsiCdb32)?;
        Some(scsi_part!(data, SRBEX_DATA_SCSI_CDB32))
    }

    /// The command descriptor block.
    pub(crate) fn cdb(&self) -> Option<&[u8]> {
        let part = self.scsi()?;
        // SAFETY: the length was cut to the array that holds the CDB inside the request.
        Some(unsafe { slice::from_raw_parts(part.cdb, usize::from(part.cdb_bytes)) })
    }

    /// The CDB and the data buffer at once. The buffer is empty where the answer is no parameter data: the port driver
    /// does not map that of READ and WRITE.
    pub(crate) fn cdb_and_buffer(&mut self) -> Option<(&[u8], &mut [u8])> {
        let start = self
            .extended()
            .map_or_else(|| self.block().DataBuffer, |newer| newer.DataBuffer);
        let bytes = self.transfer_bytes() as usize;
        let cdb = self.cdb()?;
        let buffer = if scsi::returns_parameter_data(cdb) && !start.is_null() {
            // SAFETY: the port driver maps the buffer of every request but READ and WRITE
            // (STOR_MAP_NON_READ_WRITE_BUFFERS), for its whole length, until the request is completed.
            unsafe { slice::from_raw_parts_mut(start.cast::<u8>(), bytes) }
        } else {
            &mut []
        };
        Some((cdb, buffer))
    }

    /// What a plug and play request asks for, and whether of the adapter itself (else of a logical unit).
    pub(crate) fn plug_and_play(&self) -> Option<(PnpAction, bool)> {
        let (action, flags) = if self.extended().is_some() {
            let data = self.extended_data::<SRBEX_DATA_PNP>(SrbExDataTypePnP)?;
            // SAFETY: the data lies inside the request.
            let data = unsafe { data.as_ref() };
            (data.PnPAction, data.SrbPnPFlags)
        } else {
            // SAFETY: the function code, which the caller has looked at, says that this is a plug and play request.
            let block = unsafe { self.block.cast::<SCSI_PNP_REQUEST_BLOCK>().as_ref() };
            (block.PnPAction, block.SrbPnPFlags)
        };
        #[expect(non_upper_case_globals, reason = "the names of the WDK")]
        let action = match action {
            StorStopDevice => PnpAction::Stop,
            StorRemoveDevice => PnpAction::Remove,
            StorSurpriseRemoval => PnpAction::SurpriseRemoval,
            _ => PnpAction::Other,
        };
        Some((action, flags & SRB_PNP_FLAGS_ADAPTER_REQUEST != 0))
    }

    /// The pieces of the data buffer as the controller sees them. `HwStorBuildIo` or later.
    pub(super) fn pieces(&self, port: Port) -> Option<impl Iterator<Item = Segment> + use<'_>> {
        // SAFETY: the request is one that the port driver passed and that was not completed.
        let list = unsafe { StorPortGetScatterGatherList(port.extension(), self.block.as_ptr()) };
        let list = NonNull::new(list)?;
        // SAFETY: the port driver's list lives as long as the request.
        let count = unsafe { list.as_ref() }.NumberOfElements as usize;
        // SAFETY: a field of the list.
        let first = unsafe { &raw const (*list.as_ptr()).List };
        // SAFETY: the list has that many elements behind its header.
        let pieces =
            unsafe { slice::from_raw_parts(first.cast::<STOR_SCATTER_GATHER_ELEMENT>(), count) };
        Some(pieces.iter().map(|piece| {
            // SAFETY: both halves of the union are plain integers of the same size.
            let address = unsafe { piece.PhysicalAddress.QuadPart }.cast_unsigned();
            Segment {
                address,
                bytes: piece.Length,
            }
        }))
    }

    /// The request's own memory in the miniport's hands: at least `bytes` bytes, as asked for at initialisation.
    pub(super) fn extension(&self) -> Option<NonNull<c_void>> {
        NonNull::new(
            self.extended()
                .map_or_else(|| self.block().SrbExtension, |newer| newer.MiniportContext),
        )
    }

    /// Records how a SCSI command ended: its status, how much was transferred, and what went wrong.
    ///
    /// `sense` writes sense data into the buffer it is given and says how many bytes it wrote.
    pub(crate) fn set_scsi(
        &mut self,
        status: u8,
        transferred: u32,
        sense: impl FnOnce(&mut [u8]) -> usize,
    ) -> SrbStatus {
        let Some(part) = self.scsi() else {
            return SrbStatus::INVALID_REQUEST;
        };
        // SAFETY: the status byte lies inside the request, as `scsi` has checked.
        unsafe { part.status.write(status) };
        self.set_transfer_bytes(transferred);
        if status == 0 {
            return SrbStatus::SUCCESS;
        }
        if part.sense.is_null() || part.sense_bytes == 0 {
            return SrbStatus::ERROR;
        }
        // SAFETY: the port driver's sense buffer has that many bytes and is the request's own until completion.
        let buffer =
            unsafe { slice::from_raw_parts_mut(part.sense, usize::from(part.sense_bytes)) };
        if sense(buffer) == 0 {
            return SrbStatus::ERROR;
        }
        SrbStatus(SrbStatus::ERROR.0 | SRB_STATUS_AUTOSENSE_VALID as u8)
    }

    /// Gives the request back to the port driver. IRQL <= `DISPATCH_LEVEL`, with no lock held.
    pub(crate) fn complete(mut self, port: Port, status: SrbStatus) {
        // The port driver sends the same request again after BUSY: its length is not to be touched.
        let again = matches!(status, SrbStatus::SUCCESS | SrbStatus::BUSY);
        if !again && status.0 & SRB_STATUS_AUTOSENSE_VALID as u8 == 0 {
            self.set_transfer_bytes(0);
        }
        self.block_mut().SrbStatus = status.0;
        // SAFETY: the request is ours and is completed once, because this call consumes it.
        unsafe { StorPortNotification(RequestComplete, port.extension(), self.block.as_ptr()) };
    }
}
