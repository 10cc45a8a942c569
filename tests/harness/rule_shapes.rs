//! pg_hba.conf files as people write them: tests/fixtures/hba/NAME.conf, and in a directory NAME beside it what the file
//! mentions. Knows where they lie, not what is right or wrong with them.

use std::fs;
use std::path::Path;

use super::install::project;
use super::rule_scribe::MAIN;
use super::tree::Tree;

/// Every shape, by its name, in the order of the names.
pub(crate) fn shapes() -> Vec<(String, Tree)> {
    let dir = project().join("tests/fixtures/hba");
    let mut shapes: Vec<(String, Tree)> = entries(&dir)
        .into_iter()
        .filter_map(|name| Some((name.strip_suffix(".conf")?.to_owned(), shape(&dir, &name))))
        .collect();
    // The repository holds no carriage return.
    let windows = shapes.iter().find(|(name, _)| name == "private-networks").expect("there is that shape");
    let text = String::from_utf8_lossy(windows.1.main()).replace('\n', "\r\n");
    shapes.push(("windows-newlines".to_owned(), Tree::of(MAIN, text)));
    shapes
}

fn shape(dir: &Path, file: &str) -> Tree {
    let mut tree = Tree::of(MAIN, read(&dir.join(file)));
    let beside = dir.join(file.trim_end_matches(".conf"));
    if beside.is_dir() {
        for path in files_under(&beside, "") {
            let content = read(&beside.join(&path));
            tree = tree.with(&path, content);
        }
    }
    tree
}

fn files_under(dir: &Path, prefix: &str) -> Vec<String> {
    let found = entries(dir).into_iter().flat_map(|name| {
        let path = dir.join(&name);
        if path.is_dir() {
            files_under(&path, &format!("{prefix}{name}/"))
        } else {
            vec![format!("{prefix}{name}")]
        }
    });
    found.collect()
}

fn entries(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap_or_else(|e| panic!("could not list {}: {e}", dir.display()));
    let name =
        |entry: fs::DirEntry| entry.file_name().into_string().expect("the names of fixtures are UTF-8");
    let mut names: Vec<String> = entries.flatten().map(name).collect();
    names.sort();
    names
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|e| panic!("could not read {}: {e}", path.display()))
}
