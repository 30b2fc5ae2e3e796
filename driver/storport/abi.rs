//! Sizes and offsets of every structure that the driver touches, as measured in the WDK: a header that differs does not
//! compile.

use core::mem::{offset_of, size_of};

use wdk_sys::{
    ACCESS_RANGE, HW_INITIALIZATION_DATA, PORT_CONFIGURATION_INFORMATION, SCSI_PNP_REQUEST_BLOCK,
    SCSI_REQUEST_BLOCK, SCSI_SUPPORTED_CONTROL_TYPE_LIST, SRBEX_DATA, SRBEX_DATA_PNP,
    SRBEX_DATA_SCSI_CDB16, SRBEX_DATA_SCSI_CDB32, STOR_ADAPTER_CONTROL_POWER, STOR_ADDR_BTL8,
    STOR_DPC, STOR_LOCK_HANDLE, STOR_SCATTER_GATHER_ELEMENT, STOR_SCATTER_GATHER_LIST,
    STORAGE_REQUEST_BLOCK,
};

/// Asserts the size of a structure and the offsets of the fields that are named.
macro_rules! layout {
    ($type:ty, $size:literal, { $($field:ident: $offset:literal),* $(,)? }) => {
        const _: () = assert!(size_of::<$type>() == $size);
        $(const _: () = assert!(offset_of!($type, $field) == $offset);)*
    };
}

layout!(HW_INITIALIZATION_DATA, 208, {
    HwInitializationDataSize: 0, AdapterInterfaceType: 4, HwInitialize: 8, HwStartIo: 16, HwInterrupt: 24,
    HwFindAdapter: 32, HwResetBus: 40, DeviceExtensionSize: 64, SpecificLuExtensionSize: 68, SrbExtensionSize: 72,
    NumberOfAccessRanges: 76, MapBuffers: 88, NeedPhysicalAddresses: 89, TaggedQueuing: 90, AutoRequestSense: 91,
    MultipleRequestPerLu: 92, HwAdapterControl: 120, HwBuildIo: 128, FeatureSupport: 184, SrbTypeFlags: 188,
    AddressTypeFlags: 192, HwUnitControl: 200,
});
layout!(PORT_CONFIGURATION_INFORMATION, 224, {
    Length: 0, SystemIoBusNumber: 4, AdapterInterfaceType: 8, MaximumTransferLength: 24, NumberOfPhysicalBreaks: 28,
    AlignmentMask: 48, NumberOfAccessRanges: 52, AccessRanges: 56, NumberOfBuses: 72, ScatterGather: 81, Master: 82,
    CachesData: 83, MapBuffers: 89, NeedPhysicalAddresses: 90, TaggedQueuing: 91, AutoRequestSense: 92,
    MultipleRequestPerLu: 93, MaximumNumberOfTargets: 97, SrbType: 98, AddressType: 99, SlotNumber: 100,
    SrbExtensionSize: 140, Dma64BitAddresses: 144, ResetTargetSupported: 145, MaximumNumberOfLogicalUnits: 146,
    WmiDataProvider: 147, SynchronizationModel: 148, HwMSInterruptRoutine: 152, InterruptSynchronizationMode: 160,
    DumpMode: 197, MaxNumberOfIO: 204, MaxIOsPerLun: 208, InitialLunQueueDepth: 212,
    BusResetHoldTime: 216, FeatureSupport: 220,
});
layout!(ACCESS_RANGE, 16, { RangeStart: 0, RangeLength: 8, RangeInMemory: 12 });
layout!(SCSI_REQUEST_BLOCK, 88, {
    Length: 0, Function: 2, SrbStatus: 3, ScsiStatus: 4, PathId: 5, TargetId: 6, Lun: 7, CdbLength: 10,
    SenseInfoBufferLength: 11, SrbFlags: 12, DataTransferLength: 16, TimeOutValue: 20, DataBuffer: 24,
    SenseInfoBuffer: 32, SrbExtension: 56, Cdb: 72,
});
layout!(SCSI_PNP_REQUEST_BLOCK, 88, { PnPAction: 8, SrbPnPFlags: 64 });
layout!(STORAGE_REQUEST_BLOCK, 128, {
    Length: 0, Function: 2, SrbStatus: 3, Signature: 8, SrbLength: 16, SrbFunction: 20, SrbFlags: 24, TimeOutValue: 40,
    AddressOffset: 52, NumSrbExData: 56, DataTransferLength: 60, DataBuffer: 64, MiniportContext: 104,
    SrbExDataOffset: 120,
});
layout!(SRBEX_DATA, 16, { Type: 0, Length: 4 });
layout!(SRBEX_DATA_SCSI_CDB16, 40, {
    ScsiStatus: 8, SenseInfoBufferLength: 9, CdbLength: 10, SenseInfoBuffer: 16, Cdb: 24,
});
layout!(SRBEX_DATA_SCSI_CDB32, 56, {
    ScsiStatus: 8, SenseInfoBufferLength: 9, CdbLength: 10, SenseInfoBuffer: 16, Cdb: 24,
});
layout!(SRBEX_DATA_PNP, 24, { PnPAction: 12, SrbPnPFlags: 16 });
layout!(STOR_ADDR_BTL8, 16, { Type: 0, AddressLength: 4, Path: 8, Target: 9, Lun: 10 });
layout!(STOR_SCATTER_GATHER_LIST, 16, { NumberOfElements: 0, List: 16 });
layout!(STOR_SCATTER_GATHER_ELEMENT, 24, { PhysicalAddress: 0, Length: 8 });
layout!(STOR_LOCK_HANDLE, 32, { Lock: 0, Context: 8 });
layout!(STOR_DPC, 72, { Dpc: 0, Lock: 64 });
layout!(SCSI_SUPPORTED_CONTROL_TYPE_LIST, 4, { MaxControlType: 0, SupportedTypeList: 4 });
layout!(STOR_ADAPTER_CONTROL_POWER, 24, { Header: 0, PowerAction: 16, PowerState: 20 });
