//! The names to which an authority of our own confines itself (name constraints).
//!
//! Knows domains and networks; what a certificate's names are held against is in
//! [`crate::chain`].

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use rcgen::{CidrSubnet, GeneralSubtree, NameConstraints};

use crate::san::SubjectAltName;

/// At least one domain or network. Where only domains are given, every IP address is excluded, and
/// the other way round: a kind that a constraint does not mention would else be free
/// (RFC 5280 section 4.2.1.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermittedNames {
    domains: Vec<String>,
    networks: Vec<(IpAddr, u8)>,
}

/// The text was no list of domains and networks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{}\" is no domain and no network such as 10.0.0.0/8: {reason}", .text.escape_default())]
pub struct PermittedError {
    text: String,
    reason: String,
}

impl FromStr for PermittedNames {
    type Err = PermittedError;

    /// Reads `example.org,10.0.0.0/8,fd00::/8`. A domain stands for itself and everything below it;
    /// an address without a length stands for itself.
    fn from_str(text: &str) -> Result<Self, PermittedError> {
        let mut names = Self { domains: Vec::new(), networks: Vec::new() };
        for piece in text.split(',').map(str::trim) {
            names
                .add(piece)
                .map_err(|reason| PermittedError { text: piece.chars().take(80).collect(), reason })?;
        }
        Ok(names)
    }
}

impl PermittedNames {
    fn add(&mut self, piece: &str) -> Result<(), String> {
        if let Some((address, length)) = piece.split_once('/') {
            let address: IpAddr = address.parse().map_err(|_| "no IP address before the slash")?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            let length = length.parse().ok().filter(|length| *length <= most);
            let length = length.ok_or("no prefix length after the slash")?;
            self.networks.push((network(address, length), length));
            return Ok(());
        }
        match piece.parse::<SubjectAltName>().map_err(|error| error.to_string())? {
            SubjectAltName::Ip(address) => {
                self.networks.push((address, if address.is_ipv4() { 32 } else { 128 }));
            }
            SubjectAltName::Dns(name) if name.starts_with('*') => {
                return Err("a domain stands for everything below it without a wildcard".into());
            }
            SubjectAltName::Dns(name) => self.domains.push(name),
        }
        Ok(())
    }

    pub(crate) fn to_rcgen(&self) -> NameConstraints {
        let domains = self.domains.iter().cloned().map(GeneralSubtree::DnsName);
        let subnet = |(address, length): &(IpAddr, u8)| {
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*address, *length))
        };
        let networks = self.networks.iter().map(subnet);
        let mut excluded = Vec::new();
        if self.domains.is_empty() {
            // The empty name is within every name.
            excluded.push(GeneralSubtree::DnsName(String::new()));
        }
        for everything in [IpAddr::from([0; 4]), IpAddr::from([0_u8; 16])] {
            if !self.networks.iter().any(|(address, _)| address.is_ipv4() == everything.is_ipv4()) {
                excluded.push(subnet(&(everything, 0)));
            }
        }
        NameConstraints { permitted_subtrees: domains.chain(networks).collect(), excluded_subtrees: excluded }
    }
}

/// The address with the bits behind the prefix cleared.
fn network(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(four) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            IpAddr::V4((four.to_bits() & mask).into())
        }
        IpAddr::V6(six) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            IpAddr::V6((six.to_bits() & mask).into())
        }
    }
}

impl fmt::Display for PermittedNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let networks = self.networks.iter().map(|(address, length)| format!("{address}/{length}"));
        let all: Vec<String> = self.domains.iter().cloned().chain(networks).collect();
        f.write_str(&all.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_and_networks_are_read_and_shown() {
        for (text, shown) in [
            ("example.org", "example.org"),
            ("Example.ORG, 10.1.2.3/8", "example.org,10.0.0.0/8"),
            ("127.0.0.1,::1,fd00::/8", "127.0.0.1/32,::1/128,fd00::/8"),
            ("1.2.3.4/0,::1/0", "0.0.0.0/0,::/0"),
        ] {
            assert_eq!(text.parse::<PermittedNames>().unwrap().to_string(), shown);
        }
        for text in ["", "a,,b", "10.0.0.0/33", "::/129", "10.0.0/8", "*.a.b", "a/8", "10.0.0.0/-1"] {
            assert!(text.parse::<PermittedNames>().is_err(), "{text}");
        }
    }
}
