//! The folder that stands in for the WDK (`WDKContentRoot`): headers and import libraries where wdk-build looks for them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::storport_headers::{self, Facts};
use crate::toolchain::Toolchain;
use crate::{Error, files};

/// The version whose headers the facts were measured from.
pub(crate) const VERSION: &str = "10.0.26100.0";

/// Assembles the root at `root`, unless it is there with the same contents; `data` is this package's folder.
///
/// A root that differs in anything is replaced as a whole, so that every file in it is new to cargo: bindgen's build script goes by
/// the time of change of the headers that it has read, and would not notice one that was added.
pub(crate) fn assemble(root: &Path, data: &Path, toolchain: &Toolchain) -> Result<(), Error> {
    let written = written_files(data)?;
    let mingw = toolchain.mingw_headers();
    let shared = PathBuf::from(format!("Include/{VERSION}/shared"));
    let same_packages = fs::read_link(root.join(&shared)).is_ok_and(|target| target == mingw);
    let same_files = written.iter().all(|(path, contents)| {
        fs::read_to_string(root.join(path)).is_ok_and(|present| present == *contents)
    });
    if same_packages && same_files {
        return Ok(());
    }
    let unfinished = root.with_extension("unfinished");
    files::remove(&unfinished)?;
    for (path, contents) in &written {
        files::write_changed(&unfinished.join(path), contents)?;
    }
    link_headers(&mingw, &unfinished.join(format!("Include/{VERSION}/km")))?;
    link(&mingw, &unfinished.join(shared))?;
    for path in written
        .keys()
        .filter(|path| path.extension().is_some_and(|it| it == "def"))
    {
        import_library(&unfinished.join(path), toolchain)?;
    }
    files::put_in_place(&unfinished, root)
}

/// The headers and import definitions, by their path in the root.
fn written_files(data: &Path) -> Result<BTreeMap<PathBuf, String>, Error> {
    let overlay = PathBuf::from(format!("Include/{VERSION}/km/crt"));
    let libraries = PathBuf::from(format!("Lib/{VERSION}/km/x64"));
    let mut written = BTreeMap::new();
    for (from, to) in [("overlay", &overlay), ("def", &libraries)] {
        let from = data.join(from);
        for entry in fs::read_dir(&from).map_err(Error::file("list", &from))? {
            let entry = entry.map_err(Error::file("list", &from))?;
            written.insert(to.join(entry.file_name()), files::read(&entry.path())?);
        }
    }
    for (name, text) in storport_headers::generate(&facts(data)?) {
        written.insert(overlay.join(name), text);
    }
    Ok(written)
}

/// The measured facts about the Storport headers.
pub(crate) fn facts(data: &Path) -> Result<Facts, Error> {
    let text = files::read(&data.join("facts/storport-abi.json"))?;
    serde_json::from_str(&text).map_err(Error::Facts)
}

/// Links mingw-w64's kernel headers into `km`, next to the overlay.
fn link_headers(mingw: &Path, km: &Path) -> Result<(), Error> {
    let ddk = mingw.join("ddk");
    for entry in fs::read_dir(&ddk).map_err(Error::file("list", &ddk))? {
        let entry = entry.map_err(Error::file("list", &ddk))?;
        link(&entry.path(), &km.join(entry.file_name()))?;
    }
    Ok(())
}

fn link(target: &Path, place: &Path) -> Result<(), Error> {
    symlink(target, place).map_err(Error::file("link", place))
}

/// Makes `X.lib` next to `X.def`.
fn import_library(definition: &Path, toolchain: &Toolchain) -> Result<(), Error> {
    let library = definition.with_extension("lib");
    let linker = toolchain.linker();
    let output = toolchain
        .command(&linker)
        .args(["/lib", "/machine:x64"])
        .arg(format!("/def:{}", definition.display()))
        .arg(format!("/out:{}", library.display()))
        .output()
        .map_err(Error::file("start", &linker))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::ImportLibrary {
        library: library.display().to_string(),
        reason: String::from_utf8_lossy(&output.stderr)
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    fn definition(library: &str) -> (String, Vec<String>) {
        let text = files::read(&data().join(format!("def/{library}.def"))).unwrap();
        let mut lines = text.lines();
        let module = lines
            .next()
            .and_then(|line| line.strip_prefix("LIBRARY "))
            .unwrap();
        let names = lines
            .skip_while(|line| *line == "EXPORTS")
            .map(|line| line.trim().to_owned());
        (module.to_owned(), names.collect())
    }

    /// A name that the port driver does not export would link, and the driver would not load.
    #[test]
    fn storport_exports_what_its_header_declares_and_nothing_else() {
        let (module, names) = definition("storport");
        let facts = facts(data()).unwrap();
        let functions = facts.functions.iter();
        let exported: Vec<&String> = functions
            .filter_map(|(name, function)| (!function.inline).then_some(name))
            .collect();
        assert_eq!(module, "storport.sys");
        assert_eq!(names.iter().collect::<Vec<_>>(), exported);
    }

    #[test]
    fn a_definition_names_its_module_and_each_function_once() {
        for (library, module) in [
            ("ntoskrnl", "ntoskrnl.exe"),
            ("hal", "hal.dll"),
            ("wmilib", "wmilib.sys"),
            ("BufferOverflowFastFailK", "BufferOverflowFastFailK"),
        ] {
            let (library_module, names) = definition(library);
            assert_eq!(library_module, module);
            let mut unique = names.clone();
            unique.sort();
            unique.dedup();
            assert_eq!(unique.len(), names.len(), "{library}");
            let is_word = |name: &String| {
                name.bytes()
                    .all(|it| it.is_ascii_alphanumeric() || it == b'_')
            };
            assert!(names.iter().all(is_word), "{library}");
        }
    }

    #[test]
    fn the_root_holds_every_header_and_definition() {
        let written = written_files(data()).unwrap();
        let crt = PathBuf::from(format!("Include/{VERSION}/km/crt"));
        for header in [
            "storport.h",
            "srb.h",
            "scsi.h",
            "ntddstor.h",
            "ntddscsi.h",
            "wdm.h",
            "intrin.h",
        ] {
            assert!(written.contains_key(&crt.join(header)), "{header}");
        }
        assert!(written.contains_key(Path::new(&format!("Lib/{VERSION}/km/x64/storport.def"))));
    }
}
