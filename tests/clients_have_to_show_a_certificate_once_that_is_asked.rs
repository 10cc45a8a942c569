//! `secure --client-ca`: every line for TLS asks for a client's certificate, shown as a diff, proved on the wire by one
//! that gets in and one that is refused, undone to the byte. Nothing is written where pgseal's own login would be shut out.

use std::path::PathBuf;

use crate::harness::{
    APP, APP_PASSWORD, Account, Forge, Living, PASSWORD, Pgseal, Psql, Ran, Resident, SUPERUSER, Schema,
    claim, record, versions,
};

/// Lines of every kind: aligned and not, with options, with a comment, refusing, certified, for the socket.
const RULES: &str = "local all all trust\n\
                     local replication all trust\n\
                     host    all             never           all                     reject\n\
                     hostssl all             certified       all                     cert\n\
                     host    all             all             127.0.0.1/32            scram-sha-256  # loopback\n\
                     hostssl all all ::1/128 scram-sha-256 clientcert=verify-ca\n\
                     host all all all scram-sha-256\n\
                     host replication all all scram-sha-256\n";

/// What becomes of them with `verify-full`.
const ASKING: &str = "local all all trust\n\
                      local replication all trust\n\
                      host    all             never           all                     reject\n\
                      hostssl all             certified       all                     cert\n\
                      hostssl all             all             127.0.0.1/32            scram-sha-256 clientcert=verify-full  # loopback\n\
                      hostssl all all ::1/128 scram-sha-256 clientcert=verify-full\n\
                      hostssl all all all scram-sha-256 clientcert=verify-full\n\
                      hostssl replication all all scram-sha-256 clientcert=verify-full\n";

/// A secured server, the CA of its clients, and one of others'.
struct Mutual {
    living: Living,
    by: Account,
    ours: Forge,
    theirs: Forge,
}

/// A certificate and its key.
struct Card {
    certificate: PathBuf,
    key: PathBuf,
}

impl Mutual {
    fn start(version: u32) -> Self {
        let living = Living::set_up(version, |setup| setup.hba(RULES));
        let by = Account::current();
        living.secured(&by);
        Self { living, by, ours: Forge::new("CA of our clients"), theirs: Forge::new("CA of others") }
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        self.living.sandbox().file_of(&self.by, name, 0o600, content)
    }

    fn card(&self, of: &Forge, name: &str, role: &str) -> Card {
        let forged = of.client(role);
        let certificate = self.file(&format!("{name}.crt"), &forged.certificate);
        Card { certificate, key: self.file(&format!("{name}.key"), &forged.key) }
    }

    fn secure(&self, words: &[&str], shown: Option<&Card>) -> Pgseal<'_> {
        let ca = self.file("client-ca.pem", self.ours.certificate());
        let pgseal = self.living.verb("secure", &["--client-ca"], &self.by).arg(ca).args(words);
        showing(pgseal, shown)
    }

    /// psql as the application, with a certificate or without.
    fn psql(&self, sslmode: &str, shown: Option<&Card>) -> Ran {
        let mut conninfo = format!(
            "host=localhost hostaddr=127.0.0.1 port={} user={APP} dbname=postgres sslmode={sslmode} sslrootcert='{}'",
            self.living.port(),
            self.living.ca_file().display(),
        );
        if let Some(Card { certificate, key }) = shown {
            conninfo += &format!(" sslcert='{}' sslkey='{}'", certificate.display(), key.display());
        }
        Psql::to(conninfo)
            .env("PGPASSWORD", APP_PASSWORD)
            .run("SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    }
}

fn showing<'s>(pgseal: Pgseal<'s>, shown: Option<&Card>) -> Pgseal<'s> {
    match shown {
        Some(Card { certificate, key }) => pgseal.env("PGSSLCERT", certificate).env("PGSSLKEY", key),
        None => pgseal,
    }
}

#[test]
fn one_that_shows_it_gets_in_and_one_that_does_not_is_refused_until_it_is_undone() {
    for version in versions() {
        let mutual = Mutual::start(*version);
        let living = &mutual.living;
        let admin = mutual.card(&mutual.ours, "admin", SUPERUSER);
        let app = mutual.card(&mutual.ours, "app", APP);
        let stranger = mutual.card(&mutual.theirs, "stranger", APP);
        let before = living.kept_files();
        mutual.psql("verify-full", Some(&stranger)).succeeded();

        let mut shown = mutual.secure(&["--dry-run"], Some(&admin)).run().succeeded();
        for line in ASKING.lines().filter(|line| line.contains("verify-full")) {
            shown = shown.says(&format!("+{line}"));
        }
        shown.says("tlsv1 alert unknown ca").says("sslmode=prefer").says("+ssl_ca_file");
        assert_eq!(living.kept_files(), before, "a look changes nothing");

        let changed = mutual.secure(&["--yes", "--format", "json"], Some(&admin)).run().succeeded();
        let changed = changed
            .never_mentions(PASSWORD)
            .never_mentions("PRIVATE KEY")
            .complains("tlsv1 alert unknown ca");
        Schema::of("secure").admits(&changed.json());
        for name in
            ["client-certificate-connects", "without-certificate-refused", "sslmode-verify-full-connects"]
        {
            assert_eq!(claim(&changed, name)["holds"], true, "{changed}");
        }
        let evidence = claim(&changed, "client-certificate-connects")["evidence"].to_string();
        assert!(evidence.contains(&format!("/CN={SUPERUSER}")), "{evidence}");
        assert_eq!(living.read("pg_hba.conf"), ASKING);

        mutual.psql("verify-full", Some(&app)).succeeded().says(&format!("/CN={APP}"));
        mutual.psql("verify-full", None).ended(2).complains("requires a valid client certificate");
        mutual.psql("verify-full", Some(&admin)).ended(2);
        for mode in ["prefer", "require"] {
            let refused = mutual.psql(mode, Some(&stranger)).ended(2);
            assert!(refused.stderr().contains("unknown ca"), "{refused}");
        }

        let verified = showing(living.verb("verify", &["--format", "json"], &mutual.by), Some(&admin)).run();
        for name in ["client-certificate-connects", "without-certificate-refused", "session-encrypted"] {
            assert_eq!(claim(&verified, name)["holds"], true, "{verified}");
        }
        let said = living.verb("verify", &["--format", "json"], &mutual.by).run().ended(1);
        assert_eq!(claim(&said, "without-certificate-refused")["holds"], true, "{said}");
        assert_ne!(claim(&said, "client-certificate-connects")["holds"], true, "{said}");

        let again = mutual.secure(&["--yes"], Some(&admin)).run().succeeded();
        again.says("everything was as wished, and is proved");
        let other = showing(living.secure(&[], &mutual.by), Some(&admin)).run().succeeded();
        other.says("everything was as wished");
        let uri = format!(
            "postgresql://{SUPERUSER}@localhost:{}/postgres?sslrootcert={}&sslcert={}&sslkey={}",
            living.port(),
            living.ca_file().display(),
            admin.certificate.display(),
            admin.key.display()
        );
        let outside = living.pgseal(&mutual.by).args(["verify", &uri, "--format", "json"]).run();
        assert_eq!(claim(&outside, "session-encrypted")["holds"], true, "{outside}");

        living
            .verb("undo", &["--allow-insecure"], &mutual.by)
            .run()
            .succeeded()
            .says("the wire shows what it showed before");
        assert_eq!(living.kept_files(), before);
        mutual.psql("verify-full", Some(&stranger)).succeeded();
        mutual.psql("verify-full", None).succeeded();
        record("clients have to show a certificate, and undone they have not", 1);
    }
}

#[test]
fn a_login_of_pgseals_own_that_would_be_shut_out_stops_it() {
    for version in versions() {
        let mutual = Mutual::start(*version);
        let living = &mutual.living;
        let admin = mutual.card(&mutual.ours, "admin", SUPERUSER);
        let app = mutual.card(&mutual.ours, "app", APP);
        let stranger = mutual.card(&mutual.theirs, "stranger", SUPERUSER);
        let before = living.kept_files();
        let stopped = |shown: Option<&Card>, why: &str| {
            mutual.secure(&["--yes"], shown).run().ended(1).complains(why).complains("nothing was changed");
            assert_eq!(living.kept_files(), before, "{why}");
        };
        stopped(None, "it has none to show");
        stopped(Some(&stranger), "the server would refuse it");
        stopped(Some(&app), "whose common name is the role's");
        mutual
            .secure(&["--yes"], Some(&admin))
            .env("PGPASSWORD", "")
            .run()
            .ended(1)
            .complains("no password was given");
        let halved = Card { certificate: admin.certificate.clone(), key: app.key.clone() };
        mutual.secure(&["--yes"], Some(&halved)).run().ended(3).complains("key values mismatch");

        let file = |content: &str| mutual.file("given.pem", content);
        let given = |content: &str, why: &str| {
            let words = ["--yes", "--client-ca"];
            let pgseal = living.verb("secure", &words, &mutual.by).arg(file(content));
            showing(pgseal, Some(&admin)).run().ended(2).complains(why).complains("nothing was changed");
        };
        let forged = mutual.ours.client(APP);
        given(&forged.certificate, "is no CA");
        given(&format!("{}{}", mutual.ours.certificate(), forged.key), "holds a private key");
        given("nothing\n", "holds no PEM block");
        given(mutual.ours.under("CA in between").certificate(), "no root is in it");

        // Those who are there, and of whom nobody knows whether they have one.
        let resident = Resident::new(living, living.psql("verify-full"), "stays and waits");
        let refused = mutual.secure(&["--yes"], Some(&admin)).run().ended(1).complains("would be locked out");
        refused.complains("was never asked for a certificate");
        resident.stayed();
        assert_eq!(living.kept_files(), before);
        record(
            "a run whose own login would be shut out by --client-ca is stopped before anything is written",
            5,
        );
    }
}

#[test]
fn a_server_that_lets_no_certificate_in_goes_back() {
    for version in versions() {
        let mutual = Mutual::start(*version);
        let living = &mutual.living;
        // With a list of another CA's PostgreSQL refuses every certificate of ours, which its files do not tell.
        living.write("others.crl", &mutual.theirs.revocation_list(&[]));
        living.append_conf("ssl_crl_file = 'others.crl'");
        living.reload();
        let before = living.kept_files();
        let admin = mutual.card(&mutual.ours, "admin", SUPERUSER);
        let rolled_back =
            mutual.secure(&["--yes", "--client-cert", "verify-ca"], Some(&admin)).run().ended(4);
        rolled_back.complains("the wire shows what it showed before");
        assert_eq!(living.kept_files(), before);
        mutual.psql("verify-full", None).succeeded();
        record("a server that refuses the certificates that were asked for is rolled back", 1);
    }
}
