//! The temporary container of a rehearsal, from its start until its superuser has a password. Docker, its client and the
//! container's environment never learn that password: it goes to psql on standard input, and nobody outside is let in before.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{MemfdFlags, Mode, fchmod, memfd_create};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::compose::daemon::{ask, failed, feed};
use crate::failure::{Failure, Result};
use crate::place::call::Input;
use crate::place::docker::Docker;
use crate::privilege::secret::Secret;
use crate::secure::observe::server_file;
use crate::target::Target;

pub(super) const SUPERUSER: &str = "postgres";
/// Where a program finds what [`passfile`] gave it.
pub(super) const PASSFILE: &str = "/proc/self/fd/0";

/// What an image's first start wants to be told. The word is no secret: while it is the superuser's password, the rules
/// let nobody in from outside.
const SETTINGS: [&str; 3] =
    ["POSTGRES_USER=postgres", "POSTGRES_PASSWORD=let-in-by-no-rule", "POSTGRES_HOST_AUTH_METHOD=reject"];
/// The line that an image writes from that, as people write it, and what takes its place.
const CLOSED: [&str; 5] = ["host", "all", "all", "all", "reject"];
const OPENED: &str = "host all all all scram-sha-256";
/// A container sets up its database first.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// The start of a container may wait for a slow disk.
const START_WITHIN: Duration = Duration::from_secs(300);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);
const LINES: usize = 12;

/// Runs a container of that image under that name; the password of its superuser, which nobody had before.
pub(super) async fn start(docker: &Docker, name: &str, image: &str, target: &str) -> Result<Secret> {
    let mut words = vec!["run", "--detach", "--name", name, "--publish", "127.0.0.1::5432", "--pull=never"];
    words.extend(SETTINGS.into_iter().flat_map(|setting| ["--env", setting]));
    words.push(image);
    let words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
    let said = docker.run_within(START_WITHIN, &words, Input::Nothing).await?;
    if !said.well {
        return Err(failed(&format!("run a container of {image}"), &said));
    }
    until_it_listens(docker, name).await?;
    let password = Secret::generate()?;
    set_password(docker, name, &password).await?;
    open_to_passwords(target).await?;
    Ok(password)
}

/// The server that sets up the database does not listen on TCP, and the one after it does.
async fn until_it_listens(docker: &Docker, name: &str) -> Result<()> {
    let end = Instant::now() + READY_WITHIN;
    let look = ["exec", name, "pg_isready", "-q", "-h", "127.0.0.1"].map(OsString::from);
    let runs = ["inspect", "--type", "container", "--format", "{{.State.Running}}", name];
    loop {
        if docker.run(&look, Input::Nothing).await?.well {
            return Ok(());
        }
        let said = ask(docker, "look at the temporary container", &runs).await?;
        let ended = said.out.trim_ascii() != b"true";
        if ended || Instant::now() >= end {
            let how = if ended { "ended before its server listened" } else { "has no server that listens" };
            return Err(Failure::new(format!("the temporary container {how}"))
                .because_all(docker.last_words(name, LINES).await));
        }
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    }
}

/// Over the socket inside, which an image trusts. A statement that fails is not to be found in the log either.
async fn set_password(docker: &Docker, name: &str, password: &Secret) -> Result<()> {
    // Letters and digits alone: nothing to quote.
    let sql = Zeroizing::new(format!(
        "SET log_statement = 'none';\nSET log_min_error_statement = 'panic';\nSET log_min_duration_statement = -1;\n\
         SET password_encryption = 'scram-sha-256';\nALTER ROLE {SUPERUSER} PASSWORD '{}';\n",
        password.reveal()
    ));
    let psql =
        ["psql", "-X", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-U", SUPERUSER, "-d", "postgres", "-f", "-"];
    let words: Vec<&str> = ["exec", "-i", name].into_iter().chain(psql).collect();
    let what = "give the temporary container's superuser a password";
    feed(docker, what, &words, Input::Whole(sql.as_bytes())).await.map(drop)
}

/// From now on whoever has the password gets in.
async fn open_to_passwords(target: &str) -> Result<()> {
    let mut there = Target::place(target).await?;
    let path = there.data.join("pg_hba.conf");
    let rules = server_file(&mut there, &path).await?;
    let opened = opened(&String::from_utf8_lossy(&rules.bytes)).ok_or_else(|| {
        Failure::new("the temporary container's image wrote no rule that could be opened to passwords")
    })?;
    there.put(&rules.real, rules.status.mode, opened.as_bytes()).await?;
    there.reload().await
}

fn opened(rules: &str) -> Option<String> {
    let closed = |line: &str| line.split_ascii_whitespace().eq(CLOSED);
    rules.lines().any(closed).then(|| {
        let lines = rules.lines().map(|line| if closed(line) { OPENED } else { line });
        lines.flat_map(|line| [line, "\n"]).collect()
    })
}

/// Standard input for a program that takes its password from [`PASSFILE`]: a file in memory, that has no name and is
/// gone with the last who holds it.
pub(super) fn passfile(password: &Secret) -> Result<Stdio> {
    let line = Zeroizing::new(format!("*:*:*:{SUPERUSER}:{}\n", password.reveal()));
    let make = || {
        let file = memfd_create("pgseal-passfile", MemfdFlags::CLOEXEC)?;
        fchmod(&file, Mode::RUSR | Mode::WUSR)?;
        let mut file = File::from(file);
        file.write_all(line.as_bytes()).map(|()| file)
    };
    make().map(Stdio::from).map_err(|error| {
        Failure::new(format!("could not hand this program the temporary container's password: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_rule_that_lets_nobody_in_is_opened_and_no_other() {
        let rules = "local all all trust\nhost all all 127.0.0.1/32 trust\n\nhost all  all all reject\n";
        let there = opened(rules).unwrap();
        assert_eq!(
            there,
            "local all all trust\nhost all all 127.0.0.1/32 trust\n\nhost all all all scram-sha-256\n"
        );
        assert_eq!(opened("host all all all trust\n"), None);
        assert_eq!(opened(""), None);
    }
}
