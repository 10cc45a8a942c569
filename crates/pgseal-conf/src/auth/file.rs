//! One authentication file, lossless: every byte it had, and where its lines, fields and tokens lie in them. Knows the
//! text alone; files it mentions and what its fields mean are somebody else's.

use std::ops::Range;

use super::lines::Lines;
use super::token::Tokens;
use crate::PgVersion;
use crate::files::MAX_FILE_BYTES;

/// The text of `pg_hba.conf` or `pg_ident.conf`, cut as one version of PostgreSQL cuts it.
///
/// [`AuthFile::bytes`] gives back what was read, to the byte. Edits give new bytes, in which every line that was not
/// touched is the same.
#[derive(Clone, Debug)]
pub struct AuthFile {
    bytes: Vec<u8>,
    version: PgVersion,
    lines: Vec<LineData>,
    fields: Vec<Range<u32>>,
    tokens: Vec<TokenData>,
    /// Texts of tokens that are no stretch of `bytes`, since quotes or continuations were taken out, one after the other.
    spelled: Vec<u8>,
    /// Where in the file such a token starts, and where its text ends in `spelled`.
    spellings: Vec<(u32, u32)>,
}

/// A file longer than [`MAX_FILE_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file is {0} bytes long, more than the {MAX_FILE_BYTES} that are read")]
pub struct FileTooLarge(pub usize);

/// Why PostgreSQL gives up on a line before it looks at its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// 12 and 13: 20,479 bytes or more.
    #[error("authentication file line too long")]
    LineTooLong,
    /// 12 to 15: a token of 10,240 bytes or more.
    #[error("authentication file token too long")]
    TokenTooLong,
}

#[derive(Clone, Debug)]
struct LineData {
    number: u32,
    source: Range<u32>,
    fields: Range<u32>,
    comment: Option<u32>,
    fault: Option<LineFault>,
}

/// A token in eight bytes, as a line may be nothing but tokens. No file is longer than 2³⁰ bytes, so two bits of each end
/// are free.
#[derive(Clone, Copy, Debug)]
struct TokenData {
    start: u32,
    end_and_flags: u32,
}

/// A quote stands before the first character.
const QUOTED: u32 = 1 << 31;
/// The text is not the bytes themselves: see `AuthFile::spelled`.
const SPELLED: u32 = 1 << 30;

impl TokenData {
    fn source(self) -> Range<usize> {
        self.start as usize..(self.end_and_flags & !(QUOTED | SPELLED)) as usize
    }

    fn has(self, flag: u32) -> bool {
        self.end_and_flags & flag != 0
    }
}

impl AuthFile {
    /// Cuts a file as this version does.
    pub fn read(bytes: Vec<u8>, version: PgVersion) -> Result<Self, FileTooLarge> {
        if bytes.len() > MAX_FILE_BYTES {
            return Err(FileTooLarge(bytes.len()));
        }
        let mut file = Self {
            bytes: Vec::new(),
            version,
            lines: Vec::new(),
            fields: Vec::new(),
            tokens: Vec::new(),
            spelled: Vec::new(),
            spellings: Vec::new(),
        };
        file.cut(&bytes);
        file.bytes = bytes;
        Ok(file)
    }

    fn cut(&mut self, bytes: &[u8]) {
        for line in Lines::new(bytes, self.version) {
            let first_field = short(self.fields.len());
            let mut fault = line.fault;
            let mut tokens = Tokens::new(&line.text, self.version);
            while fault.is_none() && !tokens.at_end() {
                let first_token = short(self.tokens.len());
                loop {
                    match tokens.next() {
                        Ok(Some(token)) => {
                            let source = line.source_of(token.span.start)..line.source_of(token.span.end);
                            self.push_token(bytes, &source, &token.text, token.quoted);
                            if token.comma {
                                continue;
                            }
                        }
                        Ok(None) => {}
                        Err(broken) => fault = Some(broken),
                    }
                    break;
                }
                let end = short(self.tokens.len());
                if end > first_token {
                    self.fields.push(first_token..end);
                }
            }
            let comment = tokens.comment.map(|at| short(line.source_of(at)));
            self.lines.push(LineData {
                number: short(line.number),
                source: short(line.source.start)..short(line.source.end),
                fields: first_field..short(self.fields.len()),
                comment,
                fault,
            });
        }
    }

    fn push_token(&mut self, bytes: &[u8], source: &Range<usize>, text: &[u8], quoted: bool) {
        let mut flags = if quoted { QUOTED } else { 0 };
        if bytes.get(source.clone()) != Some(text) {
            flags |= SPELLED;
            self.spelled.extend_from_slice(text);
            self.spellings.push((short(source.start), short(self.spelled.len())));
        }
        self.tokens.push(TokenData { start: short(source.start), end_and_flags: short(source.end) | flags });
    }

    /// The text of a token that is not spelled as it is meant.
    fn spelling(&self, token: TokenData) -> &[u8] {
        let found = self.spellings.binary_search_by_key(&token.start, |(start, _)| *start);
        let Ok(index) = found else { return &[] };
        let end = |index: usize| self.spellings.get(index).map_or(0, |(_, end)| *end as usize);
        let start = index.checked_sub(1).map_or(0, end);
        self.spelled.get(start..end(index)).unwrap_or_default()
    }

    /// Every byte of the file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The version it was cut for.
    pub fn version(&self) -> PgVersion {
        self.version
    }

    /// Its logical lines, empty ones and comments too.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = Line<'_>> {
        self.lines.iter().map(|data| Line { file: self, data })
    }

    /// The logical line at this place, counted from 0.
    pub fn line(&self, index: usize) -> Option<Line<'_>> {
        self.lines.get(index).map(|data| Line { file: self, data })
    }

    /// The logical line that PostgreSQL calls by this number.
    pub fn line_numbered(&self, number: u32) -> Option<Line<'_>> {
        let index = self.lines.binary_search_by_key(&number, |line| line.number).ok()?;
        self.line(index)
    }

    /// The file with `text` as a line of its own before the line at `index` (as [`AuthFile::lines`] counts), or at the
    /// end. The newline is the file's, and one is added where the last line had none.
    pub fn insert_line(&self, index: usize, text: &[u8]) -> Vec<u8> {
        let at = self.lines.get(index).map_or(self.bytes.len(), |line| line.source.start as usize);
        let (before, after) = self.bytes.split_at(at);
        let newline = self.newline();
        let gap = if before.is_empty() || before.ends_with(b"\n") { b"".as_slice() } else { newline };
        [before, gap, text, newline, after].concat()
    }

    /// The file with the line at `index` replaced by `text`, its newline kept; unchanged when there is no such line.
    pub fn replace_line(&self, index: usize, text: &[u8]) -> Vec<u8> {
        self.splice(index, |line| [text, newline_at_end(line)].concat())
    }

    /// The file without the line at `index`.
    pub fn remove_line(&self, index: usize) -> Vec<u8> {
        self.splice(index, |_| Vec::new())
    }

    /// The file with `#` before the line at `index`, and before each line that continues it, so that every version
    /// takes all of it for a comment.
    pub fn comment_out(&self, index: usize) -> Vec<u8> {
        self.splice(index, |line| {
            line.split_inclusive(|byte| *byte == b'\n')
                .flat_map(|physical| [b"#".as_slice(), physical].concat())
                .collect()
        })
    }

    fn splice(&self, index: usize, edit: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let Some(line) = self.line(index) else { return self.bytes.clone() };
        let Range { start, end } = line.source();
        let before = self.bytes.get(..start).unwrap_or_default();
        let after = self.bytes.get(end..).unwrap_or_default();
        [before, &edit(line.raw()), after].concat()
    }

    /// The newline of the file's first line; a bare newline where there is none.
    fn newline(&self) -> &'static [u8] {
        match self.bytes.iter().position(|byte| *byte == b'\n') {
            Some(at) if at > 0 && self.bytes.get(at - 1) == Some(&b'\r') => b"\r\n",
            _ => b"\n",
        }
    }
}

/// One logical line of a file.
#[derive(Clone, Copy, Debug)]
pub struct Line<'f> {
    file: &'f AuthFile,
    data: &'f LineData,
}

impl<'f> Line<'f> {
    /// The number PostgreSQL gives it in messages and views: that of its first physical line, counted from 1.
    pub fn number(self) -> u32 {
        self.data.number
    }

    /// Its bytes in the file, newline included.
    pub fn source(self) -> Range<usize> {
        wide(&self.data.source)
    }

    /// The bytes themselves, newline included.
    pub fn raw(self) -> &'f [u8] {
        self.file.bytes.get(self.source()).unwrap_or_default()
    }

    /// Its fields; none for an empty line or a comment.
    pub fn fields(self) -> impl ExactSizeIterator<Item = Field<'f>> + DoubleEndedIterator {
        let fields = self.file.fields.get(wide(&self.data.fields)).unwrap_or_default();
        fields.iter().map(move |tokens| Field { file: self.file, tokens })
    }

    /// The field at this place, counted from 0.
    pub fn field(self, index: usize) -> Option<Field<'f>> {
        let fields = self.file.fields.get(wide(&self.data.fields))?;
        fields.get(index).map(|tokens| Field { file: self.file, tokens })
    }

    /// Where its comment starts in the file, the `#` included.
    pub fn comment(self) -> Option<usize> {
        self.data.comment.map(|at| at as usize)
    }

    /// Why PostgreSQL refuses the line unread.
    pub fn fault(self) -> Option<LineFault> {
        self.data.fault
    }
}

/// A field of a line: tokens held together by commas.
#[derive(Clone, Copy, Debug)]
pub struct Field<'f> {
    file: &'f AuthFile,
    tokens: &'f Range<u32>,
}

impl<'f> Field<'f> {
    /// Its tokens, at least one, `@file` not expanded.
    pub fn tokens(self) -> impl ExactSizeIterator<Item = Token<'f>> + DoubleEndedIterator {
        let tokens = self.file.tokens.get(wide(self.tokens)).unwrap_or_default();
        tokens.iter().map(move |data| Token { file: self.file, data })
    }
}

/// One token.
#[derive(Clone, Copy, Debug)]
pub struct Token<'f> {
    file: &'f AuthFile,
    data: &'f TokenData,
}

impl<'f> Token<'f> {
    /// Its text, quotes and continuations taken out.
    pub fn text(self) -> &'f [u8] {
        if self.data.has(SPELLED) {
            self.file.spelling(*self.data)
        } else {
            self.file.bytes.get(self.data.source()).unwrap_or_default()
        }
    }

    /// Its bytes in the file, quotes included.
    pub fn source(self) -> Range<usize> {
        self.data.source()
    }

    /// Whether a quote stands before its first character, which takes away any special meaning but a regular
    /// expression's.
    pub fn is_quoted(self) -> bool {
        self.data.has(QUOTED)
    }

    /// The file it stands for: `@name`, not quoted.
    pub fn mentioned_file(self) -> Option<&'f [u8]> {
        self.text().strip_prefix(b"@").filter(|name| !self.is_quoted() && !name.is_empty())
    }
}

fn newline_at_end(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
    line.get(end..).unwrap_or_default()
}

fn wide(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}

/// Places fit, as no file is longer than [`MAX_FILE_BYTES`].
#[allow(clippy::cast_possible_truncation)]
fn short(place: usize) -> u32 {
    place as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> AuthFile {
        AuthFile::read(bytes.to_vec(), PgVersion::V18).unwrap()
    }

    fn texts(line: Line<'_>) -> Vec<Vec<String>> {
        let text = |token: Token<'_>| String::from_utf8_lossy(token.text()).into_owned();
        line.fields().map(|field| field.tokens().map(text).collect()).collect()
    }

    #[test]
    fn fields_and_comments_keep_their_places() {
        let file = read(b"# c\n\nlocal \"a b\",c\\\nd all trust # why\n");
        let lines: Vec<_> = file.lines().collect();
        assert_eq!(lines.iter().map(|line| line.number()).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(texts(lines[2]), [vec!["local"], vec!["a b", "cd"], vec!["all"], vec!["trust"]]);
        assert_eq!(lines[0].comment(), Some(0));
        assert_eq!(&file.bytes()[lines[2].comment().unwrap()..], b"# why\n");
        let joined = lines[2].fields().nth(1).unwrap().tokens().nth(1).unwrap();
        assert_eq!(&file.bytes()[joined.source()], b"c\\\nd");
        assert_eq!(file.line_numbered(3).unwrap().source(), lines[2].source());
        assert!(file.line_numbered(4).is_none());
    }

    #[test]
    fn edits_touch_their_line_alone() {
        let file = read(b"a\r\nb \\\r\n c\r\nd");
        assert_eq!(file.insert_line(1, b"x"), b"a\r\nx\r\nb \\\r\n c\r\nd");
        assert_eq!(file.insert_line(9, b"x"), b"a\r\nb \\\r\n c\r\nd\r\nx\r\n");
        assert_eq!(file.replace_line(1, b"x"), b"a\r\nx\r\nd");
        assert_eq!(file.replace_line(2, b"x"), b"a\r\nb \\\r\n c\r\nx");
        assert_eq!(file.remove_line(0), b"b \\\r\n c\r\nd");
        assert_eq!(file.comment_out(1), b"a\r\n#b \\\r\n# c\r\nd");
        assert_eq!(file.comment_out(7), file.bytes());
    }

    fn odd_bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            proptest::sample::select(b"\n\r \t,\"#\\@/+a0".to_vec()),
            proptest::sample::select(b"\n\\".to_vec()),
            any::<u8>()
        ];
        proptest::collection::vec(byte, 0..200)
    }

    proptest! {
        #[test]
        fn every_byte_is_kept_and_lies_in_one_line(bytes in odd_bytes()) {
            for version in PgVersion::ALL {
                let file = AuthFile::read(bytes.clone(), version).unwrap();
                prop_assert_eq!(file.bytes(), &bytes);
                let joined: Vec<u8> = file.lines().flat_map(|line| line.raw().to_vec()).collect();
                prop_assert_eq!(&joined, &bytes);
                for line in file.lines() {
                    for token in line.fields().flat_map(Field::tokens) {
                        let (inner, outer) = (token.source(), line.source());
                        prop_assert!(outer.start <= inner.start && inner.start <= inner.end && inner.end <= outer.end);
                    }
                }
            }
        }

        #[test]
        fn a_line_put_in_comes_out_again(bytes in odd_bytes(), index in 0usize..20) {
            let file = read(&bytes);
            // A line in the middle, where no newline is to be added before it.
            let Some(index) = index.checked_rem(file.lines().len()) else { return Ok(()) };
            let with = file.insert_line(index, b"host");
            let again = AuthFile::read(with, PgVersion::V18).unwrap();
            prop_assert_eq!(again.remove_line(index), bytes);
        }

        #[test]
        fn a_line_commented_out_has_no_fields_left(bytes in odd_bytes(), index in 0usize..20) {
            for version in [PgVersion::V13, PgVersion::V18] {
                let file = AuthFile::read(bytes.clone(), version).unwrap();
                let Some(line) = file.line(index) else { return Ok(()) };
                let number = line.number();
                let again = AuthFile::read(file.comment_out(index), version).unwrap();
                prop_assert_eq!(again.line_numbered(number).unwrap().fields().len(), 0);
            }
        }
    }
}
