//! A server at whose door guests are judged by `pg_hba.conf`: TLS, roles that are members of one another, and what
//! pgseal has to be told of both. Knows how to ask, and which answer stands for which method.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use pgseal_conf::PgVersion;
use pgseal_conf::hba::{
    AddressRange, Channel, ClientCertificate, ClientName, Connection, Method, Purpose, Roles, Rule, Ruleset,
    Server as Judged, World,
};

use super::account::Account;
use super::forge::Forge;
use super::install::Install;
use super::knock::{Door, Guest, Said};
use super::process::run;
use super::rule_judge::{MAPS, RuleJudge, Tls};
use super::rule_scribe::MAIN;
use super::sandbox::Sandbox;
use super::server::Server;
use super::sql::Sql;
use super::tree::{AsServer, Tree, as_bytes};

const ROLES: &str = "CREATE ROLE staff; CREATE ROLE lead; CREATE ROLE dev LOGIN; CREATE ROLE alice LOGIN PASSWORD 'a';
    CREATE ROLE bob LOGIN NOINHERIT PASSWORD 'b'; CREATE ROLE carol SUPERUSER LOGIN; CREATE ROLE \"Mixed Case\" LOGIN;
    CREATE ROLE \"all\" LOGIN; CREATE ROLE \"müller\" LOGIN; GRANT staff TO dev; GRANT dev TO alice; GRANT lead TO bob; GRANT staff TO lead;";

pub(crate) struct Gate {
    server: Server,
    door: Door,
    forge: Forge,
    dir: PathBuf,
    version: u32,
    judged: Judged,
    world: World,
    methods: Vec<String>,
    names: BTreeMap<IpAddr, ClientName>,
    files: u32,
    // Last: it is removed when the server is gone.
    _place: Sandbox,
}

impl Gate {
    #[track_caller]
    pub(crate) fn of(version: u32) -> Self {
        let place = Sandbox::new();
        let (owner, forge) = (Account::server(), Forge::new("the gate's"));
        let leaf = forge.leaf(&["localhost"]);
        let dir = place.join("rules");
        let main = Tree::of(MAIN, "local all all trust\n").lay_out(&dir);
        let certificate = place.file_of(&owner, "server.crt", 0o644, &leaf.certificate);
        let key = place.file_of(&owner, "server.key", 0o600, &leaf.key);
        let ca = place.file_of(&owner, "ca.crt", 0o644, forge.certificate());
        let validators = if version >= 18 { "oauth_validator_libraries = 'validator_a'" } else { "" };
        let server = Server::with(Install::of(version))
            .conf(&format!("hba_file = '{}'\nident_file = '{}'", main.display(), dir.join(MAPS).display()))
            .conf(&format!(
                "ssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'\nssl_ca_file = '{}'",
                certificate.display(),
                key.display(),
                ca.display()
            ))
            .conf(validators)
            .start();
        let sql = Sql::to(&server);
        sql.rows(ROLES);
        sql.rows("CREATE DATABASE shop");
        let world = World { roles: Some(roles(&sql)), interfaces: Some(interfaces()) };
        let door = Door::of(server.port(), &server.socket_dir(), forge.certificate());
        let judged = RuleJudge::of(version, Tls::On, &["validator_a"]).judged();
        let methods = methods(&judged);
        Self {
            server,
            door,
            forge,
            dir,
            version,
            judged,
            world,
            methods,
            names: BTreeMap::new(),
            files: 0,
            _place: place,
        }
    }

    /// Its roles and interfaces.
    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    pub(crate) fn version_known(&self) -> PgVersion {
        self.judged.version
    }

    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// The methods beside the usual ones that it was built with, with their options.
    pub(crate) fn methods(&self) -> Vec<String> {
        self.methods.clone()
    }

    /// Has these files loaded, with a line on top that nobody else writes, and sees whether they are: where pgseal says
    /// so, and nowhere else. What pgseal reads, and the files; `None` where they do not load.
    #[track_caller]
    pub(crate) fn load(&mut self, tree: &Tree) -> Option<(Ruleset, Tree)> {
        self.files += 1;
        let mark = format!("seen_{}", self.files);
        let tree = tree
            .clone()
            .with_main([format!("local \"{mark}\" all reject\n").as_bytes(), tree.main()].concat());
        let path = tree.lay_out(&self.dir);
        let read = Ruleset::load(&as_bytes(&path), &AsServer, self.judged.clone());
        self.server.reload();
        let guest =
            Guest { from: None, tls: false, user: b"nobody".to_vec(), database: Some(mark.into_bytes()) };
        let said = self.knock(&guest);
        let loaded = matches!(&said, Ok(said) if said.refuses_with("28000", "pg_hba.conf rejects "));
        assert!(
            loaded == read.loads(),
            "PostgreSQL {} said {said:?}, pgseal {:?}:\n{tree:?}",
            self.version,
            read.diagnostics
        );
        loaded.then_some((read, tree))
    }

    /// The door for guests with a certificate of that name.
    pub(crate) fn door_for(&self, common_name: &str) -> Door {
        let client = self.forge.client(common_name);
        let authority = self.forge.certificate();
        Door::with(self.server.port(), &self.server.socket_dir(), authority, Some(&client))
    }

    pub(crate) fn knock(&self, guest: &Guest) -> io::Result<Said> {
        self.door.knock(guest)
    }

    /// The guest as pgseal is told of one.
    pub(crate) fn connection(&mut self, guest: &Guest, hosts: bool) -> Connection {
        let name = match guest.from {
            Some(from) if hosts => self.names.entry(from).or_insert_with(|| name_of(from)).clone(),
            _ => ClientName::Unknown,
        };
        Connection {
            channel: match (guest.from, guest.tls) {
                (None, _) => Channel::Local,
                (Some(_), false) => Channel::Plain,
                (Some(_), true) => Channel::Tls,
            },
            address: guest.from,
            name,
            user: guest.user.clone().into(),
            purpose: guest
                .database
                .clone()
                .map_or(Purpose::Replication, |name| Purpose::Database(name.into())),
        }
    }
}

/// Whether an answer is what a rule, or none, gives.
pub(crate) fn is_answer_of(said: &Said, rule: Option<&Rule>, tls: bool) -> bool {
    let Some(rule) = rule else {
        return said.refuses_with("28000", "no pg_hba.conf entry for ");
    };
    if tls && rule.client_certificate != ClientCertificate::NotAsked {
        return said.refuses_with("28000", "connection requires a valid client certificate");
    }
    let refused = |start: &str| said.refuses_with("28000", start);
    match rule.method {
        Method::Reject => refused("pg_hba.conf rejects "),
        Method::Trust => *said == Said::Ok,
        Method::Md5 => matches!(said, Said::Asks(5 | 10)),
        Method::ScramSha256 | Method::OAuth => *said == Said::Asks(10),
        Method::Password | Method::Radius | Method::Ldap => *said == Said::Asks(3),
        Method::Gss => *said == Said::Asks(7),
        Method::Ident => refused("Ident authentication failed"),
        Method::Peer => *said == Said::Ok || refused("Peer authentication failed"),
        Method::Pam => *said == Said::Asks(3) || refused("PAM authentication failed"),
        Method::Cert | Method::Sspi | Method::Bsd => false,
    }
}

/// Every address that rules name, those just outside, and those at both ends.
pub(crate) fn addresses_of(rules: &[Rule]) -> Vec<IpAddr> {
    let mut all = Vec::new();
    for range in rules.iter().filter_map(|rule| match &rule.address {
        Some(pgseal_conf::hba::AddressMatch::Range(range)) => Some(range),
        _ => None,
    }) {
        match (range.address(), range.mask()) {
            (IpAddr::V4(address), IpAddr::V4(mask)) => {
                let (first, last) = (address.to_bits() & mask.to_bits(), address.to_bits() | !mask.to_bits());
                let ends = [
                    first.wrapping_sub(1),
                    first,
                    first | 1,
                    address.to_bits(),
                    last,
                    last ^ 1,
                    last.wrapping_add(1),
                ];
                all.extend(ends.map(|bits| IpAddr::V4(bits.into())));
            }
            (IpAddr::V6(address), IpAddr::V6(mask)) => {
                let (first, last) = (address.to_bits() & mask.to_bits(), address.to_bits() | !mask.to_bits());
                let ends = [
                    first.wrapping_sub(1),
                    first,
                    first | 1,
                    address.to_bits(),
                    last,
                    last ^ 1,
                    last.wrapping_add(1),
                ];
                all.extend(ends.map(|bits| IpAddr::V6(bits.into())));
            }
            _ => {}
        }
    }
    all.retain(|address| can_be_come_from(*address));
    all.sort_unstable();
    all.dedup();
    all
}

/// Whether a client can come from the address: no group's, no whole network's (127.0.0.0/8 is the loopback's), not bound
/// to one link.
pub(crate) fn can_be_come_from(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !(v4.octets()[0] == 0 || v4.octets()[0] >= 224 || v4.octets() == [127, 255, 255, 255])
        }
        IpAddr::V6(v6) => {
            !(v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unicast_link_local()
                || v6.to_ipv4_mapped().is_some())
        }
    }
}

fn methods(judged: &Judged) -> Vec<String> {
    let mut methods: Vec<&str> =
        vec!["ident", "peer", "cert", "radius radiusservers=127.0.0.1 radiussecrets=s"];
    let build = judged.build;
    let more = [
        (build.gss, "gss include_realm=0"),
        (build.pam, "pam"),
        (build.ldap, "ldap ldapserver=127.0.0.1 ldapprefix=x"),
        (judged.version >= PgVersion::V18, "oauth issuer=https://i scope=s"),
    ];
    methods.extend(more.iter().filter(|(there, _)| *there).map(|(_, method)| *method));
    methods.into_iter().map(str::to_owned).collect()
}

const MEMBERS: &str = "SELECT r.rolname, m.rolname FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member";

fn roles(sql: &Sql) -> Roles {
    let mut roles = Roles::new();
    for row in sql.rows("SELECT rolname FROM pg_roles") {
        roles.add(row[0].clone().unwrap_or_default());
    }
    for row in sql.rows(MEMBERS) {
        roles.grant(row[0].clone().unwrap_or_default(), row[1].clone().unwrap_or_default());
    }
    roles
}

/// The interfaces' addresses with their masks, as `ip` has them.
fn interfaces() -> Vec<AddressRange> {
    let mut ip = Command::new("ip");
    ip.args(["-o", "address"]);
    let there = Command::new("ip").arg("-V").output().is_ok();
    assert!(
        there,
        "there is no program ip here: run `tests/provision/system.sh ip`, which installs iproute2"
    );
    let shown = run(ip, b"", Duration::from_secs(10)).succeeded();
    let range = |word: &str| {
        let (address, length) = word.split_once('/')?;
        AddressRange::with_length(address.parse().ok()?, length.parse().ok()?)
    };
    let lines = shown.stdout().lines().map(|line| line.split_whitespace());
    lines.filter_map(|mut words| words.find_map(range)).collect()
}

/// What the system's files and name servers call an address, confirmed both ways as PostgreSQL does.
fn name_of(address: IpAddr) -> ClientName {
    let getent = |database: &str, key: &str| {
        let mut command = Command::new("getent");
        command.args([database, key]);
        run(command, b"", Duration::from_secs(30)).stdout().to_owned()
    };
    let back = getent("hosts", &address.to_string());
    let Some(name) = back.split_whitespace().nth(1) else { return ClientName::None };
    let forth = getent("ahosts", name);
    let confirmed = forth
        .lines()
        .any(|line| line.split_whitespace().next().is_some_and(|word| word.parse() == Ok(address)));
    if confirmed { ClientName::Confirmed(name.into()) } else { ClientName::None }
}
