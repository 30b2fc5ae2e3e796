//! The PowerShell scripts of the package are PowerShell, as a grammar of another author has it.

use std::path::{Path, PathBuf};
use std::{fs, iter};

use tree_sitter::{Node, Parser};

/// Where a script is no PowerShell: the lines, counted from 1.
fn faults(script: &str) -> Vec<usize> {
    let mut parser = Parser::new();
    parser
        .set_language(&tree_sitter_powershell::LANGUAGE.into())
        .unwrap();
    let tree = parser.parse(script, None).unwrap();
    let mut waiting: Vec<Node> = vec![tree.root_node()];
    let nodes = iter::from_fn(|| {
        let node = waiting.pop()?;
        let children =
            (0..node.child_count()).filter_map(|index| node.child(index.try_into().ok()?));
        waiting.extend(children);
        Some(node)
    });
    let mut lines: Vec<usize> = nodes
        .filter(|node| node.is_error() || node.is_missing())
        .map(|node| node.start_position().row + 1)
        .collect();
    lines.sort_unstable();
    lines
}

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts");
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "ps1"))
        .collect()
}

#[test]
fn the_scripts_are_powershell() {
    let scripts = scripts();
    assert!(scripts.len() >= 2, "install and remove: {scripts:?}");
    for path in scripts {
        let script = fs::read_to_string(&path).unwrap();
        assert_eq!(faults(&script), [0; 0], "{}", path.display());
    }
}

#[test]
fn what_is_no_powershell_is_told_by_its_line() {
    for path in scripts() {
        let script = fs::read_to_string(&path).unwrap();
        let broken = script.replacen("-Version Latest\n", "-Version Latest\n)\n", 1);
        let line = 1 + script[..script.find("-Version Latest").unwrap()]
            .matches('\n')
            .count();
        assert!(faults(&broken).contains(&(line + 1)), "{}", path.display());
    }
}
