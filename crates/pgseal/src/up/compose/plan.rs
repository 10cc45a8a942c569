//! Every byte that the folder and the volume will hold. Pure: facts, wish and time in, values out.

use std::path::{Path, PathBuf};

use pgseal_conf::block::{self, Block, Place};
use pgseal_pki::SubjectAltName;
use time::OffsetDateTime;

use super::super::make::{NOTE, PUBLIC, SECRET};
use super::super::plan::{CertificatePlan, all_names, certificates, dbname, password_fits, username};
use super::super::wish::Wish;
use super::observe::ComposeFacts;
use crate::compose::text::{ComposeFile, SERVICE, TLS, env_text};
use crate::failure::{Failure, Result};
use crate::folder::configuration::{contained_head, contained_lines, hba_text, ident_text};
use crate::folder::layout::Folder;
use crate::folder::settings::{Compose, Server, Settings};

/// Everything but keys and passwords.
#[derive(Debug)]
pub(crate) struct ComposePlan {
    pub(crate) settings: Settings,
    pub(crate) certificates: CertificatePlan,
    compose_file: String,
    env_file: String,
    /// Of the volume.
    postgresql_conf: Vec<u8>,
    hba: String,
    ident: String,
    owner: (u32, u32),
}

impl ComposePlan {
    /// The files of the folder that hold no key and no password, in the order in which they are written. The compose
    /// file may be kept with other sources; keys and passwords may not.
    pub(super) fn in_the_folder(&self, folder: &Folder) -> Result<[(PathBuf, String); 5]> {
        let beside = |name: &str| folder.root().join(name);
        Ok([
            (folder.settings(), self.settings.to_text()?),
            (beside(".gitignore"), "/ca/\n/client/pgpass\n".to_owned()),
            (beside(".dockerignore"), "*\n".to_owned()),
            (folder.env_file(), self.env_file.clone()),
            (folder.compose_file(), self.compose_file.clone()),
        ])
    }

    /// The files of the volume, with their modes.
    pub(super) fn in_the_volume<'p>(
        &'p self,
        key: &'p [u8],
        certificate: &'p [u8],
        password: &'p [u8],
    ) -> [(&'static str, u32, &'p [u8]); 6] {
        [
            ("server-with-key.pem", SECRET, key),
            ("server.crt", PUBLIC, certificate),
            ("postgresql.conf", SECRET, &self.postgresql_conf),
            ("pg_hba.conf", SECRET, self.hba.as_bytes()),
            ("pg_ident.conf", SECRET, self.ident.as_bytes()),
            ("password", SECRET, password),
        ]
    }

    /// Uid and gid of the files in the volume.
    pub(super) const fn owner(&self) -> (u32, u32) {
        self.owner
    }
}

/// The user of every container's `docker exec`.
const ROOT: &str = "root";

pub(crate) fn plan(facts: &ComposeFacts, wish: &Wish, now: OffsetDateTime, id: &str) -> Result<ComposePlan> {
    let inner = [Some(SERVICE), wish.container_name.as_deref()].into_iter().flatten();
    // Docker gives names that a certificate cannot carry.
    let inner: Vec<SubjectAltName> = inner.filter_map(|name| name.parse().ok()).collect();
    let names = all_names(facts.host_name.clone(), &facts.listen, inner, wish);
    let certificates = certificates(names, facts.host_name.as_ref(), wish, now)?;
    let image = &facts.image;
    password_fits(wish, &image.version)?;
    let server = Server {
        bindir: image.bindir.clone(),
        version: image.version.to_string(),
        run_as: image.user.clone(),
        port: facts.port,
        listen: facts.listen.clone(),
        username: username(wish),
        dbname: dbname(wish),
    };
    let compose = Compose {
        image: image.name.clone(),
        project: project_name(facts.folder.root(), id),
        service: SERVICE.to_owned(),
        container_name: wish.container_name.clone(),
        docker: facts.docker.endpoint().to_owned(),
        uid: image.uid,
        gid: image.gid,
    };
    let compose_file = ComposeFile {
        image: &image.name,
        major: image.version.major,
        container_name: wish.container_name.as_deref(),
        username: &server.username,
        dbname: &server.dbname,
        listen: &server.listen,
        port: server.port,
        mount: &image.mount,
    };
    let (compose_file, env_file) = (compose_file.to_text(), env_text(&compose.project));
    let settings = Settings::new(server, certificates.settings.clone()).in_container(compose);
    Ok(ComposePlan {
        postgresql_conf: postgresql_conf(&image.data, id)?,
        hba: hba_text(&settings),
        ident: ident_text(&settings, &[&image.user, ROOT]),
        settings,
        certificates,
        compose_file,
        env_file,
        owner: (image.uid, image.gid),
    })
}

fn postgresql_conf(data: &Path, id: &str) -> Result<Vec<u8>> {
    Block::new(id, NOTE, contained_lines(Path::new(TLS)))
        .and_then(|block| block::insert(contained_head(data).as_bytes(), Place::End, &block))
        .map_err(|error| Failure::new(format!("could not write the server's settings: {error}")))
}

/// The folder's name as far as compose takes it, and something that no other folder of that name has: two
/// projects of one name would share their volumes.
fn project_name(root: &Path, id: &str) -> String {
    let name = root.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let word: String = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .skip_while(|c| !c.is_ascii_alphanumeric())
        .take(40)
        .collect();
    let word = if word.is_empty() { "pgseal" } else { &word };
    format!("{word}-{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_named_after_its_folder_and_never_like_another() {
        for (folder, name) in [
            ("/srv/db", "db-0a1b"),
            ("/srv/My Shop.DB", "myshopdb-0a1b"),
            ("/srv/--x", "x-0a1b"),
            ("/srv/größe", "gre-0a1b"),
            ("/srv/数据", "pgseal-0a1b"),
        ] {
            assert_eq!(project_name(Path::new(folder), "0a1b"), name, "{folder}");
        }
    }
}
