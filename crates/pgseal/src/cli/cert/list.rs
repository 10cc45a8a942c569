//! `pgseal cert list`.

use std::path::{Path, PathBuf};

use clap::Args;
use pgseal_pki::{Certificate, Validity};
use serde::Serialize;
use time::OffsetDateTime;

use super::issued::names_of;
use crate::certs::authority::{self, Role};
use crate::certs::inventory::{Entry, Inventory, Place, PlaceKind, Purpose};
use crate::certs::revocation;
use crate::cli::Outcome;
use crate::cli::options::Format;
use crate::failure::{Ending, Result};
use crate::folder::layout::Folder;
use crate::folder::{issued, state};
use crate::journal::{Change, Journal, Origin};
use crate::report::certificate::{instant, mark_of};
use crate::report::escape::for_terminal;
use crate::report::json::{self, SCHEMA_VERSION};
use crate::report::screen::{Mark, Screen};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pgseal cert list
  pgseal cert list ./pgseal --expiring 30d        for CI: status 1 when one ends within 30 days

What pgseal has issued or installed as this user, soonest end first; with folders made by `pgseal up` those
of theirs. A certificate that another one has replaced everywhere is left out unless --all.")]
pub(crate) struct Options {
    /// Folders made by `pgseal up`, to be listed as well
    folders: Vec<PathBuf>,
    /// Also those that lie nowhere any more
    #[arg(long)]
    all: bool,
    /// Status 1 when one of them ends within this time
    #[arg(long, value_name = "TIME")]
    expiring: Option<Validity>,
    /// How the result is shown
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The JSON of `cert list` (docs/schema/cert-list.json).
#[derive(Debug, Serialize)]
struct Row {
    schema_version: u32,
    certificates: Vec<CertificateRow>,
}

#[derive(Debug, Serialize)]
struct CertificateRow {
    purpose: &'static str,
    subject: String,
    names: Vec<String>,
    issuer: String,
    serial: String,
    sha256: String,
    not_after: String,
    days_left: i64,
    #[serde(skip)]
    mark: Mark,
    revoked: bool,
    /// The folder of the CA that issued it, where it is one of ours.
    ca: Option<String>,
    places: Vec<Place>,
}

pub(super) fn run(options: &Options) -> Result<Outcome> {
    let now = OffsetDateTime::now_utc();
    let mut all: Vec<(Entry, Certificate)> = Vec::new();
    if let Some(home) = Inventory::find_home()? {
        all.extend(home.entries()?);
    }
    for journal in Journal::all()? {
        let installed = on_server(&journal, &mut all)?;
        all.extend(installed);
    }
    for folder in &options.folders {
        all.extend(of_folder(folder, now)?);
    }
    all.sort_by_key(|(_, certificate)| certificate.not_after());
    let rows: Vec<CertificateRow> = all
        .iter()
        .filter(|(entry, _)| options.all || is_in_use(entry))
        .map(|(entry, certificate)| row(entry, certificate, now))
        .collect();
    let soon = options.expiring.is_some_and(|within| {
        let line = now + within.duration();
        all.iter().any(|(entry, certificate)| is_in_use(entry) && certificate.not_after() <= line)
    });
    let text = match options.format {
        Format::Json => json::text(&Row { schema_version: SCHEMA_VERSION, certificates: rows })?,
        Format::Human => human(&rows),
    };
    Ok(Outcome { text, ending: if soon { Ending::NotProved } else { Ending::Well } })
}

/// Whether it lies somewhere: a file that is still there, or a server that still has it.
fn is_in_use(entry: &Entry) -> bool {
    entry.places.iter().any(|place| match place.kind {
        PlaceKind::Server => true,
        PlaceKind::File => Path::new(&place.name).symlink_metadata().is_ok(),
    })
}

/// What a server has by the last change that stands: written down with the change. One that was issued and listed
/// before gets the server as a further place.
fn on_server(journal: &Journal, known: &mut [(Entry, Certificate)]) -> Result<Option<(Entry, Certificate)>> {
    let Some(Change { certificate: Some(pem), target: Some(target), began, origin, .. }) =
        journal.installed()?
    else {
        return Ok(None);
    };
    let place = Place { kind: PlaceKind::Server, name: target, since: began.clone() };
    let authority = match origin {
        Some(Origin::Authority { folder }) => Some(folder),
        _ => None,
    };
    let purpose = Purpose::Server;
    let entry =
        Entry { format: 1, purpose, certificate: pem, authority, since: began, places: vec![place.clone()] };
    let Some(certificate) = entry.read() else { return Ok(None) };
    match known.iter_mut().find(|(_, other)| *other == certificate) {
        Some((other, _)) => {
            other.places.push(place);
            Ok(None)
        }
        None => Ok(Some((entry, certificate))),
    }
}

/// The CA of the folder, what it issued, and what its server has.
fn of_folder(path: &Path, now: OffsetDateTime) -> Result<Vec<(Entry, Certificate)>> {
    let folder: Folder = state::resolve(path)?;
    state::made(&folder)?;
    let ca = folder.authority();
    let mut all = match Inventory::find_beside(&ca)? {
        Some(inventory) => inventory.entries()?,
        None => Vec::new(),
    };
    let mut add = |purpose: Purpose, certificate: Certificate, kind: PlaceKind, name: String| {
        if !all.iter().any(|(_, known)| *known == certificate) {
            let entry = Entry::new(purpose, &certificate, Some(&ca), now).at(kind, name, now);
            all.push((entry, certificate));
        }
    };
    for certificate in authority::certificates(&ca, Role::Server)? {
        add(
            Purpose::Authority,
            certificate,
            PlaceKind::File,
            folder.authority_certificate().display().to_string(),
        );
    }
    add(Purpose::Server, issued::certificate(&folder)?, PlaceKind::Server, path.display().to_string());
    Ok(all)
}

fn row(entry: &Entry, certificate: &Certificate, now: OffsetDateTime) -> CertificateRow {
    let role = if entry.purpose == Purpose::Client { Role::Client } else { Role::Server };
    let list =
        entry.authority.as_deref().and_then(|folder| revocation::in_folder(folder, role).ok().flatten());
    CertificateRow {
        purpose: entry.purpose.as_str(),
        subject: certificate.subject().to_string(),
        names: names_of(certificate),
        issuer: certificate.issuer().to_string(),
        serial: certificate.serial_hex(),
        sha256: certificate.fingerprint().to_string(),
        not_after: instant(certificate.not_after()),
        days_left: certificate.days_left(now),
        mark: mark_of(certificate, now),
        revoked: list.is_some_and(|list| list.revokes(certificate)),
        ca: entry.authority.as_ref().map(|folder| folder.display().to_string()),
        places: entry.places.clone(),
    }
}

fn human(rows: &[CertificateRow]) -> String {
    let screen = Screen::of_stdout();
    if rows.is_empty() {
        return "no certificate is known here".to_owned();
    }
    let mut lines = Vec::new();
    for row in rows {
        let mark = if row.revoked { Mark::HoldsNot } else { row.mark };
        let whose = if row.names.is_empty() { row.subject.clone() } else { row.names.join(", ") };
        let revoked = if row.revoked { ", revoked" } else { "" };
        lines.push(screen.line(
            mark,
            &format!("{} days left", row.days_left),
            &for_terminal(&format!("{}  {whose}{revoked}", row.purpose)),
        ));
        lines.push(for_terminal(&format!("      serial {}, by {}", row.serial, row.issuer)));
        for place in &row.places {
            let kind = match place.kind {
                PlaceKind::File => "in",
                PlaceKind::Server => "on",
            };
            lines.push(for_terminal(&format!("      {kind} {}", place.name)));
        }
    }
    lines.join("\n")
}
