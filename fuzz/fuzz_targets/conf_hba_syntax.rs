//! pg_hba.conf keeps every byte and every line of its text for every version, each record becomes a rule or an error,
//! and each error says where.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use pgseal_conf::PgVersion;
use pgseal_conf::auth::AuthFile;
use pgseal_conf::hba::{ConnectionType, Ruleset, Server, Severity};

/// Files that mention one another again and again are opened 10,000 times, so they are short.
const MAX_FOLDER: usize = 600;

// pg_hba.conf, then what it may include.
fuzz_target!(|input: &[u8]| {
    let (main, mut beside) = pgseal_fuzz::in_folder("/etc", input);
    if input.len() > MAX_FOLDER {
        beside.clear();
    }
    for version in PgVersion::ALL {
        let file = AuthFile::read(main.clone(), version).expect("it is short");
        text(&main, &file);
        if [PgVersion::V13, PgVersion::V14].contains(&version) {
            edits(&main, &file);
        }
        let path = "/etc/pg_hba.conf".into();
        let ruleset = Ruleset::read(&path, main.clone(), &beside, Server::of(version));
        assert_eq!(ruleset.files[0].text.bytes(), main);
        assert_eq!(ruleset.path(0), Some(&path));
        rules(&ruleset);
        diagnostics(&ruleset);
    }
});

/// Lines follow one another without gap, tokens lie in their line in order.
fn text(main: &[u8], file: &AuthFile) {
    assert_eq!(file.bytes(), main);
    let (mut end, mut number) = (0, 0);
    for line in file.lines() {
        let source = line.source();
        assert!(source.start == end && source.end > end && line.number() > number);
        assert_eq!(line.raw(), &main[source.clone()]);
        (end, number) = (source.end, line.number());
        let found = file.line_numbered(number).expect("its own number finds it");
        assert_eq!(found.source(), source);
        let mut place = source.start;
        for field in line.fields() {
            assert!(field.tokens().len() > 0, "no field is empty");
            for token in field.tokens() {
                assert!(place <= token.source().start && token.source().start < token.source().end);
                assert!(token.text().len() <= token.source().len());
                place = token.source().end;
            }
        }
        let comment = line.comment().unwrap_or(place);
        assert!(place <= comment && comment <= end);
        assert!(line.comment().is_none_or(|at| main[at] == b'#'));
    }
    assert_eq!(end, main.len());
}

/// A line is commented out whole, and one that is put in comes out again; until 13 no line continues another.
fn edits(main: &[u8], file: &AuthFile) {
    let version = file.version();
    for (index, line) in file.lines().enumerate().take(3) {
        let silent = AuthFile::read(file.comment_out(index), version).expect("it is short");
        assert_eq!(silent.line_numbered(line.number()).map(|line| line.fields().len()), Some(0));
        let with =
            AuthFile::read(file.insert_line(index, b"local all all peer"), version).expect("it is short");
        assert_eq!(with.lines().len(), file.lines().len() + 1);
        assert_eq!(with.remove_line(index), main);
    }
}

fn rules(ruleset: &Ruleset) {
    let places = ruleset.entries.iter().filter_map(|entry| entry.rule);
    let all = 0..u32::try_from(ruleset.rules.len()).expect("there are few");
    assert!(places.eq(all), "each rule has its entry");
    let refused: BTreeSet<_> = ruleset.errors().map(|found| (found.file, found.line)).collect();
    for entry in &ruleset.entries {
        assert!(ruleset.path(entry.file).is_some());
        if let Some(rule) = entry.rule.and_then(|place| ruleset.rules.get(place as usize)) {
            assert_eq!((rule.file, rule.line), (entry.file, entry.line));
        } else {
            let said = refused.contains(&(entry.file, entry.line));
            assert!(said, "line {} is refused without an error", entry.line);
        }
    }
    for rule in &ruleset.rules {
        let file = &ruleset.files[rule.file as usize].text;
        let line = file.line_numbered(rule.line).expect("it stands on a line");
        assert_eq!(line.source(), rule.source);
        assert!(!rule.databases.is_empty() && !rule.roles.is_empty());
        assert_eq!(rule.address.is_none(), rule.connection == ConnectionType::Local);
        assert!(rule.method.is_known_to(ruleset.server.version));
        assert!(rule.options.iter().all(|option| option.name.is_known_to(ruleset.server.version)));
    }
    let rows = ruleset.view();
    assert_eq!(rows.len(), ruleset.entries.len());
    for (row, entry) in rows.iter().zip(&ruleset.entries) {
        assert_eq!((row.line_number, &row.error), (entry.line, &entry.view_error));
        assert_eq!(row.connection.is_some(), entry.rule.is_some());
    }
}

fn diagnostics(ruleset: &Ruleset) {
    for found in &ruleset.diagnostics {
        let file = &ruleset.files[found.file as usize].text;
        assert!(found.place.start <= found.place.end && found.place.end <= file.bytes().len());
        assert!(found.line == 0 || file.line_numbered(found.line).is_some(), "{found:?}");
        assert!(!found.message.is_empty() && !found.problem.name().is_empty());
    }
    let refused = ruleset.diagnostics.iter().any(|found| found.severity == Severity::Error);
    assert_eq!(ruleset.loads(), !refused);
    let whole = !ruleset.entries.is_empty() && ruleset.entries.iter().all(|entry| entry.rule.is_some());
    assert!(whole || !ruleset.loads());
}
