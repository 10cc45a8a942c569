//! Writes `pg_hba.conf` files that load and decide: few users, databases and addresses, so that many rules meet the same
//! connections. Knows words, not what they do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::dice::Dice;
use super::knock::Guest;

/// Where guests may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origins {
    /// 127.0.0.1 to 127.0.0.9 and ::1.
    Loopback,
    /// Anywhere.
    Everywhere,
}

const USERS: &[&str] = &[
    "alice",
    "bob",
    "carol",
    "dev",
    "staff",
    "postgres",
    "nobody_such",
    "Mixed Case",
    "all",
    "x1",
    "müller",
];
const DATABASES: &[&str] = &[
    "postgres",
    "shop",
    "alice",
    "staff",
    "dev",
    "nothing",
    "replication",
    "all",
    "tenant_1",
    "template1",
    "x1",
];

const USER_WORDS: &[&str] = &[
    "all",
    "all",
    "all",
    "all",
    "all",
    "all",
    "all",
    "all",
    "alice,dev,bob",
    "+staff",
    "alice",
    "bob",
    "dev",
    "postgres",
    "+staff",
    "+dev",
    "+alice",
    "+nobody_such",
    "\"+staff\"",
    "\"all\"",
    "\"Mixed Case\"",
    "nobody_such",
    "+postgres",
    "carol,bob",
    "x1",
    "+lead,alice",
    "müller",
];
const DATABASE_WORDS: &[&str] = &[
    "all",
    "all",
    "all",
    "all",
    "all",
    "all",
    "all,replication",
    "all,replication",
    "shop,postgres,replication",
    "replication",
    "\"replication\"",
    "sameuser",
    "samerole",
    "samegroup",
    "\"all\"",
    "postgres",
    "shop",
    "alice,staff",
    "tenant_1",
    "\"sameuser\"",
    "nothing",
    "x1",
];
/// Those that pgseal understands, so that its answer is certain (16+; names before).
const REGEX_WORDS: &[&str] = &[
    "/^a",
    "/^(alice|bob)$",
    "/e$",
    "/^tenant_[0-9]+$",
    "\"/^Mixed Case$\"",
    "/",
    "/^.{4}$",
    "/o+",
    "/^x[[:digit:]]$",
    "/[^a-z]",
    "/^st.*f$",
    "/^$",
    "/a|b",
    "/^ü",
    "/(l|b){2}",
];

const LOOPBACK_WORDS: &[&str] = &[
    "all",
    "all",
    "all",
    "127.0.0.0/8",
    "127.0.0.1/32",
    "127.0.0.0/8",
    "127.0.0.4/30",
    "127.0.0.9/32",
    "127.0.0.3/31",
    "::1/128",
    "::/0",
    "0.0.0.0/0",
    "127.0.0.1 255.0.0.255",
    "127.0.0.5 0.0.0.1",
    "127.0.0.2 255.255.255.250",
    "127.0.0.8/29",
    "10.0.0.0/8",
    "::ffff:127.0.0.1/128",
    "::/1",
    "8000::/1",
    "127.1/32",
    "samehost",
    "samenet",
    "0.0.0.0/1",
    "127.0.0.7/24",
    "\"all\"",
    "127.0.0.256",
    "::1 ::",
    "128.0.0.0/1",
];
const EVERYWHERE_WORDS: &[&str] = &[
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.3/32",
    "192.168.0.0/16",
    "172.16.0.0/12",
    "203.0.113.0/24",
    "0.0.0.0/1",
    "128.0.0.0/1",
    "192.0.0.0/2",
    "64.0.0.0/2",
    "2001:db8::/32",
    "2001:db8::5/128",
    "fd00::/8",
    "::/1",
    "8000::/1",
    "4000::/2",
    "0.0.0.1 0.0.0.1",
    "0.0.0.0 0.0.0.1",
    "10.0.0.5 255.0.0.255",
    "::1 ::1",
    ":: ::1",
    "2001:db8::1 ffff:ffff::ffff",
    "0.0.0.0/0",
    "::/0",
    "all",
    "all",
    "all",
    "all",
    "all",
    "0.0.0.0 0.0.0.0",
    "127.0.0.1/32",
    "::1/128",
    "samenet",
    "samehost",
    "255.255.255.255/32",
    "1.2.3.4/31",
    "100.64.0.0/10",
];
const HOST_WORDS: &[&str] =
    &["localhost", "LocalHost", ".host", "nowhere.invalid", ".localhost", "localhost.", "."];

pub(crate) struct GateScribe<'d> {
    dice: &'d mut Dice,
    version: u32,
    origins: Origins,
    /// Methods that this server was built with, each with options that it needs.
    methods: &'d [String],
}

impl<'d> GateScribe<'d> {
    pub(crate) fn new(dice: &'d mut Dice, version: u32, origins: Origins, methods: &'d [String]) -> Self {
        Self { dice, version, origins, methods }
    }

    /// Whether this file may name hosts: their guests then come from where names are looked up in a file.
    pub(crate) fn names_hosts(&mut self) -> bool {
        self.once_in(6)
    }

    /// The lines of one file; a third of them are meant to shut plaintext out.
    pub(crate) fn rules(&mut self, hosts: bool) -> String {
        let mut lines: Vec<String> = (0..=self.dice.below(8)).map(|_| self.rule(hosts)).collect();
        if self.once_in(3) {
            let shut = *self.pick(&[
                "hostnossl all,replication all all reject",
                "hostnossl all all all reject\nhostnossl replication all all reject",
                "hostnossl replication,all all 0.0.0.0/0 reject\nhostnossl all,replication all ::/0 reject",
                "hostnossl all,replication all 0.0.0.0/1 reject\nhostnossl all,replication all 128.0.0.0/1 reject\nhostnossl all,replication all ::/0 reject",
                "host all,replication all 0.0.0.0 0.0.0.1 reject\nhost all,replication all 0.0.0.1 0.0.0.1 reject\nhostnossl all,replication all ::/0 reject",
                "hostnossl all all all reject",
                "hostnogssenc all,replication all all reject",
            ]);
            let at = self.dice.below(u32::try_from(lines.len() + 1).expect("there are few lines")) as usize;
            lines.insert(if self.once_in(2) { 0 } else { at }, shut.to_owned());
        }
        if self.once_in(3) {
            let last = *self.pick(&[
                "host all,replication all all ",
                "host all all all ",
                "host all all 0.0.0.0/0 ",
                "hostssl all all all ",
                "local all all ",
            ]);
            lines.push(format!(
                "{last}{}",
                self.pick(&["trust", "reject", "md5", "scram-sha-256", "password"])
            ));
        }
        lines.join("\n") + "\n"
    }

    fn rule(&mut self, hosts: bool) -> String {
        let connection = *self.pick(&[
            "local",
            "host",
            "host",
            "host",
            "hostssl",
            "hostssl",
            "hostnossl",
            "hostnossl",
            "hostgssenc",
            "hostnogssenc",
        ]);
        let databases = self.words(DATABASE_WORDS);
        let users = self.words(USER_WORDS);
        let (mut method, mut tail) =
            (*self.pick(&["reject", "reject", "trust", "md5", "scram-sha-256", "password"]), "");
        if self.once_in(5) {
            let methods = self.methods;
            method = self.pick(methods).as_str();
        }
        if connection == "local" {
            if ["gss", "cert"].iter().any(|name| method.starts_with(name)) {
                method = "peer";
            }
            return format!("local {databases} {users} {method}");
        }
        if connection == "hostssl" && !matches!(method, "reject" | "cert") && self.once_in(4) {
            tail = " clientcert=verify-ca";
        }
        if method.starts_with("peer") || method.starts_with("cert") && connection != "hostssl" {
            method = "trust";
        }
        let of_origins = if self.origins == Origins::Loopback { LOOPBACK_WORDS } else { EVERYWHERE_WORDS };
        let words = if hosts && self.once_in(3) { HOST_WORDS } else { of_origins };
        let address = self.pick(words);
        format!("{connection} {databases} {users} {address} {method}{tail}")
    }

    fn words(&mut self, words: &[&str]) -> String {
        let regex = self.version >= 16 && self.once_in(6);
        let first = *self.pick(if regex { REGEX_WORDS } else { words });
        if self.once_in(5) { format!("{first},{}", self.pick(words)) } else { first.to_owned() }
    }

    /// Somebody who comes: through the socket, in plaintext or with TLS, from an address that `own` names more often than
    /// not.
    pub(crate) fn guest(&mut self, hosts: bool, own: &[IpAddr]) -> Guest {
        let from = self.address(hosts, own);
        match self.dice.below(8) {
            0 => Guest { from: None, tls: false, ..self.who() },
            1..=4 => Guest { from: Some(from), tls: false, ..self.who() },
            _ => Guest { from: Some(from), tls: true, ..self.who() },
        }
    }

    /// The same, in plaintext over TCP.
    pub(crate) fn plaintext_guest(&mut self, hosts: bool, own: &[IpAddr]) -> Guest {
        let from = Some(self.address(hosts, own));
        Guest { from, tls: false, ..self.who() }
    }

    fn who(&mut self) -> Guest {
        let long = "x".repeat(if self.once_in(2) { 63 } else { 70 });
        let user = if self.once_in(40) { long } else { (*self.pick(USERS)).to_owned() };
        let database = match self.dice.below(10) {
            0 | 1 => None,
            2 => Some(user.clone()),
            _ => Some((*self.pick(DATABASES)).to_owned()),
        };
        Guest { from: None, tls: false, user: user.into_bytes(), database: database.map(String::into_bytes) }
    }

    fn address(&mut self, hosts: bool, own: &[IpAddr]) -> IpAddr {
        if hosts {
            return Ipv4Addr::LOCALHOST.into();
        }
        if self.origins == Origins::Loopback {
            return match self.dice.below(11) {
                0 | 1 => Ipv6Addr::LOCALHOST.into(),
                nth => Ipv4Addr::new(127, 0, 0, u8::try_from(nth - 1).expect("nth is small")).into(),
            };
        }
        if !own.is_empty() && !self.once_in(4) {
            return *self.pick(own);
        }
        // Unicast addresses that a host may have.
        if self.once_in(2) {
            let first = u8::try_from(1 + self.dice.below(223)).expect("it is below 224");
            let mut octet = || u8::try_from(self.dice.below(256)).expect("it is below 256");
            return Ipv4Addr::new(first, octet(), octet(), octet()).into();
        }
        let first = u16::try_from(0x0100 + self.dice.below(0xfd00)).expect("it is below fe00");
        let mut group = || u16::try_from(self.dice.below(65_536)).expect("it is below 65536");
        Ipv6Addr::new(first, group(), group(), 0, group(), 0, 0, group()).into()
    }

    fn pick<'i, T>(&mut self, items: &'i [T]) -> &'i T {
        self.dice.pick(items)
    }

    fn once_in(&mut self, count: u32) -> bool {
        self.dice.below(count) == 0
    }
}
