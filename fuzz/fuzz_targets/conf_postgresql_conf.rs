//! postgresql.conf keeps every byte of its text, and of all settings of a name, whatever its case and wherever it is
//! included, the last one counts.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use pgseal_conf::PgVersion;
use pgseal_conf::settings::{
    CommandLine, ConfFile, Effective, ErrorLimit, Settings, Statement, is_parameter, parse_bool,
    postmaster_opts, quote,
};

/// Files that mention one another again and again are opened 10,000 times, so they are short.
const MAX_FOLDER: usize = 600;

// postgresql.conf, then what it may include.
fuzz_target!(|input: &[u8]| {
    let (main, mut files) = pgseal_fuzz::in_folder("/etc", input);
    text(&main);
    if input.len() > MAX_FOLDER {
        files.clear();
    }
    let path = "/etc/postgresql.conf".into();
    files.insert("/etc/postgresql.conf".into(), main.clone());
    for version in PgVersion::ALL {
        for limit in [ErrorLimit::One, ErrorLimit::Hundred] {
            let settings = Settings::load(&path, Some(&"/etc".into()), &files, version, limit);
            assert_eq!(settings.path(0), Some(&path));
            assert_eq!(settings.files[0].1.bytes(), main);
            effective(&settings, version);
        }
    }
    command_line(&main);
});

fn text(main: &[u8]) {
    let file = ConfFile::read(main.to_vec()).expect("it is short");
    assert_eq!(file.bytes(), main);
    let mut end = 0;
    for (line, number) in file.lines().iter().zip(1..) {
        assert_eq!((line.source.start, line.number), (end, number));
        assert_eq!(file.raw(line), &main[line.source.clone()]);
        end = line.source.end;
        assert!(line.comment.is_none_or(|at| line.source.contains(&at) && main[at] == b'#'));
        match &line.statement {
            Statement::Setting { name, value, value_source } => {
                assert!(!name.is_empty() && value.as_bytes().len() <= value_source.len());
                assert!(line.source.start < value_source.start && value_source.end <= end);
                written_again(line.number, name.as_bytes(), value.as_bytes());
            }
            Statement::Broken { near: Some(near) } => {
                assert!(line.source.start <= near.start && near.end <= end);
            }
            Statement::Broken { near: None } | Statement::Empty => {}
        }
    }
    assert_eq!(end, main.len());
    for index in 0..file.lines().len().min(3) {
        let silent = ConfFile::read(file.comment_out(index)).expect("it is short");
        assert_eq!(silent.lines()[index].statement, Statement::Empty);
    }
}

/// A value that is quoted reads back.
fn written_again(number: u32, name: &[u8], value: &[u8]) {
    let _ = parse_bool(value);
    let Some(quoted) = std::str::from_utf8(value).ok().and_then(quote) else { return };
    let line = [name, b" = ", quoted.as_bytes()].concat();
    let file = ConfFile::read(line).expect("it is short");
    let read = file.lines().first().map(|line| &line.statement);
    assert!(
        matches!(read, Some(Statement::Setting { name: again, value: read, .. })
            if again.as_bytes() == name && read.as_bytes() == value),
        "line {number}: {read:?}"
    );
}

fn effective(settings: &Settings, version: PgVersion) {
    let mut counted = BTreeSet::new();
    for setting in settings.settings.iter().rev() {
        let name = setting.name.as_bytes().to_ascii_lowercase();
        assert!(settings.path(setting.file).is_some());
        assert_eq!(setting.unknown, !is_parameter(&name, version));
        assert_eq!(setting.counts, counted.insert(name.clone()));
        if let Some(name) = std::str::from_utf8(&name).ok().filter(|_| setting.counts) {
            assert_eq!(settings.effective(name), Some(Effective::File(setting)));
            assert_eq!(settings.effective(&name.to_ascii_uppercase()), Some(Effective::File(setting)));
        }
    }
    assert!(settings.errors.iter().all(|error| error.file.is_none_or(|file| settings.path(file).is_some())));
    assert_eq!(
        settings.effective("pgseal.nothing_sets_it").is_some(),
        counted.contains(&b"pgseal.nothing_sets_it"[..])
    );
}

/// The same text as the arguments of a postmaster: its settings beat those of files.
fn command_line(main: &[u8]) {
    let arguments = postmaster_opts(main);
    assert!(!arguments.is_empty());
    let line = CommandLine::parse(&arguments[1..]);
    let settings = Settings::default().with_command_line(line.clone());
    for setting in &line.settings {
        let last = line.settings.iter().rfind(|later| later.name.eq_ignore_ascii_case(&setting.name));
        let last = last.map(|last| Effective::CommandLine(&last.value));
        assert_eq!(settings.effective(&setting.name), last);
    }
}
