//! Would the server also start again as its files stand? After a reload that failed the wire shows the old
//! certificate and goes on; the next start is where it shows (be-secure-openssl.c: LOG at reload, FATAL at
//! start).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pgseal_pki::Certificate;
use pgseal_wire::Session;

use super::by_postgres::read_by_postgres;
use super::facts::{Facts, Setting};
use super::observe::{bytes_of_path, in_data, settings};
use super::{lists, present};
use crate::failure::{Failure, Result};
use crate::hba::fetch::fetch;
use crate::place::Place;
use crate::privilege::files::Kind;
use crate::sql::rows_of;
use crate::verify::claim::{Claim, ClaimName, Proof};

const REFUSED: &str = "a start would refuse the files as they are";

/// The files that the settings name now, checked as PostgreSQL checks them at start.
pub(crate) async fn claim(place: &mut Place, inside: &Session, leaf: &Certificate) -> Claim {
    let name = ClaimName::RestartWouldWork;
    let settings = match settings(inside).await {
        Ok(settings) => settings,
        Err(failure) => return Claim::cannot_tell(name, failure.sentence().to_owned()),
    };
    match refusals(place, inside, &settings).await {
        Ok(said) if said.is_empty() => claim_of(place, &settings, leaf).await,
        Ok(said) => Claim::fails(name, said.join("; "), REFUSED),
        Err(why) => Claim::cannot_tell(name, why),
    }
}

/// The same after a change of ours: what a start refused before as well is nothing that the change has to answer for, and
/// leaves the claim out.
pub(super) async fn add_claim(
    place: &mut Place,
    inside: &Session,
    leaf: &Certificate,
    already: &[String],
    proof: &mut Proof,
) {
    let name = ClaimName::RestartWouldWork;
    let claim = claim(place, inside, leaf).await;
    if already.is_empty() || claim.reason.as_deref() != Some(REFUSED) {
        return proof.add(claim);
    }
    let settings = settings(inside).await.unwrap_or_default();
    let now = refusals(place, inside, &settings).await.unwrap_or_default();
    if now.iter().any(|said| !already.contains(said)) {
        return proof.add(claim);
    }
    // The files of TLS count all the same.
    match tls_files(place, &settings).await {
        Ok(_) => {
            proof.leave_out(name, format!("a start refused these files before, too: {}", now.join("; ")));
        }
        Err(why) => proof.add(Claim::fails(name, "the files of TLS", why)),
    }
}

/// The same of settings that are known already.
pub(super) async fn claim_of(
    place: &mut Place,
    settings: &BTreeMap<String, Setting>,
    leaf: &Certificate,
) -> Claim {
    let name = ClaimName::RestartWouldWork;
    let named = |name: &str| settings.get(name).map_or("", |setting| setting.value.as_str());
    let present = match present::look(place, settings).await {
        Ok(present) => present,
        Err(why) => return Claim::fails(name, named("ssl_cert_file"), why),
    };
    if let Err(why) = &present.key {
        return Claim::fails(name, named("ssl_key_file"), why.clone());
    }
    if present.leaf != *leaf {
        let evidence = format!("{} holds sha256 {}", named("ssl_cert_file"), present.leaf.fingerprint());
        return Claim::fails(name, evidence, "another certificate would be served after a restart");
    }
    let looked = match tls_files(place, settings).await {
        Ok(looked) => looked,
        Err(why) => return Claim::fails(name, named("ssl_key_file"), why),
    };
    match configuration(place, settings).await {
        Ok(read) => Claim::holds(name, evidence(looked, &read)),
        Err(why) => Claim::fails(name, why, REFUSED),
    }
}

/// What was checked, and what was not.
fn evidence(looked: lists::Looked, read: &Read) -> String {
    let mut checked = vec!["key and certificate with their modes"];
    checked.extend(&looked.sound);
    checked.extend(["pg_hba.conf", read.by]);
    let mut unsure = looked.unsure;
    unsure.extend(read.unsure.map(str::to_owned));
    unsure.push("what only a start does (memory, ports, libraries)".to_owned());
    format!("{}; not tried: {}", checked.join(", "), unsure.join(", "))
}

/// The files beside the certificate, as a start looks at them.
pub(crate) async fn files_at_start(
    place: &mut Place,
    settings: &BTreeMap<String, Setting>,
) -> Result<(), String> {
    tls_files(place, settings).await.map(|_| ())
}

async fn tls_files(place: &mut Place, settings: &BTreeMap<String, Setting>) -> Result<lists::Looked, String> {
    let key = in_data(place, settings.get("ssl_key_file").map_or("", |setting| &setting.value));
    key_file(place, &key).await?;
    lists::look(place, settings).await
}

/// Refuses files of authorities that the server would not load at the reload that is to come: it would go on with the TLS
/// that it had, and say so in its log alone. What the files say counts, and not what was loaded last.
pub(super) async fn lists_load(place: &mut Place, facts: &Facts) -> Result<()> {
    let files = place.settings(&facts.main.named, facts.version).await?;
    let mut settings = facts.settings.clone();
    // DH parameters that do not load are replaced at a reload (be-secure-openssl.c, initialize_dh).
    settings.remove("ssl_dh_params_file");
    for name in ["ssl_ca_file", "ssl_crl_file"] {
        // Nothing says it: no file, whatever was loaded last.
        let value =
            files.effective(name).map(|value| String::from_utf8_lossy(value.value().as_bytes()).into_owned());
        let (source, boot) = (String::new(), String::new());
        settings.insert(name.to_owned(), Setting { value: value.unwrap_or_default(), source, boot });
    }
    match lists::look(place, &settings).await {
        Ok(_) => Ok(()),
        Err(why) => Err(Failure::new("the server would not take up its TLS settings").because(why)),
    }
}

/// What a start would refuse of the configuration as it lies there, in words that stay the same from one look to the next.
pub(super) async fn refusals(
    place: &mut Place,
    session: &Session,
    settings: &BTreeMap<String, Setting>,
) -> Result<Vec<String>, String> {
    let said = complaints(session).await;
    let said = said.map_err(|why| format!("could not read pg_file_settings: {why}"))?;
    if !said.is_empty() {
        return Ok(said);
    }
    Ok(configuration(place, settings).await.err().into_iter().collect())
}

/// What the server itself finds wrong with its configuration files, read anew. A setting that waits for a restart is
/// listed there as well (guc-file.l), and is none the worse for it.
async fn complaints(session: &Session) -> Result<Vec<String>, String> {
    const ERRORS: &str = "SELECT coalesce(name, ''), coalesce(sourcefile, '') || ' line ' || \
         coalesce(sourceline::text, '?') || ': ' || coalesce(name || ': ', '') || error \
         FROM pg_file_settings WHERE error IS NOT NULL AND NOT coalesce(applied, false)";
    // After the other, which notes it.
    const WAITING: &str = "SELECT name FROM pg_settings WHERE pending_restart";
    let of = |row: &tokio_postgres::Row, at: usize| row.try_get::<_, String>(at).unwrap_or_default();
    let errors = rows_of(session, ERRORS, &[]).await?;
    if errors.is_empty() {
        return Ok(Vec::new());
    }
    let waiting: BTreeSet<String> =
        rows_of(session, WAITING, &[]).await?.iter().map(|row| of(row, 0)).collect();
    Ok(errors.iter().filter(|row| !waiting.contains(&of(row, 0))).map(|row| of(row, 1)).collect())
}

/// How the configuration was read.
struct Read {
    by: &'static str,
    unsure: Option<&'static str>,
}

/// postgresql.conf and pg_hba.conf as they lie there: by PostgreSQL's own program where it is known, and by our reading.
async fn configuration(place: &mut Place, settings: &BTreeMap<String, Setting>) -> Result<Read, String> {
    let said = |failure: Failure| failure.sentence().to_owned();
    let version = place.version().await.map_err(said)?;
    let main = place.main_file().await.map_err(said)?;
    let files = place.settings(&main, version).await.map_err(said)?;
    if let Some(error) = files.errors.first() {
        let file = error.file.and_then(|file| files.path(file)).map(ToString::to_string).unwrap_or_default();
        return Err(format!("{file} line {}: {}", error.line, error.message));
    }
    let hba = match settings.get("hba_file").filter(|setting| !setting.value.is_empty()) {
        Some(setting) => PathBuf::from(&setting.value),
        None => place.hba_file(version).await.map_err(said)?,
    };
    let rules = fetch(&mut place.hands, &bytes_of_path(&hba), version).await?;
    if !rules.ruleset(version).loads() {
        return Err(format!("{} does not load", hba.display()));
    }
    match read_by_postgres(place, "data_directory").await.map_err(said)? {
        Some(Ok(_)) => Ok(Read { by: "the configuration as postgres -C reads it", unsure: None }),
        // Whatever stands before the message (log_line_prefix) is of its moment.
        Some(Err(lines)) => {
            let message =
                |line: &String| line.split_once(":  ").map_or(line.clone(), |(_, said)| said.to_owned());
            Err(lines.iter().map(message).collect::<Vec<_>>().join("; "))
        }
        None => Ok(Read {
            by: "the configuration as pgseal reads it",
            unsure: Some("the values of settings beside TLS, as the server's program is not at hand"),
        }),
    }
}

/// The mode of the key's file, where others than the server may read it (be-secure-common.c,
/// check_ssl_key_file_permissions).
pub(crate) async fn open_key(place: &mut Place, settings: &BTreeMap<String, Setting>) -> Option<String> {
    let named = settings.get("ssl_key_file").map_or("", |setting| setting.value.as_str());
    let path = in_data(place, named);
    let (_, found) = place.hands.look(&path).await.ok().flatten()?;
    let open = found.kind == Kind::File && found.mode & open_bits(found.uid) != 0;
    open.then(|| format!("{} has mode {:04o}", path.display(), found.mode))
}

/// The bits that a key's file must not have: its group may read one of root's.
const fn open_bits(owner: u32) -> u32 {
    if owner == 0 { 0o037 } else { 0o077 }
}

/// check_ssl_key_file_permissions (be-secure-common.c).
async fn key_file(place: &mut Place, path: &Path) -> Result<(), String> {
    let found = place.hands.look(path).await.map_err(|failure| failure.sentence().to_owned())?;
    let (_, found) = found.ok_or_else(|| format!("there is no {}", path.display()))?;
    let user = place.hands.user();
    if found.kind != Kind::File {
        return Err("private key file is not a regular file".to_owned());
    }
    if found.uid != user.uid && found.uid != 0 {
        return Err("private key file must be owned by the database user or root".to_owned());
    }
    if found.mode & open_bits(found.uid) != 0 {
        return Err(format!("private key file has group or world access (mode {:04o})", found.mode));
    }
    Ok(())
}
