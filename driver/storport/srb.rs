//! Requests of the port driver: `SCSI_REQUEST_BLOCK` and `STORAGE_REQUEST_BLOCK` behind one type.

use core::ffi::c_void;
use core::mem::offset_of;
use core::ptr::NonNull;
use core::{ptr, slice};

use scsi::Transfer;
use wdk_sys::_SCSI_NOTIFICATION_TYPE::RequestComplete;
use wdk_sys::_SRBEXDATATYPE::{SrbExDataTypePnP, SrbExDataTypeScsiCdb16, SrbExDataTypeScsiCdb32};
use wdk_sys::STOR_PNP_ACTION::{StorRemoveDevice, StorStopDevice, StorSurpriseRemoval};
use wdk_sys::storage::{StorPortGetScatterGatherList, StorPortNotification};
use wdk_sys::{
    SCSI_PNP_REQUEST_BLOCK, SCSI_REQUEST_BLOCK, SRB_FLAGS_DATA_IN, SRB_FLAGS_DATA_OUT,
    SRB_FUNCTION_EXECUTE_SCSI, SRB_FUNCTION_STORAGE_REQUEST_BLOCK, SRB_PNP_FLAGS_ADAPTER_REQUEST,
    SRB_STATUS_AUTOSENSE_VALID, SRBEX_DATA, SRBEX_DATA_PNP, SRBEX_DATA_SCSI_CDB16,
    SRBEX_DATA_SCSI_CDB32, STOR_ADDR_BTL8, STOR_SCATTER_GATHER_ELEMENT, STORAGE_REQUEST_BLOCK,
};

use super::request_memory::RequestMemory;
use super::{PnpAction, Port, SrbFunction, SrbStatus};

/// A request that the port driver handed over and that was not completed yet, by its own memory, which knows where its parts are.
///
/// There is one for each request: completing it consumes it, and afterwards nothing of it can be reached.
pub(crate) struct Srb {
    pub(super) memory: NonNull<RequestMemory>,
}

// SAFETY: a request belongs to whoever holds this handle; the port driver does not bind it to a processor.
unsafe impl Send for Srb {}

/// No path, target and logical unit.
const NO_ADDRESS: u32 = u32::MAX;

/// Path, target and logical unit in one number.
const fn packed(path: u8, target: u8, lun: u8) -> u32 {
    u32::from_le_bytes([lun, target, path, 0])
}

/// Where the parts of a request are, in either kind: found once, when it comes to `HwStorBuildIo`.
#[derive(Clone, Copy)]
pub(super) struct Parts {
    /// The request itself.
    block: NonNull<SCSI_REQUEST_BLOCK>,
    function: u32,
    flags: u32,
    /// Path, target and logical unit, one byte each from the third on; [`NO_ADDRESS`] where it does not name them so.
    address: u32,
    /// How many bytes the data buffer has, in the end how many were transferred.
    length: *mut u32,
    buffer: *mut c_void,
    /// What a SCSI command has besides; null pointers for another request.
    scsi: ScsiPart,
}

impl Parts {
    /// The request ends with `INVALID_REQUEST`, whatever becomes of its command.
    pub(super) const fn cannot_succeed(&mut self) {
        self.scsi = ScsiPart::NONE;
    }
}

/// Where the parts of a SCSI command are.
#[derive(Clone, Copy)]
struct ScsiPart {
    status: *mut u8,
    cdb: *const u8,
    sense: *mut u8,
    cdb_bytes: u8,
    sense_bytes: u8,
}

impl ScsiPart {
    const NONE: Self = Self {
        status: ptr::null_mut(),
        cdb: ptr::null(),
        sense: ptr::null_mut(),
        cdb_bytes: 0,
        sense_bytes: 0,
    };
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

/// A request of the newer kind.
#[derive(Clone, Copy)]
struct Extended<'a> {
    start: NonNull<u8>,
    block: &'a STORAGE_REQUEST_BLOCK,
}

impl Extended<'_> {
    /// Where a structure lies, `offset` bytes from the start: aligned and inside the request.
    fn part<T>(self, offset: u32) -> Option<NonNull<T>> {
        let end = (offset as usize).checked_add(size_of::<T>())?;
        if end > self.block.SrbLength as usize || !(offset as usize).is_multiple_of(align_of::<T>())
        {
            return None;
        }
        // SAFETY: the offset lies inside the request, as its length says.
        Some(unsafe { self.start.add(offset as usize) }.cast::<T>())
    }

    /// The extended data for which `wanted` has an answer, and that answer.
    fn data<R>(self, wanted: impl Fn(i32, u32) -> Option<R>) -> Option<R> {
        // The list of offsets ends at 8 in practice; a larger count is no reason to walk on.
        (0..self.block.NumSrbExData.min(8)).find_map(|index| {
            let entry = (offset_of!(STORAGE_REQUEST_BLOCK, SrbExDataOffset) as u32)
                .checked_add(index.checked_mul(4)?)?;
            let entry = self.part::<u32>(entry)?;
            // SAFETY: the entry lies inside the request.
            let offset = unsafe { entry.read() };
            let header = self.part::<SRBEX_DATA>(offset)?;
            // SAFETY: the header lies inside the request.
            wanted(unsafe { header.as_ref() }.Type, offset)
        })
    }

    fn address(self) -> u32 {
        let Some(address) = self.part::<STOR_ADDR_BTL8>(self.block.AddressOffset) else {
            return NO_ADDRESS;
        };
        // SAFETY: the address lies inside the request.
        let address = unsafe { address.as_ref() };
        if u32::from(address.Type) == wdk_sys::STOR_ADDRESS_TYPE_BTL8 {
            packed(address.Path, address.Target, address.Lun)
        } else {
            NO_ADDRESS
        }
    }

    fn scsi(self) -> Option<ScsiPart> {
        #[expect(non_upper_case_globals, reason = "the names of the WDK")]
        self.data(|kind, offset| match kind {
            SrbExDataTypeScsiCdb16 => Some(scsi_part!(self.part(offset)?, SRBEX_DATA_SCSI_CDB16)),
            SrbExDataTypeScsiCdb32 => Some(scsi_part!(self.part(offset)?, SRBEX_DATA_SCSI_CDB32)),
            _ => None,
        })
    }
}

/// A request as the newer kind, when it is one.
///
/// # Safety
/// `block` is a request of the port driver that was not completed.
unsafe fn extended<'a>(block: NonNull<SCSI_REQUEST_BLOCK>) -> Option<Extended<'a>> {
    // SAFETY: as the caller promises; both kinds begin alike.
    let newer = u32::from(unsafe { block.as_ref() }.Function) == SRB_FUNCTION_STORAGE_REQUEST_BLOCK;
    newer.then(|| Extended {
        start: block.cast(),
        // SAFETY: the function code says that the block is a STORAGE_REQUEST_BLOCK.
        block: unsafe { block.cast::<STORAGE_REQUEST_BLOCK>().as_ref() },
    })
}

/// The memory of a request that is the miniport's: as large as was asked for at initialisation.
///
/// # Safety
/// `block` is a request of the port driver that was not completed.
unsafe fn memory(block: NonNull<SCSI_REQUEST_BLOCK>) -> Option<NonNull<RequestMemory>> {
    // SAFETY: as the caller promises.
    let extension = match unsafe { extended(block) } {
        Some(newer) => newer.block.MiniportContext,
        // SAFETY: as the caller promises.
        None => unsafe { block.as_ref() }.SrbExtension,
    };
    NonNull::new(extension.cast())
}

/// Finds the parts of a request.
///
/// # Safety
/// `block` is a request of the port driver that was not completed.
unsafe fn parts(block: NonNull<SCSI_REQUEST_BLOCK>) -> Parts {
    // SAFETY: as the caller promises.
    if let Some(newer) = unsafe { extended(block) } {
        let header = newer.block;
        let is_scsi = header.SrbFunction == SRB_FUNCTION_EXECUTE_SCSI;
        return Parts {
            block,
            function: header.SrbFunction,
            flags: header.SrbFlags,
            address: newer.address(),
            // SAFETY: the offset is that of a field of the request.
            length: unsafe {
                newer
                    .start
                    .add(offset_of!(STORAGE_REQUEST_BLOCK, DataTransferLength))
            }
            .as_ptr()
            .cast(),
            buffer: header.DataBuffer,
            scsi: is_scsi
                .then(|| newer.scsi())
                .flatten()
                .unwrap_or(ScsiPart::NONE),
        };
    }
    // SAFETY: as the caller promises.
    let header = unsafe { block.as_ref() };
    let function = u32::from(header.Function);
    Parts {
        block,
        function,
        flags: header.SrbFlags,
        address: packed(header.PathId, header.TargetId, header.Lun),
        // SAFETY: the offset is that of a field of the request.
        length: unsafe {
            block
                .cast::<u8>()
                .add(offset_of!(SCSI_REQUEST_BLOCK, DataTransferLength))
        }
        .as_ptr()
        .cast(),
        buffer: header.DataBuffer,
        scsi: if function == SRB_FUNCTION_EXECUTE_SCSI {
            scsi_part!(block, SCSI_REQUEST_BLOCK)
        } else {
            ScsiPart::NONE
        },
    }
}

/// Gives a request back that has no memory of its own to keep track of it with.
///
/// # Safety
/// `block` is the request of the current callback.
pub(super) unsafe fn refuse(port: Port, mut block: NonNull<SCSI_REQUEST_BLOCK>) {
    // SAFETY: as the caller promises; both kinds have the status in the same place.
    unsafe { block.as_mut() }.SrbStatus = SrbStatus::INVALID_REQUEST.0;
    // SAFETY: the request is completed once, here.
    unsafe { StorPortNotification(RequestComplete, port.extension(), block.as_ptr()) };
}

impl Srb {
    /// A request that comes to `HwStorBuildIo`; `None` where it has no memory for the miniport.
    ///
    /// # Safety
    /// `block` is the request of that callback.
    pub(super) unsafe fn receive(block: NonNull<SCSI_REQUEST_BLOCK>) -> Option<Self> {
        // SAFETY: as the caller promises.
        let memory = unsafe { memory(block) }?;
        // SAFETY: as the caller promises.
        let parts = unsafe { parts(block) };
        // SAFETY: the memory is the request's own, and large enough.
        let place = unsafe { &raw mut (*memory.as_ptr()).parts };
        // SAFETY: as above.
        unsafe { place.write(parts) };
        Some(Self { memory })
    }

    /// The same request when it comes to `HwStorStartIo`; `None` where it never came to `HwStorBuildIo`.
    ///
    /// # Safety
    /// `block` is the request of that callback.
    pub(super) unsafe fn resume(block: NonNull<SCSI_REQUEST_BLOCK>) -> Option<Self> {
        // SAFETY: as the caller promises.
        let srb = Self {
            // SAFETY: as the caller promises.
            memory: unsafe { memory(block) }?,
        };
        (srb.parts().block == block).then_some(srb)
    }

    /// Where its parts are.
    fn parts(&self) -> &Parts {
        // SAFETY: `receive` has written them.
        unsafe { &(*self.memory.as_ptr()).parts }
    }

    /// The request itself, for a routine of the port driver.
    pub(super) fn block(&self) -> *mut SCSI_REQUEST_BLOCK {
        self.parts().block.as_ptr()
    }

    /// What is asked.
    pub(crate) fn function(&self) -> SrbFunction {
        SrbFunction(self.parts().function)
    }

    /// The logical unit of target 0 on path 0; a larger number for another target or path, or none.
    pub(crate) fn unit(&self) -> u32 {
        self.parts().address
    }

    /// The logical unit, whatever the path and the target.
    pub(crate) fn lun(&self) -> u8 {
        let [lun, ..] = self.parts().address.to_le_bytes();
        lun
    }

    /// Path, target and logical unit.
    pub(crate) fn address(&self) -> Option<(u8, u8, u8)> {
        let [lun, target, path, none] = self.parts().address.to_le_bytes();
        (none == 0).then_some((path, target, lun))
    }

    /// The data buffer as SCSI sees it.
    pub(crate) fn transfer(&self) -> Transfer {
        let flags = self.parts().flags;
        Transfer {
            bytes: self.transfer_bytes(),
            data_in: flags & SRB_FLAGS_DATA_IN != 0,
            data_out: flags & SRB_FLAGS_DATA_OUT != 0,
        }
    }

    fn transfer_bytes(&self) -> u32 {
        // SAFETY: a field of the request, which was not completed.
        unsafe { self.parts().length.read() }
    }

    fn set_transfer_bytes(&mut self, bytes: u32) {
        // SAFETY: as above; the request is ours.
        unsafe { self.parts().length.write(bytes) };
    }

    /// The command descriptor block; empty for a request that is no SCSI command, or that does not say where it is.
    pub(crate) fn cdb(&self) -> &[u8] {
        let part = &self.parts().scsi;
        if part.cdb.is_null() {
            return &[];
        }
        // SAFETY: the length was cut to the array that holds the CDB inside the request.
        unsafe { slice::from_raw_parts(part.cdb, usize::from(part.cdb_bytes)) }
    }

    /// The data buffer as memory, of a request that the port driver has mapped it for: every one but READ and WRITE.
    pub(crate) fn buffer(&mut self) -> &mut [u8] {
        let start = self.parts().buffer.cast::<u8>();
        if start.is_null() {
            return &mut [];
        }
        // SAFETY: the port driver maps the buffer of every request but READ and WRITE (STOR_MAP_NON_READ_WRITE_BUFFERS), for
        // its whole length, until the request is completed. Nothing else refers to it.
        unsafe { slice::from_raw_parts_mut(start, self.transfer_bytes() as usize) }
    }

    /// What a plug and play request asks for, and whether of the adapter itself (else of a logical unit).
    pub(crate) fn plug_and_play(&self) -> Option<(PnpAction, bool)> {
        let block = self.parts().block;
        // SAFETY: the request was not completed.
        let (action, flags) = if let Some(newer) = unsafe { extended(block) } {
            let data = newer.data(|kind, offset| {
                (kind == SrbExDataTypePnP).then(|| newer.part::<SRBEX_DATA_PNP>(offset))?
            })?;
            // SAFETY: the data lies inside the request.
            let data = unsafe { data.as_ref() };
            (data.PnPAction, data.SrbPnPFlags)
        } else {
            // SAFETY: the function code, which the caller has looked at, says that this is a plug and play request.
            let block = unsafe { block.cast::<SCSI_PNP_REQUEST_BLOCK>().as_ref() };
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
    pub(super) fn pieces(&self, port: Port) -> Option<&[STOR_SCATTER_GATHER_ELEMENT]> {
        let block = self.block();
        // SAFETY: the request is one that the port driver passed and that was not completed.
        let list = NonNull::new(unsafe { StorPortGetScatterGatherList(port.extension(), block) })?;
        // SAFETY: the port driver's list lives as long as the request.
        let count = unsafe { list.as_ref() }.NumberOfElements as usize;
        // SAFETY: a field of the list.
        let first = unsafe { &raw const (*list.as_ptr()).List };
        // SAFETY: the list has that many elements behind its header.
        Some(unsafe { slice::from_raw_parts(first.cast(), count) })
    }

    /// Records that a SCSI command succeeded.
    pub(crate) fn set_good(&mut self, transferred: u32) -> SrbStatus {
        let status = self.parts().scsi.status;
        if status.is_null() {
            return SrbStatus::INVALID_REQUEST;
        }
        // SAFETY: the status byte lies inside the request.
        unsafe { status.write(0) };
        self.set_transfer_bytes(transferred);
        SrbStatus::SUCCESS
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
        let answer = self.set_good(transferred);
        let part = self.parts().scsi;
        if answer != SrbStatus::SUCCESS || status == 0 {
            return answer;
        }
        // SAFETY: the status byte lies inside the request, as `set_good` has seen.
        unsafe { part.status.write(status) };
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
        let mut block = self.parts().block;
        // SAFETY: the request is ours; both kinds have the status in the same place.
        unsafe { block.as_mut() }.SrbStatus = status.0;
        // SAFETY: the request is ours and is completed once, because this call consumes it.
        unsafe { StorPortNotification(RequestComplete, port.extension(), block.as_ptr()) };
    }
}
