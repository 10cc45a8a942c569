//! Programs with an end: every run has a deadline, every output is kept, every child is reaped.
//! Knows processes, not what they are for.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How long a program may keep its output open after it has ended.
const AFTERGLOW: Duration = Duration::from_secs(2);

/// What a program did.
#[derive(Debug)]
pub(crate) struct Ran {
    what: String,
    status: ExitStatus,
    stdout: String,
    stderr: String,
    took: Duration,
}

impl Ran {
    /// The exit status, or `None` when a signal ended it.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The signal that ended it.
    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    pub(crate) fn stdout(&self) -> &str {
        &self.stdout
    }

    pub(crate) fn stderr(&self) -> &str {
        &self.stderr
    }

    pub(crate) fn took(&self) -> Duration {
        self.took
    }

    /// Fails unless it ended with `code`.
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Self {
        assert!(self.code() == Some(code), "should have ended with {code}:\n{self}");
        self
    }

    /// Fails unless it ended with 0.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        self.ended(0)
    }

    /// Fails unless its result (stdout) holds `text`.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "should have said {text:?}:\n{self}");
        self
    }

    /// Fails unless its messages (stderr) hold `text`.
    #[track_caller]
    pub(crate) fn complains(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "should have complained {text:?}:\n{self}");
        self
    }

    /// Fails if `text` is anywhere in its output: for secrets.
    #[track_caller]
    pub(crate) fn never_mentions(self, text: &str) -> Self {
        assert!(
            !self.stdout.contains(text) && !self.stderr.contains(text),
            "should never have mentioned {text:?}:\n{self}"
        );
        self
    }

    /// Fails if it holds anything that a terminal would obey.
    #[track_caller]
    pub(crate) fn harmless(&self) {
        let said = format!("{}{}", self.stdout, self.stderr);
        let obeyed = |c: char| {
            c.is_control() && c != '\n'
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
        };
        let found: Vec<char> = said.chars().filter(|c| obeyed(*c)).collect();
        assert!(found.is_empty(), "{found:?} in\n{}", said.escape_debug());
    }

    /// Its result as one JSON value.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("should have printed JSON ({e}):\n{self}"))
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "$ {}\n{} after {:.1?}", self.what, self.status, self.took)?;
        write!(f, "--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr)
    }
}

/// A program that runs, in a process group of its own. Killed and reaped when dropped.
pub(crate) struct Running {
    what: String,
    child: Child,
    pid: Pid,
    started: Instant,
    stdout: Listener,
    stderr: Listener,
}

impl Running {
    /// Starts `command` and feeds it `stdin`.
    pub(crate) fn start(mut command: Command, stdin: &[u8]) -> Self {
        let what = words(&command);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|e| panic!("could not start {what}: {e}"));
        let mut pipe = child.stdin.take().expect("stdin was piped");
        let input = stdin.to_vec();
        // A program that ends without reading its input is its own business.
        thread::spawn(move || pipe.write_all(&input).ok());
        Self {
            what,
            pid: Pid::from_child(&child),
            started: Instant::now(),
            stdout: Listener::new(child.stdout.take().expect("stdout was piped")),
            stderr: Listener::new(child.stderr.take().expect("stderr was piped")),
            child,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the program alone.
    pub(crate) fn signal(&self, signal: Signal) {
        // Not reaped yet, so the pid is still its own.
        kill_process(self.pid, signal).unwrap_or_else(|e| panic!("could not signal {}: {e}", self.what));
    }

    /// Sends a signal to the program and its children, as a terminal does on Ctrl-C.
    pub(crate) fn signal_group(&self, signal: Signal) {
        kill_process_group(self.pid, signal)
            .unwrap_or_else(|e| panic!("could not signal {}: {e}", self.what));
    }

    /// Waits until its messages or its result hold `text`.
    #[track_caller]
    pub(crate) fn wait_until_it_says(&self, text: &str, limit: Duration) {
        let deadline = Instant::now() + limit;
        while !self.stdout.so_far().contains(text) && !self.stderr.so_far().contains(text) {
            assert!(
                Instant::now() < deadline,
                "should have said {text:?} within {limit:?}:\n{}",
                self.so_far()
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits for its end. At `limit` it is killed and the test fails.
    #[track_caller]
    pub(crate) fn wait(mut self, limit: Duration) -> Ran {
        let deadline = self.started + limit;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("our own child can be waited for") {
                break status;
            }
            if Instant::now() >= deadline {
                let so_far = self.so_far();
                drop(self);
                panic!("did not end within {limit:?} and was killed:\n{so_far}");
            }
            thread::sleep(Duration::from_millis(1));
        };
        let took = self.started.elapsed();
        // Whoever reads the output through a pipe waits for its end; a server started in the background must not hold it.
        let open_until = Instant::now() + AFTERGLOW;
        while !(self.stdout.at_end() && self.stderr.at_end()) {
            assert!(
                Instant::now() < open_until,
                "ended, but a process that it started still holds its output open:\n{}",
                self.so_far()
            );
            thread::sleep(Duration::from_millis(1));
        }
        Ran {
            what: self.what.clone(),
            status,
            stdout: self.stdout.so_far(),
            stderr: self.stderr.so_far(),
            took,
        }
    }

    fn so_far(&self) -> String {
        format!("$ {}\n--- stdout\n{}\n--- stderr\n{}", self.what, self.stdout.so_far(), self.stderr.so_far())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both do nothing once it has been waited for.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Reads a pipe to its end, in a thread.
struct Listener {
    heard: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

impl Listener {
    fn new(mut pipe: impl Read + Send + 'static) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        let thread = thread::spawn(move || {
            let mut chunk = [0; 8192];
            while let Ok(n @ 1..) = pipe.read(&mut chunk) {
                ear.lock().expect("no thread panics here").extend_from_slice(&chunk[..n]);
            }
        });
        Self { heard, thread }
    }

    fn at_end(&self) -> bool {
        self.thread.is_finished()
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().expect("no thread panics here")).into_owned()
    }
}

/// Runs `command` to its end.
#[track_caller]
pub(crate) fn run(command: Command, stdin: &[u8], limit: Duration) -> Ran {
    Running::start(command, stdin).wait(limit)
}

/// The command line, for messages.
fn words(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args() {
        write!(line, " {}", arg.to_string_lossy()).expect("a String takes all");
    }
    line
}
