//! Chromium without a window, driven over its DevTools protocol on a pair of pipes: what a page shows, says and asks for.
//! Knows pages, not what stands on them.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use super::sandbox::Sandbox;

/// How long an answer of the browser may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page. Gone when it is dropped.
pub(crate) struct Browser {
    child: Child,
    stdin: ChildStdin,
    said: Receiver<Value>,
    /// Events that nobody asked about yet.
    events: VecDeque<Value>,
    session: Option<String>,
    asked: u64,
    _home: Sandbox,
}

/// What a page did that nobody reading it would see.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Aside {
    /// What it wrote on the console, errors and complaints of the browser among it.
    pub(crate) said: Vec<String>,
    /// What it asked for beside itself.
    pub(crate) asked_for: Vec<String>,
}

impl Browser {
    #[track_caller]
    pub(crate) fn start() -> Self {
        let home = Sandbox::new();
        let profile = home.join("chromium");
        // Its pipes are its descriptors 3 and 4, which are our standard input and output.
        let mut command = Command::new("sh");
        command
            .args(["-c", "exec chromium \"$@\" 3<&0 4>&1 </dev/null >&2", "chromium"])
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", profile.display()))
            .env("HOME", home.path())
            .env_remove("DBUS_SESSION_BUS_ADDRESS")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0);
        let mut child = command.spawn().unwrap_or_else(|e| panic!("could not start a shell: {e}"));
        let stdin = child.stdin.take().expect("stdin was piped");
        let stdout = BufReader::new(child.stdout.take().expect("stdout was piped"));
        let (tell, said) = channel();
        thread::spawn(move || {
            for message in stdout.split(0) {
                let Ok(Ok(message)) = message.map(|bytes| serde_json::from_slice(&bytes)) else { return };
                if tell.send(message).is_err() {
                    return;
                }
            }
        });
        let events = VecDeque::new();
        let mut browser = Self { child, stdin, said, events, session: None, asked: 0, _home: home };
        let target = browser.ask("Target.createTarget", &json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.ask("Target.attachToTarget", &attach);
        browser.session = Some(session["sessionId"].as_str().expect("a session has an id").to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.ask(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// A screen so wide, in dark or in light.
    pub(crate) fn screen(&mut self, width: u32, dark: bool) {
        let screen = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600});
        self.ask("Emulation.setDeviceMetricsOverride", &screen);
        self.media("", dark);
    }

    /// As it would be printed, by a person whose screen is dark.
    pub(crate) fn paper(&mut self) {
        self.media("print", true);
    }

    fn media(&mut self, media: &str, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.ask("Emulation.setEmulatedMedia", &json!({"media": media, "features": features}));
    }

    /// Opens a file, and says what it did beside being shown.
    #[track_caller]
    pub(crate) fn open(&mut self, file: &Path) -> Aside {
        self.events.clear();
        let url = format!("file://{}", file.display());
        let opened = self.ask("Page.navigate", &json!({"url": url}));
        assert!(opened["errorText"].is_null(), "{url}: {opened}");
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.heard();
            self.events.push_back(event);
        }
        // Whatever it said before this is answered has been said.
        self.value("document.readyState");
        let of = |method: &str| -> Vec<Value> {
            let each = self.events.iter().filter(|event| event["method"] == method);
            each.map(|event| event["params"].clone()).collect()
        };
        let mut said: Vec<String> = Vec::new();
        for method in ["Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"] {
            said.extend(of(method).iter().map(ToString::to_string));
        }
        let mut asked_for: Vec<String> = of("Network.requestWillBeSent")
            .iter()
            .filter_map(|params| params["request"]["url"].as_str().map(str::to_owned))
            .collect();
        asked_for.retain(|asked| *asked != url);
        Aside { said, asked_for }
    }

    /// What an expression comes to on the page.
    #[track_caller]
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true});
        let answer = self.ask("Runtime.evaluate", &asked);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer:#}");
        answer["result"]["value"].clone()
    }

    #[track_caller]
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.asked += 1;
        let mut message = json!({"id": self.asked, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = session.clone().into();
        }
        let written = self.stdin.write_all(format!("{message}\0").as_bytes());
        written.unwrap_or_else(|e| panic!("chromium takes nothing ({e}): run tests/provision/judges.sh"));
        loop {
            let heard = self.heard();
            if heard["id"] == self.asked {
                assert!(heard["error"].is_null(), "{method}: {heard:#}");
                return heard["result"].clone();
            }
            self.events.push_back(heard);
        }
    }

    #[track_caller]
    fn heard(&mut self) -> Value {
        self.said.recv_timeout(PATIENCE).unwrap_or_else(|e| {
            panic!("chromium says nothing ({e}): where it is not there, run tests/provision/judges.sh")
        })
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}
