//! What the LDAP options of a rule come to: each one, and each part of a URL, over what stood before it. Refuses to ask a
//! directory.

use std::ops::Range;

use super::diagnostic::Problem;
use super::grammar::{Refusal, refusal};
use super::ldap_url::LdapUrl;
use super::option::{OptionName, RuleOption};
use crate::{ByteString, PgVersion};

/// The settings as PostgreSQL keeps them, in the order in which its view shows them.
#[derive(Default)]
pub(super) struct Ldap<'o> {
    server: Option<ByteString>,
    port: i64,
    scheme: Option<ByteString>,
    tls: bool,
    /// Options that a URL does not touch: as written.
    given: Vec<&'o RuleOption>,
    base_dn: Option<ByteString>,
    attribute: Option<ByteString>,
    filter: Option<ByteString>,
    scope: u8,
}

impl<'o> Ldap<'o> {
    pub(super) fn of(options: &'o [RuleOption]) -> Self {
        let mut ldap = Self::default();
        for option in options {
            ldap.apply(option);
        }
        ldap
    }

    fn apply(&mut self, option: &'o RuleOption) {
        // Any option sets LDAP_SCOPE_SUBTREE anew, and a URL its own scope after that.
        self.scope = 2;
        let value = option.value.expose();
        let set = Some(ByteString::from(value));
        match option.name {
            OptionName::LdapUrl => {
                if let Ok(url) = LdapUrl::parse(value) {
                    self.apply_url(url);
                }
            }
            OptionName::LdapServer => self.server = set,
            OptionName::LdapPort => self.port = atoi(value),
            OptionName::LdapScheme => self.scheme = set,
            OptionName::LdapTls => self.tls = value == b"1",
            OptionName::LdapBaseDn => self.base_dn = set,
            OptionName::LdapSearchAttribute => self.attribute = set,
            OptionName::LdapSearchFilter => self.filter = set,
            _ => {
                self.given.retain(|given| given.name != option.name);
                self.given.push(option);
            }
        }
    }

    fn apply_url(&mut self, url: LdapUrl) {
        self.scheme = Some(url.scheme.into());
        self.port = url.port;
        self.scope = url.scope;
        for (part, field) in [
            (url.host, &mut self.server),
            (url.base_dn, &mut self.base_dn),
            (url.attribute, &mut self.attribute),
            (url.filter, &mut self.filter),
        ] {
            if let Some(part) = part {
                *field = Some(part.into());
            }
        }
    }

    fn given(&self, name: OptionName) -> Option<&'o RuleOption> {
        self.given.iter().copied().find(|option| option.name == name)
    }

    /// What may not stand together, and what may not be missing.
    pub(super) fn check(&self, version: PgVersion, place: &Range<usize>) -> Result<(), Refusal> {
        let is_given = |name| self.given(name).is_some();
        if is_given(OptionName::LdapPrefix) || is_given(OptionName::LdapSuffix) {
            let search = self.base_dn.is_some()
                || is_given(OptionName::LdapBindDn)
                || is_given(OptionName::LdapBindPasswd)
                || self.attribute.is_some()
                || self.filter.is_some();
            if search {
                let message = if version >= PgVersion::V18 {
                    "cannot mix options for simple bind and search+bind modes"
                } else {
                    "cannot use ldapbasedn, ldapbinddn, ldapbindpasswd, ldapsearchattribute, ldapsearchfilter, or ldapurl together with ldapprefix"
                };
                return Err(refusal(Problem::OptionsConflict, place, message.to_owned()));
            }
        } else if self.base_dn.is_none() {
            let message = "authentication method \"ldap\" requires argument \"ldapbasedn\", \"ldapprefix\", or \"ldapsuffix\" to be set";
            return Err(refusal(Problem::MissingOption, place, message.to_owned()));
        }
        if self.attribute.is_some() && self.filter.is_some() {
            let message = "cannot use ldapsearchattribute together with ldapsearchfilter".to_owned();
            return Err(refusal(Problem::OptionsConflict, place, message));
        }
        Ok(())
    }

    /// As `pg_hba_file_rules` shows them, a secret as `****`.
    pub(super) fn view(&self) -> Vec<ByteString> {
        let named = |name: OptionName, value: &Option<ByteString>| {
            let value = value.as_ref()?;
            Some(ByteString::from([name.name().as_bytes(), b"=", value.as_bytes()].concat()))
        };
        let given = |name| self.given(name).map(RuleOption::spelled);
        let port = (self.port != 0).then(|| format!("ldapport={}", self.port).into());
        let scope = (self.scope != 0).then(|| format!("ldapscope={}", self.scope).into());
        [
            named(OptionName::LdapServer, &self.server),
            port,
            named(OptionName::LdapScheme, &self.scheme),
            self.tls.then(|| "ldaptls=true".into()),
            given(OptionName::LdapPrefix),
            given(OptionName::LdapSuffix),
            named(OptionName::LdapBaseDn, &self.base_dn),
            given(OptionName::LdapBindDn),
            given(OptionName::LdapBindPasswd),
            named(OptionName::LdapSearchAttribute, &self.attribute),
            named(OptionName::LdapSearchFilter, &self.filter),
            scope,
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// C's `atoi`: digits behind blanks and a sign, whatever follows them.
pub(super) fn atoi(text: &[u8]) -> i64 {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r');
    let text: Vec<u8> = text.iter().copied().skip_while(|byte| blank(byte)).collect();
    let (negative, digits) = match text.split_first() {
        Some((b'-', digits)) => (true, digits),
        Some((b'+', digits)) => (false, digits),
        _ => (false, text.as_slice()),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let value =
        digits.fold(0i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    if negative { -value } else { value }
}
