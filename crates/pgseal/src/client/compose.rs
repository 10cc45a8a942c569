//! The lines of a compose file for an application in the server's own project: the CA as a secret, and what libpq and most
//! drivers read from the environment.
//!
//! Knows how compose reads its file; refuses to name a host that the server's certificate is not for.

use pgseal_pki::{Certificate, LibpqRules, libpq_matches};

use super::syntax::Syntax;
use super::trusted::Trusted;
use super::values::Values;
use crate::failure::{Failure, Result};

/// PostgreSQL's own port, which it has inside of a project.
const INNER_PORT: u16 = 5432;

/// The service's name: the one that was said, or the only name of the certificate that could be one.
pub(crate) fn service(said: &str, leaf: Option<&Certificate>) -> Result<String> {
    let Some(leaf) = leaf else {
        return Err(Failure::stopped(
            "the server's certificate was not seen, and no service name is known to be in it",
        )
        .hint("pgseal client TARGET, where the server is reached"));
    };
    let names = leaf.dns_names();
    if said.is_empty() {
        let inner: Vec<&String> =
            names.iter().filter(|name| !name.contains(['.', '*']) && name.as_str() != "localhost").collect();
        let [one] = inner.as_slice() else {
            return Err(Failure::usage(
                "which service of the project the server is cannot be told from its certificate",
            )
            .because(format!("its names are {}", names.join(", ")))
            .hint("--compose=SERVICE"));
        };
        return Ok((*one).clone());
    }
    libpq_matches(leaf, said, LibpqRules { ip_sans: true }).map_err(|error| {
        Failure::stopped(format!("clients of the project would refuse the server: {error}"))
            .hint(format!("pgseal rotate TARGET --san {said}"))
    })?;
    Ok(said.to_owned())
}

/// The lines. The CA lies where `trusted` says, or is to be written beside the compose file.
pub(crate) fn lines(service: &str, values: &Values, trusted: &Trusted) -> String {
    // Compose takes $ for a variable; $$ is one.
    let literal = |text: &str| Syntax::String.quote(text).unwrap_or_default().replace('$', "$$");
    let (user, dbname) = (literal(&values.user), literal(&values.dbname));
    let host = literal(service);
    if trusted.pem().is_none() {
        return format!(
            "services:\n  app:\n    environment:\n      PGHOST: {host}\n      PGPORT: \"{INNER_PORT}\"\n      PGUSER: {user}\n      \
             PGDATABASE: {dbname}\n      PGSSLMODE: verify-full\n      PGSSLROOTCERT: {}\n",
            literal(&trusted.path)
        );
    }
    let file = if trusted.lies_there { trusted.path.clone() } else { "./ca.crt".to_owned() };
    format!(
        "services:\n  app:\n    environment:\n      PGHOST: {host}\n      PGPORT: \"{INNER_PORT}\"\n      PGUSER: {user}\n      \
         PGDATABASE: {dbname}\n      PGSSLMODE: verify-full\n      PGSSLROOTCERT: /run/secrets/pgseal-ca\n    \
         secrets:\n      - pgseal-ca\nsecrets:\n  pgseal-ca:\n    file: {}\n",
        literal(&file)
    )
}
