//! What has to be written, in which order, and why. Pure: facts, wish and a certificate in, bytes out.

use std::path::{Path, PathBuf};

use pgseal_conf::hba::proof::{Verdict, plaintext_path};
use pgseal_conf::hba::{Ruleset, World};
use pgseal_pki::{Certificate, SubjectAltName, read_bundle, server_with_key_pem};
use similar::TextDiff;
use zeroize::Zeroizing;

use super::authentication;
use super::certificate::{Chosen, New};
use super::client_rules;
use super::clients::{self, Clients};
use super::composed::ComposeStep;
use super::facts::{Facts, ServerFile};
use super::observe::{AUTHORITY, CERTIFICATE, PEM};
use super::settings::{self, Wished};
use super::trust::trust_changes;
use super::wish::{Source, Wish};
use crate::failure::{Failure, Result};
use crate::hba::{diff, enforcement};
use crate::journal::{Origin, Record};
use crate::privilege::files::Status;

/// The whole change. Its stages are proved one by one.
pub(crate) struct Plan {
    pub(crate) id: String,
    /// The certificate that is to be served afterwards.
    pub(crate) leaf: Certificate,
    /// The names that it is to match.
    pub(crate) names: Vec<SubjectAltName>,
    /// Names that clients may know the server by, and that a certificate from elsewhere is not for.
    pub(crate) lacks: Vec<SubjectAltName>,
    /// The CA that clients are to trust, where it is known.
    pub(crate) authority: Option<Certificate>,
    pub(crate) wished: Vec<Wished>,
    pub(crate) stages: Vec<Stage>,
    /// Where the certificate comes from.
    pub(crate) origin: Option<Origin>,
    /// What is kept of it beside the server's own files.
    pub(crate) records: Vec<Record>,
    /// What is done to the compose project, where the container has to be made anew.
    pub(crate) compose: Option<ComposeStep>,
    /// Whether plaintext is to be refused afterwards.
    pub(crate) enforce: bool,
    /// What clients have to show afterwards.
    pub(crate) clients: Option<Clients>,
    /// Whether the certificate's issuer changes under clients that may verify it.
    pub(crate) new_issuer: bool,
}

/// What is written before one reload.
pub(crate) struct Stage {
    pub(crate) kind: StageKind,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StageKind {
    /// Certificate and settings.
    Tls,
    /// Lines of pg_hba.conf.
    Rules,
}

/// What people read as one numbered step.
pub(crate) struct Step {
    /// `certificate`, `settings`, `enforce`.
    pub(crate) name: &'static str,
    pub(crate) title: String,
    /// What connected clients notice.
    pub(crate) effect: &'static str,
    pub(crate) writes: Vec<Write>,
}

/// One file to be written whole.
pub(crate) struct Write {
    pub(crate) path: PathBuf,
    pub(crate) mode: u32,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    pub(crate) before: Option<Was>,
    pub(crate) diff: String,
    /// A private key: never shown, never copied into the journal.
    pub(crate) secret: bool,
}

/// A file as it was when the plan was made.
#[derive(Clone)]
pub(crate) struct Was {
    pub(crate) status: Status,
    pub(crate) digest: String,
    /// Empty for keys.
    pub(crate) bytes: Vec<u8>,
}

impl Plan {
    pub(crate) fn is_empty(&self) -> bool {
        self.stages.iter().all(|stage| stage.steps.is_empty()) && self.compose.is_none()
    }

    pub(crate) fn steps(&self) -> impl Iterator<Item = &Step> {
        self.stages.iter().flat_map(|stage| &stage.steps)
    }

    pub(crate) fn writes(&self) -> impl Iterator<Item = &Write> {
        self.steps().flat_map(|step| &step.writes)
    }

    pub(crate) fn has(&self, kind: StageKind) -> bool {
        self.stages.iter().any(|stage| stage.kind == kind && !stage.steps.is_empty())
    }
}

pub(crate) fn plan(
    facts: &Facts,
    wish: &Wish,
    (chosen, clients): (&Chosen, Option<Clients>),
    word: &str,
    id: String,
) -> Result<Plan> {
    let pem = facts.tls_folder.join(PEM);
    let ours = match chosen {
        Chosen::New(_) if facts.fixed.is_none() => Some(pem.as_path()),
        _ => None,
    };
    let mut wished = settings::wished(facts, &wish.policy, ours)?;
    let asking = clients.as_ref().map(|clients| clients::step(facts, clients)).transpose()?;
    let (authorities, asking) = asking.map_or((None, None), |(wished, step)| (Some(wished), step));
    wished.extend(authorities.or_else(|| settings::kept_authorities(facts)));
    settings::fixed_by_command_line(facts, &wished)?;
    let mut tls = Vec::new();
    if let Chosen::New(new) = chosen {
        tls.push(certificate_step(facts, new, &pem, wish)?);
    }
    tls.extend(asking);
    tls.extend(settings_step(facts, &wished, &id, word)?);
    let mut rules = rules_step(facts, wish, clients.as_ref(), &enforcement::note_of(&id, word))?;
    if facts.stopped {
        for step in tls.iter_mut().chain(&mut rules) {
            step.effect = "nobody is connected; it holds from the next start on";
        }
    }
    let (names, authority) = match chosen {
        Chosen::New(new) => (new.names.clone(), new.authority.clone()),
        Chosen::Kept { names, leaf } => (names.clone(), own_authority(facts, leaf)),
    };
    Ok(Plan {
        id,
        leaf: chosen.leaf().clone(),
        names,
        lacks: match chosen {
            Chosen::New(new) => new.lacks.clone(),
            Chosen::Kept { .. } => Vec::new(),
        },
        authority,
        wished,
        origin: match chosen {
            Chosen::New(_) => origin(&wish.source),
            Chosen::Kept { .. } => None,
        },
        records: Vec::new(),
        compose: None,
        enforce: wish.enforce,
        clients,
        new_issuer: matches!(chosen, Chosen::New(new) if trust_changes(facts, new)),
        stages: vec![
            Stage { kind: StageKind::Tls, steps: tls },
            Stage { kind: StageKind::Rules, steps: rules.into_iter().collect() },
        ],
    })
}

/// What the next one will come from, whatever folder pgseal is run in then.
fn origin(source: &Source) -> Option<Origin> {
    let absolute = |path: &Path| std::path::absolute(path).ok();
    match source {
        Source::Present => None,
        Source::Authority(folder) | Source::NewAuthority(folder) => {
            Some(Origin::Authority { folder: absolute(folder)? })
        }
        Source::Given { certificate, key } => {
            Some(Origin::Files { certificate: absolute(certificate)?, key: absolute(key)? })
        }
    }
}

/// The CA beside a certificate that we installed earlier.
pub(crate) fn own_authority(facts: &Facts, leaf: &Certificate) -> Option<Certificate> {
    let files = [&facts.own.authority, &facts.own.authority_beside];
    files.into_iter().flatten().find_map(|file| {
        let authority = read_bundle(&file.bytes).ok()?.certificates.into_iter().next()?;
        leaf.issuer().same_as(authority.subject()).then_some(authority)
    })
}

fn certificate_step(facts: &Facts, new: &New, pem: &Path, wish: &Wish) -> Result<Step> {
    let leaf = &new.issued.certificate;
    let names: Vec<String> = new.names.iter().map(ToString::to_string).collect();
    let names = if names.is_empty() { leaf.dns_names() } else { names };
    let own = |name: &str, mode: u32, bytes: &[u8], was: Option<&ServerFile>, secret: bool| Write {
        path: facts.tls_folder.join(name),
        mode,
        bytes: Zeroizing::new(bytes.to_vec()),
        before: was.map(was_file),
        diff: String::new(),
        secret,
    };
    let mut writes = if let Some(fixed) = &facts.fixed {
        let unknown = |why: &String| Failure::new(why.clone()).because("nothing was changed");
        fixed.as_ref().map_err(unknown)?.writes(&new.issued, wish.accept_crash_window)?
    } else {
        let with_key = server_with_key_pem(&new.issued);
        let before = facts.own.pem.as_ref().map(|(status, digest)| Was {
            status: *status,
            digest: digest.clone(),
            bytes: Vec::new(),
        });
        vec![Write { before, path: pem.to_owned(), ..own(PEM, 0o600, with_key.as_bytes(), None, true) }]
    };
    let certificate = new.issued.full_chain_pem();
    writes.push(own(CERTIFICATE, 0o644, certificate.as_bytes(), facts.own.certificate.as_ref(), false));
    if let Some(authority) = &new.authority {
        let authority = authority.pem();
        writes.push(own(AUTHORITY, 0o644, authority.as_bytes(), facts.own.authority.as_ref(), false));
    }
    Ok(Step {
        name: "certificate",
        title: format!(
            "{} for {}, until {}, by {} ({})",
            leaf.public_key().kind(),
            names.join(", "),
            leaf.not_after().date(),
            leaf.issuer(),
            new.why
        ),
        effect: "nothing until the reload; then new connections see it, and old ones go on",
        writes,
    })
}

pub(crate) fn was_file(file: &ServerFile) -> Was {
    Was { status: file.status, digest: crate::journal::digest(&file.bytes), bytes: file.bytes.clone() }
}

pub(crate) fn settings_step(facts: &Facts, wished: &[Wished], id: &str, word: &str) -> Result<Option<Step>> {
    let mut writes = Vec::new();
    if let Some(main) = settings::main_file(facts, wished, id, word)? {
        writes.push(conf_write(&facts.main, main));
    }
    // After the main file, which it beats: a server that is restarted between the two is as it was, and not
    // without what neither of them says.
    if let Some(auto) = settings::auto_file(facts, wished)
        && let Some(file) = &facts.auto
    {
        writes.push(conf_write(file, auto));
    }
    if writes.is_empty() {
        return Ok(None);
    }
    let changed: Vec<&str> = wished
        .iter()
        .filter(|wish| !settings::satisfies(wish, facts.setting(wish.name)))
        .map(|wish| wish.name)
        .collect();
    Ok(Some(Step {
        name: "settings",
        title: if changed.is_empty() { "their place in the files".to_owned() } else { changed.join(", ") },
        effect: "a reload; sessions that stand go on as they are",
        writes,
    }))
}

/// The path that is written, and by which name the server knows it where that is another one.
fn shown(file: &ServerFile) -> String {
    if file.named == file.real {
        return file.real.display().to_string();
    }
    format!("{} ({})", file.real.display(), file.named.display())
}

pub(crate) fn conf_write(file: &ServerFile, new: Vec<u8>) -> Write {
    // No context: other lines may hold passwords (primary_conninfo).
    let (before, after) = (String::from_utf8_lossy(&file.bytes), String::from_utf8_lossy(&new));
    let name = shown(file);
    let diff = TextDiff::from_lines(before.as_ref(), after.as_ref())
        .unified_diff()
        .context_radius(0)
        .header(&name, &name)
        .to_string();
    Write {
        path: file.real.clone(),
        mode: file.status.mode,
        before: Some(was_file(file)),
        bytes: Zeroizing::new(new),
        diff,
        secret: false,
    }
}

/// pg_hba.conf as it is to be: methods exchanged, the reject lines on top with exceptions above them.
fn rules_step(facts: &Facts, wish: &Wish, clients: Option<&Clients>, note: &str) -> Result<Option<Step>> {
    if !wish.enforce && !wish.scram && clients.is_none() && facts.rules_moved.is_none() {
        return Ok(None);
    }
    let named = facts.hba.named.display();
    if !facts.rules.ruleset(facts.version).loads() {
        return Err(Failure::new(format!("PostgreSQL would not load {named} as it is"))
            .because("nothing was changed")
            .hint(format!("pgseal hba check {named}")));
    }
    let mut titles = Vec::new();
    let mut text = if let Some(moved) = &facts.rules_moved {
        titles.push("the rules of the file that the command named, with the local lines of this one");
        moved.clone()
    } else {
        facts.hba.bytes.clone()
    };
    if wish.scram
        && let Some(new) = authentication::strengthened(facts, &text)?
    {
        text = new;
        titles.push("trust, password and md5 over TCP become scram-sha-256");
    }
    let asking = clients.map(|clients| client_rules::asking(facts, &text, clients.level)).transpose()?;
    if let Some(new) = asking.flatten() {
        text = new;
        titles.push(
            "every line for TLS asks for a client's certificate; lines for any TCP become lines for TLS",
        );
    }
    if wish.enforce
        && let Some(new) = enforced(facts, wish, &text, note)?
    {
        text = new;
        titles.push("no connection over TCP without TLS, for databases and for replication");
    }
    if text == facts.hba.bytes {
        return Ok(None);
    }
    let name = named.to_string();
    Ok(Some(Step {
        name: match (wish.enforce, clients) {
            (true, _) => "enforce",
            (false, Some(_)) => "client-certificates",
            (false, None) => "authentication",
        },
        title: titles.join("; "),
        effect: "a reload; sessions that stand go on, new ones meet the new rules",
        writes: vec![Write {
            path: facts.hba.real.clone(),
            mode: facts.hba.status.mode,
            before: Some(was_file(&facts.hba)),
            diff: diff::unified(&name, &facts.hba.bytes, &text, facts.version),
            bytes: Zeroizing::new(text),
            secret: false,
        }],
    }))
}

/// The two reject lines on top; refused where they would not close every path.
fn enforced(facts: &Facts, wish: &Wish, text: &[u8], note: &str) -> Result<Option<Vec<u8>>> {
    let now = facts.rules.ruleset_of(text.to_vec(), facts.version);
    if wish.exceptions.is_empty() && closes_every_path(facts, &now) {
        return Ok(None);
    }
    let new = enforcement::enforced(&now, text, &wish.exceptions, false, note)?;
    let after = facts.rules.ruleset_of(new.clone(), facts.version);
    if !after.loads() || (wish.exceptions.is_empty() && !closes_every_path(facts, &after)) {
        let named = facts.hba.named.display();
        return Err(Failure::new(format!(
            "the reject lines on top of {named} would not close every plaintext path"
        ))
        .because("nothing was changed")
        .hint(format!("pgseal hba prove {named}")));
    }
    Ok(Some(new))
}

pub(super) fn closes_every_path(facts: &Facts, ruleset: &Ruleset) -> bool {
    let world = World { roles: facts.roles.clone(), interfaces: None };
    matches!(plaintext_path(&ruleset.rules, &world), Verdict::NoPath(_))
}
