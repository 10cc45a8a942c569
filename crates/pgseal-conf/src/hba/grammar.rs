//! A record made a rule: `parse_hba_line`, in its order, so that the first error of a line is the one PostgreSQL names.

use std::ops::Range;

use super::address::{AddressRange, Numeric, mask_length, numeric};
use super::diagnostic::Problem;
use super::method::{Method, NoMethod};
use super::option::{ClientCertificate, OptionName, OptionValue, RuleOption};
use super::requirements;
use super::rule::{AddressMatch, ConnectionType, DatabaseMatch, RoleMatch, Rule};
use super::server::Server;
use crate::auth::{Record, Word};
use crate::regex::Pattern;
use crate::{ByteString, PgVersion};

/// Why a record is no rule.
pub(super) struct Refusal {
    pub(super) problem: Problem,
    pub(super) message: String,
    pub(super) place: Range<usize>,
    /// Whether `pg_hba_file_rules` says so. A few errors leave its column empty, and the file is refused all the same.
    pub(super) shown_in_view: bool,
}

/// Something PostgreSQL logs and does not mind.
pub(super) struct Remark {
    pub(super) problem: Problem,
    pub(super) message: String,
    pub(super) place: Range<usize>,
    /// Whether `pg_hba_file_rules` shows it in its `error` column.
    pub(super) shown_in_view: bool,
}

type Step<T> = Result<T, Refusal>;

/// Reads one record that has fields and no error.
pub(super) fn rule(record: Record, server: &Server, remarks: &mut Vec<Remark>) -> Step<Rule> {
    let whole = record.places.first().map_or(0, |place| place.start)
        ..record.places.last().map_or(0, |place| place.end);
    let mut reader = Reader { server, fields: record.fields.into_iter().zip(record.places), whole };
    let connection = reader.connection(remarks)?;
    let databases = reader.databases(remarks)?;
    let roles = reader.roles(remarks)?;
    let address = if connection == ConnectionType::Local { None } else { Some(reader.address(remarks)?) };
    let method = reader.method(connection)?;
    let (options, client_certificate) = reader.options(connection, method, remarks)?;
    Ok(Rule {
        file: record.file,
        line: record.line,
        source: record.source,
        connection,
        databases,
        roles,
        address,
        method,
        options,
        client_certificate,
    })
}

struct Reader<'s, F> {
    server: &'s Server,
    fields: F,
    whole: Range<usize>,
}

struct Field {
    words: Vec<Word>,
    place: Range<usize>,
}

impl<F: Iterator<Item = (Vec<Word>, Range<usize>)>> Reader<'_, F> {
    fn field(&mut self, name: &str) -> Step<Field> {
        match self.fields.next() {
            Some((words, place)) => Ok(Field { words, place }),
            None => Err(refusal(Problem::MissingField, &self.whole, format!("end-of-line before {name}"))),
        }
    }

    /// A field that takes one word only. No field is empty.
    fn single(&mut self, name: &str, plural: &str) -> Step<(Word, Range<usize>)> {
        let Field { mut words, place } = self.field(name)?;
        match (words.pop(), words.is_empty()) {
            (Some(word), true) => Ok((word, place)),
            _ => Err(refusal(
                Problem::TooManyValues,
                &place,
                format!("multiple values specified for {plural}"),
            )),
        }
    }

    fn connection(&mut self, remarks: &mut Vec<Remark>) -> Step<ConnectionType> {
        let (word, place) = self.single("connection type", "connection type")?;
        let found =
            ConnectionType::ALL.into_iter().find(|kind| kind.name().as_bytes() == word.text.as_bytes());
        let Some(connection) = found else {
            let directive =
                ["include", "include_if_exists", "include_dir"].iter().any(|name| word.text == *name);
            let problem = if directive && self.server.version < PgVersion::V16 {
                Problem::IncludeBefore16
            } else {
                Problem::ConnectionType
            };
            return Err(refusal(problem, &place, format!("invalid connection type \"{}\"", word.text)));
        };
        let useless = match connection {
            ConnectionType::HostSsl if !self.server.build.ssl => {
                Some("hostssl record cannot match because SSL is not supported by this build")
            }
            ConnectionType::HostSsl if self.server.ssl == Some(false) => {
                Some("hostssl record cannot match because SSL is disabled")
            }
            ConnectionType::HostGssEnc if !self.server.build.gss => {
                Some("hostgssenc record cannot match because GSSAPI is not supported by this build")
            }
            _ => None,
        };
        remarks.extend(useless.map(|message| Remark {
            problem: Problem::CannotMatch,
            message: message.to_owned(),
            place,
            shown_in_view: true,
        }));
        Ok(connection)
    }

    fn databases(&mut self, remarks: &mut Vec<Remark>) -> Step<Vec<DatabaseMatch>> {
        let Field { words, place } = self.field("database specification")?;
        let meaning = |word: Word| {
            Ok(match (word.quoted, word.text.as_bytes()) {
                (false, b"all") => DatabaseMatch::All,
                (false, b"sameuser") => DatabaseMatch::SameUser,
                (false, b"samerole") => DatabaseMatch::SameRole { obsolete: false },
                (false, b"samegroup") => DatabaseMatch::SameRole { obsolete: true },
                (false, b"replication") => DatabaseMatch::Replication,
                _ => match self.pattern(&word, &place, remarks)? {
                    Some(pattern) => DatabaseMatch::Regex(pattern),
                    None => DatabaseMatch::Name(word.text),
                },
            })
        };
        words.into_iter().map(meaning).collect()
    }

    fn roles(&mut self, remarks: &mut Vec<Remark>) -> Step<Vec<RoleMatch>> {
        let Field { words, place } = self.field("role specification")?;
        let meaning = |word: Word| {
            Ok(match (word.quoted, word.text.as_bytes()) {
                (false, b"all") => RoleMatch::All,
                (false, [b'+', role @ ..]) => RoleMatch::MemberOf(role.into()),
                _ => match self.pattern(&word, &place, remarks)? {
                    Some(pattern) => RoleMatch::Regex(pattern),
                    None => RoleMatch::Name(word.text),
                },
            })
        };
        words.into_iter().map(meaning).collect()
    }

    /// `/expression` from 16, whether quoted or not: only the first character is looked at.
    fn pattern(&self, word: &Word, place: &Range<usize>, remarks: &mut Vec<Remark>) -> Step<Option<Pattern>> {
        let Some(expression) = word.text.as_bytes().strip_prefix(b"/") else { return Ok(None) };
        if self.server.version < PgVersion::V16 {
            return Ok(None);
        }
        let pattern = Pattern::new(expression);
        if let Some(error) = pattern.error() {
            let message = format!("invalid regular expression \"{pattern}\": {error}");
            return Err(refusal(Problem::OptionValue, place, message));
        }
        if !pattern.is_understood() {
            remarks.push(Remark {
                problem: Problem::NotJudged,
                message: format!("the regular expression \"{pattern}\" is beyond what is understood here"),
                place: place.clone(),
                shown_in_view: false,
            });
        }
        Ok(Some(pattern))
    }

    fn address(&mut self, remarks: &mut Vec<Remark>) -> Step<AddressMatch> {
        let (word, place) = self.single("IP address specification", "host address")?;
        match (word.quoted, word.text.as_bytes()) {
            (false, b"all") => return Ok(AddressMatch::All),
            (false, b"samehost") => return Ok(AddressMatch::SameHost),
            (false, b"samenet") => return Ok(AddressMatch::SameNet),
            _ => {}
        }
        let bytes = word.text.as_bytes();
        let slash = bytes.iter().position(|byte| *byte == b'/');
        let (before, length) = match slash {
            Some(at) => (bytes.get(..at).unwrap_or_default(), bytes.get(at + 1..)),
            None => (bytes, None),
        };
        match (numeric(before), length) {
            (Numeric::Address(address), Some(length)) => {
                let range = mask_length(length, address)
                    .and_then(|length| AddressRange::with_length(address, length));
                range.map(AddressMatch::Range).ok_or_else(|| {
                    refusal(Problem::Mask, &place, format!("invalid CIDR mask in address \"{}\"", word.text))
                })
            }
            (Numeric::Address(address), None) => {
                let (mask, place) = self.single("netmask specification", "netmask")?;
                let Numeric::Address(mask) = numeric(mask.text.as_bytes()) else {
                    let message = format!("invalid IP mask \"{}\": Name or service not known", mask.text);
                    return Err(refusal(Problem::Mask, &place, message));
                };
                let mismatch =
                    || refusal(Problem::Mask, &place, "IP address and mask do not match".to_owned());
                AddressRange::new(address, mask).map(AddressMatch::Range).ok_or_else(mismatch)
            }
            (Numeric::NoAddress, Some(_)) => {
                let message =
                    format!("specifying both host name and CIDR mask is invalid: \"{}\"", word.text);
                Err(refusal(Problem::Address, &place, message))
            }
            (Numeric::NoAddress, None) => Ok(AddressMatch::HostName(word.text)),
            // Only with the interface at hand is it known whether this is an address; if not, what follows is read
            // differently too. The form that loads is assumed.
            (Numeric::NamedZone, length) => {
                if length.is_none() {
                    self.single("netmask specification", "netmask")?;
                }
                remarks.push(Remark {
                    problem: Problem::NotJudged,
                    message: format!(
                        "whether \"{}\" is an address depends on the server's interfaces",
                        word.text
                    ),
                    place,
                    shown_in_view: false,
                });
                Ok(AddressMatch::Scoped(word.text))
            }
        }
    }

    fn method(&mut self, connection: ConnectionType) -> Step<Method> {
        let (word, place) = self.single("authentication method", "authentication type")?;
        let method = Method::find(word.text.as_bytes(), self.server).map_err(|why| match why {
            NoMethod::Unknown => {
                refusal(Problem::Method, &place, format!("invalid authentication method \"{}\"", word.text))
            }
            NoMethod::NotBuilt => refusal(
                Problem::MethodNotBuilt,
                &place,
                format!("invalid authentication method \"{}\": not supported by this build", word.text),
            ),
        })?;
        let local = connection == ConnectionType::Local;
        let method = if local && method == Method::Ident { Method::Peer } else { method };
        let wrong = match method {
            Method::Gss if local => Some("gssapi authentication is not supported on local sockets"),
            Method::Peer if !local => Some("peer authentication is only supported on local sockets"),
            Method::Cert if connection != ConnectionType::HostSsl => {
                Some("cert authentication is only supported on hostssl connections")
            }
            _ => None,
        };
        match wrong {
            Some(message) => Err(refusal(Problem::MethodForConnection, &place, message.to_owned())),
            None => Ok(method),
        }
    }

    fn options(
        &mut self,
        connection: ConnectionType,
        method: Method,
        remarks: &mut Vec<Remark>,
    ) -> Step<(Vec<RuleOption>, ClientCertificate)> {
        let mut checked = requirements::Checked::new(self.server, connection, method);
        let mut options: Vec<RuleOption> = Vec::new();
        while let Some((words, place)) = self.fields.next() {
            for word in words {
                let option =
                    self.option(&word, &place, options.iter().any(|option| option.name.is_secret()))?;
                checked.option(&option, &place, remarks)?;
                options.push(option);
            }
        }
        let certificate = checked.finish(&options, &self.whole, remarks)?;
        Ok((options, certificate))
    }

    fn option(&self, word: &Word, place: &Range<usize>, after_secret: bool) -> Step<RuleOption> {
        let bytes = word.text.as_bytes();
        // What follows a secret may be the rest of it, cut off by a blank nobody quoted.
        let shown = |text: &ByteString| if after_secret { "****".to_owned() } else { text.to_string() };
        let Some(equals) = bytes.iter().position(|byte| *byte == b'=') else {
            let message = format!("authentication option not in name=value format: {}", shown(&word.text));
            return Err(refusal(Problem::OptionForm, place, message));
        };
        let (name, value) = bytes.split_at(equals);
        let Some(found) = OptionName::find(name, self.server.version) else {
            let message = format!("unrecognized authentication option name: \"{}\"", shown(&name.into()));
            return Err(refusal(Problem::UnknownOption, place, message));
        };
        Ok(RuleOption { name: found, value: OptionValue::new(found, value.get(1..).unwrap_or_default()) })
    }
}

/// A refusal that the view shows, as most are.
pub(super) fn refusal(problem: Problem, place: &Range<usize>, message: String) -> Refusal {
    Refusal { problem, message, place: place.clone(), shown_in_view: true }
}
