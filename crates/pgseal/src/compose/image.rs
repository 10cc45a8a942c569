//! What an image is made for: its PostgreSQL, the user it runs as, where its data lies. Asked of docker and of the
//! image itself, which may lie.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::daemon::failed;
use crate::failure::{Failure, Result};
use crate::place::call::{Input, Said};
use crate::place::docker::{Docker, knows_none};
use crate::server::said::last_lines;
use crate::server::version::{OLDEST, PgVersion};

/// Some hundred MB over a slow line.
const PULL_PATIENCE: Duration = Duration::from_secs(1800);
/// The official image's, where its environment says nothing.
const DATA: &str = "/var/lib/postgresql/data";
/// The user of all official images.
const USER: &str = "postgres";

/// Who runs the server, and which: on a line each, in the image's own words.
const SCRIPT: &str = r#"
who=$(id -u)
[ "$who" != 0 ] || who=postgres
id -u "$who" && id -g "$who" && id -un "$who" && command -v postgres && postgres --version"#;

/// An image that a PostgreSQL server can be made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) name: String,
    pub(crate) version: PgVersion,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) user: String,
    /// The folder with `postgres`.
    pub(crate) bindir: PathBuf,
    /// PGDATA.
    pub(crate) data: PathBuf,
    /// Where the image wants a volume for it: PGDATA itself until 17, a folder above it from 18 on.
    pub(crate) mount: PathBuf,
}

/// An image's name as docker takes it, and never an option.
pub(crate) fn checked_name(option: &str, name: &str) -> Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    let fine = !name.is_empty()
        && name.len() <= 255
        && name.chars().all(plain)
        && name.starts_with(|first: char| first.is_ascii_alphanumeric());
    if fine {
        return Ok(name.to_owned());
    }
    Err(Failure::usage(format!("{option} {name:?} is no name of an image"))
        .hint("--image postgres:16-alpine"))
}

impl Image {
    /// Looks at the image. Where docker has none of that name it is pulled, with a word to `pulling`; without
    /// that it is an error.
    pub(crate) async fn look(docker: &Docker, name: &str, pulling: Option<&dyn Fn(&str)>) -> Result<Self> {
        let facts = if let Some(facts) = inspect(docker, name).await? {
            facts
        } else {
            let Some(progress) = pulling else { return Err(absent(name)) };
            progress(&format!("pulling {name}"));
            pull(docker, name).await?;
            let pulled = inspect(docker, name).await?;
            pulled.ok_or_else(|| Failure::new(format!("docker pulled {name}, and has none of that name")))?
        };
        let (data, mount) = places(&facts).map_err(|why| unfit(name, &why))?;
        let words = ["run", "--rm", "--network", "none", "--cap-drop", "ALL", "--entrypoint", "sh", name];
        let mut words: Vec<OsString> = words.map(OsString::from).to_vec();
        words.extend(["-c", SCRIPT].map(OsString::from));
        let said = docker.run(&words, Input::Nothing).await?;
        let (uid, gid, user, postgres, version) = answered(&said).ok_or_else(|| {
            unfit(name, "it did not say who runs the server, and which")
                .because_all(last_lines(said.err.as_bytes(), 4))
        })?;
        if uid == 0 {
            return Err(unfit(name, "its server would run as root, which PostgreSQL refuses"));
        }
        if version.major < OLDEST {
            return Err(unfit(
                name,
                &format!("PostgreSQL {version} is too old: pgseal works with {OLDEST} and newer"),
            ));
        }
        let bindir = postgres.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Self { name: name.to_owned(), version, uid, gid, user, bindir, data, mount })
    }
}

fn absent(name: &str) -> Failure {
    Failure::new(format!("docker has no image {name} yet, and a dry run pulls none"))
        .hint(format!("docker pull {name}, or --image with one of docker image ls"))
}

fn unfit(name: &str, why: &str) -> Failure {
    Failure::new(format!("no server can be made of the image {name}"))
        .because(why.to_owned())
        .hint("--image with an official one or one made from it, such as postgres:16-alpine")
}

async fn inspect(docker: &Docker, name: &str) -> Result<Option<Value>> {
    let words = ["image", "inspect", name];
    let said = docker.run(&words.map(OsString::from), Input::Nothing).await?;
    if !said.well {
        return if knows_none(&said) {
            Ok(None)
        } else {
            Err(failed(&format!("look at the image {name}"), &said))
        };
    }
    let facts: Value = serde_json::from_slice(&said.out).map_err(|error| {
        Failure::new(format!("docker's answer about the image {name} is no JSON: {error}"))
    })?;
    Ok(facts.get(0).cloned())
}

async fn pull(docker: &Docker, name: &str) -> Result<()> {
    let words = ["pull", "--quiet", name];
    let said = docker.run_within(PULL_PATIENCE, &words.map(OsString::from), Input::Nothing).await?;
    if said.well {
        return Ok(());
    }
    Err(failed(&format!("get the image {name}: docker has none of that name, and could not pull it"), &said)
        .because("nothing was written")
        .hint("docker image ls for what is there, then --image with one of them; or docker load"))
}

/// PGDATA, and the volume that is declared for it.
fn places(facts: &Value) -> Result<(PathBuf, PathBuf), String> {
    let variables = facts.pointer("/Config/Env").and_then(Value::as_array).into_iter().flatten();
    let named = variables.filter_map(Value::as_str).find_map(|line| line.strip_prefix("PGDATA="));
    let data = plain(named.unwrap_or(DATA)).ok_or("its PGDATA is no plain absolute path")?;
    let volumes = facts.pointer("/Config/Volumes").and_then(Value::as_object);
    let declared = volumes.into_iter().flat_map(serde_json::Map::keys).filter_map(|path| plain(path));
    let mount = declared.filter(|path| data.starts_with(path)).max_by_key(|path| path.components().count());
    Ok((data.clone(), mount.unwrap_or(data)))
}

/// A path that can stand in a compose file and a configuration file as it is, and is not the root.
fn plain(text: &str) -> Option<PathBuf> {
    let letters = text.chars().all(|c| c.is_ascii_alphanumeric() || "_./-".contains(c));
    let path: PathBuf = Path::new(text).components().collect();
    let whole = path.components().skip(1).all(|part| matches!(part, Component::Normal(_)));
    (letters && path.is_absolute() && whole && path.parent().is_some()).then_some(path)
}

fn answered(said: &Said) -> Option<(u32, u32, String, PathBuf, PgVersion)> {
    if !said.well {
        return None;
    }
    let text = std::str::from_utf8(&said.out).ok()?;
    let lines: Vec<&str> = text.lines().collect();
    let &[uid, gid, user, postgres, version] = lines.as_slice() else { return None };
    let word = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let user = Some(user).filter(|user| !user.is_empty() && user.len() <= 32 && user.chars().all(word));
    Some((
        uid.parse().ok()?,
        gid.parse().ok()?,
        user.unwrap_or(USER).to_owned(),
        plain(postgres)?,
        PgVersion::parse(version)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_volume_is_the_one_that_the_image_declares_around_its_data() {
        let of = |data: &str, volumes: &[&str]| {
            let volumes: serde_json::Map<String, Value> =
                volumes.iter().map(|path| ((*path).to_owned(), json!({}))).collect();
            places(&json!({"Config": {"Env": ["A=b", format!("PGDATA={data}")], "Volumes": volumes}}))
                .map(|(data, mount)| (data.display().to_string(), mount.display().to_string()))
        };
        let is = |data: &str, mount: &str| Ok((data.to_owned(), mount.to_owned()));
        let until_17 = "/var/lib/postgresql/data";
        assert_eq!(of(until_17, &[until_17]), is(until_17, until_17));
        let from_18 = "/var/lib/postgresql/18/docker";
        assert_eq!(of(from_18, &["/var/lib/postgresql"]), is(from_18, "/var/lib/postgresql"));
        assert_eq!(of("/pgdata", &["/var/lib/postgresql/data"]), is("/pgdata", "/pgdata"));
        for bad in ["data", "/", "/a/../etc", "/a b", "/a:/b", "/a\n- x", "/$HOME"] {
            assert!(of(bad, &[]).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_image_may_say_anything_and_is_believed_only_in_form() {
        let said = |text: &str| {
            let said = Said { well: true, out: text.as_bytes().to_vec().into(), err: String::new() };
            answered(&said).map(|(uid, gid, user, ..)| (uid, gid, user))
        };
        let fine = "70\n70\npostgres\n/usr/local/bin/postgres\npostgres (PostgreSQL) 16.14\n";
        assert_eq!(said(fine), Some((70, 70, "postgres".to_owned())));
        for bad in [
            "",
            "70",
            "-1\n70\npostgres\n/bin/postgres\npostgres (PostgreSQL) 16.14\n",
            "70\n70\npostgres\n../postgres\npostgres (PostgreSQL) 16.14\n",
            "70\n70\npostgres\n/bin/postgres\nno version\n",
            "70\n99999999999\npostgres\n/bin/postgres\npostgres (PostgreSQL) 16.14\n",
            "70\n70\npostgres\n/bin/postgres\npostgres (PostgreSQL) 16.14\nmore\n",
        ] {
            assert_eq!(said(bad), None, "{bad:?}");
        }
        let named = said("70\n70\n\u{1b}[2J\n/bin/postgres\npostgres (PostgreSQL) 16.14\n");
        assert_eq!(named, Some((70, 70, "postgres".to_owned())));
    }

    #[test]
    fn an_image_name_is_never_an_option() {
        assert!(checked_name("--image", "postgres:16-alpine").is_ok());
        assert!(checked_name("--image", "registry.example.org:5000/db/postgres@sha256:ab").is_ok());
        for bad in ["", "--privileged", "-v", "a b", "postgres\n", "postgres;id"] {
            assert!(checked_name("--image", bad).is_err(), "{bad:?}");
        }
    }
}
