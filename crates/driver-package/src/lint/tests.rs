//! The INF that ships, and one fault after the other put into it.

use super::*;
mod foreign;

use crate::stamp::{Date, Stamp, Version, stamp, stamp_file};

fn stamped() -> Stamp {
    Stamp {
        architecture: "amd64",
        date: Date::new(2026, 1, 2).unwrap(),
        version: Version([1, 2, 3, 4]),
        catalog: "ferrostor.cat".into(),
    }
}

/// The INF as it is packaged.
fn inf() -> String {
    let inx = include_str!("../../../../inf/ferrostor.inx");
    stamp(inx, &stamped())
}

fn findings(text: &str) -> Vec<Finding> {
    lint(&Inf::parse(text.as_bytes()))
}

/// A fault: the rule it breaks, what is replaced by what, and a text on the line where it is found.
struct Seed(Rule, &'static str, &'static str, &'static str);

const SEEDS: &[Seed] = &[
    Seed(
        Rule::Encoding,
        "; Ferrostor,",
        "; F\u{e9}rrostor,",
        "F\u{e9}rrostor",
    ),
    Seed(Rule::Syntax, "[Files]", "[Files", "[Files"),
    Seed(
        Rule::Syntax,
        "\"SCSI Miniport\"",
        "\"SCSI Miniport",
        "\"SCSI Miniport",
    ),
    Seed(
        Rule::SectionOnce,
        "[Strings]",
        "[Files]\r\n[Strings]",
        "[Files]\r\n[Strings]",
    ),
    Seed(
        Rule::SectionExists,
        "CopyFiles = Files",
        "CopyFiles = Filez",
        "CopyFiles",
    ),
    Seed(
        Rule::SectionExists,
        "= Install, ,",
        "= Uninstall, ,",
        "Uninstall",
    ),
    Seed(
        Rule::SectionExists,
        "[Install.NT.Services]",
        "[Install.Services]",
        "%Controller% =",
    ),
    Seed(
        Rule::SectionExists,
        "Service, EventLog",
        "Service, Log",
        "Service, Log",
    ),
    Seed(
        Rule::SectionExists,
        "PortParameters, Dr",
        "Ports, Dr",
        "Ports, Dr",
    ),
    Seed(
        Rule::SectionExists,
        "%Provider% = Models,",
        "%Provider% = Model,",
        "= Model,",
    ),
    Seed(
        Rule::SectionReached,
        "[EventLog]",
        "[Spare]\r\na = b\r\n[EventLog]",
        "[Spare]",
    ),
    Seed(
        Rule::SectionReached,
        "[Files]",
        "[Install.NT.CoInstallers]\r\n[Files]",
        ".CoInst",
    ),
    Seed(
        Rule::EntryOnce,
        "StartType      = 0",
        "StartType = 0\r\nStartType = 3",
        "StartType = 3",
    ),
    Seed(
        Rule::EntryOnce,
        "Disk           =",
        "Provider = \"x\"\r\nDisk =",
        "Provider = \"x\"",
    ),
    Seed(
        Rule::Directive,
        "CopyFiles = Files",
        "CopyFiles = Files\r\nDelFiles = Files",
        "DelFiles",
    ),
    Seed(
        Rule::Directive,
        "AddReg = Hardware",
        "AddReg = Hardware\r\nDelReg = Hardware",
        "DelReg",
    ),
    Seed(
        Rule::Directive,
        "AddReg = EventLogValues",
        "AddReg = EventLogValues\r\nfile",
        "file",
    ),
    Seed(
        Rule::Directive,
        "ServiceType    = 1",
        "ServiceType = 1\r\nStartName = x",
        "StartName",
    ),
    Seed(
        Rule::Directive,
        "AddService = f",
        "DelService = f",
        "DelService",
    ),
    Seed(Rule::VersionEntry, "$WINDOWS NT$", "$CHICAGO$", "$CHICAGO$"),
    Seed(
        Rule::VersionEntry,
        "Provider    = %Provider%",
        "",
        "[Version]",
    ),
    Seed(Rule::Class, "= SCSIAdapter", "= HDC", "= HDC"),
    Seed(Rule::Class, "{4d36e97b", "{4d36e96a", "{4d36e96a"),
    Seed(
        Rule::DriverVersion,
        "01/02/2026,1.2.3.4",
        "01/02/2026,1.2.3",
        "01/02/2026",
    ),
    Seed(
        Rule::DriverVersion,
        "01/02/2026",
        "13/02/2026",
        "13/02/2026",
    ),
    Seed(Rule::DriverVersion, "01/02/2026,1.2.3.4", "", "\nDriverVer"),
    Seed(Rule::DriverVersion, "1.2.3.4", "1.2.3.65536", "65536"),
    Seed(
        Rule::CatalogName,
        "ferrostor.cat",
        "cat\\ferrostor.cat",
        "cat\\ferrostor.cat",
    ),
    Seed(
        Rule::CatalogName,
        "ferrostor.cat",
        "ferrostor.sys",
        "\nCatalogFile",
    ),
    Seed(
        Rule::PnpLockdown,
        "PnpLockdown = 1",
        "PnpLockdown = 0",
        "PnpLockdown = 0",
    ),
    Seed(
        Rule::StringToken,
        "= %Service%",
        "= %Servant%",
        "= %Servant%",
    ),
    Seed(
        Rule::StringUsed,
        "REG_KEY_ONLY   =",
        "Spare = \"\"\r\nREG_KEY_ONLY =",
        "Spare",
    ),
    Seed(
        Rule::Architecture,
        ", NTamd64.10.0...19041",
        "",
        "%Provider% = Models",
    ),
    Seed(Rule::Architecture, "NTamd64.", "NTx86.", "= Models, NTx86."),
    Seed(
        Rule::Architecture,
        "= Models, ",
        "= Models, NTalpha.10.0...19041, ",
        "= Models, NTalpha",
    ),
    // A class code in the place of a hardware id.
    Seed(
        Rule::DeviceId,
        "Install, , PCI\\CC_010802",
        "Install, PCI\\CC_010802",
        "%Controller% =",
    ),
    Seed(
        Rule::DeviceId,
        "Install, , PCI",
        "Install, PCI\\VEN_1B36&CC_010802, PCI",
        "%Controller% =",
    ),
    Seed(
        Rule::DeviceId,
        "Install, , PCI",
        "Install, PCI\\VEN_1B36, PCI",
        "%Controller% =",
    ),
    Seed(
        Rule::DeviceId,
        "Install, , PCI\\CC_010802",
        "Install, PCI\\VEN_1B36&DEV_0010&CC_010601",
        "%Controller% =",
    ),
    // Well formed, and refused by Windows' own tools.
    Seed(
        Rule::VersionEntry,
        "Provider    = %Provider%",
        "Provider = \"Microsoft\"",
        "Provider = \"Microsoft\"",
    ),
    Seed(
        Rule::DriverVersion,
        "01/02/2026",
        "04/20/2009",
        "04/20/2009",
    ),
    Seed(
        Rule::Service,
        "AddService = f",
        "AddService = fs/f",
        "AddService",
    ),
    Seed(
        Rule::Destination,
        "[Files]\r\n",
        "[Files]\r\nnvme.sys, ferrostor.sys\r\n",
        "nvme.sys,",
    ),
    Seed(
        Rule::RegistryValue,
        "\"Interrupt Management\", , %",
        "\"Interrupt Management\", %",
        "\"Interrupt Management\", %",
    ),
    Seed(
        Rule::RegistryValue,
        "[Hardware]",
        "[Hardware]\r\nHKR, , UpperFilters, 0x00010008, x",
        "UpperFilters",
    ),
    Seed(
        Rule::Directive,
        "[Strings]",
        "[DefaultInstall]\r\nCopyFiles = Files\r\n[Strings]",
        "[DefaultInstall]",
    ),
    Seed(
        Rule::Directive,
        "[Strings]",
        "[ClassInstall32.NT]\r\nAddReg = Hardware\r\n[Strings]",
        "[ClassInstall32.NT]",
    ),
    Seed(
        Rule::Directive,
        "[Strings]",
        "[ControlFlags]\r\nExcludeFromView = *\r\n[Strings]",
        "ExcludeFromView",
    ),
    Seed(
        Rule::StringToken,
        "Disk           = \"Ferrostor installation files\"\r\n",
        "[Strings.0407]\r\nDisk = \"Installationsdateien\"\r\n",
        "1 = %Disk%",
    ),
    Seed(
        Rule::StringUsed,
        "[Strings]",
        "[Strings.0407]\r\nSpare = x\r\n[Strings]",
        "Spare = x",
    ),
    Seed(
        Rule::MinimumSystem,
        "10.0...19041",
        "10.0...10240",
        "= Models,",
    ),
    Seed(Rule::MinimumSystem, "10.0...19041", "6.3", "= Models,"),
    Seed(
        Rule::DeviceId,
        "PCI\\CC_010802",
        "PCI\\CC_0108",
        "PCI\\CC_0108\r\n",
    ),
    Seed(
        Rule::DeviceId,
        "Install, , PCI\\CC_010802",
        "Install",
        "%Controller% =",
    ),
    Seed(
        Rule::Destination,
        "DefaultDestDir = 13",
        "DefaultDestDir = 12",
        "= 12",
    ),
    Seed(
        Rule::Destination,
        "DefaultDestDir = 13",
        "",
        "CopyFiles = Files",
    ),
    Seed(
        Rule::SourceFile,
        "ferrostor.sys = 1",
        "ferrostor.sys = 2",
        "ferrostor.sys = 2",
    ),
    Seed(
        Rule::SourceFile,
        "ferrostor.sys = 1",
        "",
        "\nferrostor.sys\r\n",
    ),
    Seed(
        Rule::SourceFile,
        "ferrostor.sys = 1",
        "ferrostor.sys = 1\r\nmore.dll = 1",
        "more.dll",
    ),
    Seed(
        Rule::AbsolutePath,
        "%13%\\f",
        "C:\\Windows\\f",
        "C:\\Windows",
    ),
    Seed(Rule::AbsolutePath, "IoLogMsg.dll", "Other.dll", "Other.dll"),
    Seed(
        Rule::RegistryRoot,
        "HKR, Parameters, BusType",
        "HKLM, Parameters, BusType",
        "HKLM",
    ),
    Seed(
        Rule::RegistryKey,
        "HKR, Parameters, BusType",
        "HKR, Config, BusType",
        "Config",
    ),
    Seed(
        Rule::RegistryValue,
        "Megabytes, %REG_DWORD%, 64",
        "Megabytes, %REG_DWORD%, many",
        ", many",
    ),
    Seed(
        Rule::RegistryValue,
        "Megabytes, %REG_DWORD%, 64",
        "Megabytes, 0x4, 64",
        "0x4, 64",
    ),
    Seed(
        Rule::RegistryValue,
        "Megabytes, %REG_DWORD%, 64",
        "Megabytes, %REG_DWORD%",
        "HmbMaximumM",
    ),
    Seed(
        Rule::RegistryValue,
        ", %REG_KEY_ONLY%",
        "a, %REG_KEY_ONLY%",
        "a, %REG_KEY_ONLY%",
    ),
    Seed(
        Rule::Service,
        "0x00000002",
        "0x00000000",
        "[Install.NT.Services]",
    ),
    Seed(
        Rule::Service,
        "AddService = ferrostor,",
        "AddService = ,",
        "AddService =",
    ),
    Seed(
        Rule::ServiceEntry,
        "StartType      = 0",
        "StartType      = 3",
        "StartType",
    ),
    Seed(
        Rule::ServiceEntry,
        "ServiceType    = 1",
        "ServiceType    = 2",
        "ServiceType",
    ),
    Seed(Rule::ServiceEntry, "ErrorControl   = 1", "", "[Service]"),
    Seed(
        Rule::ServiceEntry,
        "\"SCSI Miniport\"",
        "\"SCSI Class\"",
        "SCSI Class",
    ),
    Seed(
        Rule::ServiceBinary,
        "%13%\\ferrostor.sys",
        "%12%\\ferrostor.sys",
        "%12%",
    ),
    Seed(
        Rule::ServiceBinary,
        "%13%\\ferrostor.sys",
        "%13%\\other.sys",
        "other.sys",
    ),
    Seed(
        Rule::StorageParameter,
        "BusType, %REG_DWORD%, 17",
        "BusType, %REG_DWORD%, 8",
        "BusType,",
    ),
    Seed(
        Rule::StorageParameter,
        "PnpInterface\", 5,",
        "PnpInterface\", 1,",
        "; Ferrostor,",
    ),
    Seed(
        Rule::Interrupts,
        "MSISupported, %REG_DWORD%, 1",
        "MSISupported, %REG_DWORD%, 0",
        "MSISup",
    ),
    Seed(
        Rule::Interrupts,
        "%REG_DWORD%, 256",
        "%REG_DWORD%, 4096",
        "4096",
    ),
    Seed(
        Rule::EventLog,
        "TypesSupported, %REG_DWORD%, 7",
        "TypesSupported, %REG_DWORD%, 1",
        "TypesS",
    ),
    Seed(
        Rule::EventLog,
        ", Service, EventLog",
        ", Service",
        "AddService",
    ),
    Seed(
        Rule::EventLog,
        "EventMessageFile",
        "MessageFile",
        "[EventLog]",
    ),
];

#[test]
fn the_inf_that_ships_breaks_no_rule() {
    assert_eq!(findings(&inf()), []);
}

#[test]
fn each_seeded_fault_is_found_on_its_line_by_its_rule() {
    let sound = inf();
    let mut missed = Vec::new();
    for Seed(rule, from, to, at) in SEEDS {
        assert!(sound.contains(from), "{rule}: {from:?} is not in the INF");
        let faulty = sound.replacen(from, to, 1);
        let offset = faulty.find(at).expect("the text of the line");
        let begins = offset + at.len() - at.trim_start().len();
        let line = faulty[..begins].matches('\n').count() + 1;
        let found = findings(&faulty);
        let expected = |finding: &Finding| (finding.rule, finding.line) == (*rule, line);
        if !found.iter().any(expected) {
            missed.push(format!(
                "{rule} on line {line}: {from:?} -> {to:?}: {found:?}"
            ));
        }
    }
    assert_eq!(missed, [""; 0], "{}", missed.join("\n"));
}

#[test]
fn every_rule_has_a_seeded_fault() {
    for rule in RULES {
        assert!(SEEDS.iter().any(|seed| seed.0 == *rule), "{rule}");
        assert!(
            !rule.meaning().is_empty() && rule.source().contains('/'),
            "{rule}"
        );
    }
}

#[test]
fn a_finding_names_line_rule_and_fault() {
    let found = findings(&inf().replacen("DefaultDestDir = 13", "DefaultDestDir = 12", 1));
    let text = found[0].to_string();
    assert!(
        text.ends_with(": destination: the files go to folder 12, not to 13"),
        "{text}"
    );
}
