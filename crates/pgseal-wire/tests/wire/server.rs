//! A real PostgreSQL on a free port, never as root, always stopped by its own pid.

use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use pgseal_wire::{Credentials, Route};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::certificates::Identity;

/// The role that owns everything, with a SCRAM password.
pub(crate) const ROLE: &str = "tester";
pub(crate) const PASSWORD: &str = "correct horse";
const LONGEST_START: Duration = Duration::from_secs(30);
const LONGEST_STOP: Duration = Duration::from_secs(10);

/// The server's programs. `PGSEAL_TEST_PG_BIN` overrides Debian's place.
pub(crate) fn bin() -> PathBuf {
    let bin = std::env::var_os("PGSEAL_TEST_PG_BIN")
        .map_or_else(|| PathBuf::from("/usr/lib/postgresql/15/bin"), PathBuf::from);
    assert!(
        bin.join("initdb").exists(),
        "no PostgreSQL in {}: apt-get install postgresql, or name its bin directory in PGSEAL_TEST_PG_BIN",
        bin.display()
    );
    bin
}

/// What a server is to be like.
pub(crate) struct Setup {
    pub(crate) bin: PathBuf,
    pub(crate) hba: String,
    pub(crate) settings: String,
    pub(crate) identity: Option<Identity>,
}

impl Setup {
    /// TLS with this identity, everything else by default, any connection with SCRAM.
    pub(crate) fn tls(identity: Identity) -> Self {
        Self {
            bin: bin(),
            hba: "host all all all scram-sha-256\n".into(),
            settings: String::new(),
            identity: Some(identity),
        }
    }

    pub(crate) fn without_tls() -> Self {
        Self { identity: None, ..Self::tls(Identity { chain: String::new(), key: String::new() }) }
    }

    pub(crate) fn hba(self, hba: &str) -> Self {
        Self { hba: format!("{hba}\n"), ..self }
    }

    pub(crate) fn set(mut self, line: &str) -> Self {
        self.settings.push_str(line);
        self.settings.push('\n');
        self
    }
}

/// A running server; stopped when dropped.
pub(crate) struct Server {
    child: Child,
    dir: TempDir,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn start(setup: &Setup) -> Self {
        let dir = tempfile::Builder::new().prefix("pgw").tempdir_in("/tmp").unwrap();
        give_to_postgres(dir.path());
        let data = dir.path().join("data");
        run(Command::new("cp").arg("-a").arg(template(&setup.bin)).arg(&data));
        let port = free_port();
        let mut settings = format!(
            "port = {port}\nlisten_addresses = 'localhost'\nunix_socket_directories = '{}'\n\
             fsync = off\nmax_connections = 40\nlogging_collector = off\n",
            dir.path().display()
        );
        if let Some(identity) = &setup.identity {
            let pem = data.join("server-with-key.pem");
            std::fs::write(&pem, format!("{}{}", identity.key, identity.chain)).unwrap();
            std::fs::set_permissions(&pem, PermissionsExt::from_mode(0o600)).unwrap();
            give_to_postgres(&pem);
            settings.push_str(
                "ssl = on\nssl_cert_file = 'server-with-key.pem'\nssl_key_file = 'server-with-key.pem'\n",
            );
        }
        settings.push_str(&setup.settings);
        std::fs::write(data.join("postgresql.conf"), settings).unwrap();
        let local = "local all all trust\n";
        std::fs::write(data.join("pg_hba.conf"), format!("{}{local}", setup.hba)).unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let child = as_postgres(&setup.bin.join("postgres"))
            .arg("-D")
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut server = Self { child, dir, port };
        server.wait_until_ready();
        server
    }

    fn wait_until_ready(&mut self) {
        let begun = Instant::now();
        loop {
            let pid_file = std::fs::read_to_string(self.dir.path().join("data/postmaster.pid"));
            if pid_file.is_ok_and(|text| text.lines().nth(7).is_some_and(|line| line.starts_with("ready"))) {
                return;
            }
            let ended = self.child.try_wait().unwrap();
            let late = begun.elapsed() > LONGEST_START;
            assert!(ended.is_none() && !late, "the server did not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Everything it has logged.
    pub(crate) fn log(&self) -> String {
        let mut text = String::new();
        if let Ok(mut file) = std::fs::File::open(self.dir.path().join("log")) {
            let _ = file.read_to_string(&mut text);
        }
        text
    }

    /// Where its Unix socket lies.
    pub(crate) fn socket_dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn route(&self) -> Route {
        Route { deadline: Duration::from_secs(30), ..Route::new("localhost", self.port) }
    }

    pub(crate) fn socket_route(&self) -> Route {
        Route::new(self.socket_dir().display().to_string(), self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Immediate shutdown: there is nothing to keep. By its own pid, which is not reaped yet.
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let _ = pid.map(|pid| kill_process(pid, Signal::QUIT));
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if begun.elapsed() > LONGEST_STOP {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The role with its right password.
pub(crate) fn tester() -> Credentials {
    let mut who = Credentials::new(ROLE, "postgres");
    who.password = Some(Zeroizing::new(PASSWORD.to_owned()));
    who
}

/// An initdb of this version, made once and copied from then on.
fn template(bin: &Path) -> PathBuf {
    static MADE: OnceLock<Mutex<()>> = OnceLock::new();
    let _one_at_a_time = MADE.get_or_init(Mutex::default).lock().unwrap();
    let version = Command::new(bin.join("postgres")).arg("--version").output().unwrap().stdout;
    let version: String = String::from_utf8_lossy(&version)
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '.')
        .collect();
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("initdb-{version}"));
    if kept.join("PG_VERSION").exists() {
        return kept;
    }
    let dir = tempfile::Builder::new().prefix("pgw").tempdir_in("/tmp").unwrap();
    let password = dir.path().join("password");
    std::fs::write(&password, PASSWORD).unwrap();
    give_to_postgres(dir.path());
    give_to_postgres(&password);
    let fresh = dir.path().join("data");
    run(as_postgres(&bin.join("initdb"))
        .args(["--no-sync", "--auth=scram-sha-256", "--locale=C", "--encoding=UTF8", "--username", ROLE])
        .arg("--pwfile")
        .arg(&password)
        .arg(&fresh));
    let moving = PathBuf::from(format!("{}.{}", kept.display(), std::process::id()));
    run(Command::new("cp").arg("-a").arg(&fresh).arg(&moving));
    if std::fs::rename(&moving, &kept).is_err() {
        // Another test binary was faster.
        let _ = std::fs::remove_dir_all(&moving);
    }
    kept
}

fn am_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0
}

/// PostgreSQL does not run as root: as user postgres then, by the same pid.
fn as_postgres(program: &Path) -> Command {
    let mut command = if am_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir("/tmp").env_remove("PGDATA").env_remove("PGPORT").env("LC_ALL", "C");
    command
}

fn give_to_postgres(path: &Path) {
    if am_root() {
        run(Command::new("chown").arg("postgres:postgres").arg(path));
    }
}

fn run(command: &mut Command) {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
