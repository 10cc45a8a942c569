//! Any program that takes a request on standard input and prints a chain: Vault, step-ca, a cloud's CA, ADCS behind a
//! script of a few lines. It never sees the key, and is not waited for longer than was said.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use pgseal_pki::request::SigningRequest;
use pgseal_pki::{Certificate, IssuedCertificate, KeyPem, read_bundle};
use rustix::process::{Pid, Signal, kill_process_group};
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command as Process};

use super::{Answer, Answering, Issuer, Order, Signed};
use crate::certs::chain::ordered;
use crate::failure::{Failure, Result};
use crate::privilege::trusted;
use crate::report::stderr::say;
use crate::server::said::last_lines;

/// A chain is a few certificates.
const MOST_PRINTED: u64 = 1 << 20;
/// The end of what it complains is shown.
const MOST_SAID: u64 = 64 << 10;
const LINES: usize = 6;
/// Before the second try; twice as long before each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// How long it is asked for, in seconds.
const VALIDITY: &str = "PGSEAL_VALIDITY_SECONDS";

pub(crate) struct Command {
    pub(crate) program: PathBuf,
    /// For one try.
    pub(crate) timeout: Duration,
    /// At least one.
    pub(crate) tries: u32,
}

/// Why a try came to nothing.
struct Missed {
    failure: Failure,
    /// Whether the next one may fare better.
    again: bool,
}

impl Issuer for Command {
    fn issue<'i>(&'i self, order: &'i Order, _now: OffsetDateTime) -> Answering<'i> {
        Box::pin(async move { self.ask(order).await.map(|signed| Answer::Issued(Box::new(signed))) })
    }
}

impl Command {
    async fn ask(&self, order: &Order) -> Result<Signed> {
        let unfit = |failure: Failure| failure.because("nothing was changed");
        let program = trusted::program(&self.program).map_err(unfit)?;
        let not_made =
            |error: &dyn std::fmt::Display| Failure::new(format!("could not make the request: {error}"));
        let key = KeyPem::generate(order.key_type).map_err(|error| not_made(&error))?;
        let request = SigningRequest {
            subject: order.subject.clone(),
            sans: order.sans.clone(),
            purpose: order.purpose,
        };
        let pem = request.pem(&key).map_err(|error| not_made(&error))?;
        let mut pause = FIRST_PAUSE;
        let mut tried = 1;
        loop {
            match self.try_once(&program, &pem, order).await {
                Ok(printed) => return self.signed(&printed, key),
                Err(missed) if missed.again && tried < self.tries => {
                    say(&format!(
                        "pgseal: {}; once more in {} ms",
                        missed.failure.sentence(),
                        pause.as_millis()
                    ));
                    tokio::time::sleep(pause).await;
                    (tried, pause) = (tried + 1, pause * 2);
                }
                Err(missed) if tried > 1 => {
                    return Err(missed.failure.because(format!("tried {tried} times; nothing was changed")));
                }
                Err(missed) => return Err(missed.failure.because("nothing was changed")),
            }
        }
    }

    async fn try_once(&self, program: &std::path::Path, pem: &str, order: &Order) -> Result<Vec<u8>, Missed> {
        let named = self.program.display();
        let missed = |failure: Failure, again: bool| Missed { failure, again };
        let mut process = Process::new(program);
        process.env(VALIDITY, order.life.whole_seconds().max(0).to_string());
        // It has its own ways to log in; the database's are none of its business.
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_libpq(&name.to_string_lossy())) {
            process.env_remove(name);
        }
        process.current_dir("/").process_group(0).kill_on_drop(true);
        process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = process
            .spawn()
            .map_err(|error| missed(Failure::new(format!("could not start {named}: {error}")), false))?;
        let group = child.id();
        let ran = tokio::time::timeout(self.timeout, run(&mut child, pem.as_bytes())).await;
        if !matches!(ran, Ok(Ok(_))) {
            end(group, &mut child).await;
        }
        match ran {
            Err(_) => Err(missed(
                Failure::new(format!(
                    "{named} did not end within {} s, and was stopped",
                    self.timeout.as_secs()
                ))
                .hint(
                    "run it by hand with the request on its standard input; --issuer-timeout gives it longer",
                ),
                true,
            )),
            Ok(Err(error)) => Err(missed(Failure::new(format!("could not run {named}: {error}")), true)),
            Ok(Ok(ran)) if !ran.status.success() => Err(missed(
                Failure::new(format!("{named} failed: {}", ran.status))
                    .because_all(
                        last_lines(&ran.said, LINES).into_iter().map(|line| format!("it says: {line}")),
                    )
                    .hint("run it by hand with the request on its standard input"),
                true,
            )),
            Ok(Ok(ran)) if ran.too_much => {
                Err(missed(Failure::new(format!("{named} printed more than {MOST_PRINTED} bytes")), false))
            }
            Ok(Ok(ran)) => Ok(ran.printed),
        }
    }

    /// What it printed, held against what was asked.
    fn signed(&self, printed: &[u8], key: KeyPem) -> Result<Signed> {
        let named = self.program.display();
        let no_chain = |why: String| {
            Failure::new(format!("{named} printed no certificate chain: {why}"))
                .because("it has to print PEM: the certificate, its intermediates, perhaps the root")
                .because("nothing was changed")
        };
        let bundle = read_bundle(printed).map_err(|error| no_chain(error.to_string()))?;
        if bundle.private_key.is_some() {
            return Err(Failure::new(format!("{named} printed a private key"))
                .because("a key that somebody else has is none; nothing was changed")
                .hint("have it sign the request that it gets on standard input"));
        }
        let ordered = ordered(&bundle.certificates, |one| key.belongs_to(one))
            .ok_or_else(|| no_chain("it holds no certificate".to_owned()))?;
        if !key.belongs_to(&ordered.leaf) {
            return Err(Failure::new(format!(
                "{named} printed a certificate for another key than the request's"
            ))
            .because(format!("it is for {}", ordered.leaf.subject()))
            .because("nothing was changed")
            .hint("have it sign the request that it gets on standard input"));
        }
        Ok(Signed {
            issued: IssuedCertificate {
                certificate_pem: ordered.leaf.pem(),
                chain_pem: ordered.intermediates.iter().map(Certificate::pem).collect(),
                certificate: ordered.leaf,
                key,
            },
            chain: ordered.intermediates,
            root: ordered.root,
            cut_short: None,
        })
    }
}

/// What a program did.
struct Ran {
    status: std::process::ExitStatus,
    printed: Vec<u8>,
    said: Vec<u8>,
    too_much: bool,
}

async fn run(child: &mut Child, input: &[u8]) -> std::io::Result<Ran> {
    let closed = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
    let mut stdin = child.stdin.take().ok_or_else(closed)?;
    let stdout = child.stdout.take().ok_or_else(closed)?;
    let stderr = child.stderr.take().ok_or_else(closed)?;
    let feed = async {
        // Who does not read it all may still answer.
        let _ = stdin.write_all(input).await;
        drop(stdin);
    };
    let ((), printed, said) = tokio::join!(feed, bounded(stdout, MOST_PRINTED), bounded(stderr, MOST_SAID));
    let (printed, said) = (printed?, said?);
    let too_much = u64::try_from(printed.len()).is_ok_and(|length| length > MOST_PRINTED);
    Ok(Ran { status: child.wait().await?, printed, said, too_much })
}

/// At most one byte more than that; the rest is read and let go, so that nobody waits on a full pipe.
async fn bounded(mut pipe: impl AsyncRead + Unpin, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    (&mut pipe).take(most + 1).read_to_end(&mut bytes).await?;
    tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
    Ok(bytes)
}

/// With whatever it has started.
async fn end(group: Option<u32>, child: &mut Child) {
    if let Some(group) = group.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait().await;
}

fn is_of_libpq(name: &str) -> bool {
    name.starts_with("PG") && !name.starts_with("PGSEAL_")
}
