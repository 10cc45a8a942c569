//! Which certificate comes next: from the CA that issued the present one, or from files that somebody else renews.

use std::path::{Path, PathBuf};

use pgseal_pki::{
    Certificate, CertificateAuthority, KeyType, Purpose, Subject, SubjectAltName, read_bundle, verify_chain,
};
use time::{Duration, OffsetDateTime};

use super::encrypted;
use super::wish::{Source, Wish};
use crate::certs::authority::{self, Role};
use crate::certs::issuer::command::Command;
use crate::certs::issuer::own::{OwnAuthority, key_type_of};
use crate::certs::issuer::{Answer, Issuer as _, Order, Signed};
use crate::failure::{Failure, Result};
use crate::folder::layout::Folder;
use crate::journal::{Journal, Origin, Phase};
use crate::place::Place;
use crate::privilege::secret::Secret;
use crate::secure::certificate::{self, BACKDATED, New};
use crate::secure::facts::{Facts, Present};
use crate::secure::present::flaw;
use crate::secure::trust::chain_of;

/// As `pgseal up` has it, where no present certificate says otherwise.
const USUAL_LIFE: Duration = Duration::days(365);

/// What is to become of the present certificate.
pub(crate) enum Chosen {
    /// It stays: why.
    Kept(String),
    New(Box<Next>),
}

pub(crate) struct Next {
    pub(crate) new: New,
    pub(crate) origin: Origin,
    /// Its end, where that is the CA's and not the one that was wished.
    pub(crate) cut_short: Option<OffsetDateTime>,
    /// The CA's own certificate, where that was renewed, and the file that it goes to.
    pub(crate) renewed: Option<(PathBuf, Certificate)>,
    /// The passphrase of the new key, where the server opens it with one.
    pub(crate) sealed: Option<Secret>,
}

/// Where the next certificate comes from.
pub(crate) fn origin(place: &Place, journal: Option<&Journal>, wish: &Wish) -> Result<Origin> {
    let absolute =
        |path: &Path| std::path::absolute(path).map_err(|error| Failure::io("resolve", path, &error));
    match &wish.source {
        Source::Authority(folder) => Ok(Origin::Authority { folder: absolute(folder)? }),
        Source::Files { certificate, key } => {
            Ok(Origin::Files { certificate: absolute(certificate)?, key: absolute(key)? })
        }
        Source::Command { program, seconds, tries } => {
            Ok(Origin::Command { program: absolute(program)?, seconds: *seconds, tries: *tries })
        }
        Source::Remembered => match remembered(place, journal)? {
            Some(origin) => Ok(origin),
            None => Err(Failure::usage(format!(
                "where the certificate of {} came from is not known here",
                place.word
            ))
            .because("no change that pgseal made of this server installed one")
            .hint("--ca DIR for a CA of your own, --cert FILE --key FILE, or --issuer-command PROGRAM; it is remembered then")),
        },
    }
}

fn remembered(place: &Place, journal: Option<&Journal>) -> Result<Option<Origin>> {
    if let Some(journal) = journal {
        if let Some(origin) = journal.origin()? {
            return Ok(Some(origin));
        }
        let changes = journal.changes()?.into_iter().rev();
        let mut founded =
            changes.filter(|(_, phase)| *phase == Phase::Committed).filter_map(|(change, _)| change.founded);
        if let Some(founded) = founded.next() {
            return Ok(Some(Origin::Authority { folder: founded.folder }));
        }
    }
    let made = place.made_folder().map(|root| Folder::at(root.to_owned()).authority());
    Ok(made.map(|folder| Origin::Authority { folder }))
}

/// Chooses, and issues where that is called for; writes nothing.
pub(crate) async fn choose(
    facts: &Facts,
    origin: Origin,
    wish: &Wish,
    now: OffsetDateTime,
) -> Result<Chosen> {
    let present = facts.certificate.as_ref().ok();
    if wish.if_due
        && let Some(present) = present
        && present.key.is_ok()
        && now < present.leaf.due()
        && flaw(&present.leaf, &present.others, &wish.sans, now).is_none()
    {
        return Ok(Chosen::Kept(format!(
            "it is good until {}, and due on {}",
            present.leaf.not_after().date(),
            present.leaf.due().date()
        )));
    }
    match &origin {
        Origin::Authority { folder } => {
            let authority = authority::load(folder, Role::Server, &wish.passphrase)?;
            let renewed = renewed(&authority, folder, wish, now)?;
            let (new, cut_short) = issue(renewed.as_ref().unwrap_or(&authority), folder, facts, wish, now)?;
            let renewed = renewed.map(|authority| {
                (authority::certificate_of(folder, Role::Server), authority.certificate().clone())
            });
            let sealed = encrypted::passphrase(facts, wish)?;
            Ok(Chosen::New(Box::new(Next { new, origin, cut_short, renewed, sealed })))
        }
        Origin::Command { program, seconds, tries } => {
            let sealed = encrypted::passphrase(facts, wish)?;
            let timeout = std::time::Duration::from_secs(*seconds);
            let command = Command { program: program.clone(), timeout, tries: *tries };
            let order = order(facts, present.map(|present| &present.leaf), wish);
            let Answer::Issued(signed) = command.issue(&order, now).await? else {
                return Err(
                    Failure::new("the program answered with a request").because("nothing was changed")
                );
            };
            // Signed meanwhile, and valid from then on.
            let new = sound(facts, *signed, &order, wish, OffsetDateTime::now_utc())?;
            Ok(Chosen::New(Box::new(Next { new, origin, cut_short: None, renewed: None, sealed })))
        }
        Origin::Files { certificate, key } => {
            if let Some(why) = nothing_newer(certificate, present, wish)? {
                return Ok(Chosen::Kept(why));
            }
            let why = "brought from elsewhere".to_owned();
            let opened = encrypted::open(key, facts, wish)?;
            let (key_pem, sealed) = match opened {
                Some((key_pem, passphrase)) => (Some(key_pem), Some(passphrase)),
                None => (None, None),
            };
            let mut new = certificate::given(certificate, (key, key_pem), &wish.sans, now, why)?;
            if let Some(present) = present {
                fit_to_follow(&new, present, facts, wish)?;
            }
            new.authority = root_of(facts, &new, wish, now)?;
            Ok(Chosen::New(Box::new(Next { new, origin, cut_short: None, renewed: None, sealed })))
        }
    }
}

/// What is wished of whoever signs: the present certificate once more.
fn order(facts: &Facts, present: Option<&Certificate>, wish: &Wish) -> Order {
    let names = names(facts, present, &wish.sans);
    Order {
        purpose: Purpose::Server,
        subject: present.and_then(|leaf| subject_again(leaf, &names)),
        sans: names,
        key_type: wish.key_type.unwrap_or_else(|| present.map_or(KeyType::default(), key_type_of)),
        life: wish.validity.map_or_else(|| life_of(present), pgseal_pki::Validity::duration),
    }
}

fn issue(
    authority: &CertificateAuthority,
    folder: &Path,
    facts: &Facts,
    wish: &Wish,
    now: OffsetDateTime,
) -> Result<(New, Option<OffsetDateTime>)> {
    let present = facts.certificate.as_ref().ok().map(|present| &present.leaf);
    let order = order(facts, present, wish);
    let own = OwnAuthority { authority, folder, may_cut: wish.validity.is_none() };
    let Signed { issued, cut_short, .. } = own.sign(&order, now)?;
    let new = New {
        lacks: Vec::new(),
        issued,
        authority: Some(authority.certificate().clone()),
        to_found: None,
        names: order.sans,
        why: "rotated".to_owned(),
    };
    Ok((new, cut_short))
}

/// What a program had signed, held against what clients take.
fn sound(facts: &Facts, signed: Signed, order: &Order, wish: &Wish, now: OffsetDateTime) -> Result<New> {
    let leaf = &signed.issued.certificate;
    if let Some(flaw) = flaw(leaf, &signed.chain, &order.sans, now).or_else(|| certificate::weak(leaf)) {
        return Err(Failure::new(format!("the certificate that was issued does not do: {flaw}"))
            .because("nothing was changed"));
    }
    let mut new = New {
        lacks: Vec::new(),
        names: order.sans.clone(),
        authority: signed.root,
        issued: signed.issued,
        to_found: None,
        why: "signed by a program".to_owned(),
    };
    if let Ok(present) = &facts.certificate {
        fit_to_follow(&new, present, facts, wish)?;
    }
    new.authority = root_of(facts, &new, wish, now)?;
    Ok(new)
}

/// An expired CA is renewed with its own key, and so is one of which that was asked: everything that it issued leads
/// to its new certificate as well. Clients have to be given that one.
fn renewed(
    authority: &CertificateAuthority,
    folder: &Path,
    wish: &Wish,
    now: OffsetDateTime,
) -> Result<Option<CertificateAuthority>> {
    if now < authority.valid_until() && !wish.renew_ca {
        return Ok(None);
    }
    let old = authority.certificate();
    let life = old.not_after() - old.not_before();
    authority.renewed(now - BACKDATED, now + life).map(Some).map_err(|error| {
        Failure::new(format!(
            "the CA in {} is valid until {} and cannot be renewed here: {error}",
            folder.display(),
            authority.valid_until().date()
        ))
        .because("nothing was changed")
        .hint("put its new certificate, and its issuers', into the folder; then again")
    })
}

/// As long as the present one lives in all.
fn life_of(present: Option<&Certificate>) -> Duration {
    let of = |leaf: &Certificate| leaf.not_after() - leaf.not_before() - BACKDATED;
    present.map(of).filter(|life| life.is_positive()).unwrap_or(USUAL_LIFE)
}

/// The names of the present one, and what was asked for beside them.
fn names(facts: &Facts, present: Option<&Certificate>, further: &[SubjectAltName]) -> Vec<SubjectAltName> {
    let mut names: Vec<SubjectAltName> = present.map(names_of).unwrap_or_default();
    if names.is_empty() {
        return certificate::names(facts, further);
    }
    for name in further {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn names_of(leaf: &Certificate) -> Vec<SubjectAltName> {
    let hosts = leaf.dns_names().into_iter().filter_map(|name| name.parse().ok());
    hosts.chain(leaf.ip_addresses().into_iter().map(SubjectAltName::Ip)).collect()
}

/// The present subject, where it is one that was not made of the names: then the names say it again.
fn subject_again(leaf: &Certificate, names: &[SubjectAltName]) -> Option<Subject> {
    let subject: Subject = leaf.subject().to_string().parse().ok()?;
    let by_itself =
        names.iter().any(|name| Subject::common_name(&name.to_string()).as_ref() == Some(&subject));
    (!by_itself).then_some(subject)
}

/// Why the files from elsewhere bring nothing, if so.
fn nothing_newer(path: &Path, present: Option<&Present>, wish: &Wish) -> Result<Option<String>> {
    let brought =
        read_bundle(&certificate::read(path)?).map_err(|error| certificate::unreadable(path, &error))?;
    let (Some(leaf), Some(present)) = (brought.certificates.first(), present) else { return Ok(None) };
    if present.key.is_err() {
        return Ok(None);
    }
    if *leaf == present.leaf {
        return Ok(Some(format!("{} holds this very certificate", path.display())));
    }
    let older = leaf.not_before() <= present.leaf.not_before();
    if older && wish.source == Source::Remembered {
        return Ok(Some(format!("{} holds one that is no newer", path.display())));
    }
    Ok(None)
}

/// What clients or a CA's own rules would not take of a certificate that follows the present one.
fn fit_to_follow(new: &New, present: &Present, facts: &Facts, wish: &Wish) -> Result<()> {
    let leaf = &new.issued.certificate;
    if leaf.issuer().same_as(present.leaf.issuer()) && leaf.serial_hex() == present.leaf.serial_hex() {
        return Err(Failure::usage(format!(
            "the certificate has the issuer and the serial number of the present one ({}) and is another one",
            leaf.serial_hex()
        ))
        .because("no CA may give a number twice (RFC 5280 section 4.1.2.2): a CRL could not tell them apart")
        .because("nothing was changed")
        .hint("have it issued again"));
    }
    if wish.compromised && leaf.spki_der() == present.leaf.spki_der() {
        return Err(Failure::usage("the new certificate is for the very key that is compromised")
            .because("nothing was changed")
            .hint("have one issued for a new key: pgseal cert csr"));
    }
    let lost: Vec<String> = names_of(&present.leaf)
        .into_iter()
        .filter(|name| !names_of(leaf).contains(name))
        .map(|name| name.to_string())
        .collect();
    if !lost.is_empty() && facts.offers_tls() && !wish.allow_unseen {
        return Err(Failure::stopped(format!("the new certificate is not for {}", lost.join(", ")))
            .because("the present one is, and clients that connect by that name cannot be seen from here")
            .because("nothing was changed")
            .hint("have it issued for every name; all the same: --allow-unseen"));
    }
    Ok(())
}

/// Whom clients are to trust: the root that was named, or that came with it, or that they have trusted so far.
fn root_of(facts: &Facts, new: &New, wish: &Wish, now: OffsetDateTime) -> Result<Option<Certificate>> {
    let Some(path) = &wish.root else {
        return Ok(new.authority.clone().or_else(|| still_trusted(facts, new, now)));
    };
    let roots = read_bundle(&certificate::read(path)?)
        .map_err(|error| certificate::unreadable(path, &error))?
        .certificates;
    let leaf = &new.issued.certificate;
    match verify_chain(leaf, &chain_of(new), &roots, now, Purpose::Server) {
        Ok(verified) => Ok(verified.root().cloned()),
        Err(refusal) => Err(Failure::usage(format!(
            "clients that trust {} would refuse the new certificate: {refusal}",
            path.display()
        ))
        .because("nothing was changed")
        .hint("pgseal cert import puts a chain in order, and says what is missing")),
    }
}

/// The root that lies beside the present certificate, where the new one leads to it, too.
fn still_trusted(facts: &Facts, new: &New, now: OffsetDateTime) -> Option<Certificate> {
    let file = facts.own.authority.as_ref()?;
    let root = read_bundle(&file.bytes).ok()?.certificates.into_iter().next()?;
    let chain = chain_of(new);
    verify_chain(&new.issued.certificate, &chain, std::slice::from_ref(&root), now, Purpose::Server)
        .is_ok()
        .then_some(root)
}
