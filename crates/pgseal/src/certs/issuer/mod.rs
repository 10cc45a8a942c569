//! Whoever turns an order into a certificate: a CA of one's own, a program that asks somebody, or a person who takes a
//! request to a company's CA and comes back.

pub(crate) mod by_hand;
pub(crate) mod command;
pub(crate) mod own;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use pgseal_pki::{Certificate, IssuedCertificate, KeyType, Purpose, Subject, SubjectAltName};
use time::{Duration, OffsetDateTime};

use crate::failure::Result;

/// What is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) purpose: Purpose,
    /// None for a common name out of the names below.
    pub(crate) subject: Option<Subject>,
    /// Names and addresses; none for a client.
    pub(crate) sans: Vec<SubjectAltName>,
    pub(crate) key_type: KeyType,
    /// How long it is wished to live. Who signs may decide otherwise.
    pub(crate) life: Duration,
}

/// What came of it.
pub(crate) enum Answer {
    Issued(Box<Signed>),
    /// Whoever signs is asked with this request, and answers later.
    Later {
        request: PathBuf,
        key: PathBuf,
    },
}

/// A certificate with its key.
pub(crate) struct Signed {
    pub(crate) issued: IssuedCertificate,
    /// What is sent beside it.
    pub(crate) chain: Vec<Certificate>,
    /// Whom clients are to trust, where that is known.
    pub(crate) root: Option<Certificate>,
    /// Its end, where that is the issuer's and not the one that was wished.
    pub(crate) cut_short: Option<OffsetDateTime>,
}

/// The answer, when it comes.
pub(crate) type Answering<'i> = Pin<Box<dyn Future<Output = Result<Answer>> + 'i>>;

pub(crate) trait Issuer {
    /// Has the order carried out. The key is made here and goes nowhere else.
    fn issue<'i>(&'i self, order: &'i Order, now: OffsetDateTime) -> Answering<'i>;
}
