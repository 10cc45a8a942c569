//! A server that is reached by SQL alone: its settings by ALTER SYSTEM, proved and taken back like
//! everything else; for key, certificate and pg_hba.conf what to run on its own machine.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use pgseal_conf::PgVersion;
use pgseal_conf::hba::World;
use pgseal_conf::hba::proof::{Verdict, plaintext_path};
use pgseal_wire::Session;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::settings::{Wished, satisfies};
use super::{managed, view};
use crate::failure::{Failure, Result};
use crate::hba::fetch::over_sql;
use crate::hba::roles::roles;
use crate::journal::{Change, Journal, Phase, SettingChange, View, fresh_id, moment};
use crate::place::{Login, careful_session};
use crate::policy::{DEFAULT, Policy};
use crate::report::shell::quoted;
use crate::sessions::{Seen, sessions};
use crate::sql::{answer, rows_of, text_of};
use crate::target::shown;
use crate::verify::subject::Subject;

/// What `pg_locks` shows while a change is made: `pgseal` in ASCII.
const LOCK: i64 = 0x0070_6773_6561_6c00;
const LOADED_WITHIN: Duration = Duration::from_secs(20);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// A server and who looks at it.
pub(crate) struct Remote {
    /// The connection string, without what is secret in it.
    pub(crate) word: String,
    /// What it calls the server.
    host: String,
    session: Session,
    address: IpAddr,
    port: u16,
    who: Login,
    identifier: u64,
    pub(crate) version_text: String,
    version: PgVersion,
    view: View,
}

/// What is to be set, and what can only be done on the server's own machine.
pub(crate) struct RemotePlan {
    pub(crate) settings: Vec<SettingChange>,
    pub(crate) on_its_machine: Vec<HostCommand>,
}

/// A command for a shell of the server's own machine.
pub(crate) struct HostCommand {
    pub(crate) command: String,
    pub(crate) does: &'static str,
}

impl Remote {
    /// Logs in. The password goes by SCRAM only where the certificate does not verify.
    pub(crate) async fn open(text: &str, subject: Subject) -> Result<Self> {
        let address = subject.addresses.first().copied();
        let word = shown(text);
        let address = address.ok_or_else(|| Failure::new(format!("{word} has no address")))?;
        let (username, dbname) = (subject.username.clone(), subject.dbname.clone());
        let who = Login { username, dbname, password: subject.password, certificate: subject.certificate };
        let session = careful_session(address, subject.port, &who).await?;
        managed::refuse(&session).await?;
        let ask = |sql| text_of(&session, sql, &[]);
        let failed = |why: String| Failure::new(format!("{word} did not answer: {why}"));
        let superuser =
            ask("SELECT rolsuper::text FROM pg_roles WHERE rolname = session_user").await.map_err(failed)?;
        if superuser != "true" {
            return Err(Failure::new(format!("{} is no superuser of {word}", who.username))
                .because("nothing was changed")
                .hint("a connection string of a superuser"));
        }
        let lock = format!("SELECT pg_try_advisory_lock({LOCK})::text");
        if ask(&lock).await.map_err(failed)? != "true" {
            return Err(Failure::stopped(format!("another pgseal is at work on {word}"))
                .because("it holds the advisory lock of pgseal; nothing was changed")
                .hint("wait until it has ended, then again"));
        }
        let identifier =
            ask("SELECT system_identifier::text FROM pg_control_system()").await.map_err(failed)?;
        let number = ask("SELECT current_setting('server_version_num')").await.map_err(failed)?;
        Ok(Self {
            word: word.clone(),
            host: subject.host,
            address,
            port: subject.port,
            identifier: identifier.parse().unwrap_or(0),
            version_text: ask("SELECT current_setting('server_version')").await.map_err(failed)?,
            version: PgVersion::from_version_num(number.parse().unwrap_or(0))
                .map_err(|error| Failure::new(error.to_string()))?,
            view: view::look(address, subject.port, &who).await,
            who,
            session,
        })
    }

    /// Settings that need no file, as far as they differ; the rest in words.
    pub(crate) async fn plan(&self, policy: &Policy, enforce: bool) -> Result<RemotePlan> {
        let mut settings = Vec::new();
        for wish in self.wished(policy) {
            let row = self.setting(wish.name).await?;
            if satisfies(&wish, &row.value) {
                continue;
            }
            if row.source == "command line" {
                return Err(Failure::new(format!("the server's command line fixes {}", wish.name))
                    .because("nothing was changed")
                    .hint("take it out of the way the server is started, restart it, then again"));
            }
            let before = self.in_auto_conf(wish.name).await?;
            settings.push(SettingChange { name: wish.name.to_owned(), after: wish.value, before });
        }
        let on_its_machine = self.commands(policy, enforce).await?;
        Ok(RemotePlan { settings, on_its_machine })
    }

    /// What only a program with the server's files at hand can do, in order.
    async fn commands(&self, policy: &Policy, enforce: bool) -> Result<Vec<HostCommand>> {
        let data = self.ask("SELECT current_setting('data_directory')").await?;
        let target = quoted(&format!("dir:{data}"));
        let policy = match policy.name.as_str() {
            DEFAULT => String::new(),
            name if policy.is_built_in() => format!(" --policy {name}"),
            // A copy of the file.
            name => format!(" --policy {}", quoted(&format!("./{name}.toml"))),
        };
        let mut all = Vec::new();
        if self.view.certificate.is_none() {
            let own =
                matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "::1") || self.host.starts_with('/');
            let name = if own { String::new() } else { format!(" --san {}", quoted(&self.host)) };
            all.push(HostCommand {
                command: format!("pgseal secure {target}{policy} --new-ca ./server-ca{name}"),
                does: "a certificate, and ssl = on",
            });
        }
        if enforce && self.plaintext_is_let_in().await? {
            all.push(HostCommand {
                command: format!("pgseal secure {target}{policy} --enforce"),
                does: "two lines on top of pg_hba.conf",
            });
        }
        Ok(all)
    }

    /// Sessions that speak a version or a suite which the policy leaves out.
    pub(crate) async fn left_behind(&self, policy: &Policy) -> Result<Vec<String>> {
        let all = sessions(&self.session).await.map_err(Failure::new)?;
        let refused = |tls: &crate::sessions::Tls| {
            policy.allows_protocol(&tls.version) == Some(false)
                || policy.allows_suite(&tls.suite) == Some(false)
        };
        let line = |seen: Seen| {
            let tls = seen.tls.filter(|tls| !seen.own && refused(tls))?;
            let from = seen.address.map(|ip| ip.to_string()).unwrap_or_default();
            Some(format!("{} from {from}: {} {}", seen.user.unwrap_or_default(), tls.version, tls.suite))
        };
        Ok(all.into_iter().filter_map(line).collect())
    }

    fn wished(&self, policy: &Policy) -> Vec<Wished> {
        let of = |name, value: String| Wished { name, value };
        let mut all = vec![
            of("ssl_min_protocol_version", policy.min_protocol.clone()),
            of("ssl_ciphers", policy.tls12_suites.join(":")),
            of("ssl_prefer_server_ciphers", "on".to_owned()),
            of("password_encryption", policy.password_encryption.clone()),
        ];
        if self.version.major() >= 18 {
            all.push(of("ssl_tls13_ciphers", policy.tls13_suites.join(":")));
            all.push(of("ssl_groups", policy.groups.join(":")));
        } else {
            all.push(of("ssl_ecdh_curve", policy.curve.clone()));
        }
        all
    }

    /// What the journal knows it by: a standby has the identifier of its primary, and settings of its own.
    fn key(&self) -> PathBuf {
        let address =
            if self.address.is_loopback() { "loopback".to_owned() } else { self.address.to_string() };
        PathBuf::from(format!("/sql/{address}/{}", self.port))
    }

    fn journal(&self) -> Result<Option<Journal>> {
        Journal::find(self.identifier, &self.key())
    }

    async fn ask(&self, sql: &str) -> Result<String> {
        text_of(&self.session, sql, &[])
            .await
            .map_err(|why| Failure::new(format!("{} did not answer: {why}", self.word)))
    }

    async fn setting(&self, name: &str) -> Result<super::facts::Setting> {
        const ROW: &str =
            "SELECT coalesce(setting, ''), source, coalesce(boot_val, '') FROM pg_settings WHERE name = $1";
        let rows = rows_of(&self.session, ROW, &[&name]).await.map_err(Failure::new)?;
        let row = rows.first().ok_or_else(|| Failure::new(format!("the server knows no setting {name}")))?;
        let text = |at| row.try_get::<_, String>(at).unwrap_or_default();
        Ok(super::facts::Setting { value: text(0), source: text(1), boot: text(2) })
    }

    /// What ALTER SYSTEM has set already.
    async fn in_auto_conf(&self, name: &str) -> Result<Option<String>> {
        const ROW: &str = "SELECT setting FROM pg_file_settings WHERE name = $1 AND sourcefile LIKE \
             '%/postgresql.auto.conf' ORDER BY seqno DESC LIMIT 1";
        let rows = rows_of(&self.session, ROW, &[&name]).await.map_err(Failure::new)?;
        Ok(rows.first().and_then(|row| row.try_get(0).ok()))
    }

    /// By the rules as they are on disk, and on the wire.
    pub(crate) async fn plaintext_is_let_in(&self) -> Result<bool> {
        let source =
            over_sql(&self.session).await.map_err(|why| Failure::new(format!("pg_hba.conf: {why}")))?;
        let ruleset = source.ruleset(self.version);
        let world = World { roles: roles(&self.session).await.ok(), interfaces: None };
        let closed = matches!(plaintext_path(&ruleset.rules, &world), Verdict::NoPath(_));
        Ok(!closed || self.view.plaintext == Some(true))
    }

    /// Sets, reloads, looks; takes back what does not hold. The change's id.
    pub(crate) async fn apply(&self, plan: &RemotePlan) -> Result<String> {
        let journal = Journal::open(self.identifier, &self.key())?;
        let change = Change {
            format: 1,
            id: fresh_id()?,
            began: moment(OffsetDateTime::now_utc())?,
            data: self.key(),
            title: "settings by ALTER SYSTEM".to_owned(),
            files: Vec::new(),
            folders: Vec::new(),
            founded: None,
            settings: plan.settings.clone(),
            origin: None,
            records: Vec::new(),
            certificate: None,
            target: None,
            compose: None,
            view: self.view.clone(),
            served: None,
            promise: None,
        };
        journal.begin(&change, &[])?;
        match self.set_and_look(&change).await {
            Ok(()) => {
                journal.set(&change, &Phase::Committed)?;
                Ok(change.id)
            }
            Err(failure) => {
                if let Err(worse) = self.take_back(&change).await {
                    return Err(Failure::new(format!(
                        "{}, and it could not be taken back",
                        failure.sentence()
                    ))
                    .because_all(failure.reasons())
                    .because(worse.sentence().to_owned())
                    .because_all(worse.reasons())
                    .hint(format!("pgseal undo {}", quoted(&self.word))));
                }
                journal.set(&change, &Phase::RolledBack)?;
                Err(Failure::rolled_back(format!("rolled back: {}", failure.sentence()))
                    .because_all(failure.reasons()))
            }
        }
    }

    async fn set_and_look(&self, change: &Change) -> Result<()> {
        for setting in &change.settings {
            self.alter(&setting.name, Some(&setting.after)).await?;
        }
        self.reload().await?;
        for setting in &change.settings {
            let now = self.setting(&setting.name).await?;
            if now.value != setting.after {
                return Err(Failure::new(format!(
                    "{} is {} after the reload, not {}",
                    setting.name, now.value, setting.after
                )));
            }
        }
        // A new login, and the wire: a value that OpenSSL refuses leaves the old context in force, or none.
        let again = careful_session(self.address, self.port, &self.who).await?;
        again.close().await;
        let now = view::look(self.address, self.port, &self.who).await;
        if now.certificate == self.view.certificate {
            return Ok(());
        }
        Err(Failure::new("the wire shows another certificate, or none, after the reload"))
    }

    /// Every value as it was. Where somebody has set another one since, nothing is: that one is theirs.
    async fn take_back(&self, change: &Change) -> Result<()> {
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        for setting in &change.settings {
            let now = self.in_auto_conf(&setting.name).await?;
            if now.as_deref() == Some(setting.after.as_str()) {
                ours.push(setting);
            } else if now != setting.before {
                let now = now.map_or_else(|| "no value".to_owned(), |value| format!("'{value}'"));
                theirs.push(format!("{} has {now}, not '{}'", setting.name, setting.after));
            }
        }
        if !theirs.is_empty() {
            return Err(Failure::new("settings were changed since by others, and were not written over")
                .because_all(theirs)
                .because(format!("postgresql.auto.conf of {}, change {}", self.word, change.id))
                .hint("ALTER SYSTEM SET … to what pgseal wrote, then again, or RESET what is not wanted any more"));
        }
        for setting in ours {
            self.alter(&setting.name, setting.before.as_deref()).await?;
        }
        self.reload().await
    }

    /// `ALTER SYSTEM`, with a value or back to nothing. Names are PostgreSQL's own.
    async fn alter(&self, name: &str, value: Option<&str>) -> Result<()> {
        let statement = match value {
            Some(value) => format!("ALTER SYSTEM SET {name} = '{}'", value.replace('\'', "''")),
            None => format!("ALTER SYSTEM RESET {name}"),
        };
        answer(self.session.client().batch_execute(&statement))
            .await
            .map_err(|why| Failure::new(format!("{statement}: {why}")))
    }

    async fn reload(&self) -> Result<()> {
        const LOADED: &str = "SELECT pg_conf_load_time()::text";
        let before = self.ask(LOADED).await?;
        self.ask("SELECT pg_reload_conf()::text").await?;
        let deadline = Instant::now() + LOADED_WITHIN;
        while self.ask(LOADED).await? == before {
            if Instant::now() >= deadline {
                return Err(Failure::new("the server did not read its configuration again"));
            }
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        }
        Ok(())
    }

    /// Takes the last change back: the one that was cut off, or the last that stands.
    pub(crate) async fn undo(&self) -> Result<String> {
        let nothing = || Failure::stopped(format!("there is no change of {} to undo", self.word));
        let journal = self.journal()?.ok_or_else(nothing)?;
        let (change, phase) = match journal.unfinished()? {
            Some((change, _)) => (change, Phase::RolledBack),
            None => (journal.last_committed()?.ok_or_else(nothing)?, Phase::Undone),
        };
        self.take_back(&change).await?;
        journal.set(&change, &phase)?;
        Ok(change.id)
    }

    /// What a run that was cut off left, taken back first.
    pub(crate) async fn recover(&self) -> Result<Option<String>> {
        let Some(journal) = self.journal()? else { return Ok(None) };
        match journal.unfinished()? {
            Some(_) => self.undo().await.map(Some),
            None => Ok(None),
        }
    }

    pub(crate) async fn close(self) {
        self.session.close().await;
    }
}
