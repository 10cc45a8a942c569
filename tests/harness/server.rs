//! A real PostgreSQL server of the harness's own: started on a free port in a sandbox, always stopped.

use std::fs::{self, File};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::account::Account;
use super::cluster::Cluster;
use super::install::Install;
use super::port::Port;
use super::sandbox::Sandbox;
use super::stray::stop_under;
use super::template::fresh_cluster;

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a start is tried again where somebody outside took the port.
const TRIES: u32 = 5;

/// What a server is started with.
#[must_use]
pub(crate) struct Setup {
    install: Install,
    account: Account,
    conf: Vec<String>,
    hba: Option<String>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    before: Option<Before>,
    made_by: Option<Before>,
    data: &'static str,
}

/// What is done in the data directory before the server starts.
type Before = Box<dyn FnOnce(&Path)>;

impl Setup {
    /// A line for `postgresql.conf`, after the harness's own.
    pub(crate) fn conf(mut self, line: &str) -> Self {
        self.conf.push(line.to_owned());
        self
    }

    /// All of `pg_hba.conf`, in place of initdb's.
    pub(crate) fn hba(mut self, content: &str) -> Self {
        self.hba = Some(content.to_owned());
        self
    }

    /// More words for the postmaster's command line.
    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// A variable for the postmaster, such as `OPENSSL_CONF`.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Does something in the data directory before the server starts.
    pub(crate) fn before(mut self, deed: impl FnOnce(&Path) + 'static) -> Self {
        self.before = Some(Box::new(deed));
        self
    }

    /// Where its data directory lies in its user's folder, which is `data` otherwise.
    pub(crate) fn data_at(mut self, path: &'static str) -> Self {
        self.data = path;
        self
    }

    /// Its data directory is made by something else than initdb.
    pub(crate) fn made_by(mut self, deed: impl FnOnce(&Path) + 'static) -> Self {
        self.made_by = Some(Box::new(deed));
        self
    }

    /// Owned and run by another user than `Account::server()`.
    pub(crate) fn by(mut self, account: &Account) -> Self {
        self.account = account.clone();
        self
    }

    #[track_caller]
    pub(crate) fn start(self) -> Server {
        let sandbox = Sandbox::new();
        let home = sandbox.dir_of(&self.account, "pg");
        let data = home.join(self.data);
        if let Some(folder) = Path::new(self.data).parent().filter(|folder| *folder != Path::new("")) {
            sandbox.dir_of(&self.account, &format!("pg/{}", folder.display()));
        }
        match self.made_by {
            Some(deed) => deed(&data),
            None => fresh_cluster(&self.install, &self.account, &data),
        }
        let port = Port::free();
        let cluster = Cluster::at(data, &self.install);
        cluster.append_conf(&format!(
            "# the harness's own\nlisten_addresses = '127.0.0.1,::1'\nport = {}\nunix_socket_directories = '{}'\n\
             fsync = off\nsynchronous_commit = off\nfull_page_writes = off\nmax_wal_size = 64MB\nmin_wal_size = 4MB",
            port.number(),
            home.display()
        ));
        for line in &self.conf {
            cluster.append_conf(line);
        }
        if let Some(hba) = &self.hba {
            cluster.write_hba(hba);
        }
        if let Some(deed) = self.before {
            deed(cluster.data());
        }
        let mut server = Server {
            log: sandbox.join("log"),
            args: self.args,
            env: self.env,
            cluster,
            postmaster: None,
            port,
            sandbox,
        };
        server.start();
        server
    }
}

/// A running server. Dropped, it is stopped and its directory removed.
pub(crate) struct Server {
    cluster: Cluster,
    log: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    postmaster: Option<Postmaster>,
    port: Port,
    // Last: it is removed when the server is gone.
    sandbox: Sandbox,
}

impl Deref for Server {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Server {
    /// A server of that major version, as initdb makes it: no TLS, `trust` on the socket, `scram-sha-256` over TCP.
    #[track_caller]
    pub(crate) fn of(version: u32) -> Self {
        Self::with(Install::of(version)).start()
    }

    /// A server to be set up further.
    pub(crate) fn with(install: Install) -> Setup {
        Setup {
            install,
            account: Account::server(),
            conf: Vec::new(),
            hba: None,
            args: Vec::new(),
            env: Vec::new(),
            before: None,
            made_by: None,
            data: "data",
        }
    }

    /// The file of its log.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// What it has written to its log.
    pub(crate) fn log_text(&self) -> String {
        fs::read(&self.log).map_or_else(|_| String::new(), |text| String::from_utf8_lossy(&text).into_owned())
    }

    /// Waits until its log holds `text`.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, text: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.log_text().contains(text) {
            assert!(
                Instant::now() < end,
                "the log should hold {text:?} within {PATIENCE:?}:\n{}",
                self.log_text()
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// The sandbox that it lives in, for files beside it.
    pub(crate) fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// What the postmaster's command line is from the next start on.
    pub(crate) fn set_args(&mut self, args: &[&str]) {
        self.args = args.iter().map(|arg| (*arg).to_owned()).collect();
    }

    /// Whether it starts as it stands; its log says why not.
    pub(crate) fn starts(&mut self) -> bool {
        let postmaster = Postmaster::spawn(&self.cluster, &self.log, &self.args, &self.env);
        if self.wait_until_up(&postmaster) {
            self.postmaster = Some(postmaster);
            return true;
        }
        postmaster.stop(Signal::QUIT);
        false
    }

    /// Starts it, where it is stopped. Fails with the log where it does not start.
    #[track_caller]
    pub(crate) fn start(&mut self) {
        for _ in 0..TRIES {
            let postmaster = Postmaster::spawn(&self.cluster, &self.log, &self.args, &self.env);
            let ready = self.wait_until_up(&postmaster);
            let taken = self.log_text().contains("Address already in use");
            if ready && !taken {
                self.postmaster = Some(postmaster);
                return;
            }
            let log = self.log_text();
            postmaster.stop(Signal::QUIT);
            assert!(taken, "the server did not start:\n{log}");
            self.port = Port::free();
            self.cluster.append_conf(&format!("port = {}", self.port.number()));
            fs::remove_file(&self.log).ok();
        }
        panic!("somebody outside the tests took {TRIES} ports in a row");
    }

    /// A fast shutdown; returns when it is gone.
    pub(crate) fn stop(&mut self) {
        if let Some(postmaster) = self.postmaster.take() {
            postmaster.stop(Signal::INT);
        }
    }

    /// Kills it with SIGKILL, as a power failure would; its `postmaster.pid` stays. Returns when its children have ended,
    /// too: while one lives, PostgreSQL does not start again.
    pub(crate) fn crash(&mut self) {
        if let Some(postmaster) = self.postmaster.take() {
            postmaster.stop(Signal::KILL);
            stop_under(self.data());
        }
    }

    #[track_caller]
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.start();
    }

    fn wait_until_up(&self, postmaster: &Postmaster) -> bool {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end && !postmaster.is_gone() {
            // Its own pid: a postmaster.pid of before a crash is replaced early in the start.
            if self.cluster.pid() == Some(postmaster.pid) && self.cluster.is_ready() {
                return true;
            }
            thread::sleep(Duration::from_millis(2));
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- log of the server in {}\n{}", self.data().display(), self.log_text());
        }
        if let Some(postmaster) = self.postmaster.take() {
            postmaster.stop(Signal::QUIT);
        }
        // The sandbox stops what pgseal may have started in its place.
    }
}

/// A postmaster that is our child. It is reaped as soon as it ends, also when somebody else stops it: who waits for its
/// pid to vanish must not wait for us.
struct Postmaster {
    pid: u32,
    gone: Arc<Mutex<bool>>,
}

impl Postmaster {
    fn spawn(cluster: &Cluster, log: &Path, args: &[String], env: &[(String, String)]) -> Self {
        let log = File::options()
            .append(true)
            .create(true)
            .open(log)
            .unwrap_or_else(|e| panic!("could not open {}: {e}", log.display()));
        let err = log.try_clone().unwrap_or_else(|e| panic!("could not share the log: {e}"));
        let child = cluster
            .account()
            .command(cluster.install().program("postgres"), "/nonexistent".as_ref())
            .current_dir("/")
            .arg("-D")
            .arg(cluster.data())
            .args(args)
            .envs(env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(err)
            .spawn()
            .unwrap_or_else(|e| panic!("could not start PostgreSQL: {e}"));
        let pid = child.id();
        let gone = Arc::new(Mutex::new(false));
        let told = Arc::clone(&gone);
        thread::spawn(move || reap(child, &told));
        Self { pid, gone }
    }

    fn is_gone(&self) -> bool {
        *self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Signals it and waits for its end; a server that does not end in time is killed.
    fn stop(self, signal: Signal) {
        self.signal(signal);
        let end = Instant::now() + PATIENCE;
        while !self.is_gone() {
            if Instant::now() >= end {
                self.signal(Signal::KILL);
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn signal(&self, signal: Signal) {
        // Under the lock it cannot be reaped, so the pid is still its own.
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw).filter(|_| !*gone) {
            kill_process(pid, signal).ok();
        }
    }
}

fn reap(mut child: Child, gone: &Mutex<bool>) {
    waitid(WaitId::Pid(Pid::from_child(&child)), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).ok();
    let mut gone = gone.lock().unwrap_or_else(PoisonError::into_inner);
    child.wait().ok();
    *gone = true;
}
