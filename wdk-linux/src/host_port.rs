//! wdk-build on a host that is not Windows.
//!
//! wdk-build, the build helper under wdk-sys, refuses other hosts in a few places. Each build edits a copy of its sources, and a
//! wrapper round the compiler swaps the copy in; manifests and lock file stay as they are, and a build on Windows is all upstream.
//! Every edit asserts that it found its place, so a new version that moves one fails at once. windows-future, which wdk-build's
//! Windows dependencies drag in and nothing uses here, does not compile off Windows either: the wrapper compiles an empty file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::{Error, files};

/// One change to a source file.
struct Edit {
    /// The file, in the crate's `src`.
    file: &'static str,
    /// Where the text to replace begins.
    from: &'static str,
    /// Where the text to keep begins again.
    until: &'static str,
    /// What stands there instead.
    instead: &'static str,
    /// How often it occurs.
    times: usize,
}

/// Off Windows there is no registry to look into, environment variables are set by no one here, and a link is a Unix link.
const EDITS: [Edit; 4] = [
    Edit {
        file: "utils.rs",
        from: "use windows::{",
        until: "use crate::{",
        instead: "const HKEY_LOCAL_MACHINE: () = ();\nmacro_rules! s { ($text:literal) => { $text } }\n\n",
        times: 1,
    },
    Edit {
        file: "utils.rs",
        from: "fn read_registry_key_string_value(",
        until: "/// Detects the Windows SDK version",
        instead: "fn read_registry_key_string_value(_: (), _: &str, _: &str) -> Option<String> {\n    None\n}\n\n",
        times: 1,
    },
    Edit {
        file: "utils.rs",
        from: "compile_error!(",
        until: "}\n",
        instead: "unimplemented!()\n",
        times: 2,
    },
    Edit {
        file: "cargo_make.rs",
        from: "std::os::windows::fs::symlink_file",
        until: "(",
        instead: "std::os::unix::fs::symlink",
        times: 2,
    },
];

/// Writes the edited sources and the compiler wrapper into `folder`; returns the wrapper.
pub(crate) fn write(upstream: &Path, folder: &Path) -> Result<PathBuf, Error> {
    let port = folder.join("wdk-build");
    copy_edited(upstream, &port, upstream)?;
    let empty = folder.join("empty.rs");
    files::write_changed(&empty, "")?;
    let wrapper = folder.join("rustc-wrapper");
    files::write_changed(&wrapper, &wrapper_script(&port.join("lib.rs"), &empty))?;
    make_executable(&wrapper)?;
    Ok(wrapper)
}

/// Copies the sources below `from`, the edits made.
fn copy_edited(from: &Path, to: &Path, upstream: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(from).map_err(Error::file("list", from))? {
        let entry = entry.map_err(Error::file("list", from))?;
        let (source, copy) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_edited(&source, &copy, upstream)?;
            continue;
        }
        let name = source.strip_prefix(upstream).unwrap_or(&source);
        // Published with carriage returns.
        let mut text = files::read(&source)?.replace("\r\n", "\n");
        for edit in EDITS.iter().filter(|edit| name == Path::new(edit.file)) {
            text = edited(&text, edit, &source)?;
        }
        files::write_changed(&copy, &text)?;
    }
    Ok(())
}

/// The text with one edit made at each of its places.
fn edited(text: &str, edit: &Edit, file: &Path) -> Result<String, Error> {
    let mut pieces = text.split(edit.from);
    let mut result = pieces.next().unwrap_or_default().to_owned();
    let mut found = 0;
    for piece in pieces {
        let Some(end) = piece.find(edit.until) else {
            break;
        };
        result += edit.instead;
        result += &piece[end..];
        found += 1;
    }
    if found == edit.times {
        Ok(result)
    } else {
        Err(Error::Port {
            file: file.to_owned(),
            place: edit.from,
            expected: edit.times,
            found,
        })
    }
}

/// A shell script that cargo calls with the compiler and its arguments.
fn wrapper_script(port: &Path, empty: &Path) -> String {
    format!(
        r#"#!/bin/sh
# Compiles wdk-build from its host port, and windows-future from nothing.
compiler=$1
shift
case " $* " in
*" --crate-name wdk_build "*) crate=wdk-build source={port} ;;
*" --crate-name windows_future "*) crate=windows-future source={empty} ;;
*) exec "$compiler" "$@" ;;
esac
left=$#
while [ "$left" -gt 0 ]; do
    argument=$1
    shift
    case $argument in
    */"$crate"-*/src/lib.rs) argument=$source ;;
    esac
    set -- "$@" "$argument"
    left=$((left - 1))
done
exec "$compiler" "$@"
"#,
        port = quoted(port),
        empty = quoted(empty),
    )
}

/// The path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

fn make_executable(path: &Path) -> Result<(), Error> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .map_err(Error::file("make executable", path))
}
