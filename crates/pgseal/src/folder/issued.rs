//! The certificate that was last issued to the folder's server.

use pgseal_pki::{Certificate, read_bundle};

use super::layout::Folder;
use crate::failure::{Failure, Result};
use crate::privilege::files;

/// A certificate is a few kB.
const LIMIT: u64 = 1 << 20;

pub(crate) fn certificate(folder: &Folder) -> Result<Certificate> {
    let path = folder.issued();
    let pem =
        files::read(&path, LIMIT).map_err(|error| Failure::io("read the certificate", &path, &error))?;
    let bundle = read_bundle(&pem).map_err(|error| {
        Failure::new(format!("could not read the certificate {}: {error}", path.display()))
    })?;
    bundle
        .certificates
        .into_iter()
        .next()
        .ok_or_else(|| Failure::new(format!("{} holds no certificate", path.display())))
}
