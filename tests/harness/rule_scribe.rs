//! Writes `pg_hba.conf` files that nobody would write: every corner of the grammar, right and wrong, mixed by dice.
//! Knows which words there are, not what becomes of them.

use super::dice::Dice;
use super::rule_options::{OPTIONS, options_of};
use super::rule_words::{
    ADDRESSES, CONNECTIONS, DATABASES, MAPPED, MAPS, METHODS, ODD_ADDRESSES, ODD_CONNECTIONS, ODD_LINES,
    ODD_METHODS, ODD_NAMES, REGEXES, ROLES, SYSTEM_USERS,
};
use super::tree::Tree;

/// The files that a main file may mention, in the order in which they may mention one another.
const MENTIONED: [&str; 7] =
    ["list", "li st", "one.inc", "sub/two.inc", "confd/a.conf", "confd/b.conf", "sub/deep list"];
/// What else is there, or is not.
const OTHERS: [&str; 12] = [
    "nope",
    "adir",
    "confd",
    "confd/",
    "one.inc/x",
    "shut",
    "empty",
    "/nonexistent/file",
    "emptydir",
    "./list",
    "sub/../list",
    "sub//two.inc",
];
/// How many of those mention nothing themselves.
const DEAD_ENDS: usize = 9;

/// The line endings of one file.
const ENDINGS: [&[&[u8]]; 5] =
    [&[b"\n"], &[b"\n"], &[b"\n"], &[b"\r\n"], &[b"\n", b"\r\n", b"\n\r", b"\r\r\n"]];

/// The main file of what is written.
pub(crate) const MAIN: &str = "pg_hba.conf";

/// What the lines of a file are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rules,
    Maps,
}

pub(crate) struct RuleScribe<'d> {
    dice: &'d mut Dice,
    version: u32,
    kind: Kind,
    /// Whether a file may yet mention one before itself: one such loop a tree is enough, two grow without bounds. Where
    /// there is one, no file is included if it exists: whether PostgreSQL calls too deep a nesting an error then depends
    /// on what errno still says of an earlier file.
    may_loop: bool,
    loops: bool,
}

impl<'d> RuleScribe<'d> {
    pub(crate) fn new(dice: &'d mut Dice, version: u32) -> Self {
        Self { dice, version, kind: Kind::Rules, may_loop: false, loops: false }
    }

    /// The same of `pg_ident.conf`, which has the same form.
    pub(crate) fn maps(&mut self) -> Tree {
        self.kind = Kind::Maps;
        self.tree()
    }

    /// A main file and all that it may mention.
    pub(crate) fn tree(&mut self) -> Tree {
        self.loops = self.once_in(8);
        self.may_loop = self.loops;
        let sane = self.dice.below(100) < 55;
        let mut tree = Tree::of(MAIN, self.file(0, sane));
        for (place, name) in MENTIONED.iter().enumerate() {
            let sane = self.dice.below(100) < 75;
            let content = if name.contains("li") { self.list(place + 1) } else { self.file(place + 1, sane) };
            tree = tree.with(name, content);
        }
        tree.with("empty", "# nothing\n\n")
            .with_shut("shut", "local all all trust\n")
            .with_dir("adir")
            .with_dir("emptydir")
            .with_dir("confd/c.conf")
            .with("confd/.d.conf", "bogus\n")
            .with("confd/e.con", "bogus\n")
    }

    /// A file's text; `place` 0 is the main file.
    fn file(&mut self, place: usize, sane: bool) -> Vec<u8> {
        let count = if place == 0 {
            if self.once_in(30) { 0 } else { 1 + self.dice.below(8) }
        } else {
            self.dice.below(4)
        };
        let ending = *self.pick(&ENDINGS);
        let mut text = Vec::new();
        if self.once_in(60) {
            text.extend(b"\xef\xbb\xbf");
        }
        for nth in 0..count {
            let line = if sane && !self.once_in(25) { self.sane_line(place) } else { self.odd_line(place) };
            text.extend(line);
            // The last line of some files has no end.
            if nth + 1 < count || !self.once_in(4) {
                text.extend(*self.pick(ending));
            }
        }
        text
    }

    /// What `@` and regular lists hold: names, sometimes more.
    fn list(&mut self, place: usize) -> Vec<u8> {
        let mut text = Vec::new();
        for _ in 0..self.dice.below(4) {
            for _ in 0..=self.dice.below(2) {
                text.extend(self.names(place, ROLES));
                text.extend(self.blank());
            }
            if self.once_in(8) {
                text.extend(b"# of them");
            }
            if self.once_in(10) {
                text.extend(b"\\");
            }
            text.extend(b"\n");
        }
        text
    }

    /// A line that loads, as a rule.
    fn sane_line(&mut self, place: usize) -> Vec<u8> {
        if self.version >= 16 && self.once_in(8) && place + 1 < MENTIONED.len() {
            return self.include(place);
        }
        if self.kind == Kind::Maps {
            let fields = [MAPS, SYSTEM_USERS, MAPPED].map(|words| self.pick(words).as_bytes().to_vec());
            return self.joined(fields.into());
        }
        let connection = *self.pick(CONNECTIONS);
        let mut fields = vec![connection.as_bytes().to_vec()];
        for words in [DATABASES, ROLES] {
            let names =
                if self.once_in(8) { self.names(place, words) } else { self.pick(words).as_bytes().to_vec() };
            fields.push(if self.once_in(12) { [b"\"", names.as_slice(), b"\""].concat() } else { names });
        }
        if connection != "local" {
            fields.push(self.pick(ADDRESSES).as_bytes().to_vec());
        }
        fields.push(self.pick(METHODS).as_bytes().to_vec());
        self.joined(fields)
    }

    fn odd_line(&mut self, place: usize) -> Vec<u8> {
        match self.dice.below(100) {
            0..8 if place == 0 => self.pick(ODD_LINES).to_vec(),
            8..22 => self.include(place),
            22..26 => self.long_line(),
            26..31 => self.rubbish(),
            31..40 => {
                let line = self.record(place);
                self.mutated(line)
            }
            _ => self.record(place),
        }
    }

    /// A record of words that may all be wrong.
    fn record(&mut self, place: usize) -> Vec<u8> {
        if self.kind == Kind::Maps {
            return self.map(place);
        }
        let connection = if self.once_in(9) { *self.pick(ODD_CONNECTIONS) } else { *self.pick(CONNECTIONS) };
        let mut fields = vec![self.quoted(connection.as_bytes())];
        fields.push(self.names(place, DATABASES));
        fields.push(self.names(place, ROLES));
        if !connection.starts_with("local") {
            let address = if self.once_in(2) { *self.pick(ADDRESSES) } else { *self.pick(ODD_ADDRESSES) };
            fields.push(if self.once_in(8) {
                self.quoted(address.as_bytes())
            } else {
                address.as_bytes().to_vec()
            });
        }
        let method = if self.once_in(6) { *self.pick(ODD_METHODS) } else { *self.pick(METHODS) };
        fields.push(self.quoted(method.as_bytes()));
        if !self.once_in(3) {
            let own = options_of(method);
            for _ in 0..=self.dice.below(4) {
                let pool = if own.is_empty() || self.once_in(5) { OPTIONS } else { own };
                fields.push(self.pick(pool).as_bytes().to_vec());
            }
        }
        if self.once_in(10) {
            let left = self.dice.below(u32::try_from(fields.len()).expect("a line has few fields")) as usize;
            fields.truncate(left + 1);
        }
        if place > 0 {
            // A file that mentions itself is wanted once a tree at most.
            fields.retain(|field| !field.starts_with(b"@list") && !field.starts_with(b"@opts"));
        }
        self.joined(fields)
    }

    /// A line of a map, of words that may all be wrong.
    fn map(&mut self, place: usize) -> Vec<u8> {
        let mut fields = Vec::new();
        for words in [MAPS, SYSTEM_USERS, MAPPED] {
            fields.push(if self.once_in(6) {
                self.names(place, words)
            } else {
                self.pick(words).as_bytes().to_vec()
            });
        }
        if self.once_in(8) {
            fields.push(b"more".to_vec());
        }
        if self.once_in(8) {
            fields.truncate(self.dice.below(3) as usize + 1);
        }
        if place > 0 {
            fields.retain(|field| !field.starts_with(b"@list"));
        }
        self.joined(fields)
    }

    /// One to three names, parted by commas that stand close or not.
    fn names(&mut self, place: usize, words: &[&str]) -> Vec<u8> {
        let mut text = self.name(place, words);
        while self.once_in(4) {
            text.extend(*self.pick(&[b",".as_slice(), b",", b", ", b" ,", b",,", b",\t,"]));
            text.extend(self.name(place, words));
        }
        text
    }

    fn name(&mut self, place: usize, words: &[&str]) -> Vec<u8> {
        match self.dice.below(100) {
            0..62 => self.pick(words).as_bytes().to_vec(),
            62..72 => {
                let word = self.pick(words).as_bytes().to_vec();
                self.quoted(&word)
            }
            72..82 => {
                let name = self.pick(ODD_NAMES).to_vec();
                if place > 0 && name.contains(&b'@') { b"a".to_vec() } else { name }
            }
            82..90 => self.pick(REGEXES).as_bytes().to_vec(),
            _ => self.mention(place),
        }
    }

    /// `@file`.
    fn mention(&mut self, place: usize) -> Vec<u8> {
        let file = self.mentioned(place, self.version >= 16);
        match self.dice.below(4) {
            0 => format!("@\"{file}\"").into_bytes(),
            1 if self.once_in(3) => format!("\"@{file}\"").into_bytes(),
            _ => format!("@{file}").into_bytes(),
        }
    }

    fn include(&mut self, place: usize) -> Vec<u8> {
        let directives =
            &["include", "include", "include_dir", "\"include\"", "INCLUDE", "include_if_exists"];
        let directive = *self.pick(if self.loops { &directives[..5] } else { directives });
        let file = if directive == "include_dir" && !self.once_in(5) {
            (*self.pick(&[
                "confd",
                "confd/",
                "emptydir",
                "\"confd\"",
                "nope",
                "adir/",
                "list",
                "\" \"",
                "\"\"",
            ]))
            .to_owned()
        } else {
            self.mentioned(place, true)
        };
        let mut line = directive.as_bytes().to_vec();
        line.extend(self.blank());
        line.extend(if file.contains(' ') && !file.starts_with('"') && !self.once_in(6) {
            format!("\"{file}\"").into_bytes()
        } else {
            file.into_bytes()
        });
        if self.once_in(12) {
            line.extend(*self.pick(&[b" more".as_slice(), b",more", b" # why", b"#", b" ,"]));
        }
        line
    }

    /// A file that the file at `place` may mention: one further on, as a rule.
    fn mentioned(&mut self, place: usize, may_loop: bool) -> String {
        let further = MENTIONED.get(place..).unwrap_or_default();
        if further.is_empty() || self.once_in(4) {
            return (*self.pick(if place == 0 { &OTHERS } else { &OTHERS[..DEAD_ENDS] })).to_owned();
        }
        if may_loop && self.may_loop && self.once_in(4) {
            self.may_loop = false;
            let back = self.dice.below(u32::try_from(place + 1).expect("there are few files")) as usize;
            return if back == 0 { MAIN.to_owned() } else { MENTIONED[back - 1].to_owned() };
        }
        let name = *self.pick(further);
        // Names are taken relative to the file that mentions them.
        let own = if place == 0 { "" } else { MENTIONED[place - 1] };
        if own.contains('/') && !self.once_in(6) { format!("../{name}") } else { name.to_owned() }
    }

    /// Fields with blanks between them, and sometimes a comment behind.
    fn joined(&mut self, fields: Vec<Vec<u8>>) -> Vec<u8> {
        let mut line = if self.once_in(12) { self.blank() } else { Vec::new() };
        for field in fields {
            line.extend(field);
            line.extend(self.blank());
        }
        if self.once_in(10) {
            line.extend(*self.pick(&[b"# why".as_slice(), b"#\"", b"# \\", b"#", b"#,\xe9"]));
        }
        line
    }

    fn blank(&mut self) -> Vec<u8> {
        let usual = self.pick(&[b" ".as_slice(), b"\t", b"  ", b" \t "]).to_vec();
        if !self.once_in(25) {
            return usual;
        }
        self.pick(&[
            b"\r".as_slice(),
            b" \\\n",
            b"\\\n",
            b" \\\r\n ",
            b"\x0b",
            b"\x0c",
            b" \\ ",
            b", ",
            b"",
            b" \\\n\\\n",
        ])
        .to_vec()
    }

    /// The word, at times in quotes, or with quotes somewhere in it.
    fn quoted(&mut self, word: &[u8]) -> Vec<u8> {
        let at = self.dice.below(u32::try_from(word.len() + 1).expect("a word is short")) as usize;
        let (head, tail) = word.split_at(at);
        match self.dice.below(24) {
            0..4 => [b"\"", word, b"\""].concat(),
            4 => [head, b"\"", tail, b"\""].concat(),
            5 => [b"\"", head, b"\"", tail].concat(),
            6 => [b"\"\"", word].concat(),
            7 if self.once_in(3) => [b"\"", word].concat(),
            _ => word.to_vec(),
        }
    }

    /// One byte more, less or other.
    fn mutated(&mut self, mut line: Vec<u8>) -> Vec<u8> {
        if line.is_empty() {
            return line;
        }
        let at = self.dice.below(u32::try_from(line.len()).expect("a line is short")) as usize;
        let byte = *self.pick(b"\0\n\r\t \"#,\\@/+=\xff\xc3\x01\x7fa0");
        match self.dice.below(3) {
            0 => line[at] = byte,
            1 => line.insert(at, byte),
            _ => {
                line.remove(at);
            }
        }
        line
    }

    fn rubbish(&mut self) -> Vec<u8> {
        (0..self.dice.below(24)).map(|_| *self.pick(b"  \t\r\"\",,#\\@/+=.:ahostlcn01\xe9\0")).collect()
    }

    /// Tokens and lines about as long as 12 to 15 take them.
    fn long_line(&mut self) -> Vec<u8> {
        let length = *self.pick(&[
            60, 63, 64, 200, 255, 256, 1023, 8191, 8192, 10_238, 10_239, 10_240, 10_241, 20_478, 20_479,
            20_480, 25_000,
        ]);
        let filler = self.pick(&[b"x".as_slice(), b"x", b"ab,", b"a b ", b"\"", b"\xc3\xa9"]).repeat(length);
        let filler = &filler[..length];
        match self.dice.below(3) {
            0 => [b"local all ".as_slice(), filler, b" trust"].concat(),
            1 => [b"host all all ".as_slice(), filler].concat(),
            _ => filler.to_vec(),
        }
    }

    fn pick<'i, T>(&mut self, items: &'i [T]) -> &'i T {
        self.dice.pick(items)
    }

    fn once_in(&mut self, count: u32) -> bool {
        self.dice.below(count) == 0
    }
}
