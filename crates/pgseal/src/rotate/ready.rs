//! Whether a reload would get as far as the new certificate: the server takes all of its TLS files or none
//! (be-secure-openssl.c, be_tls_init). Looks, and changes nothing.

use std::path::Path;

use pgseal_pki::crl::read_revocation_lists;
use pgseal_pki::read_bundle;
use pgseal_wire::Session;
use time::OffsetDateTime;

use crate::failure::{Failure, Result};
use crate::place::Place;
use crate::secure::apply::errors;
use crate::secure::facts::Facts;
use crate::secure::observe::{in_data, server_file_if_any};

/// Refuses where the files as they stand would keep the server at what it has; what is to be minded otherwise.
pub(super) async fn ready(
    place: &mut Place,
    facts: &Facts,
    held: &Session,
    now: OffsetDateTime,
) -> Result<Vec<String>> {
    let mut minds = Vec::new();
    let broken = errors(held).await?;
    if !broken.is_empty() {
        return Err(Failure::new("PostgreSQL would refuse its own files as they stand")
            .because_all(broken)
            .because("a restart would fail on them; nothing was changed")
            .hint("mend those lines, then again"));
    }
    for name in ["ssl_ca_file", "ssl_crl_file"] {
        let value = facts.setting(name);
        if value.is_empty() {
            continue;
        }
        let path = in_data(place, value);
        if let Err(why) = loads(place, name, &path, now, &mut minds).await {
            return Err(Failure::new(format!("the server would not take a new certificate: {why}"))
                .because(format!("{name} is {}: whatever TLS file cannot be loaded keeps all of them out, and lets no restart through", path.display()))
                .because("nothing was changed")
                .hint(format!("mend {}, or take {name} out", path.display())));
        }
    }
    Ok(minds)
}

async fn loads(
    place: &mut Place,
    name: &str,
    path: &Path,
    now: OffsetDateTime,
    minds: &mut Vec<String>,
) -> Result<(), String> {
    let found = server_file_if_any(place, path).await.map_err(|failure| failure.sentence().to_owned())?;
    let file = found.ok_or_else(|| format!("there is no {}", path.display()))?;
    if name == "ssl_crl_file" {
        let lists =
            read_revocation_lists(&file.bytes).map_err(|error| format!("{}: {error}", path.display()))?;
        for list in &lists {
            if let Err(fault) = list.is_current(now) {
                minds.push(format!(
                    "the revocation list of {} in {} {fault}: every client certificate is refused",
                    list.issuer(),
                    path.display()
                ));
            }
        }
        return if lists.is_empty() { Err(format!("{} holds no CRL", path.display())) } else { Ok(()) };
    }
    let bundle = read_bundle(&file.bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    if bundle.certificates.is_empty() {
        return Err(format!("{} holds no certificate", path.display()));
    }
    Ok(())
}
