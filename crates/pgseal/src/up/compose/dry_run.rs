//! What would be written and run for a server in a container.

use time::OffsetDateTime;

use super::super::dry_run::{PlannedFile, UpPlanned, of_every_folder, shown};
use super::super::make::PUBLIC;
use super::super::wish::{Engine, Wish};
use super::observe::observe;
use super::plan::plan;
use super::run::MAKE;
use crate::compose::text::TLS;
use crate::failure::Result;
use crate::folder::layout::Folder;
use crate::journal::fresh_id;

/// No image is pulled for it.
pub(crate) async fn dry_run(folder: &Folder, folder_is_there: bool, wish: &Wish) -> Result<UpPlanned> {
    let facts = observe(wish, folder, folder_is_there, false).await?;
    let plan = plan(&facts, wish, OffsetDateTime::now_utc(), &fresh_id()?)?;
    let mut files: Vec<PlannedFile> = plan
        .in_the_folder(folder)?
        .into_iter()
        .map(|(path, text)| PlannedFile::open(shown(&path), PUBLIC, text))
        .collect();
    files.extend(of_every_folder(folder, &plan.settings)?);
    for (name, mode, bytes) in plan.in_the_volume(b"", b"", b"") {
        let path = format!("{TLS}/{name} (in the volume)");
        files.push(if bytes.is_empty() {
            PlannedFile::secret(path, mode)
        } else {
            PlannedFile::open(path, mode, String::from_utf8_lossy(bytes))
        });
    }
    let (uid, gid) = plan.owner();
    let commands = vec![
        format!("{} {}    (in {})", facts.compose.words(), MAKE.join(" "), folder.root().display()),
        format!("docker cp - CONTAINER:/    (a tar stream of {TLS}, its files of {uid}:{gid})"),
        "docker start CONTAINER".to_owned(),
        format!(
            "docker exec --user {uid}:{gid} CONTAINER …    (empties {TLS}/password once the database is made)"
        ),
        "docker restart CONTAINER    (takes the password out of the server's environment)".to_owned(),
    ];
    Ok(UpPlanned::of(folder, Engine::Compose, files, commands))
}
