//! The walk through hosts, addresses and tries, until one of them leads somewhere.

use std::fmt;

use super::attempt::{Attempt, AttemptOutcome};
use super::options::{ConnectOptions, GssEncMode, InvalidOptions};
use super::plan::{self, Lost, Try};
use super::target_session::{self, TargetSession};
use super::words;
use crate::channel::{Channel, FirstAnswer, Offer};
use crate::deadline::Deadline;
use crate::message::{AuthenticationRequest, SqlState};
use crate::open_error::OpenProblem;
use crate::route::{DialError, Route};
use crate::session::{self, Credentials, LoginError, Manners, Session};
use crate::socket::Peer;
use crate::tls::{HandshakeFailure, TlsFacts};
use crate::wire_error::WireError;

/// A session, and how it came about.
#[derive(Debug)]
pub struct Connected {
    /// The session.
    pub session: Session,
    /// All attempts, the last of which succeeded.
    pub attempts: Vec<Attempt>,
}

/// How far one comes without a password, and how.
#[derive(Debug, Clone)]
pub struct Reached {
    /// What the server asked for.
    pub asked: AuthenticationRequest,
    /// What the handshake showed; None in plaintext.
    pub tls: Option<Box<TlsFacts>>,
    /// All attempts, the last of which succeeded.
    pub attempts: Vec<Attempt>,
}

/// No connection.
#[derive(Debug, Clone)]
pub enum ConnectError {
    /// The parameters contradict each other: nothing was tried.
    Invalid(InvalidOptions),
    /// Every attempt failed.
    Failed(Vec<Attempt>),
}

impl ConnectError {
    /// What was tried; empty when the parameters were refused.
    pub fn attempts(&self) -> &[Attempt] {
        match self {
            Self::Invalid(_) => &[],
            Self::Failed(attempts) => attempts,
        }
    }
}

/// What psql would print after `psql: error: `: all attempts, a line each.
impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(error) => write!(f, "{error}"),
            Self::Failed(attempts) => {
                let texts: Vec<_> =
                    attempts.iter().filter_map(|attempt| attempt.libpq_text.as_deref()).collect();
                f.write_str(&texts.join("\n"))
            }
        }
    }
}

impl std::error::Error for ConnectError {}

/// Connects and logs in as libpq would, passwords in clear and falls to plaintext included: that
/// is what the mode means. Give credentials with a password only where that is wanted.
pub async fn connect(options: &ConnectOptions, who: &Credentials) -> Result<Connected, ConnectError> {
    let mut walk = Walk::new(options, Goal::Login(who))?;
    match walk.hosts().await {
        Some(Won::Session(session)) => Ok(Connected { session: *session, attempts: walk.attempts }),
        _ => Err(ConnectError::Failed(walk.attempts)),
    }
}

/// Walks the same way without credentials: reaching the authentication request counts as
/// connected, and nothing is answered to it. A request that this client would not put up with (`channel_binding`,
/// `require_auth`, `sslcertmode`) counts as refused. The password of `who` is not looked at, and
/// `target_session_attrs` cannot be.
pub async fn reach(options: &ConnectOptions, who: &Credentials) -> Result<Reached, ConnectError> {
    let mut walk = Walk::new(options, Goal::Reach(who))?;
    match walk.hosts().await {
        Some(Won::Asked(asked, tls)) => Ok(Reached { asked, tls, attempts: walk.attempts }),
        _ => Err(ConnectError::Failed(walk.attempts)),
    }
}

enum Goal<'a> {
    Login(&'a Credentials),
    Reach(&'a Credentials),
}

enum Won {
    Session(Box<Session>),
    Asked(AuthenticationRequest, Option<Box<TlsFacts>>),
}

/// Where a failure leads, beyond another try at the same address.
enum Onward {
    Again(Try),
    NextAddress,
    NextHost,
    Stop,
}

struct Walk<'a> {
    options: &'a ConnectOptions,
    goal: Goal<'a>,
    attempts: Vec<Attempt>,
    /// What the server has to be, in this round.
    wanted: TargetSession,
}

impl<'a> Walk<'a> {
    fn new(options: &'a ConnectOptions, goal: Goal<'a>) -> Result<Self, ConnectError> {
        options.validate().map_err(ConnectError::Invalid)?;
        Ok(Self { options, goal, attempts: Vec::new(), wanted: options.target_session })
    }

    async fn hosts(&mut self) -> Option<Won> {
        let wanted = self.options.target_session;
        for second in [false, true] {
            if second && !wanted.has_second_round() {
                break;
            }
            self.wanted = wanted.in_round(second);
            for route in &self.options.routes {
                match self.addresses(route).await {
                    Ok(won) => return Some(won),
                    Err(Onward::Stop) => return None,
                    Err(_) => {}
                }
            }
        }
        None
    }

    /// All addresses of one host, within its deadline.
    async fn addresses(&mut self, route: &Route) -> Result<Won, Onward> {
        let deadline = Deadline::after(route.deadline);
        let peers = match route.peers(deadline).await {
            Ok(peers) => peers,
            Err(error) => {
                self.no_socket(route, None, error);
                return Err(Onward::NextHost);
            }
        };
        let count = peers.len();
        for (nth, peer) in peers.into_iter().enumerate() {
            match self.tries(route, &peer, deadline.share(count - nth)).await {
                Err(Onward::NextAddress) => {}
                decided => return decided,
            }
        }
        Err(Onward::NextHost)
    }

    /// All tries at one address.
    async fn tries(&mut self, route: &Route, peer: &Peer, deadline: Deadline) -> Result<Won, Onward> {
        let unix = matches!(peer, Peer::Unix(_));
        let mut trying = plan::first(self.options.sslmode, unix);
        loop {
            match self.once(route, peer, deadline, trying, unix).await {
                Err(Onward::Again(next)) => trying = next,
                decided => return decided,
            }
        }
    }

    /// One try on one socket.
    async fn once(
        &mut self,
        route: &Route,
        peer: &Peer,
        deadline: Deadline,
        trying: Try,
        unix: bool,
    ) -> Result<Won, Onward> {
        let socket = match crate::route::dial_one(peer, deadline).await {
            Ok(socket) => socket,
            Err(error) => {
                let refused = DialError::Refused(vec![(peer.clone(), error)]);
                self.no_socket(route, Some(peer), refused);
                return Err(Onward::NextAddress);
            }
        };
        let offer = Offer { socket, peer: peer.clone(), deadline };
        let asked_for_tls = trying != Try::Plain;
        let channel = match self.dress(offer, route, trying).await {
            Ok(channel) => channel,
            Err(problem) => {
                let lost = match &problem {
                    OpenProblem::Handshake { failure, .. } if !late(failure) => Lost::Handshake,
                    _ => Lost::Otherwise,
                };
                let onward = match plan::next(self.options.sslmode, unix, trying, lost, self.options.libpq) {
                    Some(next) => Onward::Again(next),
                    None if problem_is_late(&problem) => Onward::NextAddress,
                    None => Onward::Stop,
                };
                let text = words::open(self.options, route, peer, &problem);
                self.record(peer, asked_for_tls, None, AttemptOutcome::NotOpened(problem), Some(text));
                return Err(onward);
            }
        };
        let tls = channel.tls().cloned().map(Box::new);
        match self.finish(channel).await {
            Ok(won) => self.look_at(won, route, peer, asked_for_tls, tls).await,
            Err(error) => {
                let onward = self.after_login(&error, tls.is_some(), trying, unix);
                let text = words::login(self.options, route, peer, &error);
                self.record(peer, asked_for_tls, tls, AttemptOutcome::NotLetIn(error), Some(text));
                Err(onward)
            }
        }
    }

    /// A session is kept where the server is what was asked for; otherwise the next host is tried.
    async fn look_at(
        &mut self,
        won: Won,
        route: &Route,
        peer: &Peer,
        asked_for_tls: bool,
        tls: Option<Box<TlsFacts>>,
    ) -> Result<Won, Onward> {
        let outcome = match &won {
            Won::Asked(asked, _) => AttemptOutcome::Asked(asked.clone()),
            Won::Session(session) => match target_session::suits(session, self.wanted).await {
                Ok(()) => AttemptOutcome::LoggedIn(session.method()),
                Err(why) => AttemptOutcome::NotTheRightServer(why),
            },
        };
        let AttemptOutcome::NotTheRightServer(why) = &outcome else {
            self.record(peer, asked_for_tls, tls, outcome, None);
            return Ok(won);
        };
        let text = words::unsuitable(self.options, route, peer, why);
        self.record(peer, asked_for_tls, tls, outcome, Some(text));
        if let Won::Session(session) = won {
            session.close().await;
        }
        Err(Onward::NextHost)
    }

    async fn dress(&self, offer: Offer, route: &Route, trying: Try) -> Result<Channel, OpenProblem> {
        if self.options.gssencmode == GssEncMode::Require {
            return Err(OpenProblem::NoGss);
        }
        if trying == Try::Plain {
            return Ok(Channel::plain(offer.socket, offer.peer, offer.deadline));
        }
        let wish = self.options.wish(route);
        match offer.tls(&wish, self.options.negotiation).await? {
            Ok(secure) => Ok(secure),
            Err(plain) if trying == Try::TlsUnlessDeclined => Ok(plain),
            Err(plain) => {
                plain.close().await;
                Err(OpenProblem::NoTls)
            }
        }
    }

    async fn finish(&self, channel: Channel) -> Result<Won, LoginError> {
        match self.goal {
            Goal::Login(who) => {
                let session =
                    session::login(channel, who, Manners::LikeLibpq, &self.options.demands()).await?;
                Ok(Won::Session(Box::new(session)))
            }
            Goal::Reach(who) => {
                let tls = channel.tls().cloned().map(Box::new);
                match channel.ask(&who.startup()).await? {
                    FirstAnswer::Asked(request) => {
                        match session::objection(&request, who, tls.as_deref(), &self.options.demands()) {
                            Some(objection) => Err(objection),
                            None => Ok(Won::Asked(request, tls)),
                        }
                    }
                    FirstAnswer::Refused(error) => {
                        Err(LoginError::Refused { error: Box::new(error), authenticated: false })
                    }
                }
            }
        }
    }

    /// Where a login that failed leads: libpq tries again on an error of the server, goes to the
    /// next host when this one is starting up or was silent, and stops otherwise.
    fn after_login(&self, error: &LoginError, in_tls: bool, trying: Try, unix: bool) -> Onward {
        let lost = match error {
            LoginError::Refused { authenticated: false, .. } => Lost::Refused { in_tls },
            _ => Lost::Otherwise,
        };
        let options = self.options;
        match plan::next(options.sslmode, unix, trying, lost, options.libpq) {
            Some(next) => Onward::Again(next),
            None if error.sqlstate() == Some(SqlState::CANNOT_CONNECT_NOW) => Onward::NextHost,
            None if matches!(error, LoginError::Wire(WireError::Late { .. })) => Onward::NextAddress,
            None => Onward::Stop,
        }
    }

    fn no_socket(&mut self, route: &Route, peer: Option<&Peer>, error: DialError) {
        let text = words::dial(self.options, route, &error);
        self.attempts.push(Attempt {
            peer: peer.cloned(),
            asked_for_tls: false,
            tls: None,
            outcome: AttemptOutcome::NoSocket(error),
            libpq_text: Some(text),
        });
    }

    fn record(
        &mut self,
        peer: &Peer,
        asked_for_tls: bool,
        tls: Option<Box<TlsFacts>>,
        outcome: AttemptOutcome,
        libpq_text: Option<String>,
    ) {
        self.attempts.push(Attempt { peer: Some(peer.clone()), asked_for_tls, tls, outcome, libpq_text });
    }
}

fn late(failure: &HandshakeFailure) -> bool {
    matches!(failure, HandshakeFailure::Wire(WireError::Late { .. }))
}

fn problem_is_late(problem: &OpenProblem) -> bool {
    match problem {
        OpenProblem::Handshake { failure, .. } => late(failure),
        OpenProblem::Wire(WireError::Late { .. }) => true,
        _ => false,
    }
}
