//! Codes that the specification assigns: an open set of named numbers.

/// Declares a code of so many bits: a number, a constant for each value that the specification names, and its readable name.
macro_rules! code {
    (
        $(#[$meta:meta])*
        pub struct $name:ident($raw:ident: $bits:literal) {
            $($constant:ident = $value:literal, $text:literal;)*
            _ => $other:literal;
        }
    ) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
            zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout,
        )]
        #[repr(transparent)]
        pub struct $name(
            /// The number on the wire.
            pub $raw,
        );

        impl $name {
            $(
                #[doc = concat!($text, ".")]
                pub const $constant: Self = Self($value);
            )*

            /// What the code means, in the specification's words.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$constant => $text,)*
                    _ => $other,
                }
            }

            #[allow(dead_code, reason = "only codes that are part of a bit-field are converted")]
            pub(crate) const fn from_bits(bits: $raw) -> Self {
                Self(bits)
            }

            #[allow(dead_code, reason = "only codes that are part of a bit-field are converted")]
            pub(crate) const fn into_bits(self) -> $raw {
                crate::width::$raw::<$bits>(self.0)
            }
        }
    };
}

pub(crate) use code;
