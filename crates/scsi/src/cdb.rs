//! Command descriptor blocks (SPC-4, 4.2.2; SBC-3, 5), typed at the edge: from here on a CDB is a [`Cdb`].
//!
//! The structures are the bytes of a CDB in order. Fields that begin with an underscore are reserved, obsolete, or hints
//! that may be ignored.

use bitfield_struct::bitfield;
use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::sense::Sense;

const TEST_UNIT_READY: u8 = 0x00;
const INQUIRY: u8 = 0x12;
const MODE_SENSE_6: u8 = 0x1A;
const START_STOP_UNIT: u8 = 0x1B;
const READ_CAPACITY_10: u8 = 0x25;
const READ_10: u8 = 0x28;
const WRITE_10: u8 = 0x2A;
const SYNCHRONIZE_CACHE_10: u8 = 0x35;
const VERIFY_10: u8 = 0x2F;
const MODE_SENSE_10: u8 = 0x5A;
const READ_16: u8 = 0x88;
const WRITE_16: u8 = 0x8A;
const VERIFY_16: u8 = 0x8F;
const SYNCHRONIZE_CACHE_16: u8 = 0x91;
const SERVICE_ACTION_IN_16: u8 = 0x9E;
const REPORT_LUNS: u8 = 0xA0;
const VERIFY_12: u8 = 0xAF;

/// READ CAPACITY(16) among the service actions of SERVICE ACTION IN(16).
const READ_CAPACITY_16: u8 = 0x10;

/// NACA of the CONTROL byte (SAM-5): standard INQUIRY data says that it is not supported.
const NACA: u8 = 1 << 2;

/// A CDB that this crate carries out, other than READ and WRITE, which are [`Access`]es.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cdb {
    TestUnitReady,
    Inquiry(Inquiry),
    ModeSense(ModeSense),
    StartStopUnit(StartStopUnit),
    ReadCapacity10,
    ReadCapacity16 { allocation_length: u32 },
    ReportLuns(ReportLuns),
    Verify(Verify),
    SynchronizeCache(Extent),
}

/// INQUIRY (SPC-4, 6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inquiry {
    /// EVPD: a page of vital product data is asked for.
    pub(crate) vital_product_data: bool,
    pub(crate) page_code: u8,
    pub(crate) allocation_length: u16,
}

/// MODE SENSE(6) and MODE SENSE(10) (SPC-4, 6.13 and 6.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ModeSense {
    pub(crate) header: ModeHeader,
    /// DBD: no block descriptor.
    pub(crate) disable_block_descriptors: bool,
    /// PC: which values of the pages.
    pub(crate) page_control: PageControl,
    pub(crate) page_code: u8,
    pub(crate) subpage_code: u8,
    pub(crate) allocation_length: u16,
}

/// Which header the mode parameters begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModeHeader {
    /// That of MODE SENSE(6).
    Six,
    /// That of MODE SENSE(10).
    Ten {
        /// LLBAA: the block descriptor may be the long one.
        long_lba_accepted: bool,
    },
}

/// PC, page control (SPC-4, 6.13.1): which values of the mode parameters are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageControl {
    Current,
    /// A mask of what MODE SELECT may change.
    Changeable,
    Default,
    Saved,
}

impl PageControl {
    /// The meaning of the two bits.
    fn from_field(pc: u8) -> Self {
        match pc {
            0 => Self::Current,
            1 => Self::Changeable,
            2 => Self::Default,
            _ => Self::Saved,
        }
    }
}

/// START STOP UNIT (SBC-3, 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StartStopUnit {
    /// POWER CONDITION: 0 means that START and LOEJ count.
    pub(crate) power_condition: u8,
    pub(crate) no_flush: bool,
    /// LOEJ: load or eject the medium.
    pub(crate) load_eject: bool,
    pub(crate) start: bool,
}

/// REPORT LUNS (SPC-4, 6.33).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReportLuns {
    pub(crate) select_report: u8,
    pub(crate) allocation_length: u32,
}

/// Consecutive logical blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) lba: u64,
    pub(crate) blocks: u32,
}

/// READ(10), READ(16), WRITE(10) and WRITE(16) (SBC-3, 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    pub(crate) operation: Operation,
    pub(crate) extent: Extent,
    /// RDPROTECT or WRPROTECT: what is done with protection information.
    pub(crate) protection: u8,
    /// FUA: the medium, not a volatile cache.
    pub(crate) fua: bool,
}

/// VERIFY(10), VERIFY(12) and VERIFY(16) (SBC-3, 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verify {
    pub(crate) extent: Extent,
    /// VRPROTECT: what is done with protection information.
    pub(crate) protection: u8,
    /// BYTCHK: what the blocks are compared with; 0 for nothing.
    pub(crate) byte_check: u8,
}

/// What an [`Access`] does to the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Read,
    Write,
}

impl Access {
    /// Reads the CDB of READ or WRITE; `None` for another one.
    #[inline]
    pub(crate) fn parse(bytes: &[u8]) -> Option<Result<Self, Sense>> {
        let ten = |operation| Some(Ok(laid_out::<Block10Bytes>(bytes).ok()?.access(operation)));
        let sixteen = |operation| Some(Ok(laid_out::<Block16Bytes>(bytes).ok()?.access(operation)));
        let access = match *bytes.first()? {
            READ_10 => ten(Operation::Read),
            WRITE_10 => ten(Operation::Write),
            READ_16 => sixteen(Operation::Read),
            WRITE_16 => sixteen(Operation::Write),
            _ => return None,
        };
        Some(access.unwrap_or(Err(Sense::INVALID_FIELD_IN_CDB)))
    }
}

impl Cdb {
    /// Reads a CDB. One that is shorter than its operation code asks for is refused; bytes after its end are ignored.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Sense> {
        let operation_code = bytes.first().copied();
        Ok(
            match operation_code.ok_or(Sense::INVALID_COMMAND_OPERATION_CODE)? {
                TEST_UNIT_READY => laid_out::<[u8; 6]>(bytes).map(|_| Self::TestUnitReady)?,
                INQUIRY => Self::Inquiry(laid_out::<InquiryBytes>(bytes)?.typed()),
                MODE_SENSE_6 => Self::ModeSense(laid_out::<ModeSense6Bytes>(bytes)?.typed()),
                START_STOP_UNIT => {
                    Self::StartStopUnit(laid_out::<StartStopUnitBytes>(bytes)?.typed())
                }
                READ_CAPACITY_10 => laid_out::<[u8; 10]>(bytes).map(|_| Self::ReadCapacity10)?,
                SYNCHRONIZE_CACHE_10 => {
                    Self::SynchronizeCache(laid_out::<Block10Bytes>(bytes)?.extent())
                }
                VERIFY_10 => Self::Verify(laid_out::<Block10Bytes>(bytes)?.verify()),
                MODE_SENSE_10 => Self::ModeSense(laid_out::<ModeSense10Bytes>(bytes)?.typed()),
                VERIFY_16 => Self::Verify(laid_out::<Block16Bytes>(bytes)?.verify()),
                SYNCHRONIZE_CACHE_16 => {
                    Self::SynchronizeCache(laid_out::<Block16Bytes>(bytes)?.extent())
                }
                SERVICE_ACTION_IN_16 => {
                    laid_out::<ServiceActionIn16Bytes>(bytes).and_then(Self::service_action_in)?
                }
                VERIFY_12 => Self::Verify(laid_out::<Block12Bytes>(bytes)?.verify()),
                REPORT_LUNS => Self::ReportLuns(laid_out::<ReportLunsBytes>(bytes)?.typed()),
                _ => return Err(Sense::INVALID_COMMAND_OPERATION_CODE),
            },
        )
    }

    /// READ CAPACITY(16), refusing the other service actions: the operation code is known, the action is a field.
    fn service_action_in(cdb: &ServiceActionIn16Bytes) -> Result<Self, Sense> {
        if cdb.action.service_action() == READ_CAPACITY_16 {
            Ok(Self::ReadCapacity16 {
                allocation_length: cdb.allocation_length.get(),
            })
        } else {
            Err(Sense::INVALID_FIELD_IN_CDB)
        }
    }
}

/// The start of a CDB as the structure of its operation code, its CONTROL byte checked: it is the last byte of each CDB here.
fn laid_out<T>(bytes: &[u8]) -> Result<&T, Sense>
where
    T: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned,
{
    let (cdb, _) = T::ref_from_prefix(bytes).map_err(|_| Sense::INVALID_FIELD_IN_CDB)?;
    match cdb.as_bytes().last() {
        Some(control) if control & NACA == 0 => Ok(cdb),
        _ => Err(Sense::INVALID_FIELD_IN_CDB),
    }
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct InquiryBytes {
    _operation_code: u8,
    flags: InquiryFlags,
    page_code: u8,
    allocation_length: U16,
    _control: u8,
}

#[bitfield(u8)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
struct InquiryFlags {
    #[bits(access = RO)]
    evpd: bool,
    #[bits(7)]
    __: u8,
}

impl InquiryBytes {
    fn typed(&self) -> Inquiry {
        Inquiry {
            vital_product_data: self.flags.evpd(),
            page_code: self.page_code,
            allocation_length: self.allocation_length.get(),
        }
    }
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct ModeSense6Bytes {
    _operation_code: u8,
    flags: ModeSenseFlags,
    page: ModePage,
    subpage_code: u8,
    allocation_length: u8,
    _control: u8,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct ModeSense10Bytes {
    _operation_code: u8,
    flags: ModeSenseFlags,
    page: ModePage,
    subpage_code: u8,
    _reserved: [u8; 3],
    allocation_length: U16,
    _control: u8,
}

#[bitfield(u8)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
struct ModeSenseFlags {
    #[bits(3)]
    __: u8,
    #[bits(access = RO)]
    dbd: bool,
    /// Reserved in MODE SENSE(6).
    #[bits(access = RO)]
    llbaa: bool,
    #[bits(3)]
    __: u8,
}

#[bitfield(u8)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
struct ModePage {
    #[bits(6, access = RO)]
    page_code: u8,
    #[bits(2, access = RO)]
    pc: u8,
}

impl ModeSense6Bytes {
    fn typed(&self) -> ModeSense {
        ModeSense {
            header: ModeHeader::Six,
            disable_block_descriptors: self.flags.dbd(),
            page_control: PageControl::from_field(self.page.pc()),
            page_code: self.page.page_code(),
            subpage_code: self.subpage_code,
            allocation_length: self.allocation_length.into(),
        }
    }
}

impl ModeSense10Bytes {
    fn typed(&self) -> ModeSense {
        ModeSense {
            header: ModeHeader::Ten {
                long_lba_accepted: self.flags.llbaa(),
            },
            disable_block_descriptors: self.flags.dbd(),
            page_control: PageControl::from_field(self.page.pc()),
            page_code: self.page.page_code(),
            subpage_code: self.subpage_code,
            allocation_length: self.allocation_length.get(),
        }
    }
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct StartStopUnitBytes {
    _operation_code: u8,
    _immed: u8,
    _reserved: u8,
    _power_condition_modifier: u8,
    flags: StartStopFlags,
    _control: u8,
}

#[bitfield(u8)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
struct StartStopFlags {
    #[bits(access = RO)]
    start: bool,
    #[bits(access = RO)]
    loej: bool,
    #[bits(access = RO)]
    no_flush: bool,
    __: bool,
    #[bits(4, access = RO)]
    power_condition: u8,
}

impl StartStopUnitBytes {
    fn typed(&self) -> StartStopUnit {
        StartStopUnit {
            power_condition: self.flags.power_condition(),
            no_flush: self.flags.no_flush(),
            load_eject: self.flags.loej(),
            start: self.flags.start(),
        }
    }
}

/// SERVICE ACTION IN(16) as READ CAPACITY(16) lays it out (SBC-3, 5). Its LOGICAL BLOCK ADDRESS is obsolete.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct ServiceActionIn16Bytes {
    _operation_code: u8,
    action: ServiceAction,
    _lba: [u8; 8],
    allocation_length: U32,
    _pmi: u8,
    _control: u8,
}

#[bitfield(u8)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
struct ServiceAction {
    #[bits(5, access = RO)]
    service_action: u8,
    #[bits(3)]
    __: u8,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct ReportLunsBytes {
    _operation_code: u8,
    _reserved_1: u8,
    select_report: u8,
    _reserved_3: [u8; 3],
    allocation_length: U32,
    _reserved_10: u8,
    _control: u8,
}

impl ReportLunsBytes {
    fn typed(&self) -> ReportLuns {
        ReportLuns {
            select_report: self.select_report,
            allocation_length: self.allocation_length.get(),
        }
    }
}

/// The 10-byte commands that name logical blocks: READ, WRITE, VERIFY and SYNCHRONIZE CACHE.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Block10Bytes {
    _operation_code: u8,
    flags: AccessFlags,
    lba: U32,
    _group_number: u8,
    blocks: U16,
    _control: u8,
}

/// The 12-byte command that names logical blocks: VERIFY.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Block12Bytes {
    _operation_code: u8,
    flags: AccessFlags,
    lba: U32,
    blocks: U32,
    _group_number: u8,
    _control: u8,
}

/// The 16-byte commands that name logical blocks: READ, WRITE, VERIFY and SYNCHRONIZE CACHE.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Block16Bytes {
    _operation_code: u8,
    flags: AccessFlags,
    lba: U64,
    blocks: U32,
    _group_number: u8,
    _control: u8,
}

/// Byte 1 of READ, WRITE and VERIFY. BYTCHK is reserved or obsolete in READ and WRITE, FUA in VERIFY. RARC, DPO and the obsolete `FUA_NV` are hints that NVMe has no like of.
#[bitfield(u8)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
struct AccessFlags {
    __: bool,
    #[bits(2, access = RO)]
    bytchk: u8,
    #[bits(access = RO)]
    fua: bool,
    __: bool,
    #[bits(3, access = RO)]
    protect: u8,
}

impl Block10Bytes {
    fn extent(&self) -> Extent {
        Extent {
            lba: self.lba.get().into(),
            blocks: self.blocks.get().into(),
        }
    }

    fn access(&self, operation: Operation) -> Access {
        self.flags.access(operation, self.extent())
    }

    fn verify(&self) -> Verify {
        self.flags.verify(self.extent())
    }
}

impl Block12Bytes {
    fn verify(&self) -> Verify {
        self.flags.verify(Extent {
            lba: self.lba.get().into(),
            blocks: self.blocks.get(),
        })
    }
}

impl Block16Bytes {
    fn extent(&self) -> Extent {
        Extent {
            lba: self.lba.get(),
            blocks: self.blocks.get(),
        }
    }

    fn access(&self, operation: Operation) -> Access {
        self.flags.access(operation, self.extent())
    }

    fn verify(&self) -> Verify {
        self.flags.verify(self.extent())
    }
}

impl AccessFlags {
    fn access(self, operation: Operation, extent: Extent) -> Access {
        Access {
            operation,
            extent,
            protection: self.protect(),
            fua: self.fua(),
        }
    }
    fn verify(self, extent: Extent) -> Verify {
        Verify {
            extent,
            protection: self.protect(),
            byte_check: self.bytchk(),
        }
    }
}
