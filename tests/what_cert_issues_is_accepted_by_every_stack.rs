//! Certificates of every kind of key, for servers and for clients, by `pgseal cert`: openssl in strict mode, GnuTLS, Java,
//! rustls and psql accept them, and PostgreSQL knows its clients by them; a revoked one and one of another name are refused.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{
    Account, Install, Living, Pgseal, Psql, Ran, Sandbox, Schema, project, record, run, versions,
    versions_in_turn,
};

const KEY_TYPES: [&str; 5] = ["ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072", "rsa-4096"];
const JDBC: &str = "/usr/share/java/postgresql.jar";

fn by() -> Account {
    Account::current()
}

/// `pgseal cert WORD…` in a folder of its own, with a list of its own; what it prints is as its schema has it.
#[track_caller]
fn cert(sandbox: &Sandbox, schema: &str, words: &[&str]) -> Value {
    let ran = plain(sandbox, words).args(["--format", "json"]).run().succeeded();
    let told = ran.never_mentions("PRIVATE KEY").json();
    Schema::of(schema).admits(&told);
    told
}

fn plain<'s>(sandbox: &'s Sandbox, words: &[&str]) -> Pgseal<'s> {
    let state = sandbox.home_of(&by()).join("state");
    Pgseal::new(sandbox).env("PGSEAL_STATE_DIR", state).arg("cert").args(words)
}

fn work(sandbox: &Sandbox) -> PathBuf {
    Pgseal::new(sandbox).work_dir()
}

/// A program that has to be there; `needs` is the word for tests/provision/system.sh.
#[track_caller]
fn tool(program: &str, needs: &str, folder: &Path, words: &[&str], input: &[u8]) -> Ran {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap();
    assert!(found.status.success(), "there is no {program}: run `tests/provision/system.sh {needs}`");
    let mut command = Command::new(program);
    command.current_dir(folder).args(words).env("LC_ALL", "C");
    run(command, input, Duration::from_secs(120))
}

#[test]
fn servers_certificates_of_every_key_type_verify_everywhere() {
    for (nth, key_type) in KEY_TYPES.into_iter().enumerate() {
        let sandbox = Sandbox::new();
        cert(
            &sandbox,
            "cert-ca",
            &["ca", "init", "ca", "--key-type", if nth < 3 { key_type } else { "ecdsa-p256" }],
        );
        let names = ["--san", "localhost", "--san", "127.0.0.1", "--san", "db1.example.org"];
        let words = [&["server", "--ca", "ca", "--key-type", key_type, "--out", "db1"], &names[..]].concat();
        let told = cert(&sandbox, "cert-issued", &words);
        assert_eq!(
            told["certificate"]["names"],
            serde_json::json!(["localhost", "db1.example.org", "127.0.0.1"])
        );
        let folder = work(&sandbox).join("db1");
        let key = fs::metadata(folder.join("server-with-key.pem")).unwrap().permissions().mode() & 0o7777;
        assert_eq!(key, 0o600);
        let strict = ["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", "ca.crt"];
        for name in ["localhost", "db1.example.org"] {
            let words = [&strict[..], &["-verify_hostname", name, "server.crt"]].concat();
            tool("openssl", "openssl", &folder, &words, b"").succeeded();
        }
        let words = ["--verify", "--load-ca-certificate", "ca.crt", "--verify-hostname", "db1.example.org"];
        let chain = fs::read(folder.join("server.crt")).unwrap();
        tool("certtool", "certtool", &folder, &words, &chain).succeeded().says("Verified");
        let verified = [
            "verify",
            "db1/server-with-key.pem",
            "--sslrootcert",
            "db1/ca.crt",
            "--host",
            "localhost",
            "--host",
            "127.0.0.1",
        ];
        let told = cert(&sandbox, "cert-verify", &verified);
        assert_eq!(told["good"], true, "{told:#}");
        plain(&sandbox, &["verify", "db1/server.crt", "--sslrootcert", "db1/ca.crt", "--host", "db2"])
            .run()
            .ended(1)
            .says("does not match host name");
        record("a server's certificate is accepted by openssl, GnuTLS, webpki and libpq's rules", 1);
    }
}

/// A server of ours whose clients show certificates of our client CA.
struct Mutual {
    living: Living,
    sandbox: Sandbox,
}

impl Mutual {
    fn start(version: u32) -> Self {
        let living = Living::of(version);
        living.secured(&by());
        let sandbox = Sandbox::new();
        cert(&sandbox, "cert-ca", &["ca", "init", "client-ca", "--client", "--subject", "CN=client CA"]);
        let export = plain(&sandbox, &["ca", "export", "client-ca", "--client"]).run().succeeded();
        living.write("client-ca.crt", export.stdout());
        living.append_conf("ssl_ca_file = 'client-ca.crt'");
        living.write_hba(
            "local all all trust\nhostssl all certified all cert\n\
             hostssl all all all scram-sha-256 clientcert=verify-full\n",
        );
        living.sql("CREATE ROLE certified LOGIN");
        living.reload();
        Self { living, sandbox }
    }

    fn issue(&self, user: &str, further: &[&str]) -> PathBuf {
        let words = [&["client", "--ca", "client-ca", "--user", user, "--out", user], further].concat();
        cert(&self.sandbox, "cert-issued", &words);
        work(&self.sandbox).join(user)
    }

    /// psql with a certificate and its key.
    fn psql(&self, user: &str, certificate: &Path, key: &Path) -> Ran {
        let conninfo = format!(
            "host=localhost hostaddr=127.0.0.1 port={} user={user} dbname=postgres sslmode=verify-full \
             sslrootcert='{}' sslcert='{}' sslkey='{}'",
            self.living.port(),
            self.living.ca_file().display(),
            certificate.display(),
            key.display()
        );
        Psql::to(conninfo)
            .of(&Install::of(15))
            .run("SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    }

    fn hand_out_list(&self) {
        let list = fs::read_to_string(work(&self.sandbox).join("client-ca/client-ca.crl")).unwrap();
        self.living.write("client-ca.crl", &list);
        self.living.append_conf("ssl_crl_file = 'client-ca.crl'");
        self.living.reload();
    }
}

#[test]
fn a_role_is_known_by_its_certificate_until_that_is_revoked() {
    for version in versions() {
        let mutual = Mutual::start(*version);
        let good = mutual.issue("certified", &[]);
        let other = mutual.issue("other", &[]);
        let (certificate, key) = (good.join("certified.crt"), good.join("certified.key"));
        mutual.psql("certified", &certificate, &key).succeeded().says("CN=certified");
        let wrong = mutual.psql("certified", &other.join("other.crt"), &other.join("other.key")).ended(2);
        wrong.complains("certificate authentication failed");

        // One file with both, renewed with a new key by one rename.
        let words = ["client", "--ca", "client-ca", "--user", "certified", "--out", "one", "--one-pem"];
        cert(&mutual.sandbox, "cert-issued", &words);
        let one = work(&mutual.sandbox).join("one/certified.pem");
        mutual.psql("certified", &one, &one).succeeded();
        let before = fs::read_to_string(&one).unwrap();
        let renewed = ["renew", "one/certified.pem", "--ca", "client-ca", "--new-key", "--validity", "9d"];
        cert(&mutual.sandbox, "cert-issued", &renewed);
        assert_ne!(fs::read_to_string(&one).unwrap(), before);
        assert_eq!(fs::metadata(&one).unwrap().permissions().mode() & 0o7777, 0o600);
        mutual.psql("certified", &one, &one).succeeded();
        cert(&mutual.sandbox, "cert-issued", &["renew", "certified/certified.crt", "--ca", "client-ca"]);
        mutual.psql("certified", &certificate, &key).succeeded();
        plain(&mutual.sandbox, &["renew", "certified/certified.crt", "--ca", "client-ca", "--new-key"])
            .run()
            .ended(2)
            .complains("between two renames");

        let told = cert(&mutual.sandbox, "cert-crl", &["crl", "--ca", "client-ca", "--client"]);
        assert_eq!((&told["number"], told["revoked"].as_array().map(Vec::len)), (&"01".into(), Some(0)));
        mutual.hand_out_list();
        mutual.psql("certified", &certificate, &key).succeeded();
        let words = ["revoke", "certified/certified.crt", "--ca", "client-ca", "--reason", "keyCompromise"];
        let told = cert(&mutual.sandbox, "cert-crl", &words);
        assert_eq!((&told["number"], &told["revoked"][0]["reason"]), (&"02".into(), &"keyCompromise".into()));
        plain(&mutual.sandbox, &words).run().ended(1).complains("revoked already");
        mutual.hand_out_list();
        let refused = mutual.psql("certified", &certificate, &key).ended(2);
        assert!(refused.stderr().contains("revoked") || refused.stderr().contains("SSL error"), "{refused}");
        mutual.psql("certified", &one, &one).succeeded();
        let listed = cert(&mutual.sandbox, "cert-list", &["list"]);
        let revoked = listed["certificates"].as_array().unwrap().iter().filter(|row| row["revoked"] == true);
        assert_eq!(revoked.count(), 1, "{listed:#}");

        // With a list that is over nobody gets in any more: what a rotation says before.
        cert(&mutual.sandbox, "cert-crl", &["crl", "--ca", "client-ca", "--client", "--validity", "1s"]);
        std::thread::sleep(Duration::from_millis(1100));
        mutual.hand_out_list();
        mutual.psql("certified", &one, &one).ended(2);
        let rotated = mutual.living.verb("rotate", &[], &by()).run();
        assert!(rotated.stdout().contains("revocation list"), "{rotated}");
        record("a role is known by its certificate until that is revoked", 1);
    }
}

/// What Java is to be asked: one connection, and how the server sees it.
const ASK: &str = r#"
import java.sql.*;
public class Ask {
    public static void main(String[] words) throws Exception {
        try (Connection one = DriverManager.getConnection(words[0]);
             ResultSet row = one.createStatement().executeQuery(
                 "SELECT coalesce(client_dn, 'none') FROM pg_stat_ssl WHERE pid = pg_backend_pid()")) {
            row.next();
            System.out.println("seen as " + row.getString(1));
        }
    }
}
"#;

#[test]
fn java_takes_the_store_and_the_bare_key() {
    assert!(Path::new(JDBC).exists(), "there is no {JDBC}: run `tests/provision/system.sh jdbc`");
    for version in versions_in_turn(1) {
        let mutual = Mutual::start(version);
        let words = mutual.sandbox.file_of(&by(), "words", 0o600, "open sesame\n");
        let words =
            ["--p12", "--p12-passphrase-file", words.to_str().unwrap(), "--der", "--key-type", "rsa-2048"];
        let folder = mutual.issue("certified", &words);
        let stored =
            ["-list", "-storetype", "PKCS12", "-keystore", "certified.p12", "-storepass", "open sesame"];
        tool("keytool", "javac", &folder, &stored, b"").succeeded().says("user,").says("PrivateKeyEntry");
        fs::write(folder.join("Ask.java"), ASK).unwrap();
        let ask = |key: &str| {
            let url = format!(
                "jdbc:postgresql://localhost:{}/postgres?user=certified&sslmode=verify-full&sslrootcert={}&{key}",
                mutual.living.port(),
                mutual.living.ca_file().display()
            );
            tool("java", "javac", &folder, &["-cp", JDBC, "Ask.java", &url], b"")
        };
        let at = |name: &str| folder.join(name).display().to_string();
        let store = format!("sslkey={}&sslpassword=open%20sesame", at("certified.p12"));
        ask(&store).succeeded().says("seen as /CN=certified");
        let bare = format!("sslcert={}&sslkey={}", at("certified.crt"), at("certified.pk8"));
        ask(&bare).succeeded().says("seen as /CN=certified");
        assert!(project().exists());
        record("Java logs in with the store and with the bare key", 2);
    }
}
