//! libpq's own sentences for what went wrong, prefix and all.

use std::fmt::Write as _;

use super::options::ConnectOptions;
use super::target_session::Unsuitable;
use crate::message::ServerError;
use crate::open_error::OpenProblem;
use crate::route::{DialError, Route};
use crate::session::LoginError;
use crate::socket::Peer;
use crate::tls::{Alert, HandshakeFailure, TlsVersion};
use crate::wire_error::WireError;

const CLOSED: &str = "server closed the connection unexpectedly\n\
    \tThis probably means the server terminated abnormally\n\
    \tbefore or while processing the request.";

/// The text for a socket that could not be opened; one line an address.
pub(super) fn dial(options: &ConnectOptions, route: &Route, error: &DialError) -> String {
    let hint = if route.socket_path().is_some() {
        "\tIs the server running locally and accepting connections on that socket?"
    } else {
        "\tIs the server running on that host and accepting TCP/IP connections?"
    };
    match error {
        DialError::Refused(all) if !options.libpq.says_where() => {
            let each: Vec<_> = all.iter().map(|(peer, error)| dial_of_old(route, peer, error)).collect();
            each.join("\n")
        }
        DialError::Refused(all) => {
            let each: Vec<_> = all
                .iter()
                .map(|(peer, error)| {
                    let prefix = route.libpq_prefix(Some(peer));
                    match error {
                        WireError::Io { text, .. } => format!("{prefix}{text}\n{hint}"),
                        WireError::Late { .. } => format!("{prefix}timeout expired"),
                        other => format!("{prefix}{other}"),
                    }
                })
                .collect();
            each.join("\n")
        }
        other => other.to_string(),
    }
}

/// The words of libpq 13.
fn dial_of_old(route: &Route, peer: &Peer, error: &WireError) -> String {
    let text = match error {
        WireError::Io { text, .. } => text.clone(),
        WireError::Late { .. } => return "timeout expired".to_owned(),
        other => other.to_string(),
    };
    match peer {
        Peer::Unix(path) => format!(
            "could not connect to server: {text}\n\tIs the server running locally and accepting\n\tconnections on Unix \
             domain socket \"{}\"?",
            path.display()
        ),
        Peer::Tcp(address) => {
            let shown = route.hostaddr.map_or_else(|| route.host.clone(), |address| address.to_string());
            let ip = address.ip().to_string();
            let at = if ip == shown { format!("\"{shown}\"") } else { format!("\"{shown}\" ({ip})") };
            format!(
                "could not connect to server: {text}\n\tIs the server running on host {at} and accepting\n\tTCP/IP \
                 connections on port {}?",
                route.port
            )
        }
    }
}

/// Where it was met, which libpq says from 14 on.
fn place(options: &ConnectOptions, route: &Route, peer: &Peer) -> String {
    if options.libpq.says_where() { route.libpq_prefix(Some(peer)) } else { String::new() }
}

/// The text for a session on a server that is not what was asked for.
pub(super) fn unsuitable(options: &ConnectOptions, route: &Route, peer: &Peer, why: &Unsuitable) -> String {
    if options.libpq.says_where() {
        return format!("{}{why}", place(options, route, peer));
    }
    format!("could not make a writable connection to server \"{}:{}\"", route.host, route.port)
}

/// The text for a socket on which nothing could be spoken.
pub(super) fn open(options: &ConnectOptions, route: &Route, peer: &Peer, problem: &OpenProblem) -> String {
    let text = match problem {
        OpenProblem::Handshake { failure, .. } => handshake(options, failure),
        OpenProblem::Wire(error) => wire(error),
        other => other.to_string(),
    };
    format!("{}{text}", place(options, route, peer))
}

/// The text for a login that failed.
pub(super) fn login(options: &ConnectOptions, route: &Route, peer: &Peer, error: &LoginError) -> String {
    let text = match error {
        LoginError::Refused { error, .. } => server(error),
        LoginError::Wire(error) => wire(error),
        LoginError::Binding(problem) => problem.libpq_text(),
        other => other.to_string(),
    };
    format!("{}{text}", place(options, route, peer))
}

fn handshake(options: &ConnectOptions, failure: &HandshakeFailure) -> String {
    match failure {
        // Measured with one OpenSSL 3.0 under 17 and 18.
        HandshakeFailure::Wire(WireError::Closed { .. }) if options.libpq.knows_oauth() => {
            "SSL error: unexpected eof while reading".to_owned()
        }
        HandshakeFailure::Wire(WireError::Closed { .. }) => "SSL SYSCALL error: EOF detected".to_owned(),
        HandshakeFailure::Wire(error) => wire(error),
        HandshakeFailure::Alert(Alert::PROTOCOL_VERSION) => {
            let min = options.min.unwrap_or(TlsVersion::Tls1_2);
            let max = options.max.unwrap_or(TlsVersion::Tls1_3);
            format!(
                "SSL error: tlsv1 alert protocol version\nThis may indicate that the server does \
                 not support any SSL protocol version between {min} and {max}."
            )
        }
        other => other.libpq_text(options.libpq).unwrap_or_else(|| other.to_string()),
    }
}

fn wire(error: &WireError) -> String {
    match error {
        WireError::Closed { .. } => CLOSED.to_owned(),
        WireError::Late { .. } => "timeout expired".to_owned(),
        WireError::Alert { alert, .. } => match alert.openssl_text() {
            Some(text) => format!("SSL error: {text}"),
            None => error.to_string(),
        },
        other => other.to_string(),
    }
}

/// `pqBuildErrorMessage3` at its default verbosity.
fn server(error: &ServerError) -> String {
    let mut text = format!("{}:  {}", error.severity, error.message);
    for (name, value) in [("DETAIL", &error.detail), ("HINT", &error.hint)] {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n{name}:  {value}");
        }
    }
    text
}
