//! A change taken back: every file as it was, the server told, and the wire looked at. Needs no
//! login, so that it works when nobody gets in any more.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::certificate::unfound;
use super::composed::put_back::{
    project_changed_by_others, project_is_edited, put_container_back, put_file_back,
};
use super::edits::{Kept, without_our_blocks};
use super::{stopped, view};
use crate::failure::{Failure, Result};
use crate::journal::{Before, Change, FileChange, Image, Journal, Phase, View, records};
use crate::place::{Login, Place};
use crate::report::stderr::say;
use pgseal_wire::ClientCertificate;

/// A server reloads in milliseconds; a busy machine may take longer.
const SEEN_WITHIN: Duration = Duration::from_secs(15);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// What was seen after a change was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The wire shows what it showed before.
    OnTheWire,
    /// The wire shows what the files say now, which is not what it showed before: in these words.
    AsTheFilesSay(String),
    /// The files are as they were, and the wire shows one thing and not the other that follows from them.
    Otherwise { shows: String, follows: String },
    /// No server runs; the files are as they were.
    NoServer,
}

impl Seen {
    /// Beside what became of the change, a line.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::OnTheWire => "the wire shows what it showed before".to_owned(),
            Self::AsTheFilesSay(shows) => format!("the wire shows what the files say now: {shows}"),
            Self::Otherwise { shows, follows } => {
                format!("the files are as they were; the wire shows {shows}, not {follows}")
            }
            Self::NoServer => {
                "no server runs to look at; the next start reads the files as they were".to_owned()
            }
        }
    }
}

/// Takes the change back, of whose files the first `reached` may have been written; `phase` is what it becomes.
/// Files that somebody else changed since are not written over: then nothing is. What the wire shows afterwards is
/// told and never waited for twice: a change whose files are back is at its end.
pub(crate) async fn restore(
    place: &mut Place,
    journal: &Journal,
    change: &Change,
    reached: usize,
    phase: &Phase,
) -> Result<Seen> {
    restore_keeping(place, journal, change, reached, phase, None).await
}

/// The same; where `kept` is there, a file that others edited loses our blocks alone, and is told in it.
pub(crate) async fn restore_keeping(
    place: &mut Place,
    journal: &Journal,
    change: &Change,
    reached: usize,
    phase: &Phase,
    kept: Option<&mut Vec<Kept>>,
) -> Result<Seen> {
    let written = change.files.get(..reached).unwrap_or(&change.files);
    // Where it was agreed to when they were written.
    place.written_as_root_in(written.iter().filter_map(|file| Some(file.path.parent()?.to_owned())));
    let found = journal.phase(change)?;
    let begun = matches!(found, Phase::Begun | Phase::Restored { begun: true, .. });
    if !matches!(found, Phase::Restored { .. }) {
        put_all_back(place, journal, change, written, (&found, phase), kept).await?;
        journal.set(change, &Phase::Restored { undone: *phase == Phase::Undone, begun })?;
    }
    let seen = reloaded(place, change).await?;
    for file in written.iter().rev().filter(|file| file.before.is_none()) {
        // Somebody may have put something of their own there since.
        if place.digest_of(&file.path).await?.is_none_or(|now| now == file.after) {
            place.clear_away(&file.path).await?;
        }
    }
    for previous in change.previous_keys() {
        place.clear_away(previous).await?;
    }
    for folder in change.folders.iter().rev() {
        place.remove_folder(folder).await?;
    }
    records::take_back(change)?;
    if let (true, Some(founded)) = (begun, &change.founded) {
        unfound(founded)?;
    }
    journal.set(change, phase)?;
    Ok(seen)
}

/// Every file that was there before, and the project.
async fn put_all_back(
    place: &mut Place,
    journal: &Journal,
    change: &Change,
    written: &[FileChange],
    (found, phase): (&Phase, &Phase),
    mut kept: Option<&mut Vec<Kept>>,
) -> Result<()> {
    let strangers = changed_by_others(place, change, written).await?;
    if !strangers.is_empty() && kept.is_none() {
        return Err(Failure::new("files were changed since by others, and were not written over")
            .because_all(strangers.iter().map(|path| path.display().to_string()))
            .because(format!("the journal of change {} is {}", change.id, journal.folder_of(change).display()))
            .hint(format!(
                "pgseal undo {} --keep-others-edits takes our blocks alone out of them; or put them back as pgseal left them",
                place.word
            )));
    }
    keys_are_kept(place, change, written, &strangers).await?;
    if !found.is_on_the_way() {
        // Half of a way back is no state that anybody asked for: whoever finds it goes on with it.
        let way = if *phase == Phase::Undone { Phase::Undoing } else { Phase::TakingBack };
        journal.set(change, &way)?;
    }
    put_file_back(place, change).await?;
    // Nothing that TLS needs may go before the settings that name it have gone: backwards, files made
    // anew last.
    for file in written.iter().rev().filter(|file| file.before.is_some()) {
        match &mut kept {
            Some(kept) if strangers.contains(&file.path) => {
                kept.push(without_our_blocks(place, journal, change, file).await?);
            }
            _ => put_back(place, journal, change, file).await?,
        }
    }
    if let Some(kept) = kept {
        let mut untold = strangers;
        untold.retain(|path| kept.iter().all(|told| told.path != *path));
        kept.extend(untold.into_iter().map(|path| Kept { path, diff: String::new() }));
    }
    put_container_back(place, change).await
}

/// Files that hold neither what was written nor what stood there before.
async fn changed_by_others(
    place: &mut Place,
    change: &Change,
    written: &[FileChange],
) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for file in written {
        let now = place.digest_of(&file.path).await?;
        let before = file.before.as_ref().map(|before| before.digest.clone());
        if now != before && now.as_deref() != Some(file.after.as_str()) {
            all.push(file.path.clone());
        }
    }
    if project_changed_by_others(change)? {
        all.extend(change.compose.iter().filter_map(|compose| Some(compose.edited.as_ref()?.path.clone())));
    }
    Ok(all)
}

/// A key that was let go when a later change kept its own cannot be put back; then nothing is.
async fn keys_are_kept(
    place: &mut Place,
    change: &Change,
    written: &[FileChange],
    others: &[PathBuf],
) -> Result<()> {
    for file in written.iter().filter(|file| !others.contains(&file.path)) {
        let Some(Before { digest, image: Image::Beside(kept), .. }) = &file.before else { continue };
        let stands = place.digest_of(&file.path).await?.as_ref() == Some(digest);
        if !stands && place.hands.look(kept).await?.is_none() {
            return Err(Failure::new(format!(
                "change {} replaced a private key that is no longer kept ({})",
                change.id,
                kept.display()
            ))
            .because(
                "one previous key is kept, for a week, and none that is compromised; nothing was changed",
            )
            .hint(format!("pgseal secure {} --reissue --ca DIR for a new certificate", place.word)));
        }
    }
    if let Some(kept) = change.kept_project()
        && project_is_edited(change)?
        && place.hands.look(kept).await?.is_none()
    {
        return Err(Failure::new(format!(
            "change {} took a password out of the compose file, and what stood there is no longer kept ({})",
            change.id,
            kept.display()
        ))
        .because("it is kept for a week; nothing was changed")
        .hint("put POSTGRES_PASSWORD back by hand, where it is wanted at all"));
    }
    Ok(())
}

async fn put_back(place: &mut Place, journal: &Journal, change: &Change, file: &FileChange) -> Result<()> {
    let Some(before) = &file.before else { return Ok(()) };
    place.clear_remains(&file.path).await?;
    if place.digest_of(&file.path).await?.as_deref() == Some(before.digest.as_str()) {
        return Ok(());
    }
    let bytes = match &before.image {
        Image::Stored(name) => journal.image(change, name)?,
        Image::Beside(path) => place.read_beside(&file.path, path).await?,
    };
    place.put(&file.path, before.mode, &bytes).await?;
    as_it_was(place, file, before).await
}

async fn as_it_was(place: &mut Place, file: &FileChange, before: &Before) -> Result<()> {
    let now = place.hands.look(&file.path).await?;
    let owner = now.map(|(_, found)| (found.uid, found.gid, found.mode));
    if owner != Some((before.uid, before.gid, before.mode)) {
        say(&format!(
            "pgseal: {} was {}:{} {:04o} before; look at its owner",
            file.path.display(),
            before.uid,
            before.gid,
            before.mode
        ));
    }
    Ok(())
}

/// Tells the server, and waits until the wire shows what follows from the files, or what it showed before. Where it
/// does neither in time that is said, and no reason to begin again.
async fn reloaded(place: &mut Place, change: &Change) -> Result<Seen> {
    let Some(server) = place.server().await? else { return Ok(Seen::NoServer) };
    place.reload().await?;
    let before = &change.view;
    let Some(at) = before.at else { return Ok(Seen::OnTheWire) };
    let who = who_was(change);
    let follows = stopped::implied(place, server.port, before, &who).await?;
    let at = follows.at.unwrap_or(at);
    // Another container may have taken over the data since, and be reached elsewhere.
    let (address, port) = place.reach(&server).await.unwrap_or((at.ip(), server.port));
    let deadline = Instant::now() + SEEN_WITHIN;
    loop {
        let now = view::look(address, port, &who).await;
        if same(&now, before) {
            return Ok(Seen::OnTheWire);
        }
        if same(&now, &follows) {
            return Ok(Seen::AsTheFilesSay(words(&now)));
        }
        if Instant::now() >= deadline {
            return Ok(Seen::Otherwise { shows: words(&now), follows: words(&follows) });
        }
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    }
}

/// Whose connection was tried before the change.
fn who_was(change: &Change) -> Login {
    let (username, dbname) = (change.view.user.clone(), change.view.dbname.clone());
    Login { username, dbname, password: None, certificate: ClientCertificate::None }
}

/// What the server that runs now shows, at the address of before and the port that it has now; `None`: none runs, or
/// it was never looked at.
pub(crate) async fn shown_now(place: &mut Place, change: &Change) -> Result<Option<View>> {
    let (Some(server), Some(at)) = (place.server().await?, change.view.at) else { return Ok(None) };
    let (address, port) = place.reach(&server).await.unwrap_or((at.ip(), server.port));
    Ok(Some(view::look(address, port, &who_was(change)).await))
}

/// What could not be told before proves nothing now.
pub(crate) fn same(now: &View, before: &View) -> bool {
    now.certificate == before.certificate && (before.plaintext.is_none() || now.plaintext == before.plaintext)
}

pub(crate) fn words(view: &View) -> String {
    let tls = view
        .certificate
        .as_ref()
        .map_or_else(|| "no TLS".to_owned(), |fingerprint| format!("TLS with {fingerprint}"));
    let plaintext = match view.plaintext {
        Some(true) => "plaintext let in",
        Some(false) => "plaintext refused",
        None => "plaintext: could not tell",
    };
    format!("{tls}, {plaintext}")
}
