//! The line that a renewing program runs when it has a new certificate: certbot's `--deploy-hook`, lego's
//! `--renew-hook`, acme.sh's `--reloadcmd`, or cron.

use std::path::{Path, PathBuf};

use super::wish::Source;
use crate::failure::{Failure, Result};
use crate::journal::{Journal, Origin};
use crate::report::shell::quoted;
use crate::target::Target;

/// What certbot calls the folder of what it has renewed.
const LINEAGE: &str = "$RENEWED_LINEAGE";

/// One line for a POSIX shell that leads here from any folder.
pub(crate) async fn line(word: &str, source: &Source) -> Result<String> {
    let mut place = Target::place(word).await?;
    let identifier = place.identifier().await?;
    let journal = Journal::find(identifier, &place.key())?;
    let program = std::env::current_exe()
        .map_err(|error| Failure::new(format!("could not find this program's own path: {error}")))?;
    let mut words = vec![quoted(&program.display().to_string()), "rotate".to_owned()];
    words.push(quoted(&place.lasting_address()));
    let remembered = journal.map(|journal| journal.origin()).transpose()?.flatten();
    match (source, &remembered) {
        (Source::Files { certificate, key }, _) => words.extend(files(certificate, key)?),
        (Source::Remembered, Some(Origin::Files { certificate, key })) => {
            words.extend(files(certificate, key)?);
        }
        (Source::Authority(folder), _) => {
            words.extend([
                "--ca".to_owned(),
                quoted(&absolute(folder)?.display().to_string()),
                "--if-due".to_owned(),
            ]);
        }
        (Source::Remembered, Some(Origin::Authority { .. })) => words.push("--if-due".to_owned()),
        (Source::Command { program, seconds, tries }, _)
        | (Source::Remembered, Some(Origin::Command { program, seconds, tries })) => {
            words.extend(["--issuer-command".to_owned(), quoted(&absolute(program)?.display().to_string())]);
            words.extend([format!("--issuer-timeout {seconds}s"), format!("--issuer-tries {tries}")]);
            words.push("--if-due".to_owned());
        }
        (Source::Remembered, None) => words.extend([
            format!("--cert \"{LINEAGE}/fullchain.pem\""),
            format!("--key \"{LINEAGE}/privkey.pem\""),
        ]),
    }
    let state = std::env::var("PGSEAL_STATE_DIR").ok().filter(|folder| !folder.is_empty());
    let before = state.map(|folder| format!("PGSEAL_STATE_DIR={} ", quoted(&folder))).unwrap_or_default();
    Ok(format!("{before}{}", words.join(" ")))
}

fn files(certificate: &Path, key: &Path) -> Result<[String; 4]> {
    let word = |path: &Path| absolute(path).map(|path| quoted(&path.display().to_string()));
    Ok(["--cert".to_owned(), word(certificate)?, "--key".to_owned(), word(key)?])
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| Failure::io("resolve", path, &error))
}
