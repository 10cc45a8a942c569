//! What has to be written for a rotation, and in which order. Pure: facts and a certificate in, bytes out.

use std::path::Path;

use pgseal_pki::{server_with_encrypted_key_pem, server_with_key_pem};
use zeroize::Zeroizing;

use super::choose::Next;
use super::seat::Seat;
use super::wish::Wish;
use crate::failure::{Failure, Result};
use crate::folder::layout::Folder;
use crate::journal::{Record, digest, records};
use crate::place::Place;
use crate::secure::facts::{Facts, ServerFile};
use crate::secure::fixed::{fixed_paths, secret, two_files};
use crate::secure::observe::{AUTHORITY, CERTIFICATE, PEM};
use crate::secure::plan::{Plan, Stage, StageKind, Step, Was, Write, conf_write, was_file};
use crate::secure::settings::{self, Wished};
use crate::secure::trust::trust_changes;

const KEY_MODE: u32 = 0o600;
const PUBLIC: u32 = 0o644;
const NO_NOTICE: &str = "a reload; new connections see it, and old ones go on";

/// The whole rotation as one stage: what may come early first, the decisive rename last.
pub(crate) fn plan(
    facts: &Facts,
    seat: &Seat,
    next: &Next,
    wish: &Wish,
    records: Vec<Record>,
    (word, id): (&str, String),
) -> Result<Plan> {
    let new = &next.new;
    let leaf = &new.issued.certificate;
    let mut wished = Vec::new();
    let mut steps = vec![Step {
        name: "certificate",
        title: format!(
            "{} for {}, until {}, by {}",
            leaf.public_key().kind(),
            new.names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            leaf.not_after().date(),
            leaf.issuer()
        ),
        effect: NO_NOTICE,
        writes: certificate_writes(facts, seat, next, wish)?,
    }];
    if let Seat::Two = seat {
        wished = both_settings(&facts.tls_folder.join(PEM))?;
        steps.push(settings_step(facts, &wished, &id, word)?);
    }
    Ok(Plan {
        lacks: Vec::new(),
        id,
        leaf: leaf.clone(),
        names: new.names.clone(),
        authority: new.authority.clone(),
        wished,
        origin: Some(next.origin.clone()),
        records,
        compose: None,
        enforce: false,
        clients: None,
        new_issuer: trust_changes(facts, new),
        stages: vec![Stage { kind: StageKind::Tls, steps }],
    })
}

/// What pgseal's user keeps: a CA's new certificate, and in a folder of `pgseal up` the server's, which the wire is
/// compared with.
pub(crate) fn records_of(place: &Place, next: &Next) -> Result<Vec<Record>> {
    let renewed = next.renewed.iter().map(|(path, certificate)| records::record(path, certificate.pem()));
    let mut all: Vec<Record> = renewed.collect::<Result<_>>()?;
    let Some(root) = place.made_folder() else { return Ok(all) };
    let folder = Folder::at(root.to_owned());
    all.push(records::record(&folder.issued(), next.new.issued.certificate_pem.clone())?);
    if let Some(authority) = &next.new.authority {
        let given_to_clients = records::record(&folder.client_ca(), authority.pem())?;
        if given_to_clients.before.as_ref() != Some(&given_to_clients.after) {
            all.push(given_to_clients);
        }
    }
    Ok(all)
}

fn certificate_writes(facts: &Facts, seat: &Seat, next: &Next, wish: &Wish) -> Result<Vec<Write>> {
    let issued = &next.new.issued;
    let sealed = next.sealed.as_ref().map(|passphrase| passphrase.reveal().as_bytes());
    let unsealable = |error: pgseal_pki::KeyError| Failure::new(format!("the new key: {error}"));
    let pem = match sealed {
        Some(passphrase) => server_with_encrypted_key_pem(issued, passphrase).map_err(unsealable)?,
        None => server_with_key_pem(issued),
    };
    match seat {
        Seat::One { file, path, ours: false } => {
            // Somebody else's file keeps the mode that they gave it; a key is never opened wider.
            let mode = file.as_ref().map_or(KEY_MODE, |file| file.status.mode & 0o640);
            Ok(vec![secret(path, mode, pem.as_bytes(), file.as_ref())])
        }
        Seat::One { .. } | Seat::Two => {
            let mut writes = public_files(facts, next);
            let before = facts.own.pem.as_ref().map(|(status, digest)| Was {
                status: *status,
                digest: digest.clone(),
                bytes: Vec::new(),
            });
            let path = facts.tls_folder.join(PEM);
            writes.push(Write { before, ..secret(&path, KEY_MODE, pem.as_bytes(), None) });
            Ok(writes)
        }
        Seat::Fixed { certificate, key } => {
            if !wish.accept_crash_window {
                return Err(fixed_paths(&certificate.path, &key.path));
            }
            let key_pem = match sealed {
                Some(passphrase) => issued.key.encrypted_pem(passphrase).map_err(unsealable)?,
                None => Zeroizing::new(issued.key.as_str().to_owned()),
            };
            Ok(two_files(issued, &key_pem, certificate, key))
        }
    }
}

/// What lies beside our own file for whoever wants to look at it.
fn public_files(facts: &Facts, next: &Next) -> Vec<Write> {
    let write = |name: &str, text: String, was: Option<&ServerFile>| Write {
        path: facts.tls_folder.join(name),
        mode: PUBLIC,
        before: was.map(was_file),
        bytes: Zeroizing::new(text.into_bytes()),
        diff: String::new(),
        secret: false,
    };
    let mut writes =
        vec![write(CERTIFICATE, next.new.issued.full_chain_pem(), facts.own.certificate.as_ref())];
    if let Some(authority) = &next.new.authority {
        writes.push(write(AUTHORITY, authority.pem(), facts.own.authority.as_ref()));
    }
    // What is right already is not written again.
    writes.retain(|write| write.before.as_ref().is_none_or(|was| was.digest != digest(&write.bytes)));
    writes
}

fn both_settings(pem: &Path) -> Result<Vec<Wished>> {
    let path = pem.to_str().ok_or_else(|| {
        Failure::new(format!("the path {} is not UTF-8, and no setting can hold it", pem.display()))
    })?;
    Ok(["ssl_cert_file", "ssl_key_file"].map(|name| Wished { name, value: path.to_owned() }).to_vec())
}

/// From two files to one, by one rename: of whichever file beats the others.
fn settings_step(facts: &Facts, wished: &[Wished], id: &str, word: &str) -> Result<Step> {
    let auto = settings::auto_file_with(facts, wished)?;
    let write = if let (Some(auto), Some(file)) = (auto, &facts.auto) {
        conf_write(file, auto)
    } else {
        let further = settings::further_lines(facts, wished);
        let main = settings::main_file_beside(facts, wished, &further, id, word)?;
        let nothing = || Failure::new(format!("{} says so already", facts.main.named.display()));
        conf_write(&facts.main, main.ok_or_else(nothing)?)
    };
    Ok(Step {
        name: "settings",
        title: "key and certificate in one file, which both settings name".to_owned(),
        effect: NO_NOTICE,
        writes: vec![write],
    })
}
