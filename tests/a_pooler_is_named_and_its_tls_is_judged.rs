//! PgBouncer before a server is told from PostgreSQL, and what it speaks is listed as openssl agrees on it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::harness::{
    APP_PASSWORD, Account, Forge, Install, Key, Openssl, Pgseal, Port, Psql, Running, Sandbox, Schema,
    Server, TlsServer, named_and_gone_on, record,
};

const PROMISE: &str = "a pooler is named, and its TLS judged";

/// A PgBouncer between clients and that server. Stopped when dropped, before its folder is gone.
struct Bouncer {
    _running: Running,
    port: Port,
    sandbox: Sandbox,
    conf: PathBuf,
}

impl Bouncer {
    fn before(server: &Server) -> Self {
        let (sandbox, port, account) = (Sandbox::new(), Port::free(), Account::server());
        let home = sandbox.dir_of(&account, "bouncer");
        let forge = Forge::new("the bouncer's");
        let leaf = forge.leaf(&["localhost", "127.0.0.1"]);
        let file =
            |name: &str, content: &str| sandbox.file_of(&account, &format!("bouncer/{name}"), 0o600, content);
        let (certificate, key) = (file("server.crt", &leaf.certificate), file("server.key", &leaf.key));
        let users = file("users", "\"app\" \"an app's own\"\n");
        let conf = format!(
            "[databases]\n* = host=localhost port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1,::1\nlisten_port = {}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\nadmin_users = app\nauth_file = {}\nclient_tls_sslmode = require\n\
             client_tls_cert_file = {}\nclient_tls_key_file = {}\nlogfile = {}\npidfile =\n",
            server.port(),
            port.number(),
            users.display(),
            certificate.display(),
            key.display(),
            home.join("log").display(),
        );
        let conf = file("pgbouncer.ini", &conf);
        assert!(
            std::path::Path::new("/usr/sbin/pgbouncer").exists(),
            "there is no PgBouncer here: run `tests/provision/system.sh pgbouncer`"
        );
        let mut command = account.command("pgbouncer", &home);
        command.current_dir("/").arg(&conf);
        let running = Running::start(command, b"");
        running.wait_until_it_says("process up", Duration::from_secs(20));
        fs::write(sandbox.join("bouncer-ca.crt"), forge.certificate()).expect("it is the test's");
        Self { _running: running, port, sandbox, conf }
    }
}

#[test]
fn pgbouncer_is_named_and_judged_by_its_own_words() {
    let server = Server::of(15);
    let bouncer = Bouncer::before(&server);
    let port = bouncer.port.number();
    for quick in [&[][..], &["--quick"]] {
        let ran = Pgseal::new(&bouncer.sandbox)
            .args(["scan", &format!("localhost:{port}"), "--format", "json", "--fail-on", "never"])
            .args(["--timeout", "40s", "--target-timeout", "5m"])
            .args(quick.iter().copied())
            .run()
            .succeeded();
        let whole = ran.json();
        Schema::of("scan").admits(&whole);
        let row = &whole["targets"][0];
        assert_eq!((&row["speaks"], &row["tls"]["offered"]), (&"pgbouncer".into(), &true.into()), "{row:#}");
        assert_eq!(row["authentication"]["plaintext"]["let_in"], false, "{row:#}");
        if quick.is_empty() {
            let listed = row["suites"].as_array().unwrap().iter();
            for suites in listed.filter(|suites| suites["protocol"] == "TLSv1.2") {
                for suite in suites["accepted"].as_array().unwrap() {
                    let name = suite["openssl"].as_str().unwrap();
                    let agreed = Openssl::to(port).with(&["-tls1_2", "-cipher", name]).agrees();
                    assert_eq!(agreed.map(|agreed| agreed.suite).as_deref(), Some(name));
                    record(PROMISE, 1);
                }
            }
        }
        record(PROMISE, 1);
    }
    Pgseal::new(&bouncer.sandbox)
        .args(["scan", &format!("localhost:{port}"), "--fail-on", "never", "--timeout", "40s"])
        .run()
        .succeeded()
        .says("PgBouncer");
}

/// What `doctor` finds with a connection string of the pooler's, and what it could not look at.
fn doctor(bouncer: &Bouncer, password: &str) -> (BTreeMap<String, String>, Vec<String>) {
    let target = format!(
        "postgresql://app@localhost:{}/postgres?hostaddr=127.0.0.1&sslrootcert={}",
        bouncer.port.number(),
        bouncer.sandbox.join("bouncer-ca.crt").display()
    );
    let pgseal = Pgseal::new(&bouncer.sandbox).env("PGPASSWORD", password);
    let ran = pgseal.args(["doctor", &target, "--format", "json", "--fail-on", "critical"]).run().succeeded();
    let told = ran.never_mentions(APP_PASSWORD).json();
    Schema::of("doctor").admits(&told);
    let text = |one: &serde_json::Value, field: &str| one[field].as_str().expect("a text").to_owned();
    let found = told["findings"].as_array().expect("a list").iter();
    let unseen = told["unseen"].as_array().expect("a list").iter();
    (
        found.map(|one| (text(one, "name"), text(one, "evidence"))).collect(),
        unseen.map(|one| text(one, "what")).collect(),
    )
}

#[test]
fn whether_pgbouncer_verifies_the_server_behind_it_is_told_by_its_console() {
    let server = TlsServer::with(&Install::of(15), Key::Ecdsa, |setup| {
        setup.hba("local all all trust\nhost all all all scram-sha-256\n")
    });
    server.sql(&format!("CREATE ROLE app LOGIN PASSWORD '{}'", APP_PASSWORD.replace('\'', "''")));
    let bouncer = Bouncer::before(&server);
    let (ill, _) = doctor(&bouncer, APP_PASSWORD);
    let evidence = ill.get("pooler-unverified").unwrap_or_else(|| panic!("{ill:?}"));
    // What holds when nothing sets it is another mode in later versions, and none that verifies.
    assert!(evidence.contains("server_tls_sslmode = "), "{evidence}");
    // Who may not ask the console is told so.
    let (found, unseen) = doctor(&bouncer, "no password of anybody");
    assert!(!found.contains_key("pooler-unverified"), "{found:?}");
    assert!(unseen.iter().any(|what| what.contains("PgBouncer verifies")), "{unseen:?}");

    // By what the finding says.
    let ca = server.ca_file();
    let conf = fs::read_to_string(&bouncer.conf).expect("it can be read");
    let mended = format!("{conf}server_tls_sslmode = verify-full\nserver_tls_ca_file = {}\n", ca.display());
    fs::write(&bouncer.conf, mended).expect("it is the test's");
    let console =
        format!("host=127.0.0.1 port={} user=app dbname=pgbouncer sslmode=require", bouncer.port.number());
    Psql::to(console).of(&Install::of(15)).env("PGPASSWORD", APP_PASSWORD).run("RELOAD").succeeded();
    let (well, _) = doctor(&bouncer, APP_PASSWORD);
    assert!(!well.contains_key("pooler-unverified"), "{well:?}");
    let on = "PgBouncer before PostgreSQL 15";
    named_and_gone_on("pooler-unverified", on, evidence);

    // It cannot bind a login to TLS; the server itself can.
    let direct = server.scanned(&["--quick"]);
    let bound = |one: &serde_json::Value| one["name"] != "channel-binding-missing";
    assert!(direct["findings"].as_array().expect("a list").iter().all(bound), "{direct:#}");
    let missing = well.get("channel-binding-missing").unwrap_or_else(|| panic!("{well:?}"));
    named_and_gone_on("channel-binding-missing", on, missing);
    record(PROMISE, 2);
}
