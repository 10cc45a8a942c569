//! Would the server also start again as its files stand? After a reload that failed the wire shows the old
//! certificate and goes on; the next start is where it shows (be-secure-openssl.c: LOG at reload, FATAL at
//! start).

use std::collections::BTreeMap;
use std::path::Path;

use pgseal_pki::Certificate;
use pgseal_wire::Session;

use super::facts::Setting;
use super::observe::{in_data, settings};
use super::present;
use crate::place::Place;
use crate::privilege::files::Kind;
use crate::verify::claim::{Claim, ClaimName};

/// The files that the settings name now, checked as PostgreSQL checks them at start.
pub(crate) async fn claim(place: &mut Place, inside: &Session, leaf: &Certificate) -> Claim {
    match settings(inside).await {
        Ok(settings) => claim_of(place, &settings, leaf).await,
        Err(failure) => Claim::cannot_tell(ClaimName::RestartWouldWork, failure.sentence().to_owned()),
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
    if let Err(why) = files_at_start(place, settings).await {
        return Claim::fails(name, named("ssl_key_file"), why);
    }
    Claim::holds(name, "key, certificate and their modes as PostgreSQL checks them at start")
}

/// The files beside the certificate, as a start looks at them.
pub(crate) async fn files_at_start(
    place: &mut Place,
    settings: &BTreeMap<String, Setting>,
) -> Result<(), String> {
    let named = |name: &str| settings.get(name).map_or("", |setting| setting.value.as_str());
    let key = in_data(place, named("ssl_key_file"));
    key_file(place, &key).await?;
    for file in ["ssl_ca_file", "ssl_crl_file"].map(named).into_iter().filter(|file| !file.is_empty()) {
        let path = in_data(place, file);
        if !matches!(place.digest_of(&path).await, Ok(Some(_))) {
            return Err(format!("the server's user cannot read {file}"));
        }
    }
    Ok(())
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
