//! What pg_upgradecluster would make of a cluster's TLS: it copies postgresql.conf, postgresql.auto.conf and pg_hba.conf,
//! and no file that they include; and where the data directory holds `server.crt` and the like, it copies those and
//! has the settings name them (postgresql-common, migrate_config_files).

use std::path::{Path, PathBuf};

use super::facts::Facts;
use crate::failure::Result;
use crate::place::{Layout, Place};

/// The files that it looks for, and the settings that it writes for them.
const TAKEN: [(&str, &str); 4] = [
    ("server.crt", "ssl_cert_file"),
    ("server.key", "ssl_key_file"),
    ("root.crt", "ssl_ca_file"),
    ("root.crl", "ssl_crl_file"),
];

/// Those that are there; `None`: it is no cluster of postgresql-common.
pub(super) async fn taken(place: &mut Place) -> Result<Option<Vec<PathBuf>>> {
    if !matches!(place.layout, Layout::Cluster { .. }) {
        return Ok(None);
    }
    let mut there = Vec::new();
    for (name, _) in TAKEN {
        let path = place.data.join(name);
        there.extend(place.hands.look(&path).await?.map(|_| path));
    }
    Ok(Some(there))
}

/// What would be another one afterwards.
pub(super) fn judge(facts: &Facts, find: &mut impl FnMut(&'static str, String)) {
    let Some(taken) = &facts.taken_by_upgrade else { return };
    let data = Path::new(facts.setting("data_directory"));
    for (name, setting) in TAKEN {
        let (path, named) = (data.join(name), facts.setting(setting));
        let in_its_place = data.join(named);
        if taken.iter().any(|one| one.ends_with(name)) && (named.is_empty() || in_its_place != path) {
            find("upgrade-brings-back", format!("{} for {setting} = {named:?}", path.display()));
        } else if !named.is_empty() && in_its_place != path && in_its_place.starts_with(data) {
            find("upgrade-leaves-behind", format!("{setting} = {named:?}"));
        }
    }
}
