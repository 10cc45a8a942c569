//! What `secure` is given and cannot be done: for each, the sentence that says so, the exit status, and every file as it
//! was. Nothing is signalled, and nobody is refused.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use time::OffsetDateTime;

use crate::harness::{
    APP, APP_PASSWORD, Account, Forge, Forged, Living, Ran, Sandbox, record, run, versions, versions_in_turn,
};

/// It ended with `code`, said this, and nothing is changed.
#[track_caller]
fn refused(living: &Living, code: i32, sentence: &str, secure: impl FnOnce() -> Ran) -> Ran {
    let (before, log) = (living.kept_files(), living.log_text());
    let ca = living.ca_of(&Account::current());
    let ran = secure().ended(code).complains(sentence);
    assert_eq!(living.kept_files(), before, "{ran}");
    assert!(!ca.exists(), "no CA was made:\n{ran}");
    assert!(!living.log_text()[log.len()..].contains("SIGHUP"), "no reload:\n{ran}\n{}", living.log_text());
    record("what secure cannot do is refused before anything is changed", 1);
    ran
}

fn by() -> Account {
    Account::current()
}

/// A server for the `nth` case.
fn servers(nth: usize) -> impl Iterator<Item = Living> {
    versions_in_turn(nth).into_iter().map(Living::of)
}

#[test]
fn who_may_not_is_told_who_may() {
    for living in servers(0) {
        let app = || living.secure(&[], &by()).env("PGUSER", APP).env("PGPASSWORD", APP_PASSWORD);
        refused(&living, 3, "app is no superuser", || app().run()).complains("nothing was changed");
        let nobody = || living.secure(&[], &by()).env("PGUSER", "no-such-role");
        refused(&living, 3, "could not log in as no-such-role", || nobody().run());
        if by() != Account::ordinary() {
            let others = living.secure(&[], &Account::ordinary()).run().ended(3);
            others.complains("belongs to postgres, and you are not postgres").complains("sudo");
        }
    }
}

#[test]
fn options_that_lack_something_are_refused_first() {
    for living in servers(1) {
        let plain = |words: &[&str]| living.verb("secure", words, &by()).run();
        refused(&living, 2, "there is no certificate to serve", || plain(&["--yes"])).complains("--new-ca");
        let ca = living.sandbox().join("elsewhere/ca").display().to_string();
        refused(&living, 2, "there is no folder", || plain(&["--yes", "--new-ca", &ca]))
            .complains("mkdir -p");
        let ca = living.sandbox().join("new-ca").display().to_string();
        refused(&living, 2, "there is nobody to ask", || plain(&["--new-ca", &ca])).complains("--yes");
        let there = living.sandbox().dir_of(&by(), "there").display().to_string();
        refused(&living, 2, "there is something already", || plain(&["--yes", "--new-ca", &there]));
        refused(&living, 2, "there is no", || plain(&["--yes", "--ca", &there])).complains("cert ca init");
        refused(&living, 3, "could not read the policy", || plain(&["--yes", "--policy", "strict"]));
        let no_password = || living.secure(&["--enforce"], &by()).env("PGPASSWORD", "");
        refused(&living, 1, "wants a login over TLS", || no_password().run()).complains("PGPASSWORD");
        for words in [
            &["--except", "app@127.0.0.1", "--enforce"][..],
            &["--except", "app@127.0.0.1", "--until", "2099-01-01"],
            &["--except", "app@nowhere", "--until", "2099-01-01", "--enforce"],
            &["--except", "app@127.0.0.1", "--until", "soon", "--enforce"],
            &["--except", "app@127.0.0.1", "--until", "2020-01-31", "--enforce"],
            &["--confirm-within", "2d"],
            &["--end-plaintext-sessions"],
            &["--cert", "a"],
            &["--dry-run", "--check"],
            &["--key-type", "ed25519"],
        ] {
            refused(&living, 2, "--", || living.secure(words, &by()).run());
        }
    }
}

#[test]
fn a_configuration_that_is_broken_already_is_named_with_its_line() {
    for version in versions() {
        let living = Living::of(*version);
        let conf = living.read("postgresql.conf");
        let lines = conf.lines().count() + 1;
        for broken in ["this is no setting at all", "work_mem = ", "= 5", "no_such_parameter_here = 1"] {
            living.write("postgresql.conf", &format!("{conf}\n{broken}\n"));
            let ran = refused(&living, 3, "the configuration is broken already", || {
                living.secure(&[], &by()).run()
            });
            assert!(ran.stderr().contains(&format!("postgresql.conf line {}", lines + 1)), "{broken}: {ran}");
        }
        living.write("postgresql.conf", &format!("{conf}\ninclude 'absent.conf'\n"));
        refused(&living, 3, "the configuration is broken already", || living.secure(&[], &by()).run())
            .complains("absent.conf");
        // PostgreSQL refuses the value and takes the rest: that stands in nobody's way.
        living.write("postgresql.conf", &format!("{conf}\nwork_mem = 'a lot'\n"));
        living.secure(&[], &by()).run().succeeded();
        living.psql("verify-full").run("SELECT 1").succeeded();
    }
}

#[test]
fn rules_that_are_broken_already_are_not_enforced_upon() {
    for version in versions() {
        let living = Living::of(*version);
        let hba = living.read("pg_hba.conf");
        living.write("pg_hba.conf", &format!("{hba}host all all nowhere/99 scram-sha-256\n"));
        let enforce = || living.secure(&["--enforce"], &by()).run();
        refused(&living, 3, "PostgreSQL would not load", enforce).complains("pgseal hba check");
        // TLS needs none of it: the server goes on with the rules that it has.
        living.secured(&by());
        living.psql("verify-full").run("SELECT 1").succeeded();
        living.psql("disable").run("SELECT 1").succeeded();
    }
}

#[test]
fn a_server_that_cannot_be_reached_from_inside_is_left_alone() {
    for version in versions() {
        let mut living = Living::set_up(*version, |setup| setup.args(&["-c", "listen_addresses="]));
        refused(&living, 3, "listens on no TCP address", || living.secure(&[], &by()).run());
        living.write_hba("host all all all scram-sha-256\n");
        living.reload();
        living.wait_for_log("received SIGHUP");
        refused(&living, 3, "could not log in as postgres", || living.secure(&[], &by()).run())
            .complains("no pg_hba.conf entry");
        living.stop();
        let down = refused(&living, 3, "no server runs on", || living.secure(&[], &by()).run());
        down.complains("start it the way it is always started");
    }
}

#[test]
fn what_the_command_line_fixes_is_named() {
    for version in versions() {
        let args = ["-c", "ssl=off", "-c", "ssl_max_protocol_version=TLSv1.2"];
        let living = Living::set_up(*version, |setup| setup.args(&args));
        let ran = refused(&living, 3, "the server's command line fixes", || living.secure(&[], &by()).run());
        ran.complains("ssl (to be on)").complains("restart it, then again");
        let living = Living::set_up(*version, |setup| setup.args(&["--ssl-ciphers=HIGH"]));
        refused(&living, 3, "fixes ssl_ciphers", || living.secure(&[], &by()).run());
    }
}

#[test]
fn who_manages_the_server_is_named_with_the_way_there() {
    for (nth, (file, manager, way)) in [
        ("patroni.dynamic.json", "Patroni manages this server", "patronictl edit-config"),
        ("postgresql.base.conf", "Patroni manages this server", "patronictl edit-config"),
        ("custom.conf", "CloudNativePG manages this server", "spec.certificates"),
    ]
    .into_iter()
    .enumerate()
    {
        for living in servers(nth) {
            living.write(file, "{}");
            refused(&living, 3, manager, || living.secure(&[], &by()).run()).complains(way);
        }
    }
}

/// A certificate from elsewhere, in files that only we can write.
fn given(sandbox: &Sandbox, certificate: &str, key: &str) -> [String; 4] {
    let file =
        |name: &str, mode: u32, text: &str| sandbox.file_of(&by(), name, mode, text).display().to_string();
    [
        "--cert".to_owned(),
        file("given.crt", 0o644, certificate),
        "--key".to_owned(),
        file("given.key", 0o600, key),
    ]
}

fn openssl(sandbox: &Sandbox, words: &[&str]) {
    let mut command: Command = by().command("openssl", sandbox.path());
    command.current_dir(sandbox.path()).args(words);
    run(command, b"", Duration::from_secs(60)).succeeded();
}

#[test]
fn a_certificate_that_clients_or_servers_would_refuse_is_not_installed() {
    let forge = Forge::new("an authority of the house");
    let names = ["localhost", "127.0.0.1"];
    let now = OffsetDateTime::now_utc();
    let day = time::Duration::days(1);
    for (nth, version) in versions().iter().enumerate() {
        let living = Living::of(*version);
        let with = |given: [String; 4], more: &[&str]| {
            let words: Vec<&str> = given.iter().map(String::as_str).chain(more.iter().copied()).collect();
            living.verb("secure", &[&["--yes"], &words[..]].concat(), &by()).run()
        };
        let of = |leaf: &Forged| given(living.sandbox(), &leaf.certificate, &leaf.key);
        let good = forge.leaf(&names);
        let refusal = |leaf: &Forged, more: &[&str], sentence: &str| {
            let given = of(leaf);
            let key: String = leaf.key.lines().nth(1).unwrap_or_default().to_owned();
            refused(&living, 2, sentence, || with(given, more)).never_mentions(&key);
        };
        refusal(&good, &["--san", "db.example.org"], "it is not for db.example.org");
        refusal(&forge.leaf_dated(&names, now - 9 * day, now - day), &[], "it expired on");
        refusal(&forge.leaf_dated(&names, now + day, now + 9 * day), &[], "it is not valid before");
        let other = Forged { certificate: good.certificate.clone(), key: forge.leaf(&names).key };
        refusal(&other, &[], "does not belong to the certificate");
        refusal(&forge.client("app"), &[], "the certificate");
        let garbage = Forged { certificate: "no PEM".to_owned(), key: good.key.clone() };
        refusal(&garbage, &[], "given.crt cannot be read as PEM");
        let keyless = Forged { certificate: good.certificate.clone(), key: good.certificate.clone() };
        refusal(&keyless, &[], "holds no private key");
        if nth == 0 {
            with_openssl(&living);
        }
        // One that does is taken, its chain put in order, and found again the next time.
        let mixed = format!("{}{}", good.certificate, forge.certificate());
        let given = given(living.sandbox(), &mixed, &good.key);
        with(given.clone(), &[]).succeeded().says("chain verifies");
        with(given, &[]).succeeded().says("nothing to do");
        assert!(
            !fs::read_to_string(living.tls_folder().join("server.crt"))
                .unwrap()
                .contains(forge.certificate())
        );
        living.psql("verify-full").run("SELECT 1").succeeded();
    }
}

#[test]
fn a_certificate_for_other_names_is_installed_only_where_somebody_says_that_they_count() {
    for living in servers(4) {
        let forge = Forge::new("an authority of the house");
        let with = |names: &[&str], more: &[&str]| {
            let leaf = forge.leaf(names);
            let chain = format!("{}{}", leaf.certificate, forge.certificate());
            let pair = given(living.sandbox(), &chain, &leaf.key);
            let words: Vec<&str> = pair.iter().map(String::as_str).chain(more.iter().copied()).collect();
            living.verb("secure", &[&["--yes"], &words[..]].concat(), &by()).run()
        };
        let other = &["other.example"];
        let ran = refused(&living, 2, "is for none of this server's names", || with(other, &[]));
        ran.complains("it is for other.example").complains("it is not for localhost, 127.0.0.1");
        refused(&living, 2, "it is not for db.example.org", || with(other, &["--san", "db.example.org"]));
        with(other, &["--san", "other.example"]).succeeded().never_mentions("and not for");
        // Some of them will do, and what it lacks is said.
        let some = with(&["localhost", "other.example"], &[]).succeeded();
        some.complains("the certificate is for localhost, and not for 127.0.0.1");
        living.psql("verify-full").run("SELECT 1").succeeded();
    }
}

/// What only openssl makes: keys that are too short, and keys behind a passphrase.
fn with_openssl(living: &Living) {
    let sandbox = living.sandbox();
    let short =
        ["req", "-x509", "-newkey", "rsa:1024", "-nodes", "-keyout", "short.key", "-out", "short-ca.crt"];
    openssl(sandbox, &[&short[..], &["-subj", "/CN=short"]].concat());
    openssl(sandbox, &["req", "-new", "-key", "short.key", "-subj", "/CN=localhost", "-out", "short.csr"]);
    sandbox.file_of(&by(), "ext", 0o644, "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n");
    let sign =
        ["x509", "-req", "-in", "short.csr", "-CA", "short-ca.crt", "-CAkey", "short.key", "-extfile", "ext"];
    openssl(sandbox, &[&sign[..], &["-CAcreateserial", "-days", "30", "-out", "short.crt"]].concat());
    let path = |name: &str| sandbox.join(name).display().to_string();
    let pair = |certificate: &str, key: &str| {
        living.verb("secure", &["--yes", "--cert", &path(certificate), "--key", &path(key)], &by()).run()
    };
    refused(living, 2, "RSA with 1024 bits", || pair("short.crt", "short.key"));

    let forge = Forge::new("an authority of the house");
    let leaf = forge.leaf(&["localhost"]);
    sandbox.file_of(&by(), "open.key", 0o600, &leaf.key);
    sandbox.file_of(&by(), "locked.crt", 0o644, &leaf.certificate);
    let lock = ["pkcs8", "-topk8", "-in", "open.key", "-out", "locked.key", "-passout", "pass:a phrase"];
    openssl(sandbox, &[&lock[..], &["-v2", "aes-256-cbc"]].concat());
    refused(living, 2, "is behind a passphrase", || pair("locked.crt", "locked.key"))
        .complains("openssl pkey");
    // A link to a file that somebody else could write is no better than that file.
    if by() != Account::ordinary() {
        let theirs = sandbox.file_of(&Account::ordinary(), "theirs.key", 0o600, &leaf.key);
        refused(living, 3, "refused to use", || pair("locked.crt", "theirs.key")).never_mentions(&leaf.key);
        symlink(theirs, sandbox.join("link.key")).unwrap();
        refused(living, 3, "refused to use", || pair("locked.crt", "link.key")).never_mentions(&leaf.key);
    }
}

#[test]
fn a_build_without_ssl_is_told_from_one_that_has_it_off() {
    use crate::harness::{Install, Server, USUAL_HBA};
    let server = Server::with(Install::without_ssl()).hba(USUAL_HBA).start();
    let journal = server.sandbox().home_of(&by()).join("journal");
    let ca = server.sandbox().home_of(&by()).join("ca");
    let before = server.read("postgresql.conf");
    let ran = crate::harness::Pgseal::new(server.sandbox())
        .env("PGSEAL_STATE_DIR", journal)
        .env("PGUSER", "postgres")
        .arg("secure")
        .arg(server.data())
        .args(["--yes", "--new-ca"])
        .arg(&ca)
        .run()
        .ended(3);
    ran.complains("built without SSL").complains("nothing was changed");
    assert_eq!(server.read("postgresql.conf"), before);
    assert!(!ca.exists());
}
