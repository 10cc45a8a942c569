//! Settings taken out of the `command:` of a service, and nothing else touched: comments, anchors, order and quoting
//! stay to the byte. Pure; whether compose reads the result as it was meant is for the caller to ask.

use std::ops::Range;

use super::file::ComposeFile;
use super::words::{Given, split};
use super::yaml::{Document, Node, Style, What};

/// The text as it is to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Edited {
    pub(crate) text: String,
    /// The bytes of the old text that are not in it, in order, none of them twice.
    pub(crate) cuts: Vec<Cut>,
}

/// Bytes of a text that become others; of an empty range nothing goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) at: Range<usize>,
    /// What stands there instead.
    pub(crate) put: String,
}

impl Cut {
    pub(crate) const fn out(at: Range<usize>) -> Self {
        Self { at, put: String::new() }
    }
}

/// Why the text is not edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsafe {
    /// The file says no command of the service's own: an anchor, an extension or another file does.
    SaidElsewhere,
    /// It is written in a way that cannot be taken apart for sure.
    Unclear,
}

impl Unsafe {
    pub(crate) const fn why(self) -> &'static str {
        match self {
            Self::SaidElsewhere => {
                "the service's command is said elsewhere: by an anchor, an extension or another file"
            }
            Self::Unclear => "the command is written in a way that is not taken apart safely",
        }
    }
}

/// What goes from the text with these settings of the service's command. `words`: the command as compose has it.
pub(crate) fn without(
    file: &ComposeFile,
    service: &str,
    words: &[String],
    gone: &[Given],
) -> Result<Vec<Cut>, Unsafe> {
    let (text, document) = (file.text.as_str(), &file.document);
    let services = document.at(&["services"]).ok_or(Unsafe::SaidElsewhere)?;
    let (_, owner) = document.entry(services, service).ok_or(Unsafe::SaidElsewhere)?;
    if matches!(owner.what, What::Alias(_)) {
        return Err(Unsafe::SaidElsewhere);
    }
    let (key, value) = document.entry(owner, "command").ok_or(Unsafe::SaidElsewhere)?;
    let leave = |at: usize| !gone.iter().any(|given| given.at.contains(&at));
    let nothing_is_left = !(0..words.len()).any(leave);
    let cuts = match &value.what {
        What::Alias(_) => return Err(Unsafe::SaidElsewhere),
        _ if value.anchored => return Err(Unsafe::Unclear),
        What::Map(_) => return Err(Unsafe::Unclear),
        // The key's lines and the value's, whole.
        _ if nothing_is_left => vec![lines_of(text, &(key.span.start..value.span.end))],
        What::Scalar { style, .. } => in_text(text, value, *style, words, gone)?,
        What::List(items) => in_list(document, text, value, items, words, gone)?,
    };
    Ok(cuts.into_iter().map(Cut::out).collect())
}

/// In one text, whatever its style: words are parted by blanks and line ends in all of them.
fn in_text(
    text: &str,
    value: &Node,
    style: Style,
    words: &[String],
    gone: &[Given],
) -> Result<Vec<Range<usize>>, Unsafe> {
    let body = match style {
        Style::Plain => value.span.clone(),
        Style::Quoted => value.span.start + 1..value.span.end.saturating_sub(1),
        Style::Block => {
            // Behind the line with `>` or `|`, where that is counted in.
            let raw = text.get(value.span.clone()).ok_or(Unsafe::Unclear)?;
            let header = raw.starts_with(['>', '|']);
            let skipped = if header { raw.find('\n').ok_or(Unsafe::Unclear)? + 1 } else { 0 };
            value.span.start + skipped..value.span.end
        }
    };
    let raw = text.get(body.clone()).ok_or(Unsafe::Unclear)?;
    let there = split(raw).ok_or(Unsafe::Unclear)?;
    // As YAML has it the same words have to be there: no escapes, and as compose has it as many of them.
    let read = split(value.text().unwrap_or_default()).ok_or(Unsafe::Unclear)?;
    let same = there.iter().map(|(word, _)| word).eq(read.iter().map(|(word, _)| word));
    if !same || there.len() != words.len() {
        return Err(Unsafe::Unclear);
    }
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for given in gone {
        let (first, last) = (there.get(given.at.start), there.get(given.at.end - 1));
        let (Some((_, first)), Some((_, last))) = (first, last) else { return Err(Unsafe::Unclear) };
        let range = body.start + first.start..body.start + last.end;
        match ranges.last_mut() {
            // Side by side on one line, they go as one.
            Some(before) if text.get(before.end..range.start).is_some_and(is_blank) => before.end = range.end,
            _ => ranges.push(range),
        }
    }
    Ok(ranges.into_iter().map(|range| with_what_parts_it(text, range)).collect())
}

fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c == ' ' || c == '\t')
}

/// The words, and the blanks behind them, or before them at the end of a line; the line itself where they are all
/// of it.
fn with_what_parts_it(text: &str, words: Range<usize>) -> Range<usize> {
    let before = text.get(..words.start).unwrap_or_default();
    let after = text.get(words.end..).unwrap_or_default();
    let line_before = before.rsplit('\n').next().unwrap_or_default();
    let line_after = after.split('\n').next().unwrap_or_default();
    if is_blank(line_before) && is_blank(line_after.trim_end_matches('\r')) {
        return words.start - line_before.len()..(words.end + line_after.len() + 1).min(text.len());
    }
    let further = line_after.trim_start_matches([' ', '\t']);
    // Nothing of the command follows on the line: a comment, a closing quote, or its end.
    if further.starts_with(['#', '"', '\'', '\r']) || further.is_empty() {
        let kept = before.trim_end_matches([' ', '\t']);
        return kept.len()..words.end;
    }
    words.start..words.end + (line_after.len() - further.len())
}

/// In a list: items with what parts them, or their lines.
fn in_list(
    document: &Document,
    text: &str,
    value: &Node,
    items: &[Node],
    words: &[String],
    gone: &[Given],
) -> Result<Vec<Range<usize>>, Unsafe> {
    let scalars = items.iter().all(|item| document.led(item).text().is_some() && !item.anchored);
    if !scalars || items.len() != words.len() {
        return Err(Unsafe::Unclear);
    }
    let flow = text.get(value.span.start..).is_some_and(|rest| rest.starts_with('['));
    let leaves = |at: usize| gone.iter().any(|given| given.at.contains(&at));
    if flow {
        return Ok(in_flow(items, leaves));
    }
    let mut cuts = Vec::new();
    for (_, item) in items.iter().enumerate().filter(|(at, _)| leaves(*at)) {
        let line = lines_of(text, &item.span);
        if text.get(line.start..item.span.start).unwrap_or_default().trim() != "-" {
            return Err(Unsafe::Unclear);
        }
        cuts.push(line);
    }
    Ok(cuts)
}

/// With the comma behind them, or at the end of the list with the one before.
fn in_flow(items: &[Node], leaves: impl Fn(usize) -> bool) -> Vec<Range<usize>> {
    let mut cuts = Vec::new();
    let mut at = 0;
    while at < items.len() {
        let end = (at..items.len()).find(|at| !leaves(*at)).unwrap_or(items.len());
        if end > at {
            let before = at.checked_sub(1).and_then(|before| items.get(before));
            let span = |at: usize| items.get(at).map(|item| item.span.clone()).unwrap_or_default();
            cuts.push(match (items.get(end), before) {
                (Some(next), _) => span(at).start..next.span.start,
                (None, Some(before)) => before.span.end..span(end - 1).end,
                (None, None) => span(at).start..span(end - 1).end,
            });
        }
        at = end + 1;
    }
    cuts
}

/// All of the lines that the bytes lie in, with their ends.
pub(super) fn lines_of(text: &str, bytes: &Range<usize>) -> Range<usize> {
    let before = text.get(..bytes.start).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    // A value may be counted up to the beginning of the line behind it.
    let inner = text.get(bytes.clone()).unwrap_or_default();
    let trimmed = bytes.start + inner.trim_end().len();
    let end = text.get(trimmed..).and_then(|rest| rest.find('\n')).map_or(text.len(), |at| trimmed + at + 1);
    start..end
}

/// The text with these bytes cut. Cuts may touch, and those that put nothing in may overlap, where a list loses its end.
pub(crate) fn cut(text: &str, mut cuts: Vec<Cut>) -> Option<Edited> {
    cuts.sort_by_key(|cut| cut.at.start);
    let mut joined: Vec<Cut> = Vec::new();
    for cut in cuts {
        match joined.last_mut() {
            Some(last) if cut.at.start <= last.at.end && last.put.is_empty() && cut.put.is_empty() => {
                last.at.end = last.at.end.max(cut.at.end);
            }
            Some(last) if cut.at.start < last.at.end => return None,
            _ => joined.push(cut),
        }
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for cut in &joined {
        out.push_str(text.get(at..cut.at.start)?);
        out.push_str(&cut.put);
        at = cut.at.end;
    }
    out.push_str(text.get(at..)?);
    Some(Edited { text: out, cuts: joined })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::words::{given, texts};
    use super::*;

    /// The file without `ssl_cert_file` and `ssl_key_file` in the command of its service db.
    fn edited(text: &str, words: &[&str]) -> Result<String, Unsafe> {
        let file = ComposeFile {
            path: PathBuf::from("/compose.yaml"),
            mode: 0o644,
            text: text.to_owned(),
            document: Document::read(text).unwrap(),
        };
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let gone: Vec<Given> =
            given(&words).into_iter().filter(|given| given.name.ends_with("_file")).collect();
        let edited = cut(text, without(&file, "db", &words, &gone)?).ok_or(Unsafe::Unclear)?;
        let kept: usize = edited.cuts.iter().map(|cut| cut.at.len()).sum();
        assert_eq!(edited.text.len() + kept, text.len());
        Ok(edited.text)
    }

    fn around(command: &str) -> String {
        format!(
            "# top\nservices:\n  db:\n    image: 'postgres:16' # image\n{command}    ports: [ \"5432:5432\" ]\n  web: {{image: busybox}}\n"
        )
    }

    const WORDS: [&str; 6] = ["-c", "ssl=on", "-c", "ssl_cert_file=/c", "-c", "ssl_key_file=/k"];

    #[test]
    fn every_way_of_writing_a_command_loses_the_settings_and_nothing_else() {
        for (before, after) in [
            (
                "    command: >\n      -c ssl=on\n      -c ssl_cert_file=/c\n      -c ssl_key_file=/k\n",
                "    command: >\n      -c ssl=on\n",
            ),
            (
                "    command: |\n      -c ssl=on -c ssl_cert_file=/c\n      -c ssl_key_file=/k\n",
                "    command: |\n      -c ssl=on\n",
            ),
            (
                "    command: -c ssl=on -c ssl_cert_file=/c -c ssl_key_file=/k   # why\n",
                "    command: -c ssl=on   # why\n",
            ),
            (
                "    command: \"-c ssl=on -c ssl_cert_file=/c -c ssl_key_file=/k\"\n",
                "    command: \"-c ssl=on\"\n",
            ),
            (
                "    command: [-c, ssl=on, \"-c\", 'ssl_cert_file=/c', -c, ssl_key_file=/k]\n",
                "    command: [-c, ssl=on]\n",
            ),
            (
                "    command:\n      # one\n      - -c\n      - ssl=on\n      - -c\n      - ssl_cert_file=/c # two\n      - \"-c\"\n      - 'ssl_key_file=/k'\n",
                "    command:\n      # one\n      - -c\n      - ssl=on\n",
            ),
        ] {
            assert_eq!(edited(&around(before), &WORDS).as_deref(), Ok(around(after).as_str()), "{before}");
        }
    }

    #[test]
    fn settings_in_front_and_in_the_middle_go_as_well() {
        let words = ["-c", "ssl_cert_file=/c", "-c", "ssl=on", "--ssl-key-file=/k", "-N", "50"];
        for (before, after) in [
            (
                "    command: -c ssl_cert_file=/c -c ssl=on --ssl-key-file=/k -N 50\n",
                "    command: -c ssl=on -N 50\n",
            ),
            (
                "    command: [ -c, ssl_cert_file=/c, -c, ssl=on, --ssl-key-file=/k, -N, '50' ]\n",
                "    command: [ -c, ssl=on, -N, '50' ]\n",
            ),
            (
                "    command: >-\n      -c ssl_cert_file=/c\n      -c ssl=on\n      --ssl-key-file=/k -N 50\n",
                "    command: >-\n      -c ssl=on\n      -N 50\n",
            ),
        ] {
            assert_eq!(edited(&around(before), &words).as_deref(), Ok(around(after).as_str()), "{before}");
        }
    }

    #[test]
    fn a_command_of_nothing_else_goes_with_its_key() {
        let words = ["-c", "ssl_cert_file=/c"];
        for before in [
            "    command: -c ssl_cert_file=/c\n",
            "    command: >\n      -c ssl_cert_file=/c\n",
            "    command: [\n      -c,\n      ssl_cert_file=/c ]\n",
            "    command:\n      - -c\n      - ssl_cert_file=/c\n",
        ] {
            assert_eq!(edited(&around(before), &words).as_deref(), Ok(around("").as_str()), "{before}");
        }
    }

    #[test]
    fn what_is_said_elsewhere_or_cannot_be_taken_apart_is_left_alone() {
        let anchor =
            "x-c: &c -c ssl=on -c ssl_cert_file=/c -c ssl_key_file=/k\nservices:\n  db:\n    command: *c\n";
        assert_eq!(edited(anchor, &WORDS), Err(Unsafe::SaidElsewhere));
        let merged = "x-d: &d {command: -c ssl=on}\nservices:\n  db:\n    <<: *d\n";
        assert_eq!(edited(merged, &WORDS), Err(Unsafe::SaidElsewhere));
        let escaped = around("    command: \"-c\\x20ssl=on -c ssl_cert_file=/c -c ssl_key_file=/k\"\n");
        assert_eq!(edited(&escaped, &WORDS), Err(Unsafe::Unclear));
        let nested = around("    command: \"-c ssl=on -c \\\"ssl_cert_file=/c\\\" -c ssl_key_file=/k\"\n");
        assert_eq!(edited(&nested, &WORDS), Err(Unsafe::Unclear));
        let anchored = around("    command: &x -c ssl=on -c ssl_cert_file=/c -c ssl_key_file=/k\n");
        assert_eq!(edited(&anchored, &WORDS), Err(Unsafe::Unclear));
        assert_eq!(texts("a b").map(|words| words.len()), Some(2));
    }
}
