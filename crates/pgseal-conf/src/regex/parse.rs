//! The grammar of the part of PostgreSQL's expressions that is understood (`re_syntax`, advanced form).

/// A set of bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct ByteSet([u128; 2]);

impl ByteSet {
    pub(super) const EMPTY: Self = Self([0; 2]);
    pub(super) const ANY: Self = Self([u128::MAX; 2]);

    pub(super) fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 7)] |= 1 << (byte & 127);
    }

    pub(super) fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 7)] >> (byte & 127) & 1 == 1
    }

    fn of(fits: impl Fn(u8) -> bool) -> Self {
        let mut set = Self::EMPTY;
        (0..=u8::MAX).filter(|byte| fits(*byte)).for_each(|byte| set.insert(byte));
        set
    }

    fn union(&mut self, other: Self) {
        self.0[0] |= other.0[0];
        self.0[1] |= other.0[1];
    }

    fn negated(self) -> Self {
        Self([!self.0[0], !self.0[1]])
    }
}

impl std::fmt::Debug for ByteSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ByteSet")
    }
}

/// An expression.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Empty,
    Set(ByteSet),
    Start,
    End,
    Sequence(Vec<Self>),
    Either(Vec<Self>),
    Repeat { node: Box<Self>, least: u32, most: Option<u32> },
}

/// Why there is no tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Beyond what is understood; it may be right or wrong.
    NotUnderstood,
    /// Wrong, in the words of `pg_regerror`.
    Refused(&'static str),
}

const PARENTHESES: Fault = Fault::Refused("parentheses () not balanced");
const BRACKETS: Fault = Fault::Refused("brackets [] not balanced");
const QUANTIFIER: Fault = Fault::Refused("quantifier operand invalid");
const BRACES: Fault = Fault::Refused("braces {} not balanced");
const COUNTS: Fault = Fault::Refused("invalid repetition count(s)");
/// What means something after a backslash, beside `d` and `w` (regc_lex.c, lexescape).
const MEANT: &[u8] = b"aAbBcDefmMnrsStuUvWxyYZ0123456789";
const ESCAPE: Fault = Fault::Refused("invalid escape \\ sequence");

/// How deep groups may nest.
const MAX_DEPTH: usize = 32;
/// `DUPMAX`.
const MAX_REPEAT: u32 = 255;

pub(super) fn parse(text: &[u8]) -> Result<Node, Fault> {
    // Directors and embedded options change the language.
    let options = text.strip_prefix(b"(?").and_then(|rest| rest.first()).is_some_and(u8::is_ascii_alphabetic);
    if text.starts_with(b"***") || options || text.contains(&0) {
        return Err(Fault::NotUnderstood);
    }
    let mut parser = Parser { text, at: 0 };
    let node = parser.alternatives(0)?;
    if parser.peek().is_some() { Err(PARENTHESES) } else { Ok(node) }
}

struct Parser<'t> {
    text: &'t [u8],
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn take_if(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn alternatives(&mut self, depth: usize) -> Result<Node, Fault> {
        let mut branches = vec![self.branch(depth)?];
        while self.take_if(b'|') {
            branches.push(self.branch(depth)?);
        }
        Ok(match branches.pop() {
            Some(only) if branches.is_empty() => only,
            Some(last) => {
                branches.push(last);
                Node::Either(branches)
            }
            None => Node::Empty,
        })
    }

    fn branch(&mut self, depth: usize) -> Result<Node, Fault> {
        let mut nodes = Vec::new();
        while let Some(byte) = self.peek().filter(|byte| !matches!(byte, b'|' | b')')) {
            let node = match byte {
                b'^' | b'$' => {
                    self.at += 1;
                    nodes.push(if byte == b'^' { Node::Start } else { Node::End });
                    match self.peek() {
                        Some(b'*' | b'+' | b'?') if byte == b'^' => return Err(QUANTIFIER),
                        Some(b'*' | b'+' | b'?' | b'{') => return Err(Fault::NotUnderstood),
                        _ => continue,
                    }
                }
                b'*' | b'+' | b'?' => return Err(QUANTIFIER),
                _ => self.atom(depth)?,
            };
            nodes.push(self.quantified(node)?);
        }
        // At the top a parenthesis too many ends the branch; `parse` says so.
        Ok(if nodes.is_empty() { Node::Empty } else { Node::Sequence(nodes) })
    }

    fn atom(&mut self, depth: usize) -> Result<Node, Fault> {
        match self.take() {
            Some(b'.') => Ok(Node::Set(ByteSet::ANY)),
            Some(b'(') => self.group(depth),
            Some(b'[') => self.bracket().map(Node::Set),
            Some(b'\\') => self.escape().map(Node::Set),
            // A brace that no digit follows is itself.
            Some(b'{') if self.peek().is_some_and(|byte| byte.is_ascii_digit()) => Err(QUANTIFIER),
            Some(byte) => Ok(Node::Set(ByteSet::of(|other| other == byte))),
            None => Ok(Node::Empty),
        }
    }

    fn group(&mut self, depth: usize) -> Result<Node, Fault> {
        if depth >= MAX_DEPTH {
            return Err(Fault::NotUnderstood);
        }
        if self.take_if(b'?') && !self.take_if(b':') {
            return Err(Fault::NotUnderstood);
        }
        let node = self.alternatives(depth + 1)?;
        if self.take_if(b')') { Ok(node) } else { Err(PARENTHESES) }
    }

    fn escape(&mut self) -> Result<ByteSet, Fault> {
        match self.take() {
            None => Err(ESCAPE),
            Some(b'd') => Ok(ByteSet::of(|byte| byte.is_ascii_digit())),
            Some(b'w') => Ok(ByteSet::of(|byte| byte.is_ascii_alphanumeric() || byte == b'_')),
            Some(byte) if MEANT.contains(&byte) || byte >= 0x80 => Err(Fault::NotUnderstood),
            Some(byte) if byte.is_ascii_alphanumeric() => Err(ESCAPE),
            Some(byte) => Ok(ByteSet::of(|other| other == byte)),
        }
    }

    fn bracket(&mut self) -> Result<ByteSet, Fault> {
        let negated = self.take_if(b'^');
        let mut set = ByteSet::EMPTY;
        let mut first = true;
        loop {
            let byte = self.take().ok_or(BRACKETS)?;
            match byte {
                b']' if !first => break,
                b'[' if self.peek() == Some(b':') => set.union(self.class()?),
                b'[' if matches!(self.peek(), Some(b'.' | b'=')) => return Err(Fault::NotUnderstood),
                b'\\' => return Err(Fault::NotUnderstood),
                byte if byte >= 0x80 => return Err(Fault::NotUnderstood),
                start => self.range(start, first, &mut set)?,
            }
            first = false;
        }
        Ok(if negated { set.negated() } else { set })
    }

    /// One byte, or a range that starts with it.
    fn range(&mut self, start: u8, first: bool, set: &mut ByteSet) -> Result<(), Fault> {
        if self.peek() != Some(b'-') || self.text.get(self.at + 1) == Some(&b']') {
            // A hyphen that is neither first nor last is read in more than one way.
            if start == b'-' && !first && self.peek() != Some(b']') {
                return Err(Fault::NotUnderstood);
            }
            set.insert(start);
            return Ok(());
        }
        self.at += 1;
        let end = self.take().ok_or(BRACKETS)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric();
        if !plain(start) || !plain(end) {
            return Err(Fault::NotUnderstood);
        }
        if start > end {
            return Err(Fault::Refused("invalid character range"));
        }
        (start..=end).for_each(|byte| set.insert(byte));
        Ok(())
    }

    /// `[:alpha:]`, its first bracket taken.
    fn class(&mut self) -> Result<ByteSet, Fault> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let named = |name: &str| rest.starts_with(format!(":{name}:]").as_bytes());
        let (name, fits): (&str, fn(u8) -> bool) = if named("alpha") {
            ("alpha", |byte| byte.is_ascii_alphabetic())
        } else if named("digit") {
            ("digit", |byte| byte.is_ascii_digit())
        } else if named("alnum") {
            ("alnum", |byte| byte.is_ascii_alphanumeric())
        } else if named("lower") {
            ("lower", |byte| byte.is_ascii_lowercase())
        } else if named("upper") {
            ("upper", |byte| byte.is_ascii_uppercase())
        } else {
            return Err(Fault::NotUnderstood);
        };
        self.at += name.len() + 3;
        Ok(ByteSet::of(fits))
    }

    fn quantified(&mut self, node: Node) -> Result<Node, Fault> {
        let (least, most) = match self.peek() {
            Some(b'*') => (0, None),
            Some(b'+') => (1, None),
            Some(b'?') => (0, Some(1)),
            Some(b'{') if self.text.get(self.at + 1).is_some_and(u8::is_ascii_digit) => {
                return self.counted(node);
            }
            _ => return Ok(node),
        };
        self.at += 1;
        self.repeated(node, least, most)
    }

    /// `{m}`, `{m,}` and `{m,n}`.
    fn counted(&mut self, node: Node) -> Result<Node, Fault> {
        self.at += 1;
        let least = self.count()?;
        let most = if self.take_if(b',') {
            if self.peek() == Some(b'}') { None } else { Some(self.count()?) }
        } else {
            Some(least)
        };
        match self.take() {
            None => return Err(BRACES),
            Some(b'}') if most.is_none_or(|most| most >= least) => {}
            Some(_) => return Err(COUNTS),
        }
        self.repeated(node, least, most)
    }

    fn count(&mut self) -> Result<u32, Fault> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        let digits = self.text.get(start..self.at).unwrap_or_default();
        let number = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok());
        match self.peek() {
            None => Err(BRACES),
            Some(_) => number.filter(|number| *number <= MAX_REPEAT).ok_or(COUNTS),
        }
    }

    fn repeated(&mut self, node: Node, least: u32, most: Option<u32>) -> Result<Node, Fault> {
        // Reluctance changes what is matched, not whether.
        self.take_if(b'?');
        match self.peek() {
            Some(b'*' | b'+' | b'?') => Err(QUANTIFIER),
            Some(b'{') if self.text.get(self.at + 1).is_some_and(u8::is_ascii_digit) => Err(QUANTIFIER),
            _ => Ok(Node::Repeat { node: Box::new(node), least, most }),
        }
    }
}
