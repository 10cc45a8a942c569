//! A certificate from a CA elsewhere: the request goes out, the chain comes back in whatever order, is taken in, installed
//! by `rotate`, and verified by clients that hold the root alone. Or a program signs, which may fail, hang, or answer with
//! something else.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::harness::{
    APP, APP_PASSWORD, Account, Install, Living, Pgseal, Psql, Ran, Sandbox, Schema, record, run, served,
    versions_in_turn,
};

/// A root and an intermediate by openssl, and how they sign.
const COMPANY: &str = r"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout root.key -out root.crt -days 30 \
    -subj '/O=Company/CN=Company root' -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout inter.key -out inter.csr -subj '/O=Company/CN=Company issuing'
printf 'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n' > inter.ext
openssl x509 -req -in inter.csr -CA root.crt -CAkey root.key -CAcreateserial -days 20 -extfile inter.ext -out inter.crt
";

/// What the company's people do with a request.
const SIGN: &str = r#"
printf 'basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost,IP:127.0.0.1,DNS:db1.example.org\n' > leaf.ext
openssl x509 -req -in "$1" -CA inter.crt -CAkey inter.key -CAcreateserial -days 10 -extfile leaf.ext -out leaf.crt
"#;

fn by() -> Account {
    Account::current()
}

#[track_caller]
fn sh(folder: &Path, script: &str, words: &[&str]) {
    let mut shell = by().command("sh", "/nonexistent".as_ref());
    shell.current_dir(folder).args(["-ec", script, "sh"]).args(words);
    run(shell, b"", Duration::from_secs(60)).succeeded();
}

fn company(sandbox: &Sandbox) -> PathBuf {
    let folder = sandbox.dir_of(&by(), "company");
    sh(&folder, COMPANY, &[]);
    folder
}

fn cert<'s>(sandbox: &'s Sandbox, words: &[&str]) -> Pgseal<'s> {
    let state = sandbox.home_of(&by()).join("state");
    Pgseal::new(sandbox).env("PGSEAL_STATE_DIR", state).arg("cert").args(words)
}

#[track_caller]
fn verifies(living: &Living, root: &Path) {
    let conninfo = format!(
        "host=localhost hostaddr=127.0.0.1 port={} user={APP} dbname=postgres sslmode=verify-full sslrootcert='{}'",
        living.port(),
        root.display()
    );
    let psql = Psql::to(conninfo).of(&Install::of(15)).env("PGPASSWORD", APP_PASSWORD);
    psql.run("SELECT 1").succeeded();
}

#[test]
fn a_chain_in_any_order_is_taken_in_installed_and_verified_with_the_root_alone() {
    for version in versions_in_turn(0) {
        let sandbox = Sandbox::new();
        let folder = company(&sandbox);
        let asked = cert(
            &sandbox,
            &["csr", "--san", "localhost", "--san", "127.0.0.1", "--out", "db1", "--format", "json"],
        );
        let asked = asked.run().succeeded().json();
        Schema::of("cert-csr").admits(&asked);
        let (request, key) = (asked["request"].as_str().unwrap(), asked["key"].as_str().unwrap());
        assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o7777, 0o600);
        sh(&folder, SIGN, &[request]);
        sh(&folder, "cat root.crt; echo; echo 'with kind regards'; cat inter.crt leaf.crt", &[]);
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        let file = |name: &str, text: &str| sandbox.file_of(&by(), name, 0o644, text).display().to_string();
        let messy = file(
            "messy.pem",
            &format!("{}\nwith kind regards\n{}{}", read("root.crt"), read("inter.crt"), read("leaf.crt")),
        );
        let lonely = file("lonely.pem", &read("leaf.crt"));
        let root = folder.join("root.crt").display().to_string();

        let missing = ["import", &lonely, "--key", key, "--sslrootcert", &root, "--out", "signed"];
        let missing = cert(&sandbox, &missing).run().ended(2);
        missing.complains("CN=Company issuing").complains("is missing").complains("nothing was changed");
        let other = ["import", &file("root.pem", &read("root.crt")), "--key", key, "--out", "signed"];
        cert(&sandbox, &other).run().ended(2).complains("for another key");
        let elsewhere = ["import", &messy, "--key", key, "--san", "db9.example.org", "--out", "signed"];
        cert(&sandbox, &elsewhere).run().ended(2).complains("it is not for db9.example.org");

        let words =
            ["import", &messy, "--key", key, "--sslrootcert", &root, "--out", "signed", "--format", "json"];
        let told = cert(&sandbox, &words).run().succeeded().never_mentions("PRIVATE KEY").json();
        Schema::of("cert-issued").admits(&told);
        let notes = told["notes"].to_string();
        assert!(
            notes.contains("was put right")
                && notes.contains("the root CN=Company root,O=Company was left out"),
            "{told:#}"
        );
        let signed = cert(&sandbox, &[]).work_dir().join("signed");
        let chain = fs::read_to_string(signed.join("server.crt")).unwrap();
        assert_eq!(chain, format!("{}{}", bare(&read("leaf.crt")), bare(&read("inter.crt"))));

        // The issuer changes: clients that verified the CA of before are somebody else's to know of.
        let living = Living::of(version);
        living.secured(&by());
        let rotate = |further: &[&str]| {
            let certificate = signed.join("server.crt").display().to_string();
            let words = [&["--cert", &certificate, "--key", key, "--sslrootcert", &root], further].concat();
            living.verb("rotate", &words, &by()).run()
        };
        rotate(&[]).ended(1).complains("cannot be seen from here");
        rotate(&["--allow-unseen"]).succeeded();
        verifies(&living, Path::new(&root));
        record("a company's chain is taken in, installed and verified with the root alone", 1);
    }
}

/// A certificate's block alone.
fn bare(text: &str) -> String {
    let begin = text.find("-----BEGIN CERTIFICATE").unwrap();
    text[begin..].to_owned()
}

fn program(sandbox: &Sandbox, name: &str, script: &str) -> String {
    sandbox.file_of(&by(), name, 0o755, &format!("#!/bin/sh\nset -e\n{script}")).display().to_string()
}

#[test]
fn a_program_signs_and_what_it_signed_is_renewed_by_a_bare_rotate() {
    for version in versions_in_turn(1) {
        let living = Living::of(version);
        living.secured(&by());
        let folder = company(living.sandbox());
        let script = format!(
            "cd {}\ncat > request.$$\ntest \"$PGSEAL_VALIDITY_SECONDS\" -gt 0\ntest -z \"$PGPASSWORD$PGUSER\"\n\
             openssl x509 -req -in request.$$ -CA inter.crt -CAkey inter.key -CAcreateserial -days 10 \
             -copy_extensions copy -out leaf.crt >&2\ncat inter.crt leaf.crt root.crt\n",
            folder.display()
        );
        let sign = program(living.sandbox(), "sign", &script);
        let rotate = |words: &[&str]| living.verb("rotate", words, &by()).arg("--format").arg("json").run();
        rotate(&["--issuer-command", &sign]).ended(1).complains("cannot be seen from here");
        let first = rotate(&["--issuer-command", &sign, "--allow-unseen"]).succeeded().json();
        Schema::of("rotate").admits(&first);
        assert_eq!(first["origin"]["kind"], "command");
        verifies(&living, &folder.join("root.crt"));
        let second = rotate(&[]).succeeded().json();
        assert_eq!(second["before"]["sha256"], first["after"]["sha256"], "{second:#}");
        assert_eq!(second["after"]["sha256"], served(living.port()).as_str(), "{second:#}");
        verifies(&living, &folder.join("root.crt"));
        let hook = living.verb("rotate", &["--deploy-hook"], &by()).run().succeeded();
        assert!(hook.stdout().contains(&format!("--issuer-command {sign} --issuer-timeout 60s")), "{hook}");
        record("a program signs, and what it signed is renewed by a bare rotate", 1);
    }
}

/// It ended with 3 and said so; nothing was installed.
#[track_caller]
fn refused(living: &Living, program: &str, further: &[&str], sentence: &str) -> Ran {
    let before = (living.kept_files(), served(living.port()));
    let words = [&["--issuer-command", program], further].concat();
    let ran = living
        .verb("rotate", &words, &by())
        .run()
        .ended(3)
        .complains(sentence)
        .complains("nothing was changed");
    assert_eq!((living.kept_files(), served(living.port())), before, "{ran}");
    record("what a signing program does wrong is said, and changes nothing", 1);
    ran
}

#[test]
fn a_program_that_fails_hangs_or_answers_otherwise_changes_nothing() {
    for version in versions_in_turn(0) {
        let living = Living::of(version);
        living.secured(&by());
        let folder = company(living.sandbox());
        let make = |name: &str, script: &str| program(living.sandbox(), name, script);

        let failing = make(
            "failing",
            &format!(
                "echo x >> {}/tries\necho 'permission denied by policy' >&2\nexit 7\n",
                folder.display()
            ),
        );
        let ran = refused(&living, &failing, &["--issuer-tries", "2"], "permission denied by policy");
        ran.complains("tried 2 times");
        assert_eq!(fs::read_to_string(folder.join("tries")).unwrap().lines().count(), 2);

        let hanging = make("hanging", "sleep 600 & sleep 600\n");
        let start = Instant::now();
        let words = ["--issuer-timeout", "1s", "--issuer-tries", "1"];
        refused(&living, &hanging, &words, "did not end within 1 s, and was stopped");
        assert!(start.elapsed() < Duration::from_secs(50));

        let silent = make("silent", "cat > /dev/null\n");
        refused(&living, &silent, &[], "printed no certificate chain");
        let babbling = make("babbling", "cat > /dev/null\necho 'your ticket is number 42'\n");
        refused(&living, &babbling, &[], "printed no certificate chain");
        let endless = make("endless", "cat > /dev/null\nyes | head -c 3000000\n");
        refused(&living, &endless, &[], "printed more than");
        let another = make("another", &format!("cat > /dev/null\ncat {0}/inter.crt\n", folder.display()));
        refused(&living, &another, &[], "for another key than the request's");
        let giving =
            make("giving", &format!("cat > /dev/null\ncat {0}/inter.key {0}/inter.crt\n", folder.display()));
        refused(&living, &giving, &[], "printed a private key").never_mentions("BEGIN");
        refused(&living, "/nonexistent/program", &[], "could not find the program");
        living.psql("verify-full").run("SELECT 1").succeeded();
    }
}
