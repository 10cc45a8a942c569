//! What is wrong or odd in a file, where, and how to mend it. Errors and warnings are PostgreSQL's own, in its words;
//! notes are ours. Refuses to show a secret.

use std::fmt;
use std::ops::Range;

/// How much a diagnostic weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// PostgreSQL loads the file and says nothing, yet it hardly means what it seems to say.
    Note,
    /// PostgreSQL loads the file and logs this, or what it will do cannot be known from the file alone.
    Warning,
    /// PostgreSQL refuses the whole file.
    Error,
}

impl Severity {
    /// `note`, `warning` or `error`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What a diagnostic is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Problem {
    // The whole file.
    Unreadable,
    TooLarge,
    NoEntries,
    // A line PostgreSQL cannot take in.
    LineTooLong,
    MentionedFile,
    // The connection type.
    ConnectionType,
    IncludeBefore16,
    // A field missing, or with too many values.
    MissingField,
    TooManyValues,
    // The address.
    Address,
    Mask,
    // The method.
    Method,
    MethodNotBuilt,
    MethodForConnection,
    // The options.
    OptionForm,
    UnknownOption,
    OptionForMethod,
    OptionForConnection,
    OptionValue,
    MissingOption,
    OptionsConflict,
    // PostgreSQL's warnings.
    CannotMatch,
    SkippedFile,
    // What the file alone does not tell.
    NotJudged,
    // Ours.
    ByteOrderMark,
    NulByte,
    UnterminatedQuote,
    TrailingBackslash,
    AddressAsHostName,
    HostBits,
    MappedAddress,
    MaskWithHoles,
    NameTooLong,
}

impl Problem {
    /// A stable name: `connection-type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too-large",
            Self::NoEntries => "no-entries",
            Self::LineTooLong => "line-too-long",
            Self::MentionedFile => "mentioned-file",
            Self::ConnectionType => "connection-type",
            Self::IncludeBefore16 => "include-before-16",
            Self::MissingField => "missing-field",
            Self::TooManyValues => "too-many-values",
            Self::Address => "address",
            Self::Mask => "mask",
            Self::Method => "method",
            Self::MethodNotBuilt => "method-not-built",
            Self::MethodForConnection => "method-for-connection",
            Self::OptionForm => "option-form",
            Self::UnknownOption => "unknown-option",
            Self::OptionForMethod => "option-for-method",
            Self::OptionForConnection => "option-for-connection",
            Self::OptionValue => "option-value",
            Self::MissingOption => "missing-option",
            Self::OptionsConflict => "options-conflict",
            Self::CannotMatch => "cannot-match",
            Self::SkippedFile => "skipped-file",
            Self::NotJudged => "not-judged",
            Self::ByteOrderMark => "byte-order-mark",
            Self::NulByte => "nul-byte",
            Self::UnterminatedQuote => "unterminated-quote",
            Self::TrailingBackslash => "trailing-backslash",
            Self::AddressAsHostName => "address-as-host-name",
            Self::HostBits => "host-bits",
            Self::MappedAddress => "mapped-address",
            Self::MaskWithHoles => "mask-with-holes",
            Self::NameTooLong => "name-too-long",
        }
    }

    /// How to mend it, as one lower-case sentence; empty where the message says it all.
    pub const fn mend(self) -> &'static str {
        match self {
            Self::Unreadable | Self::TooLarge => "check hba_file, and that the server's user may read it",
            Self::NoEntries => "add a line: an empty file lets nobody in, so PostgreSQL refuses it",
            Self::LineTooLong => "split the line, or put its names into a file and write @file",
            Self::MentionedFile => "create the file, or take the mention out",
            Self::ConnectionType => {
                "start the line with local, host, hostssl, hostnossl, hostgssenc or hostnogssenc"
            }
            Self::IncludeBefore16 => "include works from PostgreSQL 16: put the lines themselves here",
            Self::MissingField => "a line is: type database user [address] method [options]",
            Self::TooManyValues => "write one line for each value",
            Self::Address => "write an address range as 10.0.0.0/8 or 2001:db8::/32",
            Self::Mask => {
                "write a length from 0 to 32 (IPv4) or 128 (IPv6), or a mask of the address's own kind"
            }
            Self::Method => "use a method of this version, such as scram-sha-256",
            Self::MethodNotBuilt => "use another method: this server was built without it",
            Self::MethodForConnection => "use another method, or another connection type",
            Self::OptionForm => {
                "write name=value; quote it all when the value holds a blank: \"name=some value\""
            }
            Self::UnknownOption | Self::OptionForMethod => "take the option out, or check the method",
            Self::OptionForConnection => "write hostssl instead of host",
            Self::OptionValue => "give one of the values this version knows",
            Self::MissingOption => "add the option",
            Self::OptionsConflict => "keep one kind of options",
            Self::CannotMatch => "turn ssl on, or take the line out",
            Self::SkippedFile => "create the file if its lines are wanted",
            Self::NotJudged => "ask the server: pg_hba_file_rules shows what it makes of the line",
            Self::ByteOrderMark => "save the file as UTF-8 without a byte order mark",
            Self::NulByte => "take the NUL byte out: it hides the rest of its line",
            Self::UnterminatedQuote => "close the quote: it takes in the rest of the line",
            Self::TrailingBackslash => "lines continue from PostgreSQL 14 only: put it all on one line",
            Self::AddressAsHostName => {
                "mend the address: PostgreSQL takes it for a host name, which nothing bears"
            }
            Self::HostBits => {
                "write the first address of the range, so that people read what PostgreSQL does"
            }
            Self::MappedAddress => "write it as IPv4: PostgreSQL never sees a mapped address",
            Self::MaskWithHoles => "write ranges instead: few people read a mask with holes right",
            Self::NameTooLong => "a name has at most 63 bytes: nothing longer ever matches",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One thing that is wrong or odd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How much it weighs.
    pub severity: Severity,
    /// What it is about.
    pub problem: Problem,
    /// The file, by its place in [`Ruleset::files`](super::Ruleset::files).
    pub file: u32,
    /// The line there, as PostgreSQL counts; 0 when it is about the whole file.
    pub line: u32,
    /// The bytes it is about, in that file.
    pub place: Range<usize>,
    /// What is wrong; in PostgreSQL's words where it says so itself.
    pub message: String,
}
