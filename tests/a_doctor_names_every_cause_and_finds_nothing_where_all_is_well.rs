//! `pgseal doctor` names what is wrong by its stable name, with what was seen, and no longer once it is mended; on a sealed
//! server it finds nothing of severity medium or above; a server that is down is looked at by its files.

mod causes;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use self::causes::{Ill, ills, pem};
use crate::harness::{
    APP, APP_PASSWORD, Account, Forge, Forged, Install, Living, PASSWORD, Pgseal, Resident, SUPERUSER,
    Schema, Sealed, named_and_gone, named_and_gone_on, project, record, this_year, versions,
    versions_in_turn,
};

const MINUTE: Duration = Duration::from_secs(60);

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
    let high = findings.iter().any(|(_, severity)| ["high", "critical"].contains(&severity.as_str()));
    assert_eq!(ran.code(), Some(i32::from(high)), "{ran}");
    findings
}

/// What is said of each that is found.
#[track_caller]
fn evidence(pgseal: Pgseal<'_>) -> BTreeMap<String, String> {
    let ran = pgseal.args(["--format", "json"]).run();
    let told = ran.json();
    let all = told["findings"].as_array().unwrap_or_else(|| panic!("{ran}"));
    let text = |one: &serde_json::Value, field: &str| one[field].as_str().expect("a text").to_owned();
    all.iter().map(|one| (text(one, "name"), text(one, "evidence"))).collect()
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
    assert!(!well.contains(ill.name), "{} of {version}: {well:?}", ill.name);
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

/// The other scenarios need a socket that is open to all.
#[test]
fn a_socket_that_asks_nothing_is_named_and_one_that_asks_for_a_password_is_not() {
    let by = Account::current();
    let version = versions()[0];
    let living = healthy(version);
    let open = evidence(doctor(&living, &by));
    living.write_hba(&HEALTHY.replace("local all all trust", "local all all scram-sha-256"));
    living.reload();
    assert!(!names(doctor(&living, &by)).contains("socket-trust"));
    living.prepend_hba("local all app trust");
    living.reload();
    assert!(names(doctor(&living, &by)).contains("socket-trust"));
    named_and_gone("socket-trust", version, &open["socket-trust"]);
}

/// Of a server whose OpenSSL has such a group: of another it is named always.
#[test]
fn a_server_that_offers_no_post_quantum_group_is_told_and_one_that_does_is_not() {
    let by = Account::current();
    let living = Living::on(Install::post_quantum(), |setup| setup);
    living.secured(&by);
    assert!(!names(doctor(&living, &by)).contains("no-post-quantum-group"));
    living.sql("ALTER SYSTEM SET ssl_groups = 'prime256v1'");
    living.reload();
    let ill = evidence(doctor(&living, &by));
    named_and_gone_on(
        "no-post-quantum-group",
        "PostgreSQL 18 with an OpenSSL that has one",
        &ill["no-post-quantum-group"],
    );
}

#[test]
fn a_line_whose_certificates_nobody_can_check_is_named_where_somebody_reaches_it() {
    const NAME: &str = "client-certificate-uncheckable";
    let by = Account::current();
    let mut living = healthy(versions()[0]);
    let asking = format!("hostssl all {APP} all cert\n{HEALTHY}");
    let dead = format!("hostssl all {APP} all reject\n{asking}");
    let uri = format!(
        "postgresql://{SUPERUSER}@localhost:{}/postgres?hostaddr=127.0.0.1&sslrootcert={}",
        living.port(),
        living.ca_file().display()
    );
    let far = || Pgseal::new(living.sandbox()).env("PGPASSWORD", PASSWORD).arg("doctor").arg(&uri);
    for (rules, is_named) in [(HEALTHY, false), (asking.as_str(), true), (dead.as_str(), false)] {
        living.write_hba(rules);
        living.reload();
        for pgseal in [doctor(&living, &by), far()] {
            assert_eq!(names(pgseal).contains(NAME), is_named, "{rules}");
        }
    }
    living.stop();
    for (rules, is_named) in [(dead.as_str(), false), (asking.as_str(), true)] {
        living.write_hba(rules);
        assert_eq!(names(doctor(&living, &by)).contains(NAME), is_named, "{rules}");
    }
    // Without TLS nobody comes to it.
    living.append_conf("ssl = off");
    assert!(!names(doctor(&living, &by)).contains(NAME));
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
    let ill = evidence(doctor(&living, &by));
    let causes = ["tls-off", "plaintext-accepted", "certificate-missing", "sessions-in-plaintext"];
    for name in causes {
        assert!(ill.contains_key(name), "{name}: {ill:?}");
    }
    let of_it = "FROM pg_stat_activity WHERE application_name = 'billing'";
    living.sql(&format!("SELECT pg_terminate_backend(pid) {of_it}"));
    billing.was_ended();
    let end = Instant::now() + MINUTE;
    while living.sql(&format!("SELECT count(*) {of_it}")) != "0" {
        assert!(Instant::now() < end, "its backend ends");
    }
    // By what the findings say that mends it.
    living.secure(&["--enforce", "--allow-unseen"], &by).run().succeeded();
    let well = evidence(doctor(&living, &by));
    for name in causes {
        assert!(!well.contains_key(name), "{name}: {well:?}");
        named_and_gone(name, versions()[0], &ill[name]);
    }
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
        assert!(!names(doctor(&living, &by)).contains("server-down"));
        living.stop();
        let findings = evidence(doctor(&living, &by));
        assert!(!findings.contains_key("start-would-fail"), "{findings:?}");
        named_and_gone("server-down", *version, &findings["server-down"]);
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
    let ill = evidence(doctor(&living, &by));
    let root = living.ca_file().display().to_string();
    living.append_conf(&format!(
        "primary_conninfo = 'host=127.0.0.1 port=1 password=secret sslmode=verify-full sslrootcert={root}'"
    ));
    living.restart();
    assert!(!names(doctor(&living, &by)).contains("standby-unverified"));
    named_and_gone("standby-unverified", versions()[0], &ill["standby-unverified"]);
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
    let port = living.port();
    let service = |own: &str| {
        // Neither another port, nor the socket, nor another address, whatever its name, is this server.
        let text = format!(
            "[elsewhere]\nhost=localhost\nport=1\n[socket]\nport={port}\n\
             [another]\nhost=localhost\nhostaddr=127.0.0.2\nport={port}\n[own]\n{own}\n"
        );
        fs::write(home.join(".pg_service.conf"), text).expect("it is the test's");
    };
    service(&format!("host=localhost\nport={port}"));
    let ill = names(doctor(&living, &by).env("PGSSLMODE", "prefer"));
    let new: BTreeSet<&str> = ill.difference(&before).map(String::as_str).collect();
    let own =
        ["environment-without-tls", "home-root-of-another-ca", "password-file-open", "service-without-tls"];
    assert_eq!(new, own.into());
    let said = evidence(doctor(&living, &by).env("PGSSLMODE", "prefer"));
    assert_eq!(said["service-without-tls"], format!("[own] has sslmode=prefer for localhost:{port}"));
    // Of a list one is enough; what the service leaves open the environment says.
    service("host=one,two\nhostaddr=127.0.0.2,127.0.0.1");
    let by_list = evidence(doctor(&living, &by).env("PGPORT", port.to_string()));
    assert_eq!(by_list["service-without-tls"], format!("[own] has sslmode=prefer for two:{port}"));
    service(&format!("host=localhost\nport={port}\nsslmode=verify-full"));
    fs::copy(living.ca_file(), home.join(".postgresql/root.crt")).expect("it is the test's");
    fs::set_permissions(home.join(".pgpass"), fs::Permissions::from_mode(0o600)).expect("it is the test's");
    assert_eq!(names(doctor(&living, &by)), before);
    for name in own {
        named_and_gone(name, versions()[0], &said[name]);
    }
}

/// By the day on which it is looked at.
#[test]
fn a_version_that_gets_no_more_fixes_is_named_and_a_later_one_is_not() {
    let by = Account::current();
    let today = time::OffsetDateTime::now_utc().date();
    let calendar = fs::read_to_string(project().join("crates/pgseal/src/doctor/releases.toml")).unwrap();
    let calendar: BTreeMap<String, String> = toml::from_str(&calendar).unwrap();
    // Written so that the order of days is that of the texts.
    let is_past = |version: u32| calendar[&version.to_string()] < today.to_string();
    let (mut named, mut is_spared) = (None, false);
    for version in versions() {
        let told = evidence(doctor(&Living::of(*version), &by));
        let told = told.get("version-end-of-life");
        assert_eq!(told.is_some(), is_past(*version), "{version}: {told:?}");
        is_spared |= told.is_none();
        named = named.or(told.map(|evidence| (*version, evidence.clone())));
    }
    if let Some((version, evidence)) = named.filter(|_| is_spared) {
        named_and_gone("version-end-of-life", version, &evidence);
    }
}

/// Which of them were brought about and gone, the page of the catalogue tells: a whole soak fails unless all were.
#[test]
fn every_finding_of_the_catalogue_is_named_by_a_scenario() {
    let mut texts = String::new();
    let mut folders = vec![project().join("tests")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                texts.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let catalogue = fs::read_to_string(project().join("docs/findings.md")).expect("it is there");
    let names = catalogue.lines().filter_map(|line| line.strip_prefix("## "));
    let never: Vec<&str> = names.filter(|name| !texts.contains(&format!("\"{name}\""))).collect();
    assert_eq!(never, [""; 0]);
}

#[test]
fn every_setting_is_told_with_where_it_comes_from_and_every_finding_has_its_page() {
    let by = Account::current();
    let living = healthy(versions()[0]);
    // For what the wire shows nobody has to be a superuser.
    let app = living.verb("doctor", &["--settings", "--format", "json"], &by).env("PGUSER", APP);
    let app = app.env("PGPASSWORD", APP_PASSWORD).run().succeeded().json();
    assert!(app["wire_unseen"].is_null(), "{app:#}");
    let ran = living.verb("doctor", &["--settings", "--format", "json"], &by).run().succeeded();
    Schema::of("settings").admits(&ran.json());
    let rows = ran.json()["settings"].as_array().expect("a list").clone();
    let ssl = rows.iter().find(|row| row["name"] == "ssl").expect("there is one");
    assert_eq!((&ssl["value"], &ssl["default"]), (&"on".into(), &"off".into()));
    assert!(ssl["place"].as_str().is_some_and(|place| place.contains("postgresql.conf:")), "{ssl}");
    assert_eq!(ssl["served"], "on");
    living.verb("doctor", &["--settings"], &by).run().succeeded().says("ssl_min_protocol_version");
    // A reload that was refused: the wire shows what it showed before, whatever the settings say.
    let served = |name: &str| {
        let told = living.verb("doctor", &["--settings", "--format", "json"], &by).run().succeeded().json();
        let row = told["settings"].as_array().unwrap().iter().find(|row| row["name"] == name).cloned();
        row.unwrap_or_else(|| panic!("{told:#}"))
    };
    assert_eq!(served("ssl_min_protocol_version")["served"], "TLSv1.2");
    let (conf, key) = (living.read("postgresql.conf"), fs::read(pem(&living)).expect("it can be read"));
    fs::write(pem(&living), Forge::new("another").certificate()).expect("it is the test's");
    living.append_conf("ssl_min_protocol_version = 'TLSv1.3'");
    living.reload();
    let row = served("ssl_min_protocol_version");
    assert_eq!((&row["value"], &row["served"]), (&"TLSv1.3".into(), &"TLSv1.2".into()));
    fs::write(pem(&living), key).expect("it is the test's");
    living.write("postgresql.conf", &conf);
    living.reload();

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
