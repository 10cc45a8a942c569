//! `pgseal rotate` on servers as people set them up: key and certificate in two files, in one file of their own, in files
//! that the command line names or postgresql.auto.conf; with a certificate that somebody else renews.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::harness::{
    APP, APP_PASSWORD, Account, Forge, Forged, Install, Living, Psql, Ran, Sandbox, record, served,
    versions_in_turn,
};

const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "db1.example.org"];

/// Writes a file of the data directory before its server starts: the server's, 0600.
fn put(data: &Path, name: &str, content: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = data.join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    Account::owner_of(data).own(&path);
}

/// A server with a certificate of that authority's in `server.crt` and `server.key`.
fn two_files(version: u32, forge: &Forge, args: &[&str]) -> Living {
    let Forged { certificate, key } = forge.leaf(&NAMES);
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    Living::set_up(version, |setup| {
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        setup.conf("ssl = on").args(&words).before(move |data| {
            put(data, "server.crt", &certificate);
            put(data, "server.key", &key);
        })
    })
}

/// A new certificate of that authority's, in files of pgseal's user.
fn renewed(sandbox: &Sandbox, forge: &Forge, by: &Account) -> (PathBuf, PathBuf) {
    let Forged { certificate, key } = forge.leaf(&NAMES);
    (
        sandbox.file_of(by, "fullchain.pem", 0o644, &certificate),
        sandbox.file_of(by, "privkey.pem", 0o600, &key),
    )
}

/// psql that trusts that authority alone, and verifies fully.
#[track_caller]
fn verifies(living: &Living, forge: &Forge) {
    let root = living.sandbox().file_of(&Account::current(), "root.crt", 0o644, forge.certificate());
    let conninfo = format!(
        "host=localhost hostaddr=127.0.0.1 port={} user={APP} dbname=postgres sslmode=verify-full sslrootcert='{}'",
        living.port(),
        root.display()
    );
    let psql = Psql::to(conninfo).of(&Install::of(15)).env("PGPASSWORD", APP_PASSWORD);
    psql.run("SELECT 1").succeeded();
}

#[track_caller]
fn rotate(living: &Living, by: &Account, words: &[&str]) -> Ran {
    living.verb("rotate", words, by).arg("--format").arg("json").run()
}

#[track_caller]
fn rotates(living: &Living, by: &Account, words: &[&str]) {
    let before = served(living.port());
    let ran = rotate(living, by, words).succeeded().never_mentions("PRIVATE KEY");
    let now = served(living.port());
    assert_eq!(
        (&ran.json()["before"]["sha256"], &ran.json()["after"]["sha256"]),
        (&before.into(), &now.into()),
        "{ran}"
    );
}

#[test]
fn two_files_become_one_by_one_rename_and_are_two_again_after_undo() {
    for (nth, by) in Account::current_and_server().into_iter().enumerate() {
        for version in versions_in_turn(nth) {
            let forge = Forge::new("a company's CA");
            let mut living = two_files(version, &forge, &[]);
            let before = living.kept_files();
            let (cert, key) = renewed(living.sandbox(), &forge, &by);
            let old = served(living.port());
            let unknown = rotate(&living, &by, &[]).ended(2);
            unknown.complains("where the certificate").complains("--cert FILE --key FILE");
            rotates(&living, &by, &["--cert", cert.to_str().unwrap(), "--key", key.to_str().unwrap()]);
            verifies(&living, &forge);
            assert_eq!(living.sql("SHOW ssl_cert_file"), living.sql("SHOW ssl_key_file"));
            living.restart();
            verifies(&living, &forge);
            living.verb("undo", &[], &by).run().succeeded();
            assert_eq!(living.kept_files(), before, "undone to the byte");
            assert_eq!(served(living.port()), old);
            record("two files become one when their certificate is rotated, and two again after undo", 1);
        }
    }
}

/// It beats the main file; half of a pair in it and half in another file is no state to pass through.
#[test]
fn settings_in_postgresql_auto_conf_are_exchanged_there() {
    for version in versions_in_turn(1) {
        let by = Account::current();
        let forge = Forge::new("a company's CA");
        let mut living = two_files(version, &forge, &[]);
        living.sql("ALTER SYSTEM SET ssl_cert_file = 'server.crt'");
        let main = living.read("postgresql.conf");
        let (cert, key) = renewed(living.sandbox(), &forge, &by);
        rotates(&living, &by, &["--cert", cert.to_str().unwrap(), "--key", key.to_str().unwrap()]);
        assert_eq!(living.read("postgresql.conf"), main);
        living.restart();
        verifies(&living, &forge);
    }
}

#[test]
fn paths_that_the_command_line_fixes_want_the_risk_to_be_named() {
    for version in versions_in_turn(0) {
        let by = Account::current();
        let forge = Forge::new("a company's CA");
        let fixed = ["-c", "ssl_cert_file=server.crt", "-c", "ssl_key_file=server.key"];
        let mut living = two_files(version, &forge, &fixed);
        let before = living.kept_files();
        let (cert, key) = renewed(living.sandbox(), &forge, &by);
        let words = ["--cert", cert.to_str().unwrap(), "--key", key.to_str().unwrap()];
        let refused = rotate(&living, &by, &words).ended(1);
        refused.complains("command line fixes the paths").complains("--accept-crash-window");
        assert_eq!(living.kept_files(), before);
        rotates(&living, &by, &[&words[..], &["--accept-crash-window"]].concat());
        verifies(&living, &forge);
        living.restart();
        verifies(&living, &forge);
        living.verb("undo", &[], &by).run().succeeded();
        assert_eq!(living.kept_files(), before);
    }
}

#[test]
fn one_file_of_somebody_elses_is_exchanged_where_it_is_with_owner_and_mode() {
    for version in versions_in_turn(1) {
        let by = Account::current();
        let forge = Forge::new("a company's CA");
        let pem = forge.leaf(&NAMES).one_pem();
        let living = Living::set_up(version, |setup| {
            let both = "ssl = on\nssl_cert_file = 'pair.pem'\nssl_key_file = 'pair.pem'";
            setup.conf(both).before(move |data| put(data, "pair.pem", &pem))
        });
        let was = fs::metadata(living.data().join("pair.pem")).unwrap();
        let (cert, key) = renewed(living.sandbox(), &forge, &by);
        rotates(&living, &by, &["--cert", cert.to_str().unwrap(), "--key", key.to_str().unwrap()]);
        let now = fs::metadata(living.data().join("pair.pem")).unwrap();
        assert_eq!((was.uid(), was.gid(), was.mode()), (now.uid(), now.gid(), now.mode()));
        assert!(!living.tls_folder().exists(), "nothing is made beside it");
        verifies(&living, &forge);
    }
}

/// As certbot leaves it: links to what was renewed last.
#[test]
fn a_source_that_is_remembered_is_taken_when_it_is_newer_and_only_then() {
    for (nth, by) in Account::current_and_server().into_iter().enumerate() {
        for version in versions_in_turn(nth) {
            let forge = Forge::new("a company's CA");
            let living = two_files(version, &forge, &[]);
            let live = living.sandbox().dir_of(&by, "live");
            let lineage = |name: &str| {
                let (cert, key) = renewed(living.sandbox(), &forge, &by);
                for (file, link) in [(cert, "fullchain.pem"), (key, "privkey.pem")] {
                    let archived = live.join(format!("{name}-{link}"));
                    fs::rename(file, &archived).unwrap();
                    fs::remove_file(live.join(link)).ok();
                    symlink(&archived, live.join(link)).unwrap();
                }
            };
            lineage("1");
            let (cert, key) = (live.join("fullchain.pem"), live.join("privkey.pem"));
            rotates(&living, &by, &["--cert", cert.to_str().unwrap(), "--key", key.to_str().unwrap()]);
            let idle = rotate(&living, &by, &[]).succeeded();
            assert_eq!(idle.json()["state"], "as-wished", "{idle}");
            assert!(
                idle.json()["reason"].as_str().unwrap().contains("holds this very certificate"),
                "{idle}"
            );
            std::thread::sleep(std::time::Duration::from_millis(1100));
            lineage("2");
            living.verb("rotate", &["--check"], &by).run().ended(1);
            rotates(&living, &by, &[]);
            verifies(&living, &forge);
            living.verb("rotate", &["--check"], &by).run().succeeded();
            let hook = living.verb("rotate", &["--deploy-hook"], &by).run().succeeded();
            let line = hook.stdout();
            assert!(
                line.contains(&format!("--cert {}", cert.display())) && line.lines().count() == 1,
                "{hook}"
            );
            record("a renewed certificate is taken from the remembered files", 1);
        }
    }
}
