//! wdk-build on a host that is not Windows.
//!
//! wdk-build, the build helper under wdk-sys, refuses other hosts in a few places. Each build edits a copy of its sources, and a
//! wrapper round the compiler swaps the copy in; manifests and lock file stay as they are, and a build on Windows is all upstream.
//! Every edit asserts that it found its place, so a new version that moves one fails at once. windows-future, which wdk-build's
//! Windows dependencies drag in and nothing uses here, does not compile off Windows either: the wrapper compiles an empty file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::toolchain::TARGET;
use crate::{Error, files};

/// The folders of this machine whose names do not get into the image and its debug information.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The checkout.
    pub(crate) workspace: PathBuf,
    /// Where cargo has the sources of crates.
    pub(crate) cargo: PathBuf,
    /// Where packages are unpacked, the library of the compiler among them.
    pub(crate) packages: PathBuf,
}

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
pub(crate) fn write(upstream: &Path, folder: &Path, places: &Places) -> Result<PathBuf, Error> {
    let port = folder.join("wdk-build");
    copy_edited(upstream, &port, upstream)?;
    let empty = folder.join("empty.rs");
    files::write_changed(&empty, "")?;
    let wrapper = folder.join("rustc-wrapper");
    files::write_changed(
        &wrapper,
        &wrapper_script(&port.join("lib.rs"), &empty, places),
    )?;
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
///
/// It also keeps the folders of this machine out of what is compiled for the image, so that the image is the same for every builder:
/// paths are remapped, and the arguments of the workspace's own crates, which debug information quotes, become relative.
fn wrapper_script(port: &Path, empty: &Path, places: &Places) -> String {
    format!(
        r#"#!/bin/sh
# Compiles wdk-build from its host port, windows-future from nothing, and the image without the names of folders of this machine.
workspace={workspace} cargo={cargo} packages={packages}
compiler=$1
shift
crate=none source=none remap=
case " $* " in
*" --crate-name wdk_build "*) crate=wdk-build source={port} ;;
*" --crate-name windows_future "*) crate=windows-future source={empty} ;;
*" --target {TARGET} "*) remap=--remap-path-prefix ;;
*) exec "$compiler" "$@" ;;
esac
left=$#
while [ "$left" -gt 0 ]; do
    argument=$1
    shift
    case $argument in
    */"$crate"-*/src/lib.rs) argument=$source ;;
    *"$workspace"/*) [ "$PWD" = "$workspace" ] && argument=${{argument%%"$workspace"/*}}${{argument#*"$workspace"/}} ;;
    esac
    set -- "$@" "$argument"
    left=$((left - 1))
done
[ -z "$remap" ] || set -- "$@" "$remap=$cargo=cargo" "$remap=$packages=packages" "$remap=$workspace=."
exec "$compiler" "$@"
"#,
        port = files::quoted(port),
        empty = files::quoted(empty),
        workspace = files::quoted(&places.workspace),
        cargo = files::quoted(&places.cargo),
        packages = files::quoted(&places.packages),
    )
}

/// Writes the linker wrapper into `folder` and returns it: the names of the compiler's temporary objects, which a PDB quotes,
/// differ from one run to the next, so they are linked under names of their own. A PDB quotes the linker's own name as well.
pub(crate) fn write_linker(linker: &Path, folder: &Path) -> Result<PathBuf, Error> {
    let wrapper = folder.join("linker");
    files::write_changed(&wrapper, &linker_script(linker))?;
    make_executable(&wrapper)?;
    Ok(wrapper)
}

fn linker_script(linker: &Path) -> String {
    format!(
        r#"#!/bin/bash
# Links the compiler's temporary files under stable names, and without the name of the folder that the linker is in.
set -e
objects=target/driver/objects
mkdir -p "$objects"
left=$#
while [ "$left" -gt 0 ]; do
    argument=$1
    shift
    case $argument in
    */rustc??????/*)
        # An object, or `/DEF:` with a module definition file.
        place=$argument option=
        case $argument in /DEF:*) place=${{argument#/DEF:}} option=/DEF: ;; esac
        cp "$place" "$objects/${{place##*/}}"
        argument=$option$objects/${{place##*/}}
        ;;
    esac
    set -- "$@" "$argument"
    left=$((left - 1))
done
exec -a lld-link {linker} "$@"
"#,
        linker = files::quoted(linker),
    )
}

fn make_executable(path: &Path) -> Result<(), Error> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .map_err(Error::file("make executable", path))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const EDIT: Edit = Edit {
        file: "a.rs",
        from: "use windows",
        until: "\nfn",
        instead: "// nothing",
        times: 2,
    };

    fn places(workspace: &Path) -> Places {
        Places {
            workspace: workspace.to_owned(),
            cargo: "/home/a b/.cargo".into(),
            packages: "/cache".into(),
        }
    }

    fn once_edited(text: &str) -> Result<String, Error> {
        edited(text, &EDIT, Path::new("a.rs"))
    }

    #[test]
    fn an_edit_replaces_each_of_its_places_and_keeps_the_rest() {
        let text = "before\nuse windows::A;\nfn a() {}\nuse windows::B;\nfn b() {}\n";
        let expected = "before\n// nothing\nfn a() {}\n// nothing\nfn b() {}\n";
        assert_eq!(once_edited(text).ok().as_deref(), Some(expected));
    }

    #[test]
    fn an_edit_fails_where_its_place_occurs_too_rarely_or_too_often_or_does_not_end() {
        for (text, occurs) in [
            ("fn main() {}", 0),
            ("use windows::A;\nfn a() {}", 1),
            (
                "use windows;\nfn a() {}\nuse windows;\nfn b() {}\nuse windows;\nfn c() {}",
                3,
            ),
            ("use windows::A;\nfn a() {}\nuse windows::B;", 1),
        ] {
            let line = once_edited(text).map_err(|error| error.to_string());
            assert_eq!(
                line,
                Err(format!(
                    "the host port of wdk-build does not fit a.rs: `use windows` occurs {occurs} times instead of 2"
                ))
            );
        }
    }

    /// What the edits look for in wdk-build, with the carriage returns that it is published with.
    fn upstream(folder: &Path) {
        let utils = "use windows::{\n    Win32::{HKEY, RegOpenKeyExA},\n};\nuse crate::{Version};\n\
            fn set() {\n    compile_error!(\n        \"not here\"\n    );\n}\n\
            fn remove() {\n    compile_error!(\"nor here\");\n}\n\
            fn read_registry_key_string_value(key: HKEY) -> Option<String> {\n    RegOpenKeyExA(key)\n}\n\
            /// Detects the Windows SDK version\nfn version() {}\n";
        let cargo_make = "fn a() { std::os::windows::fs::symlink_file(b, c) }\n\
            fn d() { std::os::windows::fs::symlink_file(e, f) }\n";
        for (file, text) in [
            ("utils.rs", utils),
            ("cargo_make.rs", cargo_make),
            ("metadata/mod.rs", "use windows_metadata::A;\n"),
        ] {
            files::write_changed(&folder.join(file), &text.replace('\n', "\r\n")).unwrap();
        }
    }

    #[test]
    fn the_port_is_the_whole_crate_without_what_only_windows_has() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        upstream(&from);
        write(&from, &to, &places(folder.path())).unwrap();
        let port = |file| files::read(&to.join("wdk-build").join(file)).unwrap();
        for left in ["use windows::", "compile_error!", "HKEY)", "RegOpen", "\r"] {
            assert!(!port("utils.rs").contains(left), "{left}");
        }
        assert!(port("utils.rs").contains("use crate::{Version};\nfn set() {\n"));
        assert!(
            port("utils.rs").ends_with("/// Detects the Windows SDK version\nfn version() {}\n")
        );
        assert_eq!(
            port("cargo_make.rs"),
            "fn a() { std::os::unix::fs::symlink(b, c) }\nfn d() { std::os::unix::fs::symlink(e, f) }\n"
        );
        assert_eq!(port("metadata/mod.rs"), "use windows_metadata::A;\n");
    }

    #[test]
    fn a_version_that_moved_a_place_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        upstream(&from);
        fs::write(
            from.join("cargo_make.rs"),
            "use std::os::windows::fs::symlink_file;\n",
        )
        .unwrap();
        let line = write(&from, &folder.path().join("to"), &places(folder.path()))
            .unwrap_err()
            .to_string();
        assert!(
            line.contains("cargo_make.rs") && line.contains("0 times instead of 2"),
            "{line}"
        );
    }

    #[test]
    fn the_wrapper_swaps_the_sources_of_two_crates_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("it's to"));
        upstream(&from);
        let wrapper = write(&from, &to, &places(folder.path())).unwrap();
        // A compiler that prints its arguments, one a line.
        let arguments = |crate_name, source| {
            let output = Command::new(&wrapper)
                .args([
                    "printf",
                    "%s\\n",
                    "--crate-name",
                    crate_name,
                    "--cfg",
                    r#"feature="a b""#,
                    source,
                ])
                .output()
                .unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let expected = |crate_name, source: &str| {
            format!("--crate-name\n{crate_name}\n--cfg\nfeature=\"a b\"\n{source}\n")
        };
        let port = to.join("wdk-build/lib.rs").display().to_string();
        let empty = to.join("empty.rs").display().to_string();
        for (crate_name, source, compiled) in [
            (
                "wdk_build",
                "/registry/wdk-build-0.6.0/src/lib.rs",
                port.as_str(),
            ),
            (
                "windows_future",
                "/registry/windows-future-0.3.2/src/lib.rs",
                &empty,
            ),
            (
                "wdk_sys",
                "/registry/wdk-sys-0.5.2/src/lib.rs",
                "/registry/wdk-sys-0.5.2/src/lib.rs",
            ),
        ] {
            assert_eq!(
                arguments(crate_name, source),
                expected(crate_name, compiled)
            );
        }
    }

    #[test]
    fn the_wrapper_keeps_the_folder_out_of_what_is_compiled_for_the_image() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = folder.path().canonicalize().unwrap();
        upstream(&workspace.join("from"));
        let to = workspace.join("to");
        let wrapper = write(&workspace.join("from"), &to, &places(&workspace)).unwrap();
        let out = workspace.join("target/deps").display().to_string();
        let output = Command::new(&wrapper)
            .args(["printf", "%s\\n", "--target", TARGET])
            .args([
                "driver/lib.rs",
                "--out-dir",
                &out,
                &format!("dependency={out}"),
            ])
            .current_dir(&workspace)
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            format!(
                "--target\n{TARGET}\ndriver/lib.rs\n--out-dir\ntarget/deps\ndependency=target/deps\n\
                 --remap-path-prefix=/home/a b/.cargo=cargo\n--remap-path-prefix=/cache=packages\n--remap-path-prefix={}=.\n",
                workspace.display()
            )
        );
    }

    #[test]
    fn the_linker_gets_temporary_objects_under_stable_names() {
        let folder = tempfile::tempdir().unwrap();
        let temporary = folder.path().join("rustcAb12Cd");
        fs::create_dir(&temporary).unwrap();
        let object = temporary.join("symbols.o");
        fs::write(&object, "object").unwrap();
        let exports = temporary.join("lib.def");
        fs::write(&exports, "EXPORTS").unwrap();
        let linker = write_linker(Path::new("/usr/bin/printf"), folder.path()).unwrap();
        let output = Command::new(linker)
            .arg("%s\\n")
            .arg(&object)
            .arg(format!("/DEF:{}", exports.display()))
            .arg("/OUT:a.dll")
            .current_dir(folder.path())
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            printed,
            "target/driver/objects/symbols.o\n/DEF:target/driver/objects/lib.def\n/OUT:a.dll\n"
        );
        let copy = folder.path().join("target/driver/objects/symbols.o");
        assert_eq!(fs::read_to_string(copy).unwrap(), "object");
    }
}
