//! The guide says: use certificates from a trusted CA, and rotate by these commands. What becomes of a server by them is
//! said by `pgseal verify` before a restart shows it, and mended by `rotate`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use time::OffsetDateTime;

use crate::harness::{
    Account, Forge, Forged, Install, Living, Ran, Sealed, all_hold, claim, leaf_params, record, run, served,
    this_year, versions_in_turn,
};

/// Word for word; nothing is typed, or Enter at each question.
const COMMANDS: &str = "openssl genrsa -out server-new.key 2048
openssl req -new -key server-new.key -out server-new.csr
openssl x509 -req -in server-new.csr -signkey server-new.key -out server-new.crt -days 365
mv server-new.key server.key
mv server-new.crt server.crt
chmod 600 server.key
";

fn by() -> Account {
    Account::current()
}

/// As a person does it in a terminal of their own.
fn by_hand(folder: &Path, typed: &[u8]) {
    let mut shell = by().command("sh", "/nonexistent".as_ref());
    shell.current_dir(folder).args(["-c", COMMANDS]);
    run(shell, typed, Duration::from_secs(60));
}

fn put(data: &Path, name: &str, content: &str) {
    let path = data.join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    Account::owner_of(data).own(&path);
}

const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

fn two_files(version: u32, old: Forged) -> Living {
    Living::set_up(version, |setup| {
        setup.conf("ssl = on").before(move |data| {
            put(data, "server.crt", &old.certificate);
            put(data, "server.key", &old.key);
        })
    })
}

#[test]
fn on_a_server_with_two_files_verify_says_what_the_next_start_would_show() {
    for (nth, typed) in [&b""[..], b"\n\n\n\n\n\n\n\n\n"].into_iter().enumerate() {
        for version in versions_in_turn(nth) {
            let forge = Forge::new("a company's CA");
            let mut living = two_files(version, forge.leaf(&NAMES));
            let before = served(living.port());
            by_hand(living.data(), typed);
            living.reload();
            let verify = || -> Ran { living.verb("verify", &["--format", "json"], &by()).run() };
            let ran = verify().ended(1);
            assert_eq!(claim(&ran, "restart-would-work")["holds"], false, "{ran}");
            let reason = claim(&ran, "restart-would-work")["reason"].to_string();
            assert!(reason.contains("key") || reason.contains("another certificate"), "{reason}");
            assert_eq!(served(living.port()), before, "the old one is still served");

            let new = forge.leaf(&NAMES);
            let sandbox = living.sandbox();
            let cert = sandbox.file_of(&by(), "new.crt", 0o644, &new.certificate).display().to_string();
            let key = sandbox.file_of(&by(), "new.key", 0o600, &new.key).display().to_string();
            living.verb("rotate", &["--cert", &cert, "--key", &key], &by()).run().succeeded();
            let ran = verify();
            assert_eq!(claim(&ran, "restart-would-work")["holds"], true, "{ran}");
            assert_ne!(served(living.port()), before);
            living.restart();
            record("the guide's rotation is diagnosed by verify and mended by rotate", 1);
        }
    }
}

/// There the server reads one file of another name: by those commands nothing is broken, and nothing renewed.
#[test]
fn on_a_folder_of_up_it_changes_nothing_that_is_served() {
    for version in versions_in_turn(0) {
        let server = Sealed::with(&Install::of(version), &by(), &[]);
        let before = served(server.port());
        by_hand(&server.at("tls"), b"\n\n\n\n\n\n\n\n\n");
        server.reload();
        all_hold(&server.verify());
        assert_eq!(served(server.port()), before);
    }
}

/// "For production, use certificates from a trusted Certificate Authority instead of self-signed certificates."
#[test]
fn a_self_signed_certificate_is_refused_and_one_of_a_ca_is_taken() {
    for version in versions_in_turn(1) {
        let living = two_files(version, Forge::new("a company's CA").leaf(&NAMES));
        let (begin, end) = this_year();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = leaf_params(&NAMES, begin, end);
        params.use_authority_key_identifier_extension = false;
        let own = params.self_signed(&key).unwrap();
        let file = |name: &str, mode: u32, text: &str| {
            living.sandbox().file_of(&by(), name, mode, text).display().to_string()
        };
        let (cert, key) = (file("own.crt", 0o644, &own.pem()), file("own.key", 0o600, &key.serialize_pem()));
        let refused = living.verb("rotate", &["--cert", &cert, "--key", &key], &by()).run().ended(2);
        refused.complains("it is self-signed").complains("nothing was changed");
        let trusted = Forge::new("a trusted CA");
        let leaf = trusted.leaf(&NAMES);
        let (cert, key) = (file("ca.crt", 0o644, &leaf.certificate), file("ca.key", 0o600, &leaf.key));
        let root = file("root.crt", 0o644, trusted.certificate());
        let words = ["--cert", &cert, "--key", &key, "--sslrootcert", &root, "--allow-unseen"];
        let ran =
            living.verb("rotate", &[&words[..], &["--format", "json"]].concat(), &by()).run().succeeded();
        assert_eq!(claim(&ran, "chain-verified")["holds"], true, "{ran}");
        assert_eq!(claim(&ran, "sslmode-verify-full-connects")["holds"], true, "{ran}");
    }
}

/// The same serial number twice, a CA from tomorrow, a CA that is over.
#[test]
fn a_ca_that_does_not_keep_to_its_rules_or_its_time_is_noticed() {
    for version in versions_in_turn(0) {
        let forge = Forge::new("a company's CA");
        let numbered = || {
            let (begin, end) = this_year();
            let mut params = leaf_params(&NAMES, begin, end);
            params.serial_number = Some(rcgen::SerialNumber::from(42_u64));
            forge.sign(&params)
        };
        let living = two_files(version, numbered());
        let file = |name: &str, mode: u32, text: &str| {
            living.sandbox().file_of(&by(), name, mode, text).display().to_string()
        };
        let twin = numbered();
        let (cert, key) = (file("twin.crt", 0o644, &twin.certificate), file("twin.key", 0o600, &twin.key));
        let twice = living.verb("rotate", &["--cert", &cert, "--key", &key], &by()).run().ended(2);
        twice.complains("the serial number of the present one (2A)").complains("nothing was changed");

        let early = early_authority();
        let folder = living.sandbox().dir_of(&by(), "early");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(folder.join("server-ca.crt"), early.0).unwrap();
        fs::write(folder.join("server-ca.key"), early.1).unwrap();
        fs::set_permissions(folder.join("server-ca.key"), fs::Permissions::from_mode(0o600)).unwrap();
        for name in ["server-ca.crt", "server-ca.key"] {
            by().own(&folder.join(name));
        }
        let folder = folder.display().to_string();
        let early = living.verb("rotate", &["--ca", &folder], &by()).run().ended(3);
        early.complains("this machine's clock says").complains("timedatectl");
    }
    for version in versions_in_turn(1) {
        let living = Living::of(version);
        let ca = living.sandbox().join("short-ca").display().to_string();
        let cert = |words: &[&str]| living.pgseal(&by()).arg("cert").args(words).run().succeeded();
        cert(&["ca", "init", &ca, "--validity", "9s"]);
        let late = living.verb("secure", &["--yes", "--ca", &ca, "--validity", "365d"], &by()).run().ended(3);
        late.complains("only valid until");
        living.verb("secure", &["--yes", "--ca", &ca, "--validity", "5s"], &by()).run().succeeded();
        let old_root = fs::read_to_string(living.ca_file()).unwrap();
        std::thread::sleep(Duration::from_millis(9_200));
        living.psql("verify-full").run("SELECT 1").ended(2).complains("certificate verify failed");
        let mended = living.verb("rotate", &["--validity", "6s"], &by()).run().succeeded();
        mended.says("was not valid").says("the CA was renewed");
        assert_ne!(fs::read_to_string(living.ca_file()).unwrap(), old_root);
        living.psql("verify-full").run("SELECT 1").succeeded();
        // Wished for a year, and cut to what is left of the CA.
        living
            .verb("rotate", &["--validity", "365d"], &by())
            .run()
            .ended(2)
            .complains("never outlives its CA");
        record("an expired CA is renewed with its own key", 1);
    }
}

/// One that begins tomorrow.
fn early_authority() -> (String, String) {
    let tomorrow = OffsetDateTime::now_utc() + time::Duration::days(1);
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, "a CA from tomorrow");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (tomorrow, tomorrow + time::Duration::days(365));
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    (certificate, key.serialize_pem())
}
