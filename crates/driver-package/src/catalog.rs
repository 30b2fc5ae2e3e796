//! Security catalogues: which files belong to a package, by their hashes, for which systems and devices.
//!
//! A catalogue is a certificate trust list in a PKCS #7 envelope. This writes the form that Windows 10 introduced (members known by
//! SHA-256, with a second entry for each by SHA-1), without a signature, which a tool puts on afterwards.

mod der_types;

use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{EncapsulatedContentInfo, SignedData, SignerInfos};
use der::asn1::{Any, ObjectIdentifier, OctetString, SetOfVec, UtcTime};
use der::{DateTime, Decode, Encode, Tag};
use spki::AlgorithmIdentifierOwned;
use x509_cert::ext::Extension;

use crate::digest::Digests;
use crate::stamp::Date;
use der_types::{
    CertificateTrustList, DigestInfo, IndirectData, NameValue, TrustedSubject, TypeAndValue,
    attribute,
};

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
/// `szOID_CTL`.
const TRUST_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.10.1");
/// `szOID_CATALOG_LIST`.
const CATALOG_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.12.1.1");
/// `szOID_CATALOG_LIST_MEMBER2`.
const MEMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.12.1.3");
/// `CAT_NAMEVALUE_OBJID`.
const NAME_VALUE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.12.2.1");
/// `CAT_MEMBERINFO2_OBJID`.
const MEMBER_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.12.2.3");
/// `SPC_INDIRECT_DATA_OBJID`.
const INDIRECT_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.4");
/// `SPC_PE_IMAGE_DATA_OBJID`.
const IMAGE_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.15");
/// `SPC_CAB_DATA_OBJID`, which files that are no image have as well.
const FILE_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.25");

/// `SpcPeImageData`: flags, and a link to no file. In a member the hash is what counts.
const IMAGE_DATA_VALUE: [u8; 12] = [
    0x30, 0x0a, 0x03, 0x02, 0x05, 0xa0, 0xa0, 0x04, 0xa2, 0x02, 0x80, 0x00,
];
/// `SpcLink`: to no file.
const FILE_DATA_VALUE: [u8; 4] = [0xa2, 0x02, 0x80, 0x00];

/// What is known of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An image, known by its Authenticode hash.
    Image,
    /// Any other file, known by the hash of its bytes.
    File,
}

/// A file that a catalogue vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// What it is known by.
    pub digests: Digests,
}

/// What a catalogue says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    /// From when on it holds.
    pub date: Date,
    /// The systems that the package is for, as Windows' own tools name them: `_v100_X64`.
    pub systems: String,
    /// The versions of Windows that each file is for: `2:10.0`.
    pub versions: String,
    /// The devices that the package is for.
    pub device_ids: Vec<String>,
    /// The files.
    pub members: Vec<Member>,
}

impl Catalog {
    /// The catalogue as a file, which nobody has signed. The same contents give the same bytes.
    pub fn to_der(&self) -> der::Result<Vec<u8>> {
        let signed_data = SignedData {
            version: CmsVersion::V1,
            digest_algorithms: SetOfVec::new(),
            encap_content_info: EncapsulatedContentInfo {
                econtent_type: TRUST_LIST,
                econtent: Some(Any::encode_from(&self.trust_list()?)?),
            },
            certificates: None,
            crls: None,
            signer_infos: SignerInfos(SetOfVec::new()),
        };
        ContentInfo {
            content_type: SIGNED_DATA,
            content: Any::encode_from(&signed_data)?,
        }
        .to_der()
    }

    fn trust_list(&self) -> der::Result<CertificateTrustList> {
        let mut subjects = Vec::new();
        for member in &self.members {
            subjects.push(self.subject(member, &member.digests.sha256)?);
            subjects.push(self.subject(member, &member.digests.sha1)?);
        }
        subjects.sort_by(|a, b| a.identifier.as_bytes().cmp(b.identifier.as_bytes()));

        let mut extensions = vec![extension("OS", &self.systems)?];
        for (index, id) in self.device_ids.iter().enumerate() {
            let name = format!("HWID{}", index + 1);
            extensions.push(extension(&name, &id.to_ascii_lowercase())?);
        }
        let (year, month, day) = self.date.parts();
        Ok(CertificateTrustList {
            usage: vec![CATALOG_LIST],
            identifier: OctetString::new(self.identifier())?,
            this_update: UtcTime::from_date_time(DateTime::new(year, month, day, 0, 0, 0)?)?,
            algorithm: AlgorithmIdentifierOwned {
                oid: MEMBER,
                parameters: Some(null()?),
            },
            subjects,
            extensions: Some(extensions),
        })
    }

    /// A list has an identifier of 16 bytes that no other has: here it follows from the members.
    fn identifier(&self) -> Vec<u8> {
        let digests: Vec<u8> = self
            .members
            .iter()
            .flat_map(|member| member.digests.sha256)
            .collect();
        Digests::of_file(&digests).sha256[..16].to_vec()
    }

    /// One entry of a member, known by one of its hashes.
    fn subject(&self, member: &Member, digest: &[u8]) -> der::Result<TrustedSubject> {
        let mut attributes = SetOfVec::new();
        attributes.insert(attribute(
            MEMBER_INFO,
            Any::from_der(&member.kind.member_info())?,
        )?)?;
        for (name, value) in [("File", &member.name), ("OSAttr", &self.versions)] {
            let value = Any::encode_from(&NameValue::new(name, value)?)?;
            attributes.insert(attribute(NAME_VALUE, value)?)?;
        }
        if digest == member.digests.sha256 {
            let data = Any::encode_from(&indirect_data(member)?)?;
            attributes.insert(attribute(INDIRECT_DATA, data)?)?;
        }
        Ok(TrustedSubject {
            identifier: OctetString::new(digest)?,
            attributes,
        })
    }
}

impl Kind {
    /// `CAT_MEMBERINFO2` as `Inf2Cat` writes it: `[0]`, empty, for an image, and `[2]`, empty, for any other file.
    fn member_info(self) -> [u8; 2] {
        match self {
            Self::Image => [0x80, 0x00],
            Self::File => [0x82, 0x00],
        }
    }

    /// The kind that a `CAT_MEMBERINFO2` stands for.
    fn of_member_info(value: &Any) -> der::Result<Option<Self>> {
        let bytes = value.to_der()?;
        let mut kinds = [Self::Image, Self::File].into_iter();
        Ok(kinds.find(|kind| bytes == kind.member_info()))
    }
}

fn null() -> der::Result<Any> {
    Any::new(Tag::Null, [])
}

fn extension(name: &str, value: &str) -> der::Result<Extension> {
    Ok(Extension {
        extn_id: NAME_VALUE,
        critical: false,
        extn_value: OctetString::new(NameValue::new(name, value)?.to_der()?)?,
    })
}

fn indirect_data(member: &Member) -> der::Result<IndirectData> {
    let (kind, value) = match member.kind {
        Kind::Image => (IMAGE_DATA, &IMAGE_DATA_VALUE[..]),
        Kind::File => (FILE_DATA, &FILE_DATA_VALUE[..]),
    };
    Ok(IndirectData {
        data: TypeAndValue {
            kind,
            value: Any::from_der(value)?,
        },
        digest: DigestInfo {
            algorithm: AlgorithmIdentifierOwned {
                oid: SHA256,
                parameters: Some(null()?),
            },
            digest: OctetString::new(member.digests.sha256)?,
        },
    })
}

/// An entry of a catalogue that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The file's name; empty when the catalogue does not say.
    pub name: String,
    /// The hash that the file is looked up by.
    pub digest: Vec<u8>,
    /// The hash that it must have, if the entry says.
    pub vouched: Option<Vec<u8>>,
    /// The versions of Windows that it is for.
    pub versions: String,
    /// What the file is, if the entry says.
    pub kind: Option<Kind>,
}

/// A catalogue that was read, signed or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Its entries.
    pub entries: Vec<Listed>,
    /// What it says of the package as a whole: names and values.
    pub attributes: Vec<(String, String)>,
    /// How many have signed it.
    pub signers: usize,
}

/// Reads a catalogue. Signatures are not checked.
pub fn read(bytes: &[u8]) -> der::Result<Contents> {
    let signed_data = signed_data(bytes)?;
    let content = signed_data
        .encap_content_info
        .econtent
        .ok_or(Tag::Sequence.value_error())?;
    let list: CertificateTrustList = content.decode_as()?;
    let mut attributes = Vec::new();
    for extension in list.extensions.unwrap_or_default() {
        let pair = NameValue::from_der(extension.extn_value.as_bytes())?;
        attributes.push(pair.text());
    }
    Ok(Contents {
        entries: list
            .subjects
            .iter()
            .map(listed)
            .collect::<der::Result<_>>()?,
        attributes,
        signers: signed_data.signer_infos.0.len(),
    })
}

fn listed(subject: &TrustedSubject) -> der::Result<Listed> {
    let mut listed = Listed {
        name: String::new(),
        digest: subject.identifier.as_bytes().to_vec(),
        vouched: None,
        versions: String::new(),
        kind: None,
    };
    for attribute in subject.attributes.iter() {
        for value in attribute.values.iter() {
            if attribute.oid == NAME_VALUE {
                match value.decode_as::<NameValue>()?.text() {
                    (name, text) if name == "File" => listed.name = text,
                    (name, text) if name == "OSAttr" => listed.versions = text,
                    _ => {}
                }
            } else if attribute.oid == INDIRECT_DATA {
                let data: IndirectData = value.decode_as()?;
                listed.vouched = Some(data.digest.digest.as_bytes().to_vec());
            } else if attribute.oid == MEMBER_INFO {
                listed.kind = Kind::of_member_info(value)?;
            }
        }
    }
    Ok(listed)
}

/// The signature of a catalogue on its own, and the bytes that it signs: what is needed to check it with a program that knows CMS,
/// but not that PKCS #7 had the contents of any type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detached {
    /// The signature, a CMS structure in DER.
    pub signature: Vec<u8>,
    /// What it signs.
    pub content: Vec<u8>,
}

/// Takes a signed catalogue apart.
pub fn detach(bytes: &[u8]) -> der::Result<Detached> {
    let mut signed_data = signed_data(bytes)?;
    let content = signed_data.encap_content_info.econtent.take();
    let content = content.ok_or(Tag::Sequence.value_error())?;
    let signature = ContentInfo {
        content_type: SIGNED_DATA,
        content: Any::encode_from(&signed_data)?,
    };
    Ok(Detached {
        signature: signature.to_der()?,
        content: content.value().to_vec(),
    })
}

fn signed_data(bytes: &[u8]) -> der::Result<SignedData> {
    ContentInfo::from_der(bytes)?.content.decode_as()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Catalog {
        let member = |name: &str, kind| Member {
            name: name.into(),
            kind,
            digests: Digests::of_file(name.as_bytes()),
        };
        Catalog {
            date: Date::new(2026, 1, 2).unwrap(),
            systems: "_v100_X64".into(),
            versions: "2:10.0".into(),
            device_ids: vec![r"PCI\CC_010802".into()],
            members: vec![member("a.sys", Kind::Image), member("a.inf", Kind::File)],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let contents = read(&example().to_der().unwrap()).unwrap();
        assert_eq!(contents.signers, 0);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            contents.attributes,
            [pair("OS", "_v100_X64"), pair("HWID1", r"pci\cc_010802")]
        );
        assert_eq!(contents.entries.len(), 4);
        for member in example().members {
            let by = |digest: &[u8]| {
                let entries = &contents.entries;
                entries
                    .iter()
                    .find(|entry| entry.digest == digest)
                    .unwrap()
                    .clone()
            };
            let trusted = by(&member.digests.sha256);
            assert_eq!(
                (trusted.name, trusted.versions),
                (member.name.clone(), "2:10.0".into())
            );
            assert_eq!(trusted.vouched.as_deref(), Some(&member.digests.sha256[..]));
            let other = by(&member.digests.sha1);
            assert_eq!((other.name, other.vouched), (member.name, None));
            assert_eq!([trusted.kind, other.kind], [Some(member.kind); 2]);
        }
    }

    #[test]
    fn entries_are_in_the_order_of_their_hashes_and_bytes_repeat() {
        let der = example().to_der().unwrap();
        assert_eq!(der, example().to_der().unwrap());
        let entries = read(&der).unwrap().entries;
        assert!(entries.is_sorted_by(|a, b| a.digest < b.digest));
    }

    #[test]
    fn a_name_and_its_value_are_encoded_as_windows_does() {
        let pair = NameValue::new("OS", "x").unwrap().to_der().unwrap();
        let expected = [
            0x30, 0x10, 0x1e, 0x04, 0, b'O', 0, b'S', 0x02, 0x04, 0x10, 0x01, 0x00, 0x01, 0x04,
            0x04, b'x', 0, 0, 0,
        ];
        // The length of the sequence counts all that follows it.
        assert_eq!(pair[2..], expected[2..]);
        assert_eq!(usize::from(pair[1]), pair.len() - 2);
    }

    #[test]
    fn a_member_of_each_kind_has_its_own_type_of_data() {
        let der = example().to_der().unwrap();
        for oid in [IMAGE_DATA, FILE_DATA] {
            let oid = oid.to_der().unwrap();
            assert_eq!(
                der.windows(oid.len()).filter(|bytes| *bytes == oid).count(),
                1
            );
        }
    }

    /// In the catalogues of `Inf2Cat` each entry of an image has `80 00`, and each of another file `82 00`.
    #[test]
    fn a_member_of_each_kind_has_its_own_member_information() {
        let der = example().to_der().unwrap();
        let oid = MEMBER_INFO.to_der().unwrap();
        let count = |value: &[u8]| {
            let wanted = [&oid[..], &[0x31, 0x02], value].concat();
            der.windows(wanted.len())
                .filter(|bytes| *bytes == wanted)
                .count()
        };
        assert_eq!([count(&[0x80, 0]), count(&[0x82, 0])], [2, 2]);
    }

    #[test]
    fn what_is_no_catalogue_is_an_error() {
        let der = example().to_der().unwrap();
        assert!(read(&der[..der.len() - 1]).is_err());
        assert!(read(b"").is_err());
        assert!(detach(&[0x30, 0x00]).is_err());
    }
}
