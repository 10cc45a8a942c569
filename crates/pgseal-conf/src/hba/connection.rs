//! A connection as `check_hba` sees one: how it came, who it says it is, and what it wants.

use std::fmt;
use std::net::IpAddr;

use super::rule::ConnectionType;
use crate::ByteString;

/// The longest name that is compared, in bytes (`NAMEDATALEN` less one): longer ones are cut on arrival.
pub(super) const MAX_NAME: usize = 63;

/// How a connection comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Through a Unix-domain socket.
    Local,
    /// TCP, not encrypted.
    Plain,
    /// TCP with TLS.
    Tls,
    /// TCP with GSS encryption.
    Gss,
}

impl Channel {
    /// The three ways over TCP.
    pub const TCP: [Self; 3] = [Self::Plain, Self::Tls, Self::Gss];

    /// Whether a rule of this type is looked at for this connection.
    pub const fn meets(self, connection: ConnectionType) -> bool {
        match connection {
            ConnectionType::Local => matches!(self, Self::Local),
            ConnectionType::Host => !matches!(self, Self::Local),
            ConnectionType::HostSsl => matches!(self, Self::Tls),
            ConnectionType::HostNoSsl => matches!(self, Self::Plain | Self::Gss),
            ConnectionType::HostGssEnc => matches!(self, Self::Gss),
            ConnectionType::HostNoGssEnc => matches!(self, Self::Plain | Self::Tls),
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Local => "a local socket",
            Self::Plain => "TCP without encryption",
            Self::Tls => "TCP with TLS",
            Self::Gss => "TCP with GSS encryption",
        })
    }
}

/// What a connection is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// A database; logical replication names one too.
    Database(ByteString),
    /// Physical replication (`replication=true`): the word `replication` alone fits it, `all` does not.
    Replication,
}

/// What is known of the client's host name, for rules that name hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClientName {
    /// Nothing.
    #[default]
    Unknown,
    /// The address does not resolve to a name that resolves back to it.
    None,
    /// The name, confirmed both ways.
    Confirmed(ByteString),
}

/// A connection that asks to be let in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Connection {
    /// How it comes in.
    pub channel: Channel,
    /// The client's address; without meaning for [`Channel::Local`].
    pub address: Option<IpAddr>,
    /// The client's host name.
    pub name: ClientName,
    /// The user it says it is.
    pub user: ByteString,
    /// What it wants.
    pub purpose: Purpose,
}

/// The part of a name that is compared.
pub(super) fn cut(name: &[u8]) -> &[u8] {
    name.get(..MAX_NAME).unwrap_or(name)
}
