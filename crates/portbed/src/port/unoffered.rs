//! Imports that Windows has and this test bed does not: they are bound all the same, because a miniport may never call
//! them. A call is told, and is the end of the run.

use std::ffi::c_void;
use std::io;
use std::sync::{Mutex, PoisonError};

use super::call::Call;
use crate::pages::{Access, PAGE_BYTES, Pages};
use crate::rules::port as rules;
use crate::schedule::irql::HIGH;

/// Bytes of the code that stands for an import.
const STUB_BYTES: u64 = 32;
/// How many imports can be bound in this way.
const MOST: usize = 1024;

/// The imports that were bound, and the code that stands for them.
struct Stubs {
    pages: Pages,
    names: Vec<String>,
}

static STUBS: Mutex<Option<Stubs>> = Mutex::new(None);

/// Code that stands for an import; none where there is no room for more.
pub(super) fn stand_in(library: &str, name: &str) -> Option<*const c_void> {
    let mut stubs = STUBS.lock().unwrap_or_else(PoisonError::into_inner);
    let name = format!("{library}!{name}");
    add(&mut stubs, name).ok()
}

fn add(stubs: &mut Option<Stubs>, name: String) -> io::Result<*const c_void> {
    let bytes = (MOST as u64 * STUB_BYTES).next_multiple_of(PAGE_BYTES);
    if stubs.is_none() {
        *stubs = Some(Stubs {
            pages: Pages::reserve(bytes)?,
            names: Vec::new(),
        });
    }
    let Some(Stubs { pages, names }) = stubs else {
        return Err(io::ErrorKind::OutOfMemory.into());
    };
    let known = names.iter().position(|known| *known == name);
    let index = known.unwrap_or(names.len());
    if index >= MOST {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    let offset = index as u64 * STUB_BYTES;
    if known.is_none() {
        pages.protect(0, bytes, Access::ReadWrite)?;
        pages.write(offset, &code(index as u64))?;
        pages.protect(0, bytes, Access::ReadExecute)?;
        names.push(name);
    }
    let address = pages.address() + offset;
    Ok(std::ptr::with_exposed_provenance(address as usize))
}

/// `mov rcx, index; mov rax, called; jmp rax`.
fn code(index: u64) -> Vec<u8> {
    let called = called as *const () as u64;
    let mut code = vec![0x48, 0xB9];
    code.extend(index.to_le_bytes());
    code.extend([0x48, 0xB8]);
    code.extend(called.to_le_bytes());
    code.extend([0xFF, 0xE0]);
    code
}

/// An import that is not offered is called.
extern "win64" fn called(index: u64) -> u64 {
    let call = Call::enter_without_adapter("an import that is not offered", HIGH);
    let name = {
        let stubs = STUBS.lock().unwrap_or_else(PoisonError::into_inner);
        let names = stubs.as_ref().map(|stubs| stubs.names.as_slice());
        names.and_then(|names| names.get(index as usize).cloned())
    };
    let name = name.unwrap_or_default();
    let function = name.rsplit('!').next().unwrap_or_default();
    let prohibited = wdk_linux::image_check::is_prohibited(function);
    call.cpu().check(&rules::CALL_PROHIBITED, !prohibited, || {
        format!("{name} is called")
    });
    call.cpu().give_up(format!(
        "{name} is called, which portbed does not implement"
    ))
}
