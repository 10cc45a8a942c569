//! YAML as a tree whose every node knows where it stands, so that an edit touches the bytes it must and no others.
//! Knows YAML, and nothing of compose.

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// More nodes than this no compose file has.
const MOST_NODES: usize = 200_000;
/// Deeper than this none nests.
const DEEPEST: usize = 100;

/// What lies at a place of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// The bytes it takes, from its first to behind its last; of an anchor or a tag in front of it nothing is known.
    pub(crate) span: Range<usize>,
    /// Whether another place may refer to it.
    pub(crate) anchored: bool,
    pub(crate) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Scalar {
        text: String,
        style: Style,
    },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    /// `*name`: the node with that number.
    Alias(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Quoted,
    /// `|` and `>`.
    Block,
}

/// Why a text is no YAML, and where: line and column from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoYaml {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) why: String,
}

/// A whole file: one document.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) root: Node,
    /// The nodes that anchors name.
    anchors: Vec<(usize, Node)>,
}

impl Document {
    /// Reads the text; an empty one is an empty mapping.
    pub(crate) fn read(text: &str) -> Result<Self, NoYaml> {
        let mut reader = Reader::new(text);
        let root = reader.document()?;
        let empty = Node { span: 0..0, anchored: false, what: What::Map(Vec::new()) };
        Ok(Self { root: root.unwrap_or(empty), anchors: reader.anchors })
    }

    /// The node itself, or the one that an alias names.
    pub(crate) fn led<'d>(&'d self, node: &'d Node) -> &'d Node {
        match node.what {
            What::Alias(number) => {
                self.anchors.iter().find(|(id, _)| *id == number).map_or(node, |(_, node)| node)
            }
            _ => node,
        }
    }

    /// The value of a key, where the mapping has it of its own.
    pub(crate) fn get<'d>(&'d self, node: &'d Node, key: &str) -> Option<&'d Node> {
        self.entry(node, key).map(|(_, value)| value)
    }

    /// Key and value; not what a merge key (`<<`) brings.
    pub(crate) fn entry<'d>(&'d self, node: &'d Node, key: &str) -> Option<&'d (Node, Node)> {
        let What::Map(entries) = &self.led(node).what else { return None };
        entries.iter().find(|(name, _)| name.text() == Some(key))
    }

    /// The same along a way of keys.
    pub(crate) fn at<'d>(&'d self, way: &[&str]) -> Option<&'d Node> {
        way.iter().try_fold(&self.root, |node, key| self.get(node, key))
    }
}

impl Node {
    /// A scalar's text.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.what {
            What::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    /// Where each character begins, in bytes, and the end.
    starts: Vec<usize>,
    anchors: Vec<(usize, Node)>,
    nodes: usize,
}

type Step<'t> = (Event<'t>, Span);

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        Self { text, parser: Parser::new_from_str(text), starts, anchors: Vec::new(), nodes: 0 }
    }

    fn next(&mut self) -> Result<Option<Step<'t>>, NoYaml> {
        match self.parser.next() {
            None => Ok(None),
            Some(Ok(step)) => Ok(Some(step)),
            Some(Err(error)) => Err(NoYaml {
                line: error.marker().line(),
                column: error.marker().col() + 1,
                why: error.info().chars().take(200).collect(),
            }),
        }
    }

    fn document(&mut self) -> Result<Option<Node>, NoYaml> {
        let mut root = None;
        while let Some((event, span)) = self.next()? {
            match event {
                Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::Nothing => {}
                _ if root.is_some() => return Err(refused(&span, "there is more than one document")),
                event => root = Some(self.node(event, &span, 0)?),
            }
        }
        Ok(root)
    }

    fn node(&mut self, event: Event<'t>, span: &Span, depth: usize) -> Result<Node, NoYaml> {
        self.nodes += 1;
        if self.nodes > MOST_NODES || depth > DEEPEST {
            return Err(refused(span, "there is more of it than of any compose file"));
        }
        let start = self.byte(span.start.index());
        let (what, anchor, end) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                };
                (What::Scalar { text: text.into_owned(), style }, anchor, span.end.index())
            }
            Event::Alias(number) => (What::Alias(number), 0, span.end.index()),
            Event::SequenceStart(anchor, _) => {
                let (items, end) = self.list(depth)?;
                (What::List(items), anchor, end)
            }
            Event::MappingStart(anchor, _) => {
                let (entries, end) = self.map(depth)?;
                (What::Map(entries), anchor, end)
            }
            _ => return Err(refused(span, "something stands where a value should")),
        };
        let end = start + self.length(start..self.byte(end).max(start), &what);
        let node = Node { span: start..end, anchored: anchor != 0, what };
        if anchor != 0 {
            self.anchors.push((anchor, node.clone()));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<(Vec<Node>, usize), NoYaml> {
        let mut items = Vec::new();
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::SequenceEnd) {
                return Ok((items, span.end.index()));
            }
            items.push(self.node(event, &span, depth + 1)?);
        }
        Err(cut_off())
    }

    fn map(&mut self, depth: usize) -> Result<(Vec<(Node, Node)>, usize), NoYaml> {
        let mut entries = Vec::new();
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::MappingEnd) {
                return Ok((entries, span.end.index()));
            }
            let key = self.node(event, &span, depth + 1)?;
            let Some((event, span)) = self.next()? else { break };
            let value = self.node(event, &span, depth + 1)?;
            entries.push((key, value));
        }
        Err(cut_off())
    }

    /// Without the blanks and the comment that may be counted with a scalar.
    fn length(&self, span: Range<usize>, what: &What) -> usize {
        let raw = self.text.get(span).unwrap_or_default();
        let What::Scalar { style, .. } = what else { return raw.len() };
        match style {
            Style::Block => raw.len(),
            Style::Plain => {
                let comment = raw.match_indices('#').map(|(at, _)| at);
                let before =
                    |at: &usize| raw.get(..*at).is_some_and(|text| text.ends_with(char::is_whitespace));
                let end = comment.filter(|at| *at > 0).find(before).unwrap_or(raw.len());
                raw.get(..end).unwrap_or_default().trim_end().len()
            }
            Style::Quoted => closing_quote(raw).map_or(raw.len(), |at| at + 1),
        }
    }

    fn byte(&self, character: usize) -> usize {
        let last = self.starts.last().copied().unwrap_or(0);
        self.starts.get(character).copied().unwrap_or(last)
    }
}

/// Where the quoted text ends that begins here: in single quotes a quote is doubled, in double ones escaped.
fn closing_quote(raw: &str) -> Option<usize> {
    let quote = raw.chars().next()?;
    let mut escaped = false;
    let mut rest = raw.char_indices().skip(1).peekable();
    while let Some((at, c)) = rest.next() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            c if c == quote && quote == '\'' && rest.peek().is_some_and(|(_, next)| *next == quote) => {
                rest.next();
            }
            c if c == quote => return Some(at),
            _ => {}
        }
    }
    None
}

fn refused(span: &Span, why: &str) -> NoYaml {
    NoYaml { line: span.start.line(), column: span.start.col() + 1, why: why.to_owned() }
}

fn cut_off() -> NoYaml {
    NoYaml { line: 0, column: 0, why: "it ends in the middle".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# größer\nx-env: &env {A: '1', B: two}\nservices:\n  db: # here\n    image: \"postgres:16\"\n    command: >\n      -c ssl=on\n      -c port=5433\n    environment: *env\n    ports: [ '5432:5432' ]\n";

    #[test]
    fn every_scalar_stands_where_its_span_says() {
        let document = Document::read(TEXT).unwrap();
        let raw = |way: &[&str]| {
            let node = document.at(way).unwrap();
            TEXT.get(node.span.clone()).unwrap()
        };
        assert_eq!(raw(&["services", "db", "image"]), "\"postgres:16\"");
        assert_eq!(document.at(&["services", "db", "image"]).unwrap().text(), Some("postgres:16"));
        let command = document.at(&["services", "db", "command"]).unwrap();
        assert_eq!(command.text(), Some("-c ssl=on -c port=5433\n"));
        assert!(raw(&["services", "db", "command"]).contains("-c ssl=on\n      -c port=5433"));
        let What::List(ports) = &document.at(&["services", "db", "ports"]).unwrap().what else { panic!() };
        assert_eq!(TEXT.get(ports[0].span.clone()), Some("'5432:5432'"));
    }

    #[test]
    fn a_scalar_ends_before_blanks_and_comments() {
        let text = "a: 'it''s # no' # yes 'x'\nb: \"\\\"q\\\" # no\"   # yes\nc: plain # comment\nd: {e: f , g: 'h' }\ni: x#y\n";
        let document = Document::read(text).unwrap();
        for (way, raw) in [
            (["a"].as_slice(), "'it''s # no'"),
            (&["b"], "\"\\\"q\\\" # no\""),
            (&["c"], "plain"),
            (&["d", "e"], "f"),
            (&["d", "g"], "'h'"),
            (&["i"], "x#y"),
        ] {
            assert_eq!(text.get(document.at(way).unwrap().span.clone()), Some(raw));
        }
    }

    #[test]
    fn an_alias_leads_to_what_it_names() {
        let document = Document::read(TEXT).unwrap();
        let environment = document.at(&["services", "db", "environment"]).unwrap();
        assert!(matches!(environment.what, What::Alias(_)));
        assert_eq!(document.get(environment, "B").and_then(Node::text), Some("two"));
        assert!(document.led(environment).anchored);
    }

    #[test]
    fn what_is_wrong_is_said_with_line_and_column() {
        let wrong = Document::read("services:\n  db:\n    image: a\n   command: b\n").unwrap_err();
        assert_eq!(wrong.line, 4, "{wrong:?}");
        assert!(Document::read("a: 1\n---\nb: 2\n").is_err());
        assert!(Document::read(&"[".repeat(1000)).is_err());
        assert!(matches!(Document::read("").unwrap().root.what, What::Map(_)));
    }
}
