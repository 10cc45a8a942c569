//! The files of a client, written into a folder: CA, service file, password file, certificate and key, environment, a
//! Secret for Kubernetes.
//!
//! Knows what each file holds and how secret it is; refuses to write over anything.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::forms;
use super::syntax::Syntax;
use super::trusted::Trusted;
use super::values::{OwnCertificate, Values};
use crate::certs::output::{Output, must_be_free, write};
use crate::failure::{Failure, Result};
use crate::privilege::files;
use crate::privilege::secret::Secret;

/// Certificate and key are pages of text.
const LIMIT: u64 = 1 << 20;
const CA: &str = "ca.crt";
const CERTIFICATE: &str = "client.crt";
const KEY: &str = "client.key";
const PASSFILE: &str = "pgpass";
const NAMES: [&str; 7] = [CA, CERTIFICATE, KEY, PASSFILE, "pg_service.conf", ".env", "secret.yaml"];

/// A folder to write into, and what of the client lies there then.
pub(crate) struct Folder {
    path: PathBuf,
    text: String,
}

impl Folder {
    /// Checks that nothing is in the way. The folder itself may be there or not.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        must_be_free(path, &NAMES).map_err(|failure| {
            let taken = failure.sentence().ends_with("is there already");
            if taken { failure.hint("another folder for --write") } else { failure }
        })?;
        let absolute =
            std::path::absolute(path).map_err(|error| Failure::io("find the folder", path, &error))?;
        let text = absolute.to_str().map(str::to_owned).ok_or_else(|| {
            Failure::usage(format!(
                "the path {} is not UTF-8, and no connection string can hold it",
                absolute.display()
            ))
        })?;
        Ok(Self { path: absolute, text })
    }

    fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.text)
    }

    /// Where the CA lies once it is written; a public authority's stays where it is.
    pub(crate) fn ca(&self) -> String {
        self.file(CA)
    }

    /// Where its own certificate lies then.
    pub(crate) fn own(&self) -> OwnCertificate {
        OwnCertificate { certificate: self.file(CERTIFICATE), key: self.file(KEY) }
    }

    /// Writes all of it. `values` name the files as they lie here; `own` is where certificate and key come from.
    pub(crate) fn fill(
        &self,
        values: &Values,
        trusted: &Trusted,
        own: Option<&OwnCertificate>,
        password: Option<&Secret>,
    ) -> Result<Vec<PathBuf>> {
        let mut outputs = Vec::new();
        let pem = trusted.pem();
        if let Some(pem) = &pem {
            outputs.push(Output::public(CA, pem, "the CA"));
        }
        let own = own.map(read).transpose()?;
        if let Some((certificate, key)) = &own {
            outputs.push(Output::secret(CERTIFICATE, certificate, "the client's certificate"));
            outputs.push(Output::secret(KEY, key, "its key"));
        }
        let forms = forms::of(values)?;
        let entry = password.and_then(|password| forms::pgpass_line(values, password.reveal()));
        if let Some(entry) = &entry {
            outputs.push(Output::secret(PASSFILE, entry.as_bytes(), "the password file"));
        }
        let passfile = entry.as_ref().map(|_| self.file(PASSFILE));
        if let Some(section) = &forms.service_file {
            let last = passfile.as_ref().map(|file| format!("passfile={file}\n")).unwrap_or_default();
            outputs.push(Output::public("pg_service.conf", &format!("{section}{last}"), "the service file"));
        }
        outputs.push(Output::secret(
            ".env",
            environment(values, passfile.as_deref())?.as_bytes(),
            "the environment",
        ));
        let secret = manifest(values, pem.as_deref(), own.as_ref(), entry.as_deref().map(String::as_str))?;
        outputs.push(Output::secret("secret.yaml", secret.as_bytes(), "a Secret for Kubernetes"));
        Ok(write(&self.path, &outputs)?.into_iter().map(|written| written.path).collect())
    }

    /// The git work tree that the folder lies in.
    pub(crate) fn work_tree(&self) -> Option<PathBuf> {
        self.path
            .ancestors()
            .find(|folder| folder.join(".git").symlink_metadata().is_ok())
            .map(Path::to_path_buf)
    }
}

/// Certificate and key, as they are in their files.
type Pair = (Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>);

fn read(own: &OwnCertificate) -> Result<Pair> {
    let file = |path: &str| {
        files::read_named(Path::new(path), LIMIT)
            .map_err(|error| Failure::io("read the client certificate's file", Path::new(path), &error))
    };
    Ok((file(&own.certificate)?, file(&own.key)?))
}

/// `NAME='value'`, as shells, compose and systemd read it alike where the value has no quote; what they read differently is
/// refused.
fn environment(values: &Values, passfile: Option<&str>) -> Result<String> {
    let mut text = String::new();
    let uri = values.uri()?;
    let parameters = values.parameters()?;
    let told = parameters.iter().filter_map(|(keyword, value)| Some((keyword.environment?, value)));
    for (name, value) in
        told.chain(passfile.map(|file| ("PGPASSFILE", file))).chain([("DATABASE_URL", uri.as_str())])
    {
        if value.contains(['\'', '\n', '\r']) {
            text.push_str(&format!("# {name} cannot be said here: its value has a quote or a line break\n"));
            continue;
        }
        text.push_str(&format!("{name}='{value}'\n"));
    }
    Ok(text)
}

/// What is mounted at /etc/pgseal-client.
fn manifest(
    values: &Values,
    pem: Option<&str>,
    own: Option<&Pair>,
    pgpass: Option<&str>,
) -> Result<Zeroizing<String>> {
    const MOUNTED: &str = "/etc/pgseal-client";
    let inside = Values {
        ca: if pem.is_some() { format!("{MOUNTED}/{CA}") } else { values.ca.clone() },
        own: values.own.as_ref().map(|_| OwnCertificate {
            certificate: format!("{MOUNTED}/{CERTIFICATE}"),
            key: format!("{MOUNTED}/{KEY}"),
        }),
        ..values.clone()
    };
    let literal = |text: &str| Syntax::String.quote(text).unwrap_or_default();
    let mut text = Zeroizing::new(String::with_capacity(64 << 10));
    text.push_str(
        "# Mount it at /etc/pgseal-client with defaultMode: 0400; DATABASE_URL names the files there.\n\
         apiVersion: v1\nkind: Secret\nmetadata:\n  name: pgseal-client\ntype: Opaque\nstringData:\n",
    );
    text.push_str(&format!("  DATABASE_URL: {}\n", literal(&inside.uri()?)));
    let mut put = |name: &str, value: &str| {
        text.push_str("  ");
        text.push_str(name);
        text.push_str(": ");
        text.push_str(&Zeroizing::new(literal(value)));
        text.push('\n');
    };
    if let Some(pem) = pem {
        put(CA, pem);
    }
    if let Some((certificate, key)) = own {
        for (name, bytes) in [(CERTIFICATE, certificate), (KEY, key)] {
            let pem = std::str::from_utf8(bytes).map_err(|_| {
                Failure::usage(format!("{name} is not PEM, and a Secret in YAML cannot hold it as text"))
            })?;
            put(name, pem);
        }
    }
    if let Some(pgpass) = pgpass {
        put(PASSFILE, pgpass);
    }
    Ok(text)
}
