//! What a verb that makes a certificate shows: the certificate, the files, the next command.

use pgseal_pki::Certificate;
use serde::Serialize;

use crate::certs::output::Written;
use crate::cli::Outcome;
use crate::cli::options::Format;
use crate::failure::Result;
use crate::report::certificate::instant;
use crate::report::escape::for_terminal;
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::screen::{Mark, Screen};

/// The JSON of `cert server`, `client`, `import` and `renew` (docs/schema/cert-issued.json).
#[derive(Debug, Serialize)]
struct Row<'a> {
    schema_version: u32,
    certificate: CertificateRow,
    /// Whether it ends with its CA, sooner than was wished.
    cut_short: bool,
    files: Vec<FileRow>,
    notes: &'a [String],
    next: &'a [String],
}

#[derive(Debug, Serialize)]
pub(super) struct CertificateRow {
    subject: String,
    issuer: String,
    serial: String,
    names: Vec<String>,
    key: String,
    not_before: String,
    not_after: String,
    sha256: String,
}

#[derive(Debug, Serialize)]
pub(super) struct FileRow {
    path: String,
    /// Octal, as chmod has it.
    mode: String,
    what: &'static str,
}

/// Everything that is to be shown.
pub(super) struct Shown<'a> {
    pub(super) certificate: &'a Certificate,
    pub(super) cut_short: bool,
    pub(super) files: &'a [Written],
    /// What is worth to be minded.
    pub(super) notes: Vec<String>,
    /// What to do next.
    pub(super) next: Vec<String>,
}

pub(super) fn certificate_row(certificate: &Certificate) -> CertificateRow {
    CertificateRow {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        serial: certificate.serial_hex(),
        names: names_of(certificate),
        key: certificate.public_key().kind().to_string(),
        not_before: instant(certificate.not_before()),
        not_after: instant(certificate.not_after()),
        sha256: certificate.fingerprint().to_string(),
    }
}

pub(super) fn names_of(certificate: &Certificate) -> Vec<String> {
    let addresses = certificate.ip_addresses().into_iter().map(|ip| ip.to_string());
    certificate.dns_names().into_iter().chain(addresses).collect()
}

pub(super) fn file_rows(files: &[Written]) -> Vec<FileRow> {
    let row = |file: &Written| FileRow {
        path: file.path.display().to_string(),
        mode: format!("{:04o}", file.mode),
        what: file.what,
    };
    files.iter().map(row).collect()
}

pub(super) fn file_lines(files: &[Written], screen: Screen) -> Vec<String> {
    let line = |file: &Written| {
        let text = format!("{} ({:04o})  {}", file.path.display(), file.mode, file.what);
        screen.line(Mark::Holds, "written", &for_terminal(&text))
    };
    files.iter().map(line).collect()
}

pub(super) fn outcome(shown: &Shown<'_>, format: Format) -> Result<Outcome> {
    let certificate = shown.certificate;
    if format == Format::Json {
        return Ok(Outcome::well(json::text(&Row {
            schema_version: SCHEMA_VERSION,
            certificate: certificate_row(certificate),
            cut_short: shown.cut_short,
            files: file_rows(shown.files),
            notes: &shown.notes,
            next: &shown.next,
        })?));
    }
    let screen = Screen::of_stdout();
    let names = names_of(certificate);
    let whose = if names.is_empty() { certificate.subject().to_string() } else { names.join(", ") };
    let text = format!(
        "{} for {whose}, until {}, by {}",
        certificate.public_key().kind(),
        certificate.not_after().date(),
        certificate.issuer()
    );
    let mut lines = vec![screen.line(Mark::Holds, "certificate", &for_terminal(&text))];
    lines.extend(file_lines(shown.files, screen));
    if shown.cut_short {
        lines.push(screen.line(Mark::Mind, "ends with its CA", "sooner than was wished"));
    }
    lines.extend(shown.notes.iter().map(|note| screen.line(Mark::Mind, "note", &for_terminal(note))));
    lines.extend(shown.next.iter().map(|next| format!("    {}", for_terminal(next))));
    Ok(Outcome::well(lines.join("\n")))
}
