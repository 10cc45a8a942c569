//! Where key and certificate lie, and so by which renames they are exchanged.

use std::path::PathBuf;

use crate::failure::Result;
use crate::place::Place;
use crate::secure::facts::{Facts, ServerFile};
use crate::secure::fixed::FixedFile;
use crate::secure::observe::{PEM, in_data, own_files};

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
