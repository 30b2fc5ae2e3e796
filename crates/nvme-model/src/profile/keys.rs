//! The settings of a profile, and the profiles that have a name.

/// A setting of a [`Profile`](super::Profile).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// What [`Profile::set`](super::Profile::set) calls it.
    pub name: &'static str,
    /// What it means, with its unit.
    pub meaning: &'static str,
    /// The value in the default profile.
    pub default: &'static str,
}

const fn key(name: &'static str, default: &'static str, meaning: &'static str) -> Key {
    Key {
        name,
        meaning,
        default,
    }
}

pub(super) const KEYS: &[Key] = &[
    key(
        "model",
        "Software NVMe",
        "model number, at most 40 printable characters",
    ),
    key(
        "firmware",
        "1.0",
        "firmware revision, at most 8 printable characters",
    ),
    key(
        "update",
        "",
        "firmware revision from the next loss of power on, one that does not die; empty: no change",
    ),
    key(
        "pci",
        "feed:0802",
        "PCI vendor and device in hexadecimal, V:D; the vendor is that of Identify Controller too",
    ),
    key(
        "serial",
        "SW0000000001",
        "serial number, at most 20 printable characters; empty: blank",
    ),
    key(
        "nguid",
        "",
        "NGUID of every namespace in hexadecimal; 0: none; empty: each has its own",
    ),
    key(
        "eui64",
        "",
        "EUI-64 of every namespace in hexadecimal; 0: none; empty: each has its own",
    ),
    key(
        "uuid",
        "",
        "UUID of every namespace in hexadecimal; 0: none; empty: each has its own",
    ),
    key(
        "path",
        "0",
        "number of the controller in a subsystem with several that share its namespaces; 0: one by itself",
    ),
    key("version", "1.4", "specification revision: 1.4 or 2.0"),
    key("capacity", "1G", "bytes of each namespace, whole blocks"),
    key("block", "512", "logical block size in bytes: 512 to 4096"),
    key("namespaces", "1", "number of namespaces, 0 to 1024"),
    key(
        "mdts",
        "512K",
        "largest transfer in bytes, a power of two of mpsmin; 0: no limit",
    ),
    key(
        "verify",
        "0",
        "the Verify command: off, or the most bytes that one covers (VSL, told from version 2.0 on), a power of two of mpsmin from 2 on; 0: no limit",
    ),
    key(
        "zeroes",
        "0",
        "the Write Zeroes command: off, or the most bytes that one covers (WZSL), as for verify; 0: no limit",
    ),
    key(
        "dsm",
        "0",
        "the Dataset Management command: off, or the most ranges, blocks of a range and blocks of a command (told from version 2.0 on), as DMRL/DMRSL/DMSL, each 0 for no limit; 0: no limit",
    ),
    key(
        "ranges",
        "named",
        "what Dataset Management reads: named (the ranges that there are), all (4 KiB, however few there are: some controllers do)",
    ),
    key(
        "dlfeat",
        "zeros",
        "what deallocated blocks read as: zeros, ones, any (not told: what they held, zeros or noise)",
    ),
    key(
        "noiob",
        "0",
        "blocks that I/O is not to cross a multiple of (NOIOB); 0: none",
    ),
    key(
        "preferred",
        "0",
        "blocks that are written and deallocated best: granularity and alignment of writes, the same of deallocation, size of a write, as NPWG/NPWA/NPDG/NPDA/NOWS; 0: not told",
    ),
    key(
        "mqes",
        "1024",
        "largest I/O queue in entries, 1 (which is none) to 65536",
    ),
    key("queues", "16", "I/O queue pairs, 1 to 1024"),
    key(
        "cqs",
        "0",
        "I/O completion queues, where there are more or fewer than submission queues, 1 to 1024; 0: as many as queues",
    ),
    key(
        "allocates",
        "asked",
        "queues that a set of Number of Queues allocates: asked (as many as were asked for and there are), all (as many as there are, even if fewer were asked for)",
    ),
    key(
        "group",
        "1",
        "I/O completions that are posted together, with one interrupt, 1 to 256; at once when no other command is at work",
    ),
    key("messages", "17", "MSI-X messages, 0 to 2048; 0: none"),
    key(
        "msi",
        "0",
        "messages of plain MSI, a power of two up to 32; 0: none, or one where interrupts=msi asks for it",
    ),
    key(
        "handover",
        "clean",
        "how firmware or the system before leaves the function: clean, masked (every bit of INTMS set), idle (bus mastering off)",
    ),
    key(
        "intx",
        "ok",
        "the INTx line after CC.EN = 0: ok (down), kept (up until the next CSTS.RDY = 1, unless INTMS masks it)",
    ),
    key(
        "dstrd",
        "4",
        "doorbell stride in bytes, a power of two, 4 to 4096",
    ),
    key("mpsmin", "4K", "smallest memory page in bytes"),
    key("mpsmax", "64K", "largest memory page in bytes"),
    key(
        "hmpre",
        "64M",
        "preferred host memory in bytes; 0: none wanted",
    ),
    key(
        "hmmin",
        "16M",
        "least host memory in bytes, at most hmpre; with a smaller hmpre the default is that",
    ),
    key(
        "hmminds",
        "0",
        "smallest descriptor entry in bytes; 0: no limit",
    ),
    key("hmmaxd", "0", "most descriptor entries; 0: no limit"),
    key(
        "enable",
        "ok",
        "answer to an HMB enable: ok, refused, never, late",
    ),
    key(
        "disable",
        "ok",
        "answer to an HMB disable: ok, fails, never, late",
    ),
    key(
        "late",
        "20000",
        "how long a late answer takes, in milliseconds",
    ),
    key(
        "ready",
        "5",
        "how long the controller takes to become ready, or not ready, in milliseconds",
    ),
    key("timeout", "7500", "CAP.TO in milliseconds, in steps of 500"),
    key(
        "crto",
        "0",
        "CRTO.CRWMT in milliseconds, in steps of 500, from version 2.0 on; 0: as CAP.TO",
    ),
    key(
        "cap",
        "fixed",
        "CAP.TO: fixed, late (500 ms until CC is written for the first time after a reset of the function)",
    ),
    key(
        "reset",
        "ok",
        "whether CSTS.RDY follows CC.EN = 0: ok, never",
    ),
    key(
        "dies",
        "never",
        "when the controller dies: never, lent:BYTES (at its third I/O command after it was lent more than that), command:N (at its N-th command, once)",
    ),
    key(
        "death",
        "fatal",
        "how it dies: fatal (CSTS.CFS, until a reset), silent (no command is carried out, until a reset), gone (all ones), panic (CSTS.CFS = 1 and CSTS.RDY = 0; CC is ignored until the power is lost, memory is used as before)",
    ),
    key("vwc", "1", "volatile write cache present: 0 or 1"),
    key(
        "temperature",
        "fine",
        "what is reported of the temperature: fine, nags (an event each time that its log page was read)",
    ),
    key("aerl", "4", "most Asynchronous Event Requests, 1 to 256"),
];

/// A profile with a name.
#[derive(Clone, Copy, Debug)]
pub struct NamedProfile {
    /// What [`Profile::named`](super::Profile::named) calls it.
    pub name: &'static str,
    /// What it stands for.
    pub meaning: &'static str,
    /// Its difference from the default, as keys and values.
    pub settings: &'static [(&'static str, &'static str)],
}

pub(super) const NAMED: &[NamedProfile] = &[
    NamedProfile {
        name: "hmb",
        meaning: "no memory of its own: wants a Host Memory Buffer (default)",
        settings: &[],
    },
    NamedProfile {
        name: "plain",
        meaning: "memory of its own: wants no Host Memory Buffer",
        settings: &[("hmpre", "0"), ("hmmin", "0")],
    },
    NamedProfile {
        name: "4k",
        meaning: "blocks of 4096 bytes",
        settings: &[("block", "4096")],
    },
    NamedProfile {
        name: "two-namespaces",
        meaning: "two namespaces of 512 MiB",
        settings: &[("namespaces", "2"), ("capacity", "512M")],
    },
    NamedProfile {
        name: "strict-hmb",
        meaning: "a Host Memory Buffer of at most four ranges of at least 1 MiB",
        settings: &[("hmminds", "1M"), ("hmmaxd", "4")],
    },
    NamedProfile {
        name: "small",
        meaning: "one queue pair of eight entries, one message, transfers of 16 KiB",
        settings: &[
            ("queues", "1"),
            ("mqes", "8"),
            ("messages", "1"),
            ("mdts", "16K"),
        ],
    },
    NamedProfile {
        name: "line",
        meaning: "no MSI-X: interrupts by the INTx line",
        settings: &[("messages", "0")],
    },
];
