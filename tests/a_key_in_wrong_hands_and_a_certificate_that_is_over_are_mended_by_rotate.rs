//! A key that somebody stole is replaced and kept nowhere; an expired certificate or CA is mended by the same command, which
//! says what clients met meanwhile. A certificate that is good is left alone where only a due one is to be replaced.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::harness::{Account, Living, record, served, versions, versions_in_turn};

fn by() -> Account {
    Account::current()
}

/// Every file below that holds this text.
fn holding(folder: &Path, text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(holding(&path, text));
        } else if fs::read(&path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text)) {
            all.push(path.display().to_string());
        }
    }
    all
}

/// A line of the key that the server has now.
fn line_of_key(living: &Living) -> String {
    let pem = fs::read_to_string(living.tls_folder().join("server-with-key.pem")).unwrap();
    let (_, key) = pem.split_once("BEGIN PRIVATE KEY-----\n").unwrap();
    key.lines().next().unwrap().to_owned()
}

#[test]
fn no_copy_of_a_compromised_key_is_left_and_what_else_to_do_is_said() {
    for version in versions() {
        let living = Living::of(*version);
        living.secured(&by());
        living.verb("rotate", &[], &by()).run().succeeded();
        let stolen = line_of_key(&living);
        let sandbox = living.sandbox().path();
        assert!(!holding(sandbox, &stolen).is_empty());
        let ran = living.verb("rotate", &["--compromised"], &by()).run().succeeded();
        ran.says("pgseal cert revoke").says("sslcrl").says("cannot be undone").says("backups");
        assert_eq!(holding(sandbox, &stolen), Vec::<String>::new(), "a copy of the stolen key");
        assert_eq!(holding(sandbox, "-----BEGIN PRIVATE KEY").len(), 2, "the server's new key and the CA's");
        let undo = living.verb("undo", &[], &by()).run().ended(3);
        undo.complains("private key that is no longer kept").complains("nothing was changed");
        living.psql("verify-full").run("SELECT 1").succeeded();
        record("no copy of a compromised key is left", 1);
    }
}

#[test]
fn an_expired_certificate_and_an_expired_ca_are_mended_with_the_ca_of_before() {
    for version in versions_in_turn(0) {
        let living = Living::of(version);
        let ca = living.ca_of(&by());
        living.secured(&by());
        living.secure(&["--reissue", "--validity", "4s"], &by()).run().succeeded();
        let old_root = fs::read_to_string(ca.join("server-ca.crt")).unwrap();
        thread::sleep(Duration::from_millis(4_500));
        living.psql("verify-full").run("SELECT 1").ended(2).complains("certificate verify failed");
        living.psql("require").run("SELECT 1");
        let ran = living.verb("rotate", &["--validity", "90d"], &by()).run().succeeded();
        ran.says("was not valid").says("certificate verify failed");
        living.psql("verify-full").run("SELECT 1").succeeded();

        // Whoever wants the expired one back has to say so.
        let mended = served(living.port());
        let ran = living.verb("undo", &[], &by()).run().ended(1).complains("brings a certificate back");
        ran.complains("it expired on").complains("nothing was changed").complains("--allow-insecure");
        assert_eq!(served(living.port()), mended);
        living.verb("undo", &["--allow-insecure"], &by()).run().succeeded();
        living.psql("verify-full").run("SELECT 1").ended(2).complains("certificate verify failed");
        living.verb("rotate", &["--validity", "90d"], &by()).run().succeeded();

        // Asked for, since it is good for years yet; an expired one is renewed unasked.
        let ran = living.verb("rotate", &["--renew-ca"], &by()).run().succeeded();
        ran.says("the CA was renewed").says("clients that verify need its new certificate");
        let new_root = fs::read_to_string(ca.join("server-ca.crt")).unwrap();
        assert_ne!(old_root, new_root);
        assert_eq!(fs::read_to_string(living.ca_file()).unwrap(), new_root, "the copy for clients");
        living.psql("verify-full").run("SELECT 1").succeeded();
        living.verb("undo", &[], &by()).run().succeeded();
        assert_eq!(fs::read_to_string(ca.join("server-ca.crt")).unwrap(), old_root, "undone, too");
        living.psql("verify-full").run("SELECT 1").succeeded();
    }
}

#[test]
fn a_certificate_that_is_not_due_is_left_alone_where_that_is_asked() {
    for version in versions_in_turn(1) {
        let living = Living::of(version);
        living.secured(&by());
        let before = served(living.port());
        let idle = living.verb("rotate", &["--if-due"], &by()).run().succeeded();
        idle.says("nothing to do").says("due on");
        assert_eq!(served(living.port()), before);
        living.secure(&["--reissue", "--validity", "3s"], &by()).run().succeeded();
        thread::sleep(Duration::from_millis(2_500));
        living.verb("rotate", &["--if-due", "--validity", "90d"], &by()).run().succeeded().says("done");
        let line = living.verb("rotate", &["--deploy-hook"], &by()).run().succeeded();
        assert!(line.stdout().trim_end().ends_with("--if-due"), "{line}");
    }
}
