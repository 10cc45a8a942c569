//! The certificate that pgseal itself shows where a server asks for one: found where libpq finds it, in what a connection
//! string says, `PGSSLCERT` and `PGSSLKEY`, else in the home's `.postgresql`. Knows nothing of servers.

use std::path::PathBuf;

use pgseal_conf::PgVersion;
use pgseal_conf::conninfo::Conninfo;
use pgseal_wire::{ClientCertificate, ClientFiles, LibpqVersion, RootFile, SslCertMode};

use super::environment::{home, variable};
use crate::failure::{Failure, Result};

/// What libpq would show to a server of this machine.
pub(crate) fn own_certificate() -> Result<ClientCertificate> {
    let mut asked = Conninfo::default();
    asked.fill_defaults(&variable, PgVersion::V18);
    certificate_of(&asked)
}

/// The same for a server that is known by its folder: variables are meant for another one.
pub(crate) fn certificate_at_home() -> Result<ClientCertificate> {
    certificate_of(&Conninfo::default())
}

/// The same for parameters with defaults filled in. Files that were named and cannot be used are an error; what lies
/// in the home and cannot is told to whoever needs it.
pub(super) fn certificate_of(asked: &Conninfo) -> Result<ClientCertificate> {
    let said = |name: &str| asked.get(name).filter(|text| !text.is_empty());
    let file = |name: &str, at_home: &str| {
        said(name).map(PathBuf::from).or_else(|| home(".postgresql").map(|folder| folder.join(at_home)))
    };
    let certificate = file("sslcert", "postgresql.crt");
    let key = file("sslkey", "postgresql.key").map(|path| path.display().to_string());
    let mode = if said("sslcertmode") == Some("disable") { SslCertMode::Disable } else { SslCertMode::Allow };
    let files = ClientFiles {
        certificate: certificate.as_deref(),
        key: key.as_deref(),
        passphrase: said("sslpassword"),
        mode,
    };
    let none = RootFile::Absent { path: String::new() };
    match ClientCertificate::read(&files, &none, LibpqVersion::default()) {
        ClientCertificate::Unusable(error) if said("sslcert").is_some() => Err(Failure::new(error.to_string())
            .because("it was to be shown to a server that asks for a client's certificate (sslcert and sslkey, or PGSSLCERT and PGSSLKEY)")),
        // As it lies in the home for some other server, it stands in nobody's way here.
        shown => Ok(shown),
    }
}
