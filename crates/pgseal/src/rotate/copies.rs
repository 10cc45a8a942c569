//! Where else the certificate that is replaced lies, as far as the server's machine tells: poolers that show it
//! themselves, connections that the server makes, standbys that took it along. A rotation reaches none of them. Looks,
//! and what it cannot see it leaves out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pgseal_conf::conninfo::Conninfo;
use pgseal_pki::{Certificate, read_bundle};
use pgseal_wire::Session;

use crate::place::Place;
use crate::secure::facts::Facts;
use crate::secure::observe::in_data;
use crate::sql::rows_of;

/// What stands before servers, where its packages keep its configuration, and how it takes another certificate.
const POOLERS: [(&str, &str, &str); 4] = [
    ("PgBouncer", "/etc/pgbouncer/pgbouncer.ini", "RELOAD on its console"),
    ("Odyssey", "/etc/odyssey/odyssey.conf", "SIGHUP"),
    ("Pgpool-II", "/etc/pgpool2/pgpool.conf", "a restart"),
    ("HAProxy", "/etc/haproxy/haproxy.cfg", "a reload"),
];
/// Configuration of a pooler, and a bundle of certificates.
const LIMIT: u64 = 1 << 20;
/// The most files of one configuration that are looked at.
const MOST: usize = 64;

/// What needs the new certificate, too: a line each.
pub(super) async fn elsewhere(place: &mut Place, facts: &Facts, held: &Session) -> Vec<String> {
    let Ok(present) = &facts.certificate else { return Vec::new() };
    let own = in_data(place, facts.setting("ssl_cert_file"));
    let mut all = poolers(place, &present.leaf, &own).await;
    all.extend(connections(place, &present.leaf, held).await);
    all.extend(standbys(place, facts, &own));
    all
}

async fn poolers(place: &mut Place, leaf: &Certificate, own: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for (name, configuration, way) in POOLERS {
        let Some(text) = text_of(place, Path::new(configuration)).await else { continue };
        for path in paths_in(&text) {
            if path == own {
                all.push(format!("{name} shows {} itself ({configuration}): {way}", path.display()));
            } else if holds(place, &path, leaf).await {
                all.push(format!(
                    "{name} shows a copy of the certificate that is replaced, {} ({configuration}): put the new one there, then {way}",
                    path.display()
                ));
            }
        }
    }
    all
}

/// What the server itself shows as a client: `primary_conninfo` and subscriptions.
async fn connections(place: &mut Place, leaf: &Certificate, held: &Session) -> Vec<String> {
    const ALL: &str = "SELECT 'primary_conninfo', setting FROM pg_settings WHERE name = 'primary_conninfo' AND setting <> '' \
         UNION ALL SELECT 'the subscription ' || subname, subconninfo FROM pg_subscription LIMIT 1000";
    let Ok(rows) = rows_of(held, ALL, &[]).await else { return Vec::new() };
    let mut all = Vec::new();
    for row in &rows {
        let (Ok(name), Ok(text)) = (row.try_get::<_, String>(0), row.try_get::<_, String>(1)) else {
            continue;
        };
        let Some(path) =
            Conninfo::parse(&text).ok().and_then(|asked| asked.get("sslcert").map(PathBuf::from))
        else {
            continue;
        };
        // libpq takes it as it stands, from the folder that the server works in.
        let path = place.data.join(path);
        if holds(place, &path, leaf).await {
            all.push(format!(
                "{name} shows a copy of the certificate that is replaced as a client, {} (sslcert): put the new one there",
                path.display()
            ));
        }
    }
    all
}

/// A base backup takes along what lies in the data directory.
fn standbys(place: &Place, facts: &Facts, own: &Path) -> Vec<String> {
    if !own.starts_with(&place.data) {
        return Vec::new();
    }
    let standbys = facts.sessions.iter().filter(|seen| seen.backend_type == "walsender" && !seen.own);
    let addresses: BTreeSet<String> = standbys
        .filter(|seen| seen.database.is_none() || seen.application == "walreceiver")
        .map(|seen| seen.address.map_or_else(|| "this machine".to_owned(), |ip| ip.to_string()))
        .collect();
    let line = |address| {
        format!(
            "the standby at {address} may serve with a copy of the certificate that is replaced, from its base backup: pgseal rotate there"
        )
    };
    addresses.into_iter().map(line).collect()
}

async fn holds(place: &mut Place, path: &Path, leaf: &Certificate) -> bool {
    let Some(bytes) = bytes_of(place, path).await else { return false };
    read_bundle(&bytes).is_ok_and(|bundle| bundle.certificates.contains(leaf))
}

async fn text_of(place: &mut Place, path: &Path) -> Option<String> {
    let bytes = bytes_of(place, path).await?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// In the server's name, as everything; what that may not read is nothing that can be seen.
async fn bytes_of(place: &mut Place, path: &Path) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    let (real, _) = place.hands.look(path).await.ok()??;
    place.hands.read(&real, LIMIT).await.ok()
}

/// Absolute paths in a configuration of whatever form, each once; lines that are comments aside.
fn paths_in(text: &str) -> BTreeSet<PathBuf> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with(['#', ';']));
    let words = lines.flat_map(|line| line.split([' ', '\t', '=', '"', '\'', ';', ',']));
    words.filter(|word| word.len() > 1 && word.starts_with('/')).map(PathBuf::from).take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_in_the_configuration_of_every_pooler() {
        for text in [
            "[pgbouncer]\nclient_tls_cert_file = /etc/tls/a.crt\n;client_tls_key_file = /not/this",
            "tls_cert_file \"/etc/tls/a.crt\"",
            "ssl_cert = '/etc/tls/a.crt'  # here",
            "  bind :5432 ssl crt /etc/tls/a.crt",
        ] {
            assert_eq!(paths_in(text), BTreeSet::from([PathBuf::from("/etc/tls/a.crt")]), "{text}");
        }
    }
}
