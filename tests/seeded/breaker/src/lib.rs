//! A small NVMe miniport that is right unless a registry value says what is to be wrong: `Fault`, the number of one of
//! [`faults::Fault`]. Faults of `DriverEntry`, which cannot read the registry, are chosen in the image instead.
#![no_std]

mod adapter;
mod describe;
mod entry;
pub mod faults;
mod find;
mod hmb;
mod io;
mod lifecycle;
mod nvme;
mod port;
mod request;
mod start;
mod wrong;

/// A panic stops the processor; nothing here panics on purpose.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// What the compiler expects where floating point might be used.
#[unsafe(no_mangle)]
static _fltused: i32 = 0;
