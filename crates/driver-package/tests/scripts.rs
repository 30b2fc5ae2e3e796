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

/// The commands of a script in their order, each with the function, or the part of a `try`, that it stands in.
fn commands(script: &str) -> Vec<(String, String)> {
    let mut parser = Parser::new();
    parser
        .set_language(&tree_sitter_powershell::LANGUAGE.into())
        .unwrap();
    let tree = parser.parse(script, None).unwrap();
    let mut found = Vec::new();
    let mut waiting = vec![(tree.root_node(), String::new())];
    while let Some((node, place)) = waiting.pop() {
        let text = |node: Node| script[node.byte_range()].to_owned();
        let place = match node.kind() {
            "function_statement" => {
                let children =
                    (0..node.child_count()).filter_map(|at| node.child(at.try_into().ok()?));
                let name = children
                    .into_iter()
                    .find(|child| child.kind() == "function_name");
                text(name.unwrap())
            }
            "try_statement" => "try".to_owned(),
            "catch_clause" => "catch".to_owned(),
            _ => place,
        };
        if node.kind() == "command_name" {
            found.push((node.start_byte(), place.clone(), text(node)));
        }
        let children = (0..node.child_count()).filter_map(|at| node.child(at.try_into().ok()?));
        waiting.extend(children.map(|child| (child, place.clone())));
    }
    found.sort();
    let commands = found.into_iter();
    commands.map(|(_, place, name)| (place, name)).collect()
}

/// The command in each of these places, once, and in this order among all commands.
fn assert_order(commands: &[(String, String)], order: &[(&str, &str)]) {
    let positions: Vec<usize> = order
        .iter()
        .map(|(place, name)| {
            let mut own = (0..commands.len()).filter(|at| commands[*at].1 == *name);
            let at = own
                .next()
                .unwrap_or_else(|| panic!("{name}: {commands:#?}"));
            assert_eq!(
                (commands[at].0.as_str(), own.next()),
                (*place, None),
                "{name}"
            );
            at
        })
        .collect();
    assert!(positions.is_sorted(), "{order:?}: {positions:?}");
}

fn script(name: &str) -> String {
    let path = scripts().into_iter().find(|path| path.ends_with(name));
    fs::read_to_string(path.unwrap()).unwrap()
}

/// The package and its signer are checked before anything is changed, and what fails then is taken back.
#[test]
fn install_checks_before_it_trusts_and_takes_back_what_fails() {
    let commands = commands(&script("install.ps1"));
    let order = [
        ("", "Assert-Package"),
        ("try", "Add-Trust"),
        ("catch", "Undo-Installation"),
    ];
    assert_order(&commands, &order);
    // What is trusted is noted first: whatever happens then, remove.ps1 knows of it.
    let order = [
        ("Add-Trust", "New-ItemProperty"),
        ("Add-Trust", "Import-Certificate"),
    ];
    assert_order(&commands, &order);
    assert_order(
        &commands,
        &[("Assert-Package", "Get-AuthenticodeSignature")],
    );
    assert_order(&commands, &[("Undo-Installation", "Remove-Item")]);
}

/// Both scripts name the same place for what was trusted.
#[test]
fn remove_knows_what_install_has_noted() {
    let note = |name: &str| {
        let script = script(name);
        let line = script.lines().find(|line| line.starts_with("$Trusted = "));
        line.unwrap().to_owned()
    };
    assert_eq!(note("install.ps1"), note("remove.ps1"));
    let commands = commands(&script("remove.ps1"));
    let certificates = commands
        .iter()
        .filter(|(_, name)| name == "Get-TrustedCertificate");
    assert_eq!(
        certificates.count(),
        2,
        "to remove them, and to see what is left"
    );
}

fn scripts() -> Vec<PathBuf> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
    let folder = Path::new(&package).join("../../scripts");
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
