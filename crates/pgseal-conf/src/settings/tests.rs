use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{ByteString, PgVersion};

fn read(text: &str) -> ConfFile {
    ConfFile::read(text.as_bytes().to_vec()).unwrap()
}

/// Name and value of a line that is a setting.
fn setting(text: &str) -> Option<(String, String)> {
    match &read(text).lines()[0].statement {
        Statement::Setting { name, value, .. } => Some((name.to_string(), value.to_string())),
        _ => None,
    }
}

fn load(files: &[(&str, &str)]) -> Settings {
    let files: BTreeMap<ByteString, Vec<u8>> =
        files.iter().map(|(path, text)| ((*path).into(), text.as_bytes().to_vec())).collect();
    Settings::load(
        &"/c/postgresql.conf".into(),
        Some(&"/d".into()),
        &files,
        PgVersion::V18,
        ErrorLimit::Hundred,
    )
}

/// Each was seen in `pg_file_settings` of 12 to 18.
#[test]
fn settings_read_as_the_server_reads_them() {
    for (text, name, value) in [
        ("ssl on", "ssl", "on"),
        ("ssl=on", "ssl", "on"),
        (" SSL\t= 'on' # c", "SSL", "on"),
        ("port = +5_432x#", "", ""),
        ("port = 5432", "port", "5432"),
        ("a.b = x", "a.b", "x"),
        ("work_mem = 4MB", "work_mem", "4MB"),
        ("x = 0x1F", "x", "0x1F"),
        ("x = 1.5e-3", "x", "1.5e-3"),
        ("x = .", "x", "."),
        ("x = -1", "x", "-1"),
        ("ssl_min_protocol_version = TLSv1.3", "ssl_min_protocol_version", "TLSv1.3"),
        ("x = a/b:c-d", "x", "a/b:c-d"),
        ("x = 'a''b\\'c\\n\\101\\q'", "x", "a'b'c\nAq"),
        ("x = ''", "x", ""),
        ("x = 'a\\000b'", "x", "a"),
        ("é = x", "é", "x"),
    ] {
        let expected = (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()));
        assert_eq!(setting(text), expected, "{text}");
    }
}

#[test]
fn what_is_no_setting_is_a_syntax_error_with_its_token() {
    for (text, near) in [
        ("ssl = /a", Some("/")),
        ("x = a.b", Some("a.b")),
        ("work_mem = 1 MB", Some("MB")),
        ("ssl", None),
        ("ssl =", None),
        ("ssl = = on", Some("=")),
        ("= on", Some("=")),
        ("1 = 2", Some("1")),
        ("x = 'a", Some("'")),
        ("x = 'a'b'", Some("b")),
        ("x = on off", Some("off")),
        ("x = 1.5MB", Some("MB")),
        ("x = -", Some("-")),
        ("a.b.c = 1", Some("a.b.c")),
    ] {
        let file = read(text);
        let Statement::Broken { near: found } = &file.lines()[0].statement else {
            panic!("{text} is a setting")
        };
        let found = found.clone().map(|place| String::from_utf8_lossy(&file.bytes()[place]).into_owned());
        assert_eq!(found.as_deref(), near, "{text}");
    }
}

#[test]
fn the_last_setting_wins_over_all_files() {
    let settings = load(&[
        (
            "/c/postgresql.conf",
            "ssl = off\ninclude 'more.conf'\nSSL = on\ninclude_dir 'conf.d'\ninclude_if_exists 'no.conf'\n",
        ),
        ("/c/more.conf", "port = 1\nssl = no\n"),
        ("/c/conf.d/a.conf", "port = 2\n"),
        ("/c/conf.d/b.txt", "port = 9\n"),
        ("/d/postgresql.auto.conf", "work_mem = '8MB'\n"),
    ]);
    assert_eq!(settings.errors, []);
    let value = |name| settings.effective(name).map(|found| found.value().to_string());
    assert_eq!(value("ssl"), Some("on".to_owned()));
    assert_eq!(value("port"), Some("2".to_owned()));
    assert_eq!(value("work_mem"), Some("8MB".to_owned()));
    assert_eq!(value("fsync"), None);
    assert_eq!(settings.skipped, [ByteString::from("/c/no.conf")]);
    let counting: Vec<_> =
        settings.settings.iter().filter(|s| s.counts).map(|s| s.name.to_string()).collect();
    assert_eq!(counting, ["SSL", "port", "work_mem"]);

    let line = CommandLine::parse(&["-D", "/d", "-c", "ssl=off", "--work-mem=1MB", "-p5433", "-il"]);
    assert_eq!(line.data_directory, Some("/d".into()));
    let settings = settings.with_command_line(line);
    let value = |name| settings.effective(name).map(|found| found.value().to_string());
    assert_eq!(value("ssl"), Some("true".to_owned()), "-l comes after -c ssl=off");
    assert_eq!((value("work_mem"), value("port")), (Some("1MB".to_owned()), Some("5433".to_owned())));
}

#[test]
fn mistakes_are_named_where_they_are() {
    let settings = load(&[
        (
            "/c/postgresql.conf",
            "ssl = \ninclude 'self.conf'\ninclude 'none.conf'\ninclude ' '\ninclude_dir 'none'\nbogus = 1\nx.y = 1\nport",
        ),
        ("/c/self.conf", "include 'self.conf'\n"),
    ]);
    let errors: Vec<_> = settings
        .errors
        .iter()
        .map(|error| {
            (settings.path(error.file.unwrap()).unwrap().to_string(), error.line, error.message.as_str())
        })
        .collect();
    let main = || "/c/postgresql.conf".to_owned();
    assert_eq!(
        errors,
        [
            (main(), 1, "syntax error"),
            ("/c/self.conf".to_owned(), 1, "configuration file recursion"),
            (main(), 3, "could not open file \"/c/none.conf\""),
            (main(), 4, "empty configuration file name"),
            (main(), 5, "could not open directory \"/c/none\""),
            (main(), 7, "syntax error"),
            (main(), 6, "unrecognized configuration parameter"),
        ]
    );
}

#[test]
fn loops_end() {
    let settings = load(&[
        ("/c/postgresql.conf", "include 'a.conf'\ninclude 'a.conf'\n"),
        ("/c/a.conf", "include 'b.conf'\ninclude 'b.conf'\ninclude 'b.conf'\ninclude 'b.conf'\n"),
        ("/c/b.conf", "include 'a.conf'\ninclude 'a.conf'\ninclude 'a.conf'\ninclude 'a.conf'\n"),
    ]);
    assert!(settings.errors.iter().any(|error| error.message.contains("nesting depth")));
}

#[test]
fn booleans_are_unique_prefixes() {
    for on in ["on", "ON", "t", "tru", "true", "y", "yes", "1"] {
        assert_eq!(parse_bool(on.as_bytes()), Some(true), "{on}");
    }
    for off in ["off", "of", "f", "False", "n", "no", "0"] {
        assert_eq!(parse_bool(off.as_bytes()), Some(false), "{off}");
    }
    for neither in ["", "o", "yess", "2", "onn", "offf", "enable"] {
        assert_eq!(parse_bool(neither.as_bytes()), None, "{neither}");
    }
}

#[test]
fn edits_touch_one_line() {
    let file = read("a = 1\r\nb = 2");
    assert_eq!(file.replace_line(0, b"c = 3"), b"c = 3\r\nb = 2");
    assert_eq!(file.comment_out(1), b"a = 1\r\n#b = 2");
    assert_eq!(file.remove_line(0), b"b = 2");
    assert_eq!(file.remove_line(5), file.bytes());
}

#[test]
fn parameters_come_and_go_with_versions() {
    assert!(is_parameter(b"SSL", PgVersion::V12));
    assert!(is_parameter(b"ssl_groups", PgVersion::V18) && !is_parameter(b"ssl_groups", PgVersion::V17));
    assert!(is_parameter(b"ssl_ecdh_curve", PgVersion::V18));
    assert!(
        is_parameter(b"db_user_namespace", PgVersion::V16)
            && !is_parameter(b"db_user_namespace", PgVersion::V17)
    );
    assert!(is_parameter(b"any.thing", PgVersion::V12) && !is_parameter(b"bogus", PgVersion::V18));
}

#[test]
fn postmaster_opts_are_split_as_they_were_written() {
    let text = b"/usr/lib/postgresql/15/bin/postgres \"-D\" \"/var/lib/my data\" \"-c\" \"ssl=on\"\n";
    let arguments = postmaster_opts(text);
    assert_eq!(arguments[0], "/usr/lib/postgresql/15/bin/postgres");
    let line = CommandLine::parse(&arguments[1..]);
    assert_eq!(line.data_directory, Some("/var/lib/my data".into()));
    assert_eq!(line.get("ssl"), Some(&"on".into()));
}

/// `map_old_guc_names`; seen in pg_settings of 12.22 to 18.6.
#[test]
fn an_old_name_sets_the_parameter_that_it_became() {
    let read = |version| {
        let files =
            BTreeMap::from([("c".into(), b"ssl_groups = a\nssl_ecdh_curve = b\nSORT_MEM = 1MB\n".to_vec())]);
        Settings::load(&"c".into(), None, &files, version, ErrorLimit::Hundred)
    };
    let value =
        |settings: &Settings, name: &str| settings.effective(name).map(|found| found.value().to_string());
    let new = read(PgVersion::V18);
    assert_eq!(value(&new, "ssl_groups"), Some("b".to_owned()));
    assert_eq!(value(&new, "ssl_ecdh_curve"), Some("b".to_owned()));
    assert_eq!(value(&new, "work_mem"), Some("1MB".to_owned()));
    assert!(!new.settings[0].counts && new.settings[1].counts);
    assert_eq!(value(&read(PgVersion::V17), "ssl_groups"), Some("a".to_owned()));
    let given = new.with_command_line(CommandLine::parse(&["-c", "ssl_ecdh_curve=c"]));
    assert_eq!(value(&given, "ssl_groups"), Some("c".to_owned()));
}

#[test]
fn a_directory_as_a_file_is_an_error_each_time() {
    let files = BTreeMap::from([
        ("/c".into(), b"include 'd'\ninclude_if_exists 'd'\n".to_vec()),
        ("/d/x".into(), Vec::new()),
    ]);
    let read = Settings::load(&"/c".into(), None, &files, PgVersion::V16, ErrorLimit::Hundred);
    assert_eq!(read.errors.len(), 2, "{:?}", read.errors);
}

proptest! {
    #[test]
    fn every_byte_is_kept(bytes in proptest::collection::vec(prop_oneof![
        proptest::sample::select(b"\n'\\=#. a1-".to_vec()), any::<u8>()], 0..120)) {
        let file = ConfFile::read(bytes.clone()).unwrap();
        let joined: Vec<u8> = file.lines().iter().flat_map(|line| file.raw(line).to_vec()).collect();
        prop_assert_eq!(file.bytes(), &bytes);
        prop_assert_eq!(joined, bytes);
    }

    #[test]
    fn what_is_quoted_reads_back(value in "[^\n\r\0]{0,20}") {
        let line = format!("x = {}", quote(&value).unwrap());
        prop_assert_eq!(setting(&line), Some(("x".to_owned(), value)));
    }
}
