//! How PostgreSQL itself reads a server's configuration files: its own program, run in the name of the server's user. It
//! reads and checks them as a start does, opens no port, touches no data, and ends.

use super::stopped::program;
use crate::delegate::message::{Reply, Request};
use crate::failure::Result;
use crate::place::Place;
use crate::server::said::last_lines;

/// What a server program says of files that it does not take.
const LINES: usize = 8;

/// `postgres -C NAME`, with the words of the last start; `None`: the program is not known, or not to be run here.
pub(super) async fn read_by_postgres(
    place: &mut Place,
    name: &str,
) -> Result<Option<Result<String, Vec<String>>>> {
    let Some(program) = program(place).await? else { return Ok(None) };
    let mut arguments = vec!["-C".to_owned(), name.to_owned()];
    arguments.extend(place.words_of_the_last_start().await?);
    let config_file = place.main_file().await?.display().to_string();
    // Said last, and so beyond doubt: a cluster may have been started in another way the last time.
    arguments.extend(["-c".to_owned(), format!("config_file={config_file}")]);
    arguments.extend(["-D".to_owned(), place.data.display().to_string()]);
    let request = Request::Run { program, arguments, folder: place.data.clone() };
    Ok(match place.hands.ask(&request, &[]).await? {
        (Reply::Ran { success: true, .. }, said) => {
            Some(Ok(String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned()))
        }
        (Reply::Ran { success: false, .. }, said) if runs_here(place, &request).await? => {
            Some(Err(last_lines(&said, LINES)))
        }
        // One that is not there any more tells nothing.
        _ => None,
    })
}

/// Whether the program runs here at all: one whose libraries are found by the environment of its service alone says
/// nothing of any file.
async fn runs_here(place: &mut Place, request: &Request) -> Result<bool> {
    let Request::Run { program, folder, .. } = request else { return Ok(false) };
    let arguments = vec!["--version".to_owned()];
    let request = Request::Run { program: program.clone(), arguments, folder: folder.clone() };
    Ok(matches!(place.hands.ask(&request, &[]).await?.0, Reply::Ran { success: true, .. }))
}
