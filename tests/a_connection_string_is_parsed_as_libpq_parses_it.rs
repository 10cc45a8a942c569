//! Connection strings and URIs come apart as in libpq's own PQconninfoParse, which is psycopg2's parse_dsn: the same
//! parameters with the same values, or the same words of refusal. Service files and password files answer as psql has it.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use pgseal_conf::PgVersion;
use pgseal_conf::conninfo::{Conninfo, ConninfoError, Secrets, pgpass, service};
use serde_json::{Value, json};

use crate::harness::{Account, Dice, Install, Psql, Server, cache, record, run, samples};

/// Asks parse_dsn of many strings at once.
const ASK: &str = "
import json, sys
from psycopg2.extensions import libpq_version, parse_dsn
from psycopg2 import ProgrammingError
def told(text):
    try:
        return {'values': parse_dsn(text)}
    except ProgrammingError as error:
        return {'error': str(error)}
    except UnicodeDecodeError:
        return {'bytes': True}
answers = [told(text) for text in json.load(sys.stdin)]
json.dump({'version': libpq_version(), 'answers': answers}, sys.stdout)
";

const KEYWORDS: &[&str] = &[
    "host",
    "user",
    "dbname",
    "port",
    "password",
    "sslmode",
    "hostaddr",
    "options",
    "sslnegotiation",
    "application_name",
    "sslrootcert",
    "service",
    "passfile",
    "connect_timeout",
    "target_session_attrs",
    "requiressl",
    "ssl",
    "bad",
    "tty",
    "authtype",
    "servicefile",
    "min_protocol_version",
    "Host",
    "channel_binding",
    "sslpassword",
    "scram_client_key",
    "load_balance_hosts",
    "",
];
const PIECES: &[&str] = &[
    "a",
    "b",
    "db",
    "é",
    " ",
    "'",
    "\\",
    "=",
    "%",
    "%41",
    "%c3%a9",
    "%C3%A9",
    "%00",
    "%4",
    "%zz",
    "%20",
    "&",
    "?",
    "/",
    ":",
    "@",
    "[",
    "]",
    ",",
    "1",
    "5432",
    "\t",
    "\n",
    "true",
    "s3cret",
    "localhost",
    "::1",
    "10.0.0.1",
    "#",
    "+",
    ";",
    "%ff",
    "\"",
    "\u{a0}",
    "$",
];

#[test]
fn generated_strings_come_apart_as_in_libpq() {
    let promise = "a connection string is parsed as PQconninfoParse parses it";
    let mut dice = Dice::new(promise);
    let texts: Vec<String> = (0..samples(1000) * 10).map(|_| text(&mut dice)).collect();
    let (version, answers) = ask(&texts);
    let (mut faults, mut parsed) = (Vec::new(), 0);
    for (text, answer) in texts.iter().zip(&answers) {
        let ours = Conninfo::parse_as(text, version);
        parsed += u32::from(ours.is_ok());
        if let Some(fault) = differs(&ours, answer) {
            faults.push(format!("{text:?}: {fault}"));
        }
        if let Ok(ours) = &ours {
            // Written out and read again it is the same.
            let again = Conninfo::parse_as(&ours.to_conninfo(Secrets::Shown), version);
            if again.as_ref() != Ok(ours) {
                faults.push(format!("{text:?}: written out it is {again:?}"));
            }
        }
    }
    let count = u32::try_from(texts.len()).expect("there are not so many");
    eprintln!("{parsed} of {count} can be parsed by libpq {version}");
    assert!(
        faults.is_empty(),
        "{} are parsed differently:\n{}",
        faults.len(),
        faults[..faults.len().min(20)].join("\n")
    );
    assert!(
        parsed > count / 6 && parsed < count - count / 6,
        "{parsed} of {count} can be parsed: too one-sided"
    );
    record(promise, count);
}

fn ask(texts: &[String]) -> (PgVersion, Vec<Value>) {
    let there = cache().join("psycopg2");
    let python = fs::read_to_string(there.join("python")).unwrap_or_else(|_| {
        panic!(
            "psycopg2 is not in {}: run `PGSEAL_TEST_CACHE={} tests/provision/psycopg2.sh`",
            there.display(),
            cache().display()
        )
    });
    let mut command = Command::new(python.trim());
    command.arg("-c").arg(ASK).env("PYTHONPATH", &there).env("PYTHONDONTWRITEBYTECODE", "1");
    let input = serde_json::to_vec(&json!(texts)).expect("texts are JSON");
    let told = run(command, &input, Duration::from_secs(60)).succeeded().json();
    let number =
        told["version"].as_u64().and_then(|number| u32::try_from(number).ok()).expect("libpq has a version");
    let version = PgVersion::from_version_num(number).expect("the version of that libpq is known");
    let answers = told["answers"].as_array().expect("there are answers").clone();
    assert_eq!(answers.len(), texts.len());
    (version, answers)
}

fn differs(ours: &Result<Conninfo, ConninfoError>, theirs: &Value) -> Option<String> {
    let values = theirs["values"].as_object().map(|values| {
        values
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()))
            .collect::<BTreeMap<_, _>>()
    });
    match (ours, values, theirs["error"].as_str()) {
        (Ok(ours), Some(values), _) => {
            let ours: BTreeMap<_, _> = ours.iter().map(|(keyword, value)| (keyword.name, value)).collect();
            (ours != values).then(|| format!("ours {ours:?}, theirs {values:?}"))
        }
        // libpq takes the bytes as they are, and may stumble later.
        (Err(ConninfoError::NotUtf8(_)), _, _) => None,
        (Err(ours), None, Some(theirs)) => {
            let theirs = theirs.trim_start_matches("invalid dsn: ").trim_end_matches('\n');
            (!same_words(ours, theirs)).then(|| format!("ours {ours}, theirs {theirs}"))
        }
        (ours, _, _) => Some(format!("ours {ours:?}, theirs {theirs}")),
    }
}

/// pgseal leaves out what may be a secret, and names a whole character where libpq names its first byte.
fn same_words(ours: &ConninfoError, theirs: &str) -> bool {
    let ours_ = ours.to_string();
    if let ConninfoError::AfterBracket { found, .. } = ours
        && !found.is_ascii()
    {
        return theirs.starts_with("unexpected character \"");
    }
    match (ours_.split_once("****"), theirs) {
        (Some((head, tail)), theirs) => {
            theirs.starts_with(head) && (theirs.ends_with(tail) || tail.contains("****"))
        }
        (None, theirs) => ours_ == theirs,
    }
}

fn pick<T: Copy>(dice: &mut Dice, items: &[T]) -> T {
    *dice.pick(items)
}

fn text(dice: &mut Dice) -> String {
    let text = if dice.below(2) == 0 { keyword_values(dice) } else { uri(dice) };
    if dice.below(8) != 0 || text.is_empty() {
        return text;
    }
    let mut characters: Vec<char> = text.chars().collect();
    let at = dice.below(u32::try_from(characters.len()).expect("it is short")) as usize;
    match dice.below(3) {
        0 => {
            characters.remove(at);
        }
        1 => characters.insert(at, pick(dice, &['%', '\'', '\\', ' ', '=', '@', '[', ']', '&', ':', '/'])),
        _ => characters.truncate(at),
    }
    characters.into_iter().collect()
}

fn value(dice: &mut Dice, pieces: u32) -> String {
    (0..dice.below(pieces)).map(|_| pick(dice, PIECES)).collect()
}

/// A value that needs no quotes, as a rule.
fn plain(dice: &mut Dice) -> String {
    if dice.below(4) == 0 {
        value(dice, 5)
    } else {
        (pick(dice, &["a", "db1", "localhost", "5432", "10.0.0.1", "require", "x_y"])).to_owned()
    }
}

fn keyword_values(dice: &mut Dice) -> String {
    let mut text = String::new();
    for _ in 0..dice.below(5) {
        text.push_str(pick(dice, &["", " ", "  ", "\n", "\t"]));
        let known = if dice.below(4) == 0 { KEYWORDS } else { &KEYWORDS[..14] };
        text.push_str(pick(dice, known));
        text.push_str(if dice.below(5) == 0 { pick(dice, &[" = ", "= ", " =", "", "=="]) } else { "=" });
        let value = if dice.below(2) == 0 {
            format!("'{}'", value(dice, 6).replace('\\', "\\\\").replace('\'', "\\'"))
        } else {
            plain(dice)
        };
        text.push_str(&value);
        text.push_str(pick(dice, &[" ", " ", " ", "", "\n"]));
    }
    text
}

fn uri(dice: &mut Dice) -> String {
    let mut text =
        (pick(dice, &["postgresql://", "postgres://", "postgresql://", "Postgresql://", "postgresql:/"]))
            .to_owned();
    if dice.below(2) == 0 {
        text.push_str(&plain(dice));
        if dice.below(2) == 0 {
            text.push(':');
            text.push_str(&plain(dice));
        }
        text.push('@');
    }
    for nth in 0..dice.below(3) {
        if nth > 0 {
            text.push(',');
        }
        let host = match dice.below(6) {
            0 => "[::1]".to_owned(),
            1 => format!("[{}]", value(dice, 3)),
            2 => "%2Ftmp".to_owned(),
            _ => plain(dice),
        };
        text.push_str(&host);
        if dice.below(3) == 0 {
            text.push_str(&format!(":{}", pick(dice, &["5432", "1", "", "x", "65536", "54%33"])));
        }
    }
    if dice.below(2) == 0 {
        text.push('/');
        text.push_str(&plain(dice));
    }
    if dice.below(2) == 0 {
        text.push('?');
        for nth in 0..dice.below(4) {
            if nth > 0 {
                text.push('&');
            }
            let known = if dice.below(3) == 0 { KEYWORDS } else { &KEYWORDS[..14] };
            let (name, value) = (pick(dice, known), plain(dice));
            text.push_str(&match dice.below(8) {
                0 => name.to_owned(),
                1 => format!("{name}={value}=x"),
                2 => "ssl=true".to_owned(),
                _ => format!("{name}={value}"),
            });
        }
    }
    text
}

/// A server that asks for passwords over TCP, and takes everybody through the socket.
fn server() -> Server {
    let server =
        Server::with(Install::of(15)).hba("local all all trust\nhost all all all scram-sha-256\n").start();
    server.sql("CREATE ROLE alice LOGIN PASSWORD 'p:w\\d'; CREATE ROLE \"b:c\" LOGIN PASSWORD 'p:w\\d'; CREATE DATABASE shop");
    server
}

#[test]
fn the_line_of_a_password_file_that_answers_is_the_one_that_psql_takes() {
    let promise = "the password of a password file is the one that psql finds";
    let (mut dice, server) = (Dice::new(promise), server());
    let port = server.port().to_string();
    let count = samples(300);
    let (mut found, mut faults) = (0, Vec::new());
    for _ in 0..count {
        let text = password_file(&mut dice, &port);
        let host = pick(&mut dice, &["127.0.0.1", "localhost", "::1"]);
        let (user, dbname) = (pick(&mut dice, &["alice", "b:c"]), pick(&mut dice, &["shop", "postgres"]));
        let file = server.sandbox().file_of(&Account::current(), "pgpass", 0o600, &text);
        let ours = pgpass::lookup(&text, host, &port, dbname, user);
        let wanted = ours.as_ref().is_some_and(|password| password.as_bytes() == br"p:w\d");
        let conninfo = format!("host={host} port={port} user={user} dbname={dbname}");
        let ran = Psql::to(conninfo).env("PGPASSFILE", &file).run("SELECT 1");
        // 2: no connection, for want of a password or with a wrong one.
        let none = ours.as_ref().is_none_or(|password| password.as_bytes().is_empty());
        let words = if none { "no password supplied" } else { "password authentication failed" };
        let said = if wanted {
            ran.code() == Some(0)
        } else {
            ran.code() == Some(2) && ran.stderr().contains(words)
        };
        found += u32::from(wanted);
        if !said {
            faults.push(format!(
                "{user}@{host}/{dbname}, ours {:?}: {ran}\n{text:?}",
                ours.map(|one| one.as_str().map(str::to_owned))
            ));
        }
    }
    assert!(faults.is_empty(), "{} differ:\n{}", faults.len(), faults[..faults.len().min(4)].join("\n"));
    assert!(found > count / 15 && found < count - count / 15, "{found} of {count} are found: too one-sided");
    record(promise, count);
}

fn password_file(dice: &mut Dice, port: &str) -> String {
    let mut text = String::new();
    for _ in 0..=dice.below(5) {
        let host =
            pick(dice, &["127.0.0.1", "localhost", "*", r"\:\:1", "::1", "*", "**", "local*", r"\localhost"]);
        let port = pick(dice, &[port, "*", "*", "5432", "", port]);
        let dbname = pick(dice, &["shop", "*", "postgres", r"sh\op", "*", "repl"]);
        let user = pick(dice, &["alice", "*", r"b\:c", "b:c", "ALICE", r"\alice", "*"]);
        let password = pick(
            dice,
            &[
                r"p\:w\\d",
                r"p\:w\\d",
                r"p\:w\\d:more",
                "wrong",
                "",
                r"p:w\d",
                r"\p\:w\\d",
                r"p\:w\\d ",
                "p\\:w\\\\d\r",
            ],
        );
        let line = match dice.below(12) {
            0 => format!("#{host}:{port}:{dbname}:{user}:{password}"),
            1 => format!("{host}:{port}:{dbname}:{user}"),
            2 => format!(" {host}:{port}:{dbname}:{user}:{password}"),
            3 => String::new(),
            _ => format!("{host}:{port}:{dbname}:{user}:{password}"),
        };
        text.push_str(&line);
        text.push_str(pick(dice, &["\n", "\n", "\n", "\r\n", "\n\n"]));
    }
    if dice.below(4) == 0 { text.trim_end_matches('\n').to_owned() } else { text }
}

#[test]
fn a_service_means_to_pgseal_what_it_means_to_psql() {
    let promise = "a service of a service file is read as psql reads it";
    let (mut dice, server) = (Dice::new(promise), server());
    let place = format!("host={}\nport={}\n", server.socket_dir().display(), server.port());
    let count = samples(300);
    let (mut found, mut faults) = (0, Vec::new());
    for _ in 0..count {
        let text = service_file(&mut dice, &place);
        let file = server.sandbox().file_of(&Account::current(), "service.conf", 0o600, &text);
        let ours = service::find_as(&text, "mine", PgVersion::V15);
        let query =
            "SELECT current_user || '|' || current_database() || '|' || current_setting('application_name')";
        let ran = Psql::to("service=mine").env("PGSERVICEFILE", &file).run(query);
        let same = match &ours {
            Ok(Some(ours)) if ours.get("host").is_some() && ours.get("port").is_some() => {
                found += 1;
                let user = ours.get("user").unwrap_or("postgres");
                let name =
                    ours.get("application_name").or(ours.get("fallback_application_name")).unwrap_or("psql");
                // The server keeps no more of a name (NAMEDATALEN), and those here are ASCII.
                let name = name.get(..63).unwrap_or(name);
                let dbname = ours.get("dbname").filter(|name| !name.is_empty()).unwrap_or(user);
                let absent = format!("database \"{dbname}\" does not exist");
                let wanted = format!("{user}|{dbname}|{name}");
                // The user is the system's where none is named, and that one has no role here.
                ours.get("user").is_none()
                    || ran.stderr().contains(&absent)
                    || ran.stdout().trim_end_matches('\n') == wanted
            }
            Ok(Some(_)) => true,
            Ok(None) => ran.stderr().contains("definition of service \"mine\" not found"),
            Err(service::ServiceError::Ldap { .. }) => ran.stderr().contains("invalid LDAP URL"),
            Err(error) => {
                let words = error
                    .to_string()
                    .replace("the service file", &format!("service file \"{}\"", file.display()));
                ran.code() == Some(2) && ran.stderr().contains(&words)
            }
        };
        if !same {
            faults.push(format!("ours {ours:?}: {ran}\n{text:?}"));
        }
    }
    assert!(faults.is_empty(), "{} differ:\n{}", faults.len(), faults[..faults.len().min(6)].join("\n"));
    assert!(found > count / 5, "{found} of {count} are found: too few");
    record(promise, count);
}

fn service_file(dice: &mut Dice, place: &str) -> String {
    let mut text = String::new();
    for _ in 0..=dice.below(3) {
        let header = pick(
            dice,
            &[
                "[mine]",
                "[mine]",
                "[other]",
                " [mine] ",
                "[mine",
                "[Mine]",
                "[mine] # c",
                "[mine]x",
                "[ mine ]",
                "#[mine]",
            ],
        );
        text.push_str(&format!("{header}\n{place}user=alice\n"));
        for _ in 0..dice.below(4) {
            text.push_str(pick(
                dice,
                &[
                    "dbname=shop",
                    "dbname=postgres",
                    "application_name=an app",
                    " application_name=a ",
                    "application_name = b",
                    "#dbname=nothing",
                    "",
                    "  ",
                    "bogus=1",
                    "dbname",
                    "service=other",
                    "user=postgres",
                    "application_name=a=b",
                    "application_name='q'",
                    "application_name=",
                    "ldap://x/y",
                    "dbname=shop # c",
                    "\tdbname=shop",
                    "=x",
                    "sslmode=disable",
                ],
            ));
            text.push_str(pick(dice, &["\n", "\n", "\r\n"]));
        }
    }
    if dice.below(20) == 0 {
        text.push_str(&format!(
            "application_name={}\n",
            "x".repeat(pick(dice, &[1000, 1004, 1005, 1006, 1007, 2000]))
        ));
    }
    text
}

/// What pgseal writes for others to read is read by them.
#[test]
fn a_line_that_pgseal_writes_is_one_that_psql_takes() {
    let server = server();
    let line = pgpass::line(Some("127.0.0.1"), Some(server.port()), Some("shop"), Some("b:c"), r"p:w\d")
        .expect("it can be written");
    let file = server.sandbox().file_of(&Account::current(), "pgpass", 0o600, &line);
    let conninfo = format!("host=127.0.0.1 port={} user='b:c' dbname=shop", server.port());
    Psql::to(conninfo).env("PGPASSFILE", &file).run("SELECT 1").succeeded();
}
