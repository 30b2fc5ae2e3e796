//! The checkout that a program works on.
//!
//! A checkout can be moved or copied together with its `target` folder, and cargo builds nothing anew for it: a path that was compiled
//! in is that of the first place, so that a copy would build and test the first one's driver. The place is looked for at run time.

use std::path::{Path, PathBuf};

use crate::{Error, files};

/// The checkout that this program is of: above its executable, or, if the `target` folder is elsewhere, above the package that cargo
/// runs, or the one that it was built from.
pub fn workspace() -> Result<PathBuf, Error> {
    let executable = std::env::current_exe().ok();
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let found = find(
        executable.as_deref(),
        package.as_deref(),
        Path::new(env!("CARGO_MANIFEST_DIR")),
    )?;
    if files::is_plain(&found) {
        Ok(found)
    } else {
        Err(Error::CheckoutName(found))
    }
}

fn find(executable: Option<&Path>, package: Option<&Path>, built: &Path) -> Result<PathBuf, Error> {
    match (executable.and_then(above), package.and_then(above)) {
        (Some(program), Some(cargo)) if program != cargo => {
            Err(Error::TwoCheckouts { program, cargo })
        }
        (Some(found), _) | (None, Some(found)) => Ok(found),
        (None, None) => above(built).ok_or_else(|| Error::NoCheckout(built.to_owned())),
    }
}

/// The nearest folder above `path` that is a checkout.
fn above(path: &Path) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    let found = path.ancestors().find(|folder| is_checkout(folder));
    found.map(Path::to_owned)
}

fn is_checkout(folder: &Path) -> bool {
    [
        "Cargo.toml",
        "Cargo.lock",
        "wdk-linux/Cargo.toml",
        "driver/lib.rs",
    ]
    .iter()
    .all(|file| folder.join(file).is_file())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    /// A folder with two checkouts, `first` and `copy`, and a folder that is none, `other`; each has a program in its `target`.
    fn places() -> (TempDir, impl Fn(&str) -> PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().canonicalize().unwrap();
        for name in ["first", "copy", "other"] {
            let files = ["wdk-linux/Cargo.toml", "target/debug/program", "Cargo.toml"];
            for file in files.iter().chain(&["Cargo.lock", "driver/lib.rs"]) {
                if name == "other" && !file.contains("target") {
                    continue;
                }
                let file = place.join(name).join(file);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, "").unwrap();
            }
        }
        (folder, move |name: &str| place.join(name))
    }

    #[test]
    fn a_copy_with_its_target_folder_is_its_own_checkout() {
        let (_folder, place) = places();
        let built = place("first/wdk-linux");
        let program = place("copy/target/debug/program");
        let package = place("copy/wdk-linux");
        let copy = place("copy");
        assert_eq!(find(Some(&program), None, &built).unwrap(), copy);
        assert_eq!(find(Some(&program), Some(&package), &built).unwrap(), copy);
        // The checkout that it was built in is gone.
        let gone = place("gone/wdk-linux");
        assert_eq!(find(Some(&program), None, &gone).unwrap(), copy);
    }

    #[test]
    fn a_target_folder_elsewhere_belongs_to_what_cargo_runs_or_built() {
        let (_folder, place) = places();
        let built = place("first/wdk-linux");
        let program = place("other/target/debug/program");
        let package = place("copy/wdk-linux");
        let found = find(Some(&program), Some(&package), &built).unwrap();
        assert_eq!(found, place("copy"));
        // cargo runs a package of another workspace.
        let foreign = place("other");
        let found = find(Some(&program), Some(&foreign), &built).unwrap();
        assert_eq!(found, place("first"));
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        let (_folder, place) = places();
        let line = |result: Result<PathBuf, Error>| result.unwrap_err().to_string();
        let (first, copy) = (place("first"), place("copy"));
        let found = find(
            Some(&first.join("target/debug/program")),
            Some(&copy),
            &first,
        );
        let text = line(found);
        assert!(
            text.contains(&format!("is of {}", first.display())),
            "{text}"
        );
        assert!(text.contains(&copy.display().to_string()), "{text}");
        let text = line(find(None, None, &place("gone/wdk-linux")));
        assert!(text.contains("gone/wdk-linux"), "{text}");
    }
}
