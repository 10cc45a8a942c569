//! Services that manage PostgreSQL for others, recognised by the name of a host: whom their certificates chain to, and where
//! their documentation says so. The data is managed.toml.

use serde::{Deserialize, Serialize};

const DATA: &str = include_str!("managed.toml");

/// Whom the certificates of a service chain to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Roots {
    /// A public authority.
    System,
    /// An authority of its own, which it hands out.
    Bundle,
    /// Nobody that could be told.
    None,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    #[serde(skip_serializing)]
    suffix: String,
    /// What the name has to hold, too.
    #[serde(skip_serializing)]
    contains: Option<String>,
    pub(crate) name: String,
    pub(crate) roots: Roots,
    pub(crate) how: String,
    pub(crate) documentation: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    service: Vec<Service>,
}

fn all() -> Vec<Service> {
    toml::from_str::<Data>(DATA).map(|data| data.service).unwrap_or_default()
}

/// The service that a host belongs to, as far as its name tells.
pub(crate) fn of_host(host: &str) -> Option<Service> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    all().into_iter().find(|service| {
        host.ends_with(&service.suffix)
            && service.contains.as_ref().is_none_or(|part| host.contains(part.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_known_by_the_end_of_its_hosts_names() {
        let name = |host: &str| of_host(host).map(|service| service.name);
        assert_eq!(name("shop.abc123.eu-west-1.rds.amazonaws.com").as_deref(), Some("Amazon RDS or Aurora"));
        assert_eq!(name("p.proxy-abc.eu-west-1.rds.amazonaws.com").as_deref(), Some("Amazon RDS Proxy"));
        assert_eq!(name("EP-cool.eu-central-1.aws.NEON.tech.").as_deref(), Some("Neon"));
        assert_eq!(name("db.example.org"), None);
        assert_eq!(name("neon.tech.example.org"), None);
        assert!(all().iter().all(|service| service.documentation.starts_with("https://")));
        assert_eq!(all().len(), 10);
    }
}
