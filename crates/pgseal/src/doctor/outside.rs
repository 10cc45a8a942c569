//! The server from outside, without credentials: the quick posture of `scan`, held against the same policy.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use pgseal_pki::Certificate;
use pgseal_wire::Roots;
use pgseal_wire::scan::{Knowledge, Limits, Target, Wish, scan};
use time::OffsetDateTime;

use super::Notes;
use crate::policy::Policy;
use crate::scan::chain::{Trust, verdict};
use crate::scan::judge::judge;
use crate::scan::scanned::Scanned;
use crate::scan::target::{NOBODY, NOWHERE, Named};
use crate::secure::facts::Facts;
use crate::secure::plan::own_authority;
use crate::verify::subject::Subject;

/// For one connection, and for all six of a quick look.
const PROBE: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(20);
const QUICK: Wish = Wish { quick: true, intrusive: false };
/// For all that a scan asks.
const ALL: Wish = Wish { quick: false, intrusive: false };
const LONG: Duration = Duration::from_secs(120);
/// What says nothing where no client's roots are known.
const BY_ROOTS: [&str; 2] = ["certificate-untrusted", "certificate-self-signed"];

/// Where to look from outside, and as whom a client would know it.
pub(super) struct Outside {
    pub(super) host: String,
    pub(super) address: IpAddr,
    pub(super) port: u16,
    /// Those of its clients, where they are known.
    pub(super) roots: Option<Roots>,
}

impl Outside {
    /// Of a server whose files are known: by a name of its certificate, since whether its names are the right ones is judged
    /// from inside.
    pub(super) fn of(facts: &Facts) -> Option<Self> {
        let address = *facts.addresses.first()?;
        let leaf = facts.served.first();
        let names = leaf.map(Certificate::dns_names).unwrap_or_default();
        let name = names.into_iter().find(|name| !name.starts_with('*'));
        let authority = leaf.and_then(|leaf| own_authority(facts, leaf));
        let roots =
            authority.and_then(|authority| Roots::from_certificates("its own CA", vec![authority]).ok());
        let host = name.unwrap_or_else(|| address.to_string());
        Some(Self { host, address, port: facts.port, roots })
    }

    /// Of one of which nothing else is known.
    pub(super) fn at(address: IpAddr, port: u16) -> Self {
        Self { host: address.to_string(), address, port, roots: None }
    }

    /// Of a server that a connection string names, by the name that it has there.
    pub(super) fn far(subject: &Subject) -> Option<Self> {
        Some(Self {
            host: subject.host.clone(),
            address: *subject.addresses.first()?,
            port: subject.port,
            roots: subject.roots.as_ref().ok().cloned(),
        })
    }
}

/// Adds what nobody has said yet; what the wire told.
pub(super) async fn look(
    outside: Outside,
    policy: &Policy,
    now: OffsetDateTime,
    notes: &mut Notes<'_>,
) -> Scanned {
    let known_roots = outside.roots.is_some();
    let limits = Limits { probe: PROBE, whole: WHOLE, connections: 2, delay: Duration::ZERO };
    let scanned = scanned(outside, notes.word, now, (QUICK, limits)).await;
    for finding in judge(&scanned, policy, now) {
        let said = notes.findings.iter().any(|known| known.name == finding.name);
        if !said && (known_roots || !BY_ROOTS.contains(&finding.name)) {
            notes.findings.push(finding);
        }
    }
    scanned
}

/// Everything that a scan without credentials sees.
pub(super) async fn whole(outside: Outside, word: &str, at: OffsetDateTime) -> Scanned {
    let limits = Limits { probe: PROBE, whole: LONG, connections: 4, delay: Duration::ZERO };
    scanned(outside, word, at, (ALL, limits)).await
}

async fn scanned(
    outside: Outside,
    word: &str,
    at: OffsetDateTime,
    (wish, limits): (Wish, Limits),
) -> Scanned {
    let begun = Instant::now();
    let (user, dbname) = (NOBODY.to_owned(), NOWHERE.to_owned());
    let wire = Target {
        address: SocketAddr::new(outside.address, outside.port),
        server_name: Some(outside.host.clone()),
        user: user.clone(),
        database: dbname.clone(),
    };
    let known: Knowledge = scan(&wire, wish, limits).await;
    let chain = known.chains.first().map(Vec::as_slice).unwrap_or_default();
    let trust = Trust { asked: outside.roots, system: None };
    let verdict = verdict(chain, &outside.host, &trust, at);
    let target = Named {
        label: word.to_owned(),
        host: outside.host,
        address: Some(outside.address),
        port: outside.port,
        user: None,
        dbname: None,
        sslrootcert: None,
    };
    Scanned {
        target,
        address: Some(outside.address),
        user,
        dbname,
        known,
        unresolved: None,
        verdict,
        took: begun.elapsed(),
        at,
    }
}
