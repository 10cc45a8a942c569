//! Which certificate the server is to have: the present one where it is good, or one that is issued or
//! brought now.

use std::io;
use std::path::Path;

use pgseal_pki::public_key::KeyKind;
use pgseal_pki::{
    AuthorityRequest, Certificate, CertificateAuthority, IssuedCertificate, KeyPem, LeafRequest, LibpqRules,
    PrivateKey, SubjectAltName, libpq_matches, order_of, read_bundle,
};
use pgseal_wire::tls::{EndPointBinding, NoBinding};
use time::{Duration, OffsetDateTime};

use super::facts::Facts;
use super::present::flaw;
use super::wish::{Source, Wish};
use crate::certs::authority::{self, Role};
use crate::certs::passphrase::Passphrase;
use crate::failure::{Failure, Result};
use crate::journal::{Founded, digest};
use crate::privilege::files::Kind;
use crate::privilege::user::{SystemUser, running_as_root};
use crate::privilege::whose::{Whose, follow};
use crate::privilege::{files, trusted};

/// Certificates and keys are some kB.
const LIMIT: u64 = 4 << 20;
/// A clock a little behind ours must not find a fresh certificate "not yet valid".
pub(crate) const BACKDATED: Duration = Duration::minutes(5);
const AUTHORITY_LIFE: Duration = Duration::days(3650);
const AUTHORITY_CERTIFICATE: &str = Role::Server.certificate();
const AUTHORITY_KEY: &str = Role::Server.key();

/// What is to be served.
pub(crate) enum Chosen {
    /// What is there stays.
    Kept { leaf: Box<Certificate>, names: Vec<SubjectAltName> },
    /// Key and certificate to be installed.
    New(Box<New>),
}

pub(crate) struct New {
    pub(crate) issued: IssuedCertificate,
    /// The CA that clients are to trust, where it is known.
    pub(crate) authority: Option<Certificate>,
    /// A CA to be written first, by the person who runs pgseal.
    pub(crate) to_found: Option<CertificateAuthority>,
    pub(crate) names: Vec<SubjectAltName>,
    /// Names that clients may know the server by, and that one from elsewhere is not for.
    pub(crate) lacks: Vec<SubjectAltName>,
    /// Why the present one does not do.
    pub(crate) why: String,
}

impl Chosen {
    pub(crate) const fn leaf(&self) -> &Certificate {
        match self {
            Self::Kept { leaf, .. } => leaf,
            Self::New(new) => &new.issued.certificate,
        }
    }
}

/// Chooses, and issues where that is called for; writes nothing.
pub(crate) fn choose(facts: &Facts, wish: &Wish, now: OffsetDateTime) -> Result<Chosen> {
    let why = match &facts.certificate {
        Ok(present) => match (&present.key, flaw(&present.leaf, &present.others, &wish.sans, now)) {
            (Err(why), _) => why.clone(),
            (Ok(()), Some(flaw)) => flaw,
            (Ok(()), None) if wish.reissue => "a new one was asked for".to_owned(),
            (Ok(()), None) if !brings_another(wish, &present.leaf)? => {
                return Ok(Chosen::Kept { leaf: Box::new(present.leaf.clone()), names: wish.sans.clone() });
            }
            (Ok(()), None) => "another one is brought".to_owned(),
        },
        Err(why) => why.clone(),
    };
    match &wish.source {
        Source::Present => Err(Failure::usage("there is no certificate to serve, and none was brought")
            .because(format!("the present one does not do: {why}"))
            .hint("--new-ca DIR for a CA of your own, --ca DIR, or --cert FILE --key FILE")),
        Source::Authority(folder) => {
            let authority = authority::load(folder, Role::Server, &Passphrase::Ask)?;
            Ok(Chosen::New(Box::new(issue(authority, false, facts, wish, now, why)?)))
        }
        Source::NewAuthority(folder) => {
            let authority = new_authority(folder, facts, now)?;
            Ok(Chosen::New(Box::new(issue(authority, true, facts, wish, now, why)?)))
        }
        Source::Given { certificate, key } => {
            let mut new = given(certificate, (key, None), &wish.sans, now, why)?;
            if wish.sans.is_empty() {
                (new.names, new.lacks) = names_held(facts, &new.issued.certificate, certificate)?;
            }
            Ok(Chosen::New(Box::new(new)))
        }
    }
}

/// Whether `--cert` names another certificate than the one that is served already.
fn brings_another(wish: &Wish, present: &Certificate) -> Result<bool> {
    match &wish.source {
        Source::Given { certificate, .. } => {
            let brought =
                read_bundle(&read(certificate)?).map_err(|error| unreadable(certificate, &error))?;
            Ok(leaf_of(&brought.certificates).is_some_and(|leaf| leaf != present))
        }
        _ => Ok(false),
    }
}

fn issue(
    authority: CertificateAuthority,
    found_now: bool,
    facts: &Facts,
    wish: &Wish,
    now: OffsetDateTime,
    why: String,
) -> Result<New> {
    let names = names(facts, &wish.sans);
    let request = LeafRequest {
        subject: None,
        sans: names.clone(),
        key_type: wish.key_type,
        not_before: now - BACKDATED,
        not_after: now + wish.validity.duration(),
    };
    let issued = authority.issue_server(&request).map_err(|error| {
        Failure::new(format!("the CA could not issue a certificate: {error}")).because("nothing was changed")
    })?;
    Ok(New {
        issued,
        authority: Some(authority.certificate().clone()),
        to_found: found_now.then_some(authority),
        names,
        lacks: Vec::new(),
        why,
    })
}

/// localhost, the loopbacks, the machine's name, the addresses listened on, and what was asked for.
pub(crate) fn names(facts: &Facts, further: &[SubjectAltName]) -> Vec<SubjectAltName> {
    let local = ["localhost", "127.0.0.1", "::1"].into_iter().filter_map(|name| name.parse().ok());
    let listened = facts.listens_on.iter().map(|ip| SubjectAltName::Ip(*ip));
    let mut names: Vec<SubjectAltName> = Vec::new();
    for name in local
        .chain(facts.host_name.clone())
        .chain(facts.own_names.iter().cloned())
        .chain(listened)
        .chain(further.iter().cloned())
    {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The names that clients may know this server by which a certificate from elsewhere is for, and those that it lacks;
/// refused where it is for none of them.
fn names_held(
    facts: &Facts,
    leaf: &Certificate,
    path: &Path,
) -> Result<(Vec<SubjectAltName>, Vec<SubjectAltName>)> {
    let rules = LibpqRules { ip_sans: true };
    let is_for = |name: &SubjectAltName| libpq_matches(leaf, &name.to_string(), rules).is_ok();
    let (mut held, mut lacked): (Vec<_>, Vec<_>) = names(facts, &[]).into_iter().partition(is_for);
    // A machine often knows the first label of its own name alone.
    if let Some(SubjectAltName::Dns(_)) = &facts.host_name {
        let own = facts.host_name.as_ref().map(ToString::to_string).unwrap_or_default();
        let longer = leaf
            .dns_names()
            .into_iter()
            .filter(|name| name.split_once('.').is_some_and(|(first, _)| first.eq_ignore_ascii_case(&own)));
        let longer: Vec<SubjectAltName> = longer.filter_map(|name| name.parse().ok()).collect();
        held.extend(longer.into_iter().filter(|name| !lacked.contains(name)));
        held.dedup();
    }
    if held.is_empty() {
        let addresses = leaf.ip_addresses().into_iter().map(|ip| ip.to_string());
        let own: Vec<String> = leaf.dns_names().into_iter().chain(addresses).collect();
        return Err(Failure::usage(format!(
            "the certificate {} is for none of this server's names",
            path.display()
        ))
        .because(format!("it is for {}", own.join(", ")))
        .because(format!("it is not for {}", joined(&lacked)))
        .because("nothing was changed")
        .hint("--san NAME says which of its names clients use, where they know the server by another one"));
    }
    lacked.retain(|name| !held.contains(name));
    Ok((held, lacked))
}

pub(crate) fn joined(names: &[SubjectAltName]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn new_authority(folder: &Path, facts: &Facts, now: OffsetDateTime) -> Result<CertificateAuthority> {
    let absolute = std::path::absolute(folder).map_err(|error| Failure::io("resolve", folder, &error))?;
    if let Some(parent) = absolute.parent() {
        if !parent.is_dir() {
            return Err(Failure::usage(format!(
                "--new-ca {}: there is no folder {}",
                folder.display(),
                parent.display()
            ))
            .hint(format!("mkdir -p {}", parent.display())));
        }
        trusted::parent_for_root(parent)?;
    }
    if files::status(&absolute).map_err(|error| Failure::io("look at", &absolute, &error))?.is_some() {
        return Err(Failure::usage(format!("--new-ca {}: there is something already", folder.display()))
            .hint(format!("--ca {} to issue with it, or another folder", folder.display())));
    }
    let machine = facts.host_name.as_ref().map_or_else(|| "localhost".to_owned(), ToString::to_string);
    // A common name holds 64 characters (RFC 5280, ub-common-name).
    let machine: String = machine.chars().take(40).collect();
    let subject = format!("CN=pgseal server CA {machine}")
        .parse()
        .map_err(|error| Failure::new(format!("could not name the CA: {error}")))?;
    let request = AuthorityRequest {
        subject,
        key_type: pgseal_pki::KeyType::EcdsaP256,
        not_before: now - BACKDATED,
        not_after: now + AUTHORITY_LIFE,
        permitted: None,
    };
    CertificateAuthority::create(&request)
        .map_err(|error| Failure::new(format!("could not make the CA: {error}")))
}

/// What a new CA's folder will hold, for the journal.
pub(crate) fn to_be_founded(folder: &Path, authority: &CertificateAuthority) -> Result<Founded> {
    let folder = std::path::absolute(folder).map_err(|error| Failure::io("resolve", folder, &error))?;
    let files = [
        (AUTHORITY_KEY, digest(authority.key_pem().as_str().as_bytes())),
        (AUTHORITY_CERTIFICATE, digest(authority.certificate_pem().as_bytes())),
    ];
    Ok(Founded { folder, files: files.map(|(name, digest)| (name.to_owned(), digest)).to_vec() })
}

/// Writes a new CA's folder, 0700, its key 0600.
pub(crate) fn found(founded: &Founded, authority: &CertificateAuthority) -> Result<()> {
    let folder = &founded.folder;
    files::make_folder(folder, 0o700).map_err(|error| Failure::io("make the folder", folder, &error))?;
    // Under another name until they are whole: what bears the name is either whole or not there.
    let write = |name: &str, mode: u32, bytes: &[u8]| {
        let path = folder.join(name);
        files::replace(&path, mode, bytes).map_err(|error| Failure::io("write", &path, &error))
    };
    write(AUTHORITY_KEY, 0o600, authority.key_pem().as_str().as_bytes())?;
    write(AUTHORITY_CERTIFICATE, 0o644, authority.certificate_pem().as_bytes())
}

/// Removes a CA that was made for a change which never came to stand. What is not as it was made then, and
/// whatever lies beside it, stays.
pub(crate) fn unfound(founded: &Founded) -> Result<()> {
    let folder = &founded.folder;
    let look = |path: &Path| files::status(path).map_err(|error| Failure::io("look at", path, &error));
    let remove = |path: &Path| files::remove(path).map_err(|error| Failure::io("remove", path, &error));
    if look(folder)?.is_none_or(|found| found.kind != Kind::Directory) {
        return Ok(());
    }
    trusted::folder_for_root(folder)?;
    for (name, made) in &founded.files {
        let path = folder.join(name);
        let half = files::beside(&path).map_err(|error| Failure::io("name", &path, &error))?;
        if look(&half)?.is_some() {
            remove(&half)?;
        }
        if look(&path)?.is_some()
            && digest(&files::read(&path, LIMIT).map_err(|error| Failure::io("read", &path, &error))?)
                == *made
        {
            remove(&path)?;
        }
    }
    match files::remove_folder(folder) {
        Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
            Err(Failure::io("remove the folder", folder, &error))
        }
        _ => Ok(()),
    }
}

/// A certificate from elsewhere: put in order, and refused where clients would refuse it. Its key is read, unless
/// somebody has opened it already.
pub(crate) fn given(
    certificate: &Path,
    (key, opened): (&Path, Option<KeyPem>),
    names: &[SubjectAltName],
    now: OffsetDateTime,
    why: String,
) -> Result<New> {
    let bundle = read_bundle(&read(certificate)?).map_err(|error| unreadable(certificate, &error))?;
    let mut certificates = bundle.certificates;
    let Some(leaf) = leaf_of(&certificates).cloned() else {
        let failure = Failure::usage(format!("{} holds no certificate", certificate.display()));
        let failure = match bundle.private_key {
            Some(_) => failure.because("it holds a private key: certificate and key are swapped"),
            None => failure,
        };
        return Err(failure.because("nothing was changed"));
    };
    certificates.retain(|one| *one != leaf);
    if let Some(flaw) = flaw(&leaf, &certificates, names, now).or_else(|| weak(&leaf)) {
        return Err(Failure::usage(format!("the certificate {} does not do: {flaw}", certificate.display()))
            .because("nothing was changed"));
    }
    let private = match opened {
        Some(key) => Some(PrivateKey::Plain(key)),
        None => read_bundle(&read(key)?).map_err(|error| unreadable(key, &error))?.private_key,
    };
    let key_pem = match private {
        Some(PrivateKey::Plain(key)) => key,
        Some(PrivateKey::Encrypted(_)) => {
            return Err(Failure::usage(format!("the key {} is behind a passphrase", key.display()))
                .because("a server that reloads by itself cannot ask for one")
                .hint("openssl pkey -in KEY -out NEW-KEY, in a folder that only you can read"));
        }
        None => {
            return Err(Failure::usage(format!("{} holds no private key", key.display()))
                .because("nothing was changed"));
        }
    };
    if !key_pem.belongs_to(&leaf) {
        return Err(Failure::usage(format!(
            "the key {} does not belong to the certificate {}",
            key.display(),
            certificate.display()
        ))
        .because("nothing was changed"));
    }
    let order = order_of(&leaf, &certificates);
    let chain: Vec<&Certificate> =
        order.issuers.iter().filter_map(|index| certificates.get(*index)).collect();
    let authority = chain.iter().find(|one| one.self_signed()).map(|root| (*root).clone());
    let issued = IssuedCertificate {
        certificate_pem: leaf.pem(),
        // Clients hold the root; sending it helps nobody.
        chain_pem: chain.iter().filter(|one| !one.self_signed()).map(|one| one.pem()).collect(),
        certificate: leaf,
        key: key_pem,
    };
    Ok(New { issued, authority, to_found: None, names: names.to_vec(), lacks: Vec::new(), why })
}

/// The server's own among the certificates of a file: files of other tools may begin with the root.
fn leaf_of(certificates: &[Certificate]) -> Option<&Certificate> {
    certificates.iter().find(|one| !one.is_ca()).or_else(|| certificates.first())
}

/// Signatures and keys that break clients or that OpenSSL 3 refuses.
pub(crate) fn weak(leaf: &Certificate) -> Option<String> {
    match EndPointBinding::of_leaf(leaf) {
        Ok(_) => {}
        Err(NoBinding::NoHash(algorithm)) => {
            return Some(format!(
                "it is signed with {algorithm}, so no tls-server-end-point exists, and libpq cannot log in with SCRAM \
                 unless channel_binding=disable"
            ));
        }
        // Nothing is put in place of which nobody can tell whether clients get in.
        Err(why) => {
            return Some(format!("whether libpq can log in with SCRAM could not be told, since {why}"));
        }
    }
    match leaf.public_key().kind() {
        KeyKind::Rsa(bits) if *bits < 2048 => Some(format!("RSA with {bits} bits is refused by OpenSSL 3")),
        KeyKind::RsaPss | KeyKind::Ed448 | KeyKind::Dsa | KeyKind::ExplicitCurve => {
            Some(format!("{} is spoken by few clients", leaf.public_key().kind()))
        }
        _ => None,
    }
}

/// As root only what nobody else could have put there: it ends up where the server's user can read it.
pub(crate) fn read(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    let absolute = std::path::absolute(path).map_err(|error| Failure::io("resolve", path, &error))?;
    if running_as_root() {
        // Links and all: certbot's live/ is made of them.
        let led = follow(&absolute).map_err(|error| Failure::io("read", path, &error))?;
        let theirs = match led.whose {
            Whose::Roots => None,
            Whose::Users(uid) => Some(format!("{} could have put it there", SystemUser::name_of(uid))),
            Whose::Anybodys(why) => Some(why),
        };
        if let Some(why) = theirs {
            return Err(Failure::new(format!("refused to use {} as root: {why}", path.display()))
                .because("nothing was changed")
                .hint("a file that only root may write, as may its folders"));
        }
    }
    files::read_plain(&absolute, LIMIT).map_err(|error| Failure::io("read", path, &error))
}

/// The remembered source of the present certificate, where it has been renewed since.
pub(crate) fn renewed(source: &Path, present: &Certificate) -> bool {
    let certificates =
        read(source).ok().and_then(|bytes| Some(read_bundle(&bytes).ok()?.certificates)).unwrap_or_default();
    leaf_of(&certificates).is_some_and(|leaf| leaf != present && leaf.not_before() > present.not_before())
}

pub(crate) fn unreadable(path: &Path, error: &pgseal_pki::BundleError) -> Failure {
    Failure::usage(format!("{} cannot be read as PEM: {error}", path.display()))
        .because("nothing was changed")
}
