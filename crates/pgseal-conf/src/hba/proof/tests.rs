use super::*;
use crate::files::NoFiles;
use crate::hba::{AddressRange, Channel, Hinge, Method, Roles, Rule, Ruleset, Server, World};
use crate::{ByteString, PgVersion};

fn rules(text: &str) -> Vec<Rule> {
    let ruleset =
        Ruleset::read(&"pg_hba.conf".into(), text.as_bytes().to_vec(), &NoFiles, Server::of(PgVersion::V16));
    assert!(ruleset.loads(), "{:?}", ruleset.diagnostics);
    ruleset.rules
}

fn verdict(text: &str) -> Verdict {
    plaintext_path(&rules(text), &World::default())
}

fn path(text: &str) -> Witness {
    match verdict(text) {
        Verdict::Path(witness) => *witness,
        other => panic!("{other:?}"),
    }
}

fn hinges(text: &str) -> Vec<Hinge> {
    match verdict(text) {
        Verdict::CannotTell(unclear) => unclear.hinges.into_iter().collect(),
        other => panic!("{other:?}"),
    }
}

fn exactly(text: &str) -> WitnessAddress {
    WitnessAddress::Exactly(text.parse().unwrap())
}

/// What initdb writes, comments left out.
const INITDB: &str = "local all all trust\nhost all all 127.0.0.1/32 trust\nhost all all ::1/128 trust\n\
    local replication all trust\nhost replication all 127.0.0.1/32 trust\nhost replication all ::1/128 trust\n";

#[test]
fn two_lines_on_top_leave_no_plaintext_path() {
    let enforced = format!("hostnossl all all all reject\nhostnossl replication all all reject\n{INITDB}");
    assert_eq!(verdict(&enforced), Verdict::NoPath(NoPath::Shadowed { by: vec![0, 1], jointly: false }));
}

#[test]
fn one_line_on_top_forgets_replication() {
    let witness = path(&format!("hostnossl all all all reject\n{INITDB}"));
    assert_eq!((witness.rule, witness.database, witness.method), (5, None, Method::Trust));
    assert_eq!(witness.address, Some(exactly("127.0.0.1")));
    let only = Question::about(Channel::Plain).wanting(Purposes::Databases);
    let text = format!("hostnossl all all all reject\n{INITDB}");
    assert!(matches!(admission(&rules(&text), &only, &World::default()), Verdict::NoPath(_)));
}

/// zalando/postgres-operator#2975.
#[test]
fn a_line_for_the_loopback_above_the_reject_is_a_path() {
    let witness = path(
        "local all all trust\nhostssl all +zalandos 127.0.0.1/32 pam\nhost all all 127.0.0.1/32 md5\n\
         hostssl all +zalandos ::1/128 pam\nhost all all ::1/128 md5\nlocal replication standby trust\n\
         hostssl replication standby all md5\nhostnossl all all all reject\nhostssl all +zalandos all pam\nhostssl all all all md5\n",
    );
    assert_eq!((witness.rule, witness.address), (2, Some(exactly("127.0.0.1"))));
    let without_v4 =
        "hostnossl all all 127.0.0.1/32 reject\nhost all all ::1/128 md5\nhostnossl all all all reject\n";
    assert_eq!(path(without_v4).address, Some(exactly("::1")));
}

#[test]
fn a_file_that_lets_tls_in_alone_has_no_path_and_needs_no_reject() {
    assert_eq!(
        verdict("local all all peer\nhostssl all all all scram-sha-256\n"),
        Verdict::NoPath(NoPath::NoSuchRule)
    );
}

#[test]
fn ranges_that_cover_together_cover() {
    let halves = "hostnossl all all 0.0.0.0/1 reject\nhostnossl all all 128.0.0.0/1 reject\n\
        hostnossl all all ::/0 reject\nhost all all all md5\n";
    assert_eq!(verdict(halves), Verdict::NoPath(NoPath::Shadowed { by: vec![0, 1, 2], jointly: true }));
    let witness = path(&halves.replace("128.0.0.0/1", "128.0.0.0/2"));
    assert_eq!(witness.address, Some(exactly("203.0.113.1")));
    let odd_and_even = "hostnossl all all 0.0.0.0 0.0.0.1 reject\nhostnossl all all 0.0.0.1 0.0.0.1 reject\nhost all all 0.0.0.0/0 md5\n";
    assert!(matches!(verdict(odd_and_even), Verdict::NoPath(_)));
}

#[test]
fn addresses_nobody_comes_from_are_no_path() {
    for range in
        ["224.0.0.0/4", "0.0.0.0/32", "255.255.255.255/32", "ff00::/8", "::/128", "::ffff:10.0.0.0/104"]
    {
        assert!(matches!(verdict(&format!("host all all {range} trust\n")), Verdict::NoPath(_)), "{range}");
    }
}

#[test]
fn sameuser_is_the_users_own_database_alone() {
    let witness = path("hostnossl sameuser all all reject\nhost all all all md5\n");
    assert_ne!(witness.database, Some(witness.user));
    assert!(matches!(
        verdict("hostnossl sameuser all all reject\nhost sameuser all all md5\n"),
        Verdict::NoPath(_)
    ));
    assert!(matches!(verdict("hostnossl a a all reject\nhost sameuser a all md5\n"), Verdict::NoPath(_)));
    assert!(matches!(verdict("hostnossl a b all reject\nhost sameuser a,b all md5\n"), Verdict::Path(_)));
}

#[test]
fn names_longer_than_any_name_let_nobody_in() {
    let long = "x".repeat(64);
    assert!(matches!(verdict(&format!("host all {long} all md5\n")), Verdict::NoPath(_)));
    assert!(matches!(verdict(&format!("host all {} all md5\n", &long[1..])), Verdict::Path(_)));
}

#[test]
fn memberships_are_hinges_unless_given() {
    let text = "host all +app all md5\n";
    assert_eq!(hinges(text), [Hinge::Membership("app".into())]);
    let mut roles = Roles::new();
    roles.grant("app", "ann");
    let world = World { roles: Some(roles), interfaces: None };
    let Verdict::Path(witness) = plaintext_path(&rules(text), &world) else { panic!() };
    assert!(["ann", "app"].map(|name| WitnessName::Exactly(name.into())).contains(&witness.user));
    let world = World { roles: Some(Roles::new()), interfaces: None };
    assert!(matches!(plaintext_path(&rules(text), &world), Verdict::NoPath(_)));
}

#[test]
fn the_same_unknown_falls_the_same_way_twice() {
    assert!(matches!(verdict("hostnossl all +app all reject\nhost all +app all md5\n"), Verdict::NoPath(_)));
    assert!(matches!(
        verdict("hostnossl all all h.example reject\nhost all all H.EXAMPLE md5\n"),
        Verdict::NoPath(_)
    ));
    assert!(matches!(
        verdict("hostnossl all all samehost reject\nhost all all samehost md5\n"),
        Verdict::NoPath(_)
    ));
    // A user whom nobody made is a member of nothing.
    let witness = path("hostnossl all +app all reject\nhost all all all md5\n");
    assert_eq!(witness.user, WitnessName::Exactly("pgseal_nobody".into()));
}

#[test]
fn host_names_are_always_hinges() {
    assert_eq!(hinges("host all all db.example md5\n"), [Hinge::HostName("db.example".into())]);
    assert_eq!(
        hinges("hostnossl all all .example reject\nhost all all 10.0.0.0/8 md5\n"),
        [Hinge::HostName(".example".into())]
    );
    assert!(matches!(
        verdict("hostnossl all all all reject\nhost all all db.example md5\n"),
        Verdict::NoPath(_)
    ));
}

#[test]
fn interfaces_are_hinges_unless_given() {
    let text = "host all all samenet md5\n";
    assert_eq!(hinges(text), [Hinge::Interfaces]);
    let interface = AddressRange::with_length("10.1.2.3".parse().unwrap(), 24).unwrap();
    let world = World { roles: None, interfaces: Some(vec![interface]) };
    let Verdict::Path(witness) = plaintext_path(&rules(text), &world) else { panic!() };
    assert_eq!(witness.address, Some(exactly("10.1.2.1")));
    let covered = format!("hostnossl all all 10.1.2.0/24 reject\n{text}");
    assert!(matches!(plaintext_path(&rules(&covered), &world), Verdict::NoPath(_)));
}

#[test]
fn expressions_are_answered_where_they_are_understood() {
    let witness = path("hostnossl all admin all reject\nhost all \"/^(admin|app)$\" all md5\n");
    assert_eq!(witness.user, WitnessName::Exactly("app".into()));
    assert!(matches!(verdict("hostnossl all app all reject\nhost all /^app$ all md5\n"), Verdict::NoPath(_)));
    assert!(matches!(
        verdict("hostnossl all /^app all reject\nhost all /^app all md5\n"),
        Verdict::NoPath(_)
    ));
    assert_eq!(hinges("host all \"/(?i)app\" all md5\n"), [Hinge::Regex("(?i)app".into())]);
}

#[test]
fn the_hinges_are_those_of_the_witness_that_needs_least() {
    let text = "hostnossl all +a all reject\nhost all +b h.example md5\nhost all +c all md5\n";
    assert_eq!(hinges(text), [Hinge::Membership("a".into()), Hinge::Membership("c".into())]);
}

#[test]
fn a_dead_rule_names_what_stands_before_it() {
    let text = "host all all 10.0.0.0/8 md5\nhost all app 10.1.0.0/16 reject\nhostssl all all all md5\nhostssl db all 10.0.0.0/8 md5\n";
    let reach = reach(&rules(text), &Question::about(Channel::Tls), &World::default());
    assert_eq!(reach[1], Reach::Dead { by: vec![0] });
    assert_eq!(reach[3], Reach::Dead { by: vec![0] });
    let Reach::Alive { from, complete, .. } = &reach[2] else { panic!() };
    let listed = |text: &str| {
        let address: std::net::IpAddr = text.parse().unwrap();
        from.iter().any(|span| {
            span.first.is_ipv4() == address.is_ipv4() && span.first <= address && address <= span.last
        })
    };
    assert!(*complete && listed("11.0.0.1") && listed("::1") && !listed("10.3.0.0"));
    let plain = super::reach(&rules(text), &Question::about(Channel::Plain), &World::default());
    assert_eq!(plain[2], Reach::NotMet);
}

#[test]
fn a_client_certificate_is_demanded_where_no_rule_goes_without() {
    let demanded = |text: &str| without_client_certificate(&rules(text), &World::default()).name();
    assert_eq!(
        demanded("hostssl all all all cert\nhostssl replication all all md5 clientcert=verify-ca\n"),
        "no-path"
    );
    assert_eq!(demanded("hostssl all all all cert\nhost all all all md5\n"), "no-path");
    assert_eq!(demanded("hostssl all all 10.0.0.0/8 cert\nhost all all all md5\n"), "path");
}

#[test]
fn the_way_in_through_the_socket_is_asked_for_one_user() {
    let local = |text: &str, user: &str| local_path(&rules(text), user, &World::default()).name();
    let text = "local all app peer\nlocal postgres postgres reject\nlocal replication postgres peer\nhost all all all md5\n";
    assert_eq!(local(text, "app"), "path");
    assert_eq!(local(text, "postgres"), "no-path");
    assert_eq!(local("local all +admins peer\n", "postgres"), "cannot-tell");
    assert_eq!(local("local sameuser all peer\n", "postgres"), "path");
}

#[test]
fn what_nobody_would_look_through_is_said_not_to_be_known() {
    // Each line fixes its own choice of twenty bits: whether they cover together is a hard question.
    let mut text = String::new();
    let mut state = 1u32;
    for _ in 0..4000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let mask = state | 0x8000_0001;
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let ip = |bits: u32| std::net::Ipv4Addr::from_bits(bits);
        text += &format!("hostnossl all all {} {} reject\n", ip(state), ip(mask & !(state >> 7)));
    }
    text += "host all all 0.0.0.0/0 md5\n";
    // Whatever it is, it comes within the budget and is not wrong.
    if let Verdict::Path(witness) = verdict(&text) {
        let who = witness.connection().unwrap();
        assert_eq!(
            crate::hba::decide(&rules(&text), &who, &World::default()).admits(&rules(&text)),
            Some(true)
        );
    }
}

#[test]
fn long_lists_of_names_cost_no_more_than_short_ones() {
    let names: Vec<String> = (0..2000).map(|number| format!("n{number}")).collect();
    let names = names.join(",");
    let text = format!("hostnossl {names} {names} all reject\nhost {names} {names} all md5\n");
    assert!(matches!(verdict(&text), Verdict::NoPath(_)));
    let text =
        format!("hostnossl {names} {names} 10.0.0.0/8 reject\nhost {names} {names},one_more all md5\n");
    assert!(matches!(verdict(&text), Verdict::Path(_)));
}

/// What people write, in their own words, and what it comes to.
#[test]
fn files_as_people_write_them() {
    let cases: [(&str, &str); 33] = [
        ("# only comments and one line\n\nlocal all all peer\n", "no-path"),
        (
            "local all all peer\nhost all all 127.0.0.1/32 scram-sha-256\nhost all all ::1/128 scram-sha-256\n",
            "path",
        ),
        ("hostssl all all 0.0.0.0/0 md5\nhostssl all all ::/0 md5\n", "no-path"),
        ("host all all all trust\n", "path"),
        ("host all all all md5\nhostnossl all all all reject\n", "path"),
        ("hostnossl all all all reject\nhost all all all md5\n", "no-path"),
        ("hostnossl all all all reject\nhost all all all md5\nhost replication all all md5\n", "path"),
        (
            "hostnossl all,replication all all reject\nhost all all all md5\nhost replication all all md5\n",
            "no-path",
        ),
        ("hostnossl \"all\" all all reject\nhost all all all md5\n", "path"),
        ("hostnossl all \"all\" all reject\nhost all all all md5\n", "path"),
        ("hostnossl all all 0.0.0.0/0 reject\nhost all all all md5\n", "path"),
        (
            "hostnossl all all 0.0.0.0/0 reject\nhostnossl all all ::/0 reject\nhost all all all md5\n",
            "no-path",
        ),
        ("hostnossl all all 0.0.0.0 0.0.0.0 reject\nhost all all 0.0.0.0/0 md5\n", "no-path"),
        ("host all all 10.0.0.0 255.0.0.0 md5\n", "path"),
        ("hostssl all all all cert map=m\nhostnossl all all all reject\n", "no-path"),
        ("hostgssenc all all all gss include_realm=0\n", "no-path"),
        ("hostnogssenc all all all md5\n", "path"),
        ("host all postgres 127.0.0.1/32 trust\nhostssl all all all scram-sha-256\n", "path"),
        (
            "host monitoring exporter 10.0.0.7/32 md5\nhostnossl all all all reject\nhostssl all all all md5\n",
            "path",
        ),
        ("host all all samehost trust\n", "cannot-tell"),
        ("hostnossl all all all reject\nhost all all samehost trust\n", "no-path"),
        ("host all +dba all ldap ldapserver=l ldapbasedn=dc=x\n", "cannot-tell"),
        ("host all all .corp.example md5\n", "cannot-tell"),
        ("host all all localhost md5\n", "cannot-tell"),
        ("host replication replicator 10.0.0.0/24 scram-sha-256\n", "path"),
        ("hostssl replication replicator 10.0.0.0/24 scram-sha-256\n", "no-path"),
        (
            "hostssl postgres,replication streaming_replica all cert map=cnpg\nhostssl all all all scram-sha-256\n",
            "no-path",
        ),
        ("host all all 0.0.0.0/0 reject\nhost all all ::/0 reject\nlocal all all trust\n", "no-path"),
        ("hostnossl db1 app 10.0.0.0/8 reject\nhost db1 app 10.2.0.0/16 md5\n", "no-path"),
        ("hostnossl db1 app 10.0.0.0/8 reject\nhost db1,db2 app 10.2.0.0/16 md5\n", "path"),
        ("host samerole all all md5\n", "cannot-tell"),
        (
            "hostnossl all all all reject # TLS only\nhostnossl replication all all reject\n\nlocal all postgres peer\nhost all all all ident\n",
            "no-path",
        ),
        ("host all all 10.1.2.3/8 radius radiusservers=10.0.0.1 radiussecrets=s\n", "path"),
    ];
    for (text, expected) in cases {
        assert_eq!(verdict(text).name(), expected, "{text}");
    }
}

#[test]
fn a_witness_takes_addresses_that_people_know() {
    assert_eq!(path("host all all all md5\n").address, Some(exactly("203.0.113.1")));
    assert_eq!(path("host all all 10.0.0.0/8 md5\n").address, Some(exactly("10.0.0.1")));
    assert_eq!(path("host all all 10.77.0.0/16 md5\n").address, Some(exactly("10.77.0.1")));
    assert_eq!(path("host all all 2001:db8:5::/48 md5\n").address, Some(exactly("2001:db8:5::1")));
    let user = |text: &str| path(text).user;
    assert_eq!(user("host all app,web all md5\n"), WitnessName::Exactly(ByteString::from("app")));
}
