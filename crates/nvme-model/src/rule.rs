//! What a controller can tell about the host that drives it.

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident: $id:literal, $meaning:literal, $source:literal;)*) => {
        /// A rule of the specification that the controller judges from what the host does to it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $(#[doc = $meaning] $name,)*
        }

        impl Rule {
            /// Every rule, in the order of their declaration.
            #[must_use]
            pub fn all() -> &'static [Self] {
                &[$(Self::$name,)*]
            }

            /// A short, stable name.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)* }
            }

            /// What holds when the rule holds, in one line.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }

            /// Where the rule is written.
            #[must_use]
            pub fn source(self) -> &'static str {
                match self { $(Self::$name => $source,)* }
            }
        }
    };
}

rules! {
    RegisterWidth: "nvme-register-width",
        "a register is accessed at its own width, or as aligned 4-byte halves of an 8-byte register",
        "NVMe Base, Controller Properties";
    RegisterWritable: "nvme-register-writable",
        "only registers that are defined and writable are written",
        "NVMe Base, Controller Properties";
    ReservedBits: "nvme-reserved-bits",
        "reserved bits of a register are written as zero",
        "NVMe Base, Controller Properties";
    MaskWithMsix: "nvme-mask-with-msix",
        "INTMS and INTMC are left alone while MSI-X is enabled",
        "NVMe Base, Interrupt Mask Set, Interrupt Mask Clear";
    EnableTransition: "nvme-enable-transition",
        "CC.EN is set only while CSTS.RDY = 0, and cleared only while CSTS.RDY = 1 or after a fatal status or CAP.TO",
        "NVMe Base, Controller Configuration, EN";
    ConfigurationKept: "nvme-configuration-kept",
        "CC.CSS, CC.MPS, CC.AMS, AQA, ASQ and ACQ change only while CC.EN = 0",
        "NVMe Base, Controller Configuration; Admin Queue Attributes";
    ConfigurationSupported: "nvme-configuration-supported",
        "CC selects a page size, command set and arbitration that CAP offers",
        "NVMe Base, Controller Configuration";
    AdminQueues: "nvme-admin-queues",
        "at enable the admin queues have 2 to 4096 entries and page-aligned bases",
        "NVMe Base, Admin Queue Attributes, ASQ, ACQ";
    ReadyForCommands: "nvme-ready-for-commands",
        "doorbells are rung only while CSTS.RDY = 1 and no shutdown was started",
        "NVMe Base, Controller Status; Memory-based Controller Shutdown";
    DoorbellQueue: "nvme-doorbell-queue",
        "only doorbells of queues that exist are rung",
        "NVMe over PCIe, Doorbell Registers";
    DoorbellWriteOnly: "nvme-doorbell-write-only",
        "doorbells are not read",
        "NVMe over PCIe, Doorbell Registers";
    DoorbellRange: "nvme-doorbell-range",
        "a doorbell value is below the queue's size and differs from the last one",
        "NVMe Base, Asynchronous Event Request, Invalid Doorbell Write Value";
    SubmissionRoom: "nvme-submission-room",
        "a submission queue entry is reused only after a completion reported a head beyond it",
        "NVMe Base, Full Queue; Submission Queue Head Pointer";
    CompletionConsumed: "nvme-completion-consumed",
        "a completion queue head never passes the last completion posted",
        "NVMe over PCIe, Completion Queue Head Doorbell";
    CommandIdentifier: "nvme-command-identifier",
        "a command identifier is not in use by an outstanding command of the same submission queue",
        "NVMe Base, Command Identifier";
    CommandReserved: "nvme-command-reserved",
        "reserved fields of a command, and an NSID that the command does not use, are zero",
        "NVMe Base, Common Command Format";
    CommandSupported: "nvme-command-supported",
        "only commands that the controller supports are sent",
        "NVMe Base, Opcodes; Identify Controller, OACS, ONCS";
    NamespaceUsed: "nvme-namespace",
        "a command that uses a namespace names one that is active",
        "NVMe Base, Namespace Identifiers";
    BlockRange: "nvme-block-range",
        "blocks named by a command lie within the namespace",
        "NVM Command Set, LBA Out of Range";
    TransferLimit: "nvme-transfer-limit",
        "a transfer is not larger than MDTS",
        "NVMe Base, Identify Controller, MDTS";
    PrpOffset: "nvme-prp-offset",
        "PRP1 is dword aligned, later PRP entries are page aligned, a PRP list is qword aligned",
        "NVMe Base, Physical Region Page Entry and List";
    QueueCount: "nvme-queue-count",
        "the number of queues is negotiated before the first I/O queue and then kept to",
        "NVMe Base, Number of Queues feature";
    QueueCreation: "nvme-queue-creation",
        "an I/O queue is created with a free identifier, a size, base and vector that the controller allows, on entry sizes in CC",
        "NVMe Base, Create I/O Completion Queue, Create I/O Submission Queue";
    QueueOverlap: "nvme-queue-overlap",
        "the memory of an I/O queue that is created overlaps that of no other queue",
        "NVMe Base, Create I/O Completion Queue, Create I/O Submission Queue, PRP Entry 1";
    QueueDeletion: "nvme-queue-deletion",
        "an I/O queue that is deleted exists, and a completion queue outlives its submission queues",
        "NVMe Base, Delete I/O Completion Queue, Delete I/O Submission Queue";
    EventRequestLimit: "nvme-event-request-limit",
        "no more Asynchronous Event Requests are outstanding than AERL allows",
        "NVMe Base, Asynchronous Event Request";
    AbortLimit: "nvme-abort-limit",
        "no more Abort commands are outstanding than ACL allows",
        "NVMe Base, Abort";
    ShutdownQuiet: "nvme-shutdown-quiet",
        "a normal shutdown starts with no I/O command outstanding",
        "NVMe Base, Memory-based Controller Shutdown";
    ShutdownBeforePowerOff: "nvme-shutdown-before-power-off",
        "the controller is shut down or disabled before it loses power",
        "NVMe Base, Memory-based Controller Shutdown";
    HmbWanted: "nvme-hmb-wanted",
        "host memory is lent only to a controller that asks for it (HMPRE is not 0)",
        "NVMe Base, Identify Controller, HMPRE";
    HmbSequence: "nvme-hmb-sequence",
        "EHM is set only while the Host Memory Buffer is disabled",
        "NVMe Base, Host Memory Buffer feature, EHM";
    HmbListAddress: "nvme-hmb-list-address",
        "the descriptor list is 16-byte aligned",
        "NVMe Base, Host Memory Buffer feature, HMDLLA";
    HmbEntryCount: "nvme-hmb-entry-count",
        "the descriptor list has 1 to HMMAXD entries",
        "NVMe Base, Identify Controller, HMMAXD";
    HmbEntrySize: "nvme-hmb-entry-size",
        "each descriptor entry is at least HMMINDS long and not empty",
        "NVMe Base, Identify Controller, HMMINDS";
    HmbEntryAddress: "nvme-hmb-entry-address",
        "each descriptor entry starts at a memory page and its reserved bytes are zero",
        "NVMe Base, Host Memory Buffer Descriptor Entry";
    HmbEntriesDistinct: "nvme-hmb-entries-distinct",
        "descriptor entries do not overlap, nor wrap round the end of memory",
        "NVMe Base, Host Memory Buffer";
    HmbSize: "nvme-hmb-size",
        "HSIZE is the sum of the sizes of the descriptor entries",
        "NVMe Base, Host Memory Buffer feature, HSIZE";
    HmbMinimum: "nvme-hmb-minimum",
        "the memory lent is not less than HMMIN",
        "NVMe Base, Identify Controller, HMMIN";
    HmbListKept: "nvme-hmb-list-kept",
        "the descriptor list is not changed while the memory is lent",
        "NVMe Base, Host Memory Buffer";
    HmbUntouched: "nvme-hmb-untouched",
        "lent memory stays reachable and is not written by the host",
        "NVMe Base, Host Memory Buffer";
    HmbMemoryReturn: "nvme-hmb-memory-return",
        "MR = 1 only with the size, list and contents that the controller last saw",
        "NVMe Base, Host Memory Buffer feature, MR";
    HmbBeforePowerOff: "nvme-hmb-before-power-off",
        "the Host Memory Buffer is disabled before the controller enters D3",
        "NVMe Base, Host Memory Buffer";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn identifiers_are_unique_and_plain() {
        let ids: BTreeSet<_> = Rule::all().iter().map(|rule| rule.id()).collect();
        assert_eq!(ids.len(), Rule::all().len());
        for id in ids {
            let plain = |byte: u8| byte == b'-' || byte.is_ascii_lowercase();
            assert!(id.starts_with("nvme-") && id.bytes().all(plain), "{id}");
        }
    }

    #[test]
    fn every_rule_has_one_line_and_a_source() {
        for rule in Rule::all() {
            assert!(!rule.meaning().is_empty() && !rule.meaning().contains('\n'));
            assert!(rule.source().starts_with("NV"), "{}", rule.source());
        }
    }
}
