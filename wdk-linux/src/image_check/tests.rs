//! Each check, on a small image made by hand that has no findings until one thing in it is changed.
use super::{Finding, findings};

const BASE: u64 = 0x1_8000_0000;

/// Places in the file that [`unsealed`] makes.
const MACHINE: usize = 0x44;
const FILE_CHARACTERISTICS: usize = 0x56;
const MAGIC: usize = 0x58;
const SECTION_ALIGNMENT: usize = 0x78;
const CHECKSUM: usize = 0x98;
const SUBSYSTEM: usize = 0x9C;
const CHARACTERISTICS: usize = 0x9E;
const DIRECTORIES: usize = 0xC8;
const TEXT_CHARACTERISTICS: usize = 0x148 + 36;
const DATA: usize = 0x600;
const ADDRESS: usize = DATA + 0x1F0;
const RELOC: usize = 0x800;

const GOOD: [(&str, &str); 2] = [
    ("storport.sys", "StorPortInitialize"),
    ("ntoskrnl.exe", "memcpy"),
];

const MAP: &str = " ferrostor

 Timestamp is 6b034d10 (Sun Nov 22 20:14:08 2026)

 Start         Length     Name                   Class
 0001:00000000 000000f6H .text                   CODE

  Address         Publics by Value              Rva+Base               Lib:Object

 0001:00000000       DriverEntry                0000000180001000     ferrostor.o
 0002:00000000       _fltused                   0000000180002000     9panicking.o

 Static symbols

 0001:000000a0       _RNvCsjphA784Zqis_9ferrostor4work 00000001800010a0     ferrostor.o
";

#[test]
fn a_sound_image_has_no_findings() {
    assert_eq!(findings(&image(GOOD), MAP), []);
}

#[test]
fn what_is_no_pe_file_is_one_finding() {
    for file in [
        Vec::new(),
        b"MZ".to_vec(),
        changed(MAGIC, &0x10B_u16.to_le_bytes()),
    ] {
        assert!(matches!(findings(&file, MAP)[..], [Finding::Format(_)]));
    }
}

#[test]
fn another_machine_subsystem_or_alignment_is_found() {
    let arm64 = changed(MACHINE, &0xAA64_u16.to_le_bytes());
    assert_eq!(findings(&arm64, MAP), [Finding::Machine(0xAA64)]);
    let console = changed(SUBSYSTEM, &[3]);
    assert_eq!(findings(&console, MAP), [Finding::Subsystem(3)]);
    let packed = changed(SECTION_ALIGNMENT, &0x200_u32.to_le_bytes());
    assert_eq!(findings(&packed, MAP), [Finding::SectionAlignment(0x200)]);
}

#[test]
fn each_missing_characteristic_is_found() {
    for (kept, name) in [
        (0x180, "DYNAMIC_BASE"),
        (0x140, "FORCE_INTEGRITY"),
        (0x0C0, "NX_COMPAT"),
    ] {
        let file = changed(CHARACTERISTICS, &u16::to_le_bytes(kept));
        assert_eq!(findings(&file, MAP), [Finding::Characteristic(name)]);
    }
}

#[test]
fn a_checksum_of_another_file_is_found() {
    let mut file = image(GOOD);
    put(&mut file, CHECKSUM, &[0; 4]);
    let computed = checksum(&file);
    assert_eq!(
        findings(&file, MAP),
        [Finding::Checksum {
            stored: 0,
            computed
        }]
    );

    // One byte more, which is half a word.
    let mut longer = image(GOOD);
    longer.push(0x5A);
    let [Finding::Checksum { stored, computed }] = findings(&longer, MAP)[..] else {
        panic!("the checksum covers the last byte");
    };
    assert_eq!(computed, stored + 0x5A + 1);
}

#[test]
fn writable_code_is_found() {
    let file = changed(TEXT_CHARACTERISTICS, &0xE000_0020_u32.to_le_bytes());
    assert_eq!(
        findings(&file, MAP),
        [Finding::WritableCode(".text".to_owned())]
    );
}

#[test]
fn relocations_are_complete_and_point_at_addresses() {
    let stripped = changed(FILE_CHARACTERISTICS, &0x23_u16.to_le_bytes());
    assert_eq!(findings(&stripped, MAP), [Finding::RelocationsStripped]);

    let no_directory = changed(DIRECTORIES + 5 * 8, &[0; 8]);
    assert_eq!(findings(&no_directory, MAP), [Finding::Unrelocated(0x21F0)]);

    let one_more = changed(ADDRESS - 8, &(BASE + 0x3FFF).to_le_bytes());
    assert_eq!(findings(&one_more, MAP), [Finding::Unrelocated(0x21E8)]);

    // The first address behind the image is none of its own.
    let behind = changed(ADDRESS, &(BASE + 0x4000).to_le_bytes());
    assert_eq!(findings(&behind, MAP), [Finding::StrayRelocation(0x21F0)]);

    let half_an_address = changed(RELOC + 8, &0x31F0_u16.to_le_bytes());
    assert_eq!(
        findings(&half_an_address, MAP),
        [
            Finding::StrayRelocation(0x21F0),
            Finding::Unrelocated(0x21F0)
        ]
    );

    let cut_short = changed(RELOC + 4, &4_u32.to_le_bytes());
    assert!(matches!(
        findings(&cut_short, MAP)[..],
        [Finding::Format(_)]
    ));
}

#[test]
fn an_import_that_does_not_exist_is_found() {
    for (library, name) in [
        ("ndis.sys", "memcpy"),
        ("wmilib.sys", "WmiFireEvent"),
        ("storport.sys", "memcpy"),
        ("storport.sys", "StorPortAllocateHostMemoryBuffer"),
    ] {
        let finding = Finding::UnknownImport {
            library: library.to_owned(),
            name: name.to_owned(),
        };
        assert_eq!(findings(&image([GOOD[0], (library, name)]), MAP), [finding]);
    }
    // One without a name cannot be read.
    let nameless = image([GOOD[0], ("storport.sys", "")]);
    assert!(matches!(findings(&nameless, MAP)[..], [Finding::Format(_)]));
    // A module's name is the same in any case.
    assert_eq!(
        findings(&image([("STORPORT.SYS", GOOD[0].1), GOOD[1]]), MAP),
        []
    );
}

#[test]
fn an_import_by_ordinal_is_found() {
    let file = changed(DATA + 0x80, &0x8000_0000_0000_0007_u64.to_le_bytes());
    let finding = Finding::UnknownImport {
        library: "storport.sys".to_owned(),
        name: "#7".to_owned(),
    };
    assert_eq!(findings(&file, MAP), [finding]);
}

#[test]
fn an_import_that_a_miniport_must_not_have_is_found() {
    for name in [
        "KeBugCheck",
        "KeBugCheckEx",
        "ExAllocatePool2",
        "ExAllocatePoolWithTag",
        "ExFreePool",
        "ExFreePoolWithTag",
        "KeGetCurrentIrql",
        "KeSetTimer",
        "ZwClose",
        "IoCallDriver",
    ] {
        let file = image([GOOD[0], ("ntoskrnl.exe", name)]);
        assert_eq!(
            findings(&file, MAP),
            [Finding::ProhibitedImport(name.to_owned())]
        );
    }
}

#[test]
fn a_panic_path_and_formatting_are_found_in_the_map() {
    for symbol in [
        // As the compiler wrote them for an index, an unwrap, a division and what they run.
        "_RNvNtCsfT01jRvt1Pv_4core9panicking18panic_bounds_check",
        "_RNvNtCsfT01jRvt1Pv_4core9panicking5panic",
        "_RNvNtNtCsfT01jRvt1Pv_4core9panicking11panic_const23panic_const_div_by_zero",
        "_RNvCsfgHYwM92fyn_7___rustc17rust_begin_unwind",
        "_RNvNtCshsuwyJiXGnH_9wdk_panic20kernel_panic_handler16rust_ke_bugcheck",
        // The older mangling.
        "_ZN4core9panicking9panic_fmt17h0123456789abcdefE",
        "_ZN5alloc5alloc18handle_alloc_error17h0123456789abcdefE",
    ] {
        let map = format!("{MAP} 0001:000000b0       {symbol} 00000001800010b0     ferrostor.o\n");
        assert_eq!(
            findings(&image(GOOD), &map),
            [Finding::PanicPath(symbol.to_owned())]
        );
    }
    let symbol = "_RNvNtCsfT01jRvt1Pv_4core3fmt5write";
    let map = MAP.replace("_RNvCsjphA784Zqis_9ferrostor4work", symbol);
    assert_eq!(
        findings(&image(GOOD), &map),
        [Finding::Formatting(symbol.to_owned())]
    );
}

#[test]
fn a_map_without_a_time_is_known_by_the_entry_point() {
    let map = MAP.replace(
        "6b034d10 (Sun Nov 22 20:14:08 2026)",
        "00000000 (Repro mode)",
    );
    assert_eq!(findings(&image(GOOD), &map), []);
    let other = map.replace("0000000180001000", "0000000180001010");
    assert_eq!(findings(&image(GOOD), &other), [Finding::ForeignMap]);
}

#[test]
fn a_map_that_is_not_of_this_image_proves_nothing() {
    for map in [
        "",
        &MAP.replace("6b034d10", "6b034d11"),
        &MAP.replace("DriverEntry", "DriverEntries"),
        &MAP.replace("0000000180001000", "0000000180001010"),
    ] {
        assert_eq!(findings(&image(GOOD), map), [Finding::ForeignMap]);
    }
}

#[test]
fn a_finding_is_one_line() {
    let finding = Finding::UnknownImport {
        library: "ndis.sys".to_owned(),
        name: "NdisOpenFile".to_owned(),
    };
    assert_eq!(
        finding.to_string(),
        "ndis.sys is not known to export NdisOpenFile, which is imported"
    );
}

/// The sound image with one change, its checksum right.
fn changed(place: usize, data: &[u8]) -> Vec<u8> {
    let mut file = unsealed(GOOD);
    put(&mut file, place, data);
    sealed(file)
}

fn image(imports: [(&str, &str); 2]) -> Vec<u8> {
    sealed(unsealed(imports))
}

fn sealed(mut file: Vec<u8>) -> Vec<u8> {
    let checksum = checksum(&file);
    put(&mut file, CHECKSUM, &checksum.to_le_bytes());
    file
}

/// The checksum, computed with one division instead of a carry for each word: the sum of the words modulo 65,535, where only an
/// empty sum is 0.
fn checksum(file: &[u8]) -> u32 {
    let words = file.chunks(2).map(|word| {
        word.iter()
            .rev()
            .fold(0, |value, byte| value << 8 | u64::from(*byte))
    });
    let stored = u16::from_le_bytes([file[CHECKSUM], file[CHECKSUM + 1]]);
    let stored =
        u64::from(stored) + u64::from(u16::from_le_bytes([file[CHECKSUM + 2], file[CHECKSUM + 3]]));
    let sum = words.sum::<u64>() - stored;
    ((sum - 1) % 0xFFFF + 1) as u32 + file.len() as u32
}

/// A driver without a checksum, with the sections .text (0x1000), .data (0x2000) and .reloc (0x3000). It has two imports and an
/// address with a relocation.
fn unsealed(imports: [(&str, &str); 2]) -> Vec<u8> {
    let mut file = vec![0; 0xA00];
    headers(&mut file);
    for (descriptor, lists, (library, name)) in
        [(DATA, 0x2080, imports[0]), (DATA + 20, 0x2100, imports[1])]
    {
        let at = DATA + lists as usize - 0x2000;
        put_u32(
            &mut file,
            descriptor,
            &[lists, 0, 0, lists + 0x20, lists + 0x10],
        );
        put_u32(&mut file, at, &[lists + 0x30]);
        put_u32(&mut file, at + 0x10, &[lists + 0x30]);
        put(&mut file, at + 0x20, library.as_bytes());
        put(&mut file, at + 0x32, name.as_bytes());
    }
    put(&mut file, ADDRESS, &(BASE + 0x1000).to_le_bytes());
    put_u32(&mut file, RELOC, &[0x2000, 12]);
    put(&mut file, RELOC + 8, &0xA1F0_u16.to_le_bytes());
    file
}

fn headers(file: &mut [u8]) {
    put(file, 0, b"MZ");
    put_u32(file, 0x3C, &[0x40]);
    put(file, 0x40, b"PE\0\0");
    put(file, MACHINE, &0x8664_u16.to_le_bytes());
    put(file, 0x46, &[3]); // NumberOfSections
    put_u32(file, 0x48, &[0x6B03_4D10]); // TimeDateStamp
    put(file, 0x54, &240_u16.to_le_bytes()); // SizeOfOptionalHeader
    put(file, FILE_CHARACTERISTICS, &0x22_u16.to_le_bytes());
    put(file, MAGIC, &0x20B_u16.to_le_bytes());
    put_u32(file, 0x68, &[0x1000]); // AddressOfEntryPoint
    put(file, 0x70, &BASE.to_le_bytes());
    put_u32(file, SECTION_ALIGNMENT, &[0x1000, 0x200]);
    put_u32(file, 0x90, &[0x4000, 0x400]); // SizeOfImage, SizeOfHeaders
    put(file, SUBSYSTEM, &[1]);
    put(file, CHARACTERISTICS, &0x1C0_u16.to_le_bytes());
    put_u32(file, 0xC4, &[16]); // NumberOfRvaAndSizes
    put_u32(file, DIRECTORIES + 8, &[0x2000, 40]);
    put_u32(file, DIRECTORIES + 5 * 8, &[0x3000, 12]);
    let sections: [(&[u8], u32, usize, u32); 3] = [
        (b".text", 0x1000, 0x400, 0x6000_0020),
        (b".data", 0x2000, DATA, 0xC000_0040),
        (b".reloc", 0x3000, RELOC, 0x4200_0040),
    ];
    for (header, (name, rva, at, characteristics)) in (0x148..).step_by(40).zip(sections) {
        put(file, header, name);
        put_u32(file, header + 8, &[0x200, rva, 0x200, at as u32]);
        put_u32(file, header + 36, &[characteristics]);
    }
}

fn put(file: &mut [u8], place: usize, data: &[u8]) {
    file[place..place + data.len()].copy_from_slice(data);
}

fn put_u32(file: &mut [u8], place: usize, values: &[u32]) {
    for (index, value) in values.iter().enumerate() {
        put(file, place + 4 * index, &value.to_le_bytes());
    }
}
