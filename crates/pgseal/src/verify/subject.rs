//! What is to be proved of which server.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pgseal_pki::{Certificate, Fingerprint};
use pgseal_wire::message::{Replication, StartupParameters};
use pgseal_wire::{ClientCertificate, Encryption, Roots, Route, SslNegotiation};

use pgseal_wire::tls::{Check, TlsWish};

use crate::privilege::secret::Secret;
use crate::sql::APPLICATION;

/// For one connection, from the first packet to the last. A healthy server needs milliseconds.
const DEADLINE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Subject {
    /// What clients call it: sent as SNI, and compared by verify-full.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Where that leads.
    pub(crate) addresses: Vec<IpAddr>,
    /// The names that its certificate has to match.
    pub(crate) names: Vec<String>,
    /// Whom to trust, or why nobody can be.
    pub(crate) roots: Result<Roots, String>,
    /// The certificate that pgseal issued to it, where it did.
    pub(crate) issued: Issued,
    /// How TLS begins (libpq's sslnegotiation).
    pub(crate) negotiation: SslNegotiation,
    pub(crate) username: String,
    pub(crate) dbname: String,
    pub(crate) password: Option<Secret>,
    /// What our own logins show where the server asks for a certificate.
    pub(crate) certificate: ClientCertificate,
    /// Whether clients are to show one: then that is looked at, too.
    pub(crate) wants_certificates: bool,
    /// Why no login of this user can be made over TLS, where the server's rules are known to say so.
    pub(crate) kept_out: Option<String>,
}

/// What is known of the certificate that should be served.
#[derive(Debug)]
pub(crate) enum Issued {
    /// Its fingerprint.
    This(Fingerprint),
    /// The one in the server's own files, read on its machine: whoever serves it holds that key.
    Installed(Fingerprint),
    /// The record of it cannot be read: why.
    Unreadable(String),
    /// pgseal did not make this server's certificate.
    ByOthers,
}

impl Subject {
    pub(crate) fn route(&self, address: IpAddr) -> Route {
        Route { host: self.host.clone(), hostaddr: Some(address), port: self.port, deadline: DEADLINE }
    }

    /// TLS to this host, begun as the subject's clients begin it.
    pub(crate) fn tls(&self, check: Check) -> Encryption {
        let wish = TlsWish { client: self.certificate.clone(), ..TlsWish::new(check, self.host.clone()) };
        Encryption::tls_by(self.negotiation, wish)
    }

    /// The same by a client that has no certificate to show.
    pub(crate) fn tls_without_certificate(&self) -> Encryption {
        Encryption::tls_by(self.negotiation, TlsWish::new(Check::None, self.host.clone()))
    }

    pub(crate) fn socket(&self, address: IpAddr) -> SocketAddr {
        SocketAddr::new(address, self.port)
    }

    /// A startup packet that asks for the database, or for physical replication.
    pub(crate) fn startup(&self, replication: Replication) -> StartupParameters {
        StartupParameters {
            replication,
            application_name: Some(APPLICATION.to_owned()),
            ..StartupParameters::new(self.username.clone(), self.dbname.clone())
        }
    }
}

/// A certificate that was verified fully, so that a password may go to whoever holds its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trusted(Fingerprint);

impl Trusted {
    /// Call it only with a leaf whose chain and name have been verified.
    pub(crate) fn after_verification_of(leaf: &Certificate) -> Self {
        Self(leaf.fingerprint())
    }

    pub(crate) fn is(self, leaf: Option<&Certificate>) -> bool {
        leaf.is_some_and(|leaf| leaf.fingerprint() == self.0)
    }
}
