//! The contents of an image as they are in memory: laid out, relocated and bound.

use object::LittleEndian as LE;
use object::pe::{self, ImageImportDescriptor, ImageLoadConfigDirectory64, ImageNtHeaders64};
use object::read::pe::{Import, ImportTable, RelocationBlockIterator};

use super::headers::{Directory, Headers, broken};
use super::{ImageError, Resolve};

/// A driver imports a few dozen functions; a damaged import table has no end.
const MAXIMUM_IMPORTS: usize = 1 << 14;

/// The value that a compiler gives the cookie of stack checks. The loader has to replace it: drivers stop where they
/// find it unchanged.
const DEFAULT_COOKIE: u64 = 0x0000_2B99_2DDF_A232;

/// The cookie of stack checks here. Like a true one it has no more than 48 bits; unlike one it is the same in each run.
const COOKIE: u64 = 0x0000_5EED_0F5A_FE5A;

/// The bytes of an image, from its base on.
pub(super) struct Contents {
    bytes: Vec<u8>,
}

impl Contents {
    /// Lays `file` out in memory.
    pub(super) fn lay_out(file: &[u8], headers: &Headers) -> Result<Self, ImageError> {
        let mut contents = Self {
            bytes: vec![0; headers.image_bytes],
        };
        contents.put(0, file.get(..headers.header_bytes).unwrap_or_default())?;
        for section in &headers.sections {
            let raw = file
                .get(section.file_offset..section.file_offset + section.file_bytes)
                .unwrap_or_default();
            contents.put(section.rva, raw)?;
        }
        Ok(contents)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adjusts the addresses in the image to `base`.
    pub(super) fn relocate(&mut self, headers: &Headers, base: u64) -> Result<(), ImageError> {
        let distance = base.wrapping_sub(headers.preferred_base);
        let Some(directory) = headers.relocations else {
            return Ok(());
        };
        let mut places = Vec::new();
        let mut blocks = RelocationBlockIterator::new(self.table(directory, "relocations")?);
        while let Some(block) = blocks
            .next()
            .map_err(|_| broken("its relocations are cut off"))?
        {
            for relocation in block {
                match relocation.typ {
                    pe::IMAGE_REL_BASED_ABSOLUTE => {}
                    pe::IMAGE_REL_BASED_DIR64 => places.push(relocation.virtual_address),
                    other => {
                        return Err(broken(format!("it has a relocation of type {other}")));
                    }
                }
            }
        }
        for place in places {
            let address = self.read_u64(place)?;
            self.put(place, &address.wrapping_add(distance).to_le_bytes())?;
        }
        Ok(())
    }

    /// Writes the address of every import into its place.
    pub(super) fn bind(
        &mut self,
        headers: &Headers,
        resolve: Resolve<'_>,
    ) -> Result<(), ImageError> {
        let Some(directory) = headers.imports else {
            return Ok(());
        };
        let (mut addresses, mut unknown) = (Vec::new(), Vec::new());
        self.for_each_import(directory, |place, library, name| {
            if let Some(address) = resolve(library, name) {
                addresses.push((place, address.expose_provenance() as u64));
            } else if unknown.len() < MAXIMUM_IMPORTS {
                unknown.push(format!("{library}!{name}"));
            }
        })?;
        if !unknown.is_empty() {
            unknown.sort();
            unknown.dedup();
            return Err(ImageError::UnknownImports(unknown));
        }
        for (place, address) in addresses {
            self.put(place, &address.to_le_bytes())?;
        }
        Ok(())
    }

    /// Calls `each` with the place, library and name of every import. An import by number has the name `#number`.
    fn for_each_import(
        &self,
        directory: Directory,
        mut each: impl FnMut(u32, &str, &str),
    ) -> Result<(), ImageError> {
        let damaged = |_| broken("its import table is cut off");
        let table = ImportTable::new(&self.bytes, 0, directory.rva);
        let mut libraries = table.descriptors().map_err(damaged)?;
        let mut left = MAXIMUM_IMPORTS;
        while let Some(library) = libraries.next().map_err(damaged)? {
            let library_name = table
                .name(library.name.get(LE))
                .map_err(damaged)?
                .escape_ascii()
                .to_string();
            let mut thunks = table.thunks(names_of(library)).map_err(damaged)?;
            let mut place = library.first_thunk.get(LE);
            while let Some(thunk) = thunks.next::<ImageNtHeaders64>().map_err(damaged)? {
                let name = match table.import::<ImageNtHeaders64>(thunk).map_err(damaged)? {
                    Import::Name(_, name) => name.escape_ascii().to_string(),
                    Import::Ordinal(number) => format!("#{number}"),
                };
                each(place, &library_name, &name);
                place = place
                    .checked_add(8)
                    .ok_or_else(|| broken("its import table has no end"))?;
                left = left
                    .checked_sub(1)
                    .ok_or_else(|| broken("its import table has no end"))?;
            }
        }
        Ok(())
    }

    /// Replaces the cookie of the compiler's stack checks, in an image relocated to `base`.
    pub(super) fn set_cookie(&mut self, headers: &Headers, base: u64) -> Result<(), ImageError> {
        let Some(directory) = headers.load_configuration else {
            return Ok(());
        };
        let place = directory
            .rva
            .saturating_add(
                std::mem::offset_of!(ImageLoadConfigDirectory64, security_cookie) as u32,
            );
        let end = place.saturating_add(8);
        let declared = directory.rva.saturating_add(self.read_u32(directory.rva)?);
        let address = if end <= declared {
            self.read_u64(place)?
        } else {
            0
        };
        let Some(cookie) = address
            .checked_sub(base)
            .and_then(|rva| u32::try_from(rva).ok())
        else {
            return Ok(());
        };
        if self.read_u64(cookie)? == DEFAULT_COOKIE {
            self.put(cookie, &COOKIE.to_le_bytes())?;
        }
        Ok(())
    }

    fn table(&self, directory: Directory, what: &str) -> Result<&[u8], ImageError> {
        let start = directory.rva as usize;
        let table = self
            .bytes
            .get(start..start.saturating_add(directory.bytes as usize));
        table.ok_or_else(|| broken(format!("its {what} do not lie inside the image")))
    }

    fn read_u32(&self, rva: u32) -> Result<u32, ImageError> {
        Ok(u32::from_le_bytes(self.get(rva)?))
    }

    fn read_u64(&self, rva: u32) -> Result<u64, ImageError> {
        Ok(u64::from_le_bytes(self.get(rva)?))
    }

    fn get<const N: usize>(&self, rva: u32) -> Result<[u8; N], ImageError> {
        let found = self.bytes.get(rva as usize..).and_then(<[u8]>::first_chunk);
        found
            .copied()
            .ok_or_else(|| broken(format!("it refers to {rva:#x}, outside of itself")))
    }

    fn put(&mut self, rva: u32, data: &[u8]) -> Result<(), ImageError> {
        let start = rva as usize;
        let place = self.bytes.get_mut(start..start.saturating_add(data.len()));
        let place =
            place.ok_or_else(|| broken(format!("it refers to {rva:#x}, outside of itself")))?;
        place.copy_from_slice(data);
        Ok(())
    }
}

/// Where the names of a library's imports lie: some linkers write them only to where the addresses go.
fn names_of(library: &ImageImportDescriptor) -> u32 {
    match library.original_first_thunk.get(LE) {
        0 => library.first_thunk.get(LE),
        names => names,
    }
}
