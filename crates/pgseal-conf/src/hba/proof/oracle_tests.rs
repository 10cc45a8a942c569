//! Every answer held against trying each connection of a small world with `decide`.

use std::net::IpAddr;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::files::NoFiles;
use crate::hba::{
    Channel, ClientName, Connection, Method, Purpose, Roles, Rule, Ruleset, Server, World, decide,
};
use crate::{ByteString, PgVersion};

const NAMES: [&str; 4] = ["a", "b", "c", "g"];
/// One user and one database that no rule mentions, the user being a role like the others.
const HIDDEN: [&str; 2] = ["hidden_user", "hidden_db"];

fn rules(text: &str) -> Vec<Rule> {
    let ruleset =
        Ruleset::read(&"pg_hba.conf".into(), text.as_bytes().to_vec(), &NoFiles, Server::of(PgVersion::V16));
    assert!(ruleset.loads(), "{:?}", ruleset.diagnostics);
    ruleset.rules
}

/// Each address that some range below tells from others, and two from far away.
fn addresses() -> Vec<IpAddr> {
    let near = (0..16).map(|last| IpAddr::from([10, 0, 0, last]));
    let next = [0, 1, 4, 5].map(|last| IpAddr::from([10, 9, 0, last]));
    let v6 = (0..6).map(|last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]));
    let far = ["192.168.7.7", "172.16.0.3", "2001:db9::7"].map(|text| text.parse().unwrap());
    near.chain(next).chain(v6).chain(far).collect()
}

fn word_list(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::collection::vec(select(words), 1..3).prop_map(|words| words.join(","))
}

const ADDRESSES: [&str; 14] = [
    "all",
    "0.0.0.0/0",
    "::/0",
    "10.0.0.0/29",
    "10.0.0.0/30",
    "10.0.0.4/30",
    "10.0.0.4/31",
    "10.0.0.5/32",
    "10.0.0.0 255.255.255.1",
    "10.0.0.1 255.255.255.1",
    "10.0.0.0 255.0.0.5",
    "2001:db8::/126",
    "2001:db8::2/127",
    "2001:db8::1 ffff:ffff::1",
];

fn known_rule() -> impl Strategy<Value = String> {
    (
        select(&["host", "host", "hostnossl", "hostssl", "hostnogssenc", "hostgssenc", "local"][..]),
        word_list(&["all", "all", "a", "b", "c", "sameuser", "replication"]),
        word_list(&["all", "all", "a", "b", "c"]),
        select(&ADDRESSES[..]),
        select(&["reject", "reject", "md5", "trust"][..]),
    )
        .prop_map(|(kind, databases, users, address, method)| {
            let address = if kind == "local" { "" } else { address };
            format!("{kind} {databases} {users} {address} {method}\n")
        })
}

fn unknown_rule() -> impl Strategy<Value = String> {
    (
        select(&["host", "hostnossl", "local"][..]),
        word_list(&["all", "a", "sameuser", "samerole", "replication", "/^a", "/b$"]),
        word_list(&["all", "a", "b", "+g", "+c", "/^a", "/^(a|b)$"]),
        select(&["all", "10.0.0.0/30", "samehost", "samenet", "h.example", "H.example", ".org"][..]),
        select(&["reject", "reject", "md5"][..]),
    )
        .prop_map(|(kind, databases, users, address, method)| {
            let address = if kind == "local" { "" } else { address };
            format!("{kind} {databases} {users} {address} {method}\n")
        })
}

/// Unknown as long as roles and interfaces are.
fn role_rule() -> impl Strategy<Value = String> {
    (
        select(&["host", "hostnossl", "local"][..]),
        word_list(&["all", "a", "sameuser", "samerole", "replication"]),
        word_list(&["all", "a", "b", "+g", "+c"]),
        select(&["all", "10.0.0.0/30", "samehost", "samenet"][..]),
        select(&["reject", "reject", "md5"][..]),
    )
        .prop_map(|(kind, databases, users, address, method)| {
            let address = if kind == "local" { "" } else { address };
            format!("{kind} {databases} {users} {address} {method}\n")
        })
}

fn file(rule: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    proptest::collection::vec(rule, 1..9).prop_map(|lines| lines.concat())
}

/// Every connection of the small world through a channel.
fn connections(channel: Channel) -> Vec<Connection> {
    let users: Vec<&str> = NAMES.into_iter().chain([HIDDEN[0], "nobody_at_all"]).collect();
    let databases: Vec<Purpose> = NAMES
        .into_iter()
        .chain(HIDDEN)
        .chain(["nobody_at_all"])
        .map(|name| Purpose::Database(name.into()))
        .chain([Purpose::Replication])
        .collect();
    let addresses: Vec<Option<IpAddr>> =
        if channel == Channel::Local { vec![None] } else { addresses().into_iter().map(Some).collect() };
    let mut all = Vec::new();
    for user in &users {
        for purpose in &databases {
            for address in &addresses {
                all.push(Connection {
                    channel,
                    address: *address,
                    name: ClientName::None,
                    user: ByteString::from(*user),
                    purpose: purpose.clone(),
                });
            }
        }
    }
    all
}

/// Ways the world may be that the file does not tell.
fn worlds() -> Vec<(World, Vec<ClientName>)> {
    let roles = |members: &[(&str, &str)]| {
        let mut roles = Roles::new();
        for name in NAMES.into_iter().chain([HIDDEN[0]]) {
            roles.add(name);
        }
        for (role, member) in members {
            roles.grant(*role, *member);
        }
        Some(roles)
    };
    let interface =
        |text: &str, length| crate::hba::AddressRange::with_length(text.parse().unwrap(), length).unwrap();
    let near = vec![interface("10.0.0.1", 30), interface("2001:db8::1", 127)];
    let far = vec![interface("172.16.0.3", 24)];
    let names =
        [ClientName::None, ClientName::Confirmed("h.example".into()), ClientName::Confirmed("x.org".into())];
    [
        (roles(&[]), near.clone(), 0),
        (roles(&[("g", "a")]), far.clone(), 1),
        (roles(&[("g", HIDDEN[0]), ("c", "b")]), near.clone(), 2),
        (roles(&[("g", "c"), ("c", "a"), ("c", HIDDEN[0])]), far, 1),
        (roles(&[("g", "a"), ("g", "b"), ("g", "c"), ("c", "g")]), near, 2),
    ]
    .into_iter()
    .map(|(roles, interfaces, first)| {
        // The names go round over the addresses, differently in each world.
        let of_address = names.iter().cycle().skip(first).take(addresses().len()).cloned().collect();
        (World { roles, interfaces: Some(interfaces) }, of_address)
    })
    .collect()
}

fn with_name(mut connection: Connection, names: &[ClientName]) -> Connection {
    let index = addresses().iter().position(|address| Some(*address) == connection.address);
    if let Some(name) = index.and_then(|index| names.get(index)) {
        connection.name = name.clone();
    }
    connection
}

fn decides(rules: &[Rule], who: &Connection, world: &World) -> Option<usize> {
    decide(rules, who, world).certain().expect("everything is known")
}

fn admitted(rules: &[Rule], who: &Connection, world: &World) -> bool {
    decides(rules, who, world).is_some_and(|rule| rules[rule].method != Method::Reject)
}

const CHANNELS: [Channel; 4] = [Channel::Local, Channel::Plain, Channel::Tls, Channel::Gss];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 100 } else { 3000 }))]

    #[test]
    fn where_all_is_known_the_answer_is_what_trying_finds(text in file(known_rule())) {
        let rules = rules(&text);
        let world = World::default();
        for channel in CHANNELS {
            let tried = connections(channel).into_iter().find(|who| admitted(&rules, who, &world));
            match admission(&rules, &Question::about(channel), &world) {
                Verdict::NoPath(_) => prop_assert!(tried.is_none(), "{channel:?} {tried:?}\n{text}"),
                Verdict::Path(witness) => {
                    let who = witness.connection().unwrap();
                    prop_assert_eq!(decides(&rules, &who, &world), Some(witness.rule), "{}", text);
                    prop_assert!(rules[witness.rule].method != Method::Reject);
                    prop_assert!(tried.is_some(), "{witness:?}\n{text}");
                }
                Verdict::CannotTell(unclear) => prop_assert!(false, "{unclear:?}\n{text}"),
            }
        }
    }

    #[test]
    fn where_all_is_known_the_dead_rules_are_those_that_never_decide(text in file(known_rule())) {
        let rules = rules(&text);
        let world = World::default();
        for channel in CHANNELS {
            let mut decided = vec![Vec::new(); rules.len()];
            for who in connections(channel) {
                if let Some(rule) = decides(&rules, &who, &world) {
                    decided[rule].push(who);
                }
            }
            for (index, state) in reach(&rules, &Question::about(channel), &world).into_iter().enumerate() {
                let tried = &decided[index];
                match state {
                    Reach::NotMet => prop_assert!(tried.is_empty()),
                    Reach::Dead { by } => {
                        prop_assert!(tried.is_empty(), "{channel:?} line {} {:?}\n{text}", index + 1, tried[0]);
                        prop_assert!(by.iter().all(|rule| *rule < index) && !by.is_empty(), "{by:?}\n{text}");
                    }
                    Reach::Alive { witness, from, complete } => {
                        prop_assert!(!tried.is_empty(), "{channel:?} line {} {witness:?}\n{text}", index + 1);
                        let who = witness.connection().unwrap();
                        prop_assert_eq!(decides(&rules, &who, &world), Some(index), "{}", &text);
                        if complete && channel != Channel::Local {
                            for address in addresses() {
                                let inside = from.iter().any(|span| {
                                    span.first.is_ipv4() == address.is_ipv4() && span.first <= address && address <= span.last
                                });
                                let seen = tried.iter().any(|who| who.address == Some(address));
                                prop_assert_eq!(inside, seen, "{} line {}\n{}", address, index + 1, &text);
                            }
                        }
                    }
                    Reach::Unclear(unclear) => prop_assert!(false, "{unclear:?}\n{text}"),
                }
            }
        }
    }

    #[test]
    fn what_is_not_known_never_makes_an_answer_wrong(text in file(prop_oneof![unknown_rule(), known_rule()])) {
        let rules = rules(&text);
        for channel in CHANNELS {
            let verdict = admission(&rules, &Question::about(channel), &World::default());
            let states = reach(&rules, &Question::about(channel), &World::default());
            if let Verdict::Path(witness) = &verdict {
                let who = witness.connection().unwrap();
                let roles = witness.user_is_made_up.then(Roles::new);
                let world = World { roles, interfaces: None };
                prop_assert_eq!(decide(&rules, &who, &world).admits(&rules), Some(true), "{}", &text);
            }
            if let Verdict::CannotTell(unclear) = &verdict {
                prop_assert!(!unclear.hinges.is_empty(), "{}", &text);
            }
            for (world, names) in worlds() {
                for who in connections(channel).into_iter().map(|who| with_name(who, &names)) {
                    let rule = decides(&rules, &who, &world);
                    if matches!(verdict, Verdict::NoPath(_)) {
                        prop_assert!(!admitted(&rules, &who, &world), "{who:?} {world:?}\n{text}");
                    }
                    if let Some(rule) = rule {
                        prop_assert!(!matches!(states[rule], Reach::Dead { .. } | Reach::NotMet), "line {} {who:?} {world:?}\n{text}", rule + 1);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_known_of_the_world_is_used_exactly(text in file(prop_oneof![role_rule(), known_rule()]), which in 0usize..5) {
        let rules = rules(&text);
        let (world, _) = worlds().swap_remove(which);
        for channel in CHANNELS {
            let tried = connections(channel).into_iter().find(|who| admitted(&rules, who, &world));
            match admission(&rules, &Question::about(channel), &world) {
                Verdict::NoPath(_) => prop_assert!(tried.is_none(), "{tried:?} {world:?}\n{text}"),
                Verdict::Path(witness) => {
                    // It may lie in an interface's network, where nothing else is tried.
                    prop_assert!(admitted(&rules, &witness.connection().unwrap(), &world), "{witness:?}\n{text}");
                }
                Verdict::CannotTell(unclear) => prop_assert!(false, "{unclear:?}\n{text}"),
            }
        }
    }

    #[test]
    fn a_question_about_one_user_is_about_that_user(text in file(known_rule()), user in select(&["a", "b", "zz"][..])) {
        let rules = rules(&text);
        let world = World::default();
        for purposes in [Purposes::Any, Purposes::Databases, Purposes::Replication] {
            let asked = |who: &Connection| {
                let wanted = match purposes {
                    Purposes::Any => true,
                    Purposes::Databases => who.purpose != Purpose::Replication,
                    Purposes::Replication => who.purpose == Purpose::Replication,
                };
                wanted && who.user == *(if user == "zz" { "nobody_at_all" } else { user })
            };
            let tried = connections(Channel::Plain).into_iter().filter(asked).find(|who| admitted(&rules, who, &world));
            let question = Question::about(Channel::Plain).wanting(purposes).by(user);
            match admission(&rules, &question, &world) {
                Verdict::NoPath(_) => prop_assert!(tried.is_none(), "{tried:?}\n{text}"),
                Verdict::Path(witness) => {
                    prop_assert_eq!(&witness.user, &WitnessName::Exactly(user.into()));
                    prop_assert!(admitted(&rules, &witness.connection().unwrap(), &world), "{witness:?}\n{text}");
                    prop_assert!(tried.is_some(), "{witness:?}\n{text}");
                }
                Verdict::CannotTell(unclear) => prop_assert!(false, "{unclear:?}\n{text}"),
            }
        }
    }
}
