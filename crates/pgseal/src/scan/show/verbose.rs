//! What does not fit on one screen: every suite, group, scheme, certificate, answer.

use pgseal_wire::registry;
use pgseal_wire::scan::hello::Protocol;
use pgseal_wire::scan::{Estimate, Hunt, Preference, StartupKey, Told};

use super::super::authentication::Met;
use super::super::report::Report;
use super::human::people;
use super::row::authorities;
use crate::report::certificate;
use crate::report::escape::for_terminal;
use crate::report::screen::Screen;

pub(super) fn lines(report: &Report, screen: Screen) -> Vec<String> {
    let safe = |lines: Vec<String>| lines.iter().map(|line| screen.spelled(&for_terminal(line))).collect();
    let mut lines = Vec::new();
    section(&mut lines, "Versions", safe(versions(report)));
    section(&mut lines, "Suites", safe(suites(report)));
    section(&mut lines, "Groups", safe(groups(report)));
    section(&mut lines, "Signature schemes of TLS 1.2", safe(schemes(report)));
    section(&mut lines, "Handshake", safe(handshake(report)));
    // Its lines are harmless already, and may have colour.
    section(&mut lines, "Certificates", certificates(report, screen));
    section(&mut lines, "Logins", safe(logins(report)));
    if let Some(guess) = Estimate::of(&report.scanned.known) {
        section(&mut lines, "The version is a guess", safe(guess.because));
    }
    lines
}

fn section(lines: &mut Vec<String>, title: &str, content: Vec<String>) {
    if !content.is_empty() {
        lines.push(String::new());
        lines.push(title.to_owned());
        lines
            .extend(content.into_iter().map(|line| if line.is_empty() { line } else { format!("  {line}") }));
    }
}

fn versions(report: &Report) -> Vec<String> {
    let known = &report.scanned.known;
    Protocol::ALL
        .into_iter()
        .map(|protocol| {
            let (word, why) = match known.version(protocol) {
                Told::Yes => ("yes", None),
                Told::No => ("no", known.refusals.get(&protocol).cloned()),
                Told::Unknown(why) => ("could not tell", Some(why)),
            };
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            format!("{:<8} {word}{why}", people(protocol))
        })
        .collect()
}

fn suites(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    for (protocol, hunt) in report.scanned.known.suites.iter().rev().filter(|(_, hunt)| hunt.found_any()) {
        if *protocol == Protocol::Ssl2 {
            continue;
        }
        let order = match hunt.preference() {
            Some(Preference::Server) => "in the server's order",
            Some(Preference::Client) => "the client's order decides",
            None => "one alone",
        };
        let short = hunt.gave_up().map(|why| format!("; not all: {why}")).unwrap_or_default();
        lines.push(format!("{}, {order}{short}", people(*protocol)));
        for code in hunt.accepted() {
            lines.push(match registry::suite(code) {
                Some(suite) => format!("  {:<32} {}", suite.openssl.unwrap_or("-"), suite.iana),
                None => format!("  {code:04x}"),
            });
        }
    }
    lines
}

fn groups(report: &Report) -> Vec<String> {
    let known = &report.scanned.known;
    known
        .all_groups()
        .into_iter()
        .map(|code| {
            let name =
                registry::group(code).map_or_else(|| format!("{code:04x}"), |group| group.name.to_owned());
            let spoken = |protocol: &Protocol| {
                known.groups.get(protocol).is_some_and(|hunt| hunt.accepted().contains(&code))
            };
            let versions: Vec<String> =
                [Protocol::Tls1_3, Protocol::Tls1_2].into_iter().filter(spoken).map(people).collect();
            let bits = registry::group(code).map_or(0, |group| group.bits);
            format!("{name:<24} {bits:>3} bits, {}", versions.join(", "))
        })
        .chain(
            known
                .dh_bits
                .iter()
                .map(|bits| format!("finite field              {bits} bits, TLS 1.2 and older")),
        )
        .collect()
}

fn schemes(report: &Report) -> Vec<String> {
    let hunt: &Hunt = &report.scanned.known.schemes;
    hunt.accepted()
        .into_iter()
        .map(|code| {
            registry::scheme(code).map_or_else(|| format!("{code:04x}"), |scheme| scheme.iana.to_owned())
        })
        .collect()
}

fn handshake(report: &Report) -> Vec<String> {
    let known = &report.scanned.known;
    let features = &known.features;
    let yes = |value: bool| if value { "yes" } else { "no" };
    let mut lines = Vec::new();
    if features.seen {
        lines.push(format!("compression                {}", yes(features.compression)));
        lines.push(format!("secure renegotiation       {}", yes(features.secure_renegotiation)));
        lines.push(format!("extended master secret     {}", yes(features.extended_master_secret)));
        if let Some(mac) = features.encrypt_then_mac {
            lines.push(format!("encrypt then MAC           {}", yes(mac)));
        }
    }
    let told = super::row::told(report);
    for (title, value) in [
        ("session tickets", told.session_tickets),
        ("session resumed", told.resumption),
        ("OCSP stapling", told.ocsp_stapling),
    ] {
        lines.extend(value.map(|value| format!("{title:<27}{}", yes(value))));
    }
    if let Some(fallback) = &known.fallback {
        let word = fallback
            .reason()
            .map_or_else(|| yes(fallback.is_yes()).to_owned(), |why| format!("could not tell: {why}"));
        lines.push(format!("fallback SCSV              {word}"));
    }
    for (replication, result) in &known.logins {
        if let Ok(seen) = result {
            let what = if *replication { "second" } else { "first" };
            lines.push(format!(
                "{:<27}{} {} {}, {} tickets{}",
                format!("{what} whole handshake"),
                seen.version,
                seen.suite,
                seen.group.map(|group| group.to_string()).unwrap_or_default(),
                seen.tickets,
                if seen.resumed { ", resumed" } else { "" }
            ));
        }
    }
    match known.direct.get(&true) {
        Some(Ok(seen)) => lines.push(format!(
            "direct TLS                 yes, ALPN {}",
            seen.alpn.as_deref().unwrap_or("not chosen")
        )),
        Some(Err(failed)) => lines.push(format!("direct TLS                 no: {}", failed.why)),
        None => {}
    }
    let authorities = authorities(report);
    let asked = features.certificate_request.is_some()
        || known.handshakes().any(|seen| seen.certificate_request.is_some());
    if asked {
        lines.push(format!(
            "client certificate         asked for, of {}",
            if authorities.is_empty() { "anybody".to_owned() } else { authorities.join("; ") }
        ));
    }
    lines
}

fn certificates(report: &Report, screen: Screen) -> Vec<String> {
    let scanned = &report.scanned;
    let mut lines = Vec::new();
    for certificate in scanned.known.chains.iter().flatten() {
        lines.extend(certificate::facts(certificate, scanned.at, screen));
        lines.push(String::new());
    }
    for (place, why) in &scanned.known.unreadable {
        lines.push(format!("certificate {place} cannot be read: {why}"));
    }
    lines
}

fn logins(report: &Report) -> Vec<String> {
    let scanned = &report.scanned;
    let said = |outcome: Option<Result<&pgseal_wire::scan::Outcome, &str>>| match outcome {
        None => "not asked".to_owned(),
        Some(Err(why)) => format!("could not tell: {why}"),
        Some(Ok(pgseal_wire::scan::Outcome::Odd { why, .. })) => format!("could not tell: {why}"),
        Some(Ok(outcome @ pgseal_wire::scan::Outcome::Refused(error))) => {
            format!("{}: {error}", Met::of(outcome).words())
        }
        Some(Ok(outcome)) => Met::of(outcome).words().to_owned(),
    };
    vec![
        format!("database, in clear         {}", said(scanned.plaintext(StartupKey::Database).map(Ok))),
        format!("replication, in clear      {}", said(scanned.plaintext(StartupKey::Replication).map(Ok))),
        format!("database, with TLS         {}", said(scanned.under_tls(false))),
        format!("replication, with TLS      {}", said(scanned.under_tls(true))),
    ]
}
