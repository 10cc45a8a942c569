//! What PostgreSQL takes without a word and a person hardly meant. Refuses to change any verdict: notes only.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;

use super::address::AddressRange;
use super::connection::MAX_NAME;
use super::diagnostic::{Problem, Severity};
use super::load::Ruleset;
use super::rule::{AddressMatch, DatabaseMatch, RoleMatch, Rule};
use crate::PgVersion;
use crate::auth::Line;

/// A note: what it is about, the place, the words.
type Note = (Problem, Range<usize>, String);

/// How many notes of one kind are made: who does not mend the first thousand does not read the next.
const MAX_NOTES: usize = 1000;

/// Looks through every file and every rule.
pub(super) fn files(ruleset: &mut Ruleset) {
    let version = ruleset.server.version;
    let mut notes = Notes::default();
    for (index, file) in (0u32..).zip(&ruleset.files) {
        if file.text.bytes().starts_with(b"\xef\xbb\xbf") {
            let message = "the file starts with a UTF-8 byte order mark, which PostgreSQL takes for part of the first word";
            notes.push(index, 1, (Problem::ByteOrderMark, 0..3, message.to_owned()));
        }
        for line in file.text.lines() {
            for note in self::line(line, version) {
                notes.push(index, line.number(), note);
            }
        }
    }
    for rule in &ruleset.rules {
        for note in self::rule(rule) {
            notes.push(rule.file, rule.line, note);
        }
    }
    for (file, line, (problem, place, message)) in notes.made {
        ruleset.diagnose(Severity::Note, problem, file, line, place, message);
    }
}

/// The notes made, and how many of each kind.
#[derive(Default)]
struct Notes {
    made: Vec<(u32, u32, Note)>,
    counts: BTreeMap<Problem, usize>,
}

impl Notes {
    fn push(&mut self, file: u32, line: u32, note: Note) {
        let count = self.counts.entry(note.0).or_default();
        *count += 1;
        if *count <= MAX_NOTES {
            self.made.push((file, line, note));
        }
    }
}

fn line(line: Line<'_>, version: PgVersion) -> Vec<Note> {
    let mut notes = Vec::new();
    let raw = line.raw();
    let start = line.source().start;
    if let Some(at) = raw.iter().position(|byte| *byte == 0) {
        let place = start + at..start + at + 1;
        notes.push((Problem::NulByte, place, "a NUL byte hides the rest of its line".to_owned()));
    }
    let last = line.fields().next_back().and_then(|field| field.tokens().next_back());
    let Some(last) = last else { return notes };
    let spelled = raw.get(last.source().start - start..last.source().end - start).unwrap_or_default();
    if spelled.iter().fold(false, |open, byte| open ^ (*byte == b'"')) {
        notes.push((
            Problem::UnterminatedQuote,
            last.source(),
            "a quote is not closed before the line ends".to_owned(),
        ));
    }
    if version < PgVersion::V14 && last.text().ends_with(b"\\") {
        let message = "a backslash at the end of a line does not continue it in this version".to_owned();
        notes.push((Problem::TrailingBackslash, last.source(), message));
    }
    notes
}

fn rule(rule: &Rule) -> Vec<Note> {
    let mut notes = Vec::new();
    let place = || rule.source.clone();
    let databases = rule.databases.iter().filter_map(|word| match word {
        DatabaseMatch::Name(name) => Some(name),
        _ => None,
    });
    let roles = rule.roles.iter().filter_map(|word| match word {
        RoleMatch::Name(name) | RoleMatch::MemberOf(name) => Some(name),
        _ => None,
    });
    for name in databases.chain(roles).filter(|name| name.as_bytes().len() > MAX_NAME) {
        let message = format!("\"{name}\" is longer than any name can be");
        notes.push((Problem::NameTooLong, place(), message));
    }
    match &rule.address {
        Some(AddressMatch::HostName(name)) if looks_like_an_address(name.as_bytes()) => {
            let message = format!("\"{name}\" is no address, so it is taken for a host name");
            notes.push((Problem::AddressAsHostName, place(), message));
        }
        Some(AddressMatch::Range(range)) => {
            notes.extend(range_notes(*range).map(|(p, text)| (p, place(), text)));
        }
        _ => {}
    }
    notes
}

fn range_notes(range: AddressRange) -> impl Iterator<Item = (Problem, String)> {
    let holes = range
        .length()
        .is_none()
        .then(|| (Problem::MaskWithHoles, format!("the mask {} has holes", range.mask())));
    let host_bits = host_bits(range).map(|first| {
        (
            Problem::HostBits,
            format!("{range} is the range from {first} on: bits behind the mask do not count"),
        )
    });
    let mapped = match range.address() {
        IpAddr::V6(address)
            if address.to_ipv4_mapped().is_some() && range.length().is_some_and(|bits| bits >= 96) =>
        {
            let message = format!("{range} fits nobody: an IPv4 client is matched as IPv4");
            Some((Problem::MappedAddress, message))
        }
        _ => None,
    };
    [holes, host_bits, mapped].into_iter().flatten()
}

/// The first address of the range, where it is not the one written.
fn host_bits(range: AddressRange) -> Option<IpAddr> {
    let first = match (range.address(), range.mask()) {
        (IpAddr::V4(address), IpAddr::V4(mask)) => IpAddr::V4((address.to_bits() & mask.to_bits()).into()),
        (IpAddr::V6(address), IpAddr::V6(mask)) => IpAddr::V6((address.to_bits() & mask.to_bits()).into()),
        (address, _) => address,
    };
    (first != range.address()).then_some(first)
}

/// Digits and dots alone, or a colon: no host is called that.
fn looks_like_an_address(name: &[u8]) -> bool {
    let digits = name.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    !name.is_empty() && (digits || name.contains(&b':'))
}
