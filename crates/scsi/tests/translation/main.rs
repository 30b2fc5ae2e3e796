//! The translation from the outside: CDBs written byte by byte from SPC-4 and SBC-3, what they become, and what comes back.

mod access;
mod capacity;
mod diagnostic;
mod disk;
mod document;
mod inquiry;
mod log_sense;
mod mode;
mod mode_select;
mod operation_codes;
mod random;
mod ready;
mod refused;
mod request_sense;
mod status;
mod truncation;
mod unmap;
mod verify;
mod vpd;
mod write_same;
