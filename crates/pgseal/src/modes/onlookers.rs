//! What others on the way learn of a connection, and what they can make of it. Pure: judged from what a mode does and
//! from what was seen of the server, never from hope.
//!
//! The rules, with their reasons:
//! - Without TLS a client cannot tell a relay from the server: an attacker speaks plaintext to it and whatever the
//!   server wants to the server. SCRAM does not notice, since a client without TLS says that it cannot bind (RFC 5802,
//!   section 6: gs2-cbind-flag "n").
//! - `prefer` and `allow` end there as soon as somebody answers `SSLRequest` with N.
//! - TLS that verifies nothing ends at the attacker. A client that can bind says so ("y"), and a server that offers
//!   SCRAM-SHA-256-PLUS notices that the offer was taken off (auth-scram.c); so the attacker asks for the password in
//!   clear instead, which libpq gives unless `require_auth` or `channel_binding=require` forbids it.
//! - A chain without a name is anybody's who has a certificate of the same authority.
//! - `channel_binding=require` holds where the password is proved with SCRAM-SHA-256-PLUS, and libpq takes nothing less.

use pgseal_wire::{ChannelBinding, RequireAuth, RootFile, SslMode, TlsVersion};

use super::survey::{Ended, Row};

/// What somebody who only listens learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sees {
    /// No more than that there is a connection.
    Nothing,
    /// The startup packet: user, database, application.
    Names,
    /// Every statement and every row.
    Everything,
}

impl Sees {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Names => "names",
            Self::Everything => "everything",
        }
    }
}

/// What somebody in the middle can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Can {
    /// Cut the line, and no more.
    Nothing,
    /// Nothing, since the login is bound to TLS or nobody else can prove to know the password.
    NothingAtLogin,
    /// Be the server, with another certificate of the same authority.
    PoseWithCertificateOfSameAuthority,
    /// Be the server to the client and the client to the server: read and change everything.
    Relay,
}

impl Can {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::NothingAtLogin => "nothing-at-login",
            Self::PoseWithCertificateOfSameAuthority => "pose-with-certificate-of-same-ca",
            Self::Relay => "relay",
        }
    }
}

/// What decides beside mode and roots.
pub(crate) struct Manners<'a> {
    pub(crate) channel_binding: ChannelBinding,
    pub(crate) require_auth: &'a RequireAuth,
    /// Whether the server lets a client in without TLS.
    pub(crate) plaintext_accepted: bool,
}

/// What a listener learns of this row, and why.
pub(crate) fn listener(row: &Row) -> (Sees, String) {
    let spoke = row.attempts.iter().filter(|attempt| attempt.spoke_plaintext());
    let sees = match (row.ended, spoke.count()) {
        (Ended::Plaintext, 1..) => Sees::Everything,
        (_, 1..) => Sees::Names,
        _ => Sees::Nothing,
    };
    let why = match sees {
        Sees::Everything => "reads every statement and every row",
        Sees::Names => "reads user, database and application name",
        Sees::Nothing if row.ended != Ended::Tls => "nothing is sent",
        Sees::Nothing if over_old_tls(row) => "sees host name, both certificates, sizes, times",
        Sees::Nothing => "sees host name (SNI), sizes, times",
    };
    (sees, why.to_owned())
}

fn over_old_tls(row: &Row) -> bool {
    let facts = row.attempts.last().and_then(|attempt| attempt.tls.as_deref());
    facts.is_some_and(|facts| facts.version < TlsVersion::Tls1_3)
}

/// What an attacker can do to a client of this row, and why; whatever the server does today.
pub(crate) fn attacker(row: &Row, manners: &Manners<'_>) -> (Can, String) {
    let Some(options) = &row.options else {
        return (Can::Nothing, "libpq refuses the parameters and opens no connection".to_owned());
    };
    if options.routes.iter().all(|route| route.socket_path().is_some()) {
        return (Can::Nothing, "a Unix socket is on no network".to_owned());
    }
    let direct = options.negotiation == pgseal_wire::SslNegotiation::Direct;
    let (can, why) = match (row.mode, &options.roots) {
        (SslMode::Disable, _) => {
            (Can::Relay, "speaks plaintext to the client, and to the server whatever it wants")
        }
        (SslMode::Allow, _) => {
            (Can::Relay, "lets the client in without TLS, and speaks to the server as it wants")
        }
        (SslMode::Prefer, _) if !direct => {
            (Can::Relay, "answers N to the client's request for TLS, and it goes on in plaintext")
        }
        (SslMode::VerifyFull, RootFile::Loaded(_)) => {
            (Can::Nothing, "has no certificate of that name from that authority")
        }
        (_, RootFile::Loaded(_)) => (
            Can::PoseWithCertificateOfSameAuthority,
            "the name is not looked at: any certificate of the same authority will do",
        ),
        (_, RootFile::Unusable(_)) => (Can::Nothing, "libpq cannot use the root file and goes no further"),
        (SslMode::VerifyCa | SslMode::VerifyFull, RootFile::Absent { .. }) => {
            (Can::Nothing, "libpq goes no further without a root file")
        }
        (_, RootFile::Absent { .. }) => (
            Can::Relay,
            "shows a certificate of its own, which nobody looks at, and asks for the password in clear",
        ),
    };
    let (can, why) = bound(can, why, row, manners);
    (can, why.to_owned())
}

/// What a login that is bound, or SCRAM alone, takes away from an attacker.
fn bound(can: Can, why: &'static str, row: &Row, manners: &Manners<'_>) -> (Can, &'static str) {
    let fooled = matches!(can, Can::Relay | Can::PoseWithCertificateOfSameAuthority);
    if fooled && manners.channel_binding == ChannelBinding::Require {
        return (
            Can::NothingAtLogin,
            "channel_binding=require: a login that is passed on does not fit the channel",
        );
    }
    let over_tls = !row.mode.is_weak();
    let says_it_could_bind = over_tls && manners.channel_binding == ChannelBinding::Prefer;
    if fooled && says_it_could_bind && manners.require_auth.is_scram_only() && !manners.plaintext_accepted {
        return (
            Can::NothingAtLogin,
            "require_auth=scram-sha-256: the server notices that its offer to bind was taken off",
        );
    }
    (can, why)
}
