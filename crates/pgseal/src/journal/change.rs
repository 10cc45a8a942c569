//! One change as it is written down. Plain values.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use aws_lc_rs::digest::{SHA256, digest as hash};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::failure::{Failure, Result};

/// SHA-256 in hex.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hash(&SHA256, bytes).as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Eight hexadecimal digits that no other change has.
pub(crate) fn fresh_id() -> Result<String> {
    let mut bytes = [0_u8; 4];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Failure::new("the system gave no random numbers for the change's id"))?;
    Ok(format!("{:08x}", u32::from_be_bytes(bytes)))
}

/// The time as the journal has it: of fixed length, so that it sorts.
pub(crate) fn moment(now: OffsetDateTime) -> Result<String> {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    let utc = now.to_offset(time::UtcOffset::UTC);
    utc.format(form).map_err(|error| Failure::new(format!("could not write the time: {error}")))
}

/// Everything that undoing needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// The version of this format.
    pub(crate) format: u32,
    /// Eight hexadecimal digits; it stands in the blocks that the change wrote.
    pub(crate) id: String,
    /// When it began, RFC 3339 with six digits of a second.
    pub(crate) began: String,
    /// The data directory.
    pub(crate) data: PathBuf,
    /// What it does, in a few words.
    pub(crate) title: String,
    /// In the order of writing.
    pub(crate) files: Vec<FileChange>,
    /// Folders that did not exist, outermost first.
    pub(crate) folders: Vec<PathBuf>,
    /// A CA that was made for it.
    #[serde(default)]
    pub(crate) founded: Option<Founded>,
    /// Settings by ALTER SYSTEM, for a server that is reached by SQL alone.
    #[serde(default)]
    pub(crate) settings: Vec<SettingChange>,
    /// Where the certificate that it installed came from, for whoever renews it.
    #[serde(default)]
    pub(crate) origin: Option<Origin>,
    /// The certificate that it installed, in PEM.
    #[serde(default)]
    pub(crate) certificate: Option<String>,
    /// The TARGET that leads to the server, from any folder.
    #[serde(default)]
    pub(crate) target: Option<String>,
    /// What the person who runs pgseal keeps of it, beside the server's own files.
    #[serde(default)]
    pub(crate) records: Vec<Record>,
    /// The compose project that it went through, where a container was made anew.
    #[serde(default)]
    pub(crate) compose: Option<ComposeChange>,
    /// What the wire showed before; of a server that did not run, what it would have shown.
    pub(crate) view: View,
    /// The certificate that was served before, in PEM.
    #[serde(default)]
    pub(crate) served: Option<String>,
    /// What is to be proved of it later, where no server ran.
    #[serde(default)]
    pub(crate) promise: Option<Promise>,
}

/// What a change promised that nobody could prove yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Promise {
    /// The fingerprint of the certificate that is to be served.
    pub(crate) certificate: String,
    /// The names that it is to match.
    pub(crate) names: Vec<String>,
    /// Whether its CA is known.
    pub(crate) authority: bool,
    /// Settings and what they are to be.
    pub(crate) settings: Vec<(String, String)>,
    /// Whether plaintext is to be refused.
    pub(crate) enforce: bool,
    /// Whether somebody may go on without TLS for a while.
    pub(crate) excepted: bool,
}

impl Change {
    /// Where the compose file is kept that it edited, with the password that stood in it.
    pub(crate) fn kept_project(&self) -> Option<&PathBuf> {
        self.compose.as_ref()?.edited.as_ref()?.before.as_ref()?.kept.as_ref()
    }

    /// Where secrets are kept that it replaced: keys, and a compose file with a password.
    pub(crate) fn previous_keys(&self) -> impl Iterator<Item = &PathBuf> {
        let keys = self.files.iter().filter_map(|file| match &file.before {
            Some(Before { image: Image::Beside(path), .. }) => Some(path),
            _ => None,
        });
        keys.chain(self.kept_project())
    }
}

/// What a change did with a compose project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ComposeChange {
    /// The compose file, and the service in it.
    pub(crate) file: PathBuf,
    pub(crate) service: String,
    /// Whether its server ran before.
    pub(crate) was_running: bool,
    /// `None`: the container was started, and no more.
    pub(crate) edited: Option<ComposeEdited>,
}

/// The file of the project that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ComposeEdited {
    pub(crate) path: PathBuf,
    /// `None`: there was no such file.
    pub(crate) before: Option<ComposeBefore>,
    /// The digest of what was written.
    pub(crate) after: String,
    /// For people, secrets masked.
    pub(crate) diff: String,
}

/// It as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ComposeBefore {
    pub(crate) digest: String,
    pub(crate) mode: u32,
    /// What is not in it any more: only that is kept, for a compose file holds passwords.
    pub(crate) taken: Vec<Taken>,
    /// Where all of it is kept, beside the server's keys, because what was taken out of it is secret.
    #[serde(default)]
    pub(crate) kept: Option<PathBuf>,
}

/// Text that was taken out of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Taken {
    /// Where it stood, in bytes from the beginning of the file as it was.
    pub(crate) at: usize,
    pub(crate) text: String,
    /// How many bytes stand there instead.
    #[serde(default)]
    pub(crate) put: usize,
}

/// A CA made by the person who runs pgseal, with the change. It goes with a change that never came to stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Founded {
    pub(crate) folder: PathBuf,
    /// Names and digests.
    pub(crate) files: Vec<(String, String)>,
}

/// One file and what it became.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileChange {
    /// Links resolved.
    pub(crate) path: PathBuf,
    /// `None`: there was no such file.
    pub(crate) before: Option<Before>,
    /// The digest of what was written.
    pub(crate) after: String,
    /// Permission bits of what was written.
    pub(crate) mode: u32,
    /// A unified diff for people, secrets masked; empty for keys.
    pub(crate) diff: String,
}

/// Where a certificate came from, and where the next one will.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub(crate) enum Origin {
    /// Issued by the CA in this folder.
    Authority { folder: PathBuf },
    /// Taken from files that somebody else renews.
    Files { certificate: PathBuf, key: PathBuf },
    /// Signed by a program, which gets so many seconds for each of so many tries.
    Command { program: PathBuf, seconds: u64, tries: u32 },
}

/// A public file of pgseal's own user that goes with a change: the certificate last issued, a CA's new one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) path: PathBuf,
    /// `None`: there was no such file.
    pub(crate) before: Option<String>,
    pub(crate) after: String,
}

/// One setting of postgresql.auto.conf, and what ALTER SYSTEM had made of it before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SettingChange {
    pub(crate) name: String,
    pub(crate) after: String,
    pub(crate) before: Option<String>,
}

/// A file as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Before {
    pub(crate) digest: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u32,
    pub(crate) image: Image,
}

/// Where the bytes are that stood there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Image {
    /// A file of the journal.
    Stored(String),
    /// Beside the new one: a private key is never copied out of its folder.
    Beside(PathBuf),
}

/// How far a change has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "phase")]
pub(crate) enum Phase {
    /// Files may have been written. A run that finds this, and nobody at work, undoes it.
    Begun,
    /// Everything written and proved; undone at this time (seconds since 1970) unless confirmed.
    AwaitingConfirmation {
        until: i64,
        /// What the wire showed when it was proved.
        #[serde(default)]
        shown: Option<View>,
    },
    /// Everything written while no server ran, by this time (seconds since 1970); proved, or taken back, by the
    /// first run that finds one.
    AwaitingStart {
        by: i64,
    },
    Committed,
    /// On the way back, on request. A run that finds this goes on with it.
    Undoing,
    /// On the way back unasked, from where it had been proved or written whole. A run that finds this goes on with it.
    TakingBack,
    /// Every file is as it was; whether the server shows it has not been seen. A run that finds this looks, and
    /// writes none of the files again: they are whoever's edits them now.
    Restored {
        /// On request.
        undone: bool,
        /// It never came to stand.
        begun: bool,
    },
    /// Did not verify; everything is as it was.
    RolledBack,
    /// Taken back on request.
    Undone,
}

impl Phase {
    pub(crate) const fn is_unfinished(&self) -> bool {
        matches!(
            self,
            Self::Begun
                | Self::AwaitingConfirmation { .. }
                | Self::AwaitingStart { .. }
                | Self::Undoing
                | Self::TakingBack
                | Self::Restored { .. }
        )
    }

    /// Whether files may be half of one state and half of another.
    pub(crate) const fn is_on_the_way(&self) -> bool {
        matches!(self, Self::Begun | Self::Undoing | Self::TakingBack | Self::Restored { .. })
    }

    /// What an unfinished change becomes when it is taken back.
    pub(crate) const fn taken_back(&self) -> Self {
        match self {
            Self::Undoing | Self::Committed | Self::Restored { undone: true, .. } => Self::Undone,
            _ => Self::RolledBack,
        }
    }

    pub(crate) const fn words(&self) -> &'static str {
        match self {
            Self::Begun => "unfinished",
            Self::AwaitingConfirmation { .. } => "awaiting confirmation",
            Self::AwaitingStart { .. } => "awaiting the server's start",
            Self::Committed => "committed",
            Self::Undoing | Self::Restored { undone: true, .. } => "being undone",
            Self::TakingBack | Self::Restored { undone: false, .. } => "being taken back",
            Self::RolledBack => "rolled back",
            Self::Undone => "undone",
        }
    }
}

/// What came in the way of the watcher, which has nobody to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trouble {
    /// RFC 3339 with six digits of a second.
    pub(crate) at: String,
    /// The sentence and its lines.
    pub(crate) said: Vec<String>,
}

/// What a server shows from outside: the least that tells one state from another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct View {
    /// Where it was looked at; `None`: it listens nowhere.
    pub(crate) at: Option<SocketAddr>,
    /// Whose plaintext connection was tried.
    pub(crate) user: String,
    pub(crate) dbname: String,
    /// The served certificate's fingerprint; `None`: no TLS.
    pub(crate) certificate: Option<String>,
    /// Whether a plaintext connection of our user is let as far as authentication; `None`: could not tell.
    pub(crate) plaintext: Option<bool>,
}
