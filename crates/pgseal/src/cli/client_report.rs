//! What `pgseal client` hands out, for people and for programs (docs/schema/client.json).

use std::fmt::Write as _;

use pgseal_pki::Certificate;
use pgseal_wire::SslMode;
use serde::Serialize;

use super::client::Handout;
use super::client_check::{self, CheckRow};
use crate::client::drivers::Driver;
use crate::client::forms::Forms;
use crate::client::managed::Service;
use crate::client::served::{Verified, Wants};
use crate::client::trusted::From;
use crate::report::certificate::instant;
use crate::report::escape::{for_terminal, lines_for_terminal};
use crate::report::json::SCHEMA_VERSION;
use crate::report::screen::{Mark, Screen};

/// The JSON of `pgseal client`.
#[derive(Debug, Serialize)]
pub(super) struct Told<'h> {
    schema_version: u32,
    target: &'h str,
    host: &'h str,
    port: u16,
    username: &'h str,
    dbname: &'h str,
    sslmode: &'static str,
    ca: CaRow<'h>,
    verified: Option<bool>,
    said: &'h str,
    client_certificate_wanted: bool,
    managed: Option<&'h Service>,
    warnings: &'h [String],
    written: Vec<String>,
    compose: Option<&'h str>,
    /// Of --check, one a driver.
    checks: Vec<CheckRow<'h>>,
    libpq: &'h Forms,
    drivers: Vec<DriverRow<'h>>,
}

#[derive(Debug, Serialize)]
struct CaRow<'h> {
    from: &'static str,
    path: &'h str,
    lies_there: bool,
    /// None for the public authorities.
    pem: Option<String>,
    certificates: Vec<CertificateRow>,
}

#[derive(Debug, Serialize)]
struct CertificateRow {
    subject: String,
    sha256: String,
    not_after: String,
}

#[derive(Debug, Serialize)]
struct DriverRow<'h> {
    driver: &'h str,
    aliases: &'h [String],
    version: &'h str,
    known: &'static str,
    language: &'h str,
    /// None where it cannot verify this server, or its text cannot hold a value.
    text: Option<String>,
    url: Option<String>,
    cannot: Option<String>,
    warnings: Vec<String>,
    shorter_forms: &'h str,
    /// Empty where its strings have no word of libpq's for that.
    modes: Vec<ModeRow<'h>>,
    source: &'h str,
}

#[derive(Debug, Serialize)]
struct ModeRow<'h> {
    sslmode: &'h str,
    without_ca: &'h str,
    with_ca: &'h str,
}

pub(super) fn told(handout: &Handout) -> Told<'_> {
    let values = &handout.values;
    let trusted = &handout.trusted;
    Told {
        schema_version: SCHEMA_VERSION,
        target: &handout.target,
        host: &values.host,
        port: values.port,
        username: &values.user,
        dbname: &values.dbname,
        sslmode: values.mode.as_str(),
        ca: CaRow {
            from: trusted.from.as_str(),
            path: &trusted.path,
            lies_there: trusted.lies_there,
            pem: trusted.pem(),
            certificates: trusted.certificates.iter().map(certificate).collect(),
        },
        verified: match handout.served.verified {
            Verified::Yes => Some(true),
            Verified::No => Some(false),
            Verified::Untold => None,
        },
        said: &handout.served.said,
        client_certificate_wanted: handout.served.wants != Wants::Nothing,
        managed: handout.managed.as_ref(),
        warnings: &handout.warnings,
        written: handout.written.iter().map(|path| path.display().to_string()).collect(),
        compose: handout.compose.as_deref(),
        checks: handout.verdicts.as_ref().map(client_check::rows).unwrap_or_default(),
        libpq: &handout.forms,
        drivers: handout.drivers.iter().map(|driver| row(driver, handout)).collect(),
    }
}

fn certificate(one: &Certificate) -> CertificateRow {
    CertificateRow {
        subject: one.subject().to_string(),
        sha256: one.fingerprint().to_string(),
        not_after: instant(one.not_after()),
    }
}

fn row<'h>(driver: &'h Driver, handout: &'h Handout) -> DriverRow<'h> {
    let values = &handout.values;
    let (text, cannot) = match cannot(driver, handout) {
        Some(why) => (None, Some(why)),
        None => match driver.told(values) {
            Ok(text) => (Some(text), None),
            Err(why) => (None, Some(why)),
        },
    };
    let mut warnings = handout.certificate.as_ref().map(|shown| shown.for_driver(driver)).unwrap_or_default();
    if values.own.is_some() {
        warnings.extend(driver.no_mtls.clone());
    }
    DriverRow {
        driver: &driver.name,
        aliases: &driver.aliases,
        version: &driver.version,
        known: driver.known.as_str(),
        language: &driver.language,
        url: text.is_some().then(|| driver.url(values)).flatten(),
        text,
        cannot,
        warnings,
        shorter_forms: &driver.short,
        modes: driver
            .modes()
            .into_iter()
            .map(|(sslmode, without_ca, with_ca)| ModeRow { sslmode, without_ca, with_ca })
            .collect(),
        source: &driver.source,
    }
}

/// Why there is no text for this driver.
fn cannot(driver: &Driver, handout: &Handout) -> Option<String> {
    let mode = handout.values.mode;
    if mode != SslMode::VerifyFull && !driver.follows_mode() {
        return Some(format!("its text verifies fully, and there is none for {mode}"));
    }
    handout.certificate.as_ref().and_then(|shown| shown.cannot(driver))
}

pub(super) fn human(handout: &Handout, screen: Screen) -> String {
    let values = &handout.values;
    let mut text = String::new();
    let mut put = |line: &str| {
        text.push_str(line.trim_end());
        text.push('\n');
    };
    put(&for_terminal(&format!(
        "{}:{}{}user {}, database {}",
        values.host,
        values.port,
        screen.dot(),
        values.user,
        values.dbname
    )));
    for line in facts(handout, screen) {
        put(&line);
    }
    put("");
    if let Some(verdicts) = &handout.verdicts {
        for line in client_check::human(verdicts, screen) {
            put(&line);
        }
        return text;
    }
    if let Some(lines) = &handout.compose {
        put("compose       for an application in the same project:");
        for line in indented(lines) {
            put(&line);
        }
        put("");
    }
    if !handout.written.is_empty() {
        put("written");
        for path in &handout.written {
            put(&for_terminal(&format!("    {}", path.display())));
        }
        put("");
    }
    if handout.asked {
        for driver in &handout.drivers {
            for line in snippet(&row(driver, handout), screen) {
                put(&line);
            }
            put("");
        }
    } else {
        for line in of_libpq(&handout.forms) {
            put(&line);
        }
        put("");
        for line in list(handout) {
            put(&line);
        }
        put("");
    }
    for line in where_the_ca_goes(handout) {
        put(&line);
    }
    text
}

/// What was seen, the CA, what to mind.
fn facts(handout: &Handout, screen: Screen) -> Vec<String> {
    let trusted = &handout.trusted;
    let (mark, title) = match handout.served.verified {
        Verified::Yes => (Mark::Holds, "verified"),
        Verified::No => (Mark::HoldsNot, "not verified"),
        Verified::Untold => (Mark::CannotTell, "not seen"),
    };
    let line = |mark, title: &str, said: &str| {
        format!("  {} {title:<12} {}", screen.mark(mark), screen.spelled(&for_terminal(said)))
    };
    let mut lines = Vec::new();
    for (nth, said) in handout.served.said.lines().enumerate() {
        if nth == 0 {
            lines.push(line(mark, title, said));
        } else {
            lines.push(format!("    {:<12} {}", "", for_terminal(said.trim())));
        }
    }
    let from = match trusted.from {
        From::File => trusted.path.clone(),
        From::Server => "it lies beside the server's certificate".to_owned(),
        From::System => format!("the public authorities, {}", trusted.path),
        From::FirstUse => "what the server showed, which nobody vouched for".to_owned(),
    };
    let mark = if trusted.from == From::FirstUse { Mark::Mind } else { Mark::Holds };
    lines.push(line(mark, "CA", &from));
    for one in trusted.certificates.iter().take(MOST) {
        let said = format!("{}, SHA-256 {}", one.subject(), one.fingerprint());
        lines.push(format!("    {:<12} {}", "", for_terminal(&said)));
    }
    if let Some(service) = &handout.managed {
        lines.push(line(Mark::Mind, "service", &format!("{}: {}", service.name, service.how)));
    }
    for warning in &handout.warnings {
        lines.push(line(Mark::Mind, "mind", warning));
    }
    lines
}

/// More certificates of one root file than this are not listed.
const MOST: usize = 4;

fn of_libpq(forms: &Forms) -> Vec<String> {
    let mut lines = vec![
        format!("URI           {}", for_terminal(&forms.uri)),
        format!("conninfo      {}", for_terminal(&forms.conninfo)),
    ];
    match &forms.service_file {
        Some(section) => {
            lines.push(format!("service       in ~/.pg_service.conf, for service={}:", forms.service));
            lines.extend(indented(section));
        }
        None => lines.push("service       a service file cannot hold these values".to_owned()),
    }
    lines.push("environment".to_owned());
    lines.extend(indented(&forms.environment));
    match &forms.pgpass {
        Some(entry) => {
            lines.push("pgpass        in ~/.pgpass, mode 0600:".to_owned());
            lines.extend(indented(entry));
        }
        None => lines.push("pgpass        a password file cannot hold these values".to_owned()),
    }
    lines
}

fn indented(text: &str) -> Vec<String> {
    text.lines().map(|line| format!("    {}", for_terminal(line))).collect()
}

/// The drivers that a text can be had for.
fn list(handout: &Handout) -> Vec<String> {
    let mut lines = vec![
        "Drivers       pgseal client TARGET --driver NAME[@VERSION] shows what to write for each".to_owned(),
    ];
    for driver in &handout.drivers {
        let mut line = format!("  {:<26}{:<42}", driver.name, driver.version);
        let row = row(driver, handout);
        let _ = write!(line, "{}", row.known);
        if let Some(why) = row.cannot.iter().chain(&row.warnings).next() {
            let _ = write!(line, "; {why}");
        }
        lines.push(for_terminal(&line));
    }
    lines
}

fn snippet(row: &DriverRow<'_>, screen: Screen) -> Vec<String> {
    let mut lines = vec![format!("{} {} ({}), {}", row.driver, row.version, row.language, row.known)];
    match (&row.text, &row.cannot) {
        (Some(text), _) => lines.extend(lines_for_terminal(text).lines().map(|line| format!("    {line}"))),
        (None, Some(why)) => {
            lines.push(format!("  {} cannot: {}", screen.mark(Mark::HoldsNot), for_terminal(why)));
        }
        (None, None) => {}
    }
    if let Some(url) = &row.url {
        lines.push(format!("  in one string: {}", for_terminal(url)));
    }
    for warning in &row.warnings {
        lines.push(format!("  {} {}", screen.mark(Mark::Mind), for_terminal(warning)));
    }
    lines.push(format!("  its shorter forms: {}", row.shorter_forms));
    lines
}

/// Where the root file goes, and what is in it where it lies nowhere yet.
fn where_the_ca_goes(handout: &Handout) -> Vec<String> {
    let trusted = &handout.trusted;
    let path = for_terminal(&trusted.path);
    let Some(pem) = trusted.pem() else {
        return vec![format!(
            "root.crt      {path} has the public authorities; from libpq 16 on sslrootcert=system says the same"
        )];
    };
    if trusted.lies_there {
        return vec![format!(
            "root.crt      {path} as it lies here; clients elsewhere need a copy of it (--ca-path PATH), and libpq finds one in ~/.postgresql/root.crt unasked"
        )];
    }
    let mut lines = vec![format!("root.crt      write this to {path} where clients run; it is no secret:")];
    lines.extend(pem.lines().map(|line| format!("    {line}")));
    lines
}
