//! INFs that are legal by Windows' documentation and are not this driver's.

use super::*;

/// What may be replaced by what in the INF that ships.
const LEGAL: &[(&str, &str, &str)] = &[
    (
        "several lines of AddReg are processed one after the other",
        "AddReg         = PortParameters, DriverParameters",
        "AddReg = PortParameters\r\nAddReg = DriverParameters",
    ),
    (
        "several lines of CopyFiles as well, and a file by its name",
        "CopyFiles = Files",
        "CopyFiles = Files\r\nCopyFiles = @ferrostor.sys",
    ),
    (
        "[ControlFlags] is a section of its own",
        "[Strings]",
        "[ControlFlags]\r\nExcludeFromSelect.NTamd64 = PCI\\CC_010802\r\nCopyFilesOnly = PCI\\CC_010802\r\n[Strings]",
    ),
    (
        "strings may be given again for a language",
        "[Strings]",
        "[Strings.0407]\r\nDisk = \"Installationsdateien\"\r\n[Strings]",
    ),
    (
        "a catalogue may be for one architecture",
        "CatalogFile =",
        "CatalogFile.NTamd64 =",
    ),
    (
        "[Version] may say what the package is called",
        "PnpLockdown = 1",
        "PnpLockdown = 1\r\nDriverPackageDisplayName = %Provider%\r\nDriverPackageType = PlugAndPlay",
    ),
    (
        "a path on the medium begins at its root",
        "ferrostor.sys = 1",
        "ferrostor.sys = 1, \\amd64",
    ),
    (
        "so does that of a disk",
        "1 = %Disk%",
        "1 = %Disk%, , , \\x64",
    ),
    (
        "a file may be on a disk of its own for each architecture",
        "[SourceDisksFiles]",
        "[SourceDisksFiles.x86]\r\nferrostor.sys = 1\r\n[SourceDisksFiles.amd64]",
    ),
    (
        "a section for removing a package that is for no device does no harm",
        "[Strings]",
        "[DefaultUninstall.NTamd64]\r\nLegacyUninstall = 1\r\n[Strings]",
    ),
    (
        "properties, filters and interfaces belong to an install section",
        "[Install.NT.Services]",
        "[Install.NT.Interfaces]\r\nAddInterface = {12345678-1234-1234-1234-123456789abc}, , Interface\r\n\
         [Interface]\r\nAddReg = InterfaceValues\r\n[InterfaceValues]\r\nHKR, , Name, , x\r\n[Install.NT.Services]",
    ),
    (
        "the sections of a signature lead to others",
        "[Strings]",
        "[SignatureAttributes]\r\nferrostor.sys = Attributes\r\n[Attributes]\r\nPETrust = true\r\n[Strings]",
    ),
    (
        "a model may be named by vendor and device",
        "Install, , PCI\\CC_010802",
        "Install, PCI\\VEN_1B36&DEV_0010, PCI\\VEN_1B36&DEV_0010&REV_02, PCI\\CC_010802",
    ),
    (
        "a value without data is empty, one may spare what is there or is not",
        "HKR, Parameters, BusType,",
        "HKR, Parameters, Empty\r\nHKR, Parameters, A, 0x10003, 1\r\nHKR, Parameters, B, 0x10021, 1\r\n\
         HKR, Parameters, C, 0x000b0001, 0xffffffffff\r\nHKR, Parameters, BusType,",
    ),
    (
        "the port driver has a time-out of its own",
        "HKR, Parameters, IoTimeoutValue, %REG_DWORD%, 30",
        "",
    ),
    (
        "a service may depend on others and be protected",
        "StartType      = 0",
        "StartType = 0\r\nDependencies = \"+SCSI CDROM Class\"\r\nSecurity = \"D:(A;;GA;;;SY)\"",
    ),
];

#[test]
fn what_windows_documents_is_no_finding() {
    let sound = inf();
    for (why, from, to) in LEGAL {
        assert!(sound.contains(from), "{why}: {from:?} is not in the INF");
        assert_eq!(findings(&sound.replacen(from, to, 1)), [], "{why}");
    }
}

/// Of a vendor's controller, for three architectures, each with sections and files of its own.
const THREE_ARCHITECTURES: &str = r#"
; Comment
[VERSION]
signature="$Windows NT$"
CLASS=SCSIAdapter
classguid={4D36E97B-E325-11CE-BFC1-08002BE10318}
Provider=%Vendor%
CatalogFile.NTx86=vendor32.cat
CatalogFile.NTamd64=vendor64.cat
DriverVer=05/06/2021,2.0.0.7
PnpLockDown=1

[Manufacturer]
%Vendor%=Controllers,NTx86.10.0...19041,NTamd64.10.0...19041,NTarm64.10.0...19041

; For systems that know no decorations: nothing.
[Controllers]

[Controllers.NTx86.10.0...19041]
%Name%=Main,PCI\VEN_1D0F&DEV_8061&CC_010802
[Controllers.NTamd64.10.0...19041]
%Name%=Main,PCI\VEN_1D0F&DEV_8061&CC_010802
[Controllers.NTarm64.10.0...19041]
%Name%=Main,PCI\VEN_1D0F&DEV_8061&CC_010802

[Main.NTx86]
CopyFiles=Files32
[Main.NTx86.Services]
AddService=vendor,%FUNCTION%,Service32,Events
[Main.NTx86.HW]
AddReg=Messages

[Main.NTamd64]
CopyFiles=Files64
[Main.NTamd64.Services]
AddService=vendor,%FUNCTION%,Service64,Events
[Main.NTamd64.HW]
AddReg=Messages

[Main.NTarm64]
CopyFiles=@vendor64.sys
[Main.NTarm64.Services]
AddService=vendor,%FUNCTION%,Service64,Events
[Main.NTarm64.HW]
AddReg=Messages

[Files32]
vendor32.sys,,,0x00000002
[Files64]
vendor64.sys,,,0x00000002

[DestinationDirs]
DefaultDestDir=13
Files32=13
Files64=13

[SourceDisksNames.x86]
1=%Medium%,,,""
[SourceDisksNames.amd64]
1=%Medium%,,,\x64
[SourceDisksNames.arm64]
1=%Medium%,,,\arm64
[SourceDisksFiles]
vendor32.sys=1,,
vendor64.sys=1,,

[Service32]
ServiceType=%KERNEL%
StartType=%BOOT%
ErrorControl=%NORMAL%
ServiceBinary=%13%\vendor32.sys
LoadOrderGroup=SCSI miniport
AddReg=Bus
AddReg=Parameters32
[Service64]
ServiceType=%KERNEL%
StartType=%BOOT%
ErrorControl=%NORMAL%
ServiceBinary=%13%\vendor64.sys
LoadOrderGroup=SCSI miniport
AddReg=Bus

[Bus]
HKR,"Parameters\PnpInterface","5",0x00010001,0x00000001
HKR,Parameters,BusType,%DWORD%,0x00000011
HKR,Parameters,IoTimeoutValue,%DWORD%,60
[Parameters32]
HKR,"Parameters\Device",Flags,%DWORD%,0

[Messages]
HKR,"Interrupt Management",,0x00000010
HKR,"Interrupt Management\MessageSignaledInterruptProperties",,0x00000010
HKR,"Interrupt Management\MessageSignaledInterruptProperties",MSISupported,%DWORD%,1
HKR,"Interrupt Management\MessageSignaledInterruptProperties",MessageNumberLimit,%DWORD%,64

[Events]
AddReg=EventValues
[EventValues]
HKR,,EventMessageFile,0x00020000,"%%SystemRoot%%\System32\IoLogMsg.dll"
HKR,,TypesSupported,%DWORD%,7

[ControlFlags]
ExcludeFromSelect=*

[Strings]
Vendor="A Vendor"
Name="A Vendor's Controller"
Medium="A Vendor's Medium"
FUNCTION=0x00000002
KERNEL=1
BOOT=0
NORMAL=1
DWORD=0x00010001
[Strings.0409]
Name="A Vendor's Controller (en)"
[Strings.0411]
Name="A Vendor's Controller (ja)"
"#;

#[test]
fn an_inf_for_three_architectures_is_legal() {
    assert_eq!(findings(THREE_ARCHITECTURES), []);
}

/// The same, in each of the encodings that an INF may have, as an INX as well.
#[test]
fn utf_16_is_read_stamped_and_legal() {
    let utf16 = |text: &str| -> Vec<u8> {
        let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect()
    };
    let name = "(ja)";
    let text = THREE_ARCHITECTURES.replace(name, "\u{30b3}\u{30f3}");
    assert_eq!(lint(&Inf::parse(&utf16(&text))), []);

    let stamped = stamp_file(&utf16(&text.replace("NTamd64", "NT$ARCH$")), &stamped());
    let inf = Inf::parse(&stamped);
    assert_eq!(inf.encoding, Some(crate::inf::Encoding::Utf16));
    assert_eq!(lint(&inf), []);
    let version = inf.entry("Version", "DriverVer").unwrap();
    assert_eq!(version.values, ["01/02/2026", "1.2.3.4"]);
    assert!(
        inf.entry("Strings.0411", "Name")
            .unwrap()
            .value()
            .contains('\u{30b3}')
    );

    // What cannot be read is not made readable.
    let mut broken = utf16(&text);
    broken.push(0);
    let found = lint(&Inf::parse(&stamp_file(&broken, &self::stamped())));
    assert!(
        found.iter().any(|finding| finding.rule == Rule::Encoding),
        "{found:?}"
    );
}

/// A finding says what is wrong, not what a program takes it for.
#[test]
fn flags_in_the_place_of_a_name_are_called_that() {
    let from = "HKR, \"Interrupt Management\", , %REG_KEY_ONLY%";
    let text = inf().replacen(from, "HKR, \"Interrupt Management\", 0x00000010", 1);
    let found = findings(&text);
    let said = found[0].to_string();
    assert!(
        said.contains("flags 0x00000010 stand in the place of the value's name"),
        "{said}"
    );
}
