//! What the wire shows of each TLS setting: a whole scan, put into the settings' own words. A reload that was not taken up, an
//! OpenSSL that knows less, or a system's policy make the two differ.

use std::collections::BTreeSet;

use pgseal_wire::registry;
use pgseal_wire::scan::hello::Protocol;
use pgseal_wire::scan::{Preference, SslReply};
use time::OffsetDateTime;

use super::outside::{self, Outside};
use super::settings::Row;
use crate::place::Place;
use crate::scan::scanned::{Scanned, Speaker};
use crate::secure::observe::at_first;
use crate::server::process::RunningServer;
use crate::verify::subject::Subject;

/// Adds to each setting what the wire shows of it; the reason where it was not looked at.
pub(crate) async fn beside(
    rows: &mut [Row],
    place: &Place,
    server: &RunningServer,
    word: &str,
) -> Option<String> {
    let listened = rows.iter().find(|row| row.name == "listen_addresses").map(|row| row.value.clone());
    match at_first(place, server, &listened.unwrap_or_default()).await {
        Some((address, port)) => told(rows, Outside::at(address, port), word).await,
        None => Some("it listens on no address".to_owned()),
    }
}

/// The same of a server that a connection string names.
pub(crate) async fn beside_far(rows: &mut [Row], subject: &Subject, word: &str) -> Option<String> {
    match Outside::far(subject) {
        Some(outside) => told(rows, outside, word).await,
        None => Some("it has no address to be looked at".to_owned()),
    }
}

async fn told(rows: &mut [Row], outside: Outside, word: &str) -> Option<String> {
    let scanned = outside::whole(outside, word, OffsetDateTime::now_utc()).await;
    if let Speaker::Nobody(why) | Speaker::Other(why) = scanned.speaker() {
        return Some(why);
    }
    for row in rows {
        row.served = served(&row.name, &scanned);
    }
    None
}

fn served(name: &str, scanned: &Scanned) -> Option<String> {
    let known = &scanned.known;
    if name == "ssl" {
        return match known.ssl {
            Some(SslReply::Yes) => Some("on".to_owned()),
            Some(SslReply::No) => Some("off".to_owned()),
            _ => None,
        };
    }
    if !known.offers_tls() {
        return None;
    }
    let spoken = |protocol: &Protocol| known.version(*protocol).is_yes();
    let text = |protocol: Protocol| protocol.as_str().to_owned();
    match name {
        "ssl_min_protocol_version" => Protocol::ALL.into_iter().find(spoken).map(text),
        "ssl_max_protocol_version" => known.newest().map(text),
        "ssl_ciphers" => some(&suites(scanned, &[Protocol::Tls1_2, Protocol::Tls1_1, Protocol::Tls1_0])),
        "ssl_tls13_ciphers" => some(&suites(scanned, &[Protocol::Tls1_3])),
        "ssl_ecdh_curve" | "ssl_groups" => {
            let groups = known.all_groups().into_iter().filter_map(registry::group);
            some(&groups.map(|group| group.name).collect::<Vec<_>>())
        }
        "ssl_prefer_server_ciphers" => known
            .suites
            .get(&Protocol::Tls1_2)?
            .preference()
            .map(|preference| if preference == Preference::Server { "on" } else { "off" }.to_owned()),
        "ssl_cert_file" => {
            known.leaf().map(|leaf| format!("{}, SHA-256 {}", leaf.subject(), leaf.fingerprint()))
        }
        _ => None,
    }
}

fn suites(scanned: &Scanned, protocols: &[Protocol]) -> Vec<&'static str> {
    let mut seen = BTreeSet::new();
    let codes = protocols.iter().flat_map(|protocol| scanned.known.suites_of(*protocol));
    let new: Vec<u16> = codes.filter(|code| seen.insert(*code)).collect();
    new.into_iter().filter_map(registry::suite).map(|suite| suite.openssl.unwrap_or(suite.iana)).collect()
}

fn some(names: &[&str]) -> Option<String> {
    (!names.is_empty()).then(|| names.join(":"))
}
