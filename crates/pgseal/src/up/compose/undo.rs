//! What docker has of a folder's project, taken away again.

use crate::compose::daemon;
use crate::compose::project::Project;
use crate::failure::Result;
use crate::folder::layout::Folder;
use crate::folder::settings::Settings;

/// Removes containers, networks and volumes of the folder's project, if it is one. Settings that cannot be read were
/// cut off while they were written, before docker was asked for anything.
pub(crate) async fn remove_project(folder: &Folder) -> Result<()> {
    let Ok(settings) = Settings::read(folder) else { return Ok(()) };
    let Some(compose) = settings.compose else { return Ok(()) };
    let docker = daemon::answering().await?;
    Project::named(&docker, &compose.project).remove().await
}
