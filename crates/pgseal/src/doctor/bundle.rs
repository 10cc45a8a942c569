//! What was seen of a server in a file that may be given away: facts that are judged again by whoever reads it, with another
//! policy and on another day, and what was observed on the spot. No password, no key, no words of a configuration file but the
//! rules, of which secrets are masked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use pgseal_conf::files::{FileFault, Files, ListedFile};
use pgseal_conf::hba::{Roles, Ruleset};
use pgseal_conf::settings::Settings;
use pgseal_conf::{ByteString, PgVersion};
use pgseal_pki::{Certificate, read_bundle};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Examined, Notes, Unseen, judged};
use crate::failure::{Failure, Result};
use crate::findings::{Finding, Severity, names};
use crate::hba::mask;
use crate::hba::source::Source;
use crate::journal::View;
use crate::policy::Policy;
use crate::privilege::files;
use crate::privilege::files::{Kind, Status};
use crate::secure::facts::{Facts, OwnFiles, Present, ServerFile, Setting};
use crate::sessions::ledger::text;
use crate::sessions::{Seen, Tls};

/// The layout of the file.
const FORMAT: u32 = 1;
/// The file's most, in bytes.
const LIMIT: u64 = 64 << 20;
/// Settings whose value is a command, which may hold a password.
const COMMANDS: [&str; 2] = ["ssl_passphrase_command", "krb_server_keyfile"];
const HIDDEN: &str = "(not in the bundle)";

/// Everything that was seen of one server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Bundle {
    format: u32,
    /// The pgseal that wrote it.
    pgseal: String,
    /// When, RFC 3339.
    taken: String,
    /// What the server was called.
    target: String,
    version: String,
    running: bool,
    /// What is judged again; none of a server that let nobody in.
    facts: Option<Known>,
    /// What was judged on the spot.
    observed: Vec<Observation>,
    unseen: Vec<UnseenThen>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Observation {
    name: String,
    severity: Severity,
    evidence: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct UnseenThen {
    what: String,
    why: String,
    access: String,
}

/// The facts that findings rest on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Known {
    /// `server_version_num`'s major.
    major: u16,
    version: String,
    in_recovery: bool,
    settings: BTreeMap<String, SettingThen>,
    certificate: std::result::Result<PresentThen, String>,
    served: String,
    view: View,
    hba: String,
    rules: BTreeMap<String, String>,
    /// Roles, and of which they are members.
    roles: Option<Vec<(String, Vec<String>)>>,
    md5_roles: Vec<String>,
    sessions: Vec<SeenThen>,
    listens_on: Vec<IpAddr>,
    hybrid_groups: Vec<String>,
    newer_source: Option<PathBuf>,
    taken_by_upgrade: Option<Vec<PathBuf>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct SettingThen {
    value: String,
    source: String,
    boot: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct PresentThen {
    /// The leaf first, PEM.
    chain: String,
    /// Why the key does not serve, if so.
    key: std::result::Result<(), String>,
    encrypted: bool,
}

/// A session, as far as findings go.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct SeenThen {
    user: Option<String>,
    database: Option<String>,
    address: Option<IpAddr>,
    application: String,
    backend_type: String,
    since: String,
    /// Version, suite and bits.
    tls: Option<(String, String, i32)>,
    gss: bool,
    own: bool,
}

impl Bundle {
    /// What was found, to be kept.
    pub(crate) fn of(target: &str, examined: &Examined, now: OffsetDateTime) -> Self {
        let observed = examined.observed.iter().map(|finding| Observation {
            name: finding.name.to_owned(),
            severity: finding.severity,
            evidence: finding.evidence.clone(),
        });
        let unseen = examined.unseen.iter().map(|unseen| UnseenThen {
            what: unseen.what.to_string(),
            why: unseen.why.clone(),
            access: unseen.access.to_string(),
        });
        Self {
            format: FORMAT,
            pgseal: env!("CARGO_PKG_VERSION").to_owned(),
            taken: text(now),
            target: target.to_owned(),
            version: examined.version.clone(),
            running: examined.running,
            facts: examined.known.as_ref().map(|known| (**known).clone()),
            observed: observed.collect(),
            unseen: unseen.collect(),
        }
    }

    /// Readable by its owner alone: names of roles and addresses are nobody else's.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| Failure::new(format!("could not write {}: {error}", path.display())))?;
        files::replace(path, 0o600, &bytes).map_err(|error| Failure::io("write", path, &error))
    }

    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = files::read_named(path, LIMIT).map_err(|error| Failure::io("read", path, &error))?;
        let unfit = |why: String| {
            Failure::new(format!(
                "{} cannot be read as what pgseal doctor --facts writes: {why}",
                path.display()
            ))
        };
        let format: FormatAlone = serde_json::from_slice(&bytes).map_err(|error| unfit(error.to_string()))?;
        if format.format != FORMAT {
            return Err(unfit(format!("its format is {}, and this pgseal knows {FORMAT}", format.format))
                .hint("a pgseal that is as new as the one that wrote it"));
        }
        serde_json::from_slice(&bytes).map_err(|error| unfit(error.to_string()))
    }

    /// What the server was called, and when it was looked at.
    pub(crate) fn whose(&self) -> String {
        format!("{} as of {}", self.target, self.taken)
    }

    /// Judged again, as of now.
    pub(crate) fn examined(&self, policy: &Policy, now: OffsetDateTime) -> Result<Examined> {
        let mut notes = Notes { word: &self.target, findings: Vec::new(), unseen: Vec::new() };
        if let Some(known) = &self.facts {
            judged(&known.facts()?, policy, now, &mut notes)?;
        }
        let mut unseen: Vec<Unseen> = self.unseen.iter().map(UnseenThen::now).collect();
        for one in &self.observed {
            match names().find(|name| *name == one.name) {
                Some(name) if notes.findings.iter().any(|known| known.name == name) => {}
                Some(name) => {
                    let finding = Finding::new(name, one.evidence.clone(), &self.target);
                    notes.findings.push(finding.at(one.severity));
                }
                None => unseen.push(Unseen {
                    what: "a finding of another pgseal".into(),
                    why: format!("{}: {}", one.name, one.evidence),
                    access: "the pgseal that wrote the file".into(),
                }),
            }
        }
        let Notes { mut findings, .. } = notes;
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        Ok(Examined {
            version: self.version.clone(),
            running: self.running,
            findings,
            unseen,
            observed: Vec::new(),
            known: None,
            certificate: None,
        })
    }
}

/// What is newer is not guessed at.
#[derive(Deserialize)]
struct FormatAlone {
    format: u32,
}

impl UnseenThen {
    fn now(&self) -> Unseen {
        Unseen { what: self.what.clone().into(), why: self.why.clone(), access: self.access.clone().into() }
    }
}

impl Known {
    /// Of facts, without what is secret. `None`: the rules without their secrets are other rules, and nothing can be judged
    /// again by them.
    pub(crate) fn of(facts: &Facts) -> Option<Self> {
        let rules = without_secrets(&facts.rules.ruleset(facts.version), facts.version);
        let masked = Source::from_server(
            facts.rules.path.clone(),
            rules.get(&facts.rules.path.to_string())?.clone().into_bytes(),
            Box::new(Kept(rules.clone())),
            facts.version,
        );
        if masked.ruleset(facts.version).loads() != facts.rules.ruleset(facts.version).loads() {
            return None;
        }
        let certificate = facts.certificate.as_ref().map_err(Clone::clone).map(|present| PresentThen {
            chain: pem(&present.chain()),
            key: present.key.clone(),
            encrypted: present.encrypted,
        });
        Some(Self {
            major: facts.version.major(),
            version: facts.version_text.clone(),
            in_recovery: facts.in_recovery,
            settings: facts.settings.iter().map(setting_then).collect(),
            certificate,
            served: pem(&facts.served),
            view: facts.view.clone(),
            hba: facts.rules.path.to_string(),
            rules,
            roles: facts.roles.as_ref().map(memberships),
            md5_roles: facts.md5_roles.clone(),
            sessions: facts.sessions.iter().map(seen_then).collect(),
            listens_on: facts.listens_on.clone(),
            hybrid_groups: facts.hybrid_groups.iter().map(ToString::to_string).collect(),
            newer_source: facts.newer_source.clone(),
            taken_by_upgrade: facts.taken_by_upgrade.clone(),
        })
    }

    /// As they were, as far as judging goes: files that are planned over are empty.
    fn facts(&self) -> Result<Facts> {
        let version: PgVersion = self.major.to_string().parse().map_err(|error| {
            Failure::new(format!(
                "the facts are of PostgreSQL {}, which is not known here: {error}",
                self.major
            ))
        })?;
        let path = ByteString::from(self.hba.as_str());
        let text = self.rules.get(&self.hba).cloned().unwrap_or_default().into_bytes();
        let rules = Source::from_server(path, text.clone(), Box::new(Kept(self.rules.clone())), version);
        let roles = self.roles.as_ref().map(|all| {
            let mut roles = Roles::new();
            for (name, of) in all {
                roles.add(name.as_str());
                for role in of {
                    roles.grant(role.as_str(), name.as_str());
                }
            }
            roles
        });
        let certificate = match &self.certificate {
            Ok(then) => Ok(then.present()?),
            Err(why) => Err(why.clone()),
        };
        Ok(Facts {
            version,
            version_text: self.version.clone(),
            identifier: 0,
            stopped: false,
            started: String::new(),
            in_recovery: self.in_recovery,
            settings: self.settings.iter().map(|(name, then)| (name.clone(), then.now())).collect(),
            files: Settings::default(),
            main: no_file("postgresql.conf"),
            hybrid_groups: crate::policy::HYBRID_GROUPS
                .into_iter()
                .filter(|name| self.hybrid_groups.iter().any(|known| known == name))
                .collect(),
            auto: None,
            hba: ServerFile { bytes: text, ..no_file(&self.hba) },
            rules: rules.with_roles(roles.clone()),
            certificate,
            fixed: None,
            client_authorities: None,
            tls_folder: PathBuf::new(),
            tls_folder_is_there: false,
            own: OwnFiles::default(),
            addresses: self.view.at.map(|at| at.ip()).into_iter().collect(),
            port: self.view.at.map_or(0, |at| at.port()),
            listens_on: self.listens_on.clone(),
            host_name: None,
            own_names: Vec::new(),
            sessions: self.sessions.iter().map(SeenThen::now).collect(),
            recorded: BTreeMap::new(),
            start_refused: Vec::new(),
            rules_moved: None,
            roles,
            without_scram: Vec::new(),
            md5_roles: self.md5_roles.clone(),
            newer_source: self.newer_source.clone(),
            view: self.view.clone(),
            taken_by_upgrade: self.taken_by_upgrade.clone(),
            served: certificates(&self.served)?,
        })
    }
}

/// Roles, and of which each is a member, directly or not.
fn memberships(roles: &Roles) -> Vec<(String, Vec<String>)> {
    let of = |name: &ByteString| -> Vec<String> {
        let all = roles.roles_of(name.as_bytes());
        all.into_iter().filter(|role| *role != name).map(ToString::to_string).collect()
    };
    roles.names().map(|name| (name.to_string(), of(name))).collect()
}

fn no_file(named: &str) -> ServerFile {
    let status = Status { kind: Kind::File, uid: 0, gid: 0, mode: 0, size: 0 };
    ServerFile { named: named.into(), real: named.into(), status, bytes: Vec::new() }
}

/// Every file of the rules by its path, secrets masked.
fn without_secrets(ruleset: &Ruleset, version: PgVersion) -> BTreeMap<String, String> {
    let masked = |text: &[u8]| String::from_utf8_lossy(&mask::text(text, version)).into_owned();
    ruleset.files.iter().map(|file| (file.path.to_string(), masked(file.text.bytes()))).collect()
}

fn setting_then((name, setting): (&String, &Setting)) -> (String, SettingThen) {
    let hidden = COMMANDS.contains(&name.as_str()) && !setting.value.is_empty();
    let value = if hidden { HIDDEN.to_owned() } else { setting.value.clone() };
    (name.clone(), SettingThen { value, source: setting.source.clone(), boot: setting.boot.clone() })
}

impl SettingThen {
    fn now(&self) -> Setting {
        Setting { value: self.value.clone(), source: self.source.clone(), boot: self.boot.clone() }
    }
}

impl PresentThen {
    fn present(&self) -> Result<Present> {
        let mut chain = certificates(&self.chain)?.into_iter();
        let leaf =
            chain.next().ok_or_else(|| Failure::new("the facts hold no certificate where they should"))?;
        Ok(Present { leaf, others: chain.collect(), key: self.key.clone(), encrypted: self.encrypted })
    }
}

fn seen_then(seen: &Seen) -> SeenThen {
    SeenThen {
        user: seen.user.clone(),
        database: seen.database.clone(),
        address: seen.address,
        application: seen.application.clone(),
        backend_type: seen.backend_type.clone(),
        since: seen.since.clone(),
        tls: seen.tls.as_ref().map(|tls| (tls.version.clone(), tls.suite.clone(), tls.bits)),
        gss: seen.gss,
        own: seen.own,
    }
}

impl SeenThen {
    fn now(&self) -> Seen {
        let tls = self.tls.as_ref().map(|(version, suite, bits)| Tls {
            version: version.clone(),
            suite: suite.clone(),
            bits: *bits,
            client_certificate: None,
        });
        Seen {
            pid: 0,
            user: self.user.clone(),
            database: self.database.clone(),
            address: self.address,
            application: self.application.clone(),
            backend_type: self.backend_type.clone(),
            since: self.since.clone(),
            age: 0,
            tls,
            gss: self.gss,
            principal: None,
            own: self.own,
            hidden: false,
        }
    }
}

fn pem(chain: &[Certificate]) -> String {
    chain.iter().map(Certificate::pem).collect()
}

fn certificates(pem: &str) -> Result<Vec<Certificate>> {
    if pem.is_empty() {
        return Ok(Vec::new());
    }
    let read = read_bundle(pem.as_bytes());
    read.map(|bundle| bundle.certificates)
        .map_err(|error| Failure::new(format!("a certificate among the facts cannot be read: {error}")))
}

/// The files that rules mention, as they were kept.
struct Kept(BTreeMap<String, String>);

impl Files for Kept {
    fn read(&self, path: &ByteString) -> std::result::Result<Vec<u8>, FileFault> {
        self.0.get(&path.to_string()).map(|text| text.clone().into_bytes()).ok_or(FileFault::NotFound)
    }

    fn list(&self, directory: &ByteString) -> std::result::Result<Vec<ListedFile>, FileFault> {
        let within = format!("{directory}/");
        let names =
            self.0.keys().filter_map(|path| path.strip_prefix(&within)).filter(|name| !name.contains('/'));
        Ok(names.map(|name| ListedFile { name: name.into(), is_directory: false }).collect())
    }
}
