//! Whatever a server answers to whatever it is asked, a scan comes to its end within its connections, says of itself what was
//! left, and holds nothing for accepted that was not offered.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use pgseal_fuzz::tls::{message, record, server_hello};
use pgseal_wire::scan::hello::{Flight, Offer, Protocol};
use pgseal_wire::scan::{
    Answer, End, Estimate, Failed, Knowledge, MOST_CONNECTIONS, Outcome, Probe, Renegotiation, SslReply,
    StrayReply, Wish, learn, next_probes, unfinished,
};
use pgseal_wire::{AuthenticationRequest, ServerError};

// What is wished, then the answers. Where they are over, everything is refused.
fuzz_target!(|input: (u8, &[u8])| {
    let (wish, answers) = input;
    let mut server = Server(answers);
    let mut known = Knowledge::new(Wish { quick: wish & 1 != 0, intrusive: wish & 2 != 0 });
    let mut asked = 0;
    loop {
        let probes = next_probes(&known, &[], 8);
        if probes.is_empty() {
            break;
        }
        for probe in probes {
            asked += 1;
            assert!(asked <= MOST_CONNECTIONS, "a scan that does not end");
            let answer = server.answer(&probe);
            learn(&mut known, &probe, answer);
        }
    }
    assert_eq!(known.connections, asked);
    assert!(!known.wish.quick || asked <= 6, "{asked} connections of a quick scan");
    let _ = (unfinished(&known), Estimate::of(&known), known.newest(), known.all_groups());
    for (protocol, hunt) in &known.suites {
        let accepted = hunt.accepted();
        let offered = |code: &u16| hunt.trials().iter().any(|trial| trial.offered.contains(code));
        assert!(accepted.iter().all(offered), "{protocol}");
        assert!(!hunt.is_complete() || hunt.gave_up().is_none());
        assert!(!hunt.found_any() || known.version(*protocol).is_yes(), "{protocol}");
    }
});

struct Server<'b>(&'b [u8]);

impl Server<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte());
        let (these, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        these.to_vec()
    }

    fn answer(&mut self, probe: &Probe) -> Answer {
        if self.byte() == 255 {
            return Answer::NoSocket { text: "Connection refused".to_owned(), refused: true };
        }
        match probe {
            Probe::Hello { offer, .. } => self.hello(offer),
            Probe::GssEnc => Answer::GssEnc(self.reply(), None),
            Probe::Startup(_) => Answer::Startup(self.outcome()),
            Probe::Login { .. } => Answer::Login(self.reply(), Err(self.failed())),
            Probe::Direct { .. } => Answer::Direct(Err(self.failed())),
            Probe::Stuffed => Answer::Stuffed(self.reply(), Ok(self.outcome())),
            Probe::Renegotiation => {
                let said = String::from_utf8_lossy(&self.bytes()).into_owned();
                Answer::Renegotiation(self.reply(), Renegotiation::Unknown(said))
            }
            Probe::Stray => Answer::Stray(StrayReply::Said(self.bytes())),
        }
    }

    fn reply(&mut self) -> SslReply {
        match self.byte() {
            1 => SslReply::No,
            2 => SslReply::Late(Duration::from_secs(5)),
            3 => SslReply::Closed("the server hung up".to_owned()),
            4 => SslReply::Other(self.bytes()),
            5 => SslReply::Stuffed(self.bytes()),
            6 => SslReply::Error(Box::new(self.error())),
            _ => SslReply::Yes,
        }
    }

    fn hello(&mut self, offer: &Offer) -> Answer {
        let ssl = self.reply();
        let mut flight = Flight::default();
        let end = match self.byte() {
            0 => {
                flight.push(&record(21, &[2, 40]));
                End::Heard
            }
            1 => End::Closed,
            2 => End::Late(Duration::from_secs(5)),
            3 => {
                flight.push(&self.bytes());
                End::Closed
            }
            // Picks one of what was offered, of the version that was asked for or of another.
            kind => {
                let place = usize::from(self.byte()) % offer.suites.len().max(1);
                let suite = offer.suites.get(place).copied().unwrap_or(0x002f);
                let version = if kind == 4 { 0x0301 } else { offer.protocol.min(Protocol::Tls1_2).code() };
                let mut body = server_hello(version, suite);
                if offer.protocol == Protocol::Tls1_3 && kind > 5 {
                    let group = usize::from(self.byte()) % offer.groups.len().max(1);
                    let [high, low] = offer.groups.get(group).copied().unwrap_or(0x1d).to_be_bytes();
                    body.extend([0, 12, 0, 43, 0, 2, 3, 4, 0, 51, 0, 2, high, low]);
                }
                let further = self.bytes();
                flight.push(&record(22, &[message(2, &body), further, message(14, &[])].concat()));
                End::Heard
            }
        };
        Answer::Hello { ssl, heard: Box::new(flight.into_heard()), end }
    }

    fn outcome(&mut self) -> Outcome {
        match self.byte() {
            0 => Outcome::Refused(Box::new(self.error())),
            1 => Outcome::Odd { why: "it hung up".to_owned(), late: false },
            2 => Outcome::Odd { why: "it was late".to_owned(), late: true },
            _ => match AuthenticationRequest::decode(&self.bytes()) {
                Ok(request) => Outcome::Asked(request),
                Err(error) => Outcome::Odd { why: error.to_string(), late: false },
            },
        }
    }

    fn error(&mut self) -> ServerError {
        ServerError::decode(b'E', &self.bytes()).unwrap_or_default()
    }

    fn failed(&mut self) -> Failed {
        let kind = self.byte();
        Failed {
            why: "it came to nothing".to_owned(),
            alert: None,
            beyond_us: kind & 1 != 0,
            late: kind & 2 != 0,
            speaks_tls: kind & 4 != 0,
        }
    }
}
