use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::files::NoFiles;
use crate::{ByteString, PgVersion};

fn read(text: &str, version: PgVersion) -> Ruleset {
    Ruleset::read(&"/c/pg_hba.conf".into(), text.as_bytes().to_vec(), &NoFiles, Server::of(version))
}

/// The message of each error, in order.
fn errors(text: &str, version: PgVersion) -> Vec<String> {
    read(text, version).errors().map(|error| error.message.clone()).collect()
}

fn first_error(text: &str, version: PgVersion) -> String {
    errors(text, version).into_iter().next().unwrap_or_default()
}

fn problems(text: &str, version: PgVersion) -> Vec<Problem> {
    read(text, version).diagnostics.iter().map(|diagnostic| diagnostic.problem).collect()
}

/// Reads with files beside the main one.
fn with_files(main: &str, files: &[(&str, &str)], version: PgVersion) -> Ruleset {
    let files: BTreeMap<ByteString, Vec<u8>> =
        files.iter().map(|(path, text)| ((*path).into(), text.as_bytes().to_vec())).collect();
    Ruleset::read(&"/c/pg_hba.conf".into(), main.as_bytes().to_vec(), &files, Server::of(version))
}

/// Each line was seen refused by a server, in these words.
#[test]
fn mistakes_are_named_in_the_words_of_postgresql() {
    for (line, message) in [
        ("hosts all all all md5", "invalid connection type \"hosts\""),
        ("Host all all all md5", "invalid connection type \"Host\""),
        ("host,local all all all md5", "multiple values specified for connection type"),
        ("local", "end-of-line before database specification"),
        ("local all", "end-of-line before role specification"),
        ("host all all", "end-of-line before IP address specification"),
        ("host all all 10.0.0.1", "end-of-line before netmask specification"),
        ("host all all 10.0.0.0/8", "end-of-line before authentication method"),
        ("host all all 10.0.0.1,10.0.0.2 md5", "multiple values specified for host address"),
        ("host all all 10.0.0.0/33 md5", "invalid CIDR mask in address \"10.0.0.0/33\""),
        ("host all all db/8 md5", "specifying both host name and CIDR mask is invalid: \"db/8\""),
        ("host all all 10.0.0.1 md5", "invalid IP mask \"md5\": Name or service not known"),
        ("host all all 10.0.0.1 ffff:: md5", "IP address and mask do not match"),
        ("local all all md5,trust", "multiple values specified for authentication type"),
        ("local all all MD5", "invalid authentication method \"MD5\""),
        ("local all all bsd", "invalid authentication method \"bsd\": not supported by this build"),
        ("local all all gss", "gssapi authentication is not supported on local sockets"),
        ("host all all all peer", "peer authentication is only supported on local sockets"),
        ("host all all all cert", "cert authentication is only supported on hostssl connections"),
        ("local all all md5 x", "authentication option not in name=value format: x"),
        ("local all all md5 x=1", "unrecognized authentication option name: \"x\""),
        (
            "local all all md5 map=m",
            "authentication option \"map\" is only valid for authentication methods ident, peer, gssapi, sspi, and cert",
        ),
        (
            "host all all all md5 clientcert=verify-ca",
            "clientcert can only be configured for \"hostssl\" rows",
        ),
        (
            "host all all all radius",
            "authentication method \"radius\" requires argument \"radiusservers\" to be set",
        ),
        ("local all /( md5", "invalid regular expression \"(\": parentheses () not balanced"),
    ] {
        assert_eq!(errors(line, PgVersion::V16), [message], "{line}");
    }
}

#[test]
fn every_error_is_told_not_the_first_alone() {
    let text = "local all all nope\nlocal all all trust\nbogus\nhost all all 1.2.3.4/99 md5\n";
    assert_eq!(errors(text, PgVersion::V15).len(), 3);
    assert!(!read(text, PgVersion::V15).loads());
    assert_eq!(read(text, PgVersion::V15).rules.len(), 1);
    assert_eq!(problems("# nothing\n", PgVersion::V15), [Problem::NoEntries]);
}

#[test]
fn versions_differ_where_postgresql_does() {
    let loads =
        |text: &str| PgVersion::ALL.map(|version| u16::from(read(text, version).loads()) * version.major());
    assert_eq!(loads("hostssl all all all md5 clientcert=1\n"), [12, 13, 0, 0, 0, 0, 0, 0]);
    assert_eq!(loads("hostssl all all all cert clientcert=verify-ca\n"), [12, 13, 0, 0, 0, 0, 0, 0]);
    assert_eq!(loads("hostssl all all all cert clientname=DN\n"), [0, 0, 14, 15, 16, 17, 18, 19]);
    assert_eq!(loads("local all \\\nall trust\n"), [0, 0, 14, 15, 16, 17, 18, 19]);
    assert_eq!(loads("local all /( trust\n"), [12, 13, 14, 15, 0, 0, 0, 0]);
    assert_eq!(
        loads("host all all all radius radiusservers=::1 radiussecrets=s\n"),
        [12, 13, 14, 15, 16, 17, 18, 0]
    );
    assert_eq!(loads("host all all all oauth issuer=https://i scope=s\n"), [0, 0, 0, 0, 0, 0, 18, 19]);
    assert_eq!(loads("include_if_exists none\nlocal all all trust\n"), [0, 0, 0, 0, 16, 17, 18, 19]);
    assert_eq!(problems("include x\n", PgVersion::V15)[0], Problem::IncludeBefore16);
}

#[test]
fn quotes_take_the_meaning_of_keywords_but_not_of_expressions() {
    let rules =
        read("local \"all\",all \"+g\",+g trust\nhost \"/a\" all \"all\" trust\n", PgVersion::V16).rules;
    assert_eq!(rules[0].databases, [DatabaseMatch::Name("all".into()), DatabaseMatch::All]);
    assert_eq!(rules[0].roles, [RoleMatch::Name("+g".into()), RoleMatch::MemberOf("g".into())]);
    assert!(matches!(rules[1].databases[0], DatabaseMatch::Regex(_)));
    assert_eq!(rules[1].address, Some(AddressMatch::HostName("all".into())));
}

#[test]
fn a_rule_that_cannot_match_is_a_warning() {
    let mut server = Server::of(PgVersion::V16);
    server.ssl = Some(false);
    let text = b"hostssl all all all md5\n".to_vec();
    let ruleset = Ruleset::read(&"x".into(), text, &NoFiles, server);
    assert!(ruleset.loads());
    assert_eq!(
        ruleset.view()[0].error.as_deref(),
        Some("hostssl record cannot match because SSL is disabled")
    );
    assert_eq!((ruleset.view()[0].rule_number, ruleset.view()[0].connection), (None, Some("hostssl")));
}

/// check_oauth_validator begins by setting the error to none.
#[test]
fn an_oauth_rule_that_cannot_match_says_so_in_the_log_alone() {
    let mut server = Server::of(PgVersion::V18);
    server.ssl = Some(false);
    server.oauth_validators = Some(vec!["v".into()]);
    let text = b"hostssl all all all oauth issuer=https://i scope=s\n".to_vec();
    let ruleset = Ruleset::read(&"x".into(), text, &NoFiles, server);
    assert!(ruleset.loads() && ruleset.diagnostics.iter().any(|one| one.message.contains("SSL is disabled")));
    assert_eq!((&ruleset.view()[0].error, ruleset.view()[0].rule_number), (&None, Some(1)));
}

#[test]
fn a_bad_value_leaves_the_views_error_empty_and_the_file_refused() {
    let ruleset = read("hostssl all all all md5 clientcert=9\n", PgVersion::V16);
    assert!(!ruleset.loads());
    assert_eq!((&ruleset.view()[0].error, ruleset.view()[0].connection), (&None, None));
    assert_eq!(
        first_error("hostssl all all all md5 clientcert=9\n", PgVersion::V16),
        "invalid value for clientcert: \"9\""
    );
}

#[test]
fn no_secret_is_in_a_diagnostic_or_a_print() {
    for text in [
        "host all all all radius radiusservers=::1 radiussecrets=\"\"\"sesame\"\n",
        "host all all all ldap ldapbindpasswd=open sesame\n",
        "host all all all ldap ldapbindpasswd=sesame ldapprefix=a\n",
        "host all all all radius radiussecrets=sesame radiusservers=::1\n",
        "host all all all ldap ldapbindpasswd=open sesame=1\n",
    ] {
        let ruleset = read(text, PgVersion::V16);
        for shown in [
            format!("{:?}", ruleset.diagnostics),
            format!("{:?}", ruleset.rules),
            format!("{:?}", ruleset.view()),
        ] {
            assert!(!shown.contains("sesame"), "{shown}");
        }
    }
    let rules =
        read("host all all all radius radiussecrets=sesame radiusservers=::1\n", PgVersion::V16).rules;
    assert_eq!(rules[0].option(OptionName::RadiusSecrets).unwrap().value.expose(), b"sesame");
}

#[test]
fn files_named_by_at_are_words_of_the_field() {
    let files = [("/c/list", "u1 \"u 2\" # c\n@more\n"), ("/c/more", "u3,all\n"), ("/c/empty", "# no\n")];
    let ruleset = with_files("local x,@list all,@\"more\" trust\n", &files, PgVersion::V12);
    assert!(ruleset.loads(), "{:?}", ruleset.diagnostics);
    let databases: Vec<String> = ruleset.rules[0].databases.iter().map(ToString::to_string).collect();
    assert_eq!(databases, ["x", "u1", "u 2", "u3", "all"]);
    assert!(ruleset.rules[0].databases.contains(&DatabaseMatch::All));
    // An empty file takes its field away.
    let ruleset = with_files("local @empty all trust\n", &files, PgVersion::V16);
    assert!(!ruleset.loads());
    let missing = with_files("local @none all trust\n", &files, PgVersion::V16);
    assert_eq!(
        missing.entries[0].view_error.as_deref(),
        Some("could not open file \"/c/none\": No such file or directory")
    );
    let missing = with_files("local @none all trust\n", &files, PgVersion::V15);
    let message =
        "could not open secondary authentication file \"@none\" as \"/c/none\": No such file or directory";
    assert_eq!(missing.entries[0].view_error.as_deref(), Some(message));
}

#[test]
fn included_rules_stand_where_they_are_included() {
    let files = [
        ("/c/one", "local one all trust\n"),
        ("/c/d/b.conf", "local b all trust\n"),
        ("/c/d/a.conf", "local a all trust\ninclude ../one\n"),
        ("/c/d/.a.conf", "nonsense\n"),
        ("/c/d/c.txt", "nonsense\n"),
    ];
    let main = "local first all trust\n\"include\" one\ninclude_dir d\ninclude_if_exists none\nlocal last all trust\n";
    let ruleset = with_files(main, &files, PgVersion::V16);
    assert!(ruleset.loads(), "{:?}", ruleset.diagnostics);
    let names: Vec<String> = ruleset.rules.iter().map(|rule| rule.databases[0].to_string()).collect();
    assert_eq!(names, ["first", "one", "a", "one", "b", "last"]);
    let path = |rule: &Rule| ruleset.path(rule.file).unwrap().to_string();
    assert_eq!((path(&ruleset.rules[2]), ruleset.rules[2].line), ("/c/d/a.conf".to_owned(), 1));
    assert_eq!(ruleset.diagnostics.iter().map(|d| d.problem).collect::<Vec<_>>(), [Problem::SkippedFile]);
}

#[test]
fn files_that_mention_each_other_without_end_are_refused() {
    let files = [("/c/a", "include b\n@b\n"), ("/c/b", "include a\ninclude a\n@a @a\n")];
    for main in ["include a\n", "local @a all trust\n"] {
        for version in PgVersion::ALL {
            assert!(!with_files(main, &files, version).loads(), "{main} {version}");
        }
    }
    let deep = with_files("include a\n", &[("/c/a", "include a\n")], PgVersion::V16);
    let error = deep.errors().next().unwrap();
    assert_eq!(error.message, "could not open file \"/c/a\": maximum nesting depth exceeded");
}

#[test]
fn a_small_file_that_includes_itself_over_and_over_does_not_take_all_memory() {
    let text = format!("{}{}", "include a\n".repeat(10), "x\n".repeat(400));
    let ruleset = with_files("include a\n", &[("/c/a", &text)], PgVersion::V16);
    assert!(!ruleset.loads());
    assert!(ruleset.entries.len() < 1_100_000, "{}", ruleset.entries.len());
    assert!(ruleset.errors().any(|error| error.message.contains("given up here")));
}

#[test]
fn what_a_person_hardly_meant_is_noted() {
    let noted = |text: &str, version| problems(text, version);
    assert!(noted("\u{feff}local all all trust\n", PgVersion::V16).contains(&Problem::ByteOrderMark));
    assert_eq!(noted("local all all trust \\\n", PgVersion::V13)[0], Problem::OptionForm);
    assert!(noted("local all all\\\n", PgVersion::V13).contains(&Problem::TrailingBackslash));
    assert_eq!(noted("local all \"all trust\n", PgVersion::V16).last(), Some(&Problem::UnterminatedQuote));
    assert_eq!(noted("host all all 10.0.0.256 md5\n", PgVersion::V16), [Problem::AddressAsHostName]);
    assert_eq!(noted("host all all 10.1.2.3/8 md5\n", PgVersion::V16), [Problem::HostBits]);
    assert_eq!(noted("host all all ::ffff:1.2.3.4/128 md5\n", PgVersion::V16), [Problem::MappedAddress]);
    assert_eq!(noted("host all all 10.0.0.0 255.0.255.0 md5\n", PgVersion::V16), [Problem::MaskWithHoles]);
    assert_eq!(
        noted(&format!("local {} all trust\n", "x".repeat(64)), PgVersion::V16),
        [Problem::NameTooLong]
    );
    assert!(noted("local all all trust\0\n", PgVersion::V16).contains(&Problem::NulByte));
    assert_eq!(noted("host all all fe80::1%eth0/64 md5\n", PgVersion::V16), [Problem::NotJudged]);
}

#[test]
fn a_decision_names_why_each_earlier_rule_was_passed_over() {
    use Passed::{Address, Database, Gss, Socket, Tls, User};

    let text = "local all all peer\nhostssl all all all md5\nhost all all 10.0.0.0/8 md5\nhost app all all md5\n\
        host all bob all md5\nhost replication all all md5\nhostgssenc all all all gss\nhost all ann all scram-sha-256\n";
    let who = Connection {
        channel: Channel::Plain,
        address: Some("192.168.0.9".parse().unwrap()),
        name: ClientName::None,
        user: "ann".into(),
        purpose: Purpose::Database("shop".into()),
    };
    let decision = decide(&read(text, PgVersion::V16).rules, &who, &World::default());
    assert_eq!(decision.certain(), Some(Some(7)));
    let why: Vec<Passed> = decision.passed.iter().map(|(_, why)| *why).collect();
    assert_eq!(why, [Socket, Tls, Address, Database, User, Database, Gss]);
}

#[test]
fn host_names_fit_whole_or_from_their_dot_on() {
    let rules = read("host all all .example.ORG trust\nhost all all db reject\n", PgVersion::V16).rules;
    let decided = |name: &str| {
        let who = Connection {
            channel: Channel::Tls,
            address: Some("10.0.0.1".parse().unwrap()),
            name: ClientName::Confirmed(name.into()),
            user: "u".into(),
            purpose: Purpose::Replication,
        };
        let who = Connection { purpose: Purpose::Database("d".into()), ..who };
        decide(&rules, &who, &World::default()).certain()
    };
    assert_eq!(decided("a.example.org"), Some(Some(0)));
    assert_eq!(decided("example.org"), Some(None));
    assert_eq!(decided("DB"), Some(Some(1)));
    assert_eq!(decided("xdb"), Some(None));
}

#[test]
fn a_main_file_that_cannot_be_read_is_an_error() {
    let ruleset = Ruleset::load(&"/none".into(), &NoFiles, Server::of(PgVersion::V16));
    assert_eq!(
        ruleset.errors().next().unwrap().message,
        "could not open file \"/none\": No such file or directory"
    );
    let files: BTreeMap<ByteString, Vec<u8>> = [(ByteString::from("/d/x"), Vec::new())].into();
    let directory = Ruleset::load(&"/d".into(), &files, Server::of(PgVersion::V16));
    assert_eq!(directory.errors().next().unwrap().problem, Problem::NoEntries);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_read_and_judged_without_a_panic(
        bytes in proptest::collection::vec(prop_oneof![
            proptest::sample::select(b"\n\n ,\"#\\@/+=.:0aehlost".to_vec()), any::<u8>()
        ], 0..200),
        lines in proptest::collection::vec("(local|host|hostssl) (all|@x|/a|\"b) [a+/,]{1,4} (all|::/0|1\\.2/9|x) (trust|md5|cert|ldap) ?[a-z=]{0,9}", 0..5),
    ) {
        let text = [bytes, lines.join("\n").into_bytes()].concat();
        for version in PgVersion::ALL {
            let ruleset = Ruleset::read(&"x".into(), text.clone(), &NoFiles, Server::of(version));
            prop_assert_eq!(ruleset.files[0].text.bytes(), &text);
            for diagnostic in &ruleset.diagnostics {
                prop_assert!(diagnostic.place.end <= text.len());
            }
            let _ = proof::plaintext_path(&ruleset.rules, &World::default());
            let _ = proof::reach(&ruleset.rules, &proof::Question::about(Channel::Tls), &World::default());
        }
    }
}

#[test]
fn the_view_of_12_and_13_leaves_out_that_radius_lists_do_not_match() {
    let file = "host all all all radius \"radiusservers=::1,::2\" \"radiussecrets=a,b,c\"\n";
    for version in [PgVersion::V12, PgVersion::V13, PgVersion::V14] {
        let rules = read(file, version);
        assert!(!rules.loads());
        assert_eq!(rules.view()[0].error.is_some(), version >= PgVersion::V14, "{version}");
    }
}
