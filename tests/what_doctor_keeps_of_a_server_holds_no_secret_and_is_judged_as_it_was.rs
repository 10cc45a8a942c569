//! `pgseal doctor --facts` keeps what was seen of a server in a file that holds no secret, and `doctor --from` judges it without
//! the server as the server itself was judged, by whatever policy.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::harness::{
    APP_PASSWORD, Account, Living, PASSWORD, Pgseal, Ran, Resident, Schema, record, versions_in_turn,
};

/// Each stands somewhere on the server where it is of use, and nowhere else.
const SECRETS: [&str; 7] = [
    "bind-by-this",
    "shared-by-radius",
    "opens-the-key",
    "of-the-publisher",
    "of-the-far-side",
    PASSWORD,
    APP_PASSWORD,
];

fn by() -> Account {
    Account::current()
}

fn findings(ran: &Ran) -> BTreeSet<(String, String, String)> {
    Schema::of("doctor").admits(&ran.json());
    let told = ran.json();
    let all = told["findings"].as_array().unwrap_or_else(|| panic!("{ran}"));
    let text = |one: &serde_json::Value, field: &str| one[field].as_str().expect("a text").to_owned();
    all.iter().map(|one| (text(one, "name"), text(one, "severity"), text(one, "evidence"))).collect()
}

/// A server with much that is wrong, and a secret in each place that can hold one.
fn with_secrets(version: u32) -> Living {
    let living = Living::of(version);
    living.secured(&by());
    living.append_conf("ssl_passphrase_command = 'echo opens-the-key'\nssl_min_protocol_version = 'TLSv1'");
    living.prepend_hba(
        "hostssl all all 10.0.0.0/8 ldap ldapserver=a ldapbasedn=b ldapbinddn=c ldapbindpasswd=bind-by-this\n\
         hostssl all all 192.168.0.0/16 radius radiusservers=a radiussecrets=shared-by-radius\n\
         host all all 127.0.0.1/32 md5",
    );
    living.sql(
        "CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port=1 dbname=x password=of-the-publisher' PUBLICATION p \
         WITH (connect = false);\n\
         CREATE FOREIGN DATA WRAPPER postgres_fdw;\n\
         CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'far', sslmode 'require');\n\
         CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user 'u', password 'of-the-far-side');",
    );
    living.reload();
    living
}

#[test]
fn what_was_kept_holds_no_secret_and_is_judged_as_the_server_was() {
    for version in versions_in_turn(0) {
        let mut living = with_secrets(version);
        let billing = Resident::new(&living, living.psql("disable"), "billing");
        let file = living.sandbox().home_of(&by()).join("facts.json");
        let kept = living.verb("doctor", &["--format", "json", "--facts"], &by()).arg(&file).run().ended(1);
        drop(billing);
        let live = findings(&kept);
        for name in
            ["plaintext-accepted", "sessions-in-plaintext", "subscription-unverified", "key-without-reload"]
        {
            assert!(live.iter().any(|(found, ..)| found == name), "{name}: {live:?}");
        }

        let text = fs::read_to_string(&file).expect("it was written");
        let key = fs::read_to_string(living.tls_folder().join("server-with-key.pem")).expect("it is there");
        let (_, key) = key.split_once("BEGIN PRIVATE KEY-----\n").expect("there is a key");
        let verifiers =
            living.sql("SELECT string_agg(rolpassword, ' ') FROM pg_authid WHERE rolpassword IS NOT NULL");
        let lines_of_key = key.lines().take_while(|line| !line.starts_with('-'));
        for secret in SECRETS.into_iter().chain(lines_of_key).chain(verifiers.split(' ')) {
            assert!(!text.contains(secret), "{secret} is in the facts");
        }
        assert!(!text.contains("PRIVATE KEY"));
        assert_eq!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);

        // Nobody asks the server any more.
        living.stop();
        let from = |words: &[&str]| {
            let pgseal = Pgseal::new(living.sandbox()).by(&by()).args(["doctor", "--from"]).arg(&file);
            pgseal.args(["--format", "json"]).args(words).run().ended(1)
        };
        let offline = from(&[]);
        assert_eq!(findings(&offline), live, "PostgreSQL {version}");
        assert_eq!(offline.json()["unseen"], kept.json()["unseen"]);
        assert!(
            offline.json()["target"].as_str().is_some_and(|target| target.contains(" as of 20")),
            "{offline}"
        );
        // By another policy more is wrong.
        let stricter = findings(&from(&["--policy", "modern"]));
        assert!(stricter.iter().any(|(.., evidence)| evidence.contains("TLSv1.3")), "{stricter:?}");
        record("facts that were kept are judged as the server was", 1);
    }
}

#[test]
fn a_file_that_is_none_or_of_another_pgseal_is_refused() {
    let living = Living::of(versions_in_turn(0)[0]);
    let file = living.sandbox().home_of(&by()).join("facts.json");
    living.verb("doctor", &["--facts"], &by()).arg(&file).run().ended(1);
    let read = |file: &std::path::Path| {
        Pgseal::new(living.sandbox()).by(&by()).args(["doctor", "--from"]).arg(file).run()
    };
    read(&file).ended(1).says("tls-off");
    let text = fs::read_to_string(&file).expect("it was written");
    let newer = text.replace("\"format\": 1", "\"format\": 2");
    let newer = living.sandbox().file_of(&by(), "newer.json", 0o600, &newer);
    read(&newer).ended(3).complains("its format is 2").complains("as new as the one that wrote it");
    let none = living.sandbox().file_of(&by(), "none.json", 0o600, "no JSON");
    read(&none).ended(3).complains("cannot be read");
    read(&living.sandbox().join("nowhere.json")).ended(3).complains("nowhere.json");
    // Every cut of it ends in a sentence.
    for cut in (0..text.len()).step_by(text.len() / 40) {
        let half = living.sandbox().file_of(&by(), "half.json", 0o600, text.get(..cut).unwrap_or_default());
        read(&half).ended(3).complains("cannot be read");
    }
}
