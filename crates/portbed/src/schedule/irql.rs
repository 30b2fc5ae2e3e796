//! Interrupt request levels.

/// An interrupt request level.
pub(crate) type Irql = u8;

/// `PASSIVE_LEVEL`.
pub(crate) const PASSIVE: Irql = 0;
/// `DISPATCH_LEVEL`.
pub(crate) const DISPATCH: Irql = 2;
/// The level of the adapter's interrupts.
pub(crate) const DEVICE: Irql = 9;
/// `HIGH_LEVEL`.
pub(crate) const HIGH: Irql = 15;

/// Its name.
pub(crate) fn name(irql: Irql) -> &'static str {
    match irql {
        PASSIVE => "PASSIVE_LEVEL",
        1 => "APC_LEVEL",
        DISPATCH => "DISPATCH_LEVEL",
        HIGH => "HIGH_LEVEL",
        _ => "DIRQL",
    }
}
