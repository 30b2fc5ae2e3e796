//! Can the loader move the image? Every absolute address in it needs a relocation.

use std::collections::BTreeSet;

use object::LittleEndian as LE;
use object::pe::{
    IMAGE_FILE_RELOCS_STRIPPED, IMAGE_REL_BASED_DIR64, IMAGE_SCN_CNT_INITIALIZED_DATA,
    ImageSectionHeader,
};
use object::read::Result;
use object::read::pe::PeFile64;

use super::Finding;

pub(super) fn check(image: &PeFile64) -> Result<Vec<Finding>> {
    if image.nt_headers().file_header.characteristics.get(LE) & IMAGE_FILE_RELOCS_STRIPPED != 0 {
        return Ok(vec![Finding::RelocationsStripped]);
    }
    let mut addresses = BTreeSet::new();
    for section in image.section_table().iter() {
        addresses.extend(addresses_in(image, section)?);
    }
    let mut relocated = BTreeSet::new();
    let mut findings = Vec::new();
    if let Some(blocks) = image
        .data_directories()
        .relocation_blocks(image.data(), &image.section_table())?
    {
        for block in blocks {
            for relocation in block? {
                let rva = relocation.virtual_address;
                if relocation.typ == IMAGE_REL_BASED_DIR64 && address_at(image, rva).is_some() {
                    relocated.insert(rva);
                } else {
                    findings.push(Finding::StrayRelocation(rva));
                }
            }
        }
    }
    findings.extend(
        addresses
            .difference(&relocated)
            .copied()
            .map(Finding::Unrelocated),
    );
    Ok(findings)
}

/// Where the section holds addresses, as the compiler aligns them. Data that looks like an address in the image is taken for one.
fn addresses_in(image: &PeFile64, section: &ImageSectionHeader) -> Result<Vec<u32>> {
    if section.characteristics.get(LE) & IMAGE_SCN_CNT_INITIALIZED_DATA == 0 {
        return Ok(Vec::new());
    }
    let begin = section.virtual_address.get(LE);
    let bytes = section.pe_data(image.data())?.len();
    Ok((begin..)
        .step_by(8)
        .take(bytes / 8)
        .filter(|rva| address_at(image, *rva).is_some())
        .collect())
}

/// The address in the image that stands at this place, if one does.
fn address_at(image: &PeFile64, rva: u32) -> Option<u64> {
    let header = &image.nt_headers().optional_header;
    let base = header.image_base.get(LE);
    let bytes = image.section_table().pe_data_at(image.data(), rva)?;
    let address = u64::from_le_bytes(*bytes.first_chunk()?);
    (base..base + u64::from(header.size_of_image.get(LE)))
        .contains(&address)
        .then_some(address)
}
