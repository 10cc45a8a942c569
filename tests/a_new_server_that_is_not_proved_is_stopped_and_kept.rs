//! A first `up` whose proof has a failed claim: nobody connects to such a server by mistake, and it lies there for study.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::harness::{Account, Cluster, Install, NO, Pgseal, Port, Sandbox, Schema, all_hold_but, claim};

/// A PostgreSQL that reads other rules than those which `up` wrote: plaintext is let in over IPv4.
fn disobedient(sandbox: &Sandbox, install: &Install) -> PathBuf {
    let rules = sandbox.file_of(
        &Account::server(),
        "other_hba.conf",
        0o600,
        "local all all peer map=pgseal\nhost all all 127.0.0.1/32 scram-sha-256\nhostssl all all all scram-sha-256\n",
    );
    let bin = sandbox.dir_of(&Account::current(), "bin");
    for (name, more) in
        [("postgres", format!("-c hba_file='{}'", rules.display())), ("initdb", String::new())]
    {
        let real = install.program(name);
        let script = format!(
            "#!/bin/sh\ncase $1 in -D) exec '{0}' \"$@\" {more};; *) exec '{0}' \"$@\";; esac\n",
            real.display()
        );
        let path = bin.join(name);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    bin
}

const FALLEN: [(&str, Option<bool>); 3] =
    [("plaintext-refused-ipv4", NO), ("no-plaintext-path", NO), ("sslmode-disable-refused", NO)];

#[test]
fn a_new_server_that_is_not_proved_is_stopped_and_kept() {
    let sandbox = Sandbox::new();
    let install = Install::of(15);
    let bin = disobedient(&sandbox, &install);
    let port = Port::free();
    let up = || {
        Pgseal::new(&sandbox).args(["up", "sealed", "-p", &port.number().to_string(), "--bindir"]).arg(&bin)
    };
    let first = up().args(["--format", "json"]).run();
    all_hold_but(&first, &FALLEN);
    Schema::of("up").admits(&first.json());
    assert_eq!((&first.json()["state"], &first.json()["pid"]), (&"stopped".into(), &serde_json::Value::Null));
    let evidence = claim(&first, "plaintext-refused-ipv4");
    assert!(evidence["evidence"].as_str().unwrap().starts_with("127.0.0.1: "), "{evidence}");

    // Kept whole, and nothing runs.
    let dir = PathBuf::from(first.json()["dir"].as_str().unwrap());
    assert_eq!(sandbox.living(), Vec::<u32>::new());
    for kept in ["pgseal.toml", "ca/server-ca.key", "data/PG_VERSION", "log/postgresql.log", "client/pgpass"]
    {
        assert!(dir.join(kept).exists(), "{kept}");
    }
    Pgseal::new(&sandbox).args(["status", "sealed"]).run().ended(1).says("stopped");

    // From now on it has data, for all that anybody knows: a later up starts it and leaves it running.
    let later = up().args(["--format", "json"]).run();
    all_hold_but(&later, &FALLEN);
    assert_eq!(later.json()["state"], "started");
    assert!(Cluster::at(dir.join("data"), &install).is_ready());
}

#[test]
fn a_person_is_told_that_it_was_stopped_and_where_to_look() {
    let sandbox = Sandbox::new();
    let bin = disobedient(&sandbox, &Install::of(18));
    let port = Port::free().number().to_string();
    let ran = Pgseal::new(&sandbox).args(["up", "sealed", "-p", &port, "--bindir"]).arg(&bin).run().ended(1);
    let ran = ran
        .says("Proof (15 of 18)")
        .says("a connection without TLS is let in")
        .says("the server was stopped");
    let ran = ran.says("sealed/log/postgresql.log");
    assert!(!ran.stdout().contains("Connect"), "nobody is told to connect:\n{ran}");
}
