//! A marked block of our lines in somebody else's configuration file. Knows where it begins and ends, and keeps every
//! other byte: newline style, a missing last newline, any encoding. Refuses to know what the lines say.
//!
//! ```text
//! # pgseal 7f3a: TLS only. Undo: pgseal undo 15/main
//! hostnossl  all          all  all  reject
//! # pgseal 7f3a end
//! ```

use std::ops::Range;

const PREFIX: &[u8] = b"# pgseal ";
const END: &[u8] = b" end";
/// Said on the end marker of a block that gave the file's last line its newline.
const JOINED: &[u8] = b" end, no newline before";

/// Where a block goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before the first byte: for `pg_hba.conf`, where the first match wins.
    Top,
    /// After the last byte: for `postgresql.conf`, where the last setting wins.
    End,
}

/// A block to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    id: String,
    note: String,
    lines: Vec<String>,
}

/// A block found in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'f> {
    /// The change that wrote it.
    pub id: &'f str,
    /// What the first marker says after the id, which somebody may have edited.
    pub note: &'f [u8],
    /// The lines between the markers, without newlines.
    pub lines: Vec<&'f [u8]>,
    /// The line of the first marker, counted from 1.
    pub line: usize,
    /// All its bytes, markers and their newlines included.
    pub range: Range<usize>,
    joined: bool,
}

/// Why a block cannot be written or found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// An id that is not 4 to 64 small letters, digits and hyphens.
    #[error("\"{0}\" is no id for a block: 4 to 64 of a-z, 0-9 and - are")]
    BadId(String),
    /// A line that would not stay one line, or that would be taken for a marker.
    #[error(
        "\"{0}\" cannot stand in a block: it holds a newline, a carriage return or a NUL byte, ends in a backslash, or looks like a marker"
    )]
    BadLine(String),
    /// A block of this id is there already.
    #[error("a pgseal block with the id {0} is in the file already, at line {1}")]
    AlreadyThere(String, usize),
    /// No block of this id.
    #[error("no pgseal block with the id {0} is in the file")]
    NotThere(String),
    /// A first marker without its last one, or the other way round, or blocks within one another.
    #[error("the pgseal marker at line {line} has no counterpart: somebody edited the block {id}")]
    Unpaired {
        /// Counted from 1.
        line: usize,
        /// What the marker says.
        id: String,
    },
    /// The file's last line continues (`\` at its end), so that nothing can follow it.
    #[error("the last line of the file ends in a backslash, which would swallow the first line of the block")]
    ContinuedLine,
}

impl Block {
    /// A block for the change `id` (4 to 64 of a-z, 0-9 and -), with a note for people and the lines themselves.
    pub fn new<L: Into<String>>(
        id: &str,
        note: &str,
        lines: impl IntoIterator<Item = L>,
    ) -> Result<Self, BlockError> {
        if !is_id(id.as_bytes()) {
            return Err(BlockError::BadId(id.to_owned()));
        }
        let lines: Vec<String> = lines.into_iter().map(Into::into).collect();
        let unfit = |line: &str| {
            line.contains(['\n', '\r', '\0']) || line.ends_with('\\') || marker(line.as_bytes()).is_some()
        };
        match std::iter::once(note).chain(lines.iter().map(String::as_str)).find(|line| unfit(line)) {
            Some(line) => Err(BlockError::BadLine(line.to_owned())),
            None => Ok(Self { id: id.to_owned(), note: note.to_owned(), lines }),
        }
    }

    /// The id given.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The lines given, without newlines.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    fn bytes(&self, newline: &[u8], joined: bool) -> Vec<u8> {
        let id = self.id.as_bytes();
        let first = [PREFIX, id, b": ", self.note.as_bytes()].concat();
        let last = [PREFIX, id, if joined { JOINED } else { END }].concat();
        let lines = self.lines.iter().map(|line| line.as_bytes().to_vec());
        let all: Vec<Vec<u8>> = std::iter::once(first).chain(lines).chain(std::iter::once(last)).collect();
        all.iter().flat_map(|line| [line.as_slice(), newline].concat()).collect()
    }
}

/// Every block of ours in the file, in its order.
pub fn find_all(file: &[u8]) -> Result<Vec<Found<'_>>, BlockError> {
    let mut blocks = Vec::new();
    let mut open: Option<Found<'_>> = None;
    let mut start = 0;
    for (index, raw) in file.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let end = start + raw.len();
        let line = without_newline(raw);
        let unpaired = |id: &str, line| BlockError::Unpaired { line, id: id.to_owned() };
        match (marker(line), open.take()) {
            (Some(Marker::First { id, note }), None) => {
                open = Some(Found {
                    id,
                    note,
                    lines: Vec::new(),
                    line: index + 1,
                    range: start..end,
                    joined: false,
                });
            }
            (Some(Marker::Last { id, joined }), Some(block)) if block.id == id => {
                blocks.push(Found { range: block.range.start..end, joined, ..block });
            }
            (Some(_), Some(block)) => return Err(unpaired(block.id, block.line)),
            (Some(Marker::Last { id, .. }), None) => return Err(unpaired(id, index + 1)),
            (None, Some(mut block)) => {
                block.lines.push(line);
                open = Some(block);
            }
            (None, None) => {}
        }
        start = end;
    }
    match open {
        Some(block) => Err(BlockError::Unpaired { line: block.line, id: block.id.to_owned() }),
        None => Ok(blocks),
    }
}

/// The file with the block in it; [`remove`] gives the file back to the byte.
pub fn insert(file: &[u8], place: Place, block: &Block) -> Result<Vec<u8>, BlockError> {
    if let Some(found) = find_all(file)?.iter().find(|found| found.id == block.id) {
        return Err(BlockError::AlreadyThere(block.id.clone(), found.line));
    }
    let newline = newline_of(file);
    if place == Place::Top {
        return Ok([&block.bytes(newline, false), file].concat());
    }
    if without_newline(file).ends_with(b"\\") {
        return Err(BlockError::ContinuedLine);
    }
    let joined = !file.is_empty() && !file.ends_with(b"\n");
    let gap = if joined { newline } else { b"" };
    Ok([file, gap, &block.bytes(newline, joined)].concat())
}

/// The file with the block of the same id exchanged for this one, where it stands.
pub fn replace(file: &[u8], block: &Block) -> Result<Vec<u8>, BlockError> {
    let blocks = find_all(file)?;
    let found = named(&blocks, &block.id)?;
    let bytes = block.bytes(newline_of(file), found.joined);
    Ok([before(file, &found.range), &bytes, after(file, &found.range)].concat())
}

/// The file without the block of this id, as it was before [`insert`], with whatever was edited around it since.
pub fn remove(file: &[u8], id: &str) -> Result<Vec<u8>, BlockError> {
    let blocks = find_all(file)?;
    let found = named(&blocks, id)?;
    let (head, tail) = (before(file, &found.range), after(file, &found.range));
    if !found.joined {
        return Ok([head, tail].concat());
    }
    if tail.is_empty() {
        // The newline that was added is the block's own; a carriage return before it may be the file's.
        let block = file.get(found.range.clone()).unwrap_or_default();
        let added = block.get(without_newline(block).len()..).unwrap_or_default();
        return Ok(head.strip_suffix(added).unwrap_or(head).to_vec());
    }
    // What stands behind keeps the newline; if it is a block of ours, that one owes it from now on.
    match blocks.iter().find(|next| next.range.start == found.range.end) {
        Some(next) => {
            let body = file.get(next.range.clone()).unwrap_or_default();
            let newline = body.get(without_newline(body).len()..).unwrap_or_default();
            let last = [PREFIX, next.id.as_bytes(), END].concat();
            let kept = without_newline(body).len().saturating_sub(last.len());
            let last = [PREFIX, next.id.as_bytes(), JOINED, newline].concat();
            let body = body.get(..kept).unwrap_or_default();
            Ok([head, body, &last, after(file, &next.range)].concat())
        }
        None => Ok([head, tail].concat()),
    }
}

enum Marker<'l> {
    First { id: &'l str, note: &'l [u8] },
    Last { id: &'l str, joined: bool },
}

fn marker(line: &[u8]) -> Option<Marker<'_>> {
    let rest = line.strip_prefix(PREFIX)?;
    let length = rest.iter().position(|byte| !is_id_byte(*byte))?;
    let (id, rest) = rest.split_at(length);
    if !is_id(id) {
        return None;
    }
    let id = std::str::from_utf8(id).ok()?;
    match rest {
        [b':', b' ', note @ ..] => Some(Marker::First { id, note }),
        _ if rest == END => Some(Marker::Last { id, joined: false }),
        _ if rest == JOINED => Some(Marker::Last { id, joined: true }),
        _ => None,
    }
}

fn is_id(id: &[u8]) -> bool {
    (4..=64).contains(&id.len()) && id.iter().all(|byte| is_id_byte(*byte))
}

fn is_id_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')
}

fn named<'b, 'f>(blocks: &'b [Found<'f>], id: &str) -> Result<&'b Found<'f>, BlockError> {
    blocks.iter().find(|found| found.id == id).ok_or_else(|| BlockError::NotThere(id.to_owned()))
}

fn before<'f>(file: &'f [u8], range: &Range<usize>) -> &'f [u8] {
    file.get(..range.start).unwrap_or_default()
}

fn after<'f>(file: &'f [u8], range: &Range<usize>) -> &'f [u8] {
    file.get(range.end..).unwrap_or_default()
}

/// The newline most lines of the file end in.
fn newline_of(file: &[u8]) -> &'static [u8] {
    let mut crlf = 0usize;
    let mut lf = 0usize;
    for line in file.split_inclusive(|byte| *byte == b'\n') {
        if line.ends_with(b"\r\n") {
            crlf += 1;
        } else if line.ends_with(b"\n") {
            lf += 1;
        }
    }
    if crlf > lf { b"\r\n" } else { b"\n" }
}

fn without_newline(line: &[u8]) -> &[u8] {
    match line.strip_suffix(b"\n") {
        Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reject() -> Block {
        Block::new("7f3a", "TLS only. Undo: pgseal undo 15/main", ["hostnossl all all all reject"]).unwrap()
    }

    #[test]
    fn a_block_stands_on_top_or_at_the_end() {
        let top = insert(b"local all all peer\n", Place::Top, &reject()).unwrap();
        let expected = "# pgseal 7f3a: TLS only. Undo: pgseal undo 15/main\nhostnossl all all all reject\n# pgseal 7f3a end\nlocal all all peer\n";
        assert_eq!(String::from_utf8(top).unwrap(), expected);
        let end = insert(b"ssl = off", Place::End, &Block::new("7f3a", "n", ["ssl = on"]).unwrap()).unwrap();
        let expected = "ssl = off\n# pgseal 7f3a: n\nssl = on\n# pgseal 7f3a end, no newline before\n";
        assert_eq!(String::from_utf8(end).unwrap(), expected);
    }

    #[test]
    fn a_block_follows_the_newlines_of_the_file() {
        let file = b"a\r\nb\r\nc\n";
        let with = insert(file, Place::Top, &reject()).unwrap();
        assert!(with.starts_with(
            b"# pgseal 7f3a: TLS only. Undo: pgseal undo 15/main\r\nhostnossl all all all reject\r\n"
        ));
        assert_eq!(remove(&with, "7f3a").unwrap(), file);
    }

    #[test]
    fn what_was_added_behind_a_block_stays_a_line_of_its_own() {
        let mut file = insert(b"ssl = off", Place::End, &reject()).unwrap();
        file.extend_from_slice(b"port = 1\n");
        assert_eq!(remove(&file, "7f3a").unwrap(), b"ssl = off\nport = 1\n");
    }

    #[test]
    fn two_blocks_come_out_in_any_order() {
        let second = Block::new("8000", "second", ["x"]).unwrap();
        for file in [b"a".as_slice(), b"a\n", b"a\r\nb", b""] {
            let both = insert(&insert(file, Place::End, &reject()).unwrap(), Place::End, &second).unwrap();
            for order in [["7f3a", "8000"], ["8000", "7f3a"]] {
                let once = remove(&both, order[0]).unwrap();
                assert_eq!(remove(&once, order[1]).unwrap(), file, "{order:?}");
            }
        }
    }

    #[test]
    fn an_edited_block_is_named_not_guessed() {
        let file = insert(b"x\n", Place::Top, &reject()).unwrap();
        let cut = file.windows(4).position(|window| window == b" end").unwrap();
        let error = find_all(&file[..cut]).unwrap_err();
        assert_eq!(error, BlockError::Unpaired { line: 1, id: "7f3a".into() });
        assert!(matches!(find_all(b"x\n# pgseal 7f3a end\n"), Err(BlockError::Unpaired { line: 2, .. })));
        assert!(matches!(insert(&file, Place::Top, &reject()), Err(BlockError::AlreadyThere(_, 1))));
        assert!(matches!(remove(b"", "7f3a"), Err(BlockError::NotThere(_))));
        assert_eq!(find_all(b"# pgseal is a tool: yes\n# pgseal end\n").unwrap(), []);
    }

    #[test]
    fn no_line_escapes_its_block() {
        for line in ["a\nb", "a\r", "a\\", "# pgseal 7f3a end", "\0"] {
            assert!(Block::new("7f3a", "n", [line]).is_err());
            assert!(Block::new("7f3a", line, ["x"]).is_err());
        }
        for id in ["", "abc", "ABCD", "a b c", "äöüß"] {
            assert!(Block::new(id, "n", ["x"]).is_err());
        }
        assert_eq!(insert(b"host all \\\n", Place::End, &reject()), Err(BlockError::ContinuedLine));
    }

    proptest! {
        #[test]
        fn undoing_gives_every_byte_back(
            file in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'a'), any::<u8>()], 0..60),
            on_top in any::<bool>(),
        ) {
            let place = if on_top { Place::Top } else { Place::End };
            if let Ok(with) = insert(&file, place, &reject()) {
                prop_assert_eq!(&remove(&with, "7f3a").unwrap(), &file);
                let other = Block::new("7f3a", "other", ["y", ""]).unwrap();
                let replaced = replace(&with, &other).unwrap();
                prop_assert_eq!(find_all(&replaced).unwrap()[0].lines.len(), 2);
                prop_assert_eq!(&remove(&replaced, "7f3a").unwrap(), &file);
            } else {
                prop_assert!(!on_top);
            }
        }
    }
}
