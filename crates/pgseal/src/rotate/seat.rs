//! Where key and certificate lie, and so by which renames they are exchanged.

use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::place::Place;
use crate::secure::facts::{Facts, ServerFile};
use crate::secure::observe::{PEM, in_data, own_files, server_file_if_any};

/// How the present pair lies.
pub(crate) enum Seat {
    /// One file that both settings name: it is exchanged where it is.
    One {
        file: Option<ServerFile>,
        path: PathBuf,
        /// Whether it is ours, with the public files beside it.
        ours: bool,
    },
    /// Two files; the pair moves to one of our own, by one rename of the configuration file.
    Two,
    /// Two files whose paths the command line fixes.
    Fixed { certificate: FixedFile, key: FixedFile },
}

pub(crate) struct FixedFile {
    pub(crate) path: PathBuf,
    pub(crate) file: Option<ServerFile>,
}

impl Seat {
    /// Looks where the settings lead, and lets the facts speak of the files that will be exchanged.
    pub(crate) async fn find(place: &mut Place, facts: &mut Facts) -> Result<Self> {
        let certificate = in_data(place, facts.setting("ssl_cert_file"));
        let key = in_data(place, facts.setting("ssl_key_file"));
        let certificate = FixedFile::at(place, certificate).await?;
        let key = FixedFile::at(place, key).await?;
        if certificate.path == key.path {
            let ours = certificate.path.file_name().is_some_and(|name| name == PEM);
            if let (true, Some(folder)) = (ours, certificate.path.parent()) {
                folder.clone_into(&mut facts.tls_folder);
                facts.tls_folder_is_there = true;
                facts.own = own_files(place, folder).await?;
            }
            return Ok(Self::One { file: certificate.file, path: certificate.path, ours });
        }
        let fixed = |name: &str| facts.settings.get(name).is_some_and(|found| found.source == "command line");
        if fixed("ssl_cert_file") || fixed("ssl_key_file") {
            return Ok(Self::Fixed { certificate, key });
        }
        Ok(Self::Two)
    }
}

impl FixedFile {
    async fn at(place: &mut Place, path: PathBuf) -> Result<Self> {
        let file = server_file_if_any(place, &path).await?;
        Ok(Self { path: file.as_ref().map_or(path, |file| file.real.clone()), file })
    }
}

/// Two files can only be exchanged one after the other, and a server that is started in between does not start.
pub(crate) fn fixed_paths(certificate: &Path, key: &Path) -> Failure {
    Failure::stopped("the server's command line fixes the paths of key and certificate, which are two files")
        .because(format!("they are {} and {}", certificate.display(), key.display()))
        .because("a crash between their two renames leaves a key that belongs to another certificate, and a server that does not start")
        .because("nothing was changed")
        .hint("start it with -c ssl_cert_file and -c ssl_key_file naming one file, or without them; all the same: --accept-crash-window")
}
