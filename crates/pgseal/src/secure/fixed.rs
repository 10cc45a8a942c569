//! Key and certificate whose paths the server's command line fixes: exchanged where they lie. One file goes by one
//! rename; of two the second follows the first, and a server that is started in between does not start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pgseal_pki::{IssuedCertificate, server_with_key_pem};
use zeroize::Zeroizing;

use super::facts::{ServerFile, Setting};
use super::observe::{in_data, server_file_if_any};
use super::plan::{Was, Write, was_file};
use crate::failure::{Failure, Result};
use crate::place::Place;

/// A file at a path that is not ours to choose.
pub(crate) struct FixedFile {
    pub(crate) path: PathBuf,
    pub(crate) file: Option<ServerFile>,
}

/// Where both lie, of which at least one path is fixed.
pub(crate) struct FixedPair {
    pub(crate) certificate: FixedFile,
    pub(crate) key: FixedFile,
}

impl FixedFile {
    pub(crate) async fn at(place: &mut Place, path: PathBuf) -> Result<Self> {
        let file = server_file_if_any(place, &path).await?;
        Ok(Self { path: file.as_ref().map_or(path, |file| file.real.clone()), file })
    }
}

impl FixedPair {
    /// None where the command line names neither; why they cannot be exchanged, if so.
    pub(super) async fn find(
        place: &mut Place,
        settings: &BTreeMap<String, Setting>,
    ) -> Option<Result<Self, String>> {
        let setting = |name: &str| settings.get(name);
        let fixed = |name: &str| setting(name).is_some_and(|found| found.source == "command line");
        if !fixed("ssl_cert_file") && !fixed("ssl_key_file") {
            return None;
        }
        let path = |name: &str| in_data(place, setting(name).map_or("", |found| found.value.as_str()));
        let (certificate, key) = (path("ssl_cert_file"), path("ssl_key_file"));
        let both = async {
            let certificate = FixedFile::at(place, certificate).await?;
            Ok(Self { certificate, key: FixedFile::at(place, key).await? })
        };
        let both: Result<Self> = both.await;
        Some(both.map_err(|failure| failure.sentence().to_owned()))
    }

    /// What has to be written; two files only where somebody knows what that means.
    pub(super) fn writes(&self, issued: &IssuedCertificate, accepted: bool) -> Result<Vec<Write>> {
        let Self { certificate, key } = self;
        if certificate.path == key.path {
            let pem = server_with_key_pem(issued);
            return Ok(vec![secret(&key.path, key_mode(key), pem.as_bytes(), key.file.as_ref())]);
        }
        if !accepted {
            return Err(fixed_paths(&certificate.path, &key.path));
        }
        Ok(two_files(issued, issued.key.as_str(), certificate, key))
    }
}

/// Two files can only be exchanged one after the other, and a server that is started in between does not start.
pub(crate) fn fixed_paths(certificate: &Path, key: &Path) -> Failure {
    Failure::stopped("the server's command line fixes the paths of key and certificate, which are two files")
        .because(format!("they are {} and {}", certificate.display(), key.display()))
        .because("a crash between their two renames leaves a key that belongs to another certificate, and a server that does not start")
        .because("nothing was changed")
        .hint("start it with -c ssl_cert_file and -c ssl_key_file naming one file, or without them; all the same: --accept-crash-window")
}

/// The key first: a server that is started in between has the new key and the old certificate, and says so.
pub(crate) fn two_files(
    issued: &IssuedCertificate,
    key_pem: &str,
    certificate: &FixedFile,
    key: &FixedFile,
) -> Vec<Write> {
    let mode = certificate.file.as_ref().map_or(0o644, |file| file.status.mode & 0o644);
    vec![
        secret(&key.path, key_mode(key), key_pem.as_bytes(), key.file.as_ref()),
        Write {
            secret: false,
            before: certificate.file.as_ref().map(was_file),
            ..secret(&certificate.path, mode, issued.full_chain_pem().as_bytes(), None)
        },
    ]
}

/// A key is never opened wider than it was, and a new one is its owner's alone.
fn key_mode(key: &FixedFile) -> u32 {
    key.file.as_ref().map_or(0o600, |file| file.status.mode & 0o640)
}

/// A file with a private key, of which no copy goes to the journal.
pub(crate) fn secret(path: &Path, mode: u32, bytes: &[u8], was: Option<&ServerFile>) -> Write {
    Write {
        path: PathBuf::from(path),
        mode,
        bytes: Zeroizing::new(bytes.to_vec()),
        before: was.map(|file| Was { bytes: Vec::new(), ..was_file(file) }),
        diff: String::new(),
        secret: true,
    }
}
