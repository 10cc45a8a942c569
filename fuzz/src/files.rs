//! One input read as a folder: a main file, then others, each behind a line `=== NAME`.

use std::collections::BTreeMap;

use pgseal_conf::ByteString;

/// The files beside the main one, by path.
pub type Beside = BTreeMap<ByteString, Vec<u8>>;

/// The main file, and the others as they lie in `folder`. A later file of the same name is the one that counts.
pub fn in_folder(folder: &str, input: &[u8]) -> (Vec<u8>, Beside) {
    let mut main = Vec::new();
    let mut beside = Beside::new();
    let mut current: Option<ByteString> = None;
    for line in input.split_inclusive(|byte| *byte == b'\n') {
        if let Some(name) = line.strip_prefix(b"=== ") {
            let path = [folder.as_bytes(), b"/", name.trim_ascii_end()].concat();
            beside.insert(path.as_slice().into(), Vec::new());
            current = Some(path.into());
            continue;
        }
        match current.as_ref().and_then(|path| beside.get_mut(path)) {
            Some(file) => file.extend_from_slice(line),
            None => main.extend_from_slice(line),
        }
    }
    (main, beside)
}
