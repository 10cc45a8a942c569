//! What of the project has to be written otherwise, and proof that compose reads it as it is meant: before anything is
//! written.

use std::path::{Path, PathBuf};

use similar::TextDiff;
use zeroize::Zeroizing;

use super::masks::Masks;
use crate::compose::edit::{Cut, Edited, Unsafe, cut, without};
use crate::compose::facts::behind_the_program;
use crate::compose::file::{ComposeFile, default_override};
use crate::compose::find::Found;
use crate::compose::mend::{Mend, PASSWORD};
use crate::compose::reading::Reading;
use crate::compose::scalar::quoted;
use crate::compose::words::Given;
use crate::failure::{Failure, Result};
use crate::journal::{ComposeBefore, Taken, digest};
use crate::privilege::files;
use crate::privilege::user::{SystemUser, effective_uid, running_as_root};

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
    /// Whether the container has to be made anew.
    pub(crate) anew: bool,
    /// The text of before, where it is to be kept because what goes from it is secret.
    pub(crate) kept: Option<Zeroizing<String>>,
}

impl ComposeStep {
    /// Refuses a file that could not be exchanged, before anything is.
    pub(super) fn can_be_written(&self) -> Result<()> {
        if self.text.is_none() {
            return Ok(());
        }
        let (path, folder) = (&self.path, self.path.parent().unwrap_or(Path::new("/")));
        let nothing = |failure: Failure| {
            failure
                .because("a file is replaced by a rename in its folder; nothing was changed")
                .hint(format!("let this user write {}, then again", folder.display()))
        };
        files::may_write(folder).map_err(|error| nothing(Failure::io("write files in", folder, &error)))?;
        let there = files::status(path).map_err(|error| Failure::io("look at", path, &error))?;
        match there {
            // Nobody else can give a new file to its owner.
            Some(there) if there.uid != effective_uid() && !running_as_root() => Err(nothing(Failure::new(
                format!("{} belongs to {}", path.display(), SystemUser::name_of(there.uid)),
            ))),
            _ => Ok(()),
        }
    }
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
pub(super) async fn plan(
    found: &Found,
    command: &Command,
    mends: &[Mend],
    keep_at: &Path,
    was_running: bool,
) -> Result<ComposeStep> {
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
        anew: !command.gone.is_empty() || mends.iter().any(|mend| mend.makes_anew()),
        kept: None,
    };
    if command.gone.is_empty() && mends.is_empty() {
        return Ok(unchanged);
    }
    let title = title(found, command, mends);
    let masks = Masks::of(&found.reading);
    let mut cuts = of_mends(found, mends)?;
    let why = match of_command(found, command) {
        Err(why) => why.why().to_owned(),
        Ok(of_command) => {
            cuts.extend(of_command);
            match edited(found, cuts, command, mends).await? {
                Err(why) => why,
                Ok(edited) => {
                    let secret = masks.hide_of(&found.file.text, &edited.cuts);
                    if !secret || mends.contains(&Mend::Password) {
                        let name = unchanged.path.display().to_string();
                        let diff = diff(&name, &found.file.text, &edited.text, &masks);
                        let before = Some(before(&found.file, &edited.cuts, secret.then_some(keep_at)));
                        let kept = secret.then(|| Zeroizing::new(found.file.text.clone()));
                        return Ok(ComposeStep {
                            title,
                            text: Some(edited.text),
                            before,
                            diff,
                            kept,
                            ..unchanged
                        });
                    }
                    "the lines that go hold what may be a secret, and a journal keeps none".to_owned()
                }
            }
        }
    };
    if mends.is_empty() {
        return laid_over(found, command, unchanged, &title, &why).await;
    }
    Err(Failure::stopped(format!("{} cannot be mended safely", found.file.path.display()))
        .because(why)
        .because("nothing was changed")
        .hint("without --mend"))
}

fn title(found: &Found, command: &Command, mends: &[Mend]) -> String {
    let names: Vec<&str> = command.gone.iter().map(|given| given.name.as_str()).collect();
    let of_command =
        (!names.is_empty()).then(|| format!("{} out of the command of {}", names.join(", "), found.service));
    let of_mends = mends.iter().map(|mend| mend.title().to_owned());
    of_command.into_iter().chain(of_mends).collect::<Vec<_>>().join("; ")
}

fn of_mends(found: &Found, mends: &[Mend]) -> Result<Vec<Cut>> {
    let mut all = Vec::new();
    for mend in mends {
        let cuts = mend.cuts(&found.file, &found.service).map_err(|why| {
            Failure::stopped(format!(
                "{} cannot be mended safely in {}",
                mend.finding(),
                found.file.path.display()
            ))
            .because(match why {
                Unsafe::SaidElsewhere => "it is said elsewhere: by an anchor, an extension or another file",
                Unsafe::Unclear => "it is written in a way that is not taken apart safely",
            })
            .because("nothing was changed")
            .hint(format!("by hand: pgseal doctor --explain {}", mend.finding()))
        })?;
        all.extend(cuts);
    }
    Ok(all)
}

fn of_command(found: &Found, command: &Command) -> Result<Vec<Cut>, Unsafe> {
    if command.gone.is_empty() {
        return Ok(Vec::new());
    }
    let words = found.reading.command(&found.service).unwrap_or_default();
    without(&found.file, &found.service, &words, &command.gone)
}

fn before(file: &ComposeFile, cuts: &[Cut], kept: Option<&Path>) -> ComposeBefore {
    let taken = cuts.iter().filter(|_| kept.is_none()).filter_map(|cut| {
        let text = file.text.get(cut.at.clone())?.to_owned();
        Some(Taken { at: cut.at.start, text, put: cut.put.len() })
    });
    ComposeBefore {
        digest: digest(file.text.as_bytes()),
        mode: file.mode,
        taken: taken.collect(),
        kept: kept.map(Path::to_owned),
    }
}

/// The text with these cuts, where compose reads it as the project of before, but for what was meant.
async fn edited(
    found: &Found,
    cuts: Vec<Cut>,
    command: &Command,
    mends: &[Mend],
) -> Result<Result<Edited, String>> {
    let Some(edited) = cut(&found.file.text, cuts) else { return Ok(Err(Unsafe::Unclear.why().to_owned())) };
    let now = match found.reading.with_text(&found.compose, &found.file, &edited.text).await {
        Ok(now) => now,
        Err(failure) => return Ok(Err(format!("compose does not read it edited: {}", failure.sentence()))),
    };
    Ok(as_meant(&found.reading, &now, &found.service, &command.left, mends).map(|()| edited))
}

fn as_meant(
    before: &Reading,
    now: &Reading,
    service: &str,
    left: &[String],
    mends: &[Mend],
) -> Result<(), String> {
    let mut keys = vec!["command"];
    if mends.contains(&Mend::Ports) {
        keys.push("ports");
        let everywhere = now.published(service).iter().any(crate::compose::facts::is_everywhere);
        if everywhere || now.published(service).len() != before.published(service).len() {
            return Err("edited, compose would read other ports than are meant".to_owned());
        }
    }
    if mends.contains(&Mend::Password) {
        keys.push("environment");
        let left: Vec<String> =
            before.variables(service).into_iter().filter(|name| name != PASSWORD).collect();
        let same = |name: &String| now.variable(service, name) == before.variable(service, name);
        if now.variables(service) != left || !left.iter().all(same) {
            return Err("edited, compose would read another environment than is meant".to_owned());
        }
    }
    if before.all_but(service, &keys) != now.all_but(service, &keys) {
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
