//! What options must hold, go together with, and may not be without: `parse_hba_auth_opt` and what follows it in
//! `parse_hba_line`. Refuses to ask a name server or an LDAP server.

use std::ops::Range;

use super::address::{Numeric, numeric};
use super::diagnostic::Problem;
use super::grammar::{Refusal, Remark, refusal};
use super::ldap::{Ldap, atoi};
use super::ldap_url::LdapUrl;
use super::method::Method;
use super::option::{ClientCertificate, OptionName, RuleOption};
use super::rule::ConnectionType;
use super::server::Server;
use crate::PgVersion;

/// The options of one rule, judged one after the other.
pub(super) struct Checked<'s> {
    server: &'s Server,
    connection: ConnectionType,
    method: Method,
    certificate: ClientCertificate,
}

type Step<T> = Result<T, Refusal>;

impl<'s> Checked<'s> {
    pub(super) fn new(server: &'s Server, connection: ConnectionType, method: Method) -> Self {
        Self { server, connection, method, certificate: ClientCertificate::NotAsked }
    }

    /// One option, in the order of the line.
    pub(super) fn option(
        &mut self,
        option: &RuleOption,
        place: &Range<usize>,
        remarks: &mut Vec<Remark>,
    ) -> Step<()> {
        self.fits_method(option.name, place)?;
        let value = option.value.expose();
        match option.name {
            OptionName::ClientCert => self.client_cert(value, place),
            OptionName::ClientName if !matches!(value, b"CN" | b"DN") => {
                Err(hidden(place, format!("invalid value for clientname: \"{}\"", text(value))))
            }
            OptionName::LdapUrl => match LdapUrl::parse(value) {
                Ok(_) => Ok(()),
                Err(message) => Err(refusal(Problem::OptionValue, place, message)),
            },
            OptionName::LdapScheme if !matches!(value, b"ldap" | b"ldaps") => {
                remarks.push(Remark {
                    problem: Problem::OptionValue,
                    message: format!("invalid ldapscheme value: \"{}\"", text(value)),
                    place: place.clone(),
                    shown_in_view: false,
                });
                Ok(())
            }
            OptionName::LdapPort if atoi(value) == 0 => Err(refusal(
                Problem::OptionValue,
                place,
                format!("invalid LDAP port number: \"{}\"", text(value)),
            )),
            OptionName::RadiusServers => radius_servers(value, place, remarks),
            OptionName::RadiusPorts => radius_ports(value, place),
            OptionName::RadiusSecrets if split_list(value).is_none() => {
                Err(hidden(place, "could not parse RADIUS secret list \"****\"".to_owned()))
            }
            OptionName::RadiusIdentifiers if split_list(value).is_none() => {
                Err(hidden(place, format!("could not parse RADIUS identifiers list \"{}\"", text(value))))
            }
            _ => Ok(()),
        }
    }

    fn fits_method(&self, name: OptionName, place: &Range<usize>) -> Step<()> {
        use Method::{Cert, Gss, Ident, Ldap, OAuth, Pam, Peer, Radius, Sspi};
        use OptionName as Name;
        let (methods, words): (&[Method], &str) = match name {
            Name::Map if self.server.version >= PgVersion::V18 => {
                (&[Ident, Peer, Gss, Sspi, Cert, OAuth], "ident, peer, gssapi, sspi, cert, and oauth")
            }
            Name::Map => (&[Ident, Peer, Gss, Sspi, Cert], "ident, peer, gssapi, sspi, and cert"),
            Name::ClientCert | Name::ClientName => {
                if self.connection == ConnectionType::HostSsl {
                    return Ok(());
                }
                let message = format!("{name} can only be configured for \"hostssl\" rows");
                return Err(refusal(Problem::OptionForConnection, place, message));
            }
            Name::PamService | Name::PamUseHostname => (&[Pam], "pam"),
            Name::LdapUrl
            | Name::LdapTls
            | Name::LdapScheme
            | Name::LdapServer
            | Name::LdapPort
            | Name::LdapBindDn
            | Name::LdapBindPasswd
            | Name::LdapSearchAttribute
            | Name::LdapSearchFilter
            | Name::LdapBaseDn
            | Name::LdapPrefix
            | Name::LdapSuffix => (&[Ldap], "ldap"),
            Name::KrbRealm | Name::IncludeRealm => (&[Gss, Sspi], "gssapi and sspi"),
            Name::CompatRealm | Name::UpnUsername => (&[Sspi], "sspi"),
            Name::RadiusServers | Name::RadiusSecrets | Name::RadiusPorts | Name::RadiusIdentifiers => {
                (&[Radius], "radius")
            }
            Name::Issuer | Name::Scope | Name::Validator | Name::DelegateIdentMapping => (&[OAuth], "oauth"),
        };
        if methods.contains(&self.method) {
            return Ok(());
        }
        let message =
            format!("authentication option \"{name}\" is only valid for authentication methods {words}");
        Err(refusal(Problem::OptionForMethod, place, message))
    }

    fn client_cert(&mut self, value: &[u8], place: &Range<usize>) -> Step<()> {
        let cert = self.method == Method::Cert;
        let before_14 = self.server.version < PgVersion::V14;
        self.certificate = match value {
            b"verify-full" => ClientCertificate::VerifyFull,
            b"verify-ca" if before_14 || !cert => ClientCertificate::VerifyCa,
            b"1" if before_14 => ClientCertificate::VerifyCa,
            b"verify-ca" => {
                let message =
                    "clientcert can only be set to \"verify-full\" when using \"cert\" authentication";
                return Err(refusal(Problem::OptionValue, place, message.to_owned()));
            }
            b"0" | b"no-verify" if before_14 && cert => {
                let cannot = if self.server.version == PgVersion::V12 { "can not" } else { "cannot" };
                let message =
                    format!("clientcert {cannot} be set to \"no-verify\" when using \"cert\" authentication");
                return Err(refusal(Problem::OptionValue, place, message));
            }
            b"0" | b"no-verify" if before_14 => ClientCertificate::NotAsked,
            _ => return Err(hidden(place, format!("invalid value for clientcert: \"{}\"", text(value)))),
        };
        Ok(())
    }

    /// What must hold once all options are read. Gives what is asked of the client's certificate.
    pub(super) fn finish(
        self,
        options: &[RuleOption],
        place: &Range<usize>,
        remarks: &mut Vec<Remark>,
    ) -> Step<ClientCertificate> {
        let value =
            |name| options.iter().rfind(|option| option.name == name).map(|option| option.value.expose());
        match self.method {
            Method::Ldap => Ldap::of(options).check(self.server.version, place)?,
            Method::Radius => radius(&value, place, self.server.version)?,
            Method::OAuth => self.oauth(&value, place, remarks)?,
            Method::Cert => return Ok(ClientCertificate::VerifyFull),
            _ => {}
        }
        Ok(self.certificate)
    }

    fn oauth<'v>(
        &self,
        value: &impl Fn(OptionName) -> Option<&'v [u8]>,
        place: &Range<usize>,
        remarks: &mut Vec<Remark>,
    ) -> Step<()> {
        for name in [OptionName::Scope, OptionName::Issuer] {
            mandatory(value(name), name, "oauth", place)?;
        }
        self.validator(value(OptionName::Validator), place, remarks)?;
        if value(OptionName::DelegateIdentMapping) == Some(b"1") && value(OptionName::Map).is_some() {
            let message = "map cannot be used in combination with delegate_ident_mapping".to_owned();
            return Err(refusal(Problem::OptionsConflict, place, message));
        }
        Ok(())
    }

    /// `check_oauth_validator`: the setting `oauth_validator_libraries` must name the validator, or be one alone.
    fn validator(&self, wanted: Option<&[u8]>, place: &Range<usize>, remarks: &mut Vec<Remark>) -> Step<()> {
        let Some(libraries) = &self.server.oauth_validators else {
            remarks.push(Remark {
                problem: Problem::NotJudged,
                message: "whether the validator is permitted depends on oauth_validator_libraries".to_owned(),
                place: place.clone(),
                shown_in_view: false,
            });
            return Ok(());
        };
        // It begins by setting the error to none (auth-oauth.c), so that the view no longer shows that the
        // record cannot match.
        for remark in remarks.iter_mut() {
            remark.shown_in_view = false;
        }
        let message = match (libraries.as_slice(), wanted) {
            ([], _) => "oauth_validator_libraries must be set for authentication method oauth".to_owned(),
            ([_], None) => return Ok(()),
            (_, None) => {
                "authentication method \"oauth\" requires argument \"validator\" to be set when oauth_validator_libraries contains multiple options".to_owned()
            }
            (libraries, Some(wanted)) if libraries.iter().any(|library| library.as_bytes() == wanted) => return Ok(()),
            (_, Some(wanted)) => {
                format!("validator \"{}\" is not permitted by oauth_validator_libraries", text(wanted))
            }
        };
        Err(refusal(Problem::MissingOption, place, message))
    }
}

fn radius<'v>(
    value: &impl Fn(OptionName) -> Option<&'v [u8]>,
    place: &Range<usize>,
    version: PgVersion,
) -> Step<()> {
    let count = |name| value(name).map(|list| split_list(list).map_or(0, |list| list.len()));
    for name in [OptionName::RadiusServers, OptionName::RadiusSecrets] {
        mandatory(value(name).filter(|_| count(name) != Some(0)), name, "radius", place)?;
    }
    let servers = count(OptionName::RadiusServers).unwrap_or(0);
    for (name, what, none_is_fine) in [
        (OptionName::RadiusSecrets, "secrets", false),
        (OptionName::RadiusPorts, "ports", true),
        (OptionName::RadiusIdentifiers, "identifiers", true),
    ] {
        let length = count(name).unwrap_or(0);
        let fits = length == 1 || length == servers || none_is_fine && length == 0;
        if !fits {
            let message = format!(
                "the number of RADIUS {what} ({length}) must be 1 or the same as the number of RADIUS servers ({servers})"
            );
            // 12 and 13 say so in their log alone.
            let shown_in_view = version >= PgVersion::V14;
            return Err(Refusal { shown_in_view, ..refusal(Problem::OptionsConflict, place, message) });
        }
    }
    Ok(())
}

fn radius_servers(value: &[u8], place: &Range<usize>, remarks: &mut Vec<Remark>) -> Step<()> {
    let Some(servers) = split_list(value) else {
        return Err(hidden(place, format!("could not parse RADIUS server list \"{}\"", text(value))));
    };
    for server in servers {
        if !matches!(numeric(&server), Numeric::Address(_)) {
            remarks.push(Remark {
                problem: Problem::NotJudged,
                message: format!(
                    "the RADIUS server \"{}\" must resolve when the file is read",
                    text(&server)
                ),
                place: place.clone(),
                shown_in_view: false,
            });
        }
    }
    Ok(())
}

fn radius_ports(value: &[u8], place: &Range<usize>) -> Step<()> {
    let message = || format!("invalid RADIUS port number: \"{}\"", text(value));
    match split_list(value) {
        None => Err(refusal(Problem::OptionValue, place, message())),
        Some(ports) if ports.iter().any(|port| atoi(port) == 0) => Err(hidden(place, message())),
        Some(_) => Ok(()),
    }
}

fn mandatory(value: Option<&[u8]>, name: OptionName, method: &str, place: &Range<usize>) -> Step<()> {
    if value.is_some() {
        return Ok(());
    }
    let message = format!("authentication method \"{method}\" requires argument \"{name}\" to be set");
    Err(refusal(Problem::MissingOption, place, message))
}

/// A refusal that `pg_hba_file_rules` leaves without a word.
fn hidden(place: &Range<usize>, message: String) -> Refusal {
    Refusal { shown_in_view: false, ..refusal(Problem::OptionValue, place, message) }
}

/// `SplitGUCList` with commas: `None` when it is no list.
fn split_list(value: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut rest = trim_start(value);
    let mut list = Vec::new();
    if rest.is_empty() {
        return Some(list);
    }
    loop {
        let item;
        (item, rest) = if let Some(quoted) = rest.strip_prefix(b"\"") {
            quoted_item(quoted)?
        } else {
            let end = rest.iter().position(|byte| *byte == b',' || is_space(*byte)).unwrap_or(rest.len());
            let (item, rest) = rest.split_at(end);
            if item.is_empty() {
                return None;
            }
            (item.to_vec(), rest)
        };
        list.push(item);
        rest = trim_start(rest);
        match rest.split_first() {
            None => return Some(list),
            Some((b',', after)) => rest = trim_start(after),
            Some(_) => return None,
        }
    }
}

/// Up to the closing quote, doubled ones taken for one.
fn quoted_item(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut item = Vec::new();
    let mut rest = text;
    loop {
        let quote = rest.iter().position(|byte| *byte == b'"')?;
        item.extend_from_slice(rest.get(..quote)?);
        rest = rest.get(quote + 1..)?;
        match rest.strip_prefix(b"\"") {
            Some(after) => {
                item.push(b'"');
                rest = after;
            }
            None => return Some((item, rest)),
        }
    }
}

fn trim_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !is_space(*byte)).unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

/// `scanner_isspace`.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c)
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}
