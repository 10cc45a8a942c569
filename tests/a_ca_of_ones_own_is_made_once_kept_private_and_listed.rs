//! `pgseal cert ca` and `cert list`: a CA is made once and never over another one, its key is its owner's, behind a
//! passphrase where that is asked; it confines itself to names; what it issues is listed with where it lies.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{
    Account, Install, Living, Pgseal, Ran, Sandbox, Schema, Sealed, record, run, versions_in_turn,
};

fn by() -> Account {
    Account::current()
}

fn cert<'s>(sandbox: &'s Sandbox, words: &[&str]) -> Pgseal<'s> {
    let state = sandbox.home_of(&by()).join("state");
    Pgseal::new(sandbox).env("PGSEAL_STATE_DIR", state).arg("cert").args(words)
}

#[track_caller]
fn told(sandbox: &Sandbox, schema: &str, words: &[&str]) -> Value {
    let ran = cert(sandbox, words).args(["--format", "json"]).run().succeeded();
    let told = ran.json();
    Schema::of(schema).admits(&told);
    told
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).permissions().mode() & 0o7777
}

#[track_caller]
fn refused(sandbox: &Sandbox, words: &[&str], code: i32, sentence: &str) -> Ran {
    cert(sandbox, words).run().ended(code).complains(sentence).never_mentions("PRIVATE KEY")
}

#[test]
fn it_is_made_once_and_its_key_is_its_owners_alone() {
    let sandbox = Sandbox::new();
    let made = told(&sandbox, "cert-ca", &["ca", "init", "ca", "--subject", "CN=Server CA,O=Example"]);
    assert_eq!(made["certificate"]["subject"], "CN=Server CA,O=Example");
    let folder = cert(&sandbox, &[]).work_dir().join("ca");
    assert_eq!((mode(&folder), mode(&folder.join("server-ca.key"))), (0o700, 0o600));
    let key = fs::read(folder.join("server-ca.key")).unwrap();
    refused(&sandbox, &["ca", "init", "ca"], 2, "is there already").complains("never written over");
    assert_eq!(fs::read(folder.join("server-ca.key")).unwrap(), key);
    refused(&sandbox, &["ca", "show", "ca", "--client"], 2, "there is no client CA in ca");
    // One for clients may lie beside it, and is another one.
    let client = told(&sandbox, "cert-ca", &["ca", "init", "ca", "--client", "--key-type", "ecdsa-p384"]);
    assert_ne!(client["certificate"]["sha256"], made["certificate"]["sha256"]);
    let shown = told(&sandbox, "cert-ca", &["ca", "show", "ca"]);
    assert_eq!(shown["certificate"], made["certificate"]);
    let exported = cert(&sandbox, &["ca", "export", "ca"]).run().succeeded();
    assert_eq!(exported.stdout(), fs::read_to_string(folder.join("server-ca.crt")).unwrap());
    let renewed = told(&sandbox, "cert-ca", &["ca", "renew", "ca", "--validity", "90d"]);
    assert_eq!(renewed["certificate"]["subject"], made["certificate"]["subject"]);
    assert_ne!(renewed["certificate"]["serial"], made["certificate"]["serial"]);
    assert_eq!(fs::read(folder.join("server-ca.key")).unwrap(), key);
    // Who may read the folder could have read the key.
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o750)).unwrap();
    refused(&sandbox, &["server", "--ca", "ca", "--san", "db1", "--out", "db1"], 3, "is not private");
    assert!(!cert(&sandbox, &[]).work_dir().join("db1").exists());
    refused(&sandbox, &["ca", "init", "no/such/folder"], 2, "mkdir -p");
    refused(&sandbox, &["ca", "init", "ca2", "--subject", "nonsense"], 2, "is no attribute");
    record("a CA of one's own is made once, and its key is its owner's alone", 1);
}

#[test]
fn it_confines_itself_to_the_names_that_it_may_certify() {
    let sandbox = Sandbox::new();
    let made = told(&sandbox, "cert-ca", &["ca", "init", "ca", "--permit", "example.org,10.0.0.0/8"]);
    assert_eq!(made["permitted"], "example.org,10.0.0.0/8");
    told(
        &sandbox,
        "cert-issued",
        &["server", "--ca", "ca", "--san", "db1.example.org", "--san", "10.0.0.5", "--out", "db1"],
    );
    let words = ["server", "--ca", "ca", "--san", "db1.example.com", "--out", "db2"];
    refused(&sandbox, &words, 3, "do not permit the name");
    let words = ["server", "--ca", "ca", "--san", "db1.example.org", "--out", "db3", "--validity", "36000d"];
    refused(&sandbox, &words, 2, "never outlives its CA");
    let words = ["server", "--san", "db1.example.org", "--out", "db4"];
    refused(&sandbox, &words, 2, "--ca <DIR>");
    refused(&sandbox, &["client", "--ca", "ca", "--user", "app", "--out", "app"], 2, "there is no client CA");
    let words = ["server", "--ca", "ca", "--san", "db1.example.org", "--out", "db1"];
    refused(&sandbox, &words, 2, "is there already");
}

/// What a person types at a terminal of their own; what the terminal showed.
fn typed(sandbox: &Sandbox, words: &[&str], lines: &[&str]) -> Ran {
    const TYPE: &str = r"
import os, pty, sys, time
lines = sys.argv[1].split('|')
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
seen = b''
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:
        break
    if not part:
        break
    seen += part
    if part.rstrip().endswith(b':') and lines:
        os.write(terminal, lines.pop(0).encode() + b'\n')
sys.stdout.write(seen.decode(errors='replace'))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";
    let mut python = by().command("python3", &sandbox.home_of(&by()));
    python.current_dir(cert(sandbox, &[]).work_dir()).args(["-c", TYPE, &lines.join("|")]);
    python.arg(env!("CARGO_BIN_EXE_pgseal")).arg("cert").args(words);
    python.env("PGSEAL_STATE_DIR", sandbox.home_of(&by()).join("state"));
    run(python, b"", Duration::from_secs(120))
}

#[test]
fn its_passphrase_comes_from_a_terminal_a_file_or_a_descriptor_and_is_shown_by_none() {
    let sandbox = Sandbox::new();
    let secret = "correct horse battery";
    // An ordinary folder of the tests'.
    cert(&sandbox, &["list"]).run().succeeded();
    let differ = typed(&sandbox, &["ca", "init", "ca", "--encrypt-key"], &[secret, "another one"]).ended(1);
    differ.says("the two passphrases differ").never_mentions(secret);
    let made = typed(&sandbox, &["ca", "init", "ca", "--encrypt-key"], &[secret, secret]).succeeded();
    made.says("encrypted").never_mentions(secret);
    let key = fs::read_to_string(cert(&sandbox, &[]).work_dir().join("ca/server-ca.key")).unwrap();
    assert!(key.contains("ENCRYPTED PRIVATE KEY"));

    let issue = |out: &'static str| ["server", "--ca", "ca", "--san", "db1", "--out", out];
    typed(&sandbox, &issue("one"), &[secret]).succeeded().never_mentions(secret);
    let nobody = cert(&sandbox, &issue("two")).through("exec setsid -w \"$@\"").run().ended(2);
    nobody.complains("there is no terminal to ask on").complains("--ca-passphrase-file");
    let words = sandbox.file_of(&by(), "words", 0o600, &format!("{secret}\n"));
    let file = ["--ca-passphrase-file", words.to_str().unwrap()];
    cert(&sandbox, &issue("three")).args(file).run().succeeded().never_mentions(secret);
    cert(&sandbox, &issue("four")).args(["--ca-passphrase-file", "-"]).stdin(secret).run().succeeded();
    let through = format!("exec \"$@\" 5<'{}'", words.display());
    cert(&sandbox, &issue("five")).args(["--ca-passphrase-fd", "5"]).through(through).run().succeeded();
    let wrong =
        cert(&sandbox, &issue("six")).args(["--ca-passphrase-file", "-"]).stdin("wrong").run().ended(3);
    wrong.complains("wrong passphrase").never_mentions(secret);
    assert!(!cert(&sandbox, &[]).work_dir().join("six").exists());
    cert(&sandbox, &issue("seven"))
        .args(["--ca-passphrase-fd", "77"])
        .run()
        .ended(3)
        .complains("file descriptor 77");
    record("the passphrase of a CA's key is read from a terminal, a file and a descriptor", 3);
}

#[test]
fn what_was_issued_is_listed_with_where_it_lies() {
    let empty = Sandbox::new();
    cert(&empty, &["list"]).run().succeeded().says("no certificate is known here");
    for version in versions_in_turn(0) {
        let living = Living::of(version);
        let list = |words: &[&str]| -> Value {
            let ran = living.pgseal(&by()).args(["cert", "list", "--format", "json"]).args(words).run();
            let told = ran.json();
            Schema::of("cert-list").admits(&told);
            told
        };
        living.secured(&by());
        living.verb("rotate", &[], &by()).run().succeeded();
        let target = format!("dir:{}", living.target().canonicalize().unwrap().display());
        let servers = |told: &Value| -> Vec<Value> {
            let rows = told["certificates"].as_array().unwrap().iter();
            rows.filter(|row| row["places"].to_string().contains(&target)).cloned().collect()
        };
        let one = servers(&list(&[]));
        assert_eq!(one.len(), 1, "{one:?}");
        assert_eq!((&one[0]["purpose"], one[0]["days_left"].as_i64()), (&"server".into(), Some(364)));
        let soon = living.pgseal(&by()).args(["cert", "list", "--expiring", "400d"]).run().ended(1);
        soon.says("364 days left");
        living.pgseal(&by()).args(["cert", "list", "--expiring", "30d"]).run().succeeded();
    }
    for version in versions_in_turn(1) {
        let server = Sealed::with(&Install::of(version), &by(), &[]);
        let listed =
            server.pgseal().args(["cert", "list", "sealed", "--format", "json"]).run().succeeded().json();
        Schema::of("cert-list").admits(&listed);
        let purposes: Vec<&str> = listed["certificates"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|row| row["purpose"].as_str())
            .collect();
        assert_eq!(purposes, ["server", "authority"], "{listed:#}");
    }
}
