//! Certificates as people and programs read them. Nothing here verifies anything.

use pgseal_pki::Certificate;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::escape::for_terminal;
use super::json::SCHEMA_VERSION;
use super::screen::{Mark, Screen};

/// Certificates and where they were seen.
pub(crate) struct Shown {
    pub(crate) source: String,
    pub(crate) certificates: Vec<Certificate>,
    /// The TLS version and suite, when a server showed them.
    pub(crate) negotiated: Option<String>,
}

/// The JSON of `pgseal cert show` (docs/schema/cert-show.json).
#[derive(Debug, Serialize)]
pub(crate) struct ShownRow<'a> {
    schema_version: u32,
    source: &'a str,
    negotiated: Option<&'a str>,
    certificates: Vec<CertificateRow>,
}

#[derive(Debug, Serialize)]
pub(crate) struct CertificateRow {
    subject: String,
    issuer: String,
    /// X.509 version, 1 to 3.
    version: u8,
    serial: String,
    dns_names: Vec<String>,
    ip_addresses: Vec<String>,
    other_names: Vec<String>,
    key: String,
    signature: String,
    not_before: String,
    not_after: String,
    days_left: i64,
    is_ca: bool,
    self_signed: bool,
    sha256: String,
}

/// From so many days before its end on a certificate is worth a word, unless it lives too short for that.
pub(crate) const SOON_DAYS: i64 = 30;

/// How its end is marked.
pub(crate) fn mark_of(certificate: &Certificate, now: OffsetDateTime) -> Mark {
    if certificate.days_left(now) < 0 {
        Mark::HoldsNot
    } else if certificate.expires_within(SOON_DAYS, now) {
        Mark::Mind
    } else {
        Mark::Holds
    }
}

/// RFC 3339, in UTC.
pub(crate) fn instant(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_else(|_| time.unix_timestamp().to_string())
}

pub(crate) fn row(shown: &Shown, now: OffsetDateTime) -> ShownRow<'_> {
    ShownRow {
        schema_version: SCHEMA_VERSION,
        source: &shown.source,
        negotiated: shown.negotiated.as_deref(),
        certificates: shown.certificates.iter().map(|certificate| one(certificate, now)).collect(),
    }
}

pub(crate) fn one(certificate: &Certificate, now: OffsetDateTime) -> CertificateRow {
    CertificateRow {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        version: certificate.version(),
        serial: certificate.serial_hex(),
        dns_names: certificate.dns_names(),
        ip_addresses: certificate.ip_addresses().iter().map(ToString::to_string).collect(),
        other_names: certificate.other_names(),
        key: certificate.public_key().kind().to_string(),
        signature: certificate.signature_algorithm().to_owned(),
        not_before: instant(certificate.not_before()),
        not_after: instant(certificate.not_after()),
        days_left: certificate.days_left(now),
        is_ca: certificate.is_ca(),
        self_signed: certificate.self_signed(),
        sha256: certificate.fingerprint().to_string(),
    }
}

pub(crate) fn human(shown: &Shown, now: OffsetDateTime, screen: Screen) -> String {
    let negotiated =
        shown.negotiated.as_ref().map(|text| format!("{}{text}", screen.dot())).unwrap_or_default();
    let mut lines = vec![for_terminal(&format!("{}{negotiated}", shown.source))];
    for (nth, certificate) in shown.certificates.iter().enumerate() {
        let kind = match (certificate.is_ca(), certificate.self_signed()) {
            (true, true) => "root",
            (true, false) => "intermediate",
            (false, _) => "leaf",
        };
        lines.push(String::new());
        lines.push(format!("{} {kind}", nth + 1));
        lines.extend(facts(certificate, now, screen));
    }
    lines.join("\n")
}

pub(crate) fn facts(certificate: &Certificate, now: OffsetDateTime, screen: Screen) -> Vec<String> {
    let row = one(certificate, now);
    let names = [row.dns_names, row.ip_addresses, row.other_names].concat();
    let dated = if now < certificate.not_before() { Mark::HoldsNot } else { mark_of(certificate, now) };
    let plain = |title: &str, text: &str| format!("    {title:<12} {}", for_terminal(text));
    let mut lines = vec![plain("subject", &row.subject), plain("issuer", &row.issuer)];
    if !names.is_empty() {
        lines.push(plain("names", &names.join(", ")));
    }
    lines.push(format!(
        "  {} {:<12} {} to {} ({} days left)",
        screen.mark(dated),
        "valid",
        row.not_before,
        row.not_after,
        row.days_left
    ));
    lines.push(plain("key", &format!("{}, signed with {}", row.key, row.signature)));
    lines.push(plain("X.509", &format!("v{}, serial {}", row.version, row.serial)));
    lines.push(plain("sha256", &row.sha256));
    lines
}
