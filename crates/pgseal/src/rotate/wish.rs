//! What the person asked of `rotate`, checked as far as it can be without looking at the server.

use std::path::PathBuf;

use pgseal_pki::{KeyType, SubjectAltName, Validity};

use crate::certs::passphrase::Passphrase;

#[derive(Debug)]
// Each is a word of its own on the command line.
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Wish {
    pub(crate) source: Source,
    /// The root that clients hold, for a certificate from elsewhere.
    pub(crate) root: Option<PathBuf>,
    /// Names beside those that the present certificate has.
    pub(crate) sans: Vec<SubjectAltName>,
    /// `None`: as long as the present one.
    pub(crate) validity: Option<Validity>,
    /// `None`: as the present one's.
    pub(crate) key_type: Option<KeyType>,
    /// Of the CA's key.
    pub(crate) passphrase: Passphrase,
    /// Of the server's own key: what its `ssl_passphrase_command` prints. `None`: nothing was said of it.
    pub(crate) key_passphrase: Option<Passphrase>,
    /// The new key is not encrypted, although the present one is.
    pub(crate) plain_key: bool,
    /// The CA's own certificate is renewed, too, with its key.
    pub(crate) renew_ca: bool,
    /// The present key is in wrong hands: no copy of it is kept.
    pub(crate) compromised: bool,
    /// Also where clients that cannot be seen would refuse the new certificate.
    pub(crate) allow_unseen: bool,
    /// Folders of root's in which root writes root's own files, where the server's settings lead there.
    pub(crate) as_root: Vec<PathBuf>,
    /// Changes of another user's pgseal that stand.
    pub(crate) adopted: Vec<String>,
    /// Two files whose paths the command line fixes are exchanged one after the other.
    pub(crate) accept_crash_window: bool,
    /// Only where the present certificate is due.
    pub(crate) if_due: bool,
}

/// Where the next certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Whence the present one came.
    Remembered,
    /// A CA's folder.
    Authority(PathBuf),
    /// A certificate from elsewhere.
    Files { certificate: PathBuf, key: PathBuf },
    /// A program that signs.
    Command { program: PathBuf, seconds: u64, tries: u32 },
}
