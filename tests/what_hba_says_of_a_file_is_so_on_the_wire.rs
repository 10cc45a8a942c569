//! What `pgseal hba` says of a file is what a server with that file does: a way in that `prove` names is one, who gains or
//! loses by `diff` gains or loses, and after `enforce` nobody gets in without TLS but who was excepted.

use std::net::IpAddr;
use std::path::Path;

use pgseal_conf::hba::Ruleset;
use serde_json::Value;

use crate::harness::{
    Gate, Guest, MAIN, Pgseal, Ran, Said, Sandbox, Tree, can_be_come_from, in_a_network_of_its_own, record,
    shapes, versions,
};

/// As in zalando/postgres-operator#2975, with scram-sha-256 for pam, which not every server was built with: the line for
/// ::1 stands above the reject.
const OPERATOR: &str = "local   all             all                                   trust
hostssl all             +zalandos    127.0.0.1/32       scram-sha-256
host    all             all                ::1/128            md5
local   replication     standby                    trust
hostssl replication     standby all                md5
hostnossl all,replication           all                all                reject
hostssl all             +zalandos    all                scram-sha-256
hostssl all             all                all                md5
";

fn hba(sandbox: &Sandbox, args: &[&str]) -> Ran {
    Pgseal::new(sandbox).arg("hba").args(args.to_vec()).run()
}

/// The file as the gate's server has it loaded, judged by pgseal for that version.
#[track_caller]
fn prove(sandbox: &Sandbox, gate: &Gate, loaded: &Ruleset) -> Value {
    let path = loaded.path(0).expect("there is a main file").to_string();
    hba(sandbox, &["prove", &path, "--pg-version", &gate.version().to_string(), "--format", "json"]).json()
}

#[track_caller]
fn witness(proved: &Value) -> Option<Guest> {
    let witness = &proved["witness"];
    // JSON cannot hold what is not UTF-8.
    if witness.is_null() || witness["user"].as_str()?.contains(char::REPLACEMENT_CHARACTER) {
        return None;
    }
    let text = |field: &str| witness[field].as_str().map(str::to_owned);
    assert_eq!(witness["replication"] == true, text("database").is_none(), "{proved}");
    Some(Guest {
        // In words, where it is not certain.
        from: Some(text("address")?.parse().ok()?),
        tls: false,
        user: text("user").unwrap().into_bytes(),
        database: text("database").map(String::into_bytes),
    })
}

/// Whether a server went on to authentication.
#[track_caller]
fn lets_in(gate: &Gate, guest: &Guest) -> bool {
    let said = gate.knock(guest).unwrap_or_else(|e| panic!("{guest:?} was not answered: {e}"));
    match said {
        Said::Ok | Said::Asks(_) => true,
        said if said.refused_by_hba() => false,
        // Asked, and failed: ident finds nobody to ask, a certificate was not shown.
        Said::Refuses { sqlstate, .. } => {
            assert_eq!(sqlstate, "28000", "{guest:?}");
            true
        }
    }
}

fn plaintext(from: &str, user: &str, database: Option<&str>) -> Guest {
    let database = database.map(|name| name.as_bytes().to_vec());
    Guest { from: Some(from.parse().unwrap()), tls: false, user: user.as_bytes().to_vec(), database }
}

#[test]
fn a_way_in_that_prove_names_is_one() {
    let initdb = shapes().into_iter().find(|(name, _)| name == "initdb-trust").unwrap().1;
    let reject_on_top = [b"hostnossl all all all reject\n", initdb.main()].concat();
    for version in versions() {
        let sandbox = Sandbox::new();
        let mut gate = Gate::of(*version);
        for (content, address, replication, line) in
            [(OPERATOR.as_bytes(), "::1", false, 4), (&reject_on_top, "127.0.0.1", true, 0)]
        {
            let (loaded, _) = gate.load(&Tree::of(MAIN, content)).unwrap();
            let proved = prove(&sandbox, &gate, &loaded);
            assert_eq!(proved["verdict"], "path", "{proved}");
            let found = &proved["witness"];
            assert_eq!(
                (&found["address"], &found["replication"]),
                (&address.into(), &replication.into()),
                "{proved}"
            );
            assert!(line == 0 || found["line"] == line, "{proved}");
            assert!(lets_in(&gate, &witness(&proved).unwrap()), "{proved}");
            record("a way in that hba prove names is one", 1);
        }
    }
}

#[test]
fn what_prove_says_of_files_as_people_write_them_is_so() {
    in_a_network_of_its_own(|| {
        for version in versions() {
            let sandbox = Sandbox::new();
            let mut gate = Gate::of(*version);
            let mut ways = 0;
            for (name, tree) in shapes() {
                let Some((loaded, _)) = gate.load(&tree) else { continue };
                let proved = prove(&sandbox, &gate, &loaded);
                let guest = witness(&proved).filter(|_| proved["verdict"] == "path");
                if let Some(guest) = &guest {
                    ways += 1;
                    assert!(lets_in(&gate, guest), "{name}: {proved}");
                }
                // With the lines on top nobody gets in, whoever was let in before.
                let enforced = enforced(&sandbox, &loaded, &[]);
                let (loaded, _) = gate.load(&tree.clone().with_main(enforced)).unwrap();
                let proved = prove(&sandbox, &gate, &loaded);
                assert_eq!(proved["verdict"], "no-path", "{name}: {proved}");
                for guest in guest.into_iter().chain([
                    plaintext("127.0.0.1", "postgres", Some("postgres")),
                    plaintext("10.0.0.31", "app", None),
                    plaintext("::1", "postgres", None),
                    plaintext("2001:db8::7", "app", Some("shop")),
                ]) {
                    assert!(!lets_in(&gate, &guest), "{name}: {guest:?}");
                    record("nobody gets in without TLS past the lines of hba enforce", 1);
                }
            }
            assert!(ways > 5, "{ways} files with a way in are too few");
        }
    });
}

/// What `enforce` makes of a file, as it stands on disk.
#[track_caller]
fn enforced(sandbox: &Sandbox, loaded: &Ruleset, more: &[&str]) -> Vec<u8> {
    let path = loaded.path(0).expect("there is a main file").to_string();
    let out = sandbox.join("enforced");
    Pgseal::new(sandbox)
        .args(["hba", "enforce", &path])
        .args(more)
        .through(format!("\"$@\" >{}", out.display()))
        .run()
        .succeeded();
    std::fs::read(out).unwrap()
}

#[test]
fn who_is_excepted_gets_in_and_nobody_else() {
    const RULES: &str = "local all all trust\nhost all postgres 10.0.0.0/8 reject\nhost all all 10.0.0.0/8 scram-sha-256\nhost replication all 10.0.0.0/8 scram-sha-256\nhost all all ::/0 scram-sha-256\n";
    in_a_network_of_its_own(|| {
        for version in versions() {
            let sandbox = Sandbox::new();
            let mut gate = Gate::of(*version);
            let (loaded, _) = gate.load(&Tree::of(MAIN, RULES)).unwrap();
            let until = ["--until", "2099-12-31"];
            let excepted = ["--except", "alice@10.0.0.31", "--except", "Mixed Case@2001:db8::/64"];
            let text = enforced(&sandbox, &loaded, &[&excepted[..], &until].concat());
            let (loaded, _) = gate.load(&Tree::of(MAIN, text.clone())).unwrap();
            for (guest, gets_in) in [
                (plaintext("10.0.0.31", "alice", Some("shop")), true),
                (plaintext("10.0.0.31", "alice", None), true),
                (plaintext("10.0.0.32", "alice", Some("shop")), false),
                (plaintext("10.0.0.31", "bob", Some("shop")), false),
                (plaintext("10.0.0.31", "postgres", Some("shop")), false),
                (plaintext("2001:db8::1", "Mixed Case", Some("shop")), true),
                (plaintext("2001:db8::1", "Mixed Case", None), false),
                (plaintext("2001:db9::1", "Mixed Case", Some("shop")), false),
                (plaintext("2001:db8::1", "alice", Some("shop")), false),
                (Guest { tls: true, ..plaintext("10.0.0.32", "bob", Some("shop")) }, true),
            ] {
                assert_eq!(lets_in(&gate, &guest), gets_in, "{guest:?}");
                record("who is excepted gets in without TLS and nobody else", 1);
            }
            // The rest of the file is open without TLS by the exceptions alone, and says so.
            assert_eq!(prove(&sandbox, &gate, &loaded)["verdict"], "path");
            let path = sandbox.join("expired");
            let past = String::from_utf8(text).unwrap().replace("2099-12-31", "2020-02-29");
            std::fs::write(&path, past).unwrap();
            let checked =
                hba(&sandbox, &["check", path.to_str().unwrap(), "--format", "json"]).succeeded().json();
            let expired: Vec<&Value> = checked["weaknesses"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|weakness| weakness["name"] == "exception-expired")
                .collect();
            assert_eq!(expired.len(), 2, "{checked}");
            assert_eq!(expired[0]["example"], "alice@10.0.0.31/32 until 2020-02-29");

            // Those who come with GSS encryption keep their lines; nobody in plaintext gains by that.
            let (loaded, _) = gate.load(&Tree::of(MAIN, RULES)).unwrap();
            let text = enforced(&sandbox, &loaded, &["--gss"]);
            assert!(String::from_utf8_lossy(&text).contains("hostgssenc all all 10.0.0.0/8 scram-sha-256"));
            let (loaded, _) = gate.load(&Tree::of(MAIN, text)).unwrap();
            assert_eq!(prove(&sandbox, &gate, &loaded)["verdict"], "no-path");
            assert!(!lets_in(&gate, &plaintext("10.0.0.31", "alice", Some("shop"))));
        }
    });
}

#[test]
fn who_gains_and_who_loses_by_diff_does_so() {
    in_a_network_of_its_own(|| {
        for version in versions() {
            let sandbox = Sandbox::new();
            let mut gate = Gate::of(*version);
            let loading: Vec<(String, Tree)> =
                shapes().into_iter().filter(|(_, tree)| gate.load(tree).is_some()).collect();
            let mut tried = 0;
            for pair in loading.windows(2) {
                let [(old_name, old), (new_name, new)] = pair else { continue };
                let lay = |tree: &Tree, name: &str| tree.lay_out(&sandbox.join(name));
                let regions = regions(&sandbox, &lay(old, "old"), &lay(new, "new"), *version);
                gate.load(old).unwrap();
                let before: Vec<bool> = regions.iter().map(|(_, guest)| lets_in(&gate, guest)).collect();
                gate.load(new).unwrap();
                for ((region, guest), before) in regions.iter().zip(before) {
                    let after = lets_in(&gate, guest);
                    let refused = |field: &str| matches!(region[field].as_str(), Some("refused"));
                    assert_eq!(
                        (before, after),
                        (!refused("old"), !refused("new")),
                        "{old_name} to {new_name}: {guest:?}\n{region}"
                    );
                    let change = match (before, after) {
                        (false, true) => "gains",
                        (true, false) => "loses",
                        _ => "asked-otherwise",
                    };
                    assert_eq!(region["change"], change, "{region}");
                    tried += 1;
                }
            }
            assert!(tried > 100, "{tried} regions are too few");
            record("who gains or loses access by hba diff does so", tried);
        }
    });
}

/// The regions that `diff` names and whose outcome is certain, each with somebody in it.
fn regions(sandbox: &Sandbox, old: &Path, new: &Path, version: u32) -> Vec<(Value, Guest)> {
    let (old, new, version) = (old.to_str().unwrap(), new.to_str().unwrap(), version.to_string());
    let ran = hba(sandbox, &["diff", old, new, "--pg-version", &version, "--format", "json"]).succeeded();
    let diff = ran.json();
    let regions = diff["versions"][0]["regions"].as_array().unwrap_or_else(|| panic!("{ran}")).clone();
    let with_guest = |region: Value| Some((region.clone(), somebody(&region)?));
    regions.into_iter().filter(|region| region["change"] != "unclear").filter_map(with_guest).collect()
}

/// Who no file names.
const NOBODY: &str = "pgseal_somebody";

fn somebody(region: &Value) -> Option<Guest> {
    let name = |field: &str| match region[field].as_str() {
        Some("any" | "any-other") => Some(NOBODY.to_owned()),
        other => other.map(str::to_owned),
    };
    let user = name("user")?;
    // JSON cannot hold what is not UTF-8.
    let told = |name: &str| !name.contains(char::REPLACEMENT_CHARACTER);
    if !told(&user) || !name("database").is_none_or(|name| told(&name)) {
        return None;
    }
    let database = name("database").map(|name| if name == "own" { user.clone() } else { name });
    let ends = region["from"].as_array()?.iter().flat_map(|span| span.as_array().into_iter().flatten());
    let mut addresses = ends.filter_map(|text| text.as_str()?.parse::<IpAddr>().ok());
    let from = addresses.find(|address| can_be_come_from(*address));
    let tls = match region["channel"].as_str()? {
        "local" | "plaintext" => false,
        "tls" => true,
        // No client of the tests' own speaks it.
        _ => return None,
    };
    if from.is_none() && region["channel"] != "local" {
        return None;
    }
    Some(Guest { from, tls, user: user.into_bytes(), database: database.map(String::into_bytes) })
}
