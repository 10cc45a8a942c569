//! A server that is down, or lets nobody in: its files, as the next start would read them.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;

use pgseal_conf::PgVersion;
use time::OffsetDateTime;

use super::{Notes, client_side, ended, release, rules};
use crate::failure::Result;
use crate::hba::fetch::fetch;
use crate::place::Place;
use crate::place::log::last_words;
use crate::secure::facts::Setting;
use crate::secure::log::without_stamp;
use crate::secure::present;
use crate::secure::restart::{files_at_start, open_key};

/// What holds when nothing sets it (guc_tables.c).
const DEFAULTS: [(&str, &str); 6] = [
    ("ssl", "off"),
    ("ssl_cert_file", "server.crt"),
    ("ssl_key_file", "server.key"),
    ("ssl_ca_file", ""),
    ("ssl_crl_file", ""),
    ("ssl_passphrase_command", ""),
];

/// Whatever the files tell; the version in words.
pub(super) async fn look(
    place: &mut Place,
    runs: bool,
    now: OffsetDateTime,
    notes: &mut Notes<'_>,
) -> Result<String> {
    let version = place.version().await?;
    let unchecked = configuration(place, version, now, notes).await;
    hba(place, version, (unchecked, now), notes).await;
    release::judge(version, now, notes);
    // The cause before what came of it.
    if !runs {
        if place.is_contained()
            && let Ok(lines) = place.last_words_of_the_container().await
        {
            let lines: Vec<String> = lines.iter().map(|line| without_stamp(line)).collect();
            ended::told(&lines, "its container does not run", notes);
            return Ok(version.to_string());
        }
        let said = last_words(place).await;
        notes.find(
            "server-down",
            said.unwrap_or_else(|| format!("no server runs on {}", place.data.display())),
        );
    }
    Ok(version.to_string())
}

/// Whether TLS is on without a CA that client certificates are checked by.
async fn configuration(
    place: &mut Place,
    version: PgVersion,
    now: OffsetDateTime,
    notes: &mut Notes<'_>,
) -> bool {
    let main = place.main_file().await;
    let said = match main {
        Ok(main) => place.settings(&main, version).await,
        Err(failure) => Err(failure),
    };
    let files = match said {
        Ok(files) => files,
        Err(failure) => {
            notes.find("configuration-errors", failure.sentence().to_owned());
            return false;
        }
    };
    if let Some(error) = files.errors.first() {
        let file = error.file.and_then(|file| files.path(file)).map(ToString::to_string).unwrap_or_default();
        notes.find("configuration-errors", format!("{file} line {}: {}", error.line, error.message));
        return false;
    }
    let value = |name: &str, default: &str| {
        let value = files.effective(name).map(|value| value.value().to_string());
        value.unwrap_or_else(|| default.to_owned())
    };
    let settings: BTreeMap<String, Setting> = DEFAULTS
        .iter()
        .map(|(name, default)| {
            let setting =
                Setting { value: value(name, default), source: String::new(), boot: (*default).to_owned() };
            ((*name).to_owned(), setting)
        })
        .collect();
    let said = |name: &str| settings.get(name).map_or("", |setting| setting.value.as_str());
    if !matches!(pgseal_conf::settings::parse_bool(said("ssl").as_bytes()), Some(true)) {
        notes.find("tls-off", "ssl is off in the files");
        return false;
    }
    certificate(place, &settings, now, notes).await;
    rules::speaks_tls_without_a_ca(said("ssl"), said("ssl_ca_file"))
}

/// What a start would make of certificate and key.
async fn certificate(
    place: &mut Place,
    settings: &BTreeMap<String, Setting>,
    now: OffsetDateTime,
    notes: &mut Notes<'_>,
) {
    if let Some(evidence) = open_key(place, settings).await {
        notes.find("key-open-to-others", evidence);
    }
    match present::look(place, settings).await {
        Ok(present) => {
            let file = settings.get("ssl_cert_file").map_or("", |setting| setting.value.as_str());
            super::certificate::judge(&present.leaf, &present.others, file, notes);
            if let Some(flaw) = present::flaw(&present.leaf, &present.others, &[], now) {
                notes.find("certificate-unfit", flaw);
            }
            match &present.key {
                Err(why) => notes.find("start-would-fail", why.clone()),
                Ok(()) => {
                    if let Err(why) = files_at_start(place, settings).await {
                        notes.find("start-would-fail", why);
                    }
                }
            }
            client_side::look(Some(&present.chain()), None, notes).await;
        }
        Err(why) => notes.find("start-would-fail", why),
    }
}

async fn hba(
    place: &mut Place,
    version: PgVersion,
    (unchecked, now): (bool, OffsetDateTime),
    notes: &mut Notes<'_>,
) {
    let path = match place.hba_file(version).await {
        Ok(path) => path,
        Err(failure) => {
            return notes.unseen("pg_hba.conf", failure.sentence().to_owned(), "its owner's rights");
        }
    };
    let source = match fetch(&mut place.hands, &path.as_os_str().as_bytes().into(), version).await {
        Ok(source) => source,
        Err(why) => return notes.find("rules-errors", why),
    };
    rules::of(&source, version, now, notes);
    if unchecked {
        rules::certificates_that_nobody_checks(&source, version, notes);
    }
    rules::plaintext(&source, version, notes);
}
