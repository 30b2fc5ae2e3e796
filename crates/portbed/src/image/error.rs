//! Why an image cannot be loaded.

use std::io;

/// Why an image cannot be loaded: one line, without the path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// The file is no PE image.
    #[error("is not a PE image: a driver for 64-bit Windows was expected")]
    NotPe,
    /// The image is for another processor.
    #[error("is built for {0}: only x64 images can run here")]
    Machine(String),
    /// The image is not a kernel-mode one.
    #[error("is {0}, not a kernel-mode driver (subsystem native)")]
    Subsystem(String),
    /// Nothing here implements these imports, each `library!name`.
    #[error("imports what is not implemented: {}", .0.join(", "))]
    UnknownImports(Vec<String>),
    /// The headers contradict themselves or the file.
    #[error("is a damaged PE image: {0}")]
    Broken(String),
    /// This process has no room for the image.
    #[error("cannot be mapped: {0}")]
    Unmappable(io::Error),
}
