//! Functions with a variable number of arguments, as the port driver exports them.
//!
//! Stable Rust defines no `extern "win64"` function with `...`. The macro [`variadic!`](crate::variadic) makes a naked
//! function instead, which stores the four register arguments into the shadow space that the caller left above the
//! return address. From there on all arguments lie in memory, one after the other, 8 bytes each, and an ordinary
//! function that is given the address of the first one reads them through [`Arguments`].

/// The arguments of a variadic call, read in order, 8 bytes each.
///
/// The upper bits of an argument narrower than 64 bits are whatever the caller left there: every reader cuts its
/// argument to its width. A structure of 8 bytes passed by value takes one argument.
#[derive(Debug)]
pub struct Arguments {
    next: *const u64,
}

impl Arguments {
    /// Reads from `first`, the address that a [`variadic!`](crate::variadic) function passes on.
    ///
    /// # Safety
    /// `first` comes from such a function, whose call has not returned, and no more arguments are read than were passed.
    #[must_use]
    pub const unsafe fn new(first: *const u64) -> Self {
        Self { next: first }
    }

    /// The next argument: 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        // SAFETY: by the promise given to `new` this argument was passed, so its slot is memory of the caller's frame.
        let value = unsafe { self.next.read() };
        self.next = self.next.wrapping_add(1);
        value
    }

    /// The next argument: 32 bits.
    pub fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }

    /// The next argument: 16 bits.
    pub fn next_u16(&mut self) -> u16 {
        self.next_u64() as u16
    }

    /// The next argument: 8 bits.
    pub fn next_u8(&mut self) -> u8 {
        self.next_u64() as u8
    }

    /// The next argument: a pointer.
    pub fn next_ptr<T>(&mut self) -> *mut T {
        std::ptr::with_exposed_provenance_mut(self.next_u64() as usize)
    }
}

/// Defines `name`, a function that can be called with any number of arguments in the Windows x64 convention.
///
/// `implementation` is an `extern "win64" fn(*const u64) -> u64` (or an `unsafe` one); it gets the address of the first
/// argument and its result becomes the result of the call.
///
/// ```
/// use portbed::{thunk::Arguments, variadic};
///
/// unsafe extern "win64" fn sum(first: *const u64) -> u64 {
///     // SAFETY: `first` comes from the function below, whose first argument says how many follow.
///     let mut arguments = unsafe { Arguments::new(first) };
///     let count = arguments.next_u32();
///     (0..count).map(|_| arguments.next_u64()).sum()
/// }
/// variadic!(
///     /// The sum of as many numbers as the first argument says.
///     pub sum_of => sum
/// );
/// ```
#[macro_export]
macro_rules! variadic {
    ($(#[$attribute:meta])* $visibility:vis $name:ident => $implementation:path) => {
        $(#[$attribute])*
        ///
        /// # Safety
        /// The arguments are those that the called function documents.
        #[unsafe(naked)]
        $visibility unsafe extern "win64" fn $name() -> u64 {
            ::core::arch::naked_asm!(
                "mov [rsp + 8], rcx",
                "mov [rsp + 16], rdx",
                "mov [rsp + 24], r8",
                "mov [rsp + 32], r9",
                "lea rcx, [rsp + 8]",
                "sub rsp, 40",
                "call {implementation}",
                "add rsp, 40",
                "ret",
                implementation = sym $implementation,
            )
        }
    };
}

#[cfg(test)]
mod tests {
    use super::Arguments;

    type Call = unsafe extern "win64" fn(u64, u64, u64, u64, u64, u64, u64, u64, u64) -> u64;

    unsafe extern "win64" fn digits(first: *const u64) -> u64 {
        // SAFETY: the tests pass nine arguments and this reads nine.
        let mut arguments = unsafe { Arguments::new(first) };
        let narrow = u64::from(arguments.next_u8())
            + u64::from(arguments.next_u16())
            + u64::from(arguments.next_u32());
        let pointer = arguments.next_ptr::<u8>().addr() as u64;
        (0..5).fold(narrow * 10 + pointer, |sum, _| {
            sum * 10 + arguments.next_u64()
        })
    }

    variadic!(
        /// Its arguments as decimal digits.
        digits_of => digits
    );

    #[test]
    fn arguments_arrive_in_order_and_cut_to_their_width() {
        let address: unsafe extern "win64" fn() -> u64 = digits_of;
        // SAFETY: any signature with integer arguments is right for a variadic function that reads that many.
        let call: Call = unsafe { std::mem::transmute(address) };
        let junk = 0xDEAD_BEEF_0000_0000;
        // SAFETY: nine arguments, as `digits` reads.
        let digits = unsafe {
            call(
                junk | 0x5A00 | 1,
                junk | 0x7_0000 | 1,
                junk | 1,
                4,
                5,
                6,
                7,
                8,
                9,
            )
        };
        assert_eq!(digits, 3_456_789);
    }
}
