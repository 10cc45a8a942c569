//! A server of which a connection string is all there is: the wire, SQL as far as the login goes, the person's own side; and
//! what could not be looked at, with what access would show it.

use std::collections::{BTreeMap, BTreeSet};

use pgseal_conf::{PgVersion, UnknownVersion};
use pgseal_wire::Session;
use time::OffsetDateTime;

use super::client_side::{self, Reached};
use super::outside::{self, Outside};
use super::{Examined, Notes, Unseen, inside, peers, pooler, release, rules, settings};
use crate::export::Dates;
use crate::failure::{Failure, Result};
use crate::hba::fetch::over_sql;
use crate::policy::Policy;
use crate::scan::scanned::{Scanned, Speaker};
use crate::secure::facts::Setting;
use crate::secure::observe;
use crate::secure::settings::{Wished, satisfies};
use crate::sessions::{Seen, sessions};
use crate::sql::{rows_of, text_of};
use crate::target::{connection_subject, shown};
use crate::verify::administrator::administrator;
use crate::verify::subject::Subject;

/// What only a login shows.
const INSIDE: &str = "settings, rules, roles and sessions";
const SUPERUSER: &str = "a superuser's login in the connection string";
const MONITOR: &str = "a login of pg_monitor or of a superuser";
const ITS_MACHINE: &str =
    "on the server's own machine: pgseal doctor with its data directory, cluster or container";

/// Looks with what the connection string gives.
pub(crate) async fn examine(text: &str, policy: &Policy, now: OffsetDateTime) -> Result<Examined> {
    let word = shown(text);
    let subject = connection_subject(text, None).await?;
    let mut notes = Notes { word: &word, findings: Vec::new(), unseen: Vec::new() };
    let scanned = from_outside(&subject, policy, now, &mut notes).await?;
    let version = from_inside(&subject, policy, now, &mut notes).await;
    if scanned.speaker() == Speaker::PgBouncer {
        pooler::look(text, &mut notes).await;
    }
    let chain = scanned.known.chains.first().map(Vec::as_slice);
    let reached = Reached { addresses: &subject.addresses, port: subject.port, everywhere: false };
    client_side::look(chain, Some(reached), &mut notes).await;
    for what in
        ["key, certificate and revocation files, and whether a restart would work", "the server's log"]
    {
        notes.unseen(what, "a connection string reaches no files", ITS_MACHINE);
    }
    let running = !matches!(scanned.speaker(), Speaker::Nobody(_));
    let Notes { mut findings, unseen, .. } = notes;
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let version = version.unwrap_or_else(|| "of a version that was not told".to_owned());
    let observed = findings.clone();
    let certificate = scanned.known.leaf().map(Dates::of);
    Ok(Examined { version, running, findings, unseen, observed, known: None, certificate })
}

async fn from_outside(
    subject: &Subject,
    policy: &Policy,
    now: OffsetDateTime,
    notes: &mut Notes<'_>,
) -> Result<Scanned> {
    let outside = Outside::far(subject).ok_or_else(|| {
        Failure::new(format!("{} has no address to be looked at from outside", notes.word))
            .hint("a host name or an address in the connection string")
    })?;
    if let Err(why) = &subject.roots {
        notes.unseen(
            "whether clients trust its certificate",
            why.clone(),
            "sslrootcert=FILE in the connection string",
        );
    }
    let address = outside.address;
    let scanned = outside::look(outside, policy, now, notes).await;
    if let Speaker::Nobody(why) = scanned.speaker() {
        notes.find("server-down", format!("nobody answers at {address} port {}: {why}", subject.port));
    }
    Ok(scanned)
}

/// The version, where a login came about.
async fn from_inside(
    subject: &Subject,
    policy: &Policy,
    now: OffsetDateTime,
    notes: &mut Notes<'_>,
) -> Option<String> {
    let session = match administrator(subject).await {
        Ok(session) => session,
        Err(why) => {
            let access = "a login, and sslrootcert=FILE by which its certificate verifies: a password goes nowhere else";
            notes.unseen(INSIDE, why, access);
            return None;
        }
    };
    let version = look(&session, policy, now, notes).await;
    session.close().await;
    version
}

async fn look(
    session: &Session,
    policy: &Policy,
    now: OffsetDateTime,
    notes: &mut Notes<'_>,
) -> Option<String> {
    let (text, number) = match told_version(session).await {
        Ok(told) => told,
        Err(why) => {
            notes.unseen(INSIDE, why, "a login to a database of PostgreSQL's own");
            return None;
        }
    };
    let Ok(version) = PgVersion::from_version_num(number) else {
        notes.unseen(INSIDE, UnknownVersion(text.clone()).to_string(), "a pgseal that knows this version");
        release::judge_unknown(&text, number, notes);
        return Some(text);
    };
    release::judge(version, now, notes);
    let mut unchecked = false;
    match observe::settings(session).await {
        Ok(found) => {
            settings::judge(&found, version, notes);
            against_policy(&found, policy, notes);
            let said = |name: &str| found.get(name).map_or("", |setting| setting.value.as_str());
            unchecked = rules::speaks_tls_without_a_ca(said("ssl"), said("ssl_ca_file"));
        }
        Err(failure) => notes.unseen("settings", failure.sentence().to_owned(), MONITOR),
    }
    match over_sql(session).await {
        Ok(source) => {
            rules::of(&source, version, now, notes);
            if unchecked {
                rules::certificates_that_nobody_checks(&source, version, notes);
            }
            if !notes.findings.iter().any(|finding| finding.name == "plaintext-accepted") {
                rules::plaintext(&source, version, notes);
            }
        }
        Err(why) => notes.unseen("pg_hba.conf", why, SUPERUSER),
    }
    inside::look(session, None, notes).await;
    match observe::without_scram(session, true).await {
        Ok(roles) if roles.is_empty() => {}
        Ok(roles) => notes.find("roles-without-scram", roles.join(", ")),
        Err(failure) => notes.unseen("passwords of roles", failure.sentence().to_owned(), SUPERUSER),
    }
    match sessions(session).await {
        Ok(all) => {
            let plaintext = all.iter().filter(|seen| Seen::is_plaintext(seen) && !seen.own).count();
            if plaintext > 0 {
                notes.find("sessions-in-plaintext", format!("{plaintext} now"));
            }
        }
        Err(why) => notes.unseen("sessions of others", why, MONITOR),
    }
    let in_recovery = rows_of(session, "SELECT pg_is_in_recovery()", &[]).await;
    let in_recovery = in_recovery.ok().and_then(|rows| rows.first()?.try_get(0).ok()).unwrap_or(false);
    peers::look(session, in_recovery, notes).await;
    once_each(&mut notes.unseen);
    Some(text)
}

/// The version as the server prints it, and as a number such as 150018.
async fn told_version(session: &Session) -> Result<(String, u32), String> {
    let text = text_of(session, "SELECT current_setting('server_version')", &[]).await?;
    let number = text_of(session, "SELECT current_setting('server_version_num')", &[]).await?;
    number.parse().map(|number| (text, number)).map_err(|_| format!("server_version_num is {number:?}"))
}

/// What is set wider than the policy: the server's OpenSSL may refuse it today, and its next one may not.
fn against_policy(found: &BTreeMap<String, Setting>, policy: &Policy, notes: &mut Notes<'_>) {
    let wishes = [
        ("protocol-too-old", "ssl_min_protocol_version", policy.min_protocol.clone()),
        ("suites-too-wide", "ssl_ciphers", policy.tls12_suites.join(":")),
    ];
    for (finding, name, value) in wishes {
        let wish = Wished { name, value };
        let Some(setting) = found.get(name).filter(|setting| !satisfies(&wish, &setting.value)) else {
            continue;
        };
        if !notes.findings.iter().any(|known| known.name == finding) {
            notes.find(finding, format!("{name} = {:?}, not {:?}", setting.value, wish.value));
        }
    }
}

/// The same thing may have been asked for by more than one look.
fn once_each(unseen: &mut Vec<Unseen>) {
    let mut seen = BTreeSet::new();
    unseen.retain(|one| seen.insert(one.what.clone()));
}
