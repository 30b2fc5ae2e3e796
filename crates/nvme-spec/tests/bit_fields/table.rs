//! A bit-field and its fact, side by side.

use nvme_spec::async_event::AsyncEventType;
use nvme_spec::command::QueuePriority;
use nvme_spec::feature::{FeatureId, Select};
use nvme_spec::identify::Cns;
use nvme_spec::log::{CriticalWarning, LogPageId};
use nvme_spec::registers::{CommandSetSelected, ShutdownNotification, ShutdownStatus};

use crate::facts::{Place, Record};

/// A value of a field, as bits.
pub trait Bits {
    fn from_wide(bits: u64) -> Self;
    fn wide(self) -> u64;
}

macro_rules! bits_of {
    ($($type:ty: $bits:ident => $from:expr, $value:ident => $to:expr;)*) => {
        $(impl Bits for $type {
            fn from_wide($bits: u64) -> Self {
                $from
            }
            fn wide(self) -> u64 {
                let $value = self;
                u64::from($to)
            }
        })*
    };
}

bits_of! {
    bool: bits => bits == 1, value => value;
    u8: bits => bits as Self, value => value;
    u16: bits => bits as Self, value => value;
    u32: bits => bits as Self, value => value;
    u64: bits => bits, value => value;
    CommandSetSelected: bits => Self(bits as u8), value => value.0;
    ShutdownNotification: bits => Self(bits as u8), value => value.0;
    ShutdownStatus: bits => Self(bits as u8), value => value.0;
    QueuePriority: bits => Self(bits as u8), value => value.0;
    Cns: bits => Self(bits as u8), value => value.0;
    LogPageId: bits => Self(bits as u8), value => value.0;
    FeatureId: bits => Self(bits as u8), value => value.0;
    Select: bits => Self(bits as u8), value => value.0;
    AsyncEventType: bits => Self(bits as u8), value => value.0;
    CriticalWarning: bits => Self::from_bits(bits as u8), value => value.into_bits();
}

/// Where a field should be.
pub enum Expected {
    /// A member of the fact, by its path.
    Fact(&'static str),
    /// Offset and width in bits by revision 2.0c of the specification, which the header behind the facts does not follow.
    Specification(u64, u64),
}

impl From<&'static str> for Expected {
    fn from(path: &'static str) -> Self {
        Self::Fact(path)
    }
}

impl From<(u64, u64)> for Expected {
    fn from((offset_bits, bits): (u64, u64)) -> Self {
        Self::Specification(offset_bits, bits)
    }
}

pub struct Field {
    pub name: &'static str,
    pub expected: Expected,
    /// The bit-field with only this field set, to this value.
    pub only: fn(u64) -> u64,
    /// This field of the bit-field with these bits.
    pub read: fn(u64) -> u64,
}

pub struct BitField {
    pub name: &'static str,
    pub fact: &'static str,
    /// Where in the fact the bit-field begins.
    pub start: u64,
    pub bits: u32,
    /// The names of all fields: the lines of the debug output that are indented once.
    pub all: String,
    pub fields: Vec<Field>,
    /// Members of the fact that revision 2.0c defines otherwise.
    pub besides: &'static [&'static str],
}

impl BitField {
    pub fn check(&self) {
        for field in &self.fields {
            self.check_field(field);
        }
        self.check_complete();
    }

    fn check_field(&self, field: &Field) {
        let place = match field.expected {
            Expected::Specification(offset_bits, bits) => Place { offset_bits, bits },
            Expected::Fact(path) => {
                let place = Record::named(self.fact).place(path);
                Place {
                    offset_bits: place.offset_bits - self.start,
                    ..place
                }
            }
        };
        let name = format!("{}.{}", self.name, field.name);
        let ones = u64::MAX >> (64 - place.bits);
        let all = u64::MAX >> (64 - self.bits);
        let mask = ones << place.offset_bits;
        assert_eq!((field.only)(1), 1 << place.offset_bits, "{name} set to 1");
        assert_eq!((field.only)(ones), mask, "{name} set to all ones");
        assert_eq!((field.read)(all), ones, "{name} of all ones");
        assert_eq!((field.read)(all & !mask), 0, "{name} of all ones elsewhere");
    }

    /// Every field of the crate's is in the table, and so is every member of the fact's.
    fn check_complete(&self) {
        let all = self
            .all
            .lines()
            .filter_map(|line| line.strip_prefix("    "));
        let all = all
            .filter_map(|line| line.split_once(':'))
            .map(|(name, _)| name);
        let all: Vec<_> = all.filter(|name| !name.starts_with([' ', '}'])).collect();
        let named: Vec<_> = self.fields.iter().map(|field| field.name).collect();
        assert_eq!(all, named, "{}", self.name);

        let within = self.start..self.start + u64::from(self.bits);
        for member in Record::named(self.fact).members() {
            let covered = self.fields.iter().any(|field| match field.expected {
                Expected::Fact(path) => path.split('.').next() == Some(&member.name),
                Expected::Specification(..) => false,
            });
            let unnamed = member.name.contains("Reserved") || member.name.starts_with("AsU");
            assert!(
                covered
                    || unnamed
                    || !within.contains(&member.place.offset_bits)
                    || self.besides.contains(&member.name.as_str()),
                "{}: nothing stands for {}",
                self.name,
                member.name
            );
        }
    }
}

/// A bit-field as a table of `field with_field: "member of the fact"`.
macro_rules! bits {
    (
        $type:ident($raw:ident) = $fact:literal $(+ $start:literal)? $(besides [$($besides:literal),*])?
        { $($field:ident $with:ident: $expected:expr;)* }
    ) => {
        BitField {
            name: stringify!($type),
            fact: $fact,
            start: 0 $(+ $start)?,
            bits: $raw::BITS,
            all: format!("{:#?}", $type::new()),
            fields: vec![$(Field {
                name: stringify!($field),
                expected: $expected.into(),
                only: |bits| u64::from($type::new().$with(Bits::from_wide(bits)).into_bits()),
                read: |bits| $type::from_bits(bits as $raw).$field().wide(),
            }),*],
            besides: &[$($($besides),*)?],
        }
        .check()
    };
}
