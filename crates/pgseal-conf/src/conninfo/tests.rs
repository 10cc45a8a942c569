use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::PgVersion;

fn parse(text: &str) -> Conninfo {
    Conninfo::parse(text).unwrap()
}

fn refusal(text: &str) -> String {
    Conninfo::parse(text).unwrap_err().to_string()
}

fn pairs(conninfo: &Conninfo) -> Vec<(&'static str, String)> {
    conninfo.iter().map(|(keyword, value)| (keyword.name, value.to_owned())).collect()
}

/// Each line was seen from libpq 15.18 and 17.11 (`PQconninfoParse`).
#[test]
fn strings_read_as_libpq_reads_them() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("", &[]),
        ("  host = 'a\\'b' user=a\\ b", &[("user", "a b"), ("host", "a'b")]),
        ("host=''user=x", &[("user", "x"), ("host", "")]),
        ("host=a\\", &[("host", "a")]),
        ("host=a requiressl=1", &[("host", "a"), ("sslmode", "require")]),
        ("requiressl=yes", &[("sslmode", "prefer")]),
        ("host=a host=b", &[("host", "b")]),
        ("host= user=x", &[("host", "user=x")]),
        ("host=x'y'z", &[("host", "x'y'z")]),
        ("postgresql://", &[]),
        ("postgres://h", &[("host", "h")]),
        ("postgresql://u@h/d", &[("user", "u"), ("dbname", "d"), ("host", "h")]),
        ("postgresql://a@b@c/d", &[("user", "a"), ("dbname", "d"), ("host", "b@c")]),
        ("postgresql://a:b?c@d/e", &[("user", "a"), ("password", "b?c"), ("dbname", "e"), ("host", "d")]),
        ("postgresql://:p@h", &[("password", "p"), ("host", "h")]),
        ("postgresql://[::1]:5/db", &[("dbname", "db"), ("host", "::1"), ("port", "5")]),
        ("postgresql://a:1,[::2]:2,c/d", &[("dbname", "d"), ("host", "a,::2,c"), ("port", "1,2,")]),
        ("postgresql:///?host=/tmp", &[("host", "/tmp")]),
        ("postgresql://%2Ftmp/d", &[("dbname", "d"), ("host", "/tmp")]),
        ("postgresql://h?ssl=true", &[("host", "h"), ("sslmode", "require")]),
        ("postgresql://h/a/b?user=x&", &[("user", "x"), ("dbname", "a/b"), ("host", "h")]),
    ];
    for (text, expected) in cases {
        let expected: Vec<_> = expected.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        assert_eq!(pairs(&parse(text)), expected, "{text}");
    }
}

#[test]
fn refusals_are_in_the_words_of_libpq() {
    let cases = [
        ("x", "missing \"=\" after \"x\" in connection info string"),
        ("host user=x", "missing \"=\" after \"host\" in connection info string"),
        ("host='a", "unterminated quoted string in connection info string"),
        ("bad=1", "invalid connection option \"bad\""),
        ("=x", "invalid connection option \"\""),
        (
            "postgresql://[::1x",
            "end of string reached when looking for matching \"]\" in IPv6 host address in URI: \"postgresql://[::1x\"",
        ),
        ("postgresql://[]", "IPv6 host address may not be empty in URI: \"postgresql://[]\""),
        (
            "postgresql://[::1]x",
            "unexpected character \"x\" at position 19 in URI (expected \":\" or \"/\"): \"postgresql://[::1]x\"",
        ),
        ("postgresql://h?sslmode=a%", "invalid percent-encoded token: \"a%\""),
        ("postgresql://a%00b", "forbidden value %00 in percent-encoded value: \"a%00b\""),
        ("postgresql://h/?x", "missing key/value separator \"=\" in URI query parameter: \"x\""),
        ("postgresql://h/?x=y=z", "extra key/value separator \"=\" in URI query parameter: \"x\""),
        ("postgresql://h?ssl=false", "invalid URI query parameter: \"ssl\""),
        ("postgresql://h?%67=1", "invalid URI query parameter: \"g\""),
        (
            "postgresql://h/a b",
            "unexpected spaces found in \"a b\", use percent-encoded spaces (%20) instead",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal(text), expected, "{text}");
    }
}

#[test]
fn spaces_in_a_uri_count_until_17_and_are_trimmed_from_18() {
    let text = "postgresql:// h /db";
    assert_eq!(Conninfo::parse_as(text, PgVersion::V17).unwrap().get("host"), Some(" h "));
    assert_eq!(Conninfo::parse_as(text, PgVersion::V18).unwrap().get("host"), Some("h"));
}

#[test]
fn a_version_refuses_what_it_does_not_know_yet() {
    assert!(Conninfo::parse_as("sslnegotiation=direct", PgVersion::V16).is_err());
    assert!(Conninfo::parse_as("sslnegotiation=direct", PgVersion::V17).is_ok());
    assert!(Conninfo::parse_as("channel_binding=require", PgVersion::V12).is_err());
    assert!(Conninfo::parse_as("tty=x", PgVersion::V13).is_ok());
    assert!(Conninfo::parse_as("tty=x", PgVersion::V14).is_err());
}

#[test]
fn no_password_is_in_an_error_or_a_print() {
    let strings = [
        "password=sesame extra host=x",
        "password=sesame sesame=1",
        "postgresql://u:sesame@[::1/db",
        "postgresql://u:sesame@[::1]x",
        "postgresql://u:sesame%zz@h",
        "postgresql://u:sesa%00me@h",
        "postgresql://u:sesame sesame@h",
        "postgresql://[]/db?password=sesame",
        "postgresql://[]/db?pass%77ord=sesame",
        "postgresql://h/db?password=sesame%",
        "postgresql://[::1/db?password=sesame&options=%]",
        "postgresql://[::1/db?password=sesame sesame&options=x]",
    ];
    for text in strings {
        let error = Conninfo::parse(text).unwrap_err();
        assert!(!error.to_string().contains("sesame"), "{error}");
        assert!(!format!("{error:?}").contains("sesame"), "{error:?}");
    }
    let conninfo = parse("host=h password=sesame sslpassword='sesame' user=u");
    assert_eq!(conninfo.to_string(), "user=u password=**** host=h sslpassword=****");
    assert_eq!(conninfo.to_uri(Secrets::Masked).as_str(), "postgresql://u:****@h/?sslpassword=****");
    assert_eq!(conninfo.to_uri(Secrets::Omitted).as_str(), "postgresql://u@h/");
    assert!(!format!("{conninfo:?}").contains("sesame"));
}

#[test]
fn uris_escape_what_a_uri_would_misread() {
    let uri = |text: &str| parse(text).to_uri(Secrets::Shown).to_string();
    assert_eq!(
        uri("user='a:b@c' password='p/?#' host=h dbname='d d'"),
        "postgresql://a%3Ab%40c:p%2F%3F%23@h/d%20d"
    );
    assert_eq!(uri("host=::1 port=5433 user=u"), "postgresql://u@[::1]:5433/");
    assert_eq!(uri("host=fe80::1%eth0"), "postgresql://[fe80::1%25eth0]/");
    assert_eq!(uri("host=/var/run/postgresql dbname=d"), "postgresql://%2Fvar%2Frun%2Fpostgresql/d");
    assert_eq!(uri("host=a,b port=1,2 sslmode=verify-full"), "postgresql://a:1,b:2/?sslmode=verify-full");
    assert_eq!(uri("user='' dbname='' host=''"), "postgresql:///?user=&dbname=&host=");
    assert_eq!(
        uri("hostaddr=10.0.0.1,10.0.0.2 port=1,2"),
        "postgresql:///?hostaddr=10.0.0.1%2C10.0.0.2&port=1%2C2"
    );
}

#[test]
fn hosts_pair_with_addresses_and_ports() {
    let hosts = parse("host=a,/tmp,,@x port=1,,3,4").hosts().unwrap();
    let endpoints: Vec<_> = hosts.iter().map(|host| (host.endpoint(), host.port)).collect();
    assert_eq!(
        endpoints,
        [
            (Endpoint::Name("a"), 1),
            (Endpoint::Socket("/tmp"), 5432),
            (Endpoint::Default, 3),
            (Endpoint::Socket("@x"), 4)
        ]
    );
    let hosts = parse("host=a,b hostaddr=::1, port=' 7 '").hosts().unwrap();
    assert_eq!(hosts[0].endpoint(), Endpoint::Address(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])));
    assert_eq!((hosts[1].endpoint(), hosts[1].port), (Endpoint::Name("b"), 7));
    assert_eq!(parse("").hosts().unwrap()[0].endpoint(), Endpoint::Default);

    let refusal = |text: &str| parse(text).hosts().unwrap_err().to_string();
    assert_eq!(refusal("host=a,b hostaddr=::1"), "could not match 2 host names to 1 hostaddr values");
    assert_eq!(refusal("host=a,b,c port=1,2"), "could not match 2 port numbers to 3 hosts");
    assert_eq!(refusal("port=x"), "invalid integer value \"x\" for connection option \"port\"");
    assert_eq!(refusal("port=0"), "invalid port number: \"0\"");
    assert_eq!(refusal("port=65536"), "invalid port number: \"65536\"");
    assert_eq!(refusal("hostaddr=h"), "could not parse network address \"h\"");
}

#[test]
fn defaults_come_from_the_environment_then_from_libpq() {
    let environment = |name: &str| match name {
        "PGHOST" => Some("from-env".to_owned()),
        "PGUSER" => Some("env-user".to_owned()),
        "PGREQUIRESSL" => Some("1".to_owned()),
        _ => None,
    };
    let mut conninfo = parse("host=said");
    conninfo.fill_defaults(&environment, PgVersion::V15);
    let get = |name: &str| conninfo.get(name).unwrap_or("unset").to_owned();
    assert_eq!(
        (get("host"), get("user"), get("sslmode"), get("port")),
        ("said".into(), "env-user".into(), "require".into(), "5432".into())
    );

    let none = |_: &str| None;
    let mut system = parse("sslrootcert=system");
    system.fill_defaults(&none, PgVersion::V16);
    assert_eq!(system.get("sslmode"), Some("verify-full"));
    let mut old = Conninfo::parse_as("sslrootcert=system", PgVersion::V15).unwrap();
    old.fill_defaults(&none, PgVersion::V15);
    assert_eq!(old.get("sslmode"), Some("prefer"));
    let mut said = parse("sslrootcert=system sslmode=require");
    said.fill_defaults(&none, PgVersion::V18);
    assert_eq!(said.get("sslmode"), Some("require"));
}

#[test]
fn a_service_is_found_as_libpq_finds_it() {
    let text = "# c\n[other]\nhost=no\nnonsense\n[s] trailing\n host=h \nhost=second\r\ndbname=a b\n\n[s]\nuser=never\n";
    let service = service::find(text, "s").unwrap().unwrap();
    assert_eq!(pairs(&service), [("dbname", "a b".to_owned()), ("host", "h".to_owned())]);
    assert_eq!(service::find(text, "absent").unwrap(), None);
    let refusal = |text: &str| service::find(text, "s").unwrap_err().to_string();
    assert_eq!(refusal("[s]\nhost\n"), "syntax error in the service file, line 2");
    assert_eq!(refusal("[s]\nhost =h\n"), "syntax error in the service file, line 2");
    assert_eq!(
        refusal("[s]\nservice=x\n"),
        "nested service specifications not supported in the service file, line 2"
    );
    assert_eq!(refusal(&format!("#{}\n[s]\n", "x".repeat(1021))), "line 1 too long in the service file");
    assert_eq!(service::find(format!("#{}", "x".repeat(1021)), "s"), Ok(None), "no newline to count");
    assert!(service::find(format!("#{}\n[s]\n", "x".repeat(1020)), "s").unwrap().is_some());
}

#[test]
fn a_password_is_found_as_libpq_finds_it() {
    let text = b"#h:1:d:u:comment\nh:1:d:u:one\r\n*:*:*:u\\:v:two\\:2:rest\nh\\:x:5432:*:*:three\\\nlocalhost:5432:d:u:\xff\n";
    let find =
        |host, port, db, user| pgpass::lookup(text, host, port, db, user).map(|p| p.as_bytes().to_vec());
    assert_eq!(find("h", "1", "d", "u"), Some(b"one".to_vec()));
    assert_eq!(find("h", "1", "d", "u:v"), Some(b"two:2".to_vec()));
    assert_eq!(find("h:x", "", "d", "z"), Some(b"three\\".to_vec()));
    assert_eq!(find("", "", "d", "u"), Some(vec![0xff]));
    assert_eq!(find("h", "1", "", "u"), None);
    assert_eq!(find("g", "1", "d", "u"), None);
}

proptest! {
    #[test]
    fn any_text_parses_or_is_refused_and_never_panics(text in ".{0,80}", uri in "[a:@/?,\\[\\]%=&0 é]{0,40}") {
        let _ = Conninfo::parse(&text);
        for version in PgVersion::ALL {
            let _ = Conninfo::parse_as(&format!("postgresql://{uri}"), version);
        }
    }

    #[test]
    fn what_is_written_reads_back_the_same(values in proptest::collection::vec((0..Keyword::all().len(), "[^\0]{0,12}"), 0..8)) {
        let mut conninfo = Conninfo::new();
        for (index, value) in &values {
            let keyword = &Keyword::all()[*index];
            if Keyword::find(keyword.name, PgVersion::LATEST).is_some() {
                conninfo.set(keyword.name, value).unwrap();
            }
        }
        prop_assert_eq!(&Conninfo::parse(&conninfo.to_conninfo(Secrets::Shown)).unwrap(), &conninfo);
        let again = Conninfo::parse(&conninfo.to_uri(Secrets::Shown)).unwrap();
        // One port for many hosts is written at each of them: the same servers in other words.
        let same = |a: &Conninfo, b: &Conninfo| { let (mut a, mut b) = (a.clone(), b.clone()); a.remove("port"); b.remove("port"); a == b };
        prop_assert!(same(&again, &conninfo), "{:?} {:?}", again, conninfo);
        prop_assert_eq!(again.hosts().ok(), conninfo.hosts().ok());
    }

    #[test]
    fn a_pgpass_line_answers_for_its_own_names(host in "[^\0\n]{1,8}", db in "[^\0\n]{1,8}", user in "[^\0\n]{1,8}", port in 1..=u16::MAX, password in "[^\0\n\r]{0,12}") {
        let line = pgpass::line(Some(&host), Some(port), Some(&db), Some(&user), &password).unwrap();
        let found = pgpass::lookup(line.as_bytes(), &host, &port.to_string(), &db, &user);
        prop_assert_eq!(found.as_ref().map(pgpass::Password::as_bytes), Some(password.as_bytes()));
    }
}
