//! What the person asked of `secure`, checked as far as it can be without looking at the server.

use std::path::PathBuf;

use pgseal_conf::hba::ClientCertificate;
use pgseal_pki::{KeyType, SubjectAltName, Validity};

use crate::compose::mend::Mend;
use crate::hba::enforcement::Exception;
use crate::policy::Policy;

#[derive(Debug)]
// Each is a word of its own on the command line.
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Wish {
    pub(crate) policy: Policy,
    pub(crate) sans: Vec<SubjectAltName>,
    pub(crate) source: Source,
    /// Also where the present certificate would do.
    pub(crate) reissue: bool,
    pub(crate) validity: Validity,
    pub(crate) key_type: KeyType,
    pub(crate) enforce: bool,
    /// Trust, password and md5 over TCP become SCRAM.
    pub(crate) scram: bool,
    /// What clients have to show.
    pub(crate) clients: Option<ClientsShow>,
    /// Who may go on without TLS for a while.
    pub(crate) exceptions: Vec<Exception>,
    pub(crate) even_if_locked_out: bool,
    pub(crate) allow_unseen: bool,
    /// Folders of root's in which root writes root's own files, where the server's settings lead there.
    pub(crate) as_root: Vec<PathBuf>,
    /// Also where key and certificate are two files that can only be exchanged one after the other.
    pub(crate) accept_crash_window: bool,
    /// What of a compose file is mended beside TLS.
    pub(crate) mends: Vec<Mend>,
    /// Changes of other users' pgseals that are to be taken as they stand.
    pub(crate) adopted: Vec<String>,
}

/// Clients have to show a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientsShow {
    /// The file of the CAs that they are to be of.
    pub(crate) authorities: PathBuf,
    pub(crate) level: ClientCertificate,
}

/// Where a certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Nothing was said: the present one, if it is good.
    Present,
    /// A CA's folder, made by `pgseal up` or `--new-ca`.
    Authority(PathBuf),
    /// The same, made now.
    NewAuthority(PathBuf),
    /// A certificate from elsewhere.
    Given { certificate: PathBuf, key: PathBuf },
}
