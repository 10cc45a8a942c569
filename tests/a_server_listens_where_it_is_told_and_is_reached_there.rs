//! `--listen` in all its forms: the server listens there and nowhere else, speaks only TLS there, and the URI leads there.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::harness::{
    Account, Install, NO, Pgseal, Psql, Sandbox, Sealed, all_hold, claims, versions_in_turn,
};

/// Whether anything listens there.
fn listens(ip: &str, port: u16) -> bool {
    let ip: IpAddr = ip.parse().unwrap();
    TcpStream::connect_timeout(&SocketAddr::new(ip, port), Duration::from_secs(5)).is_ok()
}

#[test]
fn a_server_listens_where_it_is_told_and_is_reached_there() {
    // What is asked, where it listens, and where it does not.
    let cases: [(&[&str], &[&str], &[&str]); 8] = [
        (&[], &["127.0.0.1", "::1"], &["127.0.0.2"]),
        (&["localhost"], &["127.0.0.1", "::1"], &["127.0.0.2"]),
        (&["*"], &["127.0.0.1", "127.0.0.2", "::1"], &[]),
        (&["0.0.0.0"], &["127.0.0.1", "127.0.0.2"], &["::1"]),
        (&["::"], &["::1"], &["127.0.0.1"]),
        (&["::1"], &["::1"], &["127.0.0.1"]),
        (&["127.0.0.2"], &["127.0.0.2"], &["127.0.0.1", "::1"]),
        (&["127.0.0.3", "::1", "127.0.0.3"], &["127.0.0.3", "::1"], &["127.0.0.1"]),
    ];
    for (nth, (asked, there, not_there)) in cases.iter().enumerate() {
        for version in versions_in_turn(nth) {
            let accounts = Account::both();
            let account = &accounts[nth / 2 % accounts.len()];
            let options: Vec<&str> = asked.iter().flat_map(|address| ["--listen", address]).collect();
            let install = Install::of(version);
            let sealed = Sealed::with(&install, account, &options);
            for ip in *there {
                assert!(listens(ip, sealed.port()), "{asked:?}: nothing listens on {ip}");
                plaintext_is_refused_and_tls_is_not(&sealed, account, ip);
            }
            for ip in *not_there {
                assert!(!listens(ip, sealed.port()), "{asked:?}: something listens on {ip}");
            }
            // libpq compares addresses with a certificate's from 15 on.
            let client = Install::of(version.max(15));
            let by_uri = Psql::to(sealed.fact("uri")).of(&client).by(account);
            by_uri.env("PGPASSFILE", sealed.fact("passfile")).run("SELECT 1").succeeded();
            all_hold(&sealed.verify());
            // What does not exist here is left out by name, and nothing is claimed of it.
            let left_out: BTreeSet<String> = sealed.made()["left_out"]
                .as_array()
                .unwrap()
                .iter()
                .map(|claim| claim["name"].as_str().unwrap().to_owned())
                .collect();
            for (family, has) in [
                ("ipv4", there.iter().any(|ip| ip.contains('.'))),
                ("ipv6", there.iter().any(|ip| ip.contains(':'))),
            ] {
                assert_eq!(
                    left_out.contains(&format!("plaintext-refused-{family}")),
                    !has,
                    "{asked:?}: {left_out:?}"
                );
            }
        }
    }
}

/// psql with the certificate checked for the address, where the certificate names it.
fn plaintext_is_refused_and_tls_is_not(sealed: &Sealed, account: &Account, ip: &str) {
    let conninfo = |mode: &str| {
        let ca = sealed.at("client/ca.crt");
        format!(
            "host={ip} port={} user=admin dbname=mydb sslmode={mode} sslrootcert='{}'",
            sealed.port(),
            ca.display()
        )
    };
    let psql = |mode| Psql::to(conninfo(mode)).by(account).env("PGPASSWORD", sealed.password());
    psql("disable").run("SELECT 1").ended(2).complains("pg_hba.conf rejects connection");
    psql("verify-ca").run("SELECT 1").succeeded();
}

/// Somebody adds an address by hand: what pgseal does not know of it does not claim.
#[test]
fn an_address_that_is_taken_away_is_no_longer_claimed() {
    let sealed = Sealed::of(15);
    sealed.append_conf("listen_addresses = '127.0.0.1'");
    sealed.pgseal().args(["down", "sealed"]).run().succeeded();
    let up = sealed.up();
    let claims = claims(&up);
    assert_eq!(up.code(), Some(1), "{up}");
    assert_eq!(claims["tls-offered"], NO, "{up}");
    assert_ne!(claims["plaintext-refused-ipv6"], Some(true), "{up}");
    assert!(sealed.pid().is_some(), "a server with data is never stopped for that");
}

#[test]
fn an_address_of_this_machine_is_a_name_of_the_certificate() {
    let sandbox = Sandbox::new();
    let up = Pgseal::new(&sandbox).args([
        "up",
        "sealed",
        "-p",
        "0",
        "--listen",
        "127.0.0.4",
        "--listen",
        "localhost",
    ]);
    let up = up.bindir(&Install::of(15)).run().succeeded();
    assert!(up.stdout().contains("127.0.0.4"), "{up}");
    let status = Pgseal::new(&sandbox).args(["status", "sealed"]).run().succeeded();
    assert!(
        status.stdout().contains("localhost, 127.0.0.1, ::1") && status.stdout().contains("127.0.0.4"),
        "{status}"
    );
}
