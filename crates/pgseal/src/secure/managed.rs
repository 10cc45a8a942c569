//! Services that manage a server for others: recognised, and told by what switch they refuse plaintext.

use pgseal_wire::Session;
use serde::Deserialize;

use crate::failure::{Failure, Result};
use crate::sql::rows_of;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Services {
    service: Vec<Service>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    role: String,
    name: String,
    switch: String,
}

fn services() -> Vec<Service> {
    // A test reads it.
    toml::from_str::<Services>(include_str!("managed.toml")).map(|all| all.service).unwrap_or_default()
}

/// Refuses a server that somebody else manages, with the way to do it there.
pub(super) async fn refuse(session: &Session) -> Result<()> {
    let services = services();
    let names: Vec<&str> = services.iter().map(|service| service.role.as_str()).collect();
    let rows = rows_of(session, "SELECT rolname::text FROM pg_roles WHERE rolname = ANY($1)", &[&names])
        .await
        .map_err(|why| Failure::new(format!("could not read pg_roles: {why}")))?;
    let role: Option<String> = rows.first().and_then(|row| row.try_get(0).ok());
    let found = role.and_then(|role| services.into_iter().find(|service| service.role == role));
    match found {
        None => Ok(()),
        Some(service) => Err(Failure::new(format!(
            "{} manages this server (it has a role {}), and its files are out of reach",
            service.name, service.role
        ))
        .because("nothing was changed")
        .hint(service.switch)),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_service_says_how_it_refuses_plaintext() {
        let all = super::services();
        assert!(all.len() > 5);
        assert!(all.iter().all(|service| !service.name.is_empty() && !service.switch.is_empty()));
    }
}
