//! The compiler, the linker and the libraries that the image is built with.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, packages};

/// The target of the image.
pub(crate) const TARGET: &str = "x86_64-pc-windows-msvc";

/// What the image needs besides a compiler: the linker, libclang for bindgen, both of the newest LLVM that the distribution has, and
/// mingw-w64's headers.
const LINKER: [&str; 4] = [
    "lld-*",
    "libclang1-*",
    "libclang-common-*-dev",
    "mingw-w64-common",
];

/// The same with a compiler, its library source, clippy and rustdoc.
const COMPILER: [&str; 7] = [
    "rustc-web",
    "rust-web-src",
    "rust-web-clippy",
    "lld-*",
    "libclang1-*",
    "libclang-common-*-dev",
    "mingw-w64-common",
];

/// The tools on this machine.
pub(crate) struct Toolchain {
    /// Where the packages are unpacked.
    root: PathBuf,
    /// LLVM's folder in it.
    llvm: PathBuf,
    compiler: Compiler,
}

enum Compiler {
    /// The compiler on PATH has the target's library.
    Installed,
    /// Debian's compiler, which builds the target's library from its source.
    Unpacked,
}

impl Toolchain {
    /// Prefers the compiler on PATH where the target is installed for it; fetches what is missing.
    pub(crate) fn set_up() -> Result<Self, Error> {
        let (root, compiler) = if target_is_installed() {
            (packages::unpacked("linker", &LINKER)?, Compiler::Installed)
        } else {
            let root = packages::unpacked("compiler", &COMPILER)?;
            (root, Compiler::Unpacked)
        };
        Ok(Self {
            llvm: llvm(&root, "lld-link")?,
            root,
            compiler,
        })
    }

    /// Where the packages are unpacked.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// lld, in the flavour that takes MSVC's arguments.
    pub(crate) fn linker(&self) -> PathBuf {
        self.llvm.join("bin/lld-link")
    }

    /// mingw-w64's headers.
    pub(crate) fn mingw_headers(&self) -> PathBuf {
        self.root.join("usr/share/mingw-w64/include")
    }

    /// The folder in which bindgen looks for libclang.
    pub(crate) fn libclang(&self) -> PathBuf {
        self.llvm.join("lib")
    }

    /// A program of these packages, as a command that finds their shared libraries.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("LD_LIBRARY_PATH", self.libraries());
        command
    }

    /// Gives cargo these tools.
    pub(crate) fn equip(&self, cargo: &mut Command) {
        cargo
            .env("LD_LIBRARY_PATH", self.libraries())
            .env("LIBCLANG_PATH", self.libclang())
            .env("CARGO_TARGET_X86_64_PC_WINDOWS_MSVC_LINKER", self.linker());
        if let Compiler::Unpacked = self.compiler {
            let programs = self.root.join("usr/bin");
            cargo
                .env("RUSTC", programs.join("rustc"))
                .env("RUSTDOC", programs.join("rustdoc"))
                .env("RUSTC_BOOTSTRAP", "1")
                .arg("-Zbuild-std=core,alloc");
        }
    }

    /// Has `cargo check` run clippy, warnings denied.
    pub(crate) fn lint(&self, command: &mut Command) {
        command
            .env("RUSTC_WORKSPACE_WRAPPER", self.clippy_driver())
            // How `cargo clippy -- -D warnings` reaches clippy's driver.
            .env("CLIPPY_ARGS", "-Dwarnings__CLIPPY_HACKERY__");
    }

    /// The driver of clippy that belongs to the compiler.
    fn clippy_driver(&self) -> PathBuf {
        match self.compiler {
            Compiler::Installed => "clippy-driver".into(),
            Compiler::Unpacked => self.root.join("usr/bin/clippy-driver"),
        }
    }

    fn libraries(&self) -> PathBuf {
        self.root.join("usr/lib/x86_64-linux-gnu")
    }
}

/// The folder of the LLVM that has this program, `usr/lib/llvm-22`. A compiler may have brought the libraries of another.
pub(crate) fn llvm(root: &Path, program: &str) -> Result<PathBuf, Error> {
    let folder = root.join("usr/lib");
    let entries = std::fs::read_dir(&folder).map_err(Error::file("list", &folder))?;
    let mut found = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let place = Path::new("bin").join(program);
    let has_it = |folder: &PathBuf| folder.join(&place).exists();
    found.find(has_it).ok_or_else(|| {
        let absent = std::io::ErrorKind::NotFound.into();
        Error::file("find an LLVM with its programs below", &folder)(absent)
    })
}

/// Has the compiler on PATH a core library for the target?
fn target_is_installed() -> bool {
    let printed = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output();
    let Some(folder) = printed
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
    else {
        return false;
    };
    let entries = std::fs::read_dir(folder.trim())
        .into_iter()
        .flatten()
        .flatten();
    entries
        .into_iter()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
}
