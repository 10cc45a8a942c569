//! What `pgseal up` promises, and what another program finds: psql with verify-full gets in by the URI and by the service,
//! and plaintext is refused.

use crate::harness::{Account, Install, Psql, Sealed, all_hold, claims, picture, record, versions};

const ENCRYPTED: &str = "SELECT ssl, version LIKE 'TLSv1.%', current_user, current_database() FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

/// As root and as an ordinary user; without root, as ourselves alone.
fn accounts() -> Vec<Account> {
    let mut accounts = vec![Account::current(), Account::ordinary()];
    accounts.dedup();
    accounts
}

#[test]
fn up_proves_every_claim_and_psql_gets_in_only_with_tls() {
    for version in versions() {
        for account in accounts() {
            let server = Sealed::with(&Install::of(*version), &account, &[]);
            assert_eq!(server.made()["state"], "created");
            assert_eq!(server.made()["proved"], true, "{:#}", server.made());
            let pg_version = server.fact("pg_version");
            assert!(pg_version.starts_with(&format!("{version}.")), "{pg_version}");
            let again = server.verify();
            all_hold(&again);
            let said = server.made()["claims"].as_array().unwrap();
            assert_eq!(said.len(), claims(&again).len());
            assert!(said.iter().all(|claim| claim["holds"] == true));
            // A psql of another package than the server's, and whatever psql the other versions brought.
            for theirs in [None, Some(Install::of(15)), Some(Install::of(18))] {
                psql_gets_in_only_with_tls(&server, &account, theirs.as_ref());
            }
            record("up proves every claim, and psql agrees", 1);
        }
    }
}

fn psql_gets_in_only_with_tls(server: &Sealed, account: &Account, theirs: Option<&Install>) {
    let psql = |conninfo: &str| {
        let psql = Psql::to(conninfo).by(account);
        theirs.map_or_else(|| Psql::to(conninfo).by(account), |install| psql.of(install))
    };
    let (uri, passfile) = (server.fact("uri"), server.fact("passfile"));
    assert!(uri.contains("sslmode=verify-full") && !uri.contains(&server.password()), "{uri}");
    let in_full = "t|t|admin|mydb\n";
    assert_eq!(psql(uri).env("PGPASSFILE", passfile).run(ENCRYPTED).succeeded().stdout(), in_full);
    let service = psql("service=pgseal").env("PGSERVICEFILE", server.fact("service_file"));
    assert_eq!(service.run(ENCRYPTED).succeeded().stdout(), in_full);

    let with = |change: &str| uri.replace("sslmode=verify-full", change);
    let plain = psql(&with("sslmode=disable")).env("PGPASSFILE", passfile).run(ENCRYPTED);
    plain.ended(2).complains("pg_hba.conf rejects connection");
    let replication = with("sslmode=disable") + "&replication=true";
    let replication = psql(&replication).env("PGPASSFILE", passfile).run("IDENTIFY_SYSTEM");
    replication.ended(2).complains("pg_hba.conf rejects replication connection");
    for mode in ["require", "verify-ca"] {
        let let_in = psql(&with(&format!("sslmode={mode}"))).env("PGPASSFILE", passfile).run(ENCRYPTED);
        assert_eq!(let_in.succeeded().stdout(), in_full, "{mode}");
    }
    let bound = psql(&format!("{uri}&channel_binding=require")).env("PGPASSFILE", passfile);
    assert_eq!(bound.run(ENCRYPTED).succeeded().stdout(), in_full);
    psql(uri).run(ENCRYPTED).ended(2).complains("no password supplied");
}

#[test]
fn the_server_is_reached_by_every_line_of_connection_txt() {
    let server = Sealed::with(
        &Install::of(18),
        &Account::current(),
        &["--san", "db.example.org", "--san", "127.0.0.9"],
    );
    let text = std::fs::read_to_string(server.at("client/connection.txt")).unwrap();
    let uris: Vec<&str> =
        text.lines().map(str::trim).filter(|line| line.starts_with("postgresql://")).collect();
    assert!(uris.len() >= 4, "the loopbacks and what was asked for:\n{text}");
    for uri in uris {
        // Those two lead nowhere here: the names are compared, the address is the loopback's.
        let here = if uri.contains("db.example.org") || uri.contains("127.0.0.9") {
            format!("{uri}&hostaddr=127.0.0.1")
        } else {
            uri.to_owned()
        };
        let login = Psql::to(here).of(&Install::of(18)).env("PGPASSFILE", server.fact("passfile"));
        assert_eq!(login.run(ENCRYPTED).succeeded().stdout(), "t|t|admin|mydb\n", "{uri}");
    }
    let other = server.fact("uri").replace("localhost", "localhost.localdomain") + "&hostaddr=127.0.0.1";
    let other = Psql::to(other).env("PGPASSFILE", server.fact("passfile")).run(ENCRYPTED);
    other.ended(2).complains("does not match host name \"localhost.localdomain\"");
}

#[test]
fn the_password_lies_in_pgpass_alone_and_every_secret_is_private() {
    for account in accounts() {
        let sandbox = crate::harness::Sandbox::new();
        let given = "of the 4 horses: one\\two";
        let install = Install::of(15);
        let port = crate::harness::Port::free();
        let ran = crate::harness::Pgseal::new(&sandbox)
            .by(&account)
            .args(["up", "sealed", "--password-file", "-", "-p", &port.number().to_string()])
            .bindir(&install)
            .stdin(format!("{given}\n"))
            .run();
        let ran = ran.succeeded().never_mentions(given).never_mentions("4 horses");
        let dir = sandbox.join(format!("work-{}", account.uid())).join("sealed");
        let mut holders = Vec::new();
        for (path, file) in picture(&dir, |_| true) {
            let content = file.content().unwrap_or_default();
            if content.windows(8).any(|bytes| bytes == b"4 horses") {
                holders.push(path.display().to_string());
            }
            let secret = content.windows(11).any(|bytes| bytes == b"PRIVATE KEY");
            if secret || path.ends_with("pgpass") {
                assert_eq!(file.permissions(), 0o600, "{}", path.display());
            }
        }
        assert_eq!(holders, ["client/pgpass"], "{ran}");
        let uri = format!("postgresql://admin@localhost:{}/mydb?sslmode=require", port.number());
        let login = Psql::to(uri).by(&account).env("PGPASSFILE", dir.join("client/pgpass"));
        login.run(ENCRYPTED).succeeded().says("t|t|admin|mydb");
    }
}
