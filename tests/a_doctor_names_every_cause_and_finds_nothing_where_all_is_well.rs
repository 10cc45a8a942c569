//! `pgseal doctor` names what is wrong by its stable name, with what was seen, and no longer once it is mended; on a sealed
//! server it finds nothing of severity medium or above; a server that is down is looked at by its files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use crate::harness::{
    APP, APP_PASSWORD, Account, Forge, Forged, Living, Pgseal, Resident, Schema, Sealed, named_and_gone,
    record, run, this_year, versions, versions_in_turn,
};

/// `local` for the superuser alone, by whom the socket belongs to; plaintext let in nowhere.
const HEALTHY: &str = "local all all trust\nhostssl all all all scram-sha-256\n";

/// Everything that is found, and how bad it is.
#[track_caller]
fn found(pgseal: Pgseal<'_>) -> BTreeSet<(String, String)> {
    let ran = pgseal.args(["--format", "json"]).run();
    assert!(matches!(ran.code(), Some(0 | 1)), "{ran}");
    Schema::of("doctor").admits(&ran.json());
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let findings: BTreeSet<_> = ran.json()["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|finding| (text(&finding["name"]), text(&finding["severity"])))
        .collect();
    let high = findings.iter().any(|(_, severity)| severity == "high");
    assert_eq!(ran.code(), Some(i32::from(high)), "{ran}");
    findings
}

fn names(pgseal: Pgseal<'_>) -> BTreeSet<String> {
    found(pgseal).into_iter().map(|(name, _)| name).collect()
}

/// A server with TLS and a good certificate that lets nobody in without.
fn healthy(version: u32) -> Living {
    let living = Living::of(version);
    living.secured(&Account::current());
    living.write_hba(HEALTHY);
    living.reload();
    living
}

fn doctor<'l>(living: &'l Living, by: &Account) -> Pgseal<'l> {
    living.verb("doctor", &[], by)
}

/// Something that is wrong, brought about on a healthy server.
struct Ill {
    name: &'static str,
    /// The versions it can be brought about on.
    of: fn(u32) -> bool,
    made: fn(&Living),
    /// Beside the files, which are put back.
    healed: fn(&Living),
    /// Whether the server loads it.
    reloaded: bool,
}

const fn ill(name: &'static str, made: fn(&Living)) -> Ill {
    Ill { name, of: |_| true, made, healed: |_| (), reloaded: true }
}

fn pem(living: &Living) -> std::path::PathBuf {
    living.tls_folder().join("server-with-key.pem")
}

fn ills() -> Vec<Ill> {
    of_rules().into_iter().chain(of_settings()).chain(of_certificates()).chain(of_the_inside()).collect()
}

fn of_rules() -> Vec<Ill> {
    vec![
        ill("plaintext-accepted", |living| living.prepend_hba("host all all all scram-sha-256")),
        ill("weak-method-reachable", |living| living.prepend_hba("hostssl all all all trust")),
        ill("ident-reachable", |living| living.prepend_hba("hostssl all all all ident")),
        ill("dead-line", |living| living.prepend_hba("hostssl all all all scram-sha-256")),
        ill("client-certificate-uncheckable", |living| living.prepend_hba("hostssl all nobody all cert")),
        ill("socket-trust", |living| living.prepend_hba("local all app trust")),
        ill("rules-errors", |living| living.prepend_hba("hostssl all all all scram-sha-257")),
        ill("breaks-on-upgrade", |living| {
            living.prepend_hba("hostssl all all 10.0.0.0/8 radius radiusservers=a radiussecrets=b");
        }),
    ]
}

fn of_settings() -> Vec<Ill> {
    vec![
        ill("configuration-errors", |living| living.append_conf("no_such_setting = 1")),
        ill("restart-pending", |living| living.append_conf("max_connections = 201")),
        ill("protocol-too-old", |living| living.append_conf("ssl_min_protocol_version = 'TLSv1'")),
        ill("suites-too-wide", |living| living.append_conf("ssl_ciphers = 'ALL'")),
        ill("minimum-above-maximum", |living| {
            living.append_conf("ssl_min_protocol_version = 'TLSv1.3'\nssl_max_protocol_version = 'TLSv1.2'");
        }),
        ill("setting-differs", |living| living.append_conf("ssl_prefer_server_ciphers = off")),
        ill("socket-locked-out", |living| {
            living.write_hba("local all all reject\nhostssl all all all scram-sha-256\n");
        }),
        ill("exception-expired", |living| {
            let words = ["--enforce", "--except", "app@127.0.0.1/32", "--until", "2099-12-31"];
            living.prepend_hba("hostnossl all app 127.0.0.1/32 scram-sha-256");
            living.reload();
            living.secure(&words, &Account::current()).run().succeeded();
            // Years later.
            let rules = living.read("pg_hba.conf");
            assert!(rules.contains("2099-12-31"), "{rules}");
            living.write("pg_hba.conf", &rules.replace("2099-12-31", "2020-01-01"));
        }),
        Ill {
            reloaded: false,
            ..ill("rules-not-loaded", |living| {
                living.prepend_hba("hostssl all all 10.0.0.0/8 reject");
                // Within the second of the last reload nobody could tell.
                let file = fs::File::options().write(true).open(living.data().join("pg_hba.conf")).unwrap();
                file.set_modified(SystemTime::now() + Duration::from_secs(2)).unwrap();
            })
        },
        Ill {
            of: |version| version < 14,
            ..ill("breaks-on-upgrade", |living| {
                living.prepend_hba("hostssl all all 10.0.0.0/8 scram-sha-256 clientcert=1");
            })
        },
    ]
}

fn of_certificates() -> Vec<Ill> {
    vec![
        ill("crl-outdated", |living| {
            let authority = Forge::new("clients");
            let gone = authority.revocation_list_until(&[7], this_year().0);
            given(living, "clients.crt", authority.certificate());
            given(living, "clients.crl", &gone);
            living.append_conf("ssl_ca_file = 'clients.crt'\nssl_crl_file = 'clients.crl'");
        }),
        ill("dh-weak", |living| {
            let made = openssl(living, "openssl dhparam -dsaparam 1024");
            given(living, "dh.pem", &made);
            living.append_conf("ssl_dh_params_file = 'dh.pem'");
        }),
        ill("key-weak", |living| {
            let words = "openssl req -x509 -newkey rsa:1024 -nodes -subj /CN=localhost -days 90 \
                         -addext subjectAltName=DNS:localhost -keyout /dev/stdout";
            let made = openssl(living, words);
            let (key, certificate) = made.split_at(made.find("-----BEGIN CERT").expect("there is one"));
            given(living, "weak.crt", certificate);
            given(living, "weak.key", key);
            fs::set_permissions(living.data().join("weak.key"), fs::Permissions::from_mode(0o600))
                .expect("it is the test's");
            living.append_conf("ssl_cert_file = 'weak.crt'\nssl_key_file = 'weak.key'");
        }),
        // Key and certificate in one file.
        ill("key-weak", |living| {
            let words = "openssl req -x509 -newkey rsa:1024 -nodes -subj /CN=localhost -days 90 \
                         -addext subjectAltName=DNS:localhost -keyout /dev/stdout";
            put(living, &openssl(living, words));
        }),
        ill("channel-binding-impossible", |living| {
            put(living, &Forge::of_ed25519("another").leaf(&["localhost"]).one_pem());
        }),
        ill("key-open-to-others", |living| {
            fs::set_permissions(pem(living), fs::Permissions::from_mode(0o640)).expect("it is the test's");
        }),
        Ill {
            of: |version| version < 18,
            ..ill("curve-list-unsupported", |living| {
                living.append_conf("ssl_ecdh_curve = 'X25519:prime256v1'");
            })
        },
        Ill {
            of: |version| version >= 18,
            ..ill("no-post-quantum-group", |living| living.append_conf("ssl_groups = 'prime256v1'"))
        },
        ill("key-without-reload", |living| living.append_conf("ssl_passphrase_command = 'echo x'")),
        ill("start-would-fail", |living| {
            fs::set_permissions(pem(living), fs::Permissions::from_mode(0o644)).expect("it is the test's");
        }),
        ill("certificate-expiring", |living| {
            let (from, _) = this_year();
            let (from, soon) =
                (from - Duration::from_secs(81 * 86_400), from + Duration::from_secs(9 * 86_400));
            put(
                living,
                &Forge::new("another").leaf_dated(&["localhost", "127.0.0.1", "::1"], from, soon).one_pem(),
            );
        }),
        ill("certificate-unfit", |living| {
            let (from, _) = this_year();
            let gone = from + Duration::from_secs(60);
            put(living, &Forge::new("another").leaf_dated(&["localhost"], from, gone).one_pem());
        }),
        ill("certificate-not-served", |living| {
            // A key of another certificate: the reload keeps what was there, and says so in the log alone.
            let (one, two) = (Forge::new("one").leaf(&["localhost"]), Forge::new("two").leaf(&["localhost"]));
            put(living, &format!("{}{}", one.key, two.certificate));
        }),
        ill("key-unfit", |living| {
            let (one, two) = (Forge::new("one").leaf(&["localhost"]), Forge::new("two").leaf(&["localhost"]));
            put(living, &format!("{}{}", one.key, two.certificate));
        }),
        ill("root-in-chain", |living| {
            let authority = Forge::new("another");
            put(living, &format!("{}{}", authority.leaf(&["localhost"]).one_pem(), authority.certificate()));
        }),
        ill("snakeoil-certificate", |living| {
            let path = living.data().join("ssl-cert-snakeoil.pem");
            fs::copy(pem(living), &path).expect("it is the test's");
            living.account().own(&path);
            living.append_conf(
                "ssl_cert_file = 'ssl-cert-snakeoil.pem'\nssl_key_file = 'ssl-cert-snakeoil.pem'",
            );
        }),
    ]
}

fn of_the_inside() -> Vec<Ill> {
    vec![
        Ill {
            healed: |living| {
                living.sql("DROP ROLE old;");
            },
            ..ill("roles-without-scram", |living| {
                living.sql("SET password_encryption = 'md5';\nCREATE ROLE old LOGIN PASSWORD 'x';");
            })
        },
        Ill {
            healed: |living| {
                living.sql("ALTER SUBSCRIPTION s SET (slot_name = NONE);\nDROP SUBSCRIPTION s;");
            },
            ..ill("subscription-unverified", |living| {
                let made = "CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port=1 dbname=x password=secret' PUBLICATION p \
                            WITH (connect = false);";
                living.sql(made);
            })
        },
        Ill {
            healed: |living| {
                living.sql("DROP FOREIGN DATA WRAPPER postgres_fdw CASCADE;");
            },
            ..ill("foreign-server-unverified", |living| {
                let made = "CREATE FOREIGN DATA WRAPPER postgres_fdw;\n\
                            CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'far', sslmode 'require');";
                living.sql(made);
            })
        },
    ]
}

/// A file of the server's in its data directory.
fn given(living: &Living, name: &str, content: &str) {
    let path = living.data().join(name);
    fs::write(&path, content).expect("it is the test's");
    living.account().own(&path);
}

/// What a command of openssl prints.
fn openssl(living: &Living, words: &str) -> String {
    let mut shell = Account::current().command("sh", living.sandbox().path());
    shell.current_dir("/").args(["-c", words]);
    run(shell, b"", Duration::from_secs(60)).succeeded().stdout().to_owned()
}

fn put(living: &Living, content: &str) {
    fs::write(pem(living), content).expect("it is the test's");
}

#[test]
fn each_cause_is_named_while_it_is_there_and_not_once_it_is_mended() {
    // Each on one of the versions that have it, in turn; in a soak on all of those.
    let mut turns: BTreeMap<u32, Vec<Ill>> = BTreeMap::new();
    for nth in 0..ills().len() {
        let has = |version: &u32| (ills()[nth].of)(*version);
        let mut on: Vec<u32> = versions_in_turn(nth).into_iter().filter(has).collect();
        if on.is_empty() {
            on = versions().iter().copied().filter(has).take(1).collect();
        }
        for version in on {
            turns.entry(version).or_default().push(ills().swap_remove(nth));
        }
    }
    for (version, ills) in turns {
        let living = healthy(version);
        let well = names(doctor(&living, &Account::current()));
        for ill in ills {
            is_named_and_mended(&living, version, &ill, &well);
        }
    }
}

#[track_caller]
fn is_named_and_mended(living: &Living, version: u32, ill: &Ill, well: &BTreeSet<String>) {
    let by = Account::current();
    // Neither is brought about by the ill alone: the test's own socket is open, and there are no groups of the future.
    let usual = ["socket-trust", "no-post-quantum-group"].contains(&ill.name);
    assert!(usual || !well.contains(ill.name), "{} of {version}: {well:?}", ill.name);
    let files = [living.data().join("pg_hba.conf"), living.data().join("postgresql.conf"), pem(living)];
    let kept = files.map(|path| {
        let bytes = fs::read(&path).expect("it can be read");
        let mode = fs::metadata(&path).expect("it is there").permissions();
        (path, bytes, mode)
    });
    (ill.made)(living);
    if ill.reloaded {
        living.reload();
    }
    let ran = doctor(living, &by).args(["--format", "json"]).run();
    let ran = ran.never_mentions("secret").never_mentions("PRIVATE KEY");
    let told = ran.json();
    let named = told["findings"].as_array().expect("a list").iter().find(|one| one["name"] == ill.name);
    let named = named.unwrap_or_else(|| panic!("{} of {version}:\n{ran}", ill.name));
    let evidence = named["evidence"].as_str().expect("a text").to_owned();
    for (path, bytes, mode) in kept {
        fs::write(&path, bytes).expect("it is the test's");
        fs::set_permissions(&path, mode).expect("it is the test's");
    }
    (ill.healed)(living);
    living.reload();
    assert_eq!(&names(doctor(living, &by)), well, "{} of {version} is mended", ill.name);
    named_and_gone(ill.name, version, &evidence);
    record("a cause is named while it is there and not once it is mended", 1);
}

#[test]
fn a_server_that_listens_everywhere_and_one_whose_certificate_was_renewed_elsewhere_are_told() {
    let by = Account::current();
    let version = versions()[0];
    let mut living = healthy(version);
    let well = names(doctor(&living, &by));
    living.append_conf("listen_addresses = '0.0.0.0'");
    living.restart();
    let open = names(doctor(&living, &by));
    assert!(open.contains("listens-everywhere") && !well.contains("listens-everywhere"), "{open:?}");
    named_and_gone("listens-everywhere", version, "listen_addresses = '0.0.0.0'");

    let authority = Forge::new("a company");
    let files = |leaf: &Forged| {
        let file = |name: &str, mode, text: &str| living.sandbox().file_of(&by, name, mode, text);
        (file("fullchain.pem", 0o644, &leaf.certificate), file("privkey.pem", 0o600, &leaf.key))
    };
    let names_of_it = ["localhost", "127.0.0.1"];
    let (certificate, key) = files(&authority.leaf(&names_of_it));
    let secured = living.verb("secure", &["--yes", "--allow-unseen", "--cert"], &by);
    secured.arg(&certificate).arg("--key").arg(&key).run().succeeded();
    assert!(!names(doctor(&living, &by)).contains("certificate-source-newer"));
    let (from, until) = this_year();
    let (from, until) = (from + Duration::from_secs(60), until + Duration::from_secs(86_400));
    files(&authority.leaf_dated(&names_of_it, from, until));
    assert!(names(doctor(&living, &by)).contains("certificate-source-newer"));
    named_and_gone("certificate-source-newer", version, "the file that it was taken from holds a newer one");
}

#[test]
fn a_sealed_server_has_nothing_of_medium_or_above() {
    for version in versions() {
        let server = Sealed::of(*version);
        let ran = server.pgseal().args(["doctor", "sealed", "--fail-on", "medium"]).run().succeeded();
        ran.says("healthy").says("running");
        let by = Account::current();
        let living = Living::of(*version);
        living.secure(&["--enforce"], &by).run().succeeded();
        let findings = found(doctor(&living, &by));
        // The test's own socket is open to all, and its two scram lines are behind the two that refuse.
        assert!(findings.iter().all(|(_, severity)| severity == "low" || severity == "info"), "{findings:?}");
    }
}

#[test]
fn a_server_as_most_are_is_told_all_of_it_at_once() {
    let by = Account::current();
    let living = Living::of(versions()[0]);
    let billing = Resident::new(&living, living.psql("disable"), "billing");
    let findings = names(doctor(&living, &by));
    for name in ["tls-off", "plaintext-accepted", "certificate-missing", "sessions-in-plaintext"] {
        assert!(findings.contains(name), "{name}: {findings:?}");
    }
    drop(billing);
}

#[test]
fn who_may_not_look_inside_is_told_so_and_sees_what_the_files_say() {
    let by = Account::current();
    let living = Living::of(versions()[0]);
    let ran = doctor(&living, &by).env("PGUSER", APP).env("PGPASSWORD", APP_PASSWORD).run().ended(1);
    ran.says("not looked at").says("is no superuser").says("plaintext-accepted");
}

#[test]
fn a_server_that_is_down_is_looked_at_by_its_files() {
    for version in versions() {
        let by = Account::current();
        let mut living = healthy(*version);
        living.stop();
        let findings = names(doctor(&living, &by));
        assert!(findings.contains("server-down") && !findings.contains("start-would-fail"), "{findings:?}");
        fs::set_permissions(pem(&living), fs::Permissions::from_mode(0o644)).expect("it is the test's");
        let ran = doctor(&living, &by).run().ended(1).says("start-would-fail");
        ran.says("private key file has group or world access");
        fs::remove_file(pem(&living)).expect("it is the test's");
        doctor(&living, &by).run().ended(1).says("start-would-fail").says("there is no");
        living.append_conf("ssl = maybe 'a");
        doctor(&living, &by).run().ended(1).says("configuration-errors").says("line ");
    }
}

#[test]
fn the_servers_own_unverified_ways_out_are_named_for_a_standby() {
    let by = Account::current();
    let mut living = healthy(versions()[0]);
    living.stop();
    living.append_conf("primary_conninfo = 'host=127.0.0.1 port=1 password=secret sslmode=require'");
    living.write("standby.signal", "");
    living.start();
    let ran = doctor(&living, &by).run().says("standby-unverified").says("sslmode=require");
    ran.never_mentions("secret");
}

#[test]
fn what_lies_in_the_persons_own_home_is_named() {
    let by = Account::current();
    let living = healthy(versions()[0]);
    let home = living.sandbox().home_of(&by);
    let before = names(doctor(&living, &by));
    fs::create_dir_all(home.join(".postgresql")).expect("it is the test's");
    fs::write(home.join(".postgresql/root.crt"), Forge::new("another").certificate())
        .expect("it is the test's");
    fs::write(home.join(".pgpass"), "*:*:*:*:x\n").expect("it is the test's");
    fs::set_permissions(home.join(".pgpass"), fs::Permissions::from_mode(0o644)).expect("it is the test's");
    let ill = names(doctor(&living, &by).env("PGSSLMODE", "prefer"));
    let new: BTreeSet<&str> = ill.difference(&before).map(String::as_str).collect();
    assert_eq!(new, ["environment-without-tls", "home-root-of-another-ca", "password-file-open"].into());
    fs::copy(living.ca_file(), home.join(".postgresql/root.crt")).expect("it is the test's");
    fs::set_permissions(home.join(".pgpass"), fs::Permissions::from_mode(0o600)).expect("it is the test's");
    assert_eq!(names(doctor(&living, &by)), before);
}

#[test]
fn every_setting_is_told_with_where_it_comes_from_and_every_finding_has_its_page() {
    let by = Account::current();
    let living = healthy(versions()[0]);
    let ran = living.verb("doctor", &["--settings", "--format", "json"], &by).run().succeeded();
    Schema::of("settings").admits(&ran.json());
    let rows = ran.json()["settings"].as_array().expect("a list").clone();
    let ssl = rows.iter().find(|row| row["name"] == "ssl").expect("there is one");
    assert_eq!((&ssl["value"], &ssl["default"]), (&"on".into(), &"off".into()));
    assert!(ssl["place"].as_str().is_some_and(|place| place.contains("postgresql.conf:")), "{ssl}");
    living.verb("doctor", &["--settings"], &by).run().succeeded().says("ssl_min_protocol_version");

    let pgseal = || Pgseal::new(living.sandbox());
    let all = pgseal().args(["doctor", "--explain", "all"]).run().succeeded();
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/findings.md");
    assert_eq!(
        all.stdout().trim(),
        fs::read_to_string(kept).expect("it is there").trim(),
        "docs/findings.md"
    );
    pgseal()
        .args(["doctor", "--explain", "key-unfit"])
        .run()
        .succeeded()
        .says("the next reload keeps the old certificate");
    pgseal()
        .args(["doctor", "--explain", "key-unfitt"])
        .run()
        .ended(2)
        .complains("there is no finding")
        .complains("key-unfit");
}
