//! A port that somebody else listens on: said before anything is written, with who holds it as far as the system tells.

use std::net::{Ipv4Addr, TcpListener};

use crate::harness::{Account, Install, Pgseal, Port, Sandbox, Sealed};

#[test]
fn a_port_that_is_taken_is_refused_before_anything_is_written() {
    for account in Account::both() {
        let sandbox = Sandbox::new();
        let port = Port::free();
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.number())).unwrap();
        let pgseal = Pgseal::new(&sandbox).by(&account);
        let dir = pgseal.work_dir().join("sealed");
        let said = pgseal
            .args(["up", "sealed", "-p", &port.number().to_string()])
            .bindir(&Install::of(15))
            .run()
            .ended(3)
            .complains(&format!("port {} is taken on 127.0.0.1", port.number()));
        // Other users' processes are not shown to an ordinary user; whose it is, is.
        let holder = if account == Account::current() {
            format!("(pid {})", std::process::id())
        } else {
            format!("a process of user {}", Account::current().name())
        };
        said.complains(&holder).complains("--port 0");
        assert!(!dir.exists());
    }
}

#[test]
fn a_port_that_our_own_other_server_holds_is_said_to_be_held_by_postgres() {
    for account in Account::both() {
        let first = Sealed::with(&Install::of(15), &account, &[]);
        let pid = first.pid().unwrap();
        let second = first.pgseal();
        let dir = second.work_dir().join("second");
        second
            .args(["up", "second", "-p", &first.port().to_string()])
            .bindir(&Install::of(15))
            .run()
            .ended(3)
            .complains(&format!("postgres (pid {pid})"));
        assert!(!dir.exists());
        assert_eq!(first.pid(), Some(pid));
    }
}

#[test]
fn a_port_taken_on_ipv6_alone_is_taken_too() {
    let sandbox = Sandbox::new();
    let port = Port::free();
    let _listener = TcpListener::bind(("::1", port.number())).expect("these tests need IPv6 on the loopback");
    Pgseal::new(&sandbox)
        .args(["up", "-p", &port.number().to_string()])
        .bindir(&Install::of(15))
        .run()
        .ended(3)
        .complains(&format!("port {} is taken on ::1", port.number()));
}

#[test]
fn a_server_whose_port_was_taken_while_it_was_stopped_says_so_and_keeps_its_data() {
    let sealed = Sealed::of(15);
    sealed.pgseal().args(["down", "sealed"]).run().succeeded();
    let listeners: Vec<TcpListener> =
        ["127.0.0.1", "::1"].iter().filter_map(|ip| TcpListener::bind((*ip, sealed.port())).ok()).collect();
    sealed.up().ended(3).complains("Address already in use");
    assert!(sealed.at("data/PG_VERSION").exists());
    drop(listeners);
    sealed.up().succeeded().says("started");
}
