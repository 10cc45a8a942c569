//! The servers that a connection string names, paired with their addresses and ports as `connectOptions2` pairs them.
//! Refuses to resolve names, and to know where sockets lie by default.

use std::net::IpAddr;

use super::error::ConninfoError;
use super::options::Conninfo;

/// One server to try, in the order in which libpq tries them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSpec {
    /// What `host` says, `None` when it says nothing for this place. It is what certificates are checked against and
    /// what pgpass is searched for.
    pub host: Option<String>,
    /// What `hostaddr` says: where to connect instead of resolving `host`.
    pub hostaddr: Option<IpAddr>,
    /// 1 to 65535; 5432 where nothing is said.
    pub port: u16,
}

/// Where a [`HostSpec`] leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint<'a> {
    /// An address, nothing to resolve.
    Address(IpAddr),
    /// A name to resolve; it may be a numeric address too, as `getaddrinfo` takes both.
    Name(&'a str),
    /// A directory with a Unix-domain socket in it, or `@name` for an abstract one (14+).
    Socket(&'a str),
    /// Nothing was said: the socket directory compiled into libpq, or `localhost` where there are no sockets.
    Default,
}

impl HostSpec {
    /// Where this leads: an address before a name, a path is a socket.
    pub fn endpoint(&self) -> Endpoint<'_> {
        match (self.hostaddr, self.host.as_deref()) {
            (Some(address), _) => Endpoint::Address(address),
            (None, Some(path)) if path.starts_with(['/', '@']) => Endpoint::Socket(path),
            (None, Some(name)) => Endpoint::Name(name),
            (None, None) => Endpoint::Default,
        }
    }
}

impl Conninfo {
    /// The servers to try, at least one. Lists are split at commas; one port serves all hosts.
    pub fn hosts(&self) -> Result<Vec<HostSpec>, ConninfoError> {
        let list = |name: &str| -> Vec<&str> {
            let value = self.get(name).filter(|value| !value.is_empty());
            value.map_or_else(Vec::new, |value| value.split(',').collect())
        };
        let (hosts, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
        if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
            return Err(ConninfoError::HostsAndAddresses { hosts: hosts.len(), addresses: addresses.len() });
        }
        let count = hosts.len().max(addresses.len()).max(1);
        if ports.len() > 1 && ports.len() != count {
            return Err(ConninfoError::PortsAndHosts { ports: ports.len(), hosts: count });
        }
        let spec = |index: usize| {
            let port = if ports.len() == 1 { ports.first() } else { ports.get(index) };
            Ok(HostSpec {
                host: hosts.get(index).filter(|host| !host.is_empty()).map(|host| (*host).to_owned()),
                hostaddr: addresses
                    .get(index)
                    .filter(|text| !text.is_empty())
                    .map(|text| address(text))
                    .transpose()?,
                port: port.map_or(Ok(5432), |text| self::port(text))?,
            })
        };
        (0..count).map(spec).collect()
    }
}

/// `parse_int_param` and the range check after it: blanks around a number are allowed, empty means 5432.
fn port(text: &str) -> Result<u16, ConninfoError> {
    if text.is_empty() {
        return Ok(5432);
    }
    let trimmed = text.trim_matches(super::parse::is_blank);
    let number: i32 = trimmed.parse().map_err(|_| ConninfoError::PortNotANumber(text.to_owned()))?;
    match u16::try_from(number) {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(ConninfoError::PortOutOfRange(text.to_owned())),
    }
}

fn address(text: &str) -> Result<IpAddr, ConninfoError> {
    text.parse().map_err(|_| ConninfoError::NotAnAddress(text.to_owned()))
}
