use proptest::prelude::*;

use super::*;
use crate::PgVersion;
use crate::files::NoFiles;
use crate::hba::{Ruleset, Server};

fn rules(text: &str) -> Vec<Rule> {
    let ruleset =
        Ruleset::read(&"pg_hba.conf".into(), text.as_bytes().to_vec(), &NoFiles, Server::of(PgVersion::V18));
    assert!(ruleset.loads(), "{:?}", ruleset.diagnostics);
    ruleset.rules
}

fn told(old: &str, new: &str) -> Vec<String> {
    let comparison = compare(&rules(old), &rules(new), &World::default());
    assert!(comparison.complete);
    let name = |whose: &Whose| match whose {
        Whose::Name(name) => name.to_string(),
        Whose::AnyOther => "other".to_owned(),
        Whose::UsersOwn => "own".to_owned(),
        Whose::Any => "any".to_owned(),
    };
    let tell = |region: &Region| {
        let wanted = match &region.wanted {
            Wanted::Database(whose) => name(whose),
            Wanted::Replication => "replication".to_owned(),
        };
        let from: Vec<String> =
            region.from.iter().map(|span| format!("{}-{}", span.first, span.last)).collect();
        format!(
            "{} {:?} {wanted} {} {}",
            region.change.name(),
            region.channel,
            name(&region.user),
            from.join(",")
        )
    };
    comparison.regions.iter().map(tell).collect()
}

#[test]
fn a_file_differs_in_nothing_from_itself() {
    let text = "local all all peer\nhost all +dba samenet md5\nhost db1,db2 /^a 10.0.0.0/8 scram-sha-256\n";
    assert_eq!(told(text, text), Vec::<String>::new());
}

#[test]
fn moving_a_line_that_nothing_stands_between_changes_nobody() {
    let old = "host db1 u1 10.0.0.0/8 md5\nhost db2 u1 10.0.0.0/8 md5\n";
    let new = "host db2 u1 10.0.0.0/8 md5\nhost db1 u1 10.0.0.0/8 md5\n";
    assert_eq!(told(old, new), Vec::<String>::new());
}

#[test]
fn the_two_reject_lines_take_plaintext_and_gss_from_whoever_had_it() {
    let old = "host all all 10.0.0.0/8 scram-sha-256\n";
    let new = format!("hostnossl all all all reject\nhostnossl replication all all reject\n{old}");
    assert_eq!(
        told(old, &new),
        ["loses Plain any any 10.0.0.0-10.255.255.255", "loses Gss any any 10.0.0.0-10.255.255.255"]
    );
}

#[test]
fn a_wider_range_is_a_gain_for_what_it_adds_alone() {
    assert_eq!(
        told("hostssl db1 u1 10.0.1.0/24 md5\n", "hostssl db1 u1 10.0.0.0/23 md5\n"),
        ["gains Tls db1 u1 10.0.0.0-10.0.0.255"]
    );
}

#[test]
fn another_method_is_neither_gain_nor_loss() {
    assert_eq!(
        told("local all all trust\n", "local all all scram-sha-256\n"),
        ["asked-otherwise Local any any "]
    );
}

#[test]
fn a_mask_with_holes_is_cut_at_each_of_its_stretches() {
    assert_eq!(
        told("local all all peer\n", "local all all peer\nhostssl all all 10.0.0.0 255.255.253.0 md5\n"),
        ["gains Tls any any 10.0.0.0-10.0.0.255,10.0.2.0-10.0.2.255"]
    );
}

#[test]
fn what_hinges_on_a_host_name_is_unclear_and_not_a_guess() {
    let told = told("local all all peer\n", "local all all peer\nhostssl all all db.example.test md5\n");
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("unclear Tls any any "), "{told:?}");
}

#[test]
fn a_shadowed_line_changes_nobody() {
    let old = "host all all 0.0.0.0/0 reject\n";
    assert_eq!(told(old, &format!("{old}host all all 10.0.0.0/8 trust\n")), Vec::<String>::new());
}

const NAMES: [&str; 3] = ["a", "b", "stranger"];

fn a_rule() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec!["host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc"]);
    let database =
        prop::sample::select(vec!["all", "a", "b", "sameuser", "replication", "a,b", "a,replication"]);
    let user = prop::sample::select(vec!["all", "a", "b", "a,b"]);
    let address = prop::sample::select(vec![
        "all",
        "0.0.0.0/0",
        "10.0.0.0/30",
        "10.0.0.1/32",
        "10.0.0.0 255.255.255.253",
        "::/0",
        "::1/128",
    ]);
    let method = prop::sample::select(vec!["trust", "reject", "md5", "scram-sha-256"]);
    (kind, database, user, address, method).prop_map(|(kind, database, user, address, method)| {
        format!("{kind} {database} {user} {address} {method}\n")
    })
}

proptest! {
    #[test]
    fn a_connection_lies_in_a_region_exactly_when_the_files_differ_for_it(
        old in prop::collection::vec(a_rule(), 1..6),
        new in prop::collection::vec(a_rule(), 1..6),
    ) {
        // Both files mention both names, so that "any other" means the same in every case.
        let both = "host a,b a,b 192.0.2.1/32 reject\n";
        let (old, new) = (rules(&(old.concat() + both)), rules(&(new.concat() + both)));
        let comparison = compare(&old, &new, &World::default());
        let own_is_apart = Names::of(&old, &new).own;
        let addresses = ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.4", "9.9.9.9", "255.255.255.255", "::1", "::2", "::"];
        for channel in Channel::TCP {
            for (address, database, user) in everybody(&addresses) {
                for purpose in [Purpose::Database(database.into()), Purpose::Replication] {
                    let who = Connection {
                        channel,
                        address: Some(address),
                        name: ClientName::Unknown,
                        user: user.into(),
                        purpose: purpose.clone(),
                    };
                    let fates = (fate(&old, &who, &World::default()), fate(&new, &who, &World::default()));
                    let within: Vec<&Region> =
                        comparison.regions.iter().filter(|region| holds(region, &who, own_is_apart)).collect();
                    prop_assert_eq!(within.len(), usize::from(fates.0 != fates.1), "{:?} {:?}", who, comparison);
                    prop_assert!(within.iter().all(|region| (&region.old, &region.new) == (&fates.0, &fates.1)));
                }
            }
        }
    }
}

fn everybody(addresses: &[&str]) -> Vec<(IpAddr, &'static str, &'static str)> {
    let mut all = Vec::new();
    for address in addresses {
        for database in NAMES {
            all.extend(NAMES.map(|user| (address.parse().unwrap(), database, user)));
        }
    }
    all
}

fn holds(region: &Region, who: &Connection, own_is_apart: bool) -> bool {
    let mentioned = |name: &ByteString| *name == "a" || *name == "b";
    let fits = |whose: &Whose, name: &ByteString, own: bool| match whose {
        Whose::Any => true,
        Whose::Name(one) => one == name,
        Whose::UsersOwn => own,
        Whose::AnyOther => !(mentioned(name) || own && own_is_apart),
    };
    let address = who.address.unwrap();
    let inside = region.from.iter().any(|span| {
        span.first.is_ipv4() == address.is_ipv4() && span.first <= address && address <= span.last
    });
    let wanted = match (&region.wanted, &who.purpose) {
        (Wanted::Replication, Purpose::Replication) => true,
        (Wanted::Database(whose), Purpose::Database(name)) => {
            fits(whose, name, *name == who.user && !mentioned(name))
        }
        _ => false,
    };
    inside && wanted && region.channel == who.channel && fits(&region.user, &who.user, false)
}
