//! The safe layer over `wdk-sys`: the only place that names it, and the only `unsafe` in the driver.
//!
//! Every routine of the port driver that the miniport uses has one function here, the inline ones of `storport.h`
//! included: those are calls of the variadic `StorPortExtendedFunction` and `StorPortNotification`. Each names the IRQL
//! it needs. Failures are a [`PortError`].
//!
//! Callbacks come in through [`entry`], which turns the raw pointers of the port driver into the types below.

mod abi;
mod bus;
mod configuration;
mod dma;
mod dpc;
pub(crate) mod entry;
mod event;
mod execution;
mod hmb;
mod interrupt;
mod lock;
mod lookout;
mod memory;
mod pci;
mod processors;
mod published;
mod registers;
mod registry;
mod request_memory;
mod srb;
mod srb_codes;
mod table;
mod targets;
mod worker;

use core::ffi::c_void;
use core::ptr::NonNull;

pub(crate) use configuration::{Configuration, Limits};
pub(crate) use dma::DmaBlock;
pub(crate) use dpc::Dpc;
pub(crate) use event::{Event, Level, Parameters, Text, text, wide};
pub(crate) use execution::Irql;
pub(crate) use hmb::{HmbRanges, HmbStore};
pub(crate) use lookout::Lookout;
pub(crate) use pci::PciFunction;
pub(crate) use processors::Performance;
pub(crate) use published::{Finding, Published};
pub(crate) use registers::RegisterWindow;
pub(crate) use request_memory::{MAX_TRANSFER_BYTES, SrbList};
pub(crate) use srb::Srb;
pub(crate) use srb_codes::{PnpAction, SrbFunction, SrbStatus};
pub(crate) use table::Table;
pub(crate) use targets::Targets;

/// A call of the port driver that did not succeed: its `STOR_STATUS_*` value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct PortError(pub(crate) u32);

impl PortError {
    /// `STOR_STATUS_INSUFFICIENT_RESOURCES`: not now.
    pub(crate) const INSUFFICIENT_RESOURCES: Self =
        Self(wdk_sys::STOR_STATUS_INSUFFICIENT_RESOURCES);

    /// `STOR_STATUS_BUSY`: what is asked for is in use.
    pub(crate) const BUSY: Self = Self(wdk_sys::STOR_STATUS_BUSY);

    /// `Ok` for `STOR_STATUS_SUCCESS`.
    const fn check(status: u32) -> Result<(), Self> {
        if status == wdk_sys::STOR_STATUS_SUCCESS {
            Ok(())
        } else {
            Err(Self(status))
        }
    }
}

/// The callback for interrupt messages, as the configuration names it.
pub(crate) type MessageRoutine = wdk_sys::PHW_MESSAGE_SIGNALED_INTERRUPT_ROUTINE;

/// The port driver's side of one adapter: whom every call names.
#[derive(Clone, Copy)]
pub(crate) struct Port {
    extension: NonNull<c_void>,
}

impl Port {
    /// A number that no other adapter has while this one is there. Never 0.
    pub(crate) fn number(self) -> usize {
        self.extension.addr().get()
    }

    /// The `HwDeviceExtension` argument of every call.
    const fn extension(self) -> *mut c_void {
        self.extension.as_ptr()
    }
}
