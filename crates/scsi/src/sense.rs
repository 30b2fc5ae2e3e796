//! Sense data (SPC-4, 4.5): why a command ended with CHECK CONDITION.

/// The sense key (SPC-4, 4.5.6): the kind of trouble. Those keys only that a disk behind NVMe can report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SenseKey {
    /// The logical unit cannot be accessed now.
    NotReady = 0x2,
    /// A flaw in the medium or in the recorded data.
    MediumError = 0x3,
    /// A hardware failure that cannot be recovered.
    HardwareError = 0x4,
    /// The CDB, its parameters or its addressee are wrong.
    IllegalRequest = 0x5,
    /// Something that the initiator has to know of happened since its last command.
    UnitAttention = 0x6,
    /// The blocks are protected against this access.
    DataProtect = 0x7,
    /// The device aborted the command; the initiator may try again.
    AbortedCommand = 0xB,
    /// The data did not compare.
    Miscompare = 0xE,
}

/// Sense data: the key, the additional sense code and its qualifier (SPC-4, 4.5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sense {
    /// The sense key.
    pub key: SenseKey,
    /// ADDITIONAL SENSE CODE.
    pub code: u8,
    /// ADDITIONAL SENSE CODE QUALIFIER.
    pub qualifier: u8,
}

impl Sense {
    /// INVALID COMMAND OPERATION CODE.
    pub const INVALID_COMMAND_OPERATION_CODE: Self =
        Self::new(SenseKey::IllegalRequest, 0x20, 0x00);
    /// LOGICAL BLOCK ADDRESS OUT OF RANGE.
    pub const LOGICAL_BLOCK_ADDRESS_OUT_OF_RANGE: Self =
        Self::new(SenseKey::IllegalRequest, 0x21, 0x00);
    /// INVALID FIELD IN CDB.
    pub const INVALID_FIELD_IN_CDB: Self = Self::new(SenseKey::IllegalRequest, 0x24, 0x00);
    /// LOGICAL UNIT NOT SUPPORTED.
    pub const LOGICAL_UNIT_NOT_SUPPORTED: Self = Self::new(SenseKey::IllegalRequest, 0x25, 0x00);
    /// MODE PARAMETERS CHANGED.
    pub const MODE_PARAMETERS_CHANGED: Self = Self::new(SenseKey::UnitAttention, 0x2A, 0x01);
    /// CAPACITY DATA HAS CHANGED.
    pub const CAPACITY_DATA_HAS_CHANGED: Self = Self::new(SenseKey::UnitAttention, 0x2A, 0x09);
    /// REPORTED LUNS DATA HAS CHANGED.
    pub const REPORTED_LUNS_DATA_HAS_CHANGED: Self = Self::new(SenseKey::UnitAttention, 0x3F, 0x0E);
    /// SAVING PARAMETERS NOT SUPPORTED.
    pub const SAVING_PARAMETERS_NOT_SUPPORTED: Self =
        Self::new(SenseKey::IllegalRequest, 0x39, 0x00);

    /// The length of sense data in fixed format, in bytes.
    pub const FIXED_BYTES: usize = 18;

    /// Sense data of a key, an additional sense code and its qualifier.
    #[must_use]
    pub const fn new(key: SenseKey, code: u8, qualifier: u8) -> Self {
        Self {
            key,
            code,
            qualifier,
        }
    }

    /// Fixed format (SPC-4, 4.5.3), for a current error. `D_SENSE` of the control mode page is 0, so this is the format
    /// that an initiator gets.
    #[must_use]
    pub const fn fixed(self) -> [u8; Self::FIXED_BYTES] {
        const CURRENT_FIXED: u8 = 0x70;
        // What follows byte 7.
        const ADDITIONAL_LENGTH: u8 = 10;
        [
            CURRENT_FIXED,
            0,
            self.key as u8,
            0,
            0,
            0,
            0,
            ADDITIONAL_LENGTH,
            0,
            0,
            0,
            0,
            self.code,
            self.qualifier,
            0,
            0,
            0,
            0,
        ]
    }

    /// Writes the fixed format into the caller's buffer, cut off at its end, and returns how many bytes were written.
    pub fn write_fixed(self, buffer: &mut [u8]) -> usize {
        for (to, from) in buffer.iter_mut().zip(self.fixed()) {
            *to = from;
        }
        buffer.len().min(Self::FIXED_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_format_has_its_fields_where_spc_puts_them() {
        let bytes = Sense::LOGICAL_BLOCK_ADDRESS_OUT_OF_RANGE.fixed();
        assert_eq!(
            bytes,
            [0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x21, 0, 0, 0, 0, 0]
        );
    }

    #[test]
    fn every_buffer_length_gets_what_fits_and_nothing_more() {
        let sense = Sense::new(SenseKey::NotReady, 0x04, 0x1B);
        for length in 0..40 {
            let mut buffer = [0xEE; 40];
            let written = sense.write_fixed(&mut buffer[..length]);
            assert_eq!(written, length.min(18));
            assert_eq!(buffer[..written], sense.fixed()[..written]);
            assert!(buffer[written..].iter().all(|byte| *byte == 0xEE));
        }
    }
}
