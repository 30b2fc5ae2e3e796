//! A small PE image, made by hand: one section with a few imports (PE Format, Microsoft).
#![allow(dead_code, reason = "each test file uses what it needs")]

/// `IMAGE_FILE_MACHINE_AMD64`.
pub const AMD64: u16 = 0x8664;
/// `IMAGE_FILE_MACHINE_ARM64`.
pub const ARM64: u16 = 0xAA64;

const SECTION_RVA: u32 = 0x1000;
const SECTION_AT: usize = 0x400;
const SECTION_BYTES: usize = 0x400;
const IMPORTS: usize = 0x100;
/// A descriptor for each import, an empty one, and then what they refer to.
const DESCRIPTOR_BYTES: usize = 20;
const REFERRED: usize = IMPORTS + 4 * DESCRIPTOR_BYTES;
const REFERRED_BYTES: usize = 0x50;

/// A driver for `machine` whose entry returns at once, and which imports `name` from `library`.
pub fn driver(machine: u16, library: &str, name: &str) -> Vec<u8> {
    driver_of(machine, &[(library, name)])
}

/// As [`driver`], with this code at its entry.
pub fn driver_with(code: &[u8]) -> Vec<u8> {
    let mut file = driver(AMD64, "storport.sys", "StorPortInitialize");
    put(&mut file, SECTION_AT, code);
    file
}

/// Has the entry of an image of [`driver_of`] call one of its imports: `sub rsp, 40; call [rip + n]; add rsp, 40; ret`.
pub fn call_import(image: &mut [u8], index: usize) {
    let address = REFERRED + index * REFERRED_BYTES + 0x10;
    let mut code = vec![0x48, 0x83, 0xEC, 40, 0xFF, 0x15];
    code.extend((address as u32 - 10).to_le_bytes());
    code.extend([0x48, 0x83, 0xC4, 40, 0xC3]);
    put(image, SECTION_AT, &code);
}

/// As [`driver`], with up to three imports, each from a library.
pub fn driver_of(machine: u16, imports: &[(&str, &str)]) -> Vec<u8> {
    let mut file = vec![0; SECTION_AT + SECTION_BYTES];
    put(&mut file, 0, b"MZ");
    put(&mut file, 0x3C, &64u32.to_le_bytes());
    put(&mut file, 64, b"PE\0\0");
    file_header(&mut file[68..88], machine);
    optional_header(&mut file[88..328]);
    section_header(&mut file[328..368]);
    section(&mut file[SECTION_AT..], imports);
    file
}

fn file_header(at: &mut [u8], machine: u16) {
    put(at, 0, &machine.to_le_bytes());
    put(at, 2, &1u16.to_le_bytes()); // NumberOfSections
    put(at, 16, &240u16.to_le_bytes()); // SizeOfOptionalHeader
    put(at, 18, &0x22u16.to_le_bytes()); // executable, large addresses
}

fn optional_header(at: &mut [u8]) {
    put(at, 0, &0x20Bu16.to_le_bytes()); // PE32+
    put(at, 16, &SECTION_RVA.to_le_bytes()); // AddressOfEntryPoint
    put(at, 24, &0x1_4000_0000u64.to_le_bytes()); // ImageBase
    put(at, 32, &0x1000u32.to_le_bytes()); // SectionAlignment
    put(at, 36, &0x200u32.to_le_bytes()); // FileAlignment
    put(at, 56, &0x2000u32.to_le_bytes()); // SizeOfImage
    put(at, 60, &(SECTION_AT as u32).to_le_bytes()); // SizeOfHeaders
    put(at, 68, &1u16.to_le_bytes()); // Subsystem: native
    put(at, 70, &0x160u16.to_le_bytes()); // relocatable, high entropy, no-execute
    put(at, 108, &16u32.to_le_bytes()); // NumberOfRvaAndSizes
    put(at, 120, &rva(IMPORTS).to_le_bytes()); // the import directory
    put(at, 124, &80u32.to_le_bytes());
}

fn section_header(at: &mut [u8]) {
    put(at, 0, b".text");
    put(at, 8, &(SECTION_BYTES as u32).to_le_bytes()); // VirtualSize
    put(at, 12, &SECTION_RVA.to_le_bytes());
    put(at, 16, &(SECTION_BYTES as u32).to_le_bytes()); // SizeOfRawData
    put(at, 20, &(SECTION_AT as u32).to_le_bytes());
    put(at, 36, &0xE000_0020u32.to_le_bytes()); // code: read, write, execute
}

fn section(at: &mut [u8], imports: &[(&str, &str)]) {
    put(at, 0, &[0x31, 0xC0, 0xC3]); // xor eax, eax; ret
    for (index, (library, name)) in imports.iter().enumerate() {
        let descriptor = IMPORTS + index * DESCRIPTOR_BYTES;
        let lookup = REFERRED + index * REFERRED_BYTES;
        let (addresses, library_at, hint) = (lookup + 0x10, lookup + 0x20, lookup + 0x30);
        put(at, descriptor, &rva(lookup).to_le_bytes());
        put(at, descriptor + 12, &rva(library_at).to_le_bytes());
        put(at, descriptor + 16, &rva(addresses).to_le_bytes());
        put(at, lookup, &u64::from(rva(hint)).to_le_bytes());
        put(at, addresses, &u64::from(rva(hint)).to_le_bytes());
        put(at, library_at, library.as_bytes());
        put(at, hint + 2, name.as_bytes());
    }
}

fn rva(offset: usize) -> u32 {
    SECTION_RVA + offset as u32
}

fn put(into: &mut [u8], at: usize, bytes: &[u8]) {
    into[at..at + bytes.len()].copy_from_slice(bytes);
}
