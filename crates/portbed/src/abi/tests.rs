//! The structures against measured facts: sizes and offsets.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::configuration::{AccessRange, MemoryRegion, PortConfiguration};
use super::initialization::HwInitializationData;
use super::interrupt::{
    GroupAffinity, MessageInterruptInformation, PerfConfigurationData, ProcessorNumber,
    StartIoPerformanceParameters, StorDpc, StorLockHandle,
};
use super::pofx::{COMPONENTS, Component, DEVICES, Device, IDLE_STATE, IdleState};
use super::power::AdapterControlPower;
use super::srb::{
    AddressBtl8, ExtendedCdb16, ExtendedPnp, ScatterGatherElement, ScatterGatherList,
    ScsiPnpRequestBlock, ScsiRequestBlock, StorageRequestBlock,
};

#[derive(Deserialize)]
struct Facts {
    records: BTreeMap<String, Record>,
    constants: BTreeMap<String, Constant>,
    enums: BTreeMap<String, Enumeration>,
}

#[derive(Deserialize)]
struct Enumeration {
    values: BTreeMap<String, i64>,
}

#[derive(Deserialize)]
struct Record {
    size: usize,
    fields: Vec<Field>,
}

#[derive(Deserialize)]
struct Field {
    name: Option<String>,
    offset_bits: usize,
    record: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Constant {
    value: serde_json::Value,
}

fn facts() -> Facts {
    let workspace = wdk_linux::workspace().unwrap();
    let path = workspace.join("wdk-linux/facts/storport-abi.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

impl Facts {
    /// Offset of a field that may lie in nested records: `a.b`, bytes.
    fn offset(&self, record: &str, field: &str) -> usize {
        fn find(fields: &[Field], path: &str) -> Option<usize> {
            fields.iter().find_map(|field| {
                let inner = || -> Option<Vec<Field>> {
                    serde_json::from_value(field.record.as_ref()?.get("fields")?.clone()).ok()
                };
                let bits = match (&field.name, path.split_once('.')) {
                    (Some(name), None) if name == path => 0,
                    (Some(name), Some((first, rest))) if name == first => find(&inner()?, rest)?,
                    (None, _) => find(&inner()?, path)?,
                    _ => return None,
                };
                Some(field.offset_bits + bits)
            })
        }
        let bits = find(&self.records[record].fields, field);
        bits.unwrap_or_else(|| panic!("{record} has no field {field}")) / 8
    }
}

macro_rules! layout {
    ($facts:ident, $type:ty, $record:literal, { $($field:ident: $name:literal),* $(,)? }) => {
        assert_eq!(size_of::<$type>(), $facts.records[$record].size, $record);
        $(assert_eq!(
            std::mem::offset_of!($type, $field),
            $facts.offset($record, $name),
            concat!($record, ".", $name)
        );)*
    };
}

#[test]
fn initialization_and_configuration() {
    let facts = facts();
    layout!(facts, HwInitializationData, "_HW_INITIALIZATION_DATA", {
        size: "HwInitializationDataSize", initialize: "HwInitialize", start_io: "HwStartIo", interrupt: "HwInterrupt",
        find_adapter: "HwFindAdapter", reset_bus: "HwResetBus", device_extension_size: "DeviceExtensionSize",
        srb_extension_size: "SrbExtensionSize", number_of_access_ranges: "NumberOfAccessRanges",
        map_buffers: "MapBuffers", multiple_request_per_lu: "MultipleRequestPerLu", adapter_control: "HwAdapterControl",
        build_io: "HwBuildIo", free_adapter_resources: "HwFreeAdapterResources", feature_support: "FeatureSupport",
        srb_type_flags: "SrbTypeFlags", address_type_flags: "AddressTypeFlags", unit_control: "HwUnitControl",
    });
    layout!(facts, PortConfiguration, "_PORT_CONFIGURATION_INFORMATION", {
        maximum_transfer_length: "MaximumTransferLength", number_of_physical_breaks: "NumberOfPhysicalBreaks",
        alignment_mask: "AlignmentMask", number_of_access_ranges: "NumberOfAccessRanges", access_ranges: "AccessRanges",
        number_of_buses: "NumberOfBuses", initiator_bus_id: "InitiatorBusId", scatter_gather: "ScatterGather",
        master: "Master", map_buffers: "MapBuffers", tagged_queuing: "TaggedQueuing",
        maximum_number_of_targets: "MaximumNumberOfTargets", srb_type: "SrbType", address_type: "AddressType",
        slot_number: "SlotNumber", srb_extension_size: "SrbExtensionSize", dma_64_bit_addresses: "Dma64BitAddresses",
        maximum_number_of_logical_units: "MaximumNumberOfLogicalUnits", synchronization_model: "SynchronizationModel",
        message_interrupt_routine: "HwMSInterruptRoutine",
        interrupt_synchronization_mode: "InterruptSynchronizationMode", dump_region: "DumpRegion",
        virtual_device: "VirtualDevice", dump_mode: "DumpMode", dma_address_width: "DmaAddressWidth",
        max_number_of_io: "MaxNumberOfIO", max_ios_per_lun: "MaxIOsPerLun",
        initial_lun_queue_depth: "InitialLunQueueDepth", feature_support: "FeatureSupport",
    });
    layout!(facts, MemoryRegion, "_MEMORY_REGION", { physical_base: "PhysicalBase", length: "Length" });
    layout!(facts, AccessRange, "_ACCESS_RANGE", {
        start: "RangeStart", length: "RangeLength", in_memory: "RangeInMemory",
    });
}

#[test]
fn request_blocks() {
    let facts = facts();
    layout!(facts, ScsiRequestBlock, "_SCSI_REQUEST_BLOCK", {
        function: "Function", srb_status: "SrbStatus", scsi_status: "ScsiStatus", path_id: "PathId",
        cdb_length: "CdbLength", sense_info_buffer_length: "SenseInfoBufferLength", srb_flags: "SrbFlags",
        data_transfer_length: "DataTransferLength", time_out_value: "TimeOutValue", data_buffer: "DataBuffer",
        sense_info_buffer: "SenseInfoBuffer", srb_extension: "SrbExtension", cdb: "Cdb",
    });
    layout!(facts, ScsiPnpRequestBlock, "_SCSI_PNP_REQUEST_BLOCK", {
        pnp_action: "PnPAction", srb_flags: "SrbFlags", time_out_value: "TimeOutValue", srb_extension: "SrbExtension",
        srb_pnp_flags: "SrbPnPFlags",
    });
    layout!(facts, StorageRequestBlock, "_STORAGE_REQUEST_BLOCK", {
        signature: "Signature", version: "Version", srb_length: "SrbLength", srb_function: "SrbFunction",
        srb_flags: "SrbFlags", request_tag: "RequestTag", time_out_value: "TimeOutValue",
        address_offset: "AddressOffset", num_srb_ex_data: "NumSrbExData", data_transfer_length: "DataTransferLength",
        data_buffer: "DataBuffer", miniport_context: "MiniportContext", srb_ex_data_offset: "SrbExDataOffset",
    });
    layout!(facts, AddressBtl8, "_STOR_ADDR_BTL8", { address_length: "AddressLength", path: "Path", lun: "Lun" });
    layout!(facts, ExtendedCdb16, "_SRBEX_DATA_SCSI_CDB16", {
        kind: "Type", length: "Length", scsi_status: "ScsiStatus", sense_info_buffer_length: "SenseInfoBufferLength",
        cdb_length: "CdbLength", sense_info_buffer: "SenseInfoBuffer", cdb: "Cdb",
    });
    layout!(facts, ExtendedPnp, "_SRBEX_DATA_PNP", { pnp_action: "PnPAction", srb_pnp_flags: "SrbPnPFlags" });
    layout!(facts, ScatterGatherList, "_STOR_SCATTER_GATHER_LIST", { number_of_elements: "NumberOfElements" });
    layout!(facts, ScatterGatherElement, "_STOR_SCATTER_GATHER_ELEMENT", {
        physical_address: "PhysicalAddress", length: "Length",
    });
}

#[test]
fn interrupts_and_power() {
    let facts = facts();
    layout!(facts, MessageInterruptInformation, "_MESSAGE_INTERRUPT_INFORMATION", {
        message_data: "MessageData", message_address: "MessageAddress", interrupt_mode: "InterruptMode",
    });
    layout!(facts, PerfConfigurationData, "_PERF_CONFIGURATION_DATA", {
        flags: "Flags", concurrent_channels: "ConcurrentChannels", device_node: "DeviceNode",
        message_targets: "MessageTargets",
    });
    layout!(facts, StartIoPerformanceParameters, "_STARTIO_PERFORMANCE_PARAMETERS", {
        message_number: "MessageNumber", channel_number: "ChannelNumber",
    });
    layout!(facts, GroupAffinity, "_STOR_GROUP_AFFINITY", { mask: "Mask", group: "Group" });
    // PROCESSOR_NUMBER is the kernel's own: a group, a number in it, and a reserved byte.
    assert_eq!(size_of::<ProcessorNumber>(), 4);
    assert_eq!(std::mem::offset_of!(ProcessorNumber, number), 2);
    layout!(facts, StorDpc, "_STOR_DPC", { kind: "Dpc", lock: "Lock" });
    // The kernel's DPC comes first in it.
    assert_eq!(
        std::mem::offset_of!(StorDpc, deferred_routine),
        facts.offset("_DPC_BUFFER", "DeferredRoutine")
    );
    assert_eq!(
        std::mem::offset_of!(StorDpc, deferred_context),
        facts.offset("_DPC_BUFFER", "DeferredContext")
    );
    layout!(facts, StorLockHandle, "_STOR_LOCK_HANDLE", { lock: "Lock", old_irql: "Context.OldIrql" });
    layout!(facts, AdapterControlPower, "_STOR_ADAPTER_CONTROL_POWER", {
        power_action: "PowerAction", power_state: "PowerState",
    });
}

#[test]
fn power_management_framework() {
    let facts = facts();
    let value = |name: &str| facts.constants[name].value.as_u64().unwrap();
    for (record, (_, size)) in [
        ("_STOR_POFX_DEVICE", DEVICES[0]),
        ("_STOR_POFX_DEVICE_V2", DEVICES[1]),
        ("_STOR_POFX_DEVICE_V3", DEVICES[2]),
    ] {
        assert_eq!(facts.offset(record, "Components"), size as usize);
        assert_eq!(facts.offset(record, "Flags"), 12);
        assert_eq!(std::mem::offset_of!(Device, flags), 12);
    }
    for (record, (_, size)) in [
        ("_STOR_POFX_COMPONENT", COMPONENTS[0]),
        ("_STOR_POFX_COMPONENT_V2", COMPONENTS[1]),
    ] {
        assert_eq!(facts.offset(record, "FStates"), size as usize);
        assert_eq!(
            facts.offset(record, "FStateCount"),
            std::mem::offset_of!(Component, state_count)
        );
        assert_eq!(
            facts.offset(record, "DeepestWakeableFState"),
            std::mem::offset_of!(Component, deepest_wakeable)
        );
        assert_eq!(
            facts.offset(record, "Id"),
            std::mem::offset_of!(Component, id)
        );
    }
    layout!(facts, IdleState, "_STOR_POFX_COMPONENT_IDLE_STATE", {
        version: "Version", size: "Size", transition_latency: "TransitionLatency",
        residency_requirement: "ResidencyRequirement", nominal_power: "NominalPower",
    });
    let known: Vec<(u32, u32)> = DEVICES
        .into_iter()
        .chain(COMPONENTS)
        .chain([IDLE_STATE])
        .collect();
    let names = [
        "DEVICE",
        "DEVICE_V2",
        "DEVICE_V3",
        "COMPONENT",
        "COMPONENT_V2",
        "COMPONENT_IDLE_STATE",
    ];
    for ((version, size), name) in known.into_iter().zip(names) {
        assert_eq!(value(&format!("STOR_POFX_{name}_SIZE")), u64::from(size));
        let (base, number) = name.split_once("_V").unwrap_or((name, "1"));
        assert_eq!(
            value(&format!("STOR_POFX_{base}_VERSION_V{number}")),
            u64::from(version)
        );
    }
    assert_eq!(
        value("STOR_POFX_ADAPTER_MAX_IDLE_STATES"),
        u64::from(super::pofx::ADAPTER_STATES)
    );
    assert_eq!(
        value("STOR_POFX_UNIT_MAX_IDLE_STATES"),
        u64::from(super::pofx::UNIT_STATES)
    );
}

#[test]
fn codes_of_memory_descriptors_and_of_the_power_management_framework() {
    use super::function as f;
    let facts = facts();
    let codes = &facts.enums["_STORPORT_FUNCTION_CODE"].values;
    for (code, name) in [
        (f::ALLOCATE_MDL, "AllocateMdl"),
        (f::FREE_MDL, "FreeMdl"),
        (f::BUILD_MDL, "BuildMdlForNonPagedPool"),
        (f::GET_ORIGINAL_MDL, "GetOriginalMdl"),
        (f::BUILD_LIST, "BuildScatterGatherList"),
        (f::PUT_LIST, "PutScatterGatherList"),
        (f::GET_DATA_IN_MDL, "GetDataInBufferMdl"),
        (f::GET_DATA_IN_ADDRESS, "GetDataInBufferSystemAddress"),
        (f::GET_DATA_IN_LIST, "GetDataInBufferScatterGatherList"),
        (f::INITIALIZE_POFX, "InitializePoFxPower"),
        (f::POFX_ACTIVATE, "PoFxActivateComponent"),
        (f::POFX_IDLE, "PoFxIdleComponent"),
        (f::POFX_LATENCY, "PoFxSetComponentLatency"),
        (f::POFX_RESIDENCY, "PoFxSetComponentResidency"),
        (f::POFX_TIMEOUT, "PoFxSetIdleTimeout"),
    ] {
        assert_eq!(
            codes[&format!("ExtFunction{name}")],
            i64::from(code),
            "{name}"
        );
    }
}

#[test]
fn every_defined_srb_status_is_known_and_no_other() {
    let facts = facts();
    let flags = [
        super::srb::status::AUTOSENSE_VALID,
        super::srb::status::QUEUE_FROZEN,
        super::srb::status::PENDING,
    ];
    let mut defined: Vec<u8> = facts
        .constants
        .iter()
        .filter(|(name, _)| name.starts_with("SRB_STATUS_"))
        .filter_map(|(_, constant)| u8::try_from(constant.value.as_u64()?).ok())
        .filter(|status| !flags.contains(status))
        .collect();
    defined.extend([0x13, 0x15]);
    defined.sort_unstable();
    defined.dedup();
    assert_eq!(defined, super::srb::status::DEFINED);
}
