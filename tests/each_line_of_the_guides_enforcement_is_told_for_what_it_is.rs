//! What a guide says to enforce TLS with: two lines of `hostssl`, and three settings on the command line. The lines let TLS
//! alone in, and nobody from the server's own machine; the settings are what PostgreSQL has by itself. pgseal tells each for
//! what it is, and does better where it may.

use std::time::Duration;

use crate::harness::{
    Account, Living, Ran, SUPERUSER, named_and_gone, record, run, versions, versions_in_turn,
};

/// Without a line for the socket, and without one for replication.
const RULES: &str = "# TYPE  DATABASE        USER            ADDRESS                 METHOD\n\
                     hostssl all             all             0.0.0.0/0               scram-sha-256\n\
                     hostssl all             all             ::/0                    scram-sha-256\n";
const MINIMUM: &str = "ssl_min_protocol_version=TLSv1.2";
const SUITES: &str = "ssl_ciphers=HIGH:MEDIUM:+3DES:!aNULL";
const ORDER: &str = "ssl_prefer_server_ciphers=on";
/// One that those suites have and no policy has: its MAC comes before its encryption.
const OLD_SUITE: &str = "ECDHE-ECDSA-AES256-SHA";

/// What is advised to whom the rules shut out.
const WAY_IN: &str = "try: a line for the socket at the top of pg_hba.conf";

/// openssl with that suite and no other.
fn offers(living: &Living, suite: &str) -> Ran {
    let script = format!(
        "openssl s_client -starttls postgres -connect 127.0.0.1:{} -tls1_2 -cipher {suite} </dev/null",
        living.port()
    );
    let mut shell = Account::current().command("sh", "/nonexistent".as_ref());
    shell.current_dir("/").args(["-c", &script]);
    run(shell, b"", Duration::from_secs(20))
}

/// What `doctor` says of it, where it names it.
fn evidence(living: &Living, name: &str) -> Option<String> {
    let ran = living.verb("doctor", &["--format", "json"], &Account::current()).run();
    let told = ran.json();
    let all = told["findings"].as_array().unwrap_or_else(|| panic!("{ran}"));
    let one = all.iter().find(|one| one["name"] == name)?;
    one["evidence"].as_str().map(str::to_owned)
}

/// Whether `doctor` names it.
fn finds(living: &Living, name: &str) -> bool {
    evidence(living, name).is_some()
}

#[test]
fn its_rules_let_tls_alone_in_and_nobody_over_the_socket() {
    for version in versions_in_turn(0) {
        let by = Account::current();
        let living = Living::of(version);
        living.secured(&by);
        living.write_hba(RULES);
        living.reload();
        living.psql("verify-full").run("SELECT 1").succeeded();
        let plain = living.psql("disable").run("SELECT 1").ended(2);
        plain.complains("no pg_hba.conf entry for host \"127.0.0.1\"");
        living.try_sql("SELECT 1").ended(2).complains("no pg_hba.conf entry for host \"[local]\"");

        let hba = |words: &[&str]| living.pgseal(&by).arg("hba").args(words).arg(living.target());
        hba(&["prove"]).run().succeeded().says("no plaintext path");
        hba(&["explain", "-U", SUPERUSER]).run().succeeded().says("no line fits: refused");
        hba(&["explain", "-U", "app", "--addr", "192.0.2.1"]).run().succeeded().says("scram-sha-256");
        let streams = hba(&["explain", "-U", "app", "--addr", "192.0.2.1", "--replication"]).run();
        streams.succeeded().says("no line fits: refused");
        let doctor = living.verb("doctor", &["--fail-on", "medium"], &by).run().ended(1);
        let doctor = doctor.says("socket-locked-out").says("has no local line").says("not looked at");
        doctor.says("no pg_hba.conf entry for host \"[local]\"");
        for verb in ["verify", "sessions"] {
            living.verb(verb, &[], &by).run().ended(3).complains(WAY_IN);
        }
        let before = living.kept_files();
        living.secure(&["--enforce"], &by).run().ended(3).complains(WAY_IN);
        assert_eq!(living.kept_files(), before);
        // Such a line is enough.
        living.prepend_hba(&format!("local all {SUPERUSER} scram-sha-256"));
        living.reload();
        assert!(!finds(&living, "socket-locked-out"));
        living.secure(&["--enforce"], &by).run().succeeded();
        record("the rules of a guide are told for what they are", 1);
    }
}

#[test]
fn its_settings_are_what_postgresql_has_by_itself_and_secure_does_better() {
    for version in versions() {
        let by = Account::current();
        let settings = ["-c", MINIMUM, "-c", SUITES, "-c", ORDER];
        let mut living = Living::set_up(*version, |setup| setup.args(&settings));
        let same = "SELECT string_agg(name, ' ' ORDER BY name) FROM pg_settings \
                    WHERE setting = boot_val AND source = 'command line' AND name LIKE 'ssl%'";
        assert_eq!(living.sql(same), "ssl_ciphers ssl_min_protocol_version ssl_prefer_server_ciphers");
        // Two of them are as good as what secure would write, and may stay; the third stands in its way.
        let refused =
            living.secure(&[], &by).run().ended(3).complains("command line fixes ssl_ciphers (to be ");
        refused.complains("take it out of the way the server is started");
        let fixed = evidence(&living, "setting-fixed").expect("it is named");

        living.set_args(&["-c", MINIMUM, "-c", ORDER]);
        living.restart();
        assert!(!finds(&living, "setting-fixed"));
        named_and_gone("setting-fixed", *version, &fixed);
        let line = SUITES.replacen('=', " = '", 1);
        living.append_conf(&format!("{line}'"));
        living.secured(&by);
        offers(&living, OLD_SUITE).ended(1);
        offers(&living, "ECDHE-ECDSA-AES256-GCM-SHA384").succeeded();
        assert!(!finds(&living, "suites-too-wide"));
        // After all that secure wrote.
        living.append_conf(&format!("{line}'"));
        living.reload();
        assert!(finds(&living, "suites-too-wide"));
        offers(&living, OLD_SUITE).succeeded();
        record("the settings of a guide are told for what they are", 1);
    }
}
