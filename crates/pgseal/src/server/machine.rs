//! This machine's own name.

use pgseal_pki::SubjectAltName;

/// The name, where it is one that a certificate can carry.
pub(crate) fn host_name() -> Option<SubjectAltName> {
    let name = rustix::system::uname();
    match name.nodename().to_str().ok()?.parse() {
        Ok(name @ SubjectAltName::Dns(_)) => Some(name),
        _ => None,
    }
}
