//! Every byte that a new folder will hold, as far as it is known before initdb runs. Pure: facts,
//! wish and time in, values out.

use std::net::IpAddr;

use pgseal_pki::{AuthorityRequest, KeyType, LeafRequest, Subject, SubjectAltName, Validity};
use time::{Duration, OffsetDateTime};

use super::observe::UpFacts;
use super::wish::Wish;
use crate::failure::{Failure, Result};
use crate::folder::settings::{Certificate, Server, Settings};
use crate::server::version::PgVersion;

/// A private authority outlives ten generations of its leaves.
const AUTHORITY_LIFE: Duration = Duration::days(3650);
/// A clock a little behind ours must not find a fresh certificate "not yet valid".
const BACKDATED: Duration = Duration::minutes(5);
const DEFAULT_USERNAME: &str = "admin";
const DEFAULT_DBNAME: &str = "mydb";

#[derive(Debug)]
pub(crate) struct UpPlan {
    pub(crate) settings: Settings,
    pub(crate) certificates: CertificatePlan,
    /// The id of the block in postgresql.conf.
    pub(crate) change: String,
    /// Who may be superuser over the Unix socket.
    pub(crate) local_admins: Vec<String>,
}

/// What is to be signed, and how that is written down.
#[derive(Debug)]
pub(crate) struct CertificatePlan {
    pub(crate) authority: AuthorityRequest,
    pub(crate) leaf: LeafRequest,
    pub(crate) settings: Certificate,
}

/// The CA, and a certificate for these names.
pub(super) fn certificates(
    names: Vec<SubjectAltName>,
    machine: Option<&SubjectAltName>,
    wish: &Wish,
    now: OffsetDateTime,
) -> Result<CertificatePlan> {
    let key_type = wish.key_type.unwrap_or(KeyType::EcdsaP256);
    let validity = match wish.validity {
        Some(validity) => validity,
        None => "365d".parse::<Validity>().map_err(|error| Failure::new(error.to_string()))?,
    };
    let authority = authority(key_type, machine, now)?;
    let leaf = LeafRequest {
        subject: wish.subject.clone(),
        sans: names,
        key_type,
        not_before: now - BACKDATED,
        not_after: now + validity.duration(),
    };
    if leaf.not_after > authority.not_after {
        return Err(Failure::usage(format!(
            "--validity {validity} reaches past the end of the CA ({}), and a certificate never outlives its CA",
            authority.not_after.date()
        ))
        .hint("--validity 365d"));
    }
    let settings = Certificate {
        names: leaf.sans.iter().map(ToString::to_string).collect(),
        key_type: key_type.to_string(),
        validity: validity.to_string(),
        subject: wish.subject.as_ref().map(ToString::to_string),
    };
    Ok(CertificatePlan { authority, leaf, settings })
}

/// The buffer of initdb's --pwfile until 13 (initdb.c, `get_su_pwd`); the rest is cut off in silence.
pub(super) fn password_fits(wish: &Wish, version: &PgVersion) -> Result<()> {
    let read = 99;
    let longer = wish.password.as_ref().is_some_and(|password| password.reveal().len() > read);
    if longer && version.major < 14 {
        return Err(Failure::usage(format!(
            "the password is longer than {read} bytes, and PostgreSQL {version} reads no more"
        ))
        .hint("a shorter password, or PostgreSQL 14 or newer"));
    }
    Ok(())
}

pub(crate) fn plan(facts: &UpFacts, wish: &Wish, now: OffsetDateTime) -> Result<UpPlan> {
    let certificates = certificates(names(facts, wish), facts.host_name.as_ref(), wish, now)?;
    password_fits(wish, &facts.binaries.version)?;
    let mut local_admins = vec![facts.server_user.name.clone()];
    if facts.invoker.name != facts.server_user.name {
        local_admins.push(facts.invoker.name.clone());
    }
    let change = format!("{:08x}", now.unix_timestamp());
    let server = Server {
        bindir: facts.binaries.folder.clone(),
        version: facts.binaries.version.to_string(),
        run_as: facts.server_user.name.clone(),
        port: facts.port,
        listen: facts.listen.clone(),
        username: username(wish),
        dbname: dbname(wish),
    };
    let settings = Settings::new(server, certificates.settings.clone());
    Ok(UpPlan { settings, certificates, change, local_admins })
}

pub(super) fn username(wish: &Wish) -> String {
    wish.username.clone().unwrap_or_else(|| DEFAULT_USERNAME.to_owned())
}

pub(super) fn dbname(wish: &Wish) -> String {
    wish.dbname.clone().unwrap_or_else(|| DEFAULT_DBNAME.to_owned())
}

fn authority(
    key_type: KeyType,
    machine: Option<&SubjectAltName>,
    now: OffsetDateTime,
) -> Result<AuthorityRequest> {
    let machine = machine.map_or_else(|| "localhost".to_owned(), ToString::to_string);
    // A common name holds 64 characters (RFC 5280, ub-common-name).
    let machine: String = machine.chars().take(40).collect();
    let subject: Subject = format!("CN=pgseal server CA {machine}")
        .parse()
        .map_err(|error| Failure::new(format!("could not name the CA: {error}")))?;
    Ok(AuthorityRequest {
        subject,
        key_type,
        not_before: now - BACKDATED,
        not_after: now + AUTHORITY_LIFE,
        permitted: None,
    })
}

fn names(facts: &UpFacts, wish: &Wish) -> Vec<SubjectAltName> {
    all_names(facts.host_name.clone(), &facts.listen, Vec::new(), wish)
}

/// localhost, the loopbacks, the machine's name, the addresses listened on, what else is known, and what was
/// asked for; each once.
pub(super) fn all_names(
    machine: Option<SubjectAltName>,
    listen: &[IpAddr],
    others: Vec<SubjectAltName>,
    wish: &Wish,
) -> Vec<SubjectAltName> {
    let local = ["localhost", "127.0.0.1", "::1"].into_iter().filter_map(|name| name.parse().ok());
    let listened = listen.iter().filter(|ip| !ip.is_unspecified()).map(|ip| SubjectAltName::Ip(*ip));
    let mut names: Vec<SubjectAltName> = Vec::new();
    for name in local.chain(machine).chain(listened).chain(others).chain(wish.sans.iter().cloned()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
