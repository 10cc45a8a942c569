//! What the person asked for, checked as far as it can be without looking at the machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use pgseal_pki::{KeyType, Subject, SubjectAltName, Validity};

use crate::failure::{Failure, Result};
use crate::folder::settings::Settings;
use crate::privilege::secret::Secret;

/// What runs the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// A process of this machine.
    Native,
    /// A container of a compose project.
    Compose,
}

impl Engine {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Compose => "compose",
        }
    }
}

/// The options of `pgseal up`; `None` where nothing was said.
#[derive(Debug, Default)]
pub(crate) struct Wish {
    pub(crate) engine: Option<Engine>,
    pub(crate) image: Option<String>,
    pub(crate) container_name: Option<String>,
    pub(crate) sans: Vec<SubjectAltName>,
    pub(crate) port: Option<u16>,
    pub(crate) listen: Vec<IpAddr>,
    pub(crate) username: Option<String>,
    pub(crate) dbname: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) bindir: Option<PathBuf>,
    pub(crate) validity: Option<Validity>,
    pub(crate) key_type: Option<KeyType>,
    pub(crate) subject: Option<Subject>,
    pub(crate) run_as: Option<String>,
    pub(crate) authority_passphrase: Option<Secret>,
}

/// `--listen`: an address, `localhost` for both loopbacks, `*` for every address.
pub(crate) fn listen_addresses(words: &[String]) -> Result<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    for word in words {
        let meant: Vec<IpAddr> = match word.as_str() {
            "localhost" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            "*" => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
            other => match other.parse() {
                Ok(ip) => vec![ip],
                Err(_) => {
                    return Err(Failure::usage(format!("--listen {other} is no IP address"))
                        .hint("--listen 10.0.0.5, --listen localhost or --listen '*'"));
                }
            },
        };
        for ip in meant {
            let broadcast = IpAddr::from(Ipv4Addr::BROADCAST);
            if ip.is_multicast() || ip == broadcast || ip.to_canonical() != ip {
                return Err(Failure::usage(format!(
                    "--listen {word} is no address that a server listens on"
                ))
                .hint("--listen 10.0.0.5, --listen localhost or --listen '*'"));
            }
            if !addresses.contains(&ip) {
                addresses.push(ip);
            }
        }
    }
    Ok(addresses)
}

/// A role or database name that PostgreSQL and its files can carry: 1 to 63 bytes (NAMEDATALEN - 1),
/// no control characters, and no leading `/`, which pg_hba.conf takes for a regular expression from
/// 16 on, or `+`, which people take for a group.
pub(crate) fn database_name(option: &str, name: &str) -> Result<String> {
    let refused =
        |why: &str| Err(Failure::usage(format!("{option} {name:?} {why}")).hint("an ordinary name"));
    if name.is_empty() || name.len() > 63 {
        refused("is not between 1 and 63 bytes long")
    } else if name.chars().any(char::is_control) {
        refused("has control characters")
    } else if name.starts_with(['/', '+', '@']) {
        refused("begins with a character that pg_hba.conf gives a meaning")
    } else if name.ends_with(' ') {
        refused("ends in a space, which service files lose")
    } else if name == "template0" {
        refused("is a database that lets nobody in")
    } else {
        Ok(name.to_owned())
    }
}

/// The superuser's name has to pass initdb, too: it is pasted into SQL there (initdb.c, `setup_auth`),
/// owns extensions (extension.c refuses these four characters), and replaces words of `postgres.bki`.
pub(crate) fn superuser_name(option: &str, name: &str) -> Result<String> {
    let refused =
        |why: &str| Err(Failure::usage(format!("{option} {name:?} {why}")).hint("an ordinary name"));
    database_name(option, name)?;
    if name.contains(['"', '\'', '$', '\\']) {
        refused("has a character that no superuser's name can have (one of \"'$\\)")
    } else if name.starts_with("pg_") {
        refused("begins with pg_, as only PostgreSQL's own roles do")
    } else if ["public", "none", "ENCODING", "LC_COLLATE", "LC_CTYPE"].contains(&name) {
        refused("is a word that PostgreSQL keeps for itself")
    } else {
        Ok(name.to_owned())
    }
}

/// A container's name, as docker takes it.
pub(crate) fn container_name(name: &str) -> Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let first = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    // It becomes a name in the certificate, too (RFC 1035: a label has at most 63 letters).
    if first && name.len() <= 63 && name.chars().all(plain) {
        return Ok(name.to_owned());
    }
    Err(Failure::usage(format!("--container-name {name:?} is no name that docker gives a container"))
        .hint("letters, digits, and _ . - behind the first; at most 63"))
}

impl Wish {
    /// Where the wish differs from what a folder was made with: such a server is not changed behind
    /// its users' backs.
    pub(crate) fn differs_from(&self, made: &Settings) -> Vec<String> {
        let server = &made.server;
        let certificate = &made.certificate;
        let mut differences = Vec::new();
        let mut differ = |option: &str, asked: Option<String>, made: &str| {
            if let Some(asked) = asked.filter(|asked| asked != made) {
                differences.push(format!("{option} {asked} was asked for, and it was made with {made}"));
            }
        };
        differ(
            "--port",
            self.port.filter(|port| *port != 0).map(|port| port.to_string()),
            &server.port.to_string(),
        );
        let compose = made.compose.as_ref();
        let engine = if compose.is_some() { Engine::Compose } else { Engine::Native };
        differ("--engine", self.engine.map(|engine| engine.as_str().to_owned()), engine.as_str());
        let image = compose.map_or("no image", |compose| compose.image.as_str());
        differ("--image", self.image.clone(), image);
        let container = compose.and_then(|compose| compose.container_name.as_deref());
        differ("--container-name", self.container_name.clone(), container.unwrap_or("no --container-name"));
        differ("--username", self.username.clone(), &server.username);
        differ("--dbname", self.dbname.clone(), &server.dbname);
        differ("--run-as", self.run_as.clone(), &server.run_as);
        differ("--key-type", self.key_type.map(|kind| kind.to_string()), &certificate.key_type);
        differ("--validity", self.validity.map(|validity| validity.to_string()), &certificate.validity);
        let subject = certificate.subject.as_deref().unwrap_or("no --subject");
        differ("--subject", self.subject.as_ref().map(ToString::to_string), subject);
        let bindir = server.bindir.display().to_string();
        differ("--bindir", self.bindir.as_ref().map(|path| path.display().to_string()), &bindir);
        let missing: Vec<String> = self
            .sans
            .iter()
            .map(ToString::to_string)
            .filter(|name| !certificate.names.contains(name))
            .collect();
        if !missing.is_empty() {
            differences.push(format!("--san {} is not in its certificate", missing.join(", ")));
        }
        if self.listen.iter().any(|ip| !server.listen.contains(ip)) {
            differences.push("--listen names an address that it was not made with".to_owned());
        }
        if self.password.is_some() {
            differences.push("--password-file was given, and it has a password already".to_owned());
        }
        if self.authority_passphrase.is_some() {
            differences.push("--ca-passphrase-file was given, and its CA key lies there already".to_owned());
        }
        differences
    }
}
