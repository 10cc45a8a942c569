//! Whether a reload would get as far as the new certificate: the server takes all of its TLS files or none
//! (be-secure-openssl.c, be_tls_init). Looks, and changes nothing.

use std::path::Path;

use pgseal_pki::read_bundle;
use pgseal_wire::Session;

use crate::failure::{Failure, Result};
use crate::place::Place;
use crate::secure::apply::errors;
use crate::secure::facts::Facts;
use crate::secure::observe::{in_data, server_file_if_any};

/// Refuses where the files as they stand would keep the server at what it has.
pub(super) async fn ready(place: &mut Place, facts: &Facts, held: &Session) -> Result<()> {
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
        if let Err(why) = loads(place, name, &path).await {
            return Err(Failure::new(format!("the server would not take a new certificate: {why}"))
                .because(format!("{name} is {}: whatever TLS file cannot be loaded keeps all of them out, and lets no restart through", path.display()))
                .because("nothing was changed")
                .hint(format!("mend {}, or take {name} out", path.display())));
        }
    }
    Ok(())
}

async fn loads(place: &mut Place, name: &str, path: &Path) -> Result<(), String> {
    let found = server_file_if_any(place, path).await.map_err(|failure| failure.sentence().to_owned())?;
    let file = found.ok_or_else(|| format!("there is no {}", path.display()))?;
    let bundle = read_bundle(&file.bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    let lists = bundle.ignored.iter().filter(|other| other.what == "X509 CRL").count();
    match name {
        "ssl_crl_file" if lists == 0 => Err(format!("{} holds no CRL", path.display())),
        "ssl_ca_file" if bundle.certificates.is_empty() => {
            Err(format!("{} holds no certificate", path.display()))
        }
        _ => Ok(()),
    }
}
