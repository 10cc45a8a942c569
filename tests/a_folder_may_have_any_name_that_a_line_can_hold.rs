//! DIR with spaces, quotes, `$`, `%`, commas, other scripts, or hundreds of bytes: the server starts there, and the URI, the
//! service file and the lines to copy work as they stand.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::harness::{
    Account, Install, Pgseal, Port, Psql, Ran, Running, Sandbox, all_hold, record, versions_in_turn,
};

/// In bytes.
const LONGEST: usize = 900;

struct Named {
    sandbox: Sandbox,
    account: Account,
    install: Install,
    port: Port,
    name: String,
}

impl Named {
    fn new(account: &Account, version: u32, name: &str) -> Self {
        let sandbox = Sandbox::new();
        let install = Install::of(version);
        Self { sandbox, account: account.clone(), install, port: Port::free(), name: name.to_owned() }
    }

    fn verb(&self, words: &[&str]) -> Ran {
        Pgseal::new(&self.sandbox).by(&self.account).args(words.to_vec()).arg("--").arg(&self.name).run()
    }

    fn up(&self) -> Ran {
        let up = Pgseal::new(&self.sandbox).by(&self.account).args(["up", "--format", "json"]);
        up.args(["-p", &self.port.number().to_string()]).bindir(&self.install).arg("--").arg(&self.name).run()
    }

    /// Made, connected to in every way that `up` names, looked at, started again, removed.
    #[track_caller]
    fn works(&self) -> Ran {
        let up = self.up();
        all_hold(&up);
        let fact = |name: &str| up.json()[name].as_str().unwrap().to_owned();
        let psql = |conninfo: String| Psql::to(conninfo).of(&self.install).by(&self.account);
        let by_uri = psql(fact("uri")).env("PGPASSFILE", fact("passfile")).run("SELECT 'by uri'");
        by_uri.succeeded().says("by uri");
        if !(self.older_service_files() && fact("service_file").len() > 150) {
            let service = psql("service=pgseal".to_owned()).env("PGSERVICEFILE", fact("service_file"));
            service.run("SELECT 'by service'").succeeded().says("by service");
        }
        let text = fs::read_to_string(Path::new(&fact("dir")).join("client/connection.txt")).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("  PG")).collect();
        assert_eq!(lines.len(), 2, "{text}");
        for line in lines {
            // As a person would paste it into a shell.
            let mut shell = self.account.command("sh", Path::new("/"));
            shell.current_dir("/").arg("-c").arg(format!("{line} -X -w -A -t -c 'SELECT 6 * 7'"));
            let ran = Running::start(shell, b"").wait(Duration::from_secs(30));
            ran.succeeded().says("42");
        }
        self.verb(&["status"]).succeeded();
        let verify = Pgseal::new(&self.sandbox).by(&self.account).args(["verify", "--format", "json"]);
        all_hold(&verify.arg(format!("dir:{}", self.name)).run());
        self.verb(&["down"]).succeeded();
        all_hold(&self.up());
        let removed = self.verb(&["down", "--remove", "--yes"]).succeeded();
        assert!(!Path::new(&fact("dir")).exists(), "{removed}");
        up
    }

    /// Before 14 psql read lines of 255 bytes at most from a service file.
    fn older_service_files(&self) -> bool {
        let version = self.install.release().split_whitespace().nth(2).unwrap_or_default();
        version.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major < 14)
    }
}

#[test]
fn a_folder_may_have_any_name_that_a_line_can_hold() {
    let names = [
        "with space",
        "it's \"quoted\" `now` $HOME $(id) ${x} \\n \\",
        "100%41 #hash ;semi & amp | pipe > out < in * ? [a-z] ~",
        "-p",
        "a=b,c:d@e/../Grüße 東京 🦭",
        " lead and trail ",
        "'",
    ];
    for (nth, name) in names.iter().enumerate() {
        for version in versions_in_turn(nth) {
            // Either account with every kind of name, over the versions.
            let accounts = Account::both();
            let account = &accounts[nth / 2 % accounts.len()];
            let named = Named::new(account, version, name);
            let work = Pgseal::new(&named.sandbox).by(account).work_dir();
            if name.contains('/') {
                fs::create_dir(work.join("a=b,c:d@e")).unwrap();
            }
            named.works();
        }
    }
    record("a folder may have any name that a line can hold", u32::try_from(names.len()).unwrap());
}

/// `unix_socket_directories` is split at commas, and a socket's path ends at 107 bytes.
#[test]
fn where_a_socket_cannot_be_there_is_none_and_it_is_said() {
    let account = Account::ordinary();
    for version in versions_in_turn(1) {
        let base = Named::new(&account, version, "");
        let work = Pgseal::new(&base.sandbox).by(&account).work_dir();
        // "/run/.s.PGSQL.65535" behind it makes 107 with the longest, and 108 with the next.
        let room = 107 - work.to_str().unwrap().len() - "//run/.s.PGSQL.65535".len();
        for (name, socket) in
            [("x".repeat(room), true), ("x".repeat(room + 1), false), ("a,b".to_owned(), false)]
        {
            let named = Named { name, ..Named::new(&account, version, "") };
            let human = Pgseal::new(&named.sandbox).by(&account).args(["up", "--", &named.name]);
            assert_eq!(
                Pgseal::new(&named.sandbox).by(&account).work_dir().as_os_str().len(),
                work.as_os_str().len()
            );
            let up = named.up();
            all_hold(&up);
            let run = fs::read_dir(Path::new(up.json()["dir"].as_str().unwrap()).join("run")).unwrap();
            assert_eq!(run.count() > 0, socket, "{up}");
            human.run().succeeded();
            named.verb(&["down", "--remove", "--yes"]).succeeded();
            if !socket {
                let again =
                    Pgseal::new(&named.sandbox).by(&account).args(["up", "-p", "0"]).bindir(&named.install);
                again.arg("--").arg(&named.name).run().succeeded().says("so the server has none");
            }
        }
    }
}

#[test]
fn a_long_way_works_as_long_as_postgresql_can_go_it() {
    for (nth, account) in Account::both().into_iter().enumerate() {
        for version in versions_in_turn(nth) {
            let named = Named::new(&account, version, "");
            let work = Pgseal::new(&named.sandbox).by(&account).work_dir();
            // PostgreSQL's and libpq's own limit is 1023 bytes for a file's whole path.
            let last = LONGEST - work.as_os_str().len() - 4 - 3 * 220;
            let parts = [("p", 220), ("q", 220), ("r", 220), ("s", last)]
                .map(|(letter, length)| letter.repeat(length));
            let mut dir = work;
            for part in &parts[..3] {
                dir.push(part);
                fs::create_dir(&dir).unwrap();
                account.own(&dir);
            }
            Named { name: parts.join("/"), ..named }.works();
        }
    }
}

#[test]
fn a_way_that_is_too_long_for_postgresql_is_refused_before_anything_is_written() {
    for account in Account::both() {
        let named = Named::new(&account, 15, "");
        let mut dir = Pgseal::new(&named.sandbox).by(&account).work_dir();
        while dir.as_os_str().len() < LONGEST - 210 {
            dir.push("d".repeat(200));
            fs::create_dir(&dir).unwrap();
            account.own(&dir);
        }
        let name = "n".repeat(LONGEST - dir.as_os_str().len());
        let named = Named { name: dir.join(name).to_str().unwrap().to_owned(), ..named };
        named.up().ended(2).complains("is 901 bytes long").complains("a shorter way");
        assert_eq!(fs::read_dir(dir).unwrap().count(), 0);
    }
}
