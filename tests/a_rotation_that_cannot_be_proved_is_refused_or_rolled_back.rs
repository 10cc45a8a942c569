//! What would make a reload fail in silence (`pg_reload_conf()` says `t` all the same), or hand clients a certificate that
//! they do not take, is said before anything is written. What shows only on the wire is taken back, and the certificate of
//! before verified there; a restart works either way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use time::{Duration, OffsetDateTime};

use crate::harness::{
    APP_PASSWORD, Account, Forge, Forged, Living, PASSWORD, Ran, leaf_params, record, run, served, this_year,
    versions, versions_in_turn,
};

fn by() -> Account {
    Account::current()
}

#[track_caller]
fn rotate(living: &Living, words: &[&str]) -> Ran {
    living.verb("rotate", words, &by()).run()
}

/// It ended with `code` and said this; every file, the wire and the log are as they were.
#[track_caller]
fn refused(living: &Living, code: i32, sentence: &str, words: &[&str]) -> Ran {
    let (before, shown, log) = (living.kept_files(), served(living.port()), living.log_text());
    let ran = rotate(living, words).ended(code).complains(sentence).complains("nothing was changed");
    let ran = ran.never_mentions(PASSWORD).never_mentions(APP_PASSWORD).never_mentions("PRIVATE KEY");
    assert_eq!(living.kept_files(), before, "{ran}");
    assert_eq!(served(living.port()), shown, "{ran}");
    assert!(!living.log_text()[log.len()..].contains("SIGHUP"), "no reload:\n{ran}");
    record("what a rotation cannot do is refused before anything is changed", 1);
    ran
}

fn files(living: &Living, name: &str, forged: &Forged) -> [PathBuf; 2] {
    let sandbox = living.sandbox();
    [
        sandbox.file_of(&by(), &format!("{name}.crt"), 0o644, &forged.certificate),
        sandbox.file_of(&by(), &format!("{name}.key"), 0o600, &forged.key),
    ]
}

fn words(files: &[PathBuf; 2]) -> [&str; 4] {
    ["--cert", files[0].to_str().unwrap(), "--key", files[1].to_str().unwrap()]
}

fn openssl(script: &str, folder: &Path) {
    let mut shell = Command::new("sh");
    shell.current_dir(folder).args(["-ec", script]);
    run(shell, b"", std::time::Duration::from_secs(30)).succeeded();
}

const NAMES: [&str; 4] = ["localhost", "127.0.0.1", "::1", "db1"];

#[test]
fn files_that_are_no_pair_are_refused_with_what_they_are() {
    for version in versions_in_turn(0) {
        let living = Living::of(version);
        living.secured(&by());
        let forge = Forge::new("another CA");
        let good = files(&living, "good", &forge.leaf(&NAMES));
        let other = files(&living, "other", &forge.leaf(&NAMES));
        let folder = good[0].parent().unwrap();

        let swapped = [good[1].clone(), good[0].clone()];
        refused(&living, 2, "holds no certificate", &words(&swapped)).complains("are swapped");
        let mismatched = [good[0].clone(), other[1].clone()];
        refused(&living, 2, "does not belong to the certificate", &words(&mismatched));
        openssl(
            "openssl x509 -in good.crt -outform der -out der.crt; openssl pkey -in good.key -outform der -out der.key",
            folder,
        );
        refused(&living, 2, "openssl x509 -inform der", &words(&[folder.join("der.crt"), good[1].clone()]));
        refused(&living, 2, "openssl pkey -inform der", &words(&[good[0].clone(), folder.join("der.key")]));
        openssl("openssl pkcs12 -export -in good.crt -inkey good.key -passout pass: -out both.p12", folder);
        refused(&living, 2, "PKCS#12", &words(&[folder.join("both.p12"), good[1].clone()]));
        fs::write(folder.join("junk.crt"), "no certificate at all\n").unwrap();
        refused(&living, 2, "no PEM block", &words(&[folder.join("junk.crt"), good[1].clone()]));
        openssl("openssl pkey -in good.key -aes256 -passout pass:sesame -out closed.key", folder);
        refused(&living, 2, "behind a passphrase", &words(&[good[0].clone(), folder.join("closed.key")]))
            .complains("ssl_passphrase_command is empty");
        let none = folder.join("none.crt");
        rotate(&living, &words(&[none, good[1].clone()])).ended(3).complains("could not read");
    }
}

#[test]
fn certificates_that_clients_would_not_take_are_refused_with_the_reason() {
    for version in versions_in_turn(1) {
        let living = Living::of(version);
        living.secured(&by());
        let forge = Forge::new("another CA");
        let now = OffsetDateTime::now_utc();
        let (begin, end) = this_year();
        let cases = [
            ("early", forge.leaf_dated(&NAMES, now + Duration::days(1), end), "not valid before"),
            (
                "late",
                forge.leaf_dated(&NAMES, begin - Duration::days(9), now - Duration::days(1)),
                "it expired on",
            ),
            ("client", forge.client("app"), "no subject alternative names"),
            (
                "ca",
                {
                    let mut params = leaf_params(&NAMES, begin, end);
                    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
                    forge.sign(&params)
                },
                "a CA's certificate",
            ),
        ];
        for (name, forged, sentence) in cases {
            let pair = files(&living, name, &forged);
            refused(&living, 2, sentence, &words(&pair));
        }
        let fewer = files(&living, "fewer", &forge.leaf(&["localhost"]));
        refused(&living, 1, "the new certificate is not for", &words(&fewer)).complains("--allow-unseen");
        // Another root: nobody here knows who trusts it.
        let names: Vec<String> = names_of(&living);
        let stranger = files(&living, "stranger", &forge.leaf(&names));
        refused(&living, 1, "it changes", &words(&stranger)).complains("give them the new CA first");
        refused(&living, 2, "never outlives its CA", &["--validity", "36000d"]);
    }
}

fn names_of(living: &Living) -> Vec<String> {
    let place = format!("localhost:{}", living.port());
    let shown =
        living.pgseal(&by()).args(["cert", "show", "--format", "json", &place]).run().succeeded().json();
    let list = |name: &str| shown["certificates"][0][name].as_array().cloned().unwrap_or_default();
    [list("dns_names"), list("ip_addresses")]
        .concat()
        .iter()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}

/// As TRAPS has it: each makes the server say `SSL configuration was not reloaded`, go on with what it had, and refuse to
/// start again.
#[test]
fn files_beside_the_certificate_that_cannot_be_loaded_are_found_before() {
    for version in versions() {
        let mut living = Living::of(*version);
        living.secured(&by());
        let conf = living.read("postgresql.conf");
        living.write("empty.crt", "");
        living.write("garbage.crt", "no certificate at all\n");
        living.write("broken.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        for line in [
            "ssl_ca_file = 'absent.crt'",
            "ssl_ca_file = 'empty.crt'",
            "ssl_ca_file = 'garbage.crt'",
            "ssl_ca_file = 'broken.crt'",
            "ssl_crl_file = 'garbage.crt'",
        ] {
            living.write("postgresql.conf", &format!("{conf}\n{line}\n"));
            living.reload();
            living.wait_for_log("SSL configuration was not reloaded");
            refused(&living, 3, "the server would not take a new certificate", &[]);
        }
        living.write("postgresql.conf", &format!("{conf}\nthis is no setting\n"));
        refused(&living, 3, "the configuration is broken already", &[]);
        living.write("postgresql.conf", &conf);
        let hba = living.read("pg_hba.conf");
        living.write("pg_hba.conf", &format!("{hba}\nhost all all nowhere/99 trust\n"));
        refused(&living, 3, "PostgreSQL would refuse its own files", &[]);
        living.write("pg_hba.conf", &hba);
        living.reload();
        rotate(&living, &[]).succeeded();
        living.restart();
        living.psql("verify-full").run("SELECT 1").succeeded();
    }
}

/// It ended with 4; files and wire are as they were, and the server starts again.
#[track_caller]
fn rolled_back(living: &mut Living, said: &str, words: &[&str]) {
    let (before, shown, started) = (living.kept_files(), served(living.port()), living.started());
    let ran = rotate(living, words).ended(4).complains("rolled back: ").complains("nothing is changed");
    assert!(ran.stderr().contains(said), "the server's own words, {said:?}:\n{ran}");
    assert_eq!(living.kept_files(), before, "{ran}");
    assert_eq!(served(living.port()), shown, "{ran}");
    assert_eq!(living.started(), started, "{ran}");
    living.psql("verify-full").run("SELECT 1").succeeded();
    record("a rotation that is not proved is rolled back", 1);
}

#[test]
fn what_only_the_reload_shows_is_rolled_back_and_the_old_certificate_verified() {
    for version in versions() {
        let mut living = Living::of(*version);
        living.secured(&by());
        let conf = living.read("postgresql.conf");
        let line = if *version >= 18 { "ssl_groups = 'nonsense'" } else { "ssl_ecdh_curve = 'nonsense'" };
        living.write("postgresql.conf", &format!("{conf}\n{line}\n"));
        rolled_back(&mut living, "SSL configuration was not reloaded", &[]);
        living.write("postgresql.conf", &conf);
        living.reload();
        rotate(&living, &[]).succeeded();
        living.restart();
        living.psql("verify-full").run("SELECT 1").succeeded();
    }
}

#[test]
fn an_encrypted_key_is_followed_by_one_that_the_server_can_open_at_a_reload() {
    for version in versions_in_turn(1) {
        let mut living = Living::of(version);
        living.secured(&by());
        let words = living.sandbox().file_of(&by(), "passphrase", 0o600, "open sesame\n");
        let given = ["--key-passphrase-file", words.to_str().unwrap()];
        refused(&living, 2, "the server has no way to open it", &given);
        let conf = living.read("postgresql.conf");
        let command = "ssl_passphrase_command = 'echo open sesame'";
        living.write("postgresql.conf", &format!("{conf}\n{command}\n"));
        living.reload();
        refused(&living, 2, "a reload would not open it", &given).complains("supports_reload");
        living.write(
            "postgresql.conf",
            &format!("{conf}\n{command}\nssl_passphrase_command_supports_reload = on\n"),
        );
        living.reload();
        rotate(&living, &given).succeeded();
        let pem = fs::read_to_string(living.tls_folder().join("server-with-key.pem")).unwrap();
        assert!(pem.contains("ENCRYPTED PRIVATE KEY"), "the key is behind the passphrase");
        living.restart();
        living.psql("verify-full").run("SELECT 1").succeeded();
        // The next one is asked for the same, or told that it may go without.
        refused(&living, 2, "none was given for the new one", &[]).complains("--plain-key");
        let wrong = living.sandbox().file_of(&by(), "wrong", 0o600, "open barley\n");
        rolled_back(
            &mut living,
            "could not load private key file",
            &["--key-passphrase-file", wrong.to_str().unwrap()],
        );
        rotate(&living, &given).succeeded();
        rotate(&living, &["--plain-key"]).succeeded();
        living.psql("verify-full").run("SELECT 1").succeeded();
    }
}
