//! One rule of `pg_hba.conf`, its words given their meaning. Knows what a rule says; refuses to know whom it fits.

use std::fmt;
use std::ops::Range;

use super::address::AddressRange;
use super::method::Method;
use super::option::{ClientCertificate, OptionName, RuleOption};
use crate::ByteString;
use crate::regex::Pattern;

/// The first word of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnectionType {
    /// Unix-domain sockets.
    Local,
    /// TCP, however encrypted or not.
    Host,
    /// TCP with TLS.
    HostSsl,
    /// TCP without TLS; GSS encryption counts as without.
    HostNoSsl,
    /// TCP with GSS encryption.
    HostGssEnc,
    /// TCP without GSS encryption; TLS counts as without.
    HostNoGssEnc,
}

impl ConnectionType {
    /// Every type.
    pub const ALL: [Self; 6] =
        [Self::Local, Self::Host, Self::HostSsl, Self::HostNoSsl, Self::HostGssEnc, Self::HostNoGssEnc];

    /// Its word in `pg_hba.conf`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Host => "host",
            Self::HostSsl => "hostssl",
            Self::HostNoSsl => "hostnossl",
            Self::HostGssEnc => "hostgssenc",
            Self::HostNoGssEnc => "hostnogssenc",
        }
    }
}

impl fmt::Display for ConnectionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One word of the database field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseMatch {
    /// `all`: any database, not physical replication.
    All,
    /// `sameuser`: the database of the user's name.
    SameUser,
    /// `samerole`, or `samegroup`: a database with the name of a role that the user is a member of.
    SameRole {
        /// Written `samegroup`.
        obsolete: bool,
    },
    /// `replication`: physical replication, no database.
    Replication,
    /// `/regular expression` (16+), quoted or not.
    Regex(Pattern),
    /// A name.
    Name(ByteString),
}

/// One word of the user field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleMatch {
    /// `all`.
    All,
    /// `+role`: members of the role, directly or not, and the role itself. A user that does not exist is none.
    MemberOf(ByteString),
    /// `/regular expression` (16+), quoted or not.
    Regex(Pattern),
    /// A name.
    Name(ByteString),
}

/// The address field of a `host…` rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressMatch {
    /// `all`: IPv4 and IPv6.
    All,
    /// `samehost`: any address of the server's own.
    SameHost,
    /// `samenet`: any address in a network that the server has an interface in.
    SameNet,
    /// An address with its mask, given as a length or as a second field.
    Range(AddressRange),
    /// A host name, or a suffix with a leading dot: what the client's address resolves back to, and forth again.
    /// Anything that is no address lands here.
    HostName(ByteString),
    /// An IPv6 address with the name of an interface behind `%`: a range where the server has that interface, a host
    /// name that nothing bears where not.
    Scoped(ByteString),
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The file it stands in, by its place in [`Ruleset::files`](super::Ruleset::files).
    pub file: u32,
    /// Its line there, as PostgreSQL counts.
    pub line: u32,
    /// Its bytes in that file, newline included.
    pub source: Range<usize>,
    /// The kind of connection.
    pub connection: ConnectionType,
    /// The databases, at least one word.
    pub databases: Vec<DatabaseMatch>,
    /// The users, at least one word.
    pub roles: Vec<RoleMatch>,
    /// The client's address; `None` for `local`.
    pub address: Option<AddressMatch>,
    /// What is asked of the client. `local … ident` is `peer` here, as it is in PostgreSQL.
    pub method: Method,
    /// The options, as written and in their order.
    pub options: Vec<RuleOption>,
    /// What is asked of a client's certificate.
    pub client_certificate: ClientCertificate,
}

impl Rule {
    /// The last value given for an option, which is the one that counts.
    pub fn option(&self, name: OptionName) -> Option<&RuleOption> {
        self.options.iter().rfind(|option| option.name == name)
    }

    /// The name of the map that leads from the authenticated name to the role (`map=`).
    pub fn map(&self) -> Option<&ByteString> {
        self.option(OptionName::Map).and_then(|option| option.value.text())
    }
}

impl DatabaseMatch {
    /// The word, quotes taken out.
    pub fn spelled(&self) -> ByteString {
        match self {
            Self::All => "all".into(),
            Self::SameUser => "sameuser".into(),
            Self::SameRole { obsolete: false } => "samerole".into(),
            Self::SameRole { obsolete: true } => "samegroup".into(),
            Self::Replication => "replication".into(),
            Self::Regex(pattern) => with_sign(b'/', pattern.text()),
            Self::Name(name) => name.clone(),
        }
    }
}

impl RoleMatch {
    /// The word, quotes taken out.
    pub fn spelled(&self) -> ByteString {
        match self {
            Self::All => "all".into(),
            Self::MemberOf(role) => with_sign(b'+', role),
            Self::Regex(pattern) => with_sign(b'/', pattern.text()),
            Self::Name(name) => name.clone(),
        }
    }
}

impl AddressMatch {
    /// The word, quotes taken out; an address with its mask as `address/length` or `address mask`.
    pub fn spelled(&self) -> ByteString {
        match self {
            Self::All => "all".into(),
            Self::SameHost => "samehost".into(),
            Self::SameNet => "samenet".into(),
            Self::Range(range) => range.to_string().into(),
            Self::HostName(name) | Self::Scoped(name) => name.clone(),
        }
    }
}

fn with_sign(sign: u8, name: &ByteString) -> ByteString {
    [&[sign], name.as_bytes()].concat().into()
}

impl fmt::Display for DatabaseMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spelled().fmt(f)
    }
}

impl fmt::Display for RoleMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spelled().fmt(f)
    }
}

impl fmt::Display for AddressMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spelled().fmt(f)
    }
}
