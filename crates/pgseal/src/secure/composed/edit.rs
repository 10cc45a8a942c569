//! What of the project has to be written otherwise, and proof that compose reads it as it is meant: before anything is
//! written.

use std::ops::Range;
use std::path::PathBuf;

use similar::TextDiff;

use super::masks::Masks;
use crate::compose::edit::{Edited, without};
use crate::compose::facts::behind_the_program;
use crate::compose::file::{ComposeFile, default_override};
use crate::compose::find::Found;
use crate::compose::reading::Reading;
use crate::compose::scalar::quoted;
use crate::compose::words::Given;
use crate::failure::{Failure, Result};
use crate::journal::{ComposeBefore, Taken, digest};

/// The edit of a project, for people to read before it is made.
pub(crate) struct ComposeStep {
    pub(crate) title: String,
    /// The compose file.
    pub(crate) file: PathBuf,
    /// That, or a new one that is laid over it.
    pub(crate) path: PathBuf,
    /// Its permission bits.
    pub(crate) mode: u32,
    /// What is to stand there; `None`: it stays as it is, and the container is started.
    pub(crate) text: Option<String>,
    /// What of it the journal keeps; `None`: there is no such file.
    pub(crate) before: Option<ComposeBefore>,
    pub(crate) diff: String,
    pub(crate) service: String,
    /// Whether the server ran before.
    pub(crate) was_running: bool,
}

/// The words of the service's command without some settings, and where in the whole command those are.
pub(super) struct Command {
    pub(super) left: Vec<String>,
    gone: Vec<Given>,
}

impl Command {
    /// `gone`: settings of the words behind the program.
    pub(super) fn without(found: &Found, gone: Vec<Given>) -> Self {
        let words = found.reading.command(&found.service).unwrap_or_default();
        let skipped = words.len() - behind_the_program(&words).len();
        let gone: Vec<Given> = gone
            .into_iter()
            .map(|given| Given { at: given.at.start + skipped..given.at.end + skipped, ..given })
            .collect();
        let left = (0..words.len()).filter(|at| !gone.iter().any(|given| given.at.contains(at)));
        let left = left.filter_map(|at| words.get(at).cloned()).collect();
        Self { left, gone }
    }

    /// What the server is given.
    pub(super) fn words(&self) -> Vec<String> {
        behind_the_program(&self.left).to_vec()
    }
}

/// The step; nothing is written.
pub(super) async fn plan(found: &Found, command: &Command, was_running: bool) -> Result<ComposeStep> {
    let unchanged = ComposeStep {
        title: format!("start {}", found.service),
        file: found.file.path.clone(),
        path: found.file.path.clone(),
        mode: found.file.mode,
        text: None,
        before: None,
        diff: String::new(),
        service: found.service.clone(),
        was_running,
    };
    if command.gone.is_empty() {
        return Ok(unchanged);
    }
    let names: Vec<&str> = command.gone.iter().map(|given| given.name.as_str()).collect();
    let title = format!("{} out of the command of {}", names.join(", "), found.service);
    let words = found.reading.command(&found.service).unwrap_or_default();
    let masks = Masks::of(&found.reading);
    let edited = without(&found.file, &found.service, &words, &command.gone);
    let why = match edited {
        Ok(edited) if masks.hide_of(&found.file.text, &edited.cuts) => {
            "the lines that go hold what may be a secret, and a journal keeps none".to_owned()
        }
        Ok(Edited { text, cuts }) => match reads_as_meant(found, &text, command).await? {
            Ok(()) => {
                let diff = diff(&unchanged.path.display().to_string(), &found.file.text, &text, &masks);
                let before = Some(kept(&found.file, &cuts));
                return Ok(ComposeStep { title, text: Some(text), before, diff, ..unchanged });
            }
            Err(why) => why,
        },
        Err(why) => why.why().to_owned(),
    };
    laid_over(found, command, unchanged, &title, &why).await
}

fn kept(file: &ComposeFile, cuts: &[Range<usize>]) -> ComposeBefore {
    let taken = cuts
        .iter()
        .filter_map(|cut| Some(Taken { at: cut.start, text: file.text.get(cut.clone())?.to_owned() }));
    ComposeBefore { digest: digest(file.text.as_bytes()), mode: file.mode, taken: taken.collect() }
}

/// Whether compose reads the edited text as the project of before, but for these words.
async fn reads_as_meant(found: &Found, text: &str, command: &Command) -> Result<Result<(), String>> {
    let now = match found.reading.with_text(&found.compose, &found.file, text).await {
        Ok(now) => now,
        Err(failure) => return Ok(Err(format!("compose does not read it edited: {}", failure.sentence()))),
    };
    Ok(same_but_command(&found.reading, &now, &found.service, &command.left))
}

fn same_but_command(before: &Reading, now: &Reading, service: &str, left: &[String]) -> Result<(), String> {
    if now.all_but(service, "command") != before.all_but(service, "command") {
        return Err("edited, other parts of the project would change with it".to_owned());
    }
    if now.command(service).unwrap_or_default() != left {
        return Err("edited, compose would read another command than is meant".to_owned());
    }
    Ok(())
}

/// A file that compose lays over the other by itself. Its words are those of the file, with variables as they are:
/// what is put in for them may be secret.
async fn laid_over(
    found: &Found,
    command: &Command,
    unchanged: ComposeStep,
    title: &str,
    why: &str,
) -> Result<ComposeStep> {
    let raw = found.reading.with_variables(&found.compose, &found.file).await?;
    let words = raw.command_as_written(&found.service);
    let left: Vec<&String> = (0..words.len())
        .filter(|at| !command.gone.iter().any(|given| given.at.contains(at)))
        .filter_map(|at| words.get(at))
        .collect();
    if words.len() != found.reading.command(&found.service).unwrap_or_default().len() {
        return Err(by_hand(found, command, why));
    }
    let list: Vec<String> = if left.is_empty() {
        // Nothing at all would leave out the program, too.
        vec![quoted("postgres")]
    } else {
        left.into_iter().map(|word| quoted(word)).collect()
    };
    let path = match default_override(&found.file) {
        Some(path) if !path.exists() => path,
        _ => return Err(by_hand(found, command, why)),
    };
    let text = format!(
        "# Made by pgseal secure: the command of {0} without settings that files of the server say now.\n\
         services:\n  {0}:\n    command: [{1}]\n",
        found.service,
        list.join(", ")
    );
    let diff = diff(&path.display().to_string(), "", &text, &Masks::of(&found.reading));
    let title = format!("{title}, in a file laid over ({why})");
    Ok(ComposeStep { title, path, text: Some(text), diff, ..unchanged })
}

fn by_hand(found: &Found, command: &Command, why: &str) -> Failure {
    let (path, service) = (found.file.path.display(), &found.service);
    let gone = command.gone.iter().map(|given| format!("-c {}=…", given.name));
    Failure::stopped(format!("the command of {service} in {path} cannot be edited safely"))
        .because(why.to_owned())
        .because("these settings have to go from it, for files of the server say them from now on:")
        .because_all(gone)
        .because("nothing was changed")
        .hint(format!("take them out by hand, {} up --detach {service}, then again", found.compose.words()))
}

/// No context, and no secrets: any line of a compose file may hold one.
fn diff(name: &str, before: &str, after: &str, masks: &Masks) -> String {
    let text =
        TextDiff::from_lines(before, after).unified_diff().context_radius(0).header(name, name).to_string();
    text.lines().map(|line| masks.line(line) + "\n").collect()
}
