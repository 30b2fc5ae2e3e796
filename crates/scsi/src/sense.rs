//! Sense data (SPC-4, 4.5): why a command ended with CHECK CONDITION.

/// The sense key (SPC-4, 4.5.6): the kind of trouble. Those keys only that a disk behind NVMe can report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SenseKey {
    /// There is nothing to report.
    NoSense = 0x0,
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
    /// PARAMETER LIST LENGTH ERROR.
    pub const PARAMETER_LIST_LENGTH_ERROR: Self = Self::new(SenseKey::IllegalRequest, 0x1A, 0x00);
    /// WRITE PROTECTED.
    pub const WRITE_PROTECTED: Self = Self::new(SenseKey::DataProtect, 0x27, 0x00);
    /// LOGICAL BLOCK ADDRESS OUT OF RANGE.
    pub const LOGICAL_BLOCK_ADDRESS_OUT_OF_RANGE: Self =
        Self::new(SenseKey::IllegalRequest, 0x21, 0x00);
    /// INVALID FIELD IN CDB.
    pub const INVALID_FIELD_IN_CDB: Self = Self::new(SenseKey::IllegalRequest, 0x24, 0x00);
    /// INVALID FIELD IN PARAMETER LIST.
    pub const INVALID_FIELD_IN_PARAMETER_LIST: Self =
        Self::new(SenseKey::IllegalRequest, 0x26, 0x00);
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

    /// The length of sense data in descriptor format with an information descriptor, in bytes.
    pub const DESCRIPTOR_BYTES: usize = DESCRIPTOR_HEADER_BYTES + INFORMATION_BYTES;

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
    /// that an initiator gets with CHECK CONDITION. INFORMATION is valid only where it is known and fits 32 bits.
    #[must_use]
    pub const fn fixed(self, information: Option<u64>) -> [u8; Self::FIXED_BYTES] {
        const CURRENT_FIXED: u8 = 0x70;
        // What follows byte 7.
        const ADDITIONAL_LENGTH: u8 = 10;
        let (valid, [i0, i1, i2, i3]) = match information {
            Some(information) if information <= u32::MAX as u64 => {
                (VALID, (information as u32).to_be_bytes())
            }
            _ => (0, [0; 4]),
        };
        [
            CURRENT_FIXED | valid,
            0,
            self.key as u8,
            i0,
            i1,
            i2,
            i3,
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

    /// Descriptor format (SPC-4, 4.5.2), for a current error: the bytes, and how many of them there are. Without information
    /// there is no descriptor.
    #[must_use]
    pub const fn descriptor(
        self,
        information: Option<u64>,
    ) -> ([u8; Self::DESCRIPTOR_BYTES], usize) {
        const CURRENT_DESCRIPTOR: u8 = 0x72;
        const INFORMATION: u8 = 0x00;
        // What follows byte 1 of the descriptor.
        const ADDITIONAL_LENGTH: u8 = 10;
        let Some(information) = information else {
            let mut bytes = [0; Self::DESCRIPTOR_BYTES];
            let [format, key, code, qualifier, ..] = &mut bytes;
            (*format, *key) = (CURRENT_DESCRIPTOR, self.key as u8);
            (*code, *qualifier) = (self.code, self.qualifier);
            return (bytes, DESCRIPTOR_HEADER_BYTES);
        };
        let [i0, i1, i2, i3, i4, i5, i6, i7] = information.to_be_bytes();
        let bytes = [
            CURRENT_DESCRIPTOR,
            self.key as u8,
            self.code,
            self.qualifier,
            0,
            0,
            0,
            INFORMATION_BYTES as u8,
            INFORMATION,
            ADDITIONAL_LENGTH,
            VALID,
            0,
            i0,
            i1,
            i2,
            i3,
            i4,
            i5,
            i6,
            i7,
        ];
        (bytes, Self::DESCRIPTOR_BYTES)
    }

    /// Writes the fixed format into the caller's buffer, cut off at its end, and returns how many bytes were written. No block
    /// address is known.
    pub fn write_fixed(self, buffer: &mut [u8]) -> usize {
        let bytes = self.fixed(None);
        for (to, from) in buffer.iter_mut().zip(bytes) {
            *to = from;
        }
        buffer.len().min(bytes.len())
    }
}

/// The bytes before the descriptors.
const DESCRIPTOR_HEADER_BYTES: usize = 8;
/// The bytes of an information descriptor.
const INFORMATION_BYTES: usize = 12;
/// VALID: the information field is.
const VALID: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_format_has_its_fields_where_spc_puts_them() {
        let bytes = Sense::LOGICAL_BLOCK_ADDRESS_OUT_OF_RANGE.fixed(None);
        assert_eq!(
            bytes,
            [0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x21, 0, 0, 0, 0, 0]
        );
    }

    #[test]
    fn information_is_valid_where_it_is_known_and_fits() {
        let sense = Sense::new(SenseKey::MediumError, 0x11, 0x00);
        let cases = [
            (None, 0x70, [0; 4]),
            (Some(0), 0xF0, [0; 4]),
            (Some(0x1234_5678), 0xF0, [0x12, 0x34, 0x56, 0x78]),
            (Some(0xFFFF_FFFF), 0xF0, [0xFF; 4]),
            (Some(0x1_0000_0000), 0x70, [0; 4]),
            (Some(u64::MAX), 0x70, [0; 4]),
        ];
        for (information, response_code, field) in cases {
            let bytes = sense.fixed(information);
            assert_eq!((bytes[0], &bytes[3..7]), (response_code, &field[..]));
            assert_eq!((bytes[2], bytes[12], bytes[13]), (3, 0x11, 0));
        }
    }

    #[test]
    fn descriptor_format_has_an_information_descriptor_where_it_is_known() {
        let sense = Sense::new(SenseKey::MediumError, 0x11, 0x02);
        let (bytes, length) = sense.descriptor(None);
        assert_eq!(bytes[..length], [0x72, 3, 0x11, 2, 0, 0, 0, 0]);
        let (bytes, length) = sense.descriptor(Some(0x0123_4567_89AB_CDEF));
        assert_eq!(bytes[..8], [0x72, 3, 0x11, 2, 0, 0, 0, 12]);
        assert_eq!(
            bytes[8..length],
            [
                0, 10, 0x80, 0, 0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF
            ]
        );
    }

    #[test]
    fn every_buffer_length_gets_what_fits_and_nothing_more() {
        let sense = Sense::new(SenseKey::NotReady, 0x04, 0x1B);
        for length in 0..40 {
            let mut buffer = [0xEE; 40];
            let written = sense.write_fixed(&mut buffer[..length]);
            assert_eq!(written, length.min(18));
            assert_eq!(buffer[..written], sense.fixed(None)[..written]);
            assert!(buffer[written..].iter().all(|byte| *byte == 0xEE));
        }
    }
}
