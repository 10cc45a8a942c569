//! PgBouncer before a server is told from PostgreSQL, and what it speaks is listed as openssl agrees on it.

use std::time::Duration;

use crate::harness::{Account, Forge, Openssl, Pgseal, Port, Running, Sandbox, Schema, Server, record};

const PROMISE: &str = "a pooler is named, and its TLS judged";

/// A PgBouncer between clients and that server. Stopped when dropped, before its folder is gone.
struct Bouncer {
    _running: Running,
    port: Port,
    sandbox: Sandbox,
}

impl Bouncer {
    fn before(server: &Server) -> Self {
        let (sandbox, port, account) = (Sandbox::new(), Port::free(), Account::server());
        let home = sandbox.dir_of(&account, "bouncer");
        let leaf = Forge::new("the bouncer's").leaf(&["localhost", "127.0.0.1"]);
        let file =
            |name: &str, content: &str| sandbox.file_of(&account, &format!("bouncer/{name}"), 0o600, content);
        let (certificate, key) = (file("server.crt", &leaf.certificate), file("server.key", &leaf.key));
        let users = file("users", "\"app\" \"an app's own\"\n");
        let conf = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1,::1\nlisten_port = {}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\nclient_tls_sslmode = require\n\
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
        Self { _running: running, port, sandbox }
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
