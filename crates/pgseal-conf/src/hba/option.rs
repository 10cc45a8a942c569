//! The options behind the method of a rule: which there are, by version, and which of them hold secrets. Refuses to
//! judge their values.

use std::fmt;

use crate::{ByteString, PgVersion};

/// The name of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum OptionName {
    Map,
    ClientCert,
    /// From 14.
    ClientName,
    PamService,
    PamUseHostname,
    LdapUrl,
    LdapTls,
    LdapScheme,
    LdapServer,
    LdapPort,
    LdapBindDn,
    LdapBindPasswd,
    LdapSearchAttribute,
    LdapSearchFilter,
    LdapBaseDn,
    LdapPrefix,
    LdapSuffix,
    KrbRealm,
    IncludeRealm,
    CompatRealm,
    UpnUsername,
    /// Until 18, as all of RADIUS.
    RadiusServers,
    RadiusSecrets,
    RadiusPorts,
    RadiusIdentifiers,
    /// From 18, as all of `OAuth`.
    Issuer,
    Scope,
    Validator,
    DelegateIdentMapping,
}

impl OptionName {
    /// Every option.
    pub const ALL: [Self; 29] = [
        Self::Map,
        Self::ClientCert,
        Self::ClientName,
        Self::PamService,
        Self::PamUseHostname,
        Self::LdapUrl,
        Self::LdapTls,
        Self::LdapScheme,
        Self::LdapServer,
        Self::LdapPort,
        Self::LdapBindDn,
        Self::LdapBindPasswd,
        Self::LdapSearchAttribute,
        Self::LdapSearchFilter,
        Self::LdapBaseDn,
        Self::LdapPrefix,
        Self::LdapSuffix,
        Self::KrbRealm,
        Self::IncludeRealm,
        Self::CompatRealm,
        Self::UpnUsername,
        Self::RadiusServers,
        Self::RadiusSecrets,
        Self::RadiusPorts,
        Self::RadiusIdentifiers,
        Self::Issuer,
        Self::Scope,
        Self::Validator,
        Self::DelegateIdentMapping,
    ];

    /// As written in `pg_hba.conf`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::ClientCert => "clientcert",
            Self::ClientName => "clientname",
            Self::PamService => "pamservice",
            Self::PamUseHostname => "pam_use_hostname",
            Self::LdapUrl => "ldapurl",
            Self::LdapTls => "ldaptls",
            Self::LdapScheme => "ldapscheme",
            Self::LdapServer => "ldapserver",
            Self::LdapPort => "ldapport",
            Self::LdapBindDn => "ldapbinddn",
            Self::LdapBindPasswd => "ldapbindpasswd",
            Self::LdapSearchAttribute => "ldapsearchattribute",
            Self::LdapSearchFilter => "ldapsearchfilter",
            Self::LdapBaseDn => "ldapbasedn",
            Self::LdapPrefix => "ldapprefix",
            Self::LdapSuffix => "ldapsuffix",
            Self::KrbRealm => "krb_realm",
            Self::IncludeRealm => "include_realm",
            Self::CompatRealm => "compat_realm",
            Self::UpnUsername => "upn_username",
            Self::RadiusServers => "radiusservers",
            Self::RadiusSecrets => "radiussecrets",
            Self::RadiusPorts => "radiusports",
            Self::RadiusIdentifiers => "radiusidentifiers",
            Self::Issuer => "issuer",
            Self::Scope => "scope",
            Self::Validator => "validator",
            Self::DelegateIdentMapping => "delegate_ident_mapping",
        }
    }

    /// Whether this version knows the option.
    pub fn is_known_to(self, version: PgVersion) -> bool {
        match self {
            Self::ClientName => version >= PgVersion::V14,
            Self::RadiusServers | Self::RadiusSecrets | Self::RadiusPorts | Self::RadiusIdentifiers => {
                version <= PgVersion::V18
            }
            Self::Issuer | Self::Scope | Self::Validator | Self::DelegateIdentMapping => {
                version >= PgVersion::V18
            }
            _ => true,
        }
    }

    /// Whether its value must never be shown.
    pub const fn is_secret(self) -> bool {
        matches!(self, Self::LdapBindPasswd | Self::RadiusSecrets)
    }

    /// The option of this name in this version. Names are case-sensitive.
    pub(super) fn find(name: &[u8], version: PgVersion) -> Option<Self> {
        Self::ALL.into_iter().find(|option| option.name().as_bytes() == name && option.is_known_to(version))
    }
}

impl fmt::Display for OptionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The value of an option; a secret shows as `****`.
#[derive(Clone, PartialEq, Eq)]
pub struct OptionValue {
    bytes: zeroize::Zeroizing<Vec<u8>>,
    text: Option<ByteString>,
}

impl OptionValue {
    pub(super) fn new(name: OptionName, bytes: &[u8]) -> Self {
        if name.is_secret() {
            return Self { bytes: bytes.to_vec().into(), text: None };
        }
        Self { bytes: Vec::new().into(), text: Some(bytes.into()) }
    }

    /// The value, `None` if it is a secret.
    pub fn text(&self) -> Option<&ByteString> {
        self.text.as_ref()
    }

    /// The value, secret or not. Not to be shown.
    pub fn expose(&self) -> &[u8] {
        self.text.as_ref().map_or(&self.bytes, ByteString::as_bytes)
    }
}

impl fmt::Display for OptionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => text.fmt(f),
            None => f.pad("****"),
        }
    }
}

impl fmt::Debug for OptionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => fmt::Debug::fmt(text, f),
            None => f.write_str("****"),
        }
    }
}

/// One `name=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleOption {
    /// Its name.
    pub name: OptionName,
    /// Its value.
    pub value: OptionValue,
}

impl RuleOption {
    /// `name=value`, a secret as `****`.
    pub fn spelled(&self) -> ByteString {
        let value = self.value.text().map_or(b"****".as_slice(), ByteString::as_bytes);
        [self.name.name().as_bytes(), b"=", value].concat().into()
    }
}

impl fmt::Display for RuleOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spelled().fmt(f)
    }
}

/// What a rule asks of the client's certificate (`clientcert`; the method `cert` means `verify-full`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientCertificate {
    /// Nothing.
    #[default]
    NotAsked,
    /// One that a CA in `ssl_ca_file` signed (`verify-ca`; `1` until 13).
    VerifyCa,
    /// That, and a name in it that is the user's, through `map=` where given.
    VerifyFull,
}

impl ClientCertificate {
    /// As the option's value; `None` when nothing is asked.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::NotAsked => None,
            Self::VerifyCa => Some("verify-ca"),
            Self::VerifyFull => Some("verify-full"),
        }
    }
}
