//! A rule as a row of the view `pg_hba_file_rules` shows it, which is how rules are compared with a server's.

use super::address;
use super::ldap::Ldap;
use super::load::{Entry, Ruleset};
use super::method::Method;
use super::option::{OptionName, RuleOption};
use super::rule::{AddressMatch, DatabaseMatch, RoleMatch, Rule};
use super::server::Server;
use crate::ByteString;

/// The columns of one row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ViewRow {
    /// Counted from 1 over the rows without an error (16+).
    pub rule_number: Option<u32>,
    /// The file (16+).
    pub file_name: ByteString,
    /// The line.
    pub line_number: u32,
    /// The connection type.
    pub connection: Option<&'static str>,
    /// The databases.
    pub databases: Vec<ByteString>,
    /// The users.
    pub roles: Vec<ByteString>,
    /// The address.
    pub address: Option<ByteString>,
    /// The mask.
    pub netmask: Option<ByteString>,
    /// The method.
    pub method: Option<&'static str>,
    /// The options that the view shows, secrets as `****`.
    pub options: Vec<ByteString>,
    /// The error.
    pub error: Option<String>,
}

impl Ruleset {
    /// The rows of `pg_hba_file_rules`.
    pub fn view(&self) -> Vec<ViewRow> {
        let mut rules = 0;
        let row = |entry: &Entry| {
            let rule = entry.rule.and_then(|index| self.rules.get(index as usize));
            // A refused line whose error the view does not name is counted too.
            let counted = entry.view_error.is_none();
            rules += u32::from(counted);
            let row = ViewRow {
                rule_number: counted.then_some(rules),
                file_name: self.path(entry.file).cloned().unwrap_or_default(),
                line_number: entry.line,
                error: entry.view_error.clone(),
                ..ViewRow::default()
            };
            rule.map_or(row.clone(), |rule| columns(row, rule, &self.server))
        };
        self.entries.iter().map(row).collect()
    }
}

fn columns(row: ViewRow, rule: &Rule, server: &Server) -> ViewRow {
    let (address, netmask) = match &rule.address {
        None => (None, None),
        Some(AddressMatch::Range(range)) => {
            (Some(address::spelled(range.address()).into()), Some(address::spelled(range.mask()).into()))
        }
        Some(other) => (Some(other.spelled()), None),
    };
    ViewRow {
        connection: Some(rule.connection.name()),
        databases: rule.databases.iter().map(DatabaseMatch::spelled).collect(),
        roles: rule.roles.iter().map(RoleMatch::spelled).collect(),
        address,
        netmask,
        method: Some(rule.method.name()),
        options: options(rule, server),
        ..row
    }
}

/// `get_hba_options`: not all options, in its own order.
fn options(rule: &Rule, server: &Server) -> Vec<ByteString> {
    let mut shown = Vec::new();
    let flag = |name| rule.option(name).is_some_and(|option| option.value.expose() == b"1");
    if matches!(rule.method, Method::Gss | Method::Sspi) {
        if rule.option(OptionName::IncludeRealm).is_none() || flag(OptionName::IncludeRealm) {
            shown.push("include_realm=true".into());
        }
        shown.extend(rule.option(OptionName::KrbRealm).map(RuleOption::spelled));
    }
    shown.extend(rule.option(OptionName::Map).map(RuleOption::spelled));
    shown.extend(rule.client_certificate.name().map(|name| format!("clientcert={name}").into()));
    shown.extend(rule.option(OptionName::PamService).map(RuleOption::spelled));
    let names: &[OptionName] = match rule.method {
        Method::Ldap => return [shown, Ldap::of(&rule.options).view()].concat(),
        Method::Radius => &[
            OptionName::RadiusServers,
            OptionName::RadiusSecrets,
            OptionName::RadiusIdentifiers,
            OptionName::RadiusPorts,
        ],
        Method::OAuth => &[OptionName::Issuer, OptionName::Scope],
        _ => &[],
    };
    shown.extend(names.iter().filter_map(|name| rule.option(*name)).map(RuleOption::spelled));
    if rule.method == Method::OAuth {
        shown.extend(validator(rule, server).map(|name| format!("validator={name}").into()));
        shown.extend(flag(OptionName::DelegateIdentMapping).then(|| "delegate_ident_mapping=true".into()));
    }
    shown
}

/// The validator named, or the only one permitted.
fn validator(rule: &Rule, server: &Server) -> Option<String> {
    let named = rule.option(OptionName::Validator).map(|option| option.value.to_string());
    named.or_else(|| match server.oauth_validators.as_deref() {
        Some([only]) => Some(only.to_string()),
        _ => None,
    })
}
