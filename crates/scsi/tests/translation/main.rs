//! The translation from the outside: CDBs written byte by byte from SPC-4 and SBC-3, what they become, and what comes back.

mod block_io;
mod capacity;
mod disk;
mod inquiry;
mod mode;
mod random;
mod refused;
mod status;
mod truncation;
mod vpd;
