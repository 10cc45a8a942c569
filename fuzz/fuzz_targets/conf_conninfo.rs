//! What a connection string sets is set again by what it is written out as, for every libpq; and neither a masked text
//! nor a refusal shows a password.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgseal_conf::PgVersion;
use pgseal_conf::conninfo::{Conninfo, Keyword, Secrets, is_connection_string, is_uri};

const PASSWORD: &str = "correct-horse";

fuzz_target!(|text: &str| {
    for version in PgVersion::ALL {
        match Conninfo::parse_as(text, version) {
            Ok(conninfo) => {
                assert!(conninfo.is_empty() || is_connection_string(text));
                round_trip(&conninfo, version);
                masked(&conninfo, version);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        refusals(text, version);
    }
});

fn round_trip(conninfo: &Conninfo, version: PgVersion) {
    assert!(conninfo.iter().all(|(keyword, _)| Keyword::find(keyword.name, version).is_some()));
    let text = conninfo.to_conninfo(Secrets::Shown);
    let again = Conninfo::parse_as(&text, version).expect("its own text is read");
    assert_eq!(pairs(&again), pairs(conninfo), "{}", *text);
    let uri = conninfo.to_uri(Secrets::Shown);
    let again = Conninfo::parse_as(&uri, version).expect("its own URI is read");
    assert_eq!(pairs(&at_each_host(again)), pairs(&at_each_host(conninfo.clone())), "{}", *uri);
}

/// One port for many hosts written at each of them, and ports that are all left out not written at all: a URI says no
/// other.
fn at_each_host(mut conninfo: Conninfo) -> Conninfo {
    let hosts =
        conninfo.get("host").filter(|hosts| !hosts.is_empty()).map_or(1, |hosts| hosts.split(',').count());
    let Some(port) = conninfo.get("port").filter(|ports| !ports.is_empty()) else { return conninfo };
    let ports = if port.contains(',') { port.to_owned() } else { vec![port; hosts].join(",") };
    if hosts > 1 && ports.bytes().all(|byte| byte == b',') {
        conninfo.remove("port");
    } else {
        conninfo.set("port", &ports).expect("it was set before");
    }
    conninfo
}

fn masked(conninfo: &Conninfo, version: PgVersion) {
    let mut expected = conninfo.clone();
    let mut public = conninfo.clone();
    for (keyword, _) in conninfo.iter().filter(|(keyword, _)| keyword.secret) {
        expected.set(keyword.name, "****").expect("it was set before");
        public.remove(keyword.name);
    }
    let read = |text: &str| Conninfo::parse_as(text, version).expect("its own text is read");
    let text = conninfo.to_conninfo(Secrets::Masked);
    assert_eq!(conninfo.to_string(), *text);
    assert_eq!(pairs(&read(&text)), pairs(&expected));
    assert_eq!(pairs(&read(&conninfo.to_conninfo(Secrets::Omitted))), pairs(&public));
    let expected = at_each_host(expected);
    assert_eq!(pairs(&at_each_host(read(&conninfo.to_uri(Secrets::Masked)))), pairs(&expected));
    let public = at_each_host(public);
    assert_eq!(pairs(&at_each_host(read(&conninfo.to_uri(Secrets::Omitted)))), pairs(&public));
}

/// The password where a password stands, anything around it.
fn refusals(text: &str, version: PgVersion) {
    let (before, after) = text.split_once('\n').unwrap_or((text, ""));
    let mut texts = Vec::new();
    if !is_uri(before) {
        texts.push(format!("{before} password={PASSWORD} {after}"));
    }
    if !before.contains(['/', '@', ':', '?']) {
        texts.push(format!("postgresql://{before}:{PASSWORD}@{after}"));
    }
    if !before.contains(['/', '?', '#']) {
        texts.push(format!("postgresql://{before}/?password={PASSWORD}&{after}"));
    }
    for text in texts {
        if let Err(error) = Conninfo::parse_as(&text, version) {
            assert!(!format!("{error} {error:?}").contains(PASSWORD), "{text}");
        }
    }
}

fn pairs(conninfo: &Conninfo) -> Vec<(&'static str, &str)> {
    conninfo.iter().map(|(keyword, value)| (keyword.name, value)).collect()
}
