//! What a compose project says of a service, as far as it matters for TLS. Plain values; nothing secret is among them.

/// A service of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServiceFacts {
    /// The words of its command behind the program; none where the image's own holds.
    pub(crate) command: Vec<String>,
    /// The line of the file that says `version:`.
    pub(crate) version_line: Option<usize>,
    /// Ports that every address of the host has, as the file would say them.
    pub(crate) published_everywhere: Vec<String>,
    /// Whether the first superuser's password stands in its environment.
    pub(crate) password_in_environment: bool,
    /// Variables of its environment that only an empty volume takes notice of.
    pub(crate) init_only: Vec<&'static str>,
    /// A variable of its environment that should have been the command.
    pub(crate) command_in_environment: Option<String>,
    /// The database that an empty volume gets.
    pub(crate) dbname: Option<String>,
    /// Words in which the container that is there differs from what the file says.
    pub(crate) outdated: Option<String>,
}
