//! The extensions of a certificate, read once into plain values.
//!
//! Knows what RFC 5280 section 4.2 writes; refuses to judge a chain by it.

use std::net::IpAddr;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};

use crate::dn::DistinguishedName;

/// A subject alternative name as found in a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AltName {
    /// `dNSName`: the bytes as encoded, which a hostile certificate may fill with anything.
    Dns(Vec<u8>),
    /// `iPAddress` of four or sixteen bytes.
    Ip(IpAddr),
    /// `iPAddress` of any other length, which libpq refuses.
    BadIp(Vec<u8>),
    /// `rfc822Name`.
    Email(Vec<u8>),
    /// `uniformResourceIdentifier`.
    Uri(Vec<u8>),
    /// `directoryName`.
    Directory(DistinguishedName),
    /// `otherName`, `x400Address`, `ediPartyName`, `registeredID` or undecodable: which of them.
    Other(&'static str),
}

/// Bits of the key usage extension (RFC 5280 section 4.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUsage(u16);

impl KeyUsage {
    const NAMES: [&'static str; 9] = [
        "digitalSignature",
        "nonRepudiation",
        "keyEncipherment",
        "dataEncipherment",
        "keyAgreement",
        "keyCertSign",
        "cRLSign",
        "encipherOnly",
        "decipherOnly",
    ];

    fn has(self, bit: u8) -> bool {
        self.0 & (1 << bit) != 0
    }

    /// The key may sign handshakes.
    pub fn digital_signature(self) -> bool {
        self.has(0)
    }

    /// The key may encipher keys (RSA key exchange of TLS 1.2).
    pub fn key_encipherment(self) -> bool {
        self.has(2)
    }

    /// The key may agree on keys (static ECDH).
    pub fn key_agreement(self) -> bool {
        self.has(4)
    }

    /// The key may sign certificates.
    pub fn key_cert_sign(self) -> bool {
        self.has(5)
    }

    /// The key may sign revocation lists.
    pub fn crl_sign(self) -> bool {
        self.has(6)
    }

    /// The names of the bits that are set, in RFC 5280's spelling.
    pub fn names(self) -> Vec<&'static str> {
        (0..).zip(Self::NAMES).filter(|(bit, _)| self.has(*bit)).map(|(_, name)| name).collect()
    }
}

/// The extended key usage extension (RFC 5280 section 4.2.1.12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendedKeyUsage {
    names: Vec<String>,
    server_auth: bool,
    client_auth: bool,
}

/// Netscape's and Microsoft's server gated crypto, which OpenSSL still takes for serverAuth.
const SERVER_GATED: [&str; 2] = ["2.16.840.1.113730.4.1", "1.3.6.1.4.1.311.10.3.3"];

impl ExtendedKeyUsage {
    /// OpenSSL's verdict for a TLS server: serverAuth or server gated crypto. `anyExtendedKeyUsage`
    /// alone is not enough for OpenSSL.
    pub fn server_auth(&self) -> bool {
        self.server_auth
    }

    /// OpenSSL's verdict for a TLS client.
    pub fn client_auth(&self) -> bool {
        self.client_auth
    }

    /// The purposes by RFC 5280's names, or dotted where they have none.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// The authority key identifier extension (RFC 5280 section 4.2.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AuthorityKey {
    pub(crate) key_id: Option<Vec<u8>>,
    pub(crate) issuer: Option<DistinguishedName>,
    pub(crate) serial: Option<Vec<u8>>,
}

/// The basic constraints extension (RFC 5280 section 4.2.1.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BasicConstraints {
    pub(crate) ca: bool,
    pub(crate) path_length: Option<u32>,
}

/// Netscape's certificate type, which OpenSSL still obeys where it is present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NetscapeType(Vec<NetscapeUse>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NetscapeUse {
    TlsClient,
    TlsServer,
    TlsAuthority,
    OtherAuthority,
}

impl NetscapeType {
    pub(crate) fn has(&self, wanted: NetscapeUse) -> bool {
        self.0.contains(&wanted)
    }

    pub(crate) fn is_authority(&self) -> bool {
        self.has(NetscapeUse::TlsAuthority) || self.has(NetscapeUse::OtherAuthority)
    }
}

/// The name constraints extension (RFC 5280 section 4.2.1.10), by base name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NameConstraints {
    pub(crate) permitted: Vec<Subtree>,
    pub(crate) excluded: Vec<Subtree>,
}

/// The base of one subtree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subtree {
    Dns(Vec<u8>),
    /// Address and mask, eight or thirty-two bytes where well-formed.
    Ip(Vec<u8>),
    Email(Vec<u8>),
    Uri(Vec<u8>),
    Directory(DistinguishedName),
    Other(&'static str),
}

/// Everything read from the extensions of one certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extensions {
    pub(crate) basic_constraints: Option<BasicConstraints>,
    pub(crate) key_usage: Option<KeyUsage>,
    pub(crate) extended_key_usage: Option<ExtendedKeyUsage>,
    pub(crate) alt_names: Option<Vec<AltName>>,
    pub(crate) subject_key_id: Option<Vec<u8>>,
    pub(crate) authority_key: Option<AuthorityKey>,
    pub(crate) name_constraints: Option<NameConstraints>,
    pub(crate) netscape_type: Option<NetscapeType>,
    /// First critical extension that OpenSSL does not process, dotted.
    pub(crate) unknown_critical: Option<String>,
    /// First extension that OpenSSL obeys and that is broken or there twice, dotted.
    pub(crate) malformed: Option<String>,
    pub(crate) proxy: bool,
}

/// Object identifiers of the extensions that OpenSSL 3.0 processes when critical
/// (`X509_supported_extension` in `crypto/x509/v3_purp.c`).
const PROCESSED: [&str; 15] = [
    "2.16.840.1.113730.1.1",
    "2.5.29.15",
    "2.5.29.17",
    "2.5.29.19",
    "2.5.29.32",
    "2.5.29.31",
    "2.5.29.37",
    "1.3.6.1.5.5.7.1.7",
    "1.3.6.1.5.5.7.1.8",
    "1.3.6.1.5.5.7.48.1.5",
    "2.5.29.36",
    PROXY,
    "2.5.29.30",
    "2.5.29.33",
    "2.5.29.54",
];
/// Extensions whose breakage makes OpenSSL 3.0 refuse the whole certificate
/// (`ossl_x509v3_cache_extensions`); others are not even decoded.
const OBEYED: [&str; 10] = [
    "2.16.840.1.113730.1.1",
    "2.5.29.14",
    "2.5.29.15",
    "2.5.29.17",
    "2.5.29.19",
    "2.5.29.30",
    "2.5.29.31",
    "2.5.29.35",
    "2.5.29.37",
    PROXY,
];
/// Proxy certificate information (RFC 3820).
const PROXY: &str = "1.3.6.1.5.5.7.1.14";

impl Extensions {
    pub(crate) fn read(certificate: &X509Certificate<'_>) -> Self {
        let mut read = Self::default();
        let mut seen = std::collections::HashSet::new();
        for extension in certificate.extensions() {
            let oid = extension.oid.to_id_string();
            read.proxy |= oid == PROXY;
            if extension.critical && !PROCESSED.contains(&oid.as_str()) {
                read.unknown_critical.get_or_insert_with(|| oid.clone());
            }
            let sound = read.take(extension) && seen.insert(oid.clone());
            if !sound && OBEYED.contains(&oid.as_str()) {
                read.malformed.get_or_insert(oid);
            }
        }
        read
    }

    /// Takes over one extension; false where it is broken.
    fn take(&mut self, extension: &X509Extension<'_>) -> bool {
        match extension.parsed_extension() {
            ParsedExtension::ParseError { .. } => return false,
            ParsedExtension::BasicConstraints(found) => {
                self.basic_constraints =
                    Some(BasicConstraints { ca: found.ca, path_length: found.path_len_constraint });
            }
            ParsedExtension::KeyUsage(found) => {
                self.key_usage = Some(KeyUsage(found.flags));
                // RFC 5280 section 4.2.1.3: at least one bit must be set.
                return found.flags != 0;
            }
            ParsedExtension::ExtendedKeyUsage(found) => {
                self.extended_key_usage = Some(extended_key_usage(found));
            }
            ParsedExtension::SubjectAlternativeName(found) => {
                self.alt_names = Some(found.general_names.iter().map(alt_name).collect());
            }
            ParsedExtension::SubjectKeyIdentifier(found) => {
                self.subject_key_id = Some(found.0.to_vec());
            }
            ParsedExtension::AuthorityKeyIdentifier(found) => {
                self.authority_key = Some(AuthorityKey {
                    key_id: found.key_identifier.as_ref().map(|id| id.0.to_vec()),
                    issuer: found.authority_cert_issuer.iter().flatten().find_map(directory),
                    serial: found.authority_cert_serial.map(<[u8]>::to_vec),
                });
            }
            ParsedExtension::NameConstraints(found) => {
                let bases = |trees: &Option<Vec<x509_parser::extensions::GeneralSubtree<'_>>>| {
                    trees.iter().flatten().map(|tree| subtree(&tree.base)).collect()
                };
                self.name_constraints = Some(NameConstraints {
                    permitted: bases(&found.permitted_subtrees),
                    excluded: bases(&found.excluded_subtrees),
                });
            }
            ParsedExtension::NSCertType(found) => {
                let uses = [
                    (found.ssl_client(), NetscapeUse::TlsClient),
                    (found.ssl_server(), NetscapeUse::TlsServer),
                    (found.ssl_ca(), NetscapeUse::TlsAuthority),
                    (found.smime_ca() || found.object_signing_ca(), NetscapeUse::OtherAuthority),
                ];
                let set = uses.into_iter().filter(|(set, _)| *set).map(|(_, one)| one).collect();
                self.netscape_type = Some(NetscapeType(set));
            }
            _ => {}
        }
        true
    }
}

fn extended_key_usage(found: &x509_parser::extensions::ExtendedKeyUsage<'_>) -> ExtendedKeyUsage {
    let named = [
        (found.any, "anyExtendedKeyUsage"),
        (found.server_auth, "serverAuth"),
        (found.client_auth, "clientAuth"),
        (found.code_signing, "codeSigning"),
        (found.email_protection, "emailProtection"),
        (found.time_stamping, "timeStamping"),
        (found.ocsp_signing, "OCSPSigning"),
    ];
    let others: Vec<String> = found.other.iter().map(x509_parser::asn1_rs::Oid::to_id_string).collect();
    let gated = others.iter().any(|oid| SERVER_GATED.contains(&oid.as_str()));
    ExtendedKeyUsage {
        names: named
            .into_iter()
            .filter(|(set, _)| *set)
            .map(|(_, name)| name.to_owned())
            .chain(others)
            .collect(),
        server_auth: found.server_auth || gated,
        client_auth: found.client_auth,
    }
}

fn directory(name: &GeneralName<'_>) -> Option<DistinguishedName> {
    match name {
        GeneralName::DirectoryName(name) => Some(DistinguishedName::read(name)),
        _ => None,
    }
}

fn other(name: &GeneralName<'_>) -> &'static str {
    match name {
        GeneralName::OtherName(..) => "otherName",
        GeneralName::X400Address(_) => "x400Address",
        GeneralName::EDIPartyName(_) => "ediPartyName",
        GeneralName::RegisteredID(_) => "registeredID",
        _ => "undecodable",
    }
}

fn alt_name(name: &GeneralName<'_>) -> AltName {
    match name {
        GeneralName::DNSName(text) => AltName::Dns(text.as_bytes().to_vec()),
        GeneralName::RFC822Name(text) => AltName::Email(text.as_bytes().to_vec()),
        GeneralName::URI(text) => AltName::Uri(text.as_bytes().to_vec()),
        GeneralName::IPAddress(bytes) => {
            ip_address(bytes).map_or_else(|| AltName::BadIp(bytes.to_vec()), AltName::Ip)
        }
        GeneralName::DirectoryName(name) => AltName::Directory(DistinguishedName::read(name)),
        // Tag 2 is dNSName: the parser gives up on bytes that are no UTF-8, libpq does not.
        GeneralName::Invalid(tag, bytes) if tag.0 == 2 => AltName::Dns(bytes.to_vec()),
        other_name => AltName::Other(other(other_name)),
    }
}

fn subtree(name: &GeneralName<'_>) -> Subtree {
    match name {
        GeneralName::DNSName(text) => Subtree::Dns(text.as_bytes().to_vec()),
        GeneralName::RFC822Name(text) => Subtree::Email(text.as_bytes().to_vec()),
        GeneralName::URI(text) => Subtree::Uri(text.as_bytes().to_vec()),
        GeneralName::IPAddress(bytes) => Subtree::Ip(bytes.to_vec()),
        GeneralName::DirectoryName(name) => Subtree::Directory(DistinguishedName::read(name)),
        GeneralName::Invalid(tag, bytes) if tag.0 == 2 => Subtree::Dns(bytes.to_vec()),
        other_name => Subtree::Other(other(other_name)),
    }
}

fn ip_address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(four));
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}
