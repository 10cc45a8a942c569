//! A guide followed in docker ends in states in which nothing says why: a key of the wrong owner or mode, a pair that does not
//! match, a file that is a folder, rules that let nobody in over the socket. The first line of `pgseal doctor` is the true cause in
//! each, and none of them is named once it is mended.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::{
    Account, Container, Forge, PASSWORD, Pgseal, Sandbox, Setup, docker, docker_env, images_in_turn,
    named_and_gone, record, run,
};

/// Word for word, but for the questions of openssl.
const COMMANDS: &str = "openssl genrsa -out server.key 2048
openssl req -new -key server.key -out server.csr -subj '/C=US/ST=State/L=City/O=Organization/CN=postgres'
openssl x509 -req -in server.csr -signkey server.key -out server.crt -days 365
chmod 600 server.key
chmod 644 server.crt
";
const RULES: &str = "# TYPE  DATABASE        USER            ADDRESS                 METHOD\n\
                     hostssl all             all             0.0.0.0/0               scram-sha-256\n\
                     hostssl all             all             ::/0                    scram-sha-256\n";
const CERTS: &str = "/var/lib/postgresql/certs";
const HBA: &str = "/var/lib/postgresql/pg_hba.conf";

/// The folder of certificates beside the compose file, and who looks.
struct Guide {
    sandbox: Sandbox,
    image: String,
    /// The uid of the server in that image.
    uid: u32,
}

impl Guide {
    fn new(image: &str) -> Self {
        let guide = Self {
            sandbox: Sandbox::new(),
            image: image.to_owned(),
            uid: if image.ends_with("-alpine") { 70 } else { 999 },
        };
        fs::create_dir(guide.certs()).expect("a new sandbox is empty");
        let mut shell = Account::current().command("sh", "/nonexistent".as_ref());
        shell.current_dir(guide.certs()).args(["-c", COMMANDS]);
        run(shell, b"", Duration::from_secs(60)).succeeded();
        guide
    }

    fn certs(&self) -> PathBuf {
        self.sandbox.join("postgres-certs")
    }

    fn own(&self, name: &str, uid: u32, mode: u32) {
        let path = self.certs().join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is the test's");
        chown(&path, Some(uid), Some(uid)).expect("docker's tests run as root");
    }

    fn setup(&self, hba: Option<&Path>) -> Setup {
        let setup = Container::of(&self.image)
            .env("POSTGRES_PASSWORD", PASSWORD)
            .env("POSTGRES_INITDB_ARGS", "--no-sync")
            .volume(&format!("{}:{CERTS}", self.certs().display()));
        let certificate = format!("ssl_cert_file={CERTS}/server.crt");
        let key = format!("ssl_key_file={CERTS}/server.key");
        let setup = match hba {
            Some(path) => setup.volume(&format!("{}:{HBA}", path.display())),
            None => setup,
        };
        let setup = setup.args(&["-c", "ssl=on", "-c", &certificate, "-c", &key]);
        if hba.is_some() { setup.args(&["-c", &format!("hba_file={HBA}")]) } else { setup }
    }

    /// What doctor finds, in its order: name and evidence.
    fn findings(&self, container: &Container) -> Vec<(String, String)> {
        let pgseal = Pgseal::new(&self.sandbox)
            .env("PGSEAL_STATE_DIR", self.sandbox.home_of(&Account::current()).join("journal"))
            .env("PGUSER", "postgres")
            .env("PGPASSWORD", PASSWORD);
        let pgseal = docker_env().into_iter().fold(pgseal, |pgseal, (name, value)| pgseal.env(name, value));
        let target = format!("container:{}", container.name());
        let ran = pgseal.args(["doctor", &target, "--format", "json"]).run().ended(1);
        let told = ran.never_mentions(PASSWORD).json();
        let all = told["findings"].as_array().expect("a list");
        let text = |one: &serde_json::Value, field: &str| one[field].as_str().expect("a text").to_owned();
        all.iter().map(|one| (text(one, "name"), text(one, "evidence"))).collect()
    }

    /// The first thing that is found of a server that does not start.
    #[track_caller]
    fn cause(&self, hba: Option<&Path>) -> (String, String) {
        let container = self.setup(hba).start_unpublished();
        docker(&["wait", container.name()]).succeeded();
        let findings = self.findings(&container);
        assert!(findings.iter().any(|(name, _)| name == "server-down"), "{findings:?}");
        findings.into_iter().next().expect("something is found")
    }
}

#[test]
fn the_first_line_is_the_true_cause_in_every_state_of_it() {
    for image in images_in_turn(0) {
        let guide = Guide::new(&image);
        let major =
            image.trim_start_matches("postgres:").trim_end_matches("-alpine").parse().expect("a number");
        let mut causes = Vec::new();
        // As it stands: openssl was run by a person, and the server is another user.
        guide.own("server.key", 1000, 0o600);
        causes.push(("key-owner-wrong", guide.cause(None)));
        guide.own("server.key", guide.uid, 0o644);
        causes.push(("key-open-to-others", guide.cause(None)));
        guide.own("server.key", guide.uid, 0o600);
        let good = fs::read(guide.certs().join("server.crt")).expect("it is there");
        fs::write(guide.certs().join("server.crt"), Forge::new("another").leaf(&["db"]).certificate)
            .expect("it is the test's");
        causes.push(("key-unfit", guide.cause(None)));
        fs::remove_file(guide.certs().join("server.crt")).expect("it is the test's");
        causes.push(("certificate-missing", guide.cause(None)));
        fs::write(guide.certs().join("server.crt"), good).expect("it is the test's");
        // Docker makes a folder of what is not there.
        let rules = guide.certs().join("pg_hba.conf");
        causes.push(("rules-errors", guide.cause(Some(&rules))));
        fs::remove_dir(&rules).expect("docker made it");
        fs::write(&rules, RULES.replace("hostssl", "hostsll")).expect("it is the test's");
        causes.push(("rules-errors", guide.cause(Some(&rules))));
        for (expected, (name, evidence)) in &causes {
            assert_eq!(name, expected, "{image}: {evidence}");
            assert!(evidence.contains("FATAL:") || evidence.contains("LOG:"), "{evidence}");
        }

        // It starts, and docker exec psql gets in no more.
        fs::write(&rules, RULES).expect("it is the test's");
        fs::set_permissions(&rules, fs::Permissions::from_mode(0o644)).expect("it is the test's");
        let container = guide.setup(None).start();
        for (name, _) in guide.findings(&container) {
            let of_a_start =
                ["key-owner-wrong", "key-open-to-others", "key-unfit", "rules-errors", "server-down"];
            assert!(!of_a_start.contains(&name.as_str()) && name != "socket-locked-out", "{name}");
        }
        container.psql("postgres", "SELECT 1").succeeded();
        let locked = guide.locked_out(&container, &rules);
        assert_eq!(locked.0, "socket-locked-out", "{locked:?}");
        causes.push(("socket-locked-out", locked));
        for (name, (_, evidence)) in &causes {
            named_and_gone(name, major, evidence);
        }
        record(
            "the first line of doctor is the true cause in a state of a guide",
            u32::try_from(causes.len()).expect("a few"),
        );
    }
}

impl Guide {
    /// The same with the guide's rules.
    fn locked_out(&self, running: &Container, rules: &Path) -> (String, String) {
        let text = fs::read_to_string(rules).expect("it is there");
        let script = format!("cat > \"$PGDATA/pg_hba.conf\" <<'EOF'\n{text}EOF\n");
        running.exec(&["sh", "-c", &script]).succeeded();
        running.exec(&["sh", "-c", "kill -HUP 1"]).succeeded();
        let end = std::time::Instant::now() + Duration::from_secs(60);
        while running.psql("postgres", "SELECT 1").code() == Some(0) {
            assert!(std::time::Instant::now() < end, "the rules are loaded");
        }
        self.findings(running).into_iter().next().expect("something is found")
    }
}
