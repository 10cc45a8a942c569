//! Claims and proofs: what is promised of a server, and what was seen of it.

/// Everything that pgseal promises of a server, by its stable name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ClaimName {
    TlsOffered,
    TlsVersion,
    CertificateAsIssued,
    ChainVerified,
    ValidNow,
    NamesMatch,
    PlaintextRefusedIpv4,
    PlaintextRefusedIpv6,
    ReplicationPlaintextRefusedIpv4,
    ReplicationPlaintextRefusedIpv6,
    NoPlaintextPath,
    SessionEncrypted,
    ChannelBinding,
    PasswordsScram,
    SslmodeDisableRefused,
    SslmodeRequireConnects,
    SslmodeVerifyCaConnects,
    SslmodeVerifyFullConnects,
    SettingsInForce,
    SettingsTakenUp,
    PostQuantum,
    LocalLogin,
    NotRestarted,
    RestartWouldWork,
    SessionsGoOn,
    ClientCertificateConnects,
    WithoutCertificateRefused,
}

impl ClaimName {
    /// The name in JSON.
    pub(crate) const fn as_str(self) -> &'static str {
        self.words().0
    }

    /// The name on a screen, at most 24 columns wide.
    pub(crate) const fn title(self) -> &'static str {
        self.words().1
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::TlsOffered => ("tls-offered", "offers TLS"),
            Self::TlsVersion => ("tls-version", "encrypts"),
            Self::CertificateAsIssued => ("certificate-as-issued", "is who it says"),
            Self::ChainVerified => ("chain-verified", "chain verifies"),
            Self::ValidNow => ("valid-now", "valid now"),
            Self::NamesMatch => ("names-match", "names match"),
            Self::PlaintextRefusedIpv4 => ("plaintext-refused-ipv4", "refuses plaintext, IPv4"),
            Self::PlaintextRefusedIpv6 => ("plaintext-refused-ipv6", "refuses plaintext, IPv6"),
            Self::ReplicationPlaintextRefusedIpv4 => {
                ("replication-plaintext-refused-ipv4", "and replication, IPv4")
            }
            Self::ReplicationPlaintextRefusedIpv6 => {
                ("replication-plaintext-refused-ipv6", "and replication, IPv6")
            }
            Self::NoPlaintextPath => ("no-plaintext-path", "no other way in"),
            Self::SessionEncrypted => ("session-encrypted", "session is encrypted"),
            Self::ChannelBinding => ("channel-binding", "binds the login to TLS"),
            Self::PasswordsScram => ("passwords-scram", "passwords are SCRAM"),
            Self::SslmodeDisableRefused => ("sslmode-disable-refused", "sslmode=disable"),
            Self::SslmodeRequireConnects => ("sslmode-require-connects", "sslmode=require"),
            Self::SslmodeVerifyCaConnects => ("sslmode-verify-ca-connects", "sslmode=verify-ca"),
            Self::SslmodeVerifyFullConnects => ("sslmode-verify-full-connects", "sslmode=verify-full"),
            Self::SettingsInForce => ("settings-in-force", "settings in force"),
            Self::SettingsTakenUp => ("settings-taken-up", "and taken up"),
            Self::PostQuantum => ("post-quantum", "post-quantum keys"),
            Self::LocalLogin => ("local-login", "the way in from inside"),
            Self::NotRestarted => ("not-restarted", "not restarted"),
            Self::RestartWouldWork => ("restart-would-work", "a restart would work"),
            Self::SessionsGoOn => ("sessions-go-on", "old sessions go on"),
            Self::ClientCertificateConnects => ("client-certificate-connects", "a client's certificate"),
            Self::WithoutCertificateRefused => ("without-certificate-refused", "and none is refused"),
        }
    }
}

/// One claim and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) name: ClaimName,
    /// `None`: could not tell.
    pub(crate) holds: Option<bool>,
    /// What was seen.
    pub(crate) evidence: String,
    /// Why it does not hold, or why it could not be told.
    pub(crate) reason: Option<String>,
}

impl Claim {
    pub(crate) fn holds(name: ClaimName, evidence: impl Into<String>) -> Self {
        Self { name, holds: Some(true), evidence: evidence.into(), reason: None }
    }

    pub(crate) fn fails(name: ClaimName, evidence: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { name, holds: Some(false), evidence: evidence.into(), reason: Some(reason.into()) }
    }

    pub(crate) fn cannot_tell(name: ClaimName, reason: impl Into<String>) -> Self {
        Self { name, holds: None, evidence: String::new(), reason: Some(reason.into()) }
    }

    /// One line for people, as a reason why something was taken back.
    pub(crate) fn line(&self) -> String {
        let said = [Some(self.evidence.as_str()), self.reason.as_deref()];
        let said: Vec<&str> = said.into_iter().flatten().filter(|said| !said.is_empty()).collect();
        format!("{}: {}", self.name.title(), said.join(": "))
    }
}

/// All claims, and those about things that do not exist here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proof {
    pub(crate) claims: Vec<Claim>,
    pub(crate) left_out: Vec<(ClaimName, String)>,
}

impl Proof {
    /// Whether every claim holds. One that could not be told is not proved.
    pub(crate) fn complete(&self) -> bool {
        !self.claims.is_empty() && self.claims.iter().all(|claim| claim.holds == Some(true))
    }

    pub(crate) fn add(&mut self, claim: Claim) {
        self.claims.push(claim);
    }

    pub(crate) fn leave_out(&mut self, name: ClaimName, reason: impl Into<String>) {
        self.left_out.push((name, reason.into()));
    }
}
