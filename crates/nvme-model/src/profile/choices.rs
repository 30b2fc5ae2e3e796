//! What the keys of a profile choose between.

/// How the controller answers a command that enables or disables the Host Memory Buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Answer {
    /// At once.
    #[default]
    Prompt,
    /// Only after [`Profile::late_ns`](super::Profile::late_ns). An enable takes the memory at once; a disable keeps it until it is answered.
    Late,
    /// Never. An enable takes the memory all the same; a disable keeps it.
    Never,
    /// With an error. An enable does not take the memory; a disable keeps it.
    Fails,
}

/// When the controller dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Dies {
    /// Not by itself.
    #[default]
    Never,
    /// At its third I/O command, each time that it is lent more than so many bytes.
    Lent(u64),
    /// At its so many-th command, admin commands counted, from 1: once.
    Command(u64),
}

/// How the controller dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Death {
    /// With CSTS.CFS = 1, until a reset.
    #[default]
    Fatal,
    /// It carries out no command any more, until a reset.
    Silent,
    /// As behind a link that is down: everything reads as all ones. It has not said that it uses no memory.
    Gone,
    /// With CSTS.CFS = 1 and CSTS.RDY = 0: its firmware ignores CC from then on, and goes on using memory.
    Panic,
}

/// Identifiers that every namespace has, in the place of its own. All zero is none at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Identifiers {
    /// NGUID.
    pub nguid: Option<[u8; 16]>,
    /// EUI-64.
    pub eui64: Option<[u8; 8]>,
    /// UUID.
    pub uuid: Option<[u8; 16]>,
}

/// What the controller reports of its temperature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Temperature {
    /// Nothing.
    #[default]
    Fine,
    /// An event whenever it may report one: as soon as the log page was read.
    Nags,
}

/// The Verify command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Verify {
    /// There is none.
    Absent,
    /// It has no limit.
    #[default]
    Any,
    /// It covers at most so many bytes, as the controller tells from version 2.0 on.
    UpTo(u64),
}

impl Verify {
    /// The most that one command covers.
    pub(crate) fn limit_bytes(self) -> Option<u64> {
        match self {
            Self::Absent | Self::Any => None,
            Self::UpTo(bytes) => Some(bytes),
        }
    }
}

/// The Dataset Management command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Dataset {
    /// There is none.
    Absent,
    /// It has no limit.
    #[default]
    Any,
    /// It takes at most so much, as the controller tells from version 2.0 on; 0 for no limit.
    UpTo {
        /// DMRL: ranges.
        ranges: u8,
        /// DMRSL: blocks of a range.
        range_blocks: u32,
        /// DMSL: blocks of all ranges.
        blocks: u64,
    },
}

impl Dataset {
    /// DMRL, DMRSL and DMSL.
    pub(crate) const fn limits(self) -> (u8, u32, u64) {
        match self {
            Self::Absent | Self::Any => (0, 0, 0),
            Self::UpTo {
                ranges,
                range_blocks,
                blocks,
            } => (ranges, range_blocks, blocks),
        }
    }
}

/// What Dataset Management reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Ranges {
    /// The ranges that there are.
    #[default]
    Named,
    /// As many as there can be, however few there are.
    All,
}

/// What deallocated blocks read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Deallocated {
    /// Zeros.
    #[default]
    Zeros,
    /// All bytes `FFh`.
    Ones,
    /// The controller does not tell: some keep what they held, some read as zeros, some as noise.
    Any,
}

/// How many I/O queues the controller allocates when Number of Queues is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Allocation {
    /// As many as were asked for, at most as many as there are.
    #[default]
    Asked,
    /// As many as there are: the value allocated may be larger than the one that was asked for.
    All,
}

/// What the INTx line shows after CC.EN = 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum IntxLine {
    /// Nothing.
    #[default]
    Down,
    /// It is up from CSTS.RDY = 0 to the next CSTS.RDY = 1, as far as it is not masked.
    Kept,
}

/// In which state firmware, or an operating system before, leaves the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Handover {
    /// As a reset does, with bus mastering on.
    #[default]
    Clean,
    /// With every interrupt masked by INTMS.
    Masked,
    /// With bus mastering off.
    Idle,
}
