//! The harness's own promise: a real server for each scenario, quick, alone on its port, and gone afterwards.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use crate::harness::{
    Account, Cluster, Install, PASSWORD, Psql, SUPERUSER, Server, record, samples, versions,
};

#[test]
fn a_server_of_every_version_starts_answers_and_is_gone_when_dropped() {
    for version in versions() {
        let server = Server::of(*version);
        assert_eq!(
            server.sql("SELECT current_setting('server_version_num')::int / 10000"),
            version.to_string()
        );
        assert_eq!(server.sql("SHOW fsync"), "off");
        let (port, pid, dir) = (server.port(), server.pid().unwrap(), server.sandbox().path().to_owned());
        drop(server);
        assert!(
            !std::path::Path::new(&format!("/proc/{pid}")).exists(),
            "{version}: the postmaster is gone and reaped"
        );
        assert!(!dir.exists(), "{version}: its directory is gone");
        TcpListener::bind(("127.0.0.1", port)).expect("its port is free again");
        record("a server starts, answers and is gone", 1);
    }
}

#[test]
fn a_server_never_runs_as_root_and_listens_for_passwords_on_both_loopbacks() {
    let server = Server::of(15);
    assert_ne!(server.data().metadata().unwrap().uid(), 0);
    for host in ["127.0.0.1", "::1"] {
        let conninfo = format!("host={host} port={} user={SUPERUSER} dbname=postgres", server.port());
        Psql::to(&conninfo).run("SELECT 1").ended(2).complains("no password supplied");
        Psql::to(&conninfo).env("PGPASSWORD", PASSWORD).run("SELECT 1").succeeded().says("1");
    }
}

#[test]
fn a_line_on_top_of_the_rules_comes_first_and_psql_finds_the_password_of_its_home() {
    let server = Server::of(15);
    let home = server.sandbox().home_of(&Account::current());
    let pgpass = format!("*:*:*:*:{PASSWORD}\n");
    server.sandbox().file_of(&Account::current(), "pgpass", 0o600, &pgpass);
    std::fs::rename(server.sandbox().join("pgpass"), home.join(".pgpass")).unwrap();
    let login =
        || Psql::to(server.conninfo(SUPERUSER, "postgres", "disable")).of(server.install()).home(&home);
    login().run("SELECT 'in'").succeeded().says("in");
    server.prepend_hba("host all all all reject");
    assert!(server.read("pg_hba.conf").starts_with("host all all all reject\n# "));
    server.reload();
    login().run("SELECT 'in'").ended(2).complains("pg_hba.conf rejects connection");
}

#[test]
fn a_changed_rule_or_setting_holds_from_the_next_connection_after_a_reload() {
    for version in versions() {
        let server = Server::of(*version);
        for round in 0..samples(50) {
            let method = ["reject", "trust"][(round % 2) as usize];
            server.write_hba(&format!("local all all trust\nhost all all all {method}\n"));
            server.append_conf(&format!("work_mem = {}kB", 64 + round));
            server.reload();
            let ran = Psql::to(server.conninfo(SUPERUSER, "postgres", "disable")).run("SHOW work_mem");
            if method == "reject" {
                ran.ended(2).complains("pg_hba.conf rejects connection");
            } else {
                ran.succeeded().says(&format!("{}kB", 64 + round));
            }
        }
        record("a reload holds from the next connection", samples(50));
    }
}

#[test]
fn a_server_stops_crashes_and_starts_again_where_it_was() {
    let mut server = Server::of(18);
    let port = server.port();
    server.sql("CREATE TABLE kept AS SELECT 42 AS answer");
    server.restart();
    assert_eq!(server.sql("SELECT answer FROM kept"), "42");
    server.crash();
    assert!(server.pid().is_some(), "a crash leaves postmaster.pid");
    server.start();
    assert_eq!(server.port(), port);
    server.append_conf("log_min_messages = debug1");
    server.reload();
    server.wait_for_log("received SIGHUP");
    server.stop();
    assert!(server.pid().is_none() && server.log_text().contains("database system is shut down"));
}

#[test]
fn servers_beside_each_other_have_ports_of_their_own_and_are_found_by_their_directory() {
    let servers: Vec<Server> = (0..3).map(|_| Server::of(15)).collect();
    let mut ports: Vec<u16> = servers.iter().map(|server| server.port()).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 3);
    for server in &servers {
        let seen = Cluster::at(server.data(), server.install());
        assert!(seen.wait_until_ready(Duration::from_secs(1)));
        assert_eq!((seen.pid(), seen.port()), (server.pid(), server.port()));
        assert!(server.sandbox().living().contains(&server.pid().unwrap()));
    }
}

#[test]
fn a_server_can_be_an_ordinary_users_own() {
    let ordinary = Account::ordinary();
    let server = Server::with(Install::of(18))
        .by(&ordinary)
        .conf("cluster_name = 'mine'")
        .hba("local all all trust\n")
        .start();
    assert_eq!(server.sql("SHOW cluster_name"), "mine");
    assert_eq!(server.account(), ordinary);
}

#[test]
fn the_build_without_ssl_refuses_to_turn_it_on() {
    let server = Server::with(Install::without_ssl()).start();
    server.try_sql("ALTER SYSTEM SET ssl = on").ended(3).complains("SSL is not supported by this build");
}
