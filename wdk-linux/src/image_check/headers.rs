//! What the headers say about the image (PE Format, Microsoft).

use object::LittleEndian as LE;
use object::pe::{
    IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE, IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY,
    IMAGE_DLLCHARACTERISTICS_NX_COMPAT, IMAGE_FILE_MACHINE_AMD64, IMAGE_SCN_MEM_EXECUTE,
    IMAGE_SCN_MEM_WRITE, IMAGE_SUBSYSTEM_NATIVE,
};
use object::read::pe::PeFile64;

use super::Finding;

/// What the system demands of a driver.
const CHARACTERISTICS: [(u16, &str); 3] = [
    (IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE, "DYNAMIC_BASE"),
    (IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY, "FORCE_INTEGRITY"),
    (IMAGE_DLLCHARACTERISTICS_NX_COMPAT, "NX_COMPAT"),
];

/// Bytes of the signature and the file header, and of the header of a section.
const FILE_HEADERS_BYTES: u64 = 24;
const SECTION_HEADER_BYTES: u64 = 40;
/// The checksum's place in the optional header.
const CHECKSUM: usize = 64;

pub(super) fn check(image: &PeFile64) -> Vec<Finding> {
    let header = &image.nt_headers().optional_header;
    let machine = image.nt_headers().file_header.machine.get(LE);
    let subsystem = header.subsystem.get(LE);
    let alignment = header.section_alignment.get(LE);
    let stored = header.check_sum.get(LE);
    let computed = checksum(image);
    let mut findings = Vec::new();
    if machine != IMAGE_FILE_MACHINE_AMD64 {
        findings.push(Finding::Machine(machine));
    }
    if subsystem != IMAGE_SUBSYSTEM_NATIVE {
        findings.push(Finding::Subsystem(subsystem));
    }
    if alignment != 4096 {
        findings.push(Finding::SectionAlignment(alignment));
    }
    findings.extend(layout(image));
    let lacking = CHARACTERISTICS
        .iter()
        .filter(|(flag, _)| header.dll_characteristics.get(LE) & flag == 0);
    findings.extend(lacking.map(|(_, name)| Finding::Characteristic(name)));
    if stored != computed {
        findings.push(Finding::Checksum { stored, computed });
    }
    let writable_code = IMAGE_SCN_MEM_WRITE | IMAGE_SCN_MEM_EXECUTE;
    let open = image
        .section_table()
        .iter()
        .filter(|section| section.characteristics.get(LE) & writable_code == writable_code);
    findings.extend(open.map(|section| {
        Finding::WritableCode(String::from_utf8_lossy(section.raw_name()).into_owned())
    }));
    findings
}

/// What the loader asks of sizes and places.
fn layout(image: &PeFile64) -> Vec<Finding> {
    let header = &image.nt_headers().optional_header;
    let (file_alignment, section_alignment) = (
        header.file_alignment.get(LE),
        header.section_alignment.get(LE),
    );
    let aligned = file_alignment.is_power_of_two()
        && (512..=0x1_0000).contains(&file_alignment)
        && file_alignment <= section_alignment;
    let base = header.image_base.get(LE);
    let header_bytes = header.size_of_headers.get(LE);
    let sections = image.section_table().len() as u64 * SECTION_HEADER_BYTES;
    let optional_bytes = image
        .nt_headers()
        .file_header
        .size_of_optional_header
        .get(LE);
    let needed = u64::from(image.dos_header().nt_headers_offset())
        + FILE_HEADERS_BYTES
        + u64::from(optional_bytes)
        + sections;
    let whole =
        header_bytes.is_multiple_of(file_alignment.max(1)) && u64::from(header_bytes) >= needed;
    [
        (!aligned).then_some(Finding::FileAlignment(file_alignment)),
        (!base.is_multiple_of(0x1_0000)).then_some(Finding::ImageBase(base)),
        (!whole).then_some(Finding::HeaderSize(header_bytes)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The checksum that the header of this file should have: the sum of its 16-bit words, its own place counted as zero, every carry
/// added back in, plus the length of the file.
fn checksum(image: &PeFile64) -> u32 {
    let file = image.data();
    // After the signature and the file header.
    let place = image.dos_header().nt_headers_offset() as usize + 24 + CHECKSUM;
    let words = file.chunks(2).enumerate().map(|(index, bytes)| {
        let own = (place..place + 4).contains(&(2 * index));
        let word = u16::from(bytes[0]) | u16::from(*bytes.get(1).unwrap_or(&0)) << 8;
        if own { 0 } else { u32::from(word) }
    });
    let sum = words.fold(0, |sum, word| {
        let sum = sum + word;
        (sum & 0xFFFF) + (sum >> 16)
    });
    sum.wrapping_add(file.len() as u32)
}
