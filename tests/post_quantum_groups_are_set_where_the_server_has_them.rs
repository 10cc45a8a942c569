//! Each version gets the settings that it knows: since 18 groups and the suites of TLS 1.3, before that one curve, and no older
//! TLS than the policy has, whatever a version has by itself. A hybrid post-quantum group comes first where the server's own
//! OpenSSL has it, which is seen on the wire, and nowhere else.

use std::time::Duration;

use crate::harness::{Account, Install, Living, Ran, Shown, claim, record, run, versions, versions_in_turn};

const HYBRID: &str = "X25519MLKEM768";

/// A server with the OpenSSL that has it.
fn with_hybrids() -> Living {
    Living::on(Install::post_quantum(), |setup| setup)
}

/// openssl with the libraries of that server, offering that group and no other.
fn offers(living: &Living, group: &str) -> Ran {
    let libraries = Install::post_quantum().bin().with_file_name("lib");
    let script = format!(
        "openssl s_client -starttls postgres -connect 127.0.0.1:{} -groups {group} </dev/null",
        living.port()
    );
    let mut shell = Account::current().command("sh", "/nonexistent".as_ref());
    shell.current_dir("/").env("LD_LIBRARY_PATH", libraries).args(["-c", &script]);
    run(shell, b"", Duration::from_secs(20))
}

#[test]
fn a_hybrid_group_comes_first_where_openssl_has_it() {
    for by in Account::current_and_server() {
        let mut living = with_hybrids();
        let before = living.kept_files();
        let ran = living.secure(&["--enforce", "--format", "json"], &by).run().succeeded();
        let seen = claim(&ran, "post-quantum");
        assert_eq!(
            (&seen["holds"], &seen["evidence"]),
            (&true.into(), &format!("{HYBRID} on the wire").into())
        );
        assert_eq!(living.sql("SHOW ssl_groups"), format!("{HYBRID}:X25519:prime256v1:secp384r1"));
        offers(&living, HYBRID).succeeded();
        offers(&living, "X448").ended(1);
        // Who does not speak it comes in as ever: the psql of the system.
        assert_eq!(living.shown(), Shown::TlsOnly);

        let again = living.secure(&["--enforce"], &by).run().succeeded();
        again.says("nothing to do").says("post-quantum keys");
        // Nobody can tell what a stopped server will load: what is set stays.
        living.stop();
        living.secure(&["--offline"], &by).run().succeeded().says("nothing to do");
        living.start();
        let none = policy(&living, "hybrid_groups = [\"X25519MLKEM768\"]", "hybrid_groups = []");
        living.secure(&["--policy", &none], &by).run().succeeded().says("nothing to do");
        living.verb("undo", &["--allow-insecure"], &by).run().succeeded();
        assert_eq!(living.kept_files(), before);
        record("a hybrid post-quantum group comes first where the server's OpenSSL has it", 1);
    }
}

/// Whether the system's OpenSSL, which all servers but that one use, has the hybrid: it has it since 3.5.
fn the_systems_openssl_has_hybrids() -> bool {
    let mut openssl = Account::current().command("openssl", "/nonexistent".as_ref());
    openssl.current_dir("/").arg("version");
    let said = run(openssl, b"", Duration::from_secs(20)).succeeded();
    let version = said.stdout().split_whitespace().nth(1).expect("OpenSSL 3.0.17 …");
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().expect("a number"));
    (numbers.next(), numbers.next()) >= (Some(3), Some(5))
}

/// What an 18 of the system's OpenSSL is set to.
fn groups_of_18() -> String {
    let hybrid = if the_systems_openssl_has_hybrids() { format!("{HYBRID}:") } else { String::new() };
    format!("{hybrid}X25519:prime256v1:secp384r1")
}

#[test]
fn where_openssl_has_none_none_is_set() {
    let by = Account::current();
    let living = Living::of(18);
    let ran = living.secure(&["--format", "json"], &by).run().succeeded();
    assert_eq!(living.sql("SHOW ssl_groups"), groups_of_18(), "{ran}");
    let claims = ran.json()["claims"].as_array().expect("a list").clone();
    let claimed = claims.iter().any(|claim| claim["name"] == "post-quantum");
    assert_eq!(claimed, the_systems_openssl_has_hybrids(), "{ran}");
    record("where OpenSSL has no hybrid group none is set", 1);
}

#[test]
fn every_version_gets_the_settings_that_it_knows() {
    for version in versions() {
        let by = Account::current();
        let living = Living::of(*version);
        let show = |name: &str| living.sql(&format!("SHOW {name}"));
        living.secure(&[], &by).run().succeeded();
        assert_eq!(show("ssl_min_protocol_version"), "TLSv1.2", "also on 12, which has TLSv1");
        assert_eq!(show("password_encryption"), "scram-sha-256", "also before 14, which have md5");
        assert_eq!(show("ssl_prefer_server_ciphers"), "on");
        assert!(show("ssl_ciphers").starts_with("ECDHE-ECDSA-AES256-GCM-SHA384:"));
        let conf = living.read("postgresql.conf");
        if *version >= 18 {
            assert_eq!(show("ssl_groups"), groups_of_18());
            assert!(show("ssl_tls13_ciphers").starts_with("TLS_AES_256_GCM_SHA384:"));
            assert!(!conf.contains("\nssl_ecdh_curve"), "{conf}");
        } else {
            assert_eq!(show("ssl_ecdh_curve"), "prime256v1");
            let unknown = conf.contains("ssl_groups") || conf.contains("ssl_tls13_ciphers");
            assert!(!unknown, "{conf}");
        }
        assert_eq!(living.shown(), Shown::Both);
        record("every version gets the settings that it knows", 1);
    }
}

#[test]
fn a_policy_of_ones_own_may_want_another_hybrid_and_no_other_word() {
    for version in versions_in_turn(1) {
        let living = Living::of(version);
        let by = Account::current();
        let from = "hybrid_groups = [\"X25519MLKEM768\"]";
        let wrong = policy(&living, from, "hybrid_groups = [\"nonsense\"]");
        let refused = living.secure(&["--policy", &wrong], &by).run().ended(3);
        refused.complains("nonsense is no hybrid group").complains("X25519MLKEM768");
        assert!(!living.ca_of(&by).exists());
    }
    let living = with_hybrids();
    let by = Account::current();
    let other =
        policy(&living, "hybrid_groups = [\"X25519MLKEM768\"]", "hybrid_groups = [\"SecP256r1MLKEM768\"]");
    let ran = living.secure(&["--policy", &other, "--format", "json"], &by).run().succeeded();
    let left_out = ran.json()["left_out"].to_string();
    assert!(left_out.contains("pgseal itself does not speak SecP256r1MLKEM768"), "{ran}");
    offers(&living, "SecP256r1MLKEM768").succeeded();
    assert_eq!(living.shown(), Shown::Both);
}

fn policy(living: &Living, from: &str, to: &str) -> String {
    let text = include_str!("../crates/pgseal/src/policy/intermediate.toml");
    assert!(text.contains(from));
    let by = Account::current();
    let path = living.sandbox().file_of(&by, "policy.toml", 0o644, &text.replace(from, to));
    path.display().to_string()
}
