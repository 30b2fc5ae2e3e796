//! The catalogue of the rules.

use std::fmt;

macro_rules! rules {
    ($($name:ident, $id:literal, $meaning:literal, $source:literal;)*) => {
        /// A rule.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule {
            $(#[doc = $meaning] $name,)*
        }

        /// Every rule.
        pub const RULES: &[Rule] = &[$(Rule::$name),*];

        impl Rule {
            /// The name that findings have.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id),* }
            }

            /// What it asks for, in a line.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning),* }
            }

            /// The page of Microsoft's driver documentation that it comes from.
            #[must_use]
            pub fn source(self) -> &'static str {
                match self { $(Self::$name => $source),* }
            }
        }
    };
}

rules! {
    Encoding, "encoding", "the file is ASCII or UTF-16 LE", "devtest/inf-validation-errors-and-warnings, 1003";
    Syntax, "syntax", "every line is INF syntax", "install/general-syntax-rules-for-inf-files";
    SectionOnce, "section-once", "a section is there once", "install/general-syntax-rules-for-inf-files";
    SectionExists, "section-exists", "a section that a directive names is there", "install/summary-of-inf-sections";
    SectionReached, "section-reached", "something leads to every section", "devtest/inf-validation-errors-and-warnings";
    EntryOnce, "entry-once", "a directive is given once, but for those that are processed line by line", "install/summary-of-inf-directives";
    Directive, "directive", "a section holds only directives that an isolated driver may use", "develop/driver-isolation";
    VersionEntry, "version-entry", "`[Version]` says what Windows needs to know before it installs", "install/inf-version-section";
    Class, "class", "the class is `SCSIAdapter`, by name and by GUID", "install/system-defined-device-setup-classes-available-to-vendors";
    DriverVersion, "driver-version", "`DriverVer` is a date and a version of four numbers", "install/inf-driverver-directive";
    CatalogName, "catalog-name", "`CatalogFile` is the file name of a catalogue", "install/inf-version-section";
    PnpLockdown, "pnp-lockdown", "`PnpLockdown` is 1, so that nobody changes what was installed", "install/inf-version-section";
    StringToken, "string-token", "a string that is used is defined", "install/inf-strings-section";
    StringUsed, "string-used", "a string that is defined is used", "install/inf-strings-section";
    Architecture, "architecture", "models are for a named architecture", "install/inf-manufacturer-section";
    MinimumSystem, "minimum-system", "models are for a system that runs drivers from the driver store", "develop/driver-isolation";
    DeviceId, "device-id", "a model names NVMe controllers, and only them, and a class code among the compatible ids only", "install/inf-models-section";
    Destination, "destination", "files stay in the driver store (DIRID 13)", "develop/driver-isolation";
    SourceFile, "source-file", "a file that is copied is on a disk that is named, and a file on it is copied", "install/inf-sourcedisksfiles-section";
    AbsolutePath, "absolute-path", "no path is absolute", "develop/driver-isolation";
    RegistryRoot, "registry-root", "registry values are relative to the package's own keys (HKR)", "develop/driver-isolation";
    RegistryKey, "registry-key", "a service keeps its values below Parameters", "develop/driver-isolation";
    RegistryValue, "registry-value", "a registry value has a known type and fits it, and nothing is deleted", "install/inf-addreg-directive";
    Service, "service", "the device has one function driver", "install/inf-addservice-directive";
    ServiceEntry, "service-entry", "the service is a kernel driver of the boot loader's SCSI miniport group", "install/inf-addservice-directive";
    ServiceBinary, "service-binary", "the service's image is a file of the package", "develop/driver-isolation";
    StorageParameter, "storage-parameter", "the port driver is told of the bus", "storage/registry-entries-for-storport-miniport-drivers";
    Interrupts, "interrupts", "interrupt messages are supported, and limited", "kernel/enabling-message-signaled-interrupts-in-the-registry";
    EventLog, "event-log", "the service's events have a message file", "install/inf-addservice-directive";
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.id())
    }
}
