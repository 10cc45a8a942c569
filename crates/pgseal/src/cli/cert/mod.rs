//! `pgseal cert`: certificates made, asked for, taken back, looked at.

mod authority;
mod client;
mod import;
mod issued;
mod list;
pub(super) mod options;
mod renew;
mod request;
mod revoke;
mod server;
mod show;
mod verify;

use clap::Subcommand;

use super::Outcome;
use crate::failure::Result;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show certificates: of a file, or as a server shows them
    Show(show::Options),
    /// A CA of one's own: made, shown, exported, renewed
    #[command(subcommand)]
    Ca(authority::Verb),
    /// Issue a server's certificate
    Server(server::Options),
    /// Issue a client's certificate, for the role that is its common name
    Client(client::Options),
    /// Make a key and a request for a CA elsewhere: the key stays
    Csr(request::Options),
    /// Take in what a CA elsewhere has signed: checked, put in order
    Import(import::Options),
    /// Issue a certificate once more, with newer dates
    Renew(renew::Options),
    /// Take a certificate back
    Revoke(revoke::Options),
    /// Sign the revocation list once more, with newer dates
    Crl(revoke::ListOptions),
    /// What clients would say of a certificate: chain, dates, names, revocation
    Verify(verify::Options),
    /// What was issued, days left, and where each lies
    List(list::Options),
}

pub(crate) async fn run(verb: Verb) -> Result<Outcome> {
    match verb {
        Verb::Show(options) => show::run(options).await,
        Verb::Ca(verb) => authority::run(verb),
        Verb::Server(options) => server::run(options).await,
        Verb::Client(options) => client::run(options).await,
        Verb::Csr(options) => request::run(options).await,
        Verb::Import(options) => import::run(&options),
        Verb::Renew(options) => renew::run(&options),
        Verb::Revoke(options) => revoke::revoke(&options),
        Verb::Crl(options) => revoke::renew(&options),
        Verb::Verify(options) => verify::run(&options),
        Verb::List(options) => list::run(&options),
    }
}
