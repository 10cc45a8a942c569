//! A scan for people: one screen for a healthy server, everything with `--verbose`.

use std::net::IpAddr;

use pgseal_wire::registry::{self, SuiteEntry};
use pgseal_wire::scan::hello::Protocol;
use pgseal_wire::scan::{Estimate, Hunt, Preference, SslReply, StartupKey, unfinished};

use super::super::authentication::Met;
use super::super::judge::accepted;
use super::super::report::Report;
use super::super::scanned::Speaker;
use super::{intrusive, renegotiation, verbose};
use crate::findings::{Finding, Severity};
use crate::report::escape::for_terminal;
use crate::report::fact::Fact;
use crate::report::screen::{Mark, Screen};

/// Where the grade stands.
const GRADE_COLUMN: usize = 76;
/// As many findings as are told in full on one screen.
const FINDINGS: usize = 8;

pub(crate) fn text(report: &Report, screen: Screen, all: bool) -> String {
    let mut lines = vec![heading(report, screen)];
    lines.extend(facts(report).iter().map(|fact| fact.line(screen)));
    if all && !matches!(report.scanned.speaker(), Speaker::Nobody(_) | Speaker::Other(_)) {
        lines.extend(verbose::lines(report, screen));
    }
    lines.push(costs(report));
    lines.extend(findings(report, screen, all));
    lines.join("\n")
}

/// What answers, where that is something of PostgreSQL's.
pub(super) fn what_answers(report: &Report) -> Option<String> {
    match report.scanned.speaker() {
        Speaker::Postgres => Some(match Estimate::of(&report.scanned.known) {
            Some(guess) => format!("PostgreSQL {} (estimate)", guess.versions()),
            None => "PostgreSQL".to_owned(),
        }),
        Speaker::PgBouncer => Some("PgBouncer".to_owned()),
        Speaker::Pooler => Some("a pooler or proxy of PostgreSQL".to_owned()),
        Speaker::Other(_) | Speaker::Nobody(_) => None,
    }
}

/// The address that was scanned, where the target does not say it.
pub(super) fn looked_up(report: &Report) -> Option<IpAddr> {
    report.scanned.address.filter(|address| report.scanned.target.address != Some(*address))
}

fn heading(report: &Report, screen: Screen) -> String {
    let mut left = report.scanned.target.label.clone();
    if let Some(address) = looked_up(report) {
        left.push_str(&format!(" ({address})"));
    }
    if let Some(what) = what_answers(report) {
        left.push_str(&format!("   {what}"));
    }
    let left = for_terminal(&left);
    match report.grade {
        Some(grade) => {
            let gap = GRADE_COLUMN.saturating_sub(left.chars().count()).max(2);
            let set_by = report.grade_set_by.map(|rule| format!(" ({rule})")).unwrap_or_default();
            format!("{left}{}grade {}{}", " ".repeat(gap), grade.letter(), screen.spelled(&set_by))
        }
        None => left,
    }
}

/// What was seen, a fact a line.
pub(super) fn facts(report: &Report) -> Vec<Fact> {
    match report.scanned.speaker() {
        Speaker::Nobody(why) => vec![Fact::new(Mark::CannotTell, "unreachable", why)],
        Speaker::Other(what) => vec![Fact::new(Mark::CannotTell, "not PostgreSQL", what)],
        _ => of_a_server(report),
    }
}

fn of_a_server(report: &Report) -> Vec<Fact> {
    let mut lines = vec![plaintext(report)];
    if report.scanned.known.offers_tls() {
        lines.push(versions(report));
        lines.extend(suites(report));
        lines.extend(groups(report));
        lines.extend(certificate(report));
        lines.extend(chain(report));
    } else {
        lines.push(Fact::new(Mark::HoldsNot, "TLS", no_tls(report)));
    }
    lines.push(login(report));
    for (title, told) in [
        ("words before TLS", intrusive::stuffing_line(report)),
        ("stray bytes", intrusive::stray_line(report)),
        ("renegotiation", renegotiation::line(report)),
    ] {
        lines.extend(told.map(|(mark, text)| Fact::new(mark, title, text)));
    }
    lines
}

fn no_tls(report: &Report) -> String {
    match &report.scanned.known.ssl {
        Some(SslReply::No) => "not offered: N to SSLRequest".to_owned(),
        Some(SslReply::Error(error)) => format!("an error before TLS: {error}"),
        Some(SslReply::Closed(why)) => why.clone(),
        _ => "could not be told".to_owned(),
    }
}

/// The worst mark that findings of these names deserve.
fn mark_of(report: &Report, names: &[&str]) -> Mark {
    let worst =
        report.findings.iter().filter(|finding| names.contains(&finding.name)).map(|f| f.severity).max();
    match worst {
        Some(Severity::High | Severity::Critical) => Mark::HoldsNot,
        Some(_) => Mark::Mind,
        None => Mark::Holds,
    }
}

fn plaintext(report: &Report) -> Fact {
    let met = |key| report.scanned.plaintext(key).map(Met::of);
    let (database, replication) = (met(StartupKey::Database), met(StartupKey::Replication));
    match (database, replication) {
        (Some(one), Some(two)) if one.is_refused() && two.is_refused() => {
            let how =
                if one == two { one.words().to_owned() } else { format!("{}; {}", one.words(), two.words()) };
            Fact::new(
                Mark::Holds,
                "TLS required",
                format!("plaintext refused for database and replication ({how})"),
            )
        }
        _ => {
            let told = |what: &str, met: Option<Met>| match met {
                None => format!("{what}: not asked"),
                Some(met) if met.is_refused() => format!("{what}: refused ({})", met.words()),
                Some(met) => format!("{what}: {}", met.words()),
            };
            let open = [database, replication].into_iter().flatten().any(Met::is_let_in);
            let mark = if open { Mark::HoldsNot } else { Mark::CannotTell };
            let text = format!("{}; {}", told("database", database), told("replication", replication));
            Fact::new(mark, if open { "plaintext accepted" } else { "plaintext" }, text)
        }
    }
}

fn versions(report: &Report) -> Fact {
    let known = &report.scanned.known;
    let spoken: Vec<Protocol> =
        Protocol::ALL.into_iter().filter(|protocol| known.version(*protocol).is_yes()).collect();
    let names: Vec<String> = spoken.iter().map(|protocol| people(*protocol)).collect();
    let mark = mark_of(report, &["protocol-too-old", "protocol-broken", "tls13-missing"]);
    let unknown: Vec<String> = Protocol::ALL
        .into_iter()
        .filter(|protocol| known.version(*protocol).as_bool().is_none())
        .map(people)
        .collect();
    let older = spoken.first().is_none_or(|oldest| *oldest >= Protocol::Tls1_2);
    let mut text = match (older, unknown.is_empty()) {
        (false, _) => "older than TLS 1.2".to_owned(),
        (true, true) => "no older version".to_owned(),
        (true, false) => String::new(),
    };
    if !unknown.is_empty() {
        let gap = if text.is_empty() { "" } else { "; " };
        text.push_str(&format!("{gap}not asked or not told: {}", unknown.join(", ")));
    }
    let title = if names.is_empty() { "TLS version".to_owned() } else { names.join(", ") };
    Fact::new(mark, title, text)
}

/// `TLSv1` is TLS 1.0 to people.
pub(super) fn people(protocol: Protocol) -> String {
    match protocol {
        Protocol::Ssl2 => "SSL 2.0".to_owned(),
        Protocol::Ssl3 => "SSL 3.0".to_owned(),
        Protocol::Tls1_0 => "TLS 1.0".to_owned(),
        Protocol::Tls1_1 => "TLS 1.1".to_owned(),
        Protocol::Tls1_2 => "TLS 1.2".to_owned(),
        Protocol::Tls1_3 => "TLS 1.3".to_owned(),
    }
}

fn suites(report: &Report) -> Option<Fact> {
    let known = &report.scanned.known;
    let all = accepted(&report.scanned);
    if all.is_empty() {
        return None;
    }
    if known.wish.quick {
        let names: Vec<&str> = all.iter().map(|suite| suite.openssl.unwrap_or(suite.iana)).collect();
        return Some(Fact::new(mark_of_suites(report), "suite", format!("{} agreed on", names.join(", "))));
    }
    let mut counts: Vec<String> = Vec::new();
    for (protocol, hunt) in known.suites.iter().rev().filter(|(_, hunt)| hunt.found_any()) {
        let more = if hunt.is_complete() { "" } else { " or more" };
        counts.push(format!("{}{more} of {}", hunt.accepted().len(), people(*protocol)));
    }
    let all_of = |class: &str| all.iter().all(|suite| suite.is(class));
    let quality = match (all_of("aead"), all_of("forward-secrecy")) {
        (true, true) => "all AEAD with forward secrecy".to_owned(),
        (false, true) => "all with forward secrecy, not all AEAD".to_owned(),
        (true, false) => "all AEAD, not all with forward secrecy".to_owned(),
        (false, false) => worst_class(&all),
    };
    let order = match known.suites.values().find_map(Hunt::preference) {
        Some(Preference::Server) => ", server's order",
        Some(Preference::Client) => ", client's order",
        None => "",
    };
    Some(Fact::new(mark_of_suites(report), "suites", format!("{}, {quality}{order}", counts.join(", "))))
}

fn mark_of_suites(report: &Report) -> Mark {
    const NAMES: [&str; 7] = [
        "suite-null",
        "suite-anonymous",
        "suite-export",
        "suite-broken",
        "forward-secrecy-missing",
        "suites-too-wide",
        "suites-by-client",
    ];
    mark_of(report, &NAMES)
}

fn worst_class(all: &[&SuiteEntry]) -> String {
    let classes = [
        ("null", "NULL"),
        ("anonymous", "anonymous"),
        ("export", "export"),
        ("rc4", "RC4"),
        ("3des", "3DES"),
    ];
    let found: Vec<&str> = classes
        .into_iter()
        .filter(|(class, _)| all.iter().any(|suite| suite.is(class)))
        .map(|(_, word)| word)
        .collect();
    if found.is_empty() {
        "not all AEAD, not all with forward secrecy".to_owned()
    } else {
        format!("among them {}", found.join(", "))
    }
}

fn groups(report: &Report) -> Option<Fact> {
    let known = &report.scanned.known;
    let mut codes = known.all_groups();
    if codes.is_empty() {
        codes.extend(known.logins.values().flatten().find_map(|seen| seen.group).map(|group| group.0));
    }
    let groups: Vec<_> = codes.into_iter().filter_map(registry::group).collect();
    if groups.is_empty() {
        return None;
    }
    let names: Vec<&str> = groups.iter().map(|group| group.name).collect();
    let quantum = groups.iter().any(|group| group.is("post-quantum"));
    let hybrid = if quantum || known.wish.quick { "" } else { ", no post-quantum hybrid" };
    let weak = mark_of(report, &["group-weak", "dh-weak"]);
    let mark = if weak == Mark::Holds && !quantum && !known.wish.quick { Mark::Mind } else { weak };
    Some(Fact::new(mark, "groups", format!("{}{hybrid}", names.join(", "))))
}

const ABOUT_THE_CERTIFICATE: [&str; 9] = [
    "certificate-expired",
    "certificate-not-yet-valid",
    "certificate-expiring",
    "certificate-version-1",
    "certificate-is-ca",
    "key-weak",
    "certificate-weak-signature",
    "channel-binding-impossible",
    "certificate-unreadable",
];

fn certificate(report: &Report) -> Option<Fact> {
    let scanned = &report.scanned;
    let leaf = scanned.known.leaf()?;
    let left = leaf.days_left(scanned.at);
    let until = leaf.not_after().date();
    let dates = if scanned.at < leaf.not_before() {
        format!("not valid before {}", leaf.not_before().date())
    } else if left < 0 {
        format!("expired {} days ago ({until})", -left)
    } else {
        format!("expires in {left} days ({until})")
    };
    let key = leaf.public_key().kind();
    Some(Fact::new(
        mark_of(report, &ABOUT_THE_CERTIFICATE),
        "certificate",
        format!("{key}, {}, {dates}", leaf.signature_algorithm()),
    ))
}

const ABOUT_THE_CHAIN: [&str; 6] = [
    "certificate-untrusted",
    "certificate-self-signed",
    "certificate-name-mismatch",
    "certificate-name-by-common-name",
    "certificate-address-not-named",
    "chain-unordered",
];

fn chain(report: &Report) -> Option<Fact> {
    let verdict = report.scanned.verdict.as_ref()?;
    let leaf = report.scanned.known.leaf()?;
    let mut parts = vec![match verdict.intermediates {
        _ if leaf.self_signed() => "self-signed".to_owned(),
        0 => "leaf alone".to_owned(),
        1 => "leaf + 1 intermediate".to_owned(),
        more => format!("leaf + {more} intermediates"),
    }];
    parts.push(match (&verdict.asked, &verdict.system) {
        (Some((roots, Ok(()))), _) => format!("trusted by {roots}"),
        (_, Some(Ok(()))) => "trusted by the system".to_owned(),
        (Some((roots, Err(_))), _) => format!("not trusted by {roots} nor by the system"),
        (None, _) => "not trusted by the system".to_owned(),
    });
    parts.push(match (&verdict.libpq_name, &verdict.strict_name) {
        (Ok(()), Ok(())) => "names match".to_owned(),
        (Ok(()), Err(_)) => "the name matches for libpq, not for Go and rustls".to_owned(),
        (Err(_), _) => format!("it does not name {}", report.scanned.target.host),
    });
    let mark = mark_of(report, &ABOUT_THE_CHAIN);
    // Without roots of the person's own, trust is not something that fails.
    let untold = mark == Mark::Holds && verdict.asked.is_none() && !matches!(verdict.system, Some(Ok(())));
    Some(Fact::new(if untold { Mark::Mind } else { mark }, "chain", parts.join(", ")))
}

fn login(report: &Report) -> Fact {
    let scanned = &report.scanned;
    let told = |outcome: Option<Result<&pgseal_wire::scan::Outcome, &str>>| match outcome {
        None => (Met::Unknown, "not asked".to_owned()),
        Some(Err(why)) => (Met::Unknown, format!("could not tell: {why}")),
        Some(Ok(pgseal_wire::scan::Outcome::Odd { why, .. })) => {
            (Met::Unknown, format!("could not tell: {why}"))
        }
        Some(Ok(outcome)) => {
            let met = Met::of(outcome);
            let words = match (met, outcome) {
                (Met::Unknown, pgseal_wire::scan::Outcome::Refused(error)) => {
                    format!("could not tell: {error}")
                }
                _ if met.is_refused() => format!("refused ({})", met.words()),
                _ => met.words().to_owned(),
            };
            (met, words)
        }
    };
    let under_tls = scanned.known.offers_tls();
    let (met, text) = if under_tls {
        told(scanned.under_tls(false))
    } else {
        told(scanned.plaintext(StartupKey::Database).map(Ok))
    };
    let mark = match met {
        Met::Trust => Mark::HoldsNot,
        Met::Unknown => Mark::CannotTell,
        Met::Cleartext | Met::Md5 | Met::Scram | Met::Other => Mark::Mind,
        _ => Mark::Holds,
    };
    let title = if under_tls { "login" } else { "login, in clear" };
    Fact::new(mark, title, format!("{text} · {}@{}", scanned.user, scanned.dbname))
}

fn costs(report: &Report) -> String {
    let known = &report.scanned.known;
    let count = |number: u32, one: &str, more: &str| {
        if number == 1 { format!("1 {one}") } else { format!("{number} {more}") }
    };
    let mut text = format!(
        "{}, {:.2} s, about {} in the server's log",
        count(known.connections, "connection", "connections"),
        report.scanned.took.as_secs_f64(),
        count(known.log_lines, "line", "lines"),
    );
    if known.waited > 0 {
        text.push_str(&format!(
            "; waited {} for room on a full server",
            count(known.waited, "time", "times")
        ));
    }
    if let Some(why) = unfinished(known) {
        text.push_str(&format!("; not finished: {why}"));
    }
    text
}

fn findings(report: &Report, screen: Screen, all: bool) -> Vec<String> {
    let told: Vec<&Finding> =
        report.findings.iter().filter(|finding| all || finding.severity > Severity::Info).collect();
    let mut lines = Vec::new();
    if !told.is_empty() {
        lines.push(String::new());
        let shown = if all { told.len() } else { FINDINGS };
        lines.extend(told.iter().take(shown).flat_map(|finding| finding.lines(screen)));
        if told.len() > shown {
            lines.push(format!("  and {} more: --verbose", told.len() - shown));
        }
    }
    if report.known_before > 0 {
        lines.push(format!("{} more that the baseline has as well", report.known_before));
    }
    lines
}
