//! What can be wrong with a connection string, in libpq's own words. Knows that a secret may stand next to a mistake,
//! and leaves it out of every text.

/// A connection string that libpq would refuse; the texts are libpq's, passwords replaced by `****`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConninfoError {
    /// A name that no `=` follows.
    #[error("missing \"=\" after \"{0}\" in connection info string")]
    MissingEquals(String),
    /// A quote that nothing closes.
    #[error("unterminated quoted string in connection info string")]
    UnterminatedQuote,
    /// A parameter that this version of libpq does not know.
    #[error("invalid connection option \"{0}\"")]
    UnknownOption(String),
    /// `%` that two hexadecimal digits do not follow.
    #[error("invalid percent-encoded token: \"{0}\"")]
    BadPercent(String),
    /// `%00`, which no value may hold.
    #[error("forbidden value %00 in percent-encoded value: \"{0}\"")]
    PercentNul(String),
    /// A space inside a value of a URI, which libpq refuses from 18.
    #[error("unexpected spaces found in \"{0}\", use percent-encoded spaces (%20) instead")]
    UnexpectedSpaces(String),
    /// `[` without its `]`.
    #[error("end of string reached when looking for matching \"]\" in IPv6 host address in URI: \"{0}\"")]
    UnclosedBracket(String),
    /// `[]`.
    #[error("IPv6 host address may not be empty in URI: \"{0}\"")]
    EmptyBrackets(String),
    /// Something else than a port, a path, a query or the next host after `]`.
    #[error(
        "unexpected character \"{found}\" at position {position} in URI (expected \":\" or \"/\"): \"{uri}\""
    )]
    AfterBracket {
        /// The character found.
        found: char,
        /// Its place in bytes, counted from 1.
        position: usize,
        /// The URI, its password left out.
        uri: String,
    },
    /// A query parameter with two `=`.
    #[error("extra key/value separator \"=\" in URI query parameter: \"{0}\"")]
    ExtraSeparator(String),
    /// A query parameter without `=`.
    #[error("missing key/value separator \"=\" in URI query parameter: \"{0}\"")]
    MissingSeparator(String),
    /// A query parameter that this version of libpq does not know.
    #[error("invalid URI query parameter: \"{0}\"")]
    UnknownParameter(String),
    /// Lists of `host` and `hostaddr` of different lengths.
    #[error("could not match {hosts} host names to {addresses} hostaddr values")]
    HostsAndAddresses {
        /// Elements of `host`.
        hosts: usize,
        /// Elements of `hostaddr`.
        addresses: usize,
    },
    /// A list of ports that is neither one long nor as long as the hosts.
    #[error("could not match {ports} port numbers to {hosts} hosts")]
    PortsAndHosts {
        /// Elements of `port`.
        ports: usize,
        /// Hosts.
        hosts: usize,
    },
    /// A port that is no number.
    #[error("invalid integer value \"{0}\" for connection option \"port\"")]
    PortNotANumber(String),
    /// A port outside 1 to 65535.
    #[error("invalid port number: \"{0}\"")]
    PortOutOfRange(String),
    /// A `hostaddr` that is no numeric address.
    #[error("could not parse network address \"{0}\"")]
    NotAnAddress(String),
    /// A value that is not UTF-8 once decoded. libpq takes such bytes as they are; here every value is text.
    #[error("the value of connection option \"{0}\" is not UTF-8")]
    NotUtf8(String),
    /// A NUL byte, where a C string ends.
    #[error("the connection string holds a NUL byte")]
    Nul,
    /// A string longer than any that makes sense here.
    #[error("the connection string is {0} bytes long, more than the {max} that are read", max = super::parse::MAX_BYTES)]
    TooLong(usize),
}
