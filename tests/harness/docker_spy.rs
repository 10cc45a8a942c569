//! A docker client in front of the real one: it writes down every call with its words and its environment, and can end
//! the program that called it at a call of the test's choice. Knows nothing of what the calls are for.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::account::Account;
use super::pgseal::Pgseal;
use super::sandbox::Sandbox;

/// At the call whose number stands in the plan, the caller is killed: before it, after it, or while bytes flow to it.
const CLIENT: &str = r#"#!/bin/sh
PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin
n=1
[ ! -f "$0.count" ] || n=$(($(cat "$0.count") + 1))
echo "$n" > "$0.count"
printf '%s\0' "$@" > "$0.words.$n"
cat "/proc/$$/environ" > "$0.environment.$n"
at=0 moment=
[ ! -f "$0.plan" ] || read -r at moment < "$0.plan"
[ "$n" = "$at" ] || exec docker "$@"
for last; do :; done
case $moment in
before) ;;
after) docker "$@" ;;
half) head -c "$((last / 2))" | docker "$@" ;;
unconfirmed) head -c "$last" | docker "$@" ;;
esac
kill -KILL "$PPID"
"#;

/// When a caller is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Before,
    /// The call has ended, and nobody hears what it said.
    After,
    /// Half of the bytes that the last word of the call counts have been sent.
    Half,
    /// All of them have been sent, and nothing more.
    Unconfirmed,
}

/// One call of docker's client.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) number: u32,
    pub(crate) words: Vec<String>,
    /// `NAME=value`.
    pub(crate) environment: Vec<String>,
}

/// The client, in a folder of its own.
pub(crate) struct Spy {
    folder: PathBuf,
}

impl Spy {
    pub(crate) fn new(sandbox: &Sandbox) -> Self {
        let folder = sandbox.dir_of(&Account::current(), "docker-spy");
        let program = folder.join("docker");
        fs::write(&program, CLIENT)
            .and_then(|()| fs::set_permissions(&program, PermissionsExt::from_mode(0o755)))
            .unwrap_or_else(|e| panic!("could not write {}: {e}", program.display()));
        Self { folder }
    }

    /// That run's docker is this one; what was written down before is gone.
    pub(crate) fn watches<'s>(&self, pgseal: Pgseal<'s>) -> Pgseal<'s> {
        self.clear();
        pgseal.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", self.folder.display()))
    }

    /// The same, and it is killed at that call.
    pub(crate) fn kills<'s>(&self, pgseal: Pgseal<'s>, call: u32, moment: Moment) -> Pgseal<'s> {
        let pgseal = self.watches(pgseal);
        let moment = format!("{moment:?}").to_lowercase();
        fs::write(self.folder.join("docker.plan"), format!("{call} {moment}\n")).expect("a plan is written");
        pgseal
    }

    fn clear(&self) {
        for entry in fs::read_dir(&self.folder).expect("the folder is ours").flatten() {
            if entry.file_name() != "docker" {
                fs::remove_file(entry.path()).expect("what is in it is ours");
            }
        }
    }

    /// Every call, in its order.
    pub(crate) fn calls(&self) -> Vec<Call> {
        let parts = |name: String| {
            let bytes = fs::read(self.folder.join(name)).ok()?;
            let text = String::from_utf8(bytes).expect("what tests say to docker is UTF-8");
            Some(text.split_terminator('\0').map(str::to_owned).collect())
        };
        let call = |number| {
            let words = parts(format!("docker.words.{number}"))?;
            let environment = parts(format!("docker.environment.{number}"))?;
            Some(Call { number, words, environment })
        };
        (1..).map_while(call).collect()
    }
}
