//! libpq's connection parameters, understood: from words to [`ConnectOptions`] and [`Credentials`].
//!
//! Knows what each word means, what libpq says of a wrong one, and where it looks in a home. Refuses to know how
//! connection strings are written; the caller hands over a look-up with defaults already filled in.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::options::{ConnectOptions, InvalidOptions, in_order, not_too_weak};
use super::target_session::TargetSession;
use crate::channel::SslNegotiation;
use crate::libpq::LibpqVersion;
use crate::route::Route;
use crate::session::{ChannelBinding, Credentials, RequireAuth};
use crate::sslmode::SslMode;
use crate::tls::{ClientCertificate, ClientFiles, Revocation, RootFile, SslCertMode, TlsVersion};

/// A look-up of one parameter; None and an empty value are the same to libpq, for all that is looked up here.
pub type Parameter<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Understands the parameters as a libpq of this version does (`connectOptions2` and `initialize_SSL`), and reads the
/// files that they name. `home` is where `.postgresql` lies; the user and the database must be said.
///
/// `known` stands in the place of `sslrootcert` where the roots come from elsewhere; what the parameter says then counts
/// only as far as it is wrong. Not looked at: `hostaddr`, `host`, `port` and `connect_timeout`, which are in the routes; `passfile` and `service`,
/// which the caller reads; what has no part in how a connection is made.
pub fn understand(
    routes: Vec<Route>,
    parameter: Parameter<'_>,
    home: Option<&Path>,
    known: Option<RootFile>,
    libpq: LibpqVersion,
) -> Result<(ConnectOptions, Credentials), InvalidOptions> {
    let words = Words { parameter, home, libpq };
    let channel_binding = words.read("channel_binding", str::parse::<ChannelBinding>)?;
    let require_auth =
        words.later(libpq.knows_certmode(), "require_auth", |word| RequireAuth::parse(word, libpq))?;
    let sslmode = words.read("sslmode", str::parse::<SslMode>)?;
    let negotiation = words.later(libpq.offers_alpn(), "sslnegotiation", str::parse::<SslNegotiation>)?;
    let root_file = words.root_file();
    let system = root_file.as_deref().is_some_and(|path| RootFile::means_the_system(path, libpq));
    not_too_weak(sslmode, system, negotiation)?;
    let min = words.version("ssl_min_protocol_version")?;
    let max = words.version("ssl_max_protocol_version")?;
    in_order(min, max)?;
    let certmode = words.later(libpq.knows_certmode(), "sslcertmode", str::parse::<SslCertMode>)?;
    let gssencmode = words.read("gssencmode", str::parse)?;
    let target_session = words.read("target_session_attrs", |word| TargetSession::parse(word, libpq))?;
    let roots = known.unwrap_or_else(|| words.roots(root_file)).asking(&words.revocation());
    let client = words.client(certmode, &roots);
    let options = ConnectOptions {
        routes,
        sslmode,
        roots,
        negotiation,
        // Whatever does not begin with a 1 means no (`initialize_SSL`).
        sni: words.get("sslsni").is_none_or(|word| word.starts_with('1')),
        min,
        max,
        client,
        certmode,
        require_auth,
        gssencmode,
        target_session,
        libpq,
    };
    options.validate()?;
    let credentials = Credentials {
        password: words.get("password").map(Zeroizing::new),
        application_name: words.get("application_name").or_else(|| words.get("fallback_application_name")),
        channel_binding,
        ..Credentials::new(words.get("user").unwrap_or_default(), words.get("dbname").unwrap_or_default())
    };
    Ok((options, credentials))
}

struct Words<'a> {
    parameter: Parameter<'a>,
    home: Option<&'a Path>,
    libpq: LibpqVersion,
}

impl Words<'_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.parameter)(name).filter(|value| !value.is_empty())
    }

    /// One word, or the default where it is not said.
    fn read<T: Default, E: ToString>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, InvalidOptions> {
        match self.get(name) {
            Some(word) => parse(&word).map_err(|error| InvalidOptions::Value(error.to_string())),
            None => Ok(T::default()),
        }
    }

    /// The same for a parameter that came later: before that libpq does not know the name.
    fn later<T: Default, E: ToString>(
        &self,
        known: bool,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, InvalidOptions> {
        if known { self.read(name, parse) } else { Ok(T::default()) }
    }

    fn version(&self, name: &str) -> Result<Option<TlsVersion>, InvalidOptions> {
        self.read(name, |word| {
            word.parse().map(Some).map_err(|_| {
                let word = word.escape_debug();
                // From 17 on the name is quoted.
                let quote = if self.libpq.offers_alpn() { "\"" } else { "" };
                format!("invalid {quote}{name}{quote} value: \"{word}\"")
            })
        })
    }

    fn in_home(&self, file: &str) -> Option<PathBuf> {
        self.home.map(|home| home.join(".postgresql").join(file))
    }

    /// A file that is named, or lies in the home.
    fn file(&self, name: &str, at_home: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from).or_else(|| self.in_home(at_home))
    }

    fn root_file(&self) -> Option<String> {
        self.file("sslrootcert", "root.crt").map(|path| path.display().to_string())
    }

    fn roots(&self, file: Option<String>) -> RootFile {
        match file {
            Some(path) => RootFile::of(&path, self.libpq),
            None => RootFile::Absent { path: String::new() },
        }
    }

    fn revocation(&self) -> Revocation {
        let file = self.get("sslcrl").map(PathBuf::from);
        let directory =
            self.get("sslcrldir").map(PathBuf::from).filter(|_| self.libpq.knows_crl_directories());
        let at_home = if file.is_none() && directory.is_none() { self.in_home("root.crl") } else { None };
        Revocation::read(file.or(at_home).as_deref(), directory.as_deref())
    }

    fn client(&self, mode: SslCertMode, roots: &RootFile) -> ClientCertificate {
        let certificate = self.file("sslcert", "postgresql.crt");
        let key = self.file("sslkey", "postgresql.key").map(|path| path.display().to_string());
        let passphrase = self.get("sslpassword").map(Zeroizing::new);
        let files = ClientFiles {
            certificate: certificate.as_deref(),
            key: key.as_deref(),
            passphrase: passphrase.as_ref().map(|text| text.as_str()),
            mode,
        };
        ClientCertificate::read(&files, roots, self.libpq)
    }
}
