//! Where key and certificate lie, and so by which renames they are exchanged.

use std::path::PathBuf;

use crate::failure::Result;
use crate::place::Place;
use crate::secure::facts::{Facts, ServerFile};
use crate::secure::fixed::FixedFile;
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

impl Seat {
    /// Looks where the settings lead, and lets the facts speak of the files that will be exchanged.
    pub(crate) async fn find(place: &mut Place, facts: &mut Facts) -> Result<Self> {
        let certificate = in_data(place, facts.setting("ssl_cert_file"));
        let key = in_data(place, facts.setting("ssl_key_file"));
        let certificate = led_to(place, certificate).await?;
        let key = led_to(place, key).await?;
        if certificate == key {
            if let (Some(folder), true) =
                (certificate.parent(), certificate.file_name() == Some(PEM.as_ref()))
            {
                folder.clone_into(&mut facts.tls_folder);
                facts.tls_folder_is_there = true;
                facts.own = own_files(place, folder).await?;
                return Ok(Self::One { file: None, path: certificate, ours: true });
            }
            let file = server_file_if_any(place, &certificate).await?;
            return Ok(Self::One { file, path: certificate, ours: false });
        }
        let fixed = |name: &str| facts.settings.get(name).is_some_and(|found| found.source == "command line");
        if !fixed("ssl_cert_file") && !fixed("ssl_key_file") {
            // Where they lie now is nothing that would have to be read: the pair moves.
            return Ok(Self::Two);
        }
        Ok(Self::Fixed {
            certificate: FixedFile::at(place, certificate).await?,
            key: FixedFile::at(place, key).await?,
        })
    }
}

/// Links followed; itself where nothing is there.
async fn led_to(place: &mut Place, path: PathBuf) -> Result<PathBuf> {
    Ok(place.hands.look(&path).await?.map_or(path, |(real, _)| real))
}
