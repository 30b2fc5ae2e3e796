//! Size of every structure, offset and size of every field, against the measured facts.

// Each test crate uses its own part of the facts.
#[allow(dead_code)]
mod facts;

use core::mem::offset_of;

use facts::{Place, Record};
use nvme_spec::command::{Command, DatasetRange};
use nvme_spec::completion::Completion;
use nvme_spec::feature::{AutonomousTransition, HostMemoryBufferDescriptor};
use nvme_spec::identify::{
    ControllerList, IdentifyController, IdentifyControllerNvm, IdentifyNamespace,
    NamespaceIdDescriptorHeader, NamespaceList, PowerStateDescriptor,
};
use nvme_spec::log::{
    ChangedNamespaces, CommandEffects, ErrorInformation, FirmwareSlotInformation,
    SmartHealthInformation,
};

/// A structure beside its fact.
struct Structure {
    name: &'static str,
    bytes: usize,
    fact: &'static str,
    fields: Vec<(&'static str, &'static str, Place)>,
    /// Members of the fact that the crate has in another form, or that revision 2.0c does not define.
    elsewhere: &'static [&'static str],
}

impl Structure {
    fn differences(&self) -> Vec<String> {
        let record = Record::named(self.fact);
        let size = (self.bytes as u64 != record.bytes()).then(|| {
            format!(
                "{}: {} bytes, the fact says {}",
                self.name,
                self.bytes,
                record.bytes()
            )
        });
        let places = self.fields.iter().filter_map(|(field, path, place)| {
            let fact = record.place(path);
            (fact != *place)
                .then(|| format!("{}.{field}: {place:?}, {path} is {fact:?}", self.name))
        });
        let members = record.members();
        let forgotten = members.iter().filter(|member| {
            let covered = |path: &str| path.split('.').next() == Some(&member.name);
            !member.name.starts_with("Reserved")
                && !self.fields.iter().any(|(_, path, _)| covered(path))
                && !self.elsewhere.contains(&member.name.as_str())
        });
        let forgotten =
            forgotten.map(|member| format!("{}: nothing stands for {}", self.name, member.name));
        size.into_iter().chain(places).chain(forgotten).collect()
    }
}

/// Bits of the field that a projection names.
fn bits<T, F>(_: impl Fn(&T) -> &F) -> u64 {
    size_of::<F>() as u64 * 8
}

/// A structure as a table of `field: "member of the fact"`. A field that is in neither list does not compile.
macro_rules! structure {
    (
        $type:ident = $fact:literal { $($field:ident: $path:literal,)* }
        without fact { $($other:ident),* }
        elsewhere [$($elsewhere:literal),*]
    ) => {{
        let _ = |it: &$type| { let $type { $($field: _,)* $($other: _,)* } = it; };
        Structure {
            name: stringify!($type),
            bytes: size_of::<$type>(),
            fact: $fact,
            fields: vec![$((
                stringify!($field),
                $path,
                Place { offset_bits: offset_of!($type, $field) as u64 * 8, bits: bits(|it: &$type| &it.$field) },
            )),*],
            elsewhere: &[$($elsewhere),*],
        }
    }};
}

#[test]
fn every_structure_is_as_the_facts_say() {
    let structures = [
        command(),
        completion(),
        identify_controller(),
        identify_controller_nvm(),
        power_state(),
        identify_namespace(),
        descriptor_header(),
        controller_list(),
        error_information(),
        smart(),
        firmware_slots(),
        effects(),
        host_memory(),
        dataset_range(),
    ];
    let differences: Vec<_> = structures.iter().flat_map(Structure::differences).collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

/// Where the crate has no fields to compare, the size is all there is.
#[test]
fn lists_and_entries_have_the_size_of_the_facts() {
    for (bytes, fact) in [
        (size_of::<NamespaceList>(), "NVME_ACTIVE_NAMESPACE_ID_LIST"),
        (
            size_of::<ChangedNamespaces>(),
            "NVME_CHANGED_NAMESPACE_LIST_LOG",
        ),
        (
            size_of::<AutonomousTransition>(),
            "NVME_AUTO_POWER_STATE_TRANSITION_ENTRY",
        ),
    ] {
        assert_eq!(bytes as u64, Record::named(fact).bytes(), "{fact}");
    }
}

fn command() -> Structure {
    structure! {
        Command = "NVME_COMMAND" {
            cdw0: "CDW0",
            nsid: "NSID",
            mptr: "MPTR",
            prp1: "PRP1",
            prp2: "PRP2",
            cdw10: "u.GENERAL.CDW10",
            cdw11: "u.GENERAL.CDW11",
            cdw12: "u.GENERAL.CDW12",
            cdw13: "u.GENERAL.CDW13",
            cdw14: "u.GENERAL.CDW14",
            cdw15: "u.GENERAL.CDW15",
        }
        without fact { cdw2, cdw3 }
        elsewhere ["SGL1"]
    }
}

fn completion() -> Structure {
    structure! {
        Completion = "NVME_COMPLETION_ENTRY" {
            dw0: "DW0",
            dw1: "DW1",
            sq_head: "DW2.SQHD",
            sq_id: "DW2.SQID",
            cid: "DW3.CID",
            status: "DW3.Status",
        }
        without fact {}
        elsewhere []
    }
}

fn identify_controller_nvm() -> Structure {
    structure! {
        IdentifyControllerNvm = "NVME_IDENTIFY_NVM_SPECIFIC_CONTROLLER_IO_COMMAND_SET" {
            vsl: "VSL",
            wzsl: "WZSL",
            wusl: "WUSL",
            dmrl: "DMRL",
            dmrsl_blocks: "DMRSL",
            dmsl_blocks: "DMSL",
            reserved_16: "Reserved",
        }
        without fact {}
        elsewhere []
    }
}

fn identify_controller() -> Structure {
    structure! {
        IdentifyController = "NVME_IDENTIFY_CONTROLLER_DATA" {
            vid: "VID",
            ssvid: "SSVID",
            sn: "SN",
            mn: "MN",
            fr: "FR",
            rab: "RAB",
            ieee: "IEEE",
            cmic: "CMIC",
            mdts: "MDTS",
            cntlid: "CNTLID",
            ver: "VER",
            rtd3r_us: "RTD3R",
            rtd3e_us: "RTD3E",
            oaes: "OAES",
            ctratt: "CTRATT",
            rrls: "RRLS",
            reserved_102: "Reserved0",
            cntrltype: "CNTRLTYPE",
            fguid: "FGUID",
            crdt1: "CRDT1",
            crdt2: "CRDT2",
            crdt3: "CRDT3",
            nvmsr: "NVMSR",
            vwci: "VWCI",
            mec: "MEC",
            oacs: "OACS",
            acl_z: "ACL",
            aerl_z: "AERL",
            frmw: "FRMW",
            lpa: "LPA",
            elpe_z: "ELPE",
            npss_z: "NPSS",
            avscc: "AVSCC",
            apsta: "APSTA",
            wctemp: "WCTEMP",
            cctemp: "CCTEMP",
            mtfa: "MTFA",
            hmpre: "HMPRE",
            hmmin: "HMMIN",
            tnvmcap: "TNVMCAP",
            unvmcap: "UNVMCAP",
            rpmbs: "RPMBS",
            edstt_minutes: "EDSTT",
            dsto: "DSTO",
            fwug: "FWUG",
            kas: "KAS",
            hctma: "HCTMA",
            mntmt: "MNTMT",
            mxtmt: "MXTMT",
            sanicap: "SANICAP",
            hmminds: "HMMINDS",
            hmmaxd: "HMMAXD",
            nsetidmax: "NSETIDMAX",
            endgidmax: "ENDGIDMAX",
            anatt_seconds: "ANATT",
            anacap: "ANACAP",
            anagrpmax: "ANAGRPMAX",
            nanagrpid: "NANAGRPID",
            pels: "PELS",
            domain_id: "DomainId",
            reserved_358: "Reserved2",
            megcap: "MEGCAP",
            sqes: "SQES",
            cqes: "CQES",
            maxcmd: "MAXCMD",
            nn: "NN",
            oncs: "ONCS",
            fuses: "FUSES",
            fna: "FNA",
            vwc: "VWC",
            awun_z: "AWUN",
            awupf_z: "AWUPF",
            icsvscc: "NVSCC",
            nwpc: "NWPC",
            acwu_z: "ACWU",
            cdfs: "CopyDescFormats",
            sgls: "SGLS",
            mnan: "MNAN",
            maxdna: "MAXDNA",
            maxcna: "MAXCNA",
            reserved_564: "Reserved6",
            subnqn: "SUBNQN",
            reserved_1024: "Reserved7",
            psd: "PDS",
            vs: "VS",
        }
        without fact { reserved_134, reserved_384, fabrics }
        elsewhere ["TMPTHHA", "CQT", "IOCCSZ", "IORCSZ", "ICDOFF", "FCATT", "MSDBD", "OFCS", "DCTYPE"]
    }
}

fn power_state() -> Structure {
    structure! {
        PowerStateDescriptor = "NVME_POWER_STATE_DESC" {
            mp: "MP",
            reserved_2: "Reserved0",
            enlat_us: "ENLAT",
            exlat_us: "EXLAT",
            idlp: "IDLP",
            reserved_19: "Reserved7",
            actp: "ACTP",
            reserved_23: "Reserved9",
        }
        without fact { flags, relative, idle_scale, active }
        elsewhere ["MPS", "NOPS", "RRT", "RRL", "RWT", "RWL", "IPS", "APW", "APS"]
    }
}

fn identify_namespace() -> Structure {
    structure! {
        IdentifyNamespace = "NVME_IDENTIFY_NAMESPACE_DATA" {
            nsze: "NSZE",
            ncap: "NCAP",
            nuse: "NUSE",
            nsfeat: "NSFEAT",
            nlbaf_z: "NLBAF",
            flbas: "FLBAS",
            mc: "MC",
            dpc: "DPC",
            dps: "DPS",
            nmic: "NMIC",
            rescap: "RESCAP",
            fpi: "FPI",
            dlfeat: "DLFEAT",
            nawun_z: "NAWUN",
            nawupf_z: "NAWUPF",
            nacwu_z: "NACWU",
            nabsn_z: "NABSN",
            nabo: "NABO",
            nabspf_z: "NABSPF",
            noiob: "NOIOB",
            nvmcap: "NVMCAP",
            npwg_z: "NPWG",
            npwa_z: "NPWA",
            npdg_z: "NPDG",
            npda_z: "NPDA",
            nows_z: "NOWS",
            mssrl: "MSSRL",
            mcl: "MCL",
            msrc_z: "MSRC",
            reserved_81: "Reserved2",
            anagrpid: "ANAGRPID",
            reserved_96: "Reserved3",
            nsattr: "NSATTR",
            nvmsetid: "NVMSETID",
            endgid: "ENDGID",
            nguid: "NGUID",
            eui64: "EUI64",
            lbaf: "LBAF",
            vs: "VS",
        }
        without fact {}
        elsewhere []
    }
}

fn error_information() -> Structure {
    structure! {
        ErrorInformation = "NVME_ERROR_INFO_LOG" {
            error_count: "ErrorCount",
            sq_id: "SQID",
            cid: "CMDID",
            status: "Status",
            parameter_error: "ParameterErrorLocation",
            lba: "Lba",
            nsid: "NameSpace",
            vendor_log_page: "VendorInfoAvailable",
            trtype: "TRTYPE",
            reserved_30: "Reserved0",
            command_specific: "CommandSpecificInfo",
            transport_specific: "TransportTypeSpecificInfo",
            reserved_42: "Reserved1",
        }
        without fact {}
        elsewhere []
    }
}

fn smart() -> Structure {
    structure! {
        SmartHealthInformation = "NVME_HEALTH_INFO_LOG" {
            critical_warning: "CriticalWarning",
            composite_temperature: "Temperature",
            available_spare_percent: "AvailableSpare",
            available_spare_threshold_percent: "AvailableSpareThreshold",
            percentage_used: "PercentageUsed",
            data_units_read: "DataUnitRead",
            data_units_written: "DataUnitWritten",
            host_read_commands: "HostReadCommands",
            host_write_commands: "HostWrittenCommands",
            controller_busy_minutes: "ControllerBusyTime",
            power_cycles: "PowerCycle",
            power_on_hours: "PowerOnHours",
            unsafe_shutdowns: "UnsafeShutdowns",
            media_errors: "MediaErrors",
            error_log_entries: "ErrorInfoLogEntryCount",
            warning_temperature_minutes: "WarningCompositeTemperatureTime",
            critical_temperature_minutes: "CriticalCompositeTemperatureTime",
        }
        without fact {
            endurance_group_warning, reserved_7, temperature_sensors, thermal_transitions, thermal_seconds,
            reserved_232
        }
        elsewhere [
            "TemperatureSensor1", "TemperatureSensor2", "TemperatureSensor3", "TemperatureSensor4",
            "TemperatureSensor5", "TemperatureSensor6", "TemperatureSensor7", "TemperatureSensor8"
        ]
    }
}

fn firmware_slots() -> Structure {
    structure! {
        FirmwareSlotInformation = "NVME_FIRMWARE_SLOT_INFO_LOG" {
            afi: "AFI",
            reserved_1: "Reserved0",
            frs: "FRS",
            reserved_64: "Reserved1",
        }
        without fact {}
        elsewhere []
    }
}

fn effects() -> Structure {
    structure! {
        CommandEffects = "NVME_COMMAND_EFFECTS_LOG" {
            acs: "ACS",
            iocs: "IOCS",
            reserved_2048: "Reserved",
        }
        without fact {}
        elsewhere []
    }
}

fn host_memory() -> Structure {
    structure! {
        HostMemoryBufferDescriptor = "NVME_HOST_MEMORY_BUFFER_DESCRIPTOR_ENTRY" {
            badd: "BADD",
            bsize: "BSIZE",
            reserved: "Reserved",
        }
        without fact {}
        elsewhere []
    }
}

fn dataset_range() -> Structure {
    structure! {
        DatasetRange = "NVME_LBA_RANGE" {
            attributes: "Attributes",
            length_blocks: "LogicalBlockCount",
            starting_lba: "StartingLBA",
        }
        without fact {}
        elsewhere []
    }
}

fn controller_list() -> Structure {
    structure! {
        ControllerList = "NVME_CONTROLLER_LIST" {
            count: "NumberOfIdentifiers",
            identifiers: "ControllerID",
        }
        without fact {}
        elsewhere []
    }
}

fn descriptor_header() -> Structure {
    // The fact ends with the first byte of the identifier; the header is what comes before it.
    let header = structure! {
        NamespaceIdDescriptorHeader = "NVME_IDENTIFY_NAMESPACE_DESCRIPTOR" {
            nidt: "NIDT",
            nidl: "NIDL",
            reserved: "Reserved",
        }
        without fact {}
        elsewhere ["NID"]
    };
    let identifier = Record::named(header.fact).place("NID");
    assert_eq!(header.bytes as u64 * 8, identifier.offset_bits);
    Structure {
        bytes: header.bytes + 1,
        ..header
    }
}

/// What the facts do not have, from the specification: Base 5.16.1.3 and 5.17.2.1.
#[test]
fn fields_without_a_fact_lie_where_the_specification_says() {
    assert_eq!(offset_of!(IdentifyController, fabrics), 1792);
    assert_eq!(
        offset_of!(SmartHealthInformation, endurance_group_warning),
        6
    );
    assert_eq!(offset_of!(SmartHealthInformation, temperature_sensors), 200);
    assert_eq!(offset_of!(SmartHealthInformation, thermal_transitions), 216);
    assert_eq!(offset_of!(SmartHealthInformation, thermal_seconds), 224);
    assert_eq!(offset_of!(Command, cdw2), 8);
    assert_eq!(offset_of!(PowerStateDescriptor, flags), 3);
    assert_eq!(offset_of!(PowerStateDescriptor, relative), 12);
    assert_eq!(offset_of!(PowerStateDescriptor, idle_scale), 18);
    assert_eq!(offset_of!(PowerStateDescriptor, active), 22);
}
