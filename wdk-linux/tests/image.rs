//! The driver image, built as `cargo run` and the tests build it.
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

use object::LittleEndian as LE;
use object::pe::{IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG, IMAGE_DLLCHARACTERISTICS_GUARD_CF};
use object::read::Object;
use object::read::pe::PeFile64;
use pdb2::{FallibleIterator, PDB, SymbolData};
use wdk_linux::{Image, image_check};

fn image() -> Image {
    wdk_linux::image().unwrap_or_else(|error| panic!("{error}"))
}

/// An image that is current is returned without asking cargo, so that a run can begin at once.
#[test]
fn a_current_image_is_not_built_again() {
    let first = image();
    let inode = |image: &Image| fs::metadata(&image.sys).expect("the image").ino();
    let before = inode(&first);
    let second = image();
    assert_eq!(first, second);
    // A build puts a new file in place.
    assert_eq!(before, inode(&second), "built once more");
    for file in [&second.sys, &second.pdb, &second.map] {
        assert!(file.is_file(), "{} is missing", file.display());
    }
}

/// The image that ships is one that Windows loads, calls only what a miniport may call, and cannot panic.
#[test]
fn the_image_that_ships_has_no_findings() {
    let findings = image_check::check(&image()).unwrap_or_else(|error| panic!("{error}"));
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

/// Whoever builds it, and wherever: neither the image nor its debug information has the name of a folder of this machine.
#[test]
fn no_folder_of_this_machine_is_in_image_or_debug_information() {
    let image = image();
    let workspace = wdk_linux::workspace().expect("the checkout");
    let cache = wdk_linux::packages::cache_folder().expect("the cache");
    let variable = |name: &str| std::env::var_os(name).map(std::path::PathBuf::from);
    let folders = [
        Some(workspace),
        Some(cache),
        variable("CARGO_HOME"),
        variable("HOME"),
    ];
    for file in [&image.sys, &image.pdb] {
        let bytes = fs::read(file).expect("the file");
        for folder in folders.iter().flatten() {
            let name = folder.as_os_str().as_encoded_bytes();
            // The home folder may be `/`, which is in everything.
            if name.len() > 1 {
                let found = bytes.windows(name.len()).any(|bytes| bytes == name);
                assert!(!found, "{} is in {}", folder.display(), file.display());
            }
        }
    }
}

#[test]
fn image_tells_its_version() {
    let image = wdk_linux::image().expect("the image builds");
    let bytes = fs::read(&image.sys).expect("the image");
    let file = pelite::PeFile::from_bytes(&bytes).expect("a PE file");
    let resources = file.resources().expect("resources");
    let version = resources.version_info().expect("a version resource");
    let fixed = version.fixed().expect("the binary part");
    let numbers = fixed.dwFileVersion;
    let expected = env!("CARGO_PKG_VERSION");
    assert_eq!(
        format!("{}.{}.{}", numbers.Major, numbers.Minor, numbers.Patch),
        expected
    );
    let language = *version.translation().first().expect("a language");
    for (name, value) in [
        ("FileVersion", expected),
        ("ProductVersion", expected),
        ("OriginalFilename", "ferrostor.sys"),
        ("ProductName", "Ferrostor"),
    ] {
        assert_eq!(
            version.value(language, name).as_deref(),
            Some(value),
            "{name}"
        );
    }
    for name in ["CompanyName", "FileDescription", "LegalCopyright"] {
        let value = version.value(language, name);
        assert!(value.is_some_and(|value| !value.is_empty()), "{name}");
    }
}

/// A debugger takes a PDB only when it has the image's GUID, and names an address only by what is public in it.
#[test]
fn the_debug_information_is_of_this_image_and_has_public_symbols() {
    let image = image();
    let bytes = fs::read(&image.sys).expect("the image");
    let sys = PeFile64::parse(&*bytes).expect("a PE file");
    let mut pdb = PDB::open(File::open(&image.pdb).expect("the PDB")).expect("a PDB");
    let named = sys.pdb_info().expect("a debug directory").expect("a PDB");
    assert_eq!(named.path(), b"ferrostor.pdb");
    let guid = pdb.pdb_information().expect("its information").guid;
    assert_eq!(guid.to_bytes_le(), named.guid());

    let addresses = pdb.address_map().expect("the sections");
    let symbols = pdb.global_symbols().expect("symbols");
    let public: Vec<(String, u32)> = symbols
        .iter()
        .filter_map(|symbol| match symbol.parse() {
            Ok(SymbolData::Public(public)) => {
                let address = public.offset.to_rva(&addresses);
                Ok(address.map(|address| (public.name.to_string().into_owned(), address.0)))
            }
            _ => Ok(None),
        })
        .collect()
        .expect("the symbols");
    let entry = sys.nt_headers().optional_header.address_of_entry_point;
    let entry = ("DriverEntry".to_owned(), entry.get(LE));
    assert!(public.contains(&entry), "{public:#x?}");
}

#[test]
fn the_guide_says_whether_control_flow_guard_protects_the_image() {
    let bytes = fs::read(image().sys).expect("the image");
    let sys = PeFile64::parse(&*bytes).expect("a PE file");
    let flags = sys.nt_headers().optional_header.dll_characteristics.get(LE);
    let guarded = flags & IMAGE_DLLCHARACTERISTICS_GUARD_CF != 0;
    let configuration = sys.data_directory(IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG);
    assert_eq!(
        guarded,
        configuration.is_some(),
        "neither works without the other"
    );
    let guide = wdk_linux::workspace()
        .expect("the checkout")
        .join("docs/windows.md");
    let guide = fs::read_to_string(guide)
        .expect("the guide")
        .replace('\n', " ");
    let says_not = guide.contains("It is *not* built with Control Flow Guard");
    assert_eq!(says_not, !guarded);
}
