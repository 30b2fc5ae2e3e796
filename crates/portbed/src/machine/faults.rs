//! Faults and bug checks of the image.

use std::io;
use std::sync::Arc;

use crate::image::Image;
use crate::ntoskrnl;
use crate::rules::{Rule, port as rules};
use crate::schedule::{Core, Cpu};
use crate::trap::{self, Cause, Fault, Resolution};

/// How far from its stack pointer code uses the stack: the probe of a large frame touches each page of it.
const STACK_NEAR: u64 = 4096;

/// Hears of the faults of `image` from now on.
pub(super) fn install(core: &Arc<Core>, image: &Arc<Image>) -> io::Result<()> {
    let range = image.base()..image.base() + image.bytes();
    // An image that is unloaded is gone, whoever hears of its faults.
    let theirs = Arc::downgrade(image);
    let core = Arc::clone(core);
    ntoskrnl::on_bug_check(|bug_check| {
        let what = format!(
            "KeBugCheckEx({:#x}, {:x?})",
            bug_check.code, bug_check.parameters
        );
        Cpu::current().end(&rules::MEMORY_ACCESS, what);
    });
    trap::install(range, move |fault| -> Resolution {
        let (rule, what) = describe(&core, theirs.upgrade().as_deref(), fault);
        Cpu::current().end(rule, what)
    })
}

/// Which rule a fault breaks, and what happened.
fn describe(core: &Core, image: Option<&Image>, fault: Fault) -> (&'static Rule, String) {
    let at = image
        .and_then(|image| image.symbolize(fault.rip))
        .unwrap_or_else(|| format!("code outside of the image at {:#x}", fault.rip));
    let verb = if fault.write { "writes to" } else { "reads" };
    let memory = core.memory.live().into_iter().find(|live| {
        live.va
            .is_some_and(|va| (va..va + live.bytes).contains(&fault.address))
    });
    let rule = match &memory {
        Some(live) if request_memory(&live.label) => &rules::SRB_UNTOUCHED,
        _ => &rules::MEMORY_ACCESS,
    };
    let what = match (fault.cause, memory) {
        (Cause::Memory, Some(live)) => format!(
            "{at} {verb} {:#x}, in a {} that is not its own",
            fault.address, live.label
        ),
        (Cause::Memory, None) if is_near(fault.address, fault.stack) => format!(
            "{at} {verb} {:#x}, where its stack has ended",
            fault.address
        ),
        (Cause::Memory, None) => format!("{at} {verb} {:#x}", fault.address),
        (Cause::Execute, _) => format!("{at}: a jump to {:#x}, where no code is", fault.address),
        (cause, _) => format!("{at}: {cause:?} at {:#x}", fault.address),
    };
    (rule, what)
}

/// Whether an address is about that of the stack pointer; the lowest and the highest address are neighbours.
fn is_near(address: u64, stack: u64) -> bool {
    let distance = address.wrapping_sub(stack).cast_signed();
    distance.unsigned_abs() <= STACK_NEAR
}

fn request_memory(label: &str) -> bool {
    [
        "request block",
        "request extension",
        "sense buffer",
        "data buffer",
        "scatter/gather list",
    ]
    .contains(&label)
}
