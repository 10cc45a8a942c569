//! A plan on disk: what was asked, what it rests on, what it writes. `--plan` carries out exactly that, and
//! refuses when the server has moved since.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::facts::{Facts, ServerFile};
use super::plan::{Plan, Step};
use crate::failure::{Failure, Result};
use crate::journal::digest;
use crate::privilege::{files, trusted};
use crate::report::json::SCHEMA_VERSION;

/// A plan with its diffs.
const LIMIT: u64 = 64 << 20;

/// The file of `--out` (docs/schema/plan.json).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Saved {
    pub(crate) schema_version: u32,
    pub(crate) target: String,
    /// The words that asked for it.
    pub(crate) asked: Vec<String>,
    /// The change's id, which stands in what it writes.
    pub(crate) change: String,
    /// What it rests on: name and digest.
    basis: Vec<(String, String)>,
    /// What the certificate is to say; plans of before have none.
    certificate: Option<SavedCertificate>,
    steps: Vec<SavedStep>,
}

/// What is the same of a certificate that is issued today and of one that is issued tomorrow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedCertificate {
    names: Vec<String>,
    key: String,
    issuer: String,
    /// The issuer's key identifier, in hex; null where its CA is made only when the plan is carried out.
    issuer_key: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedStep {
    name: String,
    files: Vec<SavedFile>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedFile {
    path: String,
    /// The digest of what is written; null for what is issued only when the plan is carried out.
    after: Option<String>,
    diff: String,
}

impl Saved {
    pub(crate) fn of(target: &str, asked: Vec<String>, facts: &Facts, plan: &Plan) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            target: target.to_owned(),
            certificate: Some(SavedCertificate::of(plan, &asked)),
            asked,
            change: plan.id.clone(),
            basis: basis(facts),
            steps: plan.steps().map(saved_step).collect(),
        }
    }

    pub(crate) fn read(path: &Path) -> Result<Self> {
        let absolute = std::path::absolute(path).map_err(|error| Failure::io("resolve", path, &error))?;
        if files::status(&absolute).is_ok_and(|found| found.is_some()) {
            // With its folders: who may rename there could put another plan in its place after this look.
            trusted::parent_for_root(&absolute)?;
        }
        let bytes =
            files::read(&absolute, LIMIT).map_err(|error| Failure::io("read the plan", path, &error))?;
        let saved: Self = serde_json::from_slice(&bytes).map_err(|error| {
            Failure::usage(format!("{} is no plan of pgseal secure --out: {error}", path.display()))
        })?;
        if saved.schema_version == SCHEMA_VERSION {
            return Ok(saved);
        }
        Err(Failure::usage(format!(
            "the plan {} has version {}, and this pgseal knows {SCHEMA_VERSION}",
            path.display(),
            saved.schema_version
        )))
    }

    /// Writes it to the place that was reserved for it.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|error| Failure::new(format!("could not write the plan: {error}")))?;
        text.push(b'\n');
        files::replace(path, 0o600, &text).map_err(|error| Failure::io("write the plan", path, &error))
    }

    /// Takes the place of a plan that is to be written, before anything is changed; a file that is there stays.
    pub(crate) fn reserve(path: &Path) -> Result<()> {
        files::create(path, 0o600, b"").map_err(|error| {
            Failure::io("write the plan", path, &error)
                .because("nothing was changed")
                .hint("--out with another name, in a folder that takes it")
        })
    }

    /// Lets a reserved place go.
    pub(crate) fn give_up(path: &Path) {
        let empty = files::status(path).ok().flatten().is_some_and(|found| found.size == 0);
        if empty {
            // An empty file that stays harms nobody.
            let _ = files::remove(path);
        }
    }

    /// Refuses when facts or steps are others than they were.
    pub(crate) fn must_still_hold(&self, facts: &Facts, plan: &Plan) -> Result<()> {
        let now = basis(facts);
        let mut moved: Vec<String> =
            now.iter().filter(|fact| !self.basis.contains(fact)).map(|(name, _)| name.clone()).collect();
        let gone = self.basis.iter().filter(|fact| !now.iter().any(|(name, _)| *name == fact.0));
        moved.extend(gone.map(|(name, _)| name.clone()));
        let promised = SavedCertificate::of(plan, &self.asked);
        if self.certificate.as_ref().is_some_and(|saved| *saved != promised) {
            moved.push("what the certificate says, or who issues it".to_owned());
        }
        let steps: Vec<SavedStep> = plan.steps().map(saved_step).collect();
        if moved.is_empty() && steps != self.steps {
            moved.push("the steps that follow from it".to_owned());
        }
        if moved.is_empty() {
            return Ok(());
        }
        Err(Failure::stopped("the server has moved since the plan was made, and nothing was changed")
            .because(format!("different now: {}", moved.join(", ")))
            .hint("make the plan again: --dry-run --out FILE"))
    }
}

impl SavedCertificate {
    fn of(plan: &Plan, asked: &[String]) -> Self {
        let leaf = &plan.leaf;
        let made_then = asked.iter().any(|word| word.starts_with("--new-ca"));
        let addresses = leaf.ip_addresses().into_iter().map(|address| address.to_string());
        Self {
            names: leaf.dns_names().into_iter().chain(addresses).chain(leaf.other_names()).collect(),
            key: leaf.public_key().kind().to_string(),
            issuer: leaf.issuer().to_string(),
            issuer_key: leaf.authority_key_id().filter(|_| !made_then).map(hex),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn saved_step(step: &Step) -> SavedStep {
    SavedStep {
        name: step.name.to_owned(),
        files: step
            .writes
            .iter()
            .map(|write| SavedFile {
                path: write.path.display().to_string(),
                after: (step.name != "certificate").then(|| digest(&write.bytes)),
                diff: write.diff.clone(),
            })
            .collect(),
    }
}

/// Everything that a plan follows from.
fn basis(facts: &Facts) -> Vec<(String, String)> {
    let file = |file: &ServerFile| {
        let found = file.status;
        let who = format!("{} {}:{} {:o}", digest(&file.bytes), found.uid, found.gid, found.mode);
        (file.named.display().to_string(), who)
    };
    let mut all = vec![
        ("the server's version".to_owned(), facts.version_text.clone()),
        ("the system identifier".to_owned(), facts.identifier.to_string()),
        ("whether it is a standby".to_owned(), facts.in_recovery.to_string()),
        file(&facts.main),
        file(&facts.hba),
    ];
    all.extend(facts.auto.as_ref().map(file));
    all.extend(facts.client_authorities.as_ref().map(file));
    // What the configuration and the rules read beside themselves. postgresql.auto.conf may be among it, with the same digest.
    let rules = facts.rules.ruleset(facts.version);
    let included = rules.files.iter().map(|file| (&file.path, file.text.bytes()));
    let included = included.chain(facts.files.files.iter().map(|(path, text)| (path, text.bytes())));
    all.extend(included.map(|(path, bytes)| (format!("what {path} holds"), digest(bytes))));
    all.extend(facts.settings.iter().map(|(name, setting)| {
        (format!("the setting {name}"), format!("{} ({})", setting.value, setting.source))
    }));
    let certificate = match &facts.certificate {
        Ok(present) => present.leaf.fingerprint().to_string(),
        Err(why) => why.clone(),
    };
    all.push(("the certificate".to_owned(), certificate));
    all
}
