//! A block that is put into a file and taken out again leaves every byte as it was, at either end, beside other blocks
//! and after it was exchanged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgseal_conf::block::{Block, BlockError, Place, find_all, insert, remove, replace};
use pgseal_fuzz::lossy_line;

/// A line that somebody adds later.
const BEHIND: &[u8] = b"port = 2\n";

// A note and a line for the block, then the file.
fuzz_target!(|input: &[u8]| {
    let (note, rest) = lossy_line(input);
    let (line, file) = lossy_line(rest);
    let Ok(block) = Block::new("7f3a", &note, ["ssl = on", &line, ""]) else {
        assert!(
            [&note, &line].iter().any(|text| text.contains(['\r', '\0'])
                || text.ends_with('\\')
                || text.contains("# pgseal "))
        );
        return;
    };
    for place in [Place::Top, Place::End] {
        match insert(file, place, &block) {
            Ok(with) => hold(file, &with, place, &block),
            Err(BlockError::AlreadyThere(id, _)) => {
                assert!(find_all(file).is_ok_and(|blocks| blocks.iter().any(|found| found.id == id)));
            }
            Err(BlockError::Unpaired { .. }) => assert!(find_all(file).is_err()),
            Err(BlockError::ContinuedLine) => assert!(place == Place::End && file.contains(&b'\\')),
            Err(error) => panic!("{error}"),
        }
    }
});

fn hold(file: &[u8], with: &[u8], place: Place, block: &Block) {
    let blocks = find_all(with).expect("a file with a block is read");
    let found = blocks.iter().find(|found| found.id == block.id()).expect("the block is there");
    let given: Vec<&[u8]> = block.lines().iter().map(String::as_bytes).collect();
    assert_eq!(found.lines, given);
    match place {
        Place::Top => assert!(found.range.start == 0 && found.line == 1 && with.ends_with(file)),
        Place::End => assert!(found.range.end == with.len() && with.starts_with(file)),
    }
    assert_eq!(blocks.len(), find_all(file).map_or(0, |before| before.len()) + 1);
    assert_eq!(remove(with, block.id()).as_deref(), Ok(file));

    let other = Block::new(block.id(), "other", ["port = 1"]).expect("it is plain");
    let replaced = replace(with, &other).expect("the block is there");
    assert_eq!(remove(&replaced, block.id()).as_deref(), Ok(file));

    // What is written behind keeps a line of its own.
    if with.ends_with(b"\n") {
        let left = remove(&[with, BEHIND].concat(), block.id()).expect("the block is there");
        assert!(left.starts_with(file) && left.ends_with(BEHIND));
        let newline = &left[file.len()..left.len() - BEHIND.len()];
        assert!(matches!(newline, b"" | b"\n" | b"\r\n"), "{newline:?}");
    }

    let second = Block::new("8000-second", "second", ["log_connections = on"]).expect("it is plain");
    for next in [Place::Top, Place::End] {
        let Ok(both) = insert(with, next, &second) else {
            continue;
        };
        for (one, two) in [(block.id(), second.id()), (second.id(), block.id())] {
            let once = remove(&both, one).expect("both are there");
            assert_eq!(remove(&once, two).as_deref(), Ok(file), "{place:?}, {next:?}: {one} first");
        }
    }
}
