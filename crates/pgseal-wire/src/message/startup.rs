//! The packets without a type byte that open a conversation (pqcomm.h).

/// `SSLRequest`: may we speak TLS? Answered by one byte, `S` or `N`.
pub const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xD2, 0x16, 0x2F];

/// `GSSENCRequest`: may we speak GSSAPI encryption? Answered by one byte, `G` or `N`.
pub const GSSENC_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xD2, 0x16, 0x30];

/// The longest startup packet that a server reads (`MAX_STARTUP_PACKET_LENGTH`, pqcomm.h).
pub const MAX_STARTUP_PACKET: usize = 10_000;

/// A protocol version, major in the upper half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtocolVersion(pub u32);

impl ProtocolVersion {
    /// 3.0: spoken by every server from 7.4 on.
    pub const V3_0: Self = Self(3 << 16);
    /// 3.2: PostgreSQL 18.
    pub const V3_2: Self = Self(3 << 16 | 2);
}

/// The `replication` startup parameter: it decides which lines of `pg_hba.conf` are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Replication {
    /// An ordinary session.
    #[default]
    No,
    /// `replication=true`: physical; matched by the word `replication` only, never by `all`.
    Physical,
    /// `replication=database`: logical; matched like an ordinary session.
    Database,
}

/// Who asks for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartupParameters {
    /// `user`.
    pub user: String,
    /// `database`; the server takes the user's name when absent.
    pub database: Option<String>,
    /// `replication`.
    pub replication: Replication,
    /// `application_name`.
    pub application_name: Option<String>,
}

/// Parameters that no startup packet can carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartupError {
    /// The format ends values with a zero byte.
    #[error("the startup parameter \"{0}\" holds a zero byte")]
    ZeroByte(&'static str),
    /// The server would hang up.
    #[error("the startup packet would have {0} bytes and a server reads at most {MAX_STARTUP_PACKET}")]
    TooLong(usize),
}

impl StartupParameters {
    /// An ordinary session of `user` on `database`.
    pub fn new(user: impl Into<String>, database: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            database: Some(database.into()),
            replication: Replication::No,
            application_name: None,
        }
    }

    /// The startup packet, always with `client_encoding` UTF8.
    pub fn encode(&self, version: ProtocolVersion) -> Result<Vec<u8>, StartupError> {
        let replication = match self.replication {
            Replication::No => None,
            Replication::Physical => Some("true"),
            Replication::Database => Some("database"),
        };
        let parameters = [
            ("user", Some(self.user.as_str())),
            ("database", self.database.as_deref()),
            ("replication", replication),
            ("application_name", self.application_name.as_deref()),
            ("client_encoding", Some("UTF8")),
        ];
        let mut packet = vec![0; 4];
        packet.extend(version.0.to_be_bytes());
        for (name, value) in parameters {
            let Some(value) = value else { continue };
            if value.contains('\0') {
                return Err(StartupError::ZeroByte(name));
            }
            for word in [name, value] {
                packet.extend_from_slice(word.as_bytes());
                packet.push(0);
            }
        }
        packet.push(0);
        let length = packet.len();
        let field = u32::try_from(length).ok().filter(|_| length <= MAX_STARTUP_PACKET);
        let field = field.ok_or(StartupError::TooLong(length))?;
        for (byte, value) in packet.iter_mut().zip(field.to_be_bytes()) {
            *byte = value;
        }
        Ok(packet)
    }
}
