//! The structures of a catalogue, field by field. Names are the ones of `wincrypt.h` and `wintrust.h`, shortened.

use der::Sequence;
use der::asn1::{Any, BmpString, ObjectIdentifier, OctetString, SetOfVec, UtcTime};
use spki::AlgorithmIdentifierOwned;
use x509_cert::attr::Attribute;
use x509_cert::ext::Extension;

/// `CTL_INFO`.
#[derive(Debug, Clone, Sequence)]
pub(super) struct CertificateTrustList {
    pub(super) usage: Vec<ObjectIdentifier>,
    pub(super) identifier: OctetString,
    pub(super) this_update: UtcTime,
    pub(super) algorithm: AlgorithmIdentifierOwned,
    pub(super) subjects: Vec<TrustedSubject>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) extensions: Option<Vec<Extension>>,
}

/// `CTL_ENTRY`.
#[derive(Debug, Clone, Sequence)]
pub(super) struct TrustedSubject {
    pub(super) identifier: OctetString,
    pub(super) attributes: SetOfVec<Attribute>,
}

/// `CAT_NAMEVALUE`.
#[derive(Debug, Clone, Sequence)]
pub(super) struct NameValue {
    name: BmpString,
    flags: u32,
    /// UTF-16, little-endian, with a zero at the end.
    value: OctetString,
}

/// `SPC_INDIRECT_DATA_CONTENT`.
#[derive(Debug, Clone, Sequence)]
pub(super) struct IndirectData {
    pub(super) data: TypeAndValue,
    pub(super) digest: DigestInfo,
}

/// `CRYPT_ATTRIBUTE_TYPE_VALUE`.
#[derive(Debug, Clone, Sequence)]
pub(super) struct TypeAndValue {
    pub(super) kind: ObjectIdentifier,
    pub(super) value: Any,
}

/// `DigestInfo` of PKCS #7.
#[derive(Debug, Clone, Sequence)]
pub(super) struct DigestInfo {
    pub(super) algorithm: AlgorithmIdentifierOwned,
    pub(super) digest: OctetString,
}

impl NameValue {
    /// `CRYPTCAT_ATTR_AUTHENTICATED | CRYPTCAT_ATTR_NAMEASCII | CRYPTCAT_ATTR_DATAASCII`.
    const FLAGS: u32 = 0x1001_0001;

    pub(super) fn new(name: &str, value: &str) -> der::Result<Self> {
        let units = value.encode_utf16().chain([0]);
        let bytes: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
        Ok(Self {
            name: BmpString::from_utf8(name)?,
            flags: Self::FLAGS,
            value: OctetString::new(bytes)?,
        })
    }

    /// Name and value.
    pub(super) fn text(&self) -> (String, String) {
        let (units, _) = self.value.as_bytes().as_chunks::<2>();
        let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
        let value: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
        (self.name.to_string(), String::from_utf16_lossy(&value))
    }
}

/// An attribute with one value.
pub(super) fn attribute(oid: ObjectIdentifier, value: Any) -> der::Result<Attribute> {
    let mut values = SetOfVec::new();
    values.insert(value)?;
    Ok(Attribute { oid, values })
}
