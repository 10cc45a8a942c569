//! Settings on the postmaster's command line, which beat every file. Knows the options that set a parameter, and how
//! `postmaster.opts` quotes them.

use crate::ByteString;

/// What a command line sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// In the order given; the last one of a name counts.
    pub settings: Vec<CommandLineSetting>,
    /// `-D`: the data directory.
    pub data_directory: Option<ByteString>,
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLineSetting {
    /// The parameter's name, hyphens made underscores.
    pub name: String,
    /// Its value.
    pub value: ByteString,
}

/// Short options with a value, and the parameter each one sets.
const WITH_VALUE: [(char, Option<&str>); 13] = [
    ('B', Some("shared_buffers")),
    ('h', Some("listen_addresses")),
    ('k', Some("unix_socket_directories")),
    ('N', Some("max_connections")),
    ('p', Some("port")),
    ('S', Some("work_mem")),
    ('d', None),
    ('f', None),
    ('r', None),
    ('t', None),
    ('v', None),
    ('W', Some("post_auth_delay")),
    ('C', None),
];

/// Short options without a value, and what each one sets.
const FLAGS: [(char, &str, &str); 6] = [
    ('F', "fsync", "false"),
    ('i', "listen_addresses", "*"),
    ('l', "ssl", "true"),
    ('O', "allow_system_table_mods", "true"),
    ('P', "ignore_system_indexes", "true"),
    ('s', "log_statement_stats", "true"),
];

impl CommandLine {
    /// Reads arguments, the program's name not among them, as the postmaster's `getopt` does. What sets no parameter is
    /// passed over.
    pub fn parse<A: AsRef<[u8]>>(arguments: &[A]) -> Self {
        let mut line = Self::default();
        let mut rest = arguments.iter().map(AsRef::as_ref);
        while let Some(argument) = rest.next() {
            match argument {
                [b'-', b'-', long @ ..] => line.assign(long),
                [b'-', short @ ..] => line.short(short, &mut rest),
                _ => break,
            }
        }
        line
    }

    /// The value given for a parameter, in any case of its name.
    pub fn get(&self, name: &str) -> Option<&ByteString> {
        let named = |setting: &&CommandLineSetting| setting.name.eq_ignore_ascii_case(name);
        self.settings.iter().rfind(named).map(|setting| &setting.value)
    }

    /// A group of short options, the last of which may take a value.
    fn short<'a>(&mut self, group: &'a [u8], rest: &mut impl Iterator<Item = &'a [u8]>) {
        let mut group = group;
        while let Some((option, tail)) = group.split_first() {
            let option = char::from(*option);
            if let Some((_, name, value)) = FLAGS.iter().find(|(flag, _, _)| *flag == option) {
                self.set(name, value.as_bytes());
                group = tail;
                continue;
            }
            let named = WITH_VALUE.iter().find(|(letter, _)| *letter == option).map(|(_, name)| *name);
            let takes_value = named.is_some() || matches!(option, 'c' | 'D');
            if !takes_value {
                group = tail;
                continue;
            }
            let value = if tail.is_empty() { rest.next() } else { Some(tail) };
            match (option, named, value) {
                ('c', _, Some(value)) => self.assign(value),
                ('D', _, Some(value)) => self.data_directory = Some(value.into()),
                (_, Some(Some(name)), Some(value)) => self.set(name, value),
                _ => {}
            }
            return;
        }
    }

    /// `name=value` (`ParseLongOption`).
    fn assign(&mut self, text: &[u8]) {
        if let Some(equals) = text.iter().position(|byte| *byte == b'=') {
            let name = String::from_utf8_lossy(text.get(..equals).unwrap_or_default()).replace('-', "_");
            self.set(&name, text.get(equals + 1..).unwrap_or_default());
        }
    }

    fn set(&mut self, name: &str, value: &[u8]) {
        self.settings.push(CommandLineSetting { name: name.to_owned(), value: value.into() });
    }
}

/// The arguments in `postmaster.opts`, the program's name first: it stands bare, and each argument in double quotes
/// without escapes (`CreateOptsFile`).
pub fn postmaster_opts(text: &[u8]) -> Vec<ByteString> {
    let line = text.strip_suffix(b"\n").unwrap_or(text);
    let mut parts = split_at_pattern(line, b" \"").into_iter();
    let program = parts.next().unwrap_or_default();
    let arguments = parts.map(|part| part.strip_suffix(b"\"").unwrap_or(part));
    std::iter::once(program).chain(arguments).map(ByteString::from).collect()
}

fn split_at_pattern<'t>(text: &'t [u8], pattern: &[u8]) -> Vec<&'t [u8]> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(pattern.len()).position(|window| window == pattern) {
        let (part, tail) = rest.split_at(at);
        parts.push(part);
        rest = tail.get(pattern.len()..).unwrap_or_default();
    }
    parts.push(rest);
    parts
}
