//! Test signatures on Linux: a certificate made on the spot, signatures by osslsigncode, and checks by it and by openssl.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use der::pem::LineEnding;
use der::{Decode, EncodePem};
use tempfile::TempDir;
use x509_cert::Certificate;

use crate::files::{create_folder, read, write};
use crate::verify::{DRIVER, Fault};
use crate::{Error, catalog};

/// The Debian packages of the tools.
const PACKAGES: [&str; 2] = ["osslsigncode", "openssl"];

/// What openssl makes a certificate from: self-signed, for signing code and nothing else.
const CERTIFICATE: &str = "\
[req]
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
CN = Ferrostor test signing
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, codeSigning
subjectKeyIdentifier = hash
";

/// How long a certificate lasts, in days.
const LIFE_DAYS: &str = "3650";

/// How long a certificate that is used again must last still, in seconds: 30 days.
const LEFT_S: &str = "2592000";

/// osslsigncode and openssl.
#[derive(Debug, Clone)]
pub struct Tools {
    osslsigncode: PathBuf,
    openssl: PathBuf,
    /// Where unpacked packages have their libraries.
    libraries: Option<PathBuf>,
}

/// A self-signed certificate and its key, which are good for test machines only.
#[derive(Debug, Clone)]
pub struct Identity {
    key: PathBuf,
    certificate: PathBuf,
}

impl Tools {
    /// The tools on PATH, else those of the distribution's packages, fetched and unpacked into the user's cache folder.
    pub fn find() -> Result<Self, Error> {
        if let (Some(osslsigncode), Some(openssl)) = (on_path("osslsigncode"), on_path("openssl")) {
            return Ok(Self {
                osslsigncode,
                openssl,
                libraries: None,
            });
        }
        let usr = wdk_linux::packages::unpacked("signing", &PACKAGES)?.join("usr");
        Ok(Self {
            osslsigncode: usr.join("bin/osslsigncode"),
            openssl: usr.join("bin/openssl"),
            libraries: Some(usr.join("lib/x86_64-linux-gnu")),
        })
    }

    /// The identity in a folder, which is made when there is none, or when it is about to run out.
    pub fn identity(&self, folder: &Path) -> Result<Identity, Error> {
        let identity = Identity {
            key: folder.join("key.pem"),
            certificate: folder.join("certificate.pem"),
        };
        let mut check = self.openssl("x509");
        check.args(["-noout", "-checkend", LEFT_S]);
        check.file("-in", &identity.certificate);
        if identity.key.is_file() && check.run().is_ok() {
            return Ok(identity);
        }
        create_folder(folder)?;
        let configuration = folder.join("certificate.cnf");
        write(&configuration, CERTIFICATE.as_bytes())?;
        let mut make = self.openssl("req");
        make.args(["-x509", "-newkey", "rsa:3072", "-sha256", "-nodes"]);
        make.args(["-days", LIFE_DAYS]);
        make.file("-config", &configuration);
        make.file("-keyout", &identity.key);
        make.file("-out", &identity.certificate);
        make.run()?;
        Ok(identity)
    }

    /// Signs an image or a catalogue, which keeps its name.
    pub fn sign(&self, identity: &Identity, file: &Path) -> Result<(), Error> {
        let signed = file.with_extension("signed");
        // osslsigncode refuses to replace a file.
        if signed.exists() {
            fs::remove_file(&signed).map_err(Error::file("replace", &signed))?;
        }
        let mut tool = self.osslsigncode("sign");
        tool.args(["-h", "sha256", "-n", "Ferrostor"]);
        tool.file("-certs", &identity.certificate);
        tool.file("-key", &identity.key);
        tool.file("-in", file);
        tool.file("-out", &signed);
        tool.run()?;
        fs::rename(&signed, file).map_err(Error::file("put in place", file))
    }

    /// Checks the signatures of a finished package with both tools, and what they say against the certificate in it.
    pub fn check(&self, folder: &Path) -> Result<Vec<Fault>, Error> {
        let mut faults = self.check_image(folder)?;
        faults.extend(self.check_catalog(folder)?);
        Ok(faults)
    }

    /// Checks the signature of the image in a package.
    pub fn check_image(&self, folder: &Path) -> Result<Vec<Fault>, Error> {
        let scratch = Scratch::of(folder)?;
        let mut tool = self.verify(&scratch.trusted);
        tool.file("-in", &file(folder, "sys"));
        faults([("the image", tool)])
    }

    /// Checks the signature of the catalogue in a package, with both tools, and the image by the catalogue.
    pub fn check_catalog(&self, folder: &Path) -> Result<Vec<Fault>, Error> {
        let scratch = Scratch::of(folder)?;
        let list = file(folder, "cat");
        let mut alone = self.verify(&scratch.trusted);
        alone.file("-in", &list);
        let mut member = self.verify(&scratch.trusted);
        member.file("-catalog", &list);
        member.file("-in", &file(folder, "sys"));
        let mut checks = vec![
            ("the catalogue", alone),
            ("the image by the catalogue", member),
        ];
        if let Ok(detached) = catalog::detach(&read(&list)?) {
            let signature = scratch.folder.path().join("catalogue.p7s");
            let content = scratch.folder.path().join("catalogue.ctl");
            write(&signature, &detached.signature)?;
            write(&content, &detached.content)?;
            let mut tool = self.openssl("cms");
            tool.args(["-verify", "-binary", "-inform", "DER", "-purpose", "any"]);
            tool.args(["-out", "/dev/null"]);
            tool.file("-in", &signature);
            tool.file("-content", &content);
            tool.file("-CAfile", &scratch.trusted);
            checks.push(("the catalogue", tool));
        }
        faults(checks)
    }

    fn verify(&self, trusted: &Path) -> Tool {
        let mut tool = self.osslsigncode("verify");
        tool.file("-CAfile", trusted);
        // There are no time stamps; the machine need not have a list of who may make them.
        tool.file("-TSA-CAfile", trusted);
        tool
    }

    fn osslsigncode(&self, action: &'static str) -> Tool {
        self.tool("osslsigncode", &self.osslsigncode, action)
    }

    fn openssl(&self, action: &'static str) -> Tool {
        self.tool("openssl", &self.openssl, action)
    }

    fn tool(&self, name: &'static str, program: &Path, action: &'static str) -> Tool {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).env("LC_ALL", "C").arg(action);
        if let Some(libraries) = &self.libraries {
            command
                .env("LD_LIBRARY_PATH", libraries)
                .env("OPENSSL_MODULES", libraries.join("ossl-modules"))
                .env("OPENSSL_CONF", "/dev/null");
        }
        Tool {
            name,
            action,
            command,
        }
    }
}

impl Identity {
    /// The certificate in DER, as a `.cer` file has it.
    pub fn certificate(&self) -> Result<Vec<u8>, Error> {
        use der::{DecodePem, Encode};

        let certificate = Certificate::from_pem(read(&self.certificate)?);
        let der = certificate.and_then(|certificate| certificate.to_der());
        der.map_err(Error::Certificate)
    }
}

/// A program that is about to be run.
struct Tool {
    name: &'static str,
    action: &'static str,
    command: Command,
}

impl Tool {
    fn args<const N: usize>(&mut self, arguments: [&str; N]) {
        self.command.args(arguments);
    }

    fn file(&mut self, option: &str, path: &Path) {
        self.command.arg(option).arg(path);
    }

    fn run(mut self) -> Result<(), Error> {
        let output = self.command.output().map_err(|source| Error::Start {
            program: self.name,
            source,
            package: self.name,
        })?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(Error::Tool {
            program: self.name,
            action: self.action.to_owned(),
            said: complaint(&String::from_utf8_lossy(&said)),
        })
    }
}

/// Runs checks, and tells which did not hold.
fn faults(checks: impl IntoIterator<Item = (&'static str, Tool)>) -> Result<Vec<Fault>, Error> {
    let mut faults = Vec::new();
    for (name, tool) in checks {
        match tool.run() {
            Err(Error::Tool { program, said, .. }) => faults.push(Fault::Signature {
                name: name.to_owned(),
                said: format!("{program}: {said}"),
            }),
            other => other?,
        }
    }
    Ok(faults)
}

/// What the tools read for one check of one package: in a folder of its own, so that checks of other packages at the same time do not
/// trust its certificate, nor it theirs.
struct Scratch {
    folder: TempDir,
    /// The certificate of the package, as the tools read it.
    trusted: PathBuf,
}

impl Scratch {
    fn of(package: &Path) -> Result<Self, Error> {
        let place = std::env::temp_dir();
        let folder = TempDir::new().map_err(Error::file("create a folder in", &place))?;
        let trusted = folder.path().join("certificate.pem");
        let certificate =
            Certificate::from_der(&read(&file(package, "cer"))?).map_err(Error::Certificate)?;
        let pem = certificate.to_pem(LineEnding::LF);
        write(&trusted, pem.map_err(Error::Certificate)?.as_bytes())?;
        Ok(Self { folder, trusted })
    }
}

/// A file of a package.
fn file(folder: &Path, extension: &str) -> PathBuf {
    folder.join(DRIVER).with_extension(extension)
}

/// Why a tool failed, in one line: both say it in one that speaks of an error, a failure or a mismatch, among many others.
fn complaint(said: &str) -> String {
    let signs = ["mismatch", "invalid", "fail", "error", "cannot", "can't"];
    let speaks = |line: &&str| {
        let line = line.to_ascii_lowercase();
        signs.iter().any(|sign| line.contains(sign))
    };
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let line = lines
        .iter()
        .copied()
        .find(speaks)
        .or_else(|| lines.last().copied());
    line.unwrap_or("it does not say why").to_owned()
}

fn on_path(program: impl AsRef<OsStr>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program.as_ref()))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_the_line_that_speaks_of_a_fault() {
        for (said, line) in [
            (
                "Signer's certificate:\n\tSignature verification: failed\nFailed\n",
                "Signature verification: failed",
            ),
            ("\nhalf\n whole \n", "whole"),
            ("\n", "it does not say why"),
        ] {
            assert_eq!(complaint(said), line);
        }
    }

    #[test]
    fn a_tool_that_is_not_there_is_named_with_its_package() {
        let tools = Tools {
            osslsigncode: "/none/osslsigncode".into(),
            openssl: "/none/openssl".into(),
            libraries: None,
        };
        let error = tools.openssl("version").run().unwrap_err().to_string();
        assert!(error.starts_with("openssl cannot be started"), "{error}");
        assert!(error.ends_with("apt-get install openssl"), "{error}");
    }
}
