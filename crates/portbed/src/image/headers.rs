//! What the headers of an image say, checked against each other and against the file.

use object::LittleEndian as LE;
use object::pe::{self, ImageDosHeader, ImageFileHeader};
use object::read::pe::{ImageOptionalHeader, PeFile64};

use super::ImageError;
use crate::pages::{Access, PAGE_BYTES};

/// No driver comes near this size; a damaged header does.
const MAXIMUM_BYTES: u32 = 64 << 20;

/// The headers of an image that can be loaded.
#[derive(Debug)]
pub(super) struct Headers {
    /// Size in memory, whole pages.
    pub(super) image_bytes: usize,
    /// Bytes at the start of the file that belong to the image.
    pub(super) header_bytes: usize,
    /// The address for which the image was linked.
    pub(super) preferred_base: u64,
    /// The entry point, relative to the base.
    pub(super) entry: u32,
    pub(super) sections: Vec<Section>,
    pub(super) imports: Option<Directory>,
    pub(super) relocations: Option<Directory>,
    pub(super) load_configuration: Option<Directory>,
}

/// A part of the image with a protection of its own. All of it lies inside the image and begins with a page.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) rva: u32,
    /// Size in memory, whole pages.
    pub(super) bytes: u32,
    /// Offset and size of its contents in the file; the rest of it is zero.
    pub(super) file_offset: usize,
    pub(super) file_bytes: usize,
    pub(super) access: Access,
    /// Whether the system discards it after `DriverEntry` has returned.
    pub(super) discardable: bool,
}

/// Where a table of the image lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Directory {
    pub(super) rva: u32,
    pub(super) bytes: u32,
}

pub(super) fn broken(what: impl Into<String>) -> ImageError {
    ImageError::Broken(what.into())
}

impl Headers {
    /// Reads the headers of the image `file`.
    pub(super) fn parse(file: &[u8]) -> Result<Self, ImageError> {
        check_machine(file)?;
        let pe = PeFile64::parse(file).map_err(|error| broken(error.to_string().to_lowercase()))?;
        let optional = &pe.nt_headers().optional_header;
        check_subsystem(
            optional.subsystem(),
            pe.nt_headers().file_header.characteristics.get(LE),
        )?;
        let declared_bytes = optional.size_of_image();
        if declared_bytes == 0 || declared_bytes > MAXIMUM_BYTES {
            return Err(broken(format!(
                "its size in memory is {declared_bytes} bytes"
            )));
        }
        let image_bytes = declared_bytes.next_multiple_of(PAGE_BYTES as u32);
        let header_bytes = optional.size_of_headers() as usize;
        if header_bytes > file.len() || header_bytes > image_bytes as usize {
            return Err(broken(format!(
                "its headers take {header_bytes} bytes, more than there are"
            )));
        }
        let sections = sections(&pe, file.len(), image_bytes)?;
        let entry = optional.address_of_entry_point();
        if !sections
            .iter()
            .any(|section| section.is_executable() && section.contains(entry))
        {
            return Err(broken(format!(
                "its entry point {entry:#x} is not in executable memory"
            )));
        }
        let directory = |id| {
            let found = pe.data_directory(id)?;
            let (rva, bytes) = found.address_range();
            (rva != 0).then_some(Directory { rva, bytes })
        };
        Ok(Self {
            image_bytes: image_bytes as usize,
            header_bytes,
            preferred_base: optional.image_base(),
            entry,
            sections,
            imports: directory(pe::IMAGE_DIRECTORY_ENTRY_IMPORT),
            relocations: directory(pe::IMAGE_DIRECTORY_ENTRY_BASERELOC),
            load_configuration: directory(pe::IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG),
        })
    }
}

impl Section {
    fn contains(&self, rva: u32) -> bool {
        rva.checked_sub(self.rva)
            .is_some_and(|offset| offset < self.bytes)
    }

    fn is_executable(&self) -> bool {
        matches!(self.access, Access::ReadExecute | Access::ReadWriteExecute)
    }
}

/// Tells images for other machines from files that are no images at all.
fn check_machine(file: &[u8]) -> Result<(), ImageError> {
    let dos = ImageDosHeader::parse(file).map_err(|_| ImageError::NotPe)?;
    let start = dos.nt_headers_offset() as usize;
    let headers = file.get(start..).ok_or(ImageError::NotPe)?;
    let (signature, rest) = headers.split_first_chunk::<4>().ok_or(ImageError::NotPe)?;
    if signature != b"PE\0\0" {
        return Err(ImageError::NotPe);
    }
    let (header, _) =
        object::pod::from_bytes::<ImageFileHeader>(rest).map_err(|()| ImageError::NotPe)?;
    match header.machine.get(LE) {
        pe::IMAGE_FILE_MACHINE_AMD64 => Ok(()),
        other => Err(ImageError::Machine(machine_name(other))),
    }
}

fn machine_name(machine: u16) -> String {
    match machine {
        pe::IMAGE_FILE_MACHINE_I386 => "32-bit x86".into(),
        pe::IMAGE_FILE_MACHINE_ARM64 => "ARM64".into(),
        pe::IMAGE_FILE_MACHINE_ARMNT | pe::IMAGE_FILE_MACHINE_ARM => "32-bit ARM".into(),
        pe::IMAGE_FILE_MACHINE_IA64 => "Itanium".into(),
        pe::IMAGE_FILE_MACHINE_RISCV64 => "64-bit RISC-V".into(),
        other => format!("machine {other:#06x}"),
    }
}

fn check_subsystem(subsystem: u16, flags: u16) -> Result<(), ImageError> {
    let is_library = flags & pe::IMAGE_FILE_DLL != 0;
    let what = match subsystem {
        pe::IMAGE_SUBSYSTEM_NATIVE => return Ok(()),
        pe::IMAGE_SUBSYSTEM_WINDOWS_GUI | pe::IMAGE_SUBSYSTEM_WINDOWS_CUI if is_library => {
            "a user-mode DLL".into()
        }
        pe::IMAGE_SUBSYSTEM_WINDOWS_GUI | pe::IMAGE_SUBSYSTEM_WINDOWS_CUI => {
            "a user-mode program".into()
        }
        pe::IMAGE_SUBSYSTEM_EFI_APPLICATION
        | pe::IMAGE_SUBSYSTEM_EFI_BOOT_SERVICE_DRIVER
        | pe::IMAGE_SUBSYSTEM_EFI_RUNTIME_DRIVER => "an EFI image".into(),
        other => format!("an image for subsystem {other}"),
    };
    Err(ImageError::Subsystem(what))
}

/// The sections, in ascending order, each with pages of its own.
fn sections(
    pe: &PeFile64<'_>,
    file_bytes: usize,
    image_bytes: u32,
) -> Result<Vec<Section>, ImageError> {
    let mut sections: Vec<Section> = Vec::new();
    for header in pe.section_table().iter() {
        let name = header.raw_name().escape_ascii();
        let rva = header.virtual_address.get(LE);
        let (file_offset, in_file) = header.pe_file_range();
        let declared = match header.virtual_size.get(LE) {
            0 => header.size_of_raw_data.get(LE),
            bytes => bytes,
        };
        let bytes = declared.checked_next_multiple_of(PAGE_BYTES as u32);
        let end = bytes
            .and_then(|bytes| rva.checked_add(bytes))
            .filter(|&end| end <= image_bytes);
        let (Some(bytes), Some(_)) = (bytes, end) else {
            return Err(broken(format!(
                "section {name} does not lie inside the image"
            )));
        };
        if !u64::from(rva).is_multiple_of(PAGE_BYTES) {
            return Err(broken(format!("section {name} does not begin with a page")));
        }
        if sections
            .last()
            .is_some_and(|last| rva < last.rva + last.bytes)
        {
            return Err(broken(format!("section {name} overlaps the one before it")));
        }
        let (file_offset, in_file) = (file_offset as usize, in_file.min(bytes) as usize);
        if file_offset
            .checked_add(in_file)
            .is_none_or(|end| end > file_bytes)
        {
            return Err(broken(format!(
                "section {name} goes on past the end of the file"
            )));
        }
        let flags = header.characteristics.get(LE);
        let discardable = flags & pe::IMAGE_SCN_MEM_DISCARDABLE != 0;
        sections.push(Section {
            rva,
            bytes,
            file_offset,
            file_bytes: in_file,
            access: access(flags),
            discardable,
        });
    }
    Ok(sections)
}

/// What a section's flags allow. What can be written or executed can be read: pages know no less.
fn access(flags: u32) -> Access {
    let has = |flag: u32| flags & flag != 0;
    match (has(pe::IMAGE_SCN_MEM_WRITE), has(pe::IMAGE_SCN_MEM_EXECUTE)) {
        (true, true) => Access::ReadWriteExecute,
        (true, false) => Access::ReadWrite,
        (false, true) => Access::ReadExecute,
        (false, false) if has(pe::IMAGE_SCN_MEM_READ) => Access::Read,
        (false, false) => Access::None,
    }
}
