//! What hellos at the edges of the wished settings come to. `current_setting` tells what the files say, also where the
//! server could not follow them and goes on with the TLS that it had; a server that takes what the settings leave out
//! tells that by itself.

use std::net::SocketAddr;
use std::time::Duration;

use pgseal_wire::registry;
use pgseal_wire::scan::hello::{KeyExchange, Offer, Protocol};
use pgseal_wire::scan::{Answer, End, SslReply, greet};

use super::settings::Wished;
use crate::policy::HYBRID_GROUPS;

const DEADLINE: Duration = Duration::from_secs(10);

/// One hello, and what is to come of it.
#[derive(Debug)]
struct Edge {
    /// What it offers, in words.
    what: String,
    offer: Offer,
    wanted: Wanted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// It lies outside.
    Refused,
    /// It lies inside, and one such has to be taken: what a system forbids beyond the settings is its own matter.
    Taken,
    /// It only tells one server from another.
    Whatever,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Met {
    Taken {
        version: u16,
        suite: u16,
        group: Option<u16>,
    },
    Refused,
    /// No TLS is offered at all.
    NoTls,
    CannotTell(String),
}

/// What every edge came to, at one moment.
#[derive(Debug)]
pub(super) struct Edges {
    all: Vec<(Edge, Met)>,
}

/// Knocks at every edge of the wished settings.
pub(super) async fn look(at: SocketAddr, wished: &[Wished]) -> Edges {
    let mut all = Vec::new();
    for edge in edges(wished) {
        let met = met(greet(at, &edge.offer, DEADLINE).await);
        all.push((edge, met));
    }
    Edges { all }
}

impl Edges {
    /// What is served beyond the settings, or not served within them; an `Err` tells why it could not be told.
    pub(super) fn wrong(&self) -> Result<Vec<String>, String> {
        let mut wrong = Vec::new();
        for (edge, met) in &self.all {
            match (edge.wanted, met) {
                (Wanted::Whatever, _) => {}
                (_, Met::CannotTell(why)) => return Err(format!("{}: {why}", edge.what)),
                (Wanted::Refused, Met::Taken { suite, .. }) => {
                    wrong.push(format!("{} is still taken{}", edge.what, named(*suite)));
                }
                (Wanted::Refused | Wanted::Taken, _) => {}
            }
        }
        let mut inside = self.all.iter().filter(|(edge, _)| edge.wanted == Wanted::Taken);
        if !inside.any(|(_, met)| matches!(met, Met::Taken { .. })) {
            wrong.push("nothing that the settings allow is taken".to_owned());
        }
        Ok(wrong)
    }

    /// What was seen to be refused, for people.
    pub(super) fn refused(&self) -> Vec<&str> {
        let refused = self.all.iter().filter(|(edge, _)| edge.wanted == Wanted::Refused);
        refused.map(|(edge, _)| edge.what.as_str()).collect()
    }

    /// The first edge that comes to something else than it did then.
    pub(super) fn unlike(&self, before: &Self) -> Option<&str> {
        let known = |met: &Met| !matches!(met, Met::CannotTell(_));
        let pairs = self.all.iter().zip(&before.all);
        pairs
            .filter(|((_, now), (_, then))| known(now) && known(then) && now != then)
            .map(|((edge, _), _)| edge.what.as_str())
            .next()
    }
}

fn named(suite: u16) -> String {
    registry::suite(suite)
        .map_or_else(String::new, |known| format!(" ({})", known.openssl.unwrap_or(known.iana)))
}

fn met(answer: Answer) -> Met {
    let (ssl, heard, end) = match answer {
        Answer::Hello { ssl, heard, end } => (ssl, heard, end),
        Answer::NoSocket { text, .. } => return Met::CannotTell(text),
        _ => return Met::CannotTell("something else was answered".to_owned()),
    };
    match ssl {
        SslReply::Yes => {}
        SslReply::No => return Met::NoTls,
        SslReply::Late(_) => return Met::CannotTell("no answer to SSLRequest in time".to_owned()),
        _ => return Met::CannotTell("no answer to SSLRequest that makes sense".to_owned()),
    }
    match (&heard.server_hello, end) {
        (Some(hello), _) => {
            let group = hello.group.or(match heard.key_exchange {
                Some(KeyExchange::Curve { group, .. }) => Some(group),
                _ => None,
            });
            Met::Taken { version: hello.version, suite: hello.suite, group }
        }
        (None, End::Heard) if heard.alert.is_some() => Met::Refused,
        (None, End::Closed) => Met::Refused,
        (None, End::Late(_)) => Met::CannotTell("no answer to the hello in time".to_owned()),
        (None, End::Broken(why)) => Met::CannotTell(why),
        (None, _) => Met::CannotTell("what came back is no TLS".to_owned()),
    }
}

fn edges(wished: &[Wished]) -> Vec<Edge> {
    let value = |name: &str| wished.iter().find(|wish| wish.name == name).map(|wish| wish.value.as_str());
    let edge = |what: String, offer, wanted| Edge { what, offer, wanted };
    let oldest = value("ssl_min_protocol_version").and_then(protocol).unwrap_or(Protocol::Tls1_2);
    let mut all = Vec::new();
    let older = Protocol::ALL.into_iter().rev().find(|one| *one < oldest && *one > Protocol::Ssl2);
    if let Some(older) = older {
        all.push(edge(older.to_string(), Offer::everything(older), Wanted::Refused));
    }
    let groups = value("ssl_groups").or_else(|| value("ssl_ecdh_curve")).and_then(groups);
    if let Some(groups) = &groups {
        let mut offer = Offer::everything(Protocol::Tls1_3);
        let left_out = |code: &u16| !groups.contains(code) && !is_hybrid(*code);
        offer.groups.retain(left_out);
        all.push(edge("another key exchange group".to_owned(), offer, Wanted::Refused));
    }
    for (protocol, setting) in [(Protocol::Tls1_2, "ssl_ciphers"), (Protocol::Tls1_3, "ssl_tls13_ciphers")] {
        if protocol < oldest {
            continue;
        }
        let mut inside = Offer::everything(protocol);
        if let Some(groups) = &groups {
            inside.groups.retain(|code| groups.contains(code));
        }
        if let Some(suites) = value(setting).and_then(suites) {
            let mut outside = Offer::everything(protocol);
            outside.suites.retain(|code| !suites.contains(code));
            let what = format!("another suite of {protocol}");
            all.push(edge(what, outside, Wanted::Refused));
            inside.suites = suites.iter().rev().copied().collect();
            // In the other order: whose order counts.
            let turned = inside.clone();
            all.push(edge(format!("the suites of {protocol}, turned around"), turned, Wanted::Whatever));
            inside.suites = suites;
        }
        all.push(edge(protocol.to_string(), inside, Wanted::Taken));
    }
    all
}

fn protocol(word: &str) -> Option<Protocol> {
    Protocol::ALL.into_iter().find(|one| one.as_str().eq_ignore_ascii_case(word))
}

/// The codes of suites by their names in OpenSSL; none where the list names classes of them.
fn suites(list: &str) -> Option<Vec<u16>> {
    let of = |word: &str| {
        let entry = registry::suites().iter().find(|one| one.openssl == Some(word) || one.iana == word);
        entry.map(|one| one.code)
    };
    list.split(':').map(of).collect()
}

/// The codes of groups by their names in OpenSSL.
fn groups(list: &str) -> Option<Vec<u16>> {
    let of = |word: &str| {
        // ANSI X9.62 calls it so, and OpenSSL with it.
        let word = if word.eq_ignore_ascii_case("prime256v1") { "secp256r1" } else { word };
        let is = |name: &str| name.eq_ignore_ascii_case(word);
        registry::groups().iter().find(|one| is(one.iana) || is(one.name)).map(|one| one.code)
    };
    list.split(':').map(of).collect()
}

/// Hybrids in front of what was wished are none the worse (`settings::satisfies`).
fn is_hybrid(code: u16) -> bool {
    registry::group(code).is_some_and(|group| HYBRID_GROUPS.contains(&group.iana))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wished(pairs: &[(&'static str, &str)]) -> Vec<Wished> {
        pairs.iter().map(|(name, value)| Wished { name, value: (*value).to_owned() }).collect()
    }

    const TAKEN: Met = Met::Taken { version: 0x0303, suite: 0xc02f, group: None };

    fn met_by(wished: &[Wished], answer: impl Fn(&Edge) -> Met) -> Edges {
        let all = edges(wished).into_iter().map(|edge| {
            let met = answer(&edge);
            (edge, met)
        });
        Edges { all: all.collect() }
    }

    fn modern() -> Vec<Wished> {
        wished(&[("ssl_min_protocol_version", "TLSv1.3"), ("ssl_ecdh_curve", "prime256v1")])
    }

    #[test]
    fn what_the_settings_leave_out_is_knocked_at_and_nothing_else() {
        let policy = crate::policy::Policy::named("intermediate").expect("it is built in");
        let suites = policy.tls12_suites.join(":");
        let edges = edges(&wished(&[
            ("ssl_min_protocol_version", "TLSv1.2"),
            ("ssl_ciphers", &suites),
            ("ssl_groups", "X25519:prime256v1"),
        ]));
        let named: Vec<&str> = edges.iter().map(|edge| edge.what.as_str()).collect();
        assert_eq!(
            named,
            [
                "TLSv1.1",
                "another key exchange group",
                "another suite of TLSv1.2",
                "the suites of TLSv1.2, turned around",
                "TLSv1.2",
                "TLSv1.3",
            ]
        );
        assert!(edges[1].offer.groups.contains(&0x18) && !edges[1].offer.groups.contains(&0x17));
        assert!(!edges[1].offer.groups.contains(&0x11ec), "a hybrid is none the worse");
        assert!(edges[2].offer.suites.contains(&0x002f) && !edges[2].offer.suites.contains(&0xc02f));
        assert_eq!(edges[4].offer.suites.first(), Some(&0xc02c));
        // Classes of suites leave nothing out that could be named.
        assert!(super::suites("HIGH:!aNULL").is_none());
    }

    #[test]
    fn what_is_still_taken_beyond_the_settings_is_named_and_what_is_late_is_not_known() {
        let held = |edge: &Edge| if edge.wanted == Wanted::Refused { Met::Refused } else { TAKEN };
        assert_eq!(met_by(&modern(), held).wrong(), Ok(Vec::new()));
        let old = met_by(&modern(), |_| TAKEN);
        let wrong = old.wrong().expect("every hello was answered");
        assert_eq!(wrong[0], "TLSv1.2 is still taken (ECDHE-RSA-AES128-GCM-SHA256)");
        let none = met_by(&modern(), |_| Met::Refused).wrong().expect("every hello was answered");
        assert_eq!(none, ["nothing that the settings allow is taken"]);
        assert!(met_by(&modern(), |_| Met::CannotTell("late".to_owned())).wrong().is_err());
        assert_eq!(met_by(&modern(), held).unlike(&old), Some("TLSv1.2"));
        assert_eq!(old.unlike(&met_by(&modern(), |_| TAKEN)), None);
        assert_eq!(old.unlike(&met_by(&modern(), |_| Met::CannotTell("late".to_owned()))), None);
    }
}
