//! What went wrong, said once: what was tried on which object, what came back, the next command.
//!
//! Knows how an error reads and which exit status it ends with. Refuses to know where errors come from.

use std::fmt;
use std::io;
use std::path::Path;

/// How a run ends (DESIGN, "The command line"). The numbers are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// 0: all well.
    Well,
    /// 1: a claim not proved, something found, or stopped by a safety check.
    NotProved,
    /// 2: wrong usage.
    Usage,
    /// 3: could not be carried out: unreachable, not permitted, a bad file.
    NotCarriedOut,
    /// 4: changed, not verified, rolled back.
    RolledBack,
    /// 130, 143 or 129: interrupted by SIGINT, SIGTERM or SIGHUP, after everything half-made was removed.
    Interrupted(Signal),
}

/// The signals that end a run in good order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Interrupt,
    Terminate,
    /// The terminal is gone: a lost connection, say.
    Hangup,
}

impl Ending {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Well => 0,
            Self::NotProved => 1,
            Self::Usage => 2,
            Self::NotCarriedOut => 3,
            Self::RolledBack => 4,
            Self::Interrupted(Signal::Interrupt) => 130,
            Self::Interrupted(Signal::Terminate) => 143,
            Self::Interrupted(Signal::Hangup) => 129,
        }
    }
}

/// One calm sentence, the lines that explain it, and what to do next.
///
/// Texts may hold foreign bytes: they are escaped where they are printed, not here. Newlines are the
/// exception, since each part is one line and a foreign newline must not begin another.
#[derive(Debug)]
pub(crate) struct Failure {
    ending: Ending,
    sentence: String,
    lines: Vec<String>,
    hint: Option<String>,
}

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// Something that could not be carried out (exit status 3).
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self { ending: Ending::NotCarriedOut, sentence: sentence.into(), lines: Vec::new(), hint: None }
    }

    /// Words on the command line that cannot be followed (exit status 2).
    pub(crate) fn usage(sentence: impl Into<String>) -> Self {
        Self { ending: Ending::Usage, ..Self::new(sentence) }
    }

    /// Stopped by a safety check, or a question answered with no (exit status 1).
    pub(crate) fn stopped(sentence: impl Into<String>) -> Self {
        Self { ending: Ending::NotProved, ..Self::new(sentence) }
    }

    /// Changed, not verified, and put back as it was (exit status 4).
    pub(crate) fn rolled_back(sentence: impl Into<String>) -> Self {
        Self { ending: Ending::RolledBack, ..Self::new(sentence) }
    }

    pub(crate) fn interrupted(signal: Signal) -> Self {
        let name = match signal {
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
            Signal::Hangup => "SIGHUP",
        };
        Self { ending: Ending::Interrupted(signal), ..Self::new(format!("interrupted by {name}")) }
    }

    /// `could not VERB PATH: what the system said`.
    pub(crate) fn io(verb: &str, path: &Path, error: &io::Error) -> Self {
        Self::new(format!("could not {verb} {}: {error}", path.display()))
    }

    /// A line that explains: what came back verbatim, or why as far as known.
    pub(crate) fn because(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// Several such lines, for what a server or a program printed.
    pub(crate) fn because_all(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.lines.extend(lines);
        self
    }

    /// The next thing to do; shown behind `try:`.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The lines that explain.
    pub(crate) fn reasons(&self) -> Vec<String> {
        self.lines.clone()
    }

    /// The sentence and the lines that explain it.
    pub(crate) fn sentences(&self) -> Vec<String> {
        std::iter::once(self.sentence.clone()).chain(self.lines.clone()).collect()
    }

    pub(crate) const fn ending(&self) -> Ending {
        self.ending
    }

    pub(crate) fn sentence(&self) -> &str {
        &self.sentence
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(&self.sentence))?;
        for line in &self.lines {
            write!(f, "\n  {}", one_line(line))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  try: {}", one_line(hint))?;
        }
        Ok(())
    }
}

fn one_line(text: &str) -> String {
    text.replace('\n', "\\n")
}
