//! A running server as the judge of `pg_hba.conf` files: what rows it makes of one, and whether a reload takes it.
//! Knows how to ask; what pgseal says of the same file is the scenario's business.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::Ipv4Addr;
use std::path::PathBuf;

use pgseal_conf::ByteString;
use pgseal_conf::hba::{Build, Server as Judged, ViewRow};

use super::account::Account;
use super::forge::Forge;
use super::install::Install;
use super::knock::{Door, Guest};
use super::rule_scribe::MAIN;
use super::sandbox::Sandbox;
use super::server::Server;
use super::sql::{Row, Sql, hex_of, hex_of_all, unhex, unhex_all};
use super::tree::Tree;

/// The main file of maps, beside that of rules.
pub(crate) const MAPS: &str = "pg_ident.conf";

/// A row of `pg_hba_file_rules`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RuleRow {
    pub(crate) rule_number: Option<u32>,
    pub(crate) file_name: String,
    pub(crate) line_number: u32,
    pub(crate) connection: Option<String>,
    pub(crate) databases: Vec<ByteString>,
    pub(crate) roles: Vec<ByteString>,
    pub(crate) address: Option<ByteString>,
    pub(crate) netmask: Option<ByteString>,
    pub(crate) method: Option<String>,
    pub(crate) options: Vec<ByteString>,
    pub(crate) error: Option<String>,
}

impl RuleRow {
    /// The same row as pgseal has it, of a server of that version: before 16 there are neither numbers nor files.
    pub(crate) fn ours(row: &ViewRow, version: u32) -> Self {
        let new = version >= 16;
        Self {
            rule_number: row.rule_number.filter(|_| new),
            file_name: if new { row.file_name.to_string() } else { String::new() },
            line_number: row.line_number,
            connection: row.connection.map(str::to_owned),
            databases: row.databases.clone(),
            roles: row.roles.clone(),
            address: row.address.clone(),
            netmask: row.netmask.clone(),
            method: row.method.map(str::to_owned),
            options: row.options.clone(),
            error: row.error.clone(),
        }
    }
}

/// How the judge's server is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    On,
    Off,
    /// A build without it.
    Unknown,
}

/// A row of `pg_ident_file_mappings` (15+).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MapRow {
    pub(crate) map_number: Option<u32>,
    pub(crate) file_name: String,
    pub(crate) line_number: u32,
    /// The map, the system's user, the database's.
    pub(crate) names: Option<[ByteString; 3]>,
    pub(crate) error: Option<String>,
}

pub(crate) struct RuleJudge {
    server: Server,
    sql: Sql,
    door: Door,
    version: u32,
    judged: Judged,
    heard: u64,
    dir: PathBuf,
    // Last: it is removed when the server is gone.
    _place: Sandbox,
}

impl RuleJudge {
    /// A server that reads its rules in a directory of their own. `validators` is `oauth_validator_libraries` (18+).
    #[track_caller]
    pub(crate) fn of(version: u32, tls: Tls, validators: &[&str]) -> Self {
        let place = Sandbox::new();
        let dir = place.join("rules");
        let main = Tree::of(MAIN, "local all all trust\nhost all all all reject\n").lay_out(&dir);
        let install = if tls == Tls::Unknown { Install::without_ssl() } else { Install::of(version) };
        let mut setup = Server::with(install).conf(&format!(
            "hba_file = '{}'\nident_file = '{}'",
            main.display(),
            dir.join(MAPS).display()
        ));
        let forge = Forge::new("the judge's");
        if tls == Tls::On {
            let (leaf, owner) = (forge.leaf(&["localhost"]), Account::server());
            let certificate = place.file_of(&owner, "server.crt", 0o644, &leaf.certificate);
            let key = place.file_of(&owner, "server.key", 0o600, &leaf.key);
            setup = setup.conf(&format!(
                "ssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'",
                certificate.display(),
                key.display()
            ));
        }
        if version >= 18 {
            setup = setup.conf(&format!("oauth_validator_libraries = '{}'", validators.join(",")));
        }
        let server = setup.start();
        let sql = Sql::to(&server);
        let door = Door::of(server.port(), &server.socket_dir(), forge.certificate());
        let known = version.to_string().parse().expect("the versions under test are known");
        let judged = Judged {
            ssl: Some(tls == Tls::On),
            oauth_validators: Some(validators.iter().map(|name| (*name).into()).collect()),
            ..Judged::of(known)
        };
        let mut judge = Self { server, sql, door, version, judged, heard: 0, dir, _place: place };
        judge.judged.build = judge.build(tls);
        judge
    }

    /// What pgseal is to know of this server.
    pub(crate) fn judged(&self) -> Judged {
        self.judged.clone()
    }

    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// Lays a file out, with what it includes, beside maps that load. The path of the main file.
    pub(crate) fn lay_out(&self, tree: &Tree) -> PathBuf {
        tree.clone().with(MAPS, "").lay_out(&self.dir)
    }

    /// What the server makes of the file that lies there now; an error where it fails over it.
    pub(crate) fn rows(&self) -> Result<Vec<RuleRow>, String> {
        let new = self.version >= 16;
        let (number, file) =
            if new { ("rule_number", hex_of("file_name")) } else { ("NULL", "NULL".to_owned()) };
        let columns = [
            number.to_owned(),
            file,
            "line_number".to_owned(),
            "type".to_owned(),
            hex_of_all("database"),
            hex_of_all("user_name"),
            hex_of("address"),
            hex_of("netmask"),
            "auth_method".to_owned(),
            hex_of_all("options"),
            hex_of("error"),
        ];
        let rows = self.sql.try_rows(&format!("SELECT {} FROM pg_hba_file_rules", columns.join(", ")))?;
        Ok(rows.into_iter().map(row).collect())
    }

    /// Lays a `pg_ident.conf` out, with what it includes, beside rules that load. The path of the main file.
    pub(crate) fn lay_out_maps(&self, tree: &Tree) -> PathBuf {
        let rules = "local all all trust\n";
        tree.clone().renamed(MAIN, MAPS).with(MAIN, rules).lay_out(&self.dir)
    }

    /// What the server makes of the maps that lie there now (15+).
    pub(crate) fn maps(&self) -> Result<Vec<MapRow>, String> {
        let new = self.version >= 16;
        let (number, file) =
            if new { ("map_number", hex_of("file_name")) } else { ("NULL", "NULL".to_owned()) };
        let names = ["map_name", "sys_name", "pg_username", "error"].map(hex_of).join(", ");
        let rows = self.sql.try_rows(&format!(
            "SELECT {number}, {file}, line_number, {names} FROM pg_ident_file_mappings"
        ))?;
        Ok(rows.iter().map(map_row).collect())
    }

    /// Whether a reload takes the file that lies there now, as the server's log has it.
    #[track_caller]
    pub(crate) fn takes(&mut self) -> bool {
        self.heard();
        self.server.reload();
        // Whoever is answered comes after the reload.
        let guest = Guest {
            from: Some(Ipv4Addr::LOCALHOST.into()),
            tls: false,
            user: b"nobody".to_vec(),
            database: Some(b"nothing".to_vec()),
        };
        self.door.knock(&guest).unwrap_or_else(|e| panic!("nobody answered after a reload: {e}"));
        let heard = self.heard();
        assert!(heard.contains("received SIGHUP"), "the server should have seen the reload:\n{heard}");
        !heard.contains("was not reloaded")
    }

    /// What the server has logged since it was last asked.
    pub(crate) fn heard(&mut self) -> String {
        let mut text = Vec::new();
        let mut read = || {
            let mut file = File::open(self.server.log())?;
            file.seek(SeekFrom::Start(self.heard))?;
            file.read_to_end(&mut text)
        };
        let count = read().unwrap_or_else(|e| panic!("could not read the server's log: {e}"));
        self.heard += count as u64;
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Which methods the server was built with: it says so itself.
    fn build(&self, tls: Tls) -> Build {
        let missing = |method: &str| {
            self.lay_out(&Tree::of(MAIN, format!("hostssl all all all {method}\n")));
            let rows = self.rows().expect("the view takes one line");
            rows.iter().any(|row| {
                row.error.as_ref().is_some_and(|error| error.ends_with("not supported by this build"))
            })
        };
        Build {
            ssl: tls != Tls::Unknown,
            gss: !missing("gss"),
            sspi: !missing("sspi"),
            pam: !missing("pam"),
            bsd: !missing("bsd"),
            ldap: !missing("ldap ldapbasedn=x"),
        }
    }
}

fn map_row(columns: &Row) -> MapRow {
    let bytes = |column: usize| columns[column].as_deref().map(|text| ByteString::from(unhex(text)));
    let number = |column: usize| columns[column].as_deref().and_then(|text| text.parse().ok());
    MapRow {
        map_number: number(0),
        file_name: bytes(1).unwrap_or_default().to_string(),
        line_number: number(2).unwrap_or(0),
        names: bytes(3).zip(bytes(4)).zip(bytes(5)).map(|((map, system), user)| [map, system, user]),
        error: bytes(6).map(|error| error.to_string()),
    }
}

fn row(columns: Row) -> RuleRow {
    let mut columns = columns.into_iter();
    let mut next = || columns.next().flatten();
    let bytes = |text: Option<String>| text.map(|text| ByteString::from(unhex(&text)));
    let list = |text: Option<String>| {
        let texts = text.as_deref().map(unhex_all).unwrap_or_default();
        texts.into_iter().map(ByteString::from).collect::<Vec<_>>()
    };
    let number = |text: Option<String>| text.and_then(|text| text.parse().ok());
    RuleRow {
        rule_number: number(next()),
        file_name: bytes(next()).unwrap_or_default().to_string(),
        line_number: number(next()).unwrap_or(0),
        connection: next(),
        databases: list(next()),
        roles: list(next()),
        address: bytes(next()),
        netmask: bytes(next()),
        method: next(),
        options: list(next()).iter().map(masked).collect(),
        error: bytes(next()).map(|error| error.to_string()),
    }
}

/// pgseal shows no secrets, the view does.
fn masked(option: &ByteString) -> ByteString {
    let secret = ["ldapbindpasswd=", "radiussecrets="]
        .iter()
        .find(|name| option.as_bytes().starts_with(name.as_bytes()));
    secret.map_or_else(|| option.clone(), |name| format!("{name}****").into())
}
