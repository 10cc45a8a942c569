//! `log_line_prefix`: what stands before each line of a server's log in plain text. Pure.
//! Escapes as in elog.c, `log_status_format`.

/// What a prefix told of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) pid: Option<i64>,
    /// As it stands there, with the zone: `2026-11-24 12:00:00.123 UTC`.
    pub(super) time: Option<String>,
    /// `%r` or `%h`, without the port.
    pub(super) host: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Pid,
    Time,
    Host,
    HostAndPort,
    Other,
}

/// A prefix, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Prefix {
    parts: Vec<Part>,
}

impl Prefix {
    pub(super) fn parse(setting: &str) -> Self {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = setting.chars().peekable();
        while let Some(c) = rest.next() {
            if c != '%' {
                literal.push(c);
                continue;
            }
            // Padding: a number, maybe negative.
            while rest.peek().is_some_and(|c| *c == '-' || c.is_ascii_digit()) {
                rest.next();
            }
            let part = match rest.next() {
                Some('%') => {
                    literal.push('%');
                    continue;
                }
                // Processes without a session stop here; those of sessions go on.
                Some('q') => continue,
                Some('p') => Part::Pid,
                Some('m' | 't') => Part::Time,
                Some('h') => Part::Host,
                Some('r') => Part::HostAndPort,
                Some(_) => Part::Other,
                None => break,
            };
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(part);
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Self { parts }
    }

    /// Whether lines of one connection can be told from those of another.
    pub(super) fn has_pid(&self) -> bool {
        self.parts.contains(&Part::Pid)
    }

    /// Whether each line says where its connection comes from.
    pub(super) fn has_host(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Host | Part::HostAndPort))
    }

    /// What a line's prefix tells: each value reaches to where the next literal begins.
    pub(super) fn read(&self, line: &str) -> Told {
        let mut told = Told::default();
        let mut rest = line;
        for (at, part) in self.parts.iter().enumerate() {
            if let Part::Literal(literal) = part {
                let Some(after) = rest.strip_prefix(literal.as_str()) else { return told };
                rest = after;
                continue;
            }
            let end = self.end_of(part, at, rest);
            let (value, after) = rest.split_at(end);
            rest = after;
            match part {
                Part::Pid => told.pid = value.trim().parse().ok(),
                Part::Time => told.time = Some(value.trim().to_owned()),
                Part::Host => told.host = Some(value.trim().to_owned()),
                Part::HostAndPort => {
                    let value = value.trim();
                    told.host = Some(value.rsplit_once('(').map_or(value, |(host, _)| host).to_owned());
                }
                Part::Literal(_) | Part::Other => {}
            }
        }
        told
    }

    fn end_of(&self, part: &Part, at: usize, rest: &str) -> usize {
        if *part == Part::Pid {
            let padded = rest.len() - rest.trim_start().len();
            let digits = rest.trim_start().bytes().take_while(u8::is_ascii_digit).count();
            return padded + digits;
        }
        if *part == Part::Time {
            return end_of_time(rest);
        }
        // An IPv6 address may hold what comes next; the port in its parentheses does not.
        if *part == Part::HostAndPort
            && let (Some(open), Some(close)) = (rest.find('('), rest.find(')'))
            && rest.get(..open).is_some_and(|host| !host.contains(char::is_whitespace))
            && open < close
        {
            return close + 1;
        }
        match self.parts.get(at + 1) {
            Some(Part::Literal(literal)) => rest.find(literal.as_str()).unwrap_or(rest.len()),
            // Nothing between two values: where one ends is not to be known.
            _ => rest.find(char::is_whitespace).unwrap_or(rest.len()),
        }
    }
}

/// `2026-11-24 12:00:00.123 UTC`: three words.
fn end_of_time(rest: &str) -> usize {
    let mut spaces = rest.match_indices(' ').map(|(at, _)| at);
    let third = spaces.nth(2).unwrap_or(rest.len());
    // A zone is letters, digits and signs; what follows it may be a bracket.
    let zone = rest.get(..third).and_then(|time| time.rfind(' ')).map_or(0, |at| at + 1);
    let tail = rest.get(zone..third).unwrap_or_default();
    let length =
        tail.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '+' | '-' | '/' | '_')).count();
    zone + tail.char_indices().nth(length).map_or(tail.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(setting: &str, line: &str) -> (Option<i64>, Option<String>, Option<String>) {
        let told = Prefix::parse(setting).read(line);
        (told.pid, told.time, told.host)
    }

    #[test]
    fn the_usual_prefixes_tell_process_time_and_host() {
        let time = Some("2026-11-24 12:00:00.123 UTC".to_owned());
        let rest = "LOG:  connection authorized: user=a database=b";
        for (setting, line, host) in [
            ("%m [%p] ", format!("2026-11-24 12:00:00.123 UTC [42] {rest}"), None),
            (
                "%m [%p] %q%u@%d ",
                format!("2026-11-24 12:00:00.123 UTC [42] [unknown]@[unknown] {rest}"),
                None,
            ),
            (
                "%m [%p] %q%u@%d %h ",
                format!("2026-11-24 12:00:00.123 UTC [42] a@b 10.0.0.1 {rest}"),
                Some("10.0.0.1"),
            ),
            (
                "%m:%r:%u@%d:[%p]: ",
                format!("2026-11-24 12:00:00.123 UTC:::1(50):a@b:[42]: {rest}"),
                Some("::1"),
            ),
            ("%m %10p ", format!("2026-11-24 12:00:00.123 UTC         42 {rest}"), None),
            ("%%%m <%p>", format!("%2026-11-24 12:00:00.123 UTC <42>{rest}"), None),
        ] {
            assert_eq!(told(setting, &line), (Some(42), time.clone(), host.map(str::to_owned)), "{setting}");
        }
    }

    #[test]
    fn a_line_that_does_not_begin_so_tells_nothing_and_none_makes_it_stumble() {
        assert_eq!(told("%m [%p] ", "a line that goes on"), (None, Some("a line that".to_owned()), None));
        for line in ["", " ", "é", "2026", "[", "2026-11-24 é [é"] {
            for setting in ["%m [%p] ", "%p", "%h%r%p%m", "%", "%-", "%q", "x%m"] {
                told(setting, line);
            }
        }
    }
}
