//! Whoever has the CA's key can be any server. `up` looks at it first: gone, open to others or a link, it says so and
//! touches nothing; what does not need the key goes on working.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::harness::{Account, Install, Sealed, all_hold};

#[track_caller]
fn refused(sealed: &Sealed, words: &[&str]) {
    let pid = sealed.pid().expect("the server runs");
    let mut ran = sealed.pgseal().args(["up", "sealed"]).run().ended(3);
    for word in words {
        ran = ran.complains(word);
    }
    ran.never_mentions("PRIVATE KEY");
    // Whoever looks or stops needs no key.
    sealed.pgseal().args(["status", "sealed"]).run().succeeded();
    all_hold(&sealed.verify());
    assert_eq!(sealed.pid(), Some(pid));
}

#[test]
fn a_ca_key_that_is_missing_or_open_to_others_is_refused() {
    for account in Account::both() {
        let sealed = Sealed::with(&Install::of(15), &account, &[]);
        let key = sealed.at("ca/server-ca.key");
        let text = fs::read_to_string(&key).unwrap();
        for mode in [0o644, 0o640, 0o604, 0o610, 0o777, 0o602] {
            fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
            refused(&sealed, &["is not private", &format!("mode {mode:04o}"), "chmod go= ", "make a new CA"]);
            assert_eq!(
                fs::metadata(&key).unwrap().permissions().mode() & 0o777,
                mode,
                "it is not mended in silence"
            );
        }
        fs::set_permissions(&key, Permissions::from_mode(0o400)).unwrap();
        all_hold(&sealed.up());
        fs::set_permissions(sealed.at("ca"), Permissions::from_mode(0o755)).unwrap();
        refused(&sealed, &["is not private", "mode 0755"]);
        fs::set_permissions(sealed.at("ca"), Permissions::from_mode(0o700)).unwrap();
        let aside = sealed.sandbox().join("aside.key");
        fs::rename(&key, &aside).unwrap();
        refused(&sealed, &["is missing", "put it back"]);
        symlink(&aside, &key).unwrap();
        refused(&sealed, &["is no regular file"]);
        fs::remove_file(&key).unwrap();
        fs::create_dir(&key).unwrap();
        refused(&sealed, &["is no regular file"]);
        fs::remove_dir(&key).unwrap();
        // Nothing has made a new one in its place.
        assert_eq!(fs::read_to_string(&aside).unwrap(), text);
        // A server can be stopped and removed without it.
        sealed.pgseal().args(["down", "sealed"]).run().succeeded();
        sealed.pgseal().args(["up", "sealed"]).run().ended(3).complains("is missing");
        sealed.pgseal().args(["down", "--remove", "--yes", "sealed"]).run().succeeded();
        assert!(!sealed.dir().exists() && aside.exists());
    }
}

#[test]
fn the_record_of_what_was_issued_may_be_gone_and_then_the_claim_cannot_be_told() {
    for account in Account::both() {
        let sealed = Sealed::with(&Install::of(15), &account, &[]);
        for (file, content) in
            [("ca/server.crt", "garbage"), ("client/ca.crt", ""), ("client/ca.crt", "\u{0}\u{1}\u{2}")]
        {
            let path = sealed.at(file);
            let good = fs::read(&path).unwrap();
            fs::write(&path, content).unwrap();
            let ran = sealed.verify().ended(1);
            assert!(ran.json()["proved"] == false, "{ran}");
            fs::write(&path, good).unwrap();
            all_hold(&sealed.verify());
        }
    }
}

#[test]
fn with_a_passphrase_the_key_lies_there_encrypted_as_openssl_reads_it() {
    for account in Account::both() {
        let sandbox = crate::harness::Sandbox::new();
        // Odd, and with spaces at both ends: the line is taken as it is.
        let passphrase = " pass:phrase 'with\" \\ umläute ";
        let file = sandbox.file_of(&account, "passphrase", 0o600, &format!("{passphrase}\nsecond line\n"));
        let sealed =
            Sealed::with(&Install::of(15), &account, &["--ca-passphrase-file", file.to_str().unwrap()]);
        let key = sealed.at("ca/server-ca.key");
        let text = fs::read_to_string(&key).unwrap();
        assert!(text.starts_with("-----BEGIN ENCRYPTED "), "{}", text.lines().next().unwrap_or_default());
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o7777, 0o600);
        let openssl = |passphrase: &str| {
            let mut openssl = account.command("openssl", sandbox.path());
            let pass = sandbox.file_of(&account, "given", 0o600, passphrase);
            openssl.args(["pkey", "-in"]).arg(&key).arg("-passin").arg(format!("file:{}", pass.display()));
            openssl.args(["-pubout"]);
            crate::harness::Running::start(openssl, b"").wait(std::time::Duration::from_secs(20))
        };
        let public = openssl(passphrase).succeeded();
        openssl("pass:phrase").ended(1);
        let mut of_certificate = account.command("openssl", sandbox.path());
        of_certificate.args(["x509", "-noout", "-pubkey", "-in"]).arg(sealed.at("ca/server-ca.crt"));
        let ran =
            crate::harness::Running::start(of_certificate, b"").wait(std::time::Duration::from_secs(20));
        assert_eq!(public.stdout(), ran.succeeded().stdout(), "it is this CA's key");
        // The server needs no passphrase, and nothing else tells it.
        all_hold(&sealed.up());
        assert!(!format!("{}", sealed.made()).contains("phrase"));
        assert!(!fs::read_to_string(sealed.at("pgseal.toml")).unwrap().contains("phrase"));
    }
}
