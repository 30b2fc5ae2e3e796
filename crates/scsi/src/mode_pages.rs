//! The mode pages (SPC-4, 7.5; SBC-3, 6.5): caching, control, power condition, informational exceptions control.

use crate::reply::Reply;
use crate::unit::LogicalUnit;

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
    pub(crate) fn from_field(pc: u8) -> Self {
        match pc {
            0 => Self::Current,
            1 => Self::Changeable,
            2 => Self::Default,
            _ => Self::Saved,
        }
    }
}

/// PAGE CODE of caching.
pub(crate) const CACHING: u8 = 0x08;
/// WCE of caching, in the first byte after PAGE LENGTH.
pub(crate) const WCE: u8 = 1 << 2;
/// The longest page with its header.
pub(crate) const PAGE_BYTES: usize = 0x28;

/// A mode page.
pub(crate) struct Page {
    /// PAGE CODE.
    pub(crate) code: u8,
    /// PAGE LENGTH: the bytes after it.
    pub(crate) length: u8,
    /// The bytes after PAGE LENGTH that are not zero are the first ones.
    parameters: fn(PageControl, &LogicalUnit<'_>) -> [u8; PARAMETERS],
}

/// The bytes of a page that some page has something in.
const PARAMETERS: usize = 8;

/// The pages that there are, in ascending order. None has subpages, and none can be saved (PS 0).
pub(crate) static PAGES: [Page; 4] = [
    Page {
        code: CACHING,
        length: 0x12,
        parameters: caching,
    },
    Page {
        code: 0x0A,
        length: 0x0A,
        parameters: control,
    },
    // Power condition: no timer is set, and none can be; the controller saves power by itself.
    Page {
        code: 0x1A,
        length: 0x26,
        parameters: |_, _| [0; PARAMETERS],
    },
    Page {
        code: 0x1C,
        length: 0x0A,
        parameters: informational_exceptions,
    },
];

impl Page {
    /// Writes the page with its header.
    pub(crate) fn write(
        &self,
        page_control: PageControl,
        unit: &LogicalUnit<'_>,
        reply: &mut Reply<'_>,
    ) {
        reply.push_bytes(&[self.code, self.length]);
        let parameters = (self.parameters)(page_control, unit).into_iter();
        let all = parameters.chain(core::iter::repeat(0));
        for byte in all.take(self.length.into()) {
            reply.push_bytes(&[byte]);
        }
    }
}

/// Caching (SBC-3, 6.5.5).
fn caching(page_control: PageControl, unit: &LogicalUnit<'_>) -> [u8; PARAMETERS] {
    let controller = unit.controller;
    let write_cache = controller.volatile_write_cache
        && match page_control {
            PageControl::Current => controller.write_cache_enabled,
            PageControl::Default => true,
            PageControl::Changeable => controller.write_cache_changeable,
            PageControl::Saved => false,
        };
    [if write_cache { WCE } else { 0 }, 0, 0, 0, 0, 0, 0, 0]
}

/// Control (SPC-4, 7.5.8): one task set for all initiators (TST 0), sense data in fixed format (`D_SENSE` 0).
fn control(page_control: PageControl, _: &LogicalUnit<'_>) -> [u8; PARAMETERS] {
    const GLTSD: u8 = 1 << 1;
    const UNRESTRICTED_REORDERING: u8 = 1 << 4;
    /// BUSY TIMEOUT PERIOD: unlimited.
    const UNLIMITED: [u8; 2] = [0xFF, 0xFF];
    let [busy, timeout] = UNLIMITED;
    match page_control {
        PageControl::Current | PageControl::Default => {
            [GLTSD, UNRESTRICTED_REORDERING, 0, 0, 0, 0, busy, timeout]
        }
        PageControl::Changeable | PageControl::Saved => [0; PARAMETERS],
    }
}

/// Informational exceptions control (SPC-4, 7.5.11): none is reported with a command (DEXCPT); the events of the controller tell.
fn informational_exceptions(page_control: PageControl, _: &LogicalUnit<'_>) -> [u8; PARAMETERS] {
    const DEXCPT: u8 = 1 << 3;
    match page_control {
        PageControl::Current | PageControl::Default => [DEXCPT, 0, 0, 0, 0, 0, 0, 0],
        PageControl::Changeable | PageControl::Saved => [0; PARAMETERS],
    }
}
