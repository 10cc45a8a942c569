//! What is asked of a whole file, and the forms of an answer.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use crate::ByteString;
use crate::hba::connection::{Channel, ClientName, Connection, Purpose};
use crate::hba::decide::Hinge;
use crate::hba::method::Method;
use crate::hba::world::{Roles, World};

/// Which connections a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// How they come in.
    pub channel: Channel,
    /// What they want.
    pub purposes: Purposes,
    /// The one user it is about; `None`: any.
    pub user: Option<ByteString>,
}

/// What the connections of a question want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purposes {
    /// A database or physical replication.
    Any,
    /// A database.
    Databases,
    /// Physical replication.
    Replication,
}

impl Question {
    /// About every connection of a channel.
    pub fn about(channel: Channel) -> Self {
        Self { channel, purposes: Purposes::Any, user: None }
    }

    /// The same, about one purpose.
    #[must_use]
    pub fn wanting(self, purposes: Purposes) -> Self {
        Self { purposes, ..self }
    }

    /// The same, about one user.
    #[must_use]
    pub fn by(self, user: impl Into<ByteString>) -> Self {
        Self { user: Some(user.into()), ..self }
    }
}

/// A user or database of a witness: a name, or what is known of a name that nobody could name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WitnessName {
    /// Exactly this. A made-up name stands for any that the file does not mention.
    Exactly(ByteString),
    /// Some member of this role.
    MemberOf(ByteString),
    /// Some name that this regular expression matches.
    Matching(ByteString),
    /// The same name as the user's.
    SameAsUser,
    /// The name of some role that the user is a member of.
    RoleOfUser,
}

impl fmt::Display for WitnessName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(name) => name.fmt(f),
            Self::MemberOf(role) => write!(f, "a member of {role}"),
            Self::Matching(pattern) => write!(f, "a name that /{pattern} matches"),
            Self::SameAsUser => f.write_str("the user's own name"),
            Self::RoleOfUser => f.write_str("the name of a role of the user"),
        }
    }
}

/// Where the client of a witness is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WitnessAddress {
    /// Exactly here.
    Exactly(IpAddr),
    /// Wherever this name resolves to.
    HostName(ByteString),
    /// On the server's own host.
    SameHost,
    /// In a network of the server's.
    SameNet,
    /// At this address, if it is one on the server.
    Scoped(ByteString),
}

impl fmt::Display for WitnessAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(address) => address.fmt(f),
            Self::HostName(name) => write!(f, "an address of {name}"),
            Self::SameHost => f.write_str("an address of the server's own"),
            Self::SameNet => f.write_str("an address in a network of the server's"),
            Self::Scoped(text) => text.fmt(f),
        }
    }
}

/// A connection that answers a question with yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// The rule that lets it in, by its place.
    pub rule: usize,
    /// That rule's method.
    pub method: Method,
    /// How it comes in.
    pub channel: Channel,
    /// Where from; `None` for a local socket.
    pub address: Option<WitnessAddress>,
    /// As whom.
    pub user: WitnessName,
    /// Whether that name was made up, so that no role of the server is called so.
    pub user_is_made_up: bool,
    /// To which database; `None`: physical replication.
    pub database: Option<WitnessName>,
}

impl Witness {
    /// The world as far as it concerns the witness: a user that was made up is a member of nothing.
    pub(super) fn world(&self, world: &World) -> World {
        let roles = if self.user_is_made_up {
            world.roles.clone().or_else(|| Some(Roles::new()))
        } else {
            world.roles.clone()
        };
        World { roles, interfaces: world.interfaces.clone() }
    }

    /// The connection itself, where every part of it is exactly known.
    pub fn connection(&self) -> Option<Connection> {
        let WitnessName::Exactly(user) = &self.user else { return None };
        let purpose = match &self.database {
            None => Purpose::Replication,
            Some(WitnessName::Exactly(name)) => Purpose::Database(name.clone()),
            Some(WitnessName::SameAsUser) => Purpose::Database(user.clone()),
            Some(_) => return None,
        };
        let address = match &self.address {
            None => None,
            Some(WitnessAddress::Exactly(address)) => Some(*address),
            Some(_) => return None,
        };
        Some(Connection {
            channel: self.channel,
            address,
            name: ClientName::Unknown,
            user: user.clone(),
            purpose,
        })
    }
}

/// The answer to "is there a connection that…".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is none, whatever is not known may be as it will.
    NoPath(NoPath),
    /// There is: this one, whatever is not known may be as it will.
    Path(Box<Witness>),
    /// There is one if what is named here is so.
    CannotTell(Box<Unclear>),
}

impl Verdict {
    /// `no-path`, `path` or `cannot-tell`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NoPath(_) => "no-path",
            Self::Path(_) => "path",
            Self::CannotTell(_) => "cannot-tell",
        }
    }

    /// The witness, certain or not.
    pub fn witness(&self) -> Option<&Witness> {
        match self {
            Self::NoPath(_) => None,
            Self::Path(witness) => Some(witness),
            Self::CannotTell(unclear) => unclear.witness.as_ref(),
        }
    }
}

/// Why there is no path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPath {
    /// No rule for such connections does it at all.
    NoSuchRule,
    /// Every rule that would do it stands behind others that take all it fits.
    Shadowed {
        /// Those others, by their places. Where several only do it together, these are the ones that take a part.
        by: Vec<usize>,
        /// Whether for some rule several were needed together.
        jointly: bool,
    },
}

/// What an unclear answer hinges on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unclear {
    /// The connection that would do it, the one that hinges on least; `None` when the search was given up.
    pub witness: Option<Witness>,
    /// What must be so, or not be so.
    pub hinges: BTreeSet<Hinge>,
}
