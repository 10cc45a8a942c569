//! What a compose project does to its server that people have been bitten by. Names the cause where other findings name
//! what it leads to.

use std::path::{Path, PathBuf};

use pgseal_wire::Session;

use super::super::facts::{Facts, ServerFile};
use super::super::observe::in_data;
use crate::failure::Result;
use crate::findings::Finding;
use crate::place::{Place, ServiceFacts};
use crate::sql::rows_of;

/// Findings about the project and its mounts; none where the place is no compose service.
pub(crate) async fn judge(
    place: &mut Place,
    facts: &Facts,
    inside: Option<&Session>,
) -> Result<Vec<Finding>> {
    let mut all = by_the_file(place);
    all.extend(beside_the_file(place, facts, inside).await?);
    Ok(all)
}

/// What the compose file and docker say, for which nobody has to be let in to the server.
pub(crate) fn by_the_file(place: &Place) -> Vec<Finding> {
    let Some(said) = place.way().and_then(|way| way.said.as_ref()) else { return Vec::new() };
    let mut all = Vec::new();
    let mut find = |name: &'static str, evidence: String| all.push(Finding::new(name, evidence, &place.word));
    of_the_file(said, &mut find);
    all
}

/// What the server's own facts say of the mounts that the project made.
pub(super) async fn beside_the_file(
    place: &mut Place,
    facts: &Facts,
    inside: Option<&Session>,
) -> Result<Vec<Finding>> {
    let Some(said) = place.way().and_then(|way| way.said.clone()) else { return Ok(Vec::new()) };
    let word = place.word.clone();
    let mut all = Vec::new();
    let mut find = |name: &'static str, evidence: String| all.push(Finding::new(name, evidence, &word));
    if let Some(evidence) = key_on_a_bind_mount(place, facts).await? {
        find("key-bind-mounted", evidence);
    }
    for path in files_mounted_alone(place, facts) {
        find("file-mounted-alone", path.display().to_string());
    }
    if let Some(evidence) = no_local_line(facts) {
        find("local-line-missing", evidence);
    }
    if let (Some(inside), Some(dbname)) = (inside, &said.dbname)
        && !has_database(inside, dbname).await
    {
        find("database-missing", dbname.clone());
    }
    Ok(all)
}

fn of_the_file(said: &ServiceFacts, find: &mut impl FnMut(&'static str, String)) {
    if let Some(line) = said.version_line {
        find("compose-version-obsolete", format!("line {line}"));
    }
    if !said.published_everywhere.is_empty() {
        find("port-published-everywhere", said.published_everywhere.join(", "));
    }
    if said.password_in_environment {
        find("password-in-environment", "POSTGRES_PASSWORD".to_owned());
    }
    if !said.init_only.is_empty() {
        find("init-only-setting", said.init_only.join(", "));
    }
    if let Some(name) = &said.command_in_environment {
        find("command-in-environment", format!("environment: {name}"));
    }
    if let Some(why) = &said.outdated {
        find("container-outdated", why.clone());
    }
    let given = crate::compose::words::given(&said.command);
    let tls: Vec<&str> = given
        .iter()
        .map(|given| given.name.as_str())
        .filter(|name| name.starts_with("ssl") || matches!(*name, "hba_file" | "password_encryption"))
        .collect();
    if !tls.is_empty() {
        find("settings-in-command", tls.join(", "));
    }
}

/// A key that comes from the host has the owner that it has there, and PostgreSQL wants its own user's or root's.
async fn key_on_a_bind_mount(place: &mut Place, facts: &Facts) -> Result<Option<String>> {
    let path = in_data(place, facts.setting("ssl_key_file"));
    let source = {
        let mount = place.container().and_then(|container| container.mount_of(&path));
        let Some(mount) = mount.filter(|mount| mount.kind == "bind") else { return Ok(None) };
        let within = path.strip_prefix(mount.place).unwrap_or(Path::new(""));
        Path::new(mount.source).join(within)
    };
    let found = match place.hands.look(&path).await {
        Ok(found) => found.map(|(_, status)| status),
        Err(_) => None,
    };
    let uid = place.hands.user().uid;
    let fits = facts.certificate.as_ref().is_ok_and(|present| present.key.is_ok());
    let what = match &found {
        Some(found) if fits => {
            format!(
                "inside of uid {} mode {:04o}: it is taken now, and not after the host's files change",
                found.uid, found.mode
            )
        }
        Some(found) => {
            format!("inside of uid {} mode {:04o}, and the server runs as uid {uid}", found.uid, found.mode)
        }
        None => format!("which uid {uid}, as whom the server runs, cannot look at"),
    };
    Ok(Some(format!("{} is the host's {}, {what}", path.display(), source.display())))
}

/// An error is no answer.
async fn has_database(inside: &Session, dbname: &str) -> bool {
    let rows = rows_of(inside, "SELECT 1 FROM pg_database WHERE datname = $1", &[&dbname]).await;
    rows.is_ok_and(|rows| !rows.is_empty()) || rows_of(inside, "SELECT 1", &[]).await.is_err()
}

/// Files that the server reads and that are mounts of their own: a rename on the host does not reach them.
fn files_mounted_alone(place: &Place, facts: &Facts) -> Vec<PathBuf> {
    let named = ["ssl_cert_file", "ssl_key_file", "hba_file", "config_file", "ident_file"];
    let mut alone: Vec<PathBuf> = named
        .iter()
        .map(|name| facts.setting(name))
        .filter(|path| !path.is_empty())
        .map(|path| in_data(place, path))
        .chain([facts.main.named.clone()])
        .filter(|path| {
            let mount = place.container().and_then(|container| container.mount_of(path));
            mount.is_some_and(|mount| mount.place == path.as_path())
        })
        .collect();
    alone.sort();
    alone.dedup();
    alone
}

/// `docker exec … psql` comes over the Unix socket.
fn no_local_line(facts: &Facts) -> Option<String> {
    use pgseal_conf::hba::{ConnectionType, Method};
    let ruleset = facts.rules.ruleset(facts.version);
    let lets_in = ruleset.rules.iter().any(|rule| {
        matches!(rule.connection, ConnectionType::Local) && !matches!(rule.method, Method::Reject)
    });
    (!lets_in && ruleset.loads())
        .then(|| format!("{} has no line for the Unix socket", facts.hba.named.display()))
}

/// The rules of a file that goes, below the lines for the Unix socket that stand in the data directory's own: what the
/// image's entrypoint and `docker exec` rely on. `None`: the other file cannot be read as rules.
pub(super) fn moved_rules(old: &ServerFile, facts: &Facts) -> Option<Vec<u8>> {
    use pgseal_conf::hba::ConnectionType;
    if old.real == facts.hba.real {
        return None;
    }
    let of_old = facts.rules.ruleset_of(old.bytes.clone(), facts.version);
    if !of_old.loads() {
        return None;
    }
    let has_local = of_old.rules.iter().any(|rule| matches!(rule.connection, ConnectionType::Local));
    let mut text = Vec::new();
    if !has_local {
        let of_own = facts.rules.ruleset(facts.version);
        let own: Vec<&[u8]> = facts.hba.bytes.split_inclusive(|byte| *byte == b'\n').collect();
        let lines = of_own.rules.iter().filter(|rule| matches!(rule.connection, ConnectionType::Local));
        let lines = lines.filter_map(|rule| own.get(usize::try_from(rule.line).ok()?.checked_sub(1)?));
        text.extend_from_slice(b"# The Unix socket, as the data directory's own file had it.\n");
        text.extend(lines.copied().flatten());
    }
    text.extend_from_slice(&old.bytes);
    if !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    Some(text)
}
