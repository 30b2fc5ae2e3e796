//! Whose a package is: the certificate in it, compared with one that is known from elsewhere.
//!
//! A package brings its certificate along, and the manifest is not signed: an attacker who changes a package can sign it again
//! with a key of their own, so that everything in it fits. What they cannot have is the builder's key. So the certificate in a package says whose
//! it is once its thumbprint is compared with the builder's.

use std::fmt;
use std::path::Path;

use der::{Decode, DecodePem, Encode};
use x509_cert::Certificate;

use crate::digest::{Digests, hex};
use crate::verify::{DRIVER, Fault};
use crate::{Error, files};

/// A certificate's hash: SHA-1, as Windows shows it, or SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbprint(Vec<u8>);

impl Thumbprint {
    /// Reads one as it is written on Windows or by openssl: hexadecimal digits, in pairs that spaces or colons may part.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: Option<Vec<u8>> = text
            .chars()
            .filter(|character| ![' ', ':'].contains(character))
            .map(|digit| u8::try_from(digit.to_digit(16)?).ok())
            .collect();
        let (pairs, odd) = digits.as_ref()?.as_chunks::<2>();
        let known = odd.is_empty() && [20, 32].contains(&pairs.len());
        known.then(|| Self(pairs.iter().map(|[high, low]| high << 4 | low).collect()))
    }

    /// The thumbprint of a certificate in a file, DER or PEM, that Windows shows.
    pub fn of_file(path: &Path) -> Result<Self, Error> {
        let bytes = files::read(path)?;
        let der = if bytes.starts_with(b"-----BEGIN") {
            let certificate = Certificate::from_pem(&bytes).map_err(Error::Certificate)?;
            certificate.to_der().map_err(Error::Certificate)?
        } else {
            bytes
        };
        Self::of(&der)
    }

    /// The SHA-1 of a certificate in DER.
    fn of(der: &[u8]) -> Result<Self, Error> {
        Certificate::from_der(der).map_err(Error::Certificate)?;
        Ok(Self(Digests::of_file(der).sha1.to_vec()))
    }

    /// The hash of the same kind of a certificate in DER.
    fn likewise(&self, der: &[u8]) -> Self {
        let digests = Digests::of_file(der);
        Self(if self.0.len() == digests.sha256.len() {
            digests.sha256.to_vec()
        } else {
            digests.sha1.to_vec()
        })
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex(&self.0))
    }
}

/// The thumbprint of the certificate that a package brings along.
pub fn of_package(folder: &Path) -> Result<Thumbprint, Error> {
    Thumbprint::of_file(&folder.join(DRIVER).with_extension("cer"))
}

/// Compares the certificate of a package with the one that it should be signed with.
pub fn check(folder: &Path, wanted: Option<&Thumbprint>) -> Result<Option<Fault>, Error> {
    let path = folder.join(DRIVER).with_extension("cer");
    let der = files::read(&path)?;
    let found = Thumbprint::of(&der)?;
    let Some(wanted) = wanted else {
        return Ok(Some(Fault::UnknownSigner(found)));
    };
    let found = wanted.likewise(&der);
    Ok((found != *wanted).then(|| Fault::Signer {
        found,
        wanted: wanted.clone(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_is_read_in_any_of_its_forms() {
        let plain = "00112233445566778899aabbccddeeff01234567";
        let colons = "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:01:23:45:67";
        assert_eq!(Thumbprint::parse(plain).unwrap().to_string(), plain);
        assert_eq!(Thumbprint::parse(colons), Thumbprint::parse(plain));
        let long = "ab ".repeat(32);
        assert_eq!(Thumbprint::parse(&long).unwrap().0, [0xab; 32]);
        for text in [
            "",
            "00",
            &plain[1..],
            &format!("{plain}0"),
            &plain.replace('0', "g"),
        ] {
            assert_eq!(Thumbprint::parse(text), None, "{text}");
        }
    }
}
