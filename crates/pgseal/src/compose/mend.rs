//! What people are bitten by in a compose file, mended in its text where somebody asks for it: the obsolete `version:`, the
//! server's port on every address, the superuser's password in the environment. Pure; whether compose reads the result as
//! it was meant is for the caller to ask.

use std::ops::Range;

use clap::ValueEnum;

use super::edit::{Cut, Unsafe, lines_of};
use super::file::ComposeFile;
use super::yaml::{Document, Node, What};

/// The server's port inside, unless its settings say otherwise.
pub(super) const PORT: &str = "5432";
/// The variable of the first superuser's password.
pub(crate) const PASSWORD: &str = "POSTGRES_PASSWORD";
const LOOPBACK: &str = "127.0.0.1";

/// One of them, by the finding that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mend {
    #[value(name = "compose-version-obsolete")]
    Version,
    #[value(name = "port-published-everywhere")]
    Ports,
    #[value(name = "password-in-environment")]
    Password,
}

impl Mend {
    /// The finding.
    pub(crate) const fn finding(self) -> &'static str {
        match self {
            Self::Version => "compose-version-obsolete",
            Self::Ports => "port-published-everywhere",
            Self::Password => "password-in-environment",
        }
    }

    /// Whether the container has to be made anew for it.
    pub(crate) fn makes_anew(self) -> bool {
        self != Self::Version
    }

    /// For a plan's title.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Version => "version: out of the file",
            Self::Ports => "the port on 127.0.0.1 alone",
            Self::Password => "POSTGRES_PASSWORD out of the environment",
        }
    }

    /// What of the text becomes something else.
    pub(crate) fn cuts(self, file: &ComposeFile, service: &str) -> Result<Vec<Cut>, Unsafe> {
        let (text, document) = (file.text.as_str(), &file.document);
        if self == Self::Version {
            let (key, value) = document.entry(&document.root, "version").ok_or(Unsafe::SaidElsewhere)?;
            return Ok(vec![Cut::out(version(text, &(key.span.start..value.span.end)))]);
        }
        let services = document.at(&["services"]).ok_or(Unsafe::SaidElsewhere)?;
        let owner = document.get(services, service).ok_or(Unsafe::SaidElsewhere)?;
        if matches!(owner.what, What::Alias(_)) {
            return Err(Unsafe::SaidElsewhere);
        }
        let name = if self == Self::Ports { "ports" } else { "environment" };
        let (key, value) = document.entry(owner, name).ok_or(Unsafe::SaidElsewhere)?;
        match &value.what {
            What::Alias(_) => Err(Unsafe::SaidElsewhere),
            _ if value.anchored => Err(Unsafe::Unclear),
            What::List(items) if self == Self::Ports => ports(document, text, items),
            _ if self == Self::Ports => Err(Unsafe::Unclear),
            _ => variable(text, key, value).map(|cut| vec![Cut::out(cut)]),
        }
    }
}

/// Its line, and at the top of the file the empty ones behind it.
fn version(text: &str, entry: &Range<usize>) -> Range<usize> {
    let mut line = lines_of(text, entry);
    if line.start == 0 {
        let rest = text.get(line.end..).unwrap_or_default();
        line.end += rest.len() - rest.trim_start_matches(['\n', '\r']).len();
    }
    line
}

fn ports(document: &Document, text: &str, items: &[Node]) -> Result<Vec<Cut>, Unsafe> {
    let mut cuts = Vec::new();
    for item in items {
        match &item.what {
            What::Scalar { text: port, .. } => cuts.extend(short_port(text, item, port)?),
            What::Map(_) => cuts.extend(long_port(document, text, item)),
            _ => return Err(Unsafe::Unclear),
        }
    }
    if cuts.is_empty() { Err(Unsafe::Unclear) } else { Ok(cuts) }
}

/// `5432:5432` and `0.0.0.0:5432:5432`; other ports and addresses are left alone.
fn short_port(text: &str, item: &Node, port: &str) -> Result<Option<Cut>, Unsafe> {
    let plain = port.split('/').next().unwrap_or_default();
    let Some((outer, PORT)) = plain.rsplit_once(':') else { return Ok(None) };
    let raw = text.get(item.span.clone()).ok_or(Unsafe::Unclear)?;
    let quote = usize::from(raw.starts_with(['"', '\'']));
    let start = item.span.start + quote;
    // No escapes, no tag: the text as YAML has it stands there.
    if text.get(start..start + port.len()) != Some(port) {
        return Err(Unsafe::Unclear);
    }
    let everywhere = "0.0.0.0";
    match outer.strip_prefix(everywhere) {
        Some(rest) if rest.starts_with(':') => {
            Ok(Some(Cut { at: start..start + everywhere.len(), put: LOOPBACK.to_owned() }))
        }
        _ if outer.starts_with('[') => Err(Unsafe::Unclear),
        // `${PORT:-5432}` has a colon that parts nothing.
        _ if !outer.starts_with("${") && outer.contains(':') => Ok(None),
        _ => Ok(Some(Cut { at: start..start, put: format!("{LOOPBACK}:") })),
    }
}

/// In words: `target: 5432`, and a line or a word in front of it.
fn long_port(document: &Document, text: &str, item: &Node) -> Option<Cut> {
    let (key, target) = document.entry(item, "target")?;
    if target.text() != Some(PORT) || document.get(item, "host_ip").is_some() {
        return None;
    }
    let start = key.span.start;
    let flow = text.get(item.span.start..)?.starts_with('{');
    let put = if flow {
        format!("host_ip: {LOOPBACK}, ")
    } else {
        let before = text.get(..start)?;
        let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1);
        format!("host_ip: {LOOPBACK}\n{}", " ".repeat(column))
    };
    Some(Cut { at: start..start, put })
}

/// The password's entry, or the whole of the environment where it is all of it.
fn variable(text: &str, key: &Node, value: &Node) -> Result<Range<usize>, Unsafe> {
    let spans: Vec<(bool, Range<usize>)> = match &value.what {
        What::Map(entries) => entries
            .iter()
            .map(|(name, value)| (name.text() == Some(PASSWORD), name.span.start..value.span.end))
            .collect(),
        What::List(items) => items
            .iter()
            .map(|item| {
                let name = item.text().and_then(|text| text.split('=').next());
                (name == Some(PASSWORD), item.span.clone())
            })
            .collect(),
        _ => return Err(Unsafe::Unclear),
    };
    let at = spans.iter().position(|(is_it, _)| *is_it).ok_or(Unsafe::SaidElsewhere)?;
    if spans.len() == 1 {
        return Ok(lines_of(text, &(key.span.start..value.span.end)));
    }
    let span = |at: usize| spans.get(at).map(|(_, span)| span.clone()).unwrap_or_default();
    if text.get(value.span.start..).is_some_and(|rest| rest.starts_with(['{', '['])) {
        return Ok(if at + 1 < spans.len() {
            span(at).start..span(at + 1).start
        } else {
            span(at - 1).end..span(at).end
        });
    }
    let line = lines_of(text, &span(at));
    let before = text.get(line.start..span(at).start).unwrap_or_default().trim();
    if before.is_empty() || before == "-" { Ok(line) } else { Err(Unsafe::Unclear) }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::edit::cut;
    use super::*;

    fn mended(mend: Mend, text: &str) -> Result<String, Unsafe> {
        let file = ComposeFile {
            path: PathBuf::from("/compose.yaml"),
            mode: 0o644,
            text: text.to_owned(),
            document: Document::read(text).unwrap(),
        };
        let cuts = mend.cuts(&file, "db")?;
        cut(text, cuts).map(|edited| edited.text).ok_or(Unsafe::Unclear)
    }

    #[test]
    fn the_version_goes_with_its_line() {
        for (before, after) in [
            ("version: '3.8'\n\nservices:\n  db: {}\n", "services:\n  db: {}\n"),
            ("# mine\nversion: \"3\" # old\nservices:\n  db: {}\n", "# mine\nservices:\n  db: {}\n"),
        ] {
            assert_eq!(mended(Mend::Version, before).as_deref(), Ok(after));
        }
        assert_eq!(mended(Mend::Version, "services: {db: {}}\n"), Err(Unsafe::SaidElsewhere));
    }

    #[test]
    fn a_port_gets_the_loopback_address_however_it_is_written() {
        let all = [
            ("[ \"5432:5432\", 80:80 ]", "[ \"127.0.0.1:5432:5432\", 80:80 ]"),
            ("\n      - 5433:5432 # shop", "\n      - 127.0.0.1:5433:5432 # shop"),
            ("\n      - '0.0.0.0:5433:5432/tcp'", "\n      - '127.0.0.1:5433:5432/tcp'"),
            ("[ \"${PORT:-5432}:5432\" ]", "[ \"127.0.0.1:${PORT:-5432}:5432\" ]"),
            (
                "\n      - published: 5433\n        target: 5432",
                "\n      - published: 5433\n        host_ip: 127.0.0.1\n        target: 5432",
            ),
            (
                "\n      - target: 5432\n        published: 5433",
                "\n      - host_ip: 127.0.0.1\n        target: 5432\n        published: 5433",
            ),
            ("[ {target: 5432, published: 1} ]", "[ {host_ip: 127.0.0.1, target: 5432, published: 1} ]"),
        ];
        for (before, after) in all {
            let file = |ports: &str| format!("services:\n  db:\n    ports: {ports}\n    image: a\n");
            assert_eq!(mended(Mend::Ports, &file(before)).as_deref(), Ok(file(after).as_str()), "{before}");
        }
        for ports in ["[ 127.0.0.1:5432:5432 ]", "[ '80:80' ]", "[ '[::]:5432:5432' ]", "*p"] {
            let file = format!("x: &p [ '5432:5432' ]\nservices:\n  db:\n    ports: {ports}\n");
            assert!(mended(Mend::Ports, &file).is_err(), "{ports}");
        }
    }

    #[test]
    fn a_password_goes_and_the_rest_of_the_environment_stays() {
        let all = [
            (
                "\n      POSTGRES_USER: a\n      POSTGRES_PASSWORD: b # first\n      TZ: UTC\n",
                "\n      POSTGRES_USER: a\n      TZ: UTC\n",
            ),
            ("\n      - POSTGRES_PASSWORD=b\n      - TZ=UTC\n", "\n      - TZ=UTC\n"),
            (" { POSTGRES_PASSWORD: b, TZ: UTC }\n", " { TZ: UTC }\n"),
            (" [ TZ=UTC, 'POSTGRES_PASSWORD=b' ]\n", " [ TZ=UTC ]\n"),
        ];
        for (before, after) in all {
            let file =
                |environment: &str| format!("services:\n  db:\n    environment:{environment}    image: a\n");
            let mended = mended(Mend::Password, &file(before));
            assert_eq!(mended.as_deref(), Ok(file(after).as_str()), "{before}");
        }
        let alone = "services:\n  db:\n    environment:\n      POSTGRES_PASSWORD: b\n    image: a\n";
        assert_eq!(mended(Mend::Password, alone).as_deref(), Ok("services:\n  db:\n    image: a\n"));
        let elsewhere = "services:\n  db:\n    environment: { TZ: UTC }\n    env_file: e\n";
        assert_eq!(mended(Mend::Password, elsewhere), Err(Unsafe::SaidElsewhere));
    }
}
