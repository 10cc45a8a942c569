//! A server that has TLS already: its certificate is kept where it is good, however its key is opened; where it is not, the
//! one that replaces it is nobody's surprise. Chains come in any order, and are served in the right one.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::harness::{
    APP, APP_PASSWORD, Account, Forge, Living, PASSWORD, Psql, Ran, record, run, versions, versions_in_turn,
};

fn by() -> Account {
    Account::current()
}

/// A file of the server's, beside its data directory.
fn put(living: &Living, name: &str, content: &str) -> PathBuf {
    let path = living.data().with_file_name(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    living.account().own(&path);
    path
}

/// Serves that certificate, with the key in a file of its own, and further settings.
fn served(living: &mut Living, certificate: &str, key: &str, further: &str) {
    let (certificate, key) = (put(living, "their.crt", certificate), put(living, "their.key", key));
    living.append_conf(&format!(
        "ssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'\n{further}",
        certificate.display(),
        key.display()
    ));
    living.restart();
    assert_eq!(living.sql("SHOW ssl"), "on");
}

/// Whether a client that trusts that authority gets in.
fn verified(living: &Living, authority: &str) -> Ran {
    let root = living.sandbox().file_of(&by(), "root.crt", 0o644, authority);
    let conninfo = format!(
        "host=localhost hostaddr=127.0.0.1 port={} user={APP} dbname=postgres sslmode=verify-full sslrootcert='{}'",
        living.port(),
        root.display()
    );
    Psql::to(conninfo).env("PGPASSWORD", APP_PASSWORD).run("SELECT 'verified'")
}

fn locked(living: &Living, key: &str) -> String {
    let plain = living.sandbox().file_of(&by(), "plain.key", 0o600, key);
    let mut command = by().command("openssl", living.sandbox().path());
    command.args(["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", "pass:a phrase", "-in"]).arg(plain);
    run(command, b"", Duration::from_secs(60)).succeeded().stdout().to_owned()
}

const PHRASE: &str = "ssl_passphrase_command = 'printf \"a phrase\\n\"'";

#[test]
fn a_key_behind_a_passphrase_is_kept_where_a_reload_can_open_it() {
    for version in versions() {
        let forge = Forge::new("an authority of the house");
        let leaf = forge.leaf(&["localhost"]);
        let mut living = Living::of(*version);
        let key = locked(&living, &leaf.key);
        served(
            &mut living,
            &leaf.certificate,
            &key,
            &format!("{PHRASE}\nssl_passphrase_command_supports_reload = on"),
        );
        let before = living.kept_files();
        let run = |words: &[&str]| living.verb("secure", words, &by()).run();
        let ran = run(&["--yes", "--enforce"]).succeeded().never_mentions("a phrase");
        assert!(!ran.stdout().contains("certificate   "), "nothing is issued:\n{ran}");
        living.psql_as("postgres", PASSWORD, "disable").run("SELECT 1").ended(2);
        verified(&living, forge.certificate()).succeeded();
        living.restart();
        verified(&living, forge.certificate()).succeeded();
        living.verb("undo", &["--allow-insecure"], &by()).run().succeeded();
        assert_eq!(living.kept_files(), before);
        record("a key behind a passphrase is kept where a reload can open it", 1);
    }
}

#[test]
fn a_key_that_no_reload_can_open_is_said_to_be_one() {
    for version in versions() {
        let forge = Forge::new("an authority of the house");
        let leaf = forge.leaf(&["localhost"]);
        let mut living = Living::of(*version);
        let key = locked(&living, &leaf.key);
        served(&mut living, &leaf.certificate, &key, PHRASE);
        let before = living.kept_files();
        let ran = living.verb("secure", &["--yes"], &by()).run().ended(2);
        ran.complains("its key is behind a passphrase that no reload can open").complains("--new-ca");
        // What is served from memory is what clients verify.
        let ran =
            living.secure(&[], &by()).run().ended(1).complains("cannot be seen from here, and it changes");
        ran.complains("nothing was changed").complains("--allow-unseen");
        assert_eq!(living.kept_files(), before);
        living.secure(&["--allow-unseen"], &by()).run().succeeded();
        living.psql("verify-full").run("SELECT 1").succeeded();
        living.restart();
        living.psql("verify-full").run("SELECT 1").succeeded();
    }
}

#[test]
fn back_to_a_key_that_no_reload_can_open_it_goes_by_a_restart() {
    for version in versions_in_turn(0) {
        let forge = Forge::new("an authority of the house");
        let leaf = forge.leaf(&["localhost"]);
        let mut living = Living::of(version);
        let key = locked(&living, &leaf.key);
        served(&mut living, &leaf.certificate, &key, PHRASE);
        let before = living.kept_files();
        living.secure(&["--allow-unseen"], &by()).run().succeeded();
        let ca = fs::read_to_string(living.ca_file()).expect("it lies beside the certificate");
        // The reload keeps what was served, and it is said; the files are back, and a restart takes them.
        let undo = living.verb("undo", &["--allow-insecure"], &by()).run().ended(1);
        undo.says("the files are as they were").says("the wire shows TLS with");
        assert_eq!(living.kept_files(), before);
        verified(&living, &ca).succeeded();
        living.restart();
        verified(&living, forge.certificate()).succeeded();
        living.verb("undo", &["--allow-insecure"], &by()).run().ended(1).complains("there is no change of");
    }
}

/// The guide's rotation, cut off in the middle: the key is new, the certificate is not, and the server goes on with what
/// it has in memory.
#[test]
fn a_rotation_that_was_cut_off_is_found_and_mended() {
    for version in versions() {
        let mut living = Living::of(*version);
        let forge = Forge::new("an authority of the house");
        let (leaf, next) = (forge.leaf(&["localhost"]), forge.leaf(&["localhost"]));
        served(&mut living, &leaf.certificate, &leaf.key, "");
        put(&living, "their.key", &next.key);
        living.reload();
        living.wait_for_log("key values mismatch");
        let before = living.kept_files();
        let checked = living.verb("secure", &["--check", "--new-ca", "/tmp/never"], &by()).run().ended(1);
        checked.says("key-unfit").says("the next restart fails");
        let ran =
            living.secure(&[], &by()).run().ended(1).complains("cannot be seen from here, and it changes");
        ran.complains("the new issuer is");
        assert_eq!(living.kept_files(), before);
        verified(&living, forge.certificate()).succeeded();
        // From the same authority it is nobody's surprise.
        let file = |name: &str, mode: u32, text: &str| {
            living.sandbox().file_of(&by(), name, mode, text).display().to_string()
        };
        let (certificate, key) =
            (file("next.crt", 0o644, &next.certificate), file("next.key", 0o600, &next.key));
        let words = ["--yes", "--enforce", "--cert", &certificate, "--key", &key];
        living.verb("secure", &words, &by()).run().succeeded();
        verified(&living, forge.certificate()).succeeded();
        living.restart();
        verified(&living, forge.certificate()).succeeded();
    }
}

#[test]
fn another_authority_of_the_same_name_is_another_one() {
    for version in versions() {
        let living = Living::of(*version);
        living.secured(&by());
        let before = living.kept_files();
        let other = living.sandbox().home_of(&by()).join("other-ca").display().to_string();
        let words = ["--yes", "--reissue", "--new-ca", &other];
        let ran = living.verb("secure", &words, &by()).run().ended(1);
        ran.complains("cannot be seen from here, and it changes").complains("CN=pgseal server CA");
        assert_eq!(living.kept_files(), before);
        // The same one again is the same.
        living.secure(&["--reissue"], &by()).run().succeeded();
        living.verb("secure", &[&words[..], &["--allow-unseen"]].concat(), &by()).run().succeeded();
        living.psql("verify-full").run("SELECT 1").succeeded();
    }
}

#[test]
fn a_chain_in_any_order_is_served_in_the_right_one() {
    for (nth, version) in versions().iter().enumerate() {
        let living = Living::of(*version);
        let root = Forge::new("a root");
        let (upper, stranger) = (root.under("an upper authority"), Forge::new("a stranger"));
        let lower = upper.under("a lower authority");
        let leaf = lower.leaf(&["localhost"]);
        let (root, upper, lower) = (root.certificate(), upper.certificate(), lower.certificate());
        let wrong_orders = [
            [root, upper, lower, &leaf.certificate].concat(),
            [&leaf.certificate, root, upper, lower].concat(),
            [upper, &leaf.certificate, lower].concat(),
        ];
        let right = [&leaf.certificate, lower, upper].concat();
        let given = |chain: &str| {
            let file = |name: &str, mode: u32, text: &str| {
                living.sandbox().file_of(&by(), name, mode, text).display().to_string()
            };
            let (certificate, key) = (file("given.crt", 0o644, chain), file("given.key", 0o600, &leaf.key));
            living.verb("secure", &["--yes", "--cert", &certificate, "--key", &key], &by()).run()
        };
        let before = living.kept_files();
        // What leads nowhere is named, and not served.
        let ran =
            given(&[&leaf.certificate, lower, stranger.under("somebody's").certificate()].concat()).ended(2);
        ran.complains("holds certificates that do not lead from it");
        assert_eq!(living.kept_files(), before);
        let chain = &wrong_orders[nth % wrong_orders.len()];
        given(chain).succeeded();
        let served = fs::read_to_string(living.tls_folder().join("server.crt")).unwrap();
        assert_eq!(served.replace('\n', ""), right.replace('\n', ""));
        verified(&living, root).succeeded();
        given(chain).succeeded().says("nothing to do");
    }
}
