use std::ffi::c_void;
use std::path::Path;

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::{Image, ImageError, hexadecimal};
use crate::pages::probe::{readable, writable};

const BASE: u64 = 0x1_8000_0000;

/// Offsets of fields in the file that [`driver`] makes.
const MACHINE: usize = 0x44;
const SECTION_COUNT: usize = 0x46;
const FLAGS: usize = 0x56;
const MAGIC: usize = 0x58;
const ENTRY: usize = 0x68;
const IMAGE_BYTES: usize = 0x90;
const HEADER_BYTES: usize = 0x94;
const SUBSYSTEM: usize = 0x9C;
const DIRECTORIES: usize = 0xC8;
const SECTIONS: usize = 0x148;
const RDATA: usize = 0x600;
const DATA: usize = 0x800;
const RELOC: usize = 0xC00;

fn put(file: &mut [u8], offset: usize, data: &[u8]) {
    file[offset..offset + data.len()].copy_from_slice(data);
}

fn put_u32(file: &mut [u8], offset: usize, values: &[u32]) {
    for (index, value) in values.iter().enumerate() {
        put(file, offset + 4 * index, &value.to_le_bytes());
    }
}

/// A driver with the sections .text (0x1000), .rdata (0x2000), .data (0x3000, two pages), INIT (0x5000) and .reloc
/// (0x6000). Its entry point calls its first import, adds a number that it finds through a relocated pointer, and leaves
/// the sum in the second page of its data.
fn driver() -> Vec<u8> {
    let mut file = vec![0; 0xE00];
    headers(&mut file);
    let displacement = |target: i32, next: i32| (target - next).to_le_bytes();
    let code: [&[u8]; 9] = [
        &[0x48, 0x83, 0xEC, 0x28],
        &[0xFF, 0x15],
        &displacement(0x2060, 0x100A),
        &[0x48, 0x8B, 0x0D],
        &displacement(0x3000, 0x1011),
        &[0x03, 0x01, 0x89, 0x05],
        &displacement(0x4000, 0x1019),
        &[0x48, 0x83, 0xC4, 0x28],
        &[0xC3],
    ];
    put(&mut file, 0x400, &code.concat());
    // The import descriptor, the names, the places of the addresses.
    put_u32(&mut file, RDATA, &[0x2040, 0, 0, 0x2080, 0x2060]);
    for table in [RDATA + 0x40, RDATA + 0x60] {
        put_u32(&mut file, table, &[0x20A0, 0, 0x20C0, 0, 0, 0]);
    }
    put(&mut file, RDATA + 0x80, b"storport.sys");
    put(&mut file, RDATA + 0xA2, b"StorPortInitialize");
    put(&mut file, RDATA + 0xC2, b"StorPortNotification");
    // The load configuration with the address of the cookie.
    put_u32(&mut file, RDATA + 0x100, &[0x70]);
    put(&mut file, RDATA + 0x158, &(BASE + 0x3010).to_le_bytes());
    put(&mut file, DATA, &(BASE + 0x3020).to_le_bytes());
    put(
        &mut file,
        DATA + 0x10,
        &0x0000_2B99_2DDF_A232_u64.to_le_bytes(),
    );
    put_u32(&mut file, DATA + 0x20, &[1234]);
    put_u32(&mut file, RELOC, &[0x3000, 12, 0xA000, 0x2000, 12, 0xA158]);
    file
}

fn headers(file: &mut [u8]) {
    put(file, 0, b"MZ");
    put_u32(file, 0x3C, &[0x40]);
    put(file, 0x40, b"PE\0\0");
    put(file, MACHINE, &0x8664_u16.to_le_bytes());
    put(file, SECTION_COUNT, &[5]);
    put(file, 0x54, &240_u16.to_le_bytes());
    put(file, FLAGS, &0x22_u16.to_le_bytes());
    put(file, MAGIC, &0x20B_u16.to_le_bytes());
    put_u32(file, ENTRY, &[0x1000]);
    put(file, 0x70, &BASE.to_le_bytes());
    put_u32(file, 0x78, &[0x1000, 0x200]);
    put_u32(file, IMAGE_BYTES, &[0x7000]);
    put_u32(file, HEADER_BYTES, &[0x400]);
    put(file, SUBSYSTEM, &[1]);
    put_u32(file, 0xC4, &[16]);
    put_u32(file, DIRECTORIES + 8, &[0x2000, 40]);
    put_u32(file, DIRECTORIES + 5 * 8, &[0x6000, 24]);
    put_u32(file, DIRECTORIES + 10 * 8, &[0x2100, 0x70]);
    let sections = [
        (b".text\0\0\0", 0x200, 0x1000, 0x400, 0x6000_0020),
        (b".rdata\0\0", 0x200, 0x2000, RDATA as u32, 0x4000_0040),
        (b".data\0\0\0", 0x1800, 0x3000, DATA as u32, 0xC000_0040),
        (b"INIT\0\0\0\0", 0x200, 0x5000, 0xA00, 0x6200_0020),
        (b".reloc\0\0", 0x200, 0x6000, RELOC as u32, 0x4200_0040),
    ];
    for (index, (name, bytes, rva, file_offset, flags)) in sections.into_iter().enumerate() {
        let header = SECTIONS + 40 * index;
        put(file, header, name);
        put_u32(file, header + 8, &[bytes, rva, 0x200, file_offset]);
        put_u32(file, header + 36, &[flags]);
    }
}

extern "win64" fn one() -> i32 {
    1
}

fn resolve(library: &str, _: &str) -> Option<*const c_void> {
    (library == "storport.sys").then_some(one as *const c_void)
}

fn load(file: &[u8]) -> Result<Image, ImageError> {
    Image::from_bytes(Path::new("breaker.sys"), file, &resolve)
}

fn word(address: u64) -> u64 {
    assert!(readable(address) && readable(address + 7));
    // SAFETY: the bytes are readable, and only the image's code would write them.
    unsafe { std::ptr::with_exposed_provenance::<u64>(address as usize).read_unaligned() }
}

#[test]
fn an_image_runs_relocated_and_bound() {
    let image = load(&driver()).unwrap();
    let entry = image.entry();
    // SAFETY: the entry point is the code above, which takes no arguments.
    let status = unsafe { entry(std::ptr::null_mut(), std::ptr::null_mut()) };
    assert_eq!(status, 1 + 1234);
    assert_eq!(word(image.base() + 0x4000), 1 + 1234);
    assert_eq!(word(image.base() + 0x3000), image.base() + 0x3020);
}

#[test]
fn the_cookie_of_stack_checks_is_not_the_default() {
    let image = load(&driver()).unwrap();
    let cookie = word(image.base() + 0x3010);
    assert_ne!(cookie, 0x0000_2B99_2DDF_A232);
    assert_eq!(cookie >> 48, 0);
}

#[test]
fn sections_have_their_protections_and_pages_around_the_image_none() {
    let image = load(&driver()).unwrap();
    let base = image.base();
    for (rva, can_read, can_write) in [
        (0, true, false),
        (0x1000, true, false),
        (0x2000, true, false),
        (0x3000, true, true),
        (0x4FFF, true, true),
        (0x5000, true, false),
        (0x7000, false, false),
    ] {
        assert_eq!(
            (readable(base + rva), writable(base + rva)),
            (can_read, can_write),
            "at {rva:#x}"
        );
    }
    assert!(!readable(base - 1));
    image.discard_initialization().unwrap();
    assert!(!readable(base + 0x5000) && !readable(base + 0x6000) && readable(base + 0x1000));
}

#[test]
fn the_image_knows_its_addresses() {
    let image = load(&driver()).unwrap();
    assert_eq!(image.range(), image.base()..image.base() + 0x7000);
    assert!(image.contains(image.base()) && image.contains(image.base() + 0x6FFF));
    assert!(!image.contains(image.base() - 1) && !image.contains(image.base() + 0x7000));
    assert_eq!(
        image.symbolize(image.base() + 0x1004).unwrap(),
        "breaker+0x1004"
    );
    assert_eq!(image.symbolize(image.base() + 0x7000), None);
}

#[test]
fn symbols_come_from_the_map_beside_the_image() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("breaker.sys");
    std::fs::write(&path, driver()).unwrap();
    let map = " Preferred load address is 0000000180000000\n 0001:00000000 DriverEntry 0000000180001000 a.o\n";
    std::fs::write(path.with_extension("map"), map).unwrap();
    let image = Image::load(&path, &resolve).unwrap();
    assert_eq!(image.path(), path);
    assert_eq!(
        image.symbolize(image.base() + 0x1004).unwrap(),
        "breaker!DriverEntry+0x4"
    );
}

#[test]
fn the_hash_is_that_of_the_file() {
    // FIPS 180-4, the first example.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(hexadecimal(&Sha256::digest(b"abc")), abc);
    let (mut file, image) = (driver(), load(&driver()).unwrap());
    file.push(0);
    let appended = load(&file).unwrap();
    assert_eq!(image.sha256().len(), 64);
    assert_ne!(image.sha256(), appended.sha256());
}

#[test]
fn every_unknown_import_is_named() {
    let mut file = driver();
    put(&mut file, RDATA + 0x4F, &[0x80]);
    put(&mut file, RDATA + 0x48, &77_u32.to_le_bytes());
    let error = Image::from_bytes(Path::new("x.sys"), &file, &|_, _| None).unwrap_err();
    let said = "imports what is not implemented: storport.sys!#77, storport.sys!StorPortInitialize";
    assert_eq!(error.to_string(), said);
}

#[test]
fn other_files_are_told_apart() {
    let said = |file: &[u8]| load(file).unwrap_err().to_string();
    for file in [
        &b""[..],
        b"MZ",
        b"\x7FELF\x02\x01\x01",
        &[b'M'; 200],
        &driver()[..0x43],
    ] {
        assert!(
            said(file).starts_with("is not a PE image"),
            "{}",
            said(file)
        );
    }
    let changed = |offset, data: &[u8]| {
        let mut file = driver();
        put(&mut file, offset, data);
        said(&file)
    };
    assert!(changed(MACHINE, &0x014C_u16.to_le_bytes()).starts_with("is built for 32-bit x86"));
    assert!(changed(MACHINE, &0xAA64_u16.to_le_bytes()).starts_with("is built for ARM64"));
    assert!(changed(MACHINE, &0x1234_u16.to_le_bytes()).starts_with("is built for machine 0x1234"));
    assert!(changed(SUBSYSTEM, &[3]).starts_with("is a user-mode program"));
    assert!(changed(SUBSYSTEM, &[12]).starts_with("is an EFI image"));
    let mut library = driver();
    put(&mut library, SUBSYSTEM, &[2]);
    put(&mut library, FLAGS, &0x2022_u16.to_le_bytes());
    assert!(said(&library).starts_with("is a user-mode DLL"));
    let missing = Image::load(Path::new("/nonexistent/x.sys"), &resolve).unwrap_err();
    assert!(
        missing.to_string().starts_with("cannot be read: "),
        "{missing}"
    );
}

#[test]
fn damaged_images_are_refused_with_a_reason() {
    let section = |index: usize| SECTIONS + 40 * index;
    let cases: [(usize, u32, &str); 12] = [
        (IMAGE_BYTES, 0, "size in memory"),
        (IMAGE_BYTES, u32::MAX, "size in memory"),
        (
            IMAGE_BYTES,
            0x5000,
            "section INIT does not lie inside the image",
        ),
        (HEADER_BYTES, 0x10_0000, "headers"),
        (ENTRY, 0, "entry point"),
        (
            ENTRY,
            0x3000,
            "entry point 0x3000 is not in executable memory",
        ),
        (section(1) + 12, 0x1000, "overlaps"),
        (section(1) + 12, 0x2010, "does not begin with a page"),
        (section(2) + 20, 0xFFFF_0000, "past the end of the file"),
        (DIRECTORIES + 5 * 8, 0x6FF8, "relocations do not lie inside"),
        (RELOC + 8, 0x3000, "relocation of type 3"),
        (RELOC, 0x10_0000, "outside of itself"),
    ];
    for (offset, value, reason) in cases {
        let mut file = driver();
        put_u32(&mut file, offset, &[value]);
        let error = load(&file).unwrap_err();
        assert!(
            matches!(error, ImageError::Broken(_)),
            "{reason}: {error:?}"
        );
        assert!(error.to_string().contains(reason), "{reason}: {error}");
    }
    let mut file = driver();
    put(&mut file, MAGIC, &0x10B_u16.to_le_bytes());
    assert!(matches!(load(&file), Err(ImageError::Broken(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn no_file_makes_the_loader_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        length in 0..=0xE00_usize,
        cut: bool,
    ) {
        let mut file = driver();
        // The headers and the tables, not the code.
        let places: Vec<usize> = (0..0x210).chain(RDATA..RDATA + 0x180).chain(RELOC..RELOC + 24).collect();
        for (place, value) in changes {
            file[*place.get(&places)] = value;
        }
        if cut {
            file.truncate(length);
        }
        if let Err(error) = load(&file) {
            prop_assert!(!error.to_string().contains(char::is_control), "{:?}", error);
        }
    }
}
