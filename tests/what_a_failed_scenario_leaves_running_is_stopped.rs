//! A scenario may fail at any line. What it started must not outlive it.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use crate::harness::{Account, Cluster, Install, Running, Sandbox, Server};

#[test]
fn a_server_is_stopped_when_its_scenario_panics() {
    let mut pid = 0;
    let failed = catch_unwind(AssertUnwindSafe(|| {
        let server = Server::of(15);
        pid = server.pid().unwrap();
        panic!("as a failing scenario does");
    }));
    assert!(failed.is_err() && pid > 1);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

/// What `pgseal up` does: the server is nobody's child, and its data directory may even be gone.
#[test]
fn a_server_that_went_into_the_background_is_stopped_with_its_sandbox() {
    for remove_data in [false, true] {
        let mut like = Server::of(15);
        like.stop();
        let sandbox = Sandbox::new();
        let account = Account::server();
        let install = Install::of(15);
        let data = sandbox.dir_of(&account, "moved").join("data");
        fs::rename(like.data(), &data).unwrap();
        let mut pg_ctl = account.command(install.program("pg_ctl"), &sandbox.home_of(&account));
        pg_ctl.current_dir("/").arg("start").arg("-w").arg("-D").arg(&data);
        pg_ctl.arg("-l").arg(sandbox.dir_of(&account, "logs").join("log"));
        Running::start(pg_ctl, b"").wait(Duration::from_secs(30)).succeeded();
        let pid = Cluster::at(&data, &install).pid().unwrap();
        assert!(sandbox.living().contains(&pid));
        if remove_data {
            fs::remove_dir_all(&data).unwrap();
            assert!(sandbox.living().contains(&pid), "also without its directory");
        }
        let dir = sandbox.path().to_owned();
        drop(sandbox);
        assert!(!dir.exists());
        let cwd = fs::read_link(format!("/proc/{pid}/cwd"));
        assert!(cwd.is_err(), "no longer at work: {cwd:?}");
    }
}
