//! QEMU for a PC, from Debian's package.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::unpacked;
use crate::{Error, files};

/// The program.
const PROGRAM: &str = "qemu-system-x86_64";

/// QEMU, fetched and unpacked like any package: a script that starts it with its own libraries, modules and firmware.
pub fn qemu() -> Result<PathBuf, Error> {
    let root = unpacked("qemu", &["qemu-system-x86"])?;
    let launcher = root.join(PROGRAM);
    let script = script(&root);
    if fs::read_to_string(&launcher).is_ok_and(|present| present == script) {
        return Ok(launcher);
    }
    // Renamed when it is complete: another process may be about to start it.
    let unfinished = root.join(format!("{PROGRAM}.{}", std::process::id()));
    files::write_changed(&unfinished, &script)?;
    fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o755))
        .map_err(Error::file("make executable", &unfinished))?;
    fs::rename(&unfinished, &launcher).map_err(Error::file("put in place", &launcher))?;
    Ok(launcher)
}

fn script(root: &Path) -> String {
    let root = files::quoted(root);
    format!(
        "#!/bin/sh\n\
         # Starts QEMU with the libraries, modules and firmware that were unpacked with it.\n\
         root={root}\n\
         libraries=$root/usr/lib/x86_64-linux-gnu\n\
         export LD_LIBRARY_PATH=\"$libraries:$root/lib/x86_64-linux-gnu:$libraries/pulseaudio${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\"\n\
         export QEMU_MODULE_DIR=\"$libraries/qemu\"\n\
         exec \"$root/usr/bin/{PROGRAM}\" -L \"$root/usr/share/qemu\" -L \"$root/usr/share/seabios\" \"$@\"\n"
    )
}
