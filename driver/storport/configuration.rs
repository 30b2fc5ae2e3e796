//! `PORT_CONFIGURATION_INFORMATION`: what the adapter has, and what the miniport can do.

use core::ptr::NonNull;

use wdk_sys::_INTERRUPT_SYNCHRONIZATION_MODE::InterruptSynchronizePerMessage;
use wdk_sys::_STOR_SYNCHRONIZATION_MODEL::StorSynchronizeFullDuplex;
use wdk_sys::storage::StorPortGetDeviceBase;
use wdk_sys::{
    ACCESS_RANGE, PORT_CONFIGURATION_INFORMATION, SCSI_DMA64_MINIPORT_FULL64BIT_SUPPORTED,
    SRB_TYPE_STORAGE_REQUEST_BLOCK, STOR_ADDRESS_TYPE_BTL8, STOR_MAP_NON_READ_WRITE_BUFFERS,
};

use super::{MessageRoutine, Port, RegisterWindow};

/// The configuration of the adapter, during `HwStorFindAdapter`.
pub(crate) struct Configuration<'a> {
    information: &'a mut PORT_CONFIGURATION_INFORMATION,
}

/// What the miniport tells the port driver of its limits.
pub(crate) struct Limits {
    /// The longest transfer of one request, in bytes.
    pub(crate) transfer_bytes: u32,
    /// Into how many physical pieces a transfer may fall.
    pub(crate) physical_breaks: u32,
    /// How many requests may be outstanding, over all logical units and on one of them.
    pub(crate) requests: u32,
    /// How many logical units there may be.
    pub(crate) units: u8,
}

impl<'a> Configuration<'a> {
    /// # Safety
    /// `information` is the structure that the port driver passed to the current `HwStorFindAdapter` call.
    pub(super) const unsafe fn new(information: &'a mut PORT_CONFIGURATION_INFORMATION) -> Self {
        Self { information }
    }

    pub(super) const fn as_ptr(&mut self) -> *mut PORT_CONFIGURATION_INFORMATION {
        self.information
    }

    /// Bus and slot number, as the port driver's configuration space routines want them.
    pub(super) const fn location(&self) -> (u32, u32) {
        (
            self.information.SystemIoBusNumber,
            self.information.SlotNumber,
        )
    }

    /// Where the adapter is, as a number that no other has: bus, then slot.
    pub(crate) const fn place(&self) -> u64 {
        let (bus, slot) = self.location();
        (bus as u64) << 32 | slot as u64
    }

    /// Whether this is the instance that writes a crash dump or hibernation file.
    pub(crate) const fn is_dump(&self) -> bool {
        self.information.DumpMode != 0
    }

    /// Maps the registers: the first memory range of the adapter. `StorPortGetDeviceBase`.
    pub(crate) fn map_registers(&self, port: Port) -> Option<RegisterWindow> {
        let range = self.first_memory_range()?;
        // SAFETY: the range is one of the adapter's own, as the port driver lists them.
        let start = unsafe {
            StorPortGetDeviceBase(
                port.extension(),
                self.information.AdapterInterfaceType,
                self.information.SystemIoBusNumber,
                range.RangeStart,
                range.RangeLength,
                0,
            )
        };
        // SAFETY: the mapping has the length of the range and stays until the adapter is gone.
        NonNull::new(start.cast::<u8>())
            .map(|start| unsafe { RegisterWindow::new(start, range.RangeLength) })
    }

    fn first_memory_range(&self) -> Option<ACCESS_RANGE> {
        let ranges = NonNull::new(self.information.AccessRanges.cast::<ACCESS_RANGE>())?;
        let count = self.information.NumberOfAccessRanges as usize;
        // SAFETY: the port driver's array has that many entries, for the length of the call.
        let ranges = unsafe { core::slice::from_raw_parts(ranges.as_ptr(), count) };
        ranges
            .iter()
            .find(|range| range.RangeInMemory != 0 && range.RangeLength != 0)
            .copied()
    }

    /// Fills in what the miniport can do: upper bounds before [`Port::uncached_extension`], which makes the DMA adapter of
    /// them, and the limits that the controller lowers them to afterwards.
    pub(crate) fn set(&mut self, limits: &Limits, messages: MessageRoutine) {
        let information = &mut *self.information;
        information.MaximumTransferLength = limits.transfer_bytes;
        information.NumberOfPhysicalBreaks = limits.physical_breaks;
        information.AlignmentMask = 3;
        information.ScatterGather = 1;
        information.Master = 1;
        information.CachesData = 0;
        information.NeedPhysicalAddresses = 1;
        information.TaggedQueuing = 1;
        information.AutoRequestSense = 1;
        information.MultipleRequestPerLu = 1;
        information.MapBuffers = STOR_MAP_NON_READ_WRITE_BUFFERS as u8;
        information.Dma64BitAddresses = SCSI_DMA64_MINIPORT_FULL64BIT_SUPPORTED as u8;
        information.BusResetHoldTime = 0;
        information.NumberOfBuses = 1;
        information.MaximumNumberOfTargets = 1;
        information.MaximumNumberOfLogicalUnits = limits.units;
        information.ResetTargetSupported = 1;
        information.SrbType = SRB_TYPE_STORAGE_REQUEST_BLOCK as u8;
        information.AddressType = STOR_ADDRESS_TYPE_BTL8 as u8;
        information.SynchronizationModel = StorSynchronizeFullDuplex;
        information.HwMSInterruptRoutine = messages;
        information.InterruptSynchronizationMode = InterruptSynchronizePerMessage;
        information.MaxNumberOfIO = limits.requests;
        information.MaxIOsPerLun = limits.requests;
        information.InitialLunQueueDepth = limits.requests;
    }
}
