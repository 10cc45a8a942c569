//! What a client is told: host, port, user, database, CA, maybe a certificate of its own; and the connection strings of
//! several parts that are made of them. No password is among it.
//!
//! Knows how such strings are put together; refuses to know drivers.

use pgseal_conf::conninfo::{Conninfo, Secrets};
use pgseal_wire::SslMode;

use super::syntax::{Syntax, percent, url_host};
use crate::failure::{Failure, Result};

/// A client's certificate and its key: paths.
#[derive(Clone, Debug)]
pub(crate) struct OwnCertificate {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// The values of one server for one client.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) dbname: String,
    pub(crate) mode: SslMode,
    /// The file with the CA, where the client finds it.
    pub(crate) ca: String,
    pub(crate) own: Option<OwnCertificate>,
}

impl Values {
    /// Everything that a libpq client is told, in the order that people write it.
    pub(crate) fn parameters(&self) -> Result<Conninfo> {
        let mut parameters = Conninfo::new();
        let port = self.port.to_string();
        let own = self.own.as_ref();
        let told = [
            ("host", Some(self.host.as_str())),
            ("port", Some(port.as_str())),
            ("dbname", Some(self.dbname.as_str())),
            ("user", Some(self.user.as_str())),
            ("sslmode", Some(self.mode.as_str())),
            ("sslrootcert", Some(self.ca.as_str())),
            ("sslcert", own.map(|own| own.certificate.as_str())),
            ("sslkey", own.map(|own| own.key.as_str())),
        ];
        for (name, value) in told {
            if let Some(value) = value {
                parameters.set(name, value).map_err(|error| Failure::usage(error.to_string()))?;
            }
        }
        Ok(parameters)
    }

    /// libpq's URI.
    pub(crate) fn uri(&self) -> Result<String> {
        Ok(self.parameters()?.to_uri(Secrets::Omitted).to_string())
    }

    /// libpq's `keyword=value` form.
    pub(crate) fn conninfo(&self) -> Result<String> {
        Ok(self.parameters()?.to_conninfo(Secrets::Omitted).to_string())
    }

    /// A URI without a word of TLS.
    fn plain_uri(&self) -> String {
        format!(
            "postgresql://{}@{}:{}/{}",
            percent(&self.user),
            url_host(&self.host),
            self.port,
            percent(&self.dbname)
        )
    }

    fn jdbc(&self) -> String {
        format!("jdbc:postgresql://{}:{}/{}", url_host(&self.host), self.port, percent(&self.dbname))
    }

    /// Whether one of the values of a DSN holds it.
    fn has_in_names(&self, c: char) -> bool {
        [&self.host, &self.dbname, &self.ca].iter().any(|value| value.contains(c))
    }

    /// `name=value` with libpq's quoting: the DSN of PDO and of DBI.
    fn dsn(&self, prefix: &str, between: &str) -> Result<String, &'static str> {
        let own = self.own.as_ref();
        let port = self.port.to_string();
        let parts = [
            ("host", Some(self.host.as_str())),
            ("port", Some(port.as_str())),
            ("dbname", Some(self.dbname.as_str())),
            ("sslmode", Some(self.mode.as_str())),
            ("sslrootcert", Some(self.ca.as_str())),
            ("sslcert", own.map(|own| own.certificate.as_str())),
            ("sslkey", own.map(|own| own.key.as_str())),
        ];
        let mut told = Vec::new();
        for (name, value) in parts {
            if let Some(value) = value {
                told.push(format!("{name}={}", Syntax::Conninfo.quote(value)?));
            }
        }
        Ok(format!("{prefix}{}", told.join(between)))
    }

    /// What psqlODBC hands on to libpq.
    fn pqopt(&self) -> Result<String, &'static str> {
        let mut told = format!("sslrootcert={}", Syntax::Conninfo.quote(&self.ca)?);
        if let Some(own) = &self.own {
            told.push_str(&format!(
                " sslcert={} sslkey={}",
                Syntax::Conninfo.quote(&own.certificate)?,
                Syntax::Conninfo.quote(&own.key)?
            ));
        }
        Ok(told)
    }

    fn npgsql(&self) -> Result<String, &'static str> {
        let net = |value: &str| Syntax::Net.quote(value);
        let mut told = format!(
            "Host={};Port={};Username={};Database={};SSL Mode=VerifyFull;Root Certificate={}",
            net(&self.host)?,
            self.port,
            net(&self.user)?,
            net(&self.dbname)?,
            net(&self.ca)?
        );
        if let Some(own) = &self.own {
            told.push_str(&format!(";SSL Certificate={};SSL Key={}", net(&own.certificate)?, net(&own.key)?));
        }
        Ok(told)
    }

    /// The value of a word of the data; None where there is no such word, the reason where it cannot be had.
    pub(crate) fn of(&self, word: &str) -> Option<Result<String, String>> {
        let own = |part: fn(&OwnCertificate) -> &String| {
            self.own.as_ref().map(part).cloned().ok_or_else(|| "there is no client certificate".to_owned())
        };
        let said = |text: Result<String, &'static str>| text.map_err(str::to_owned);
        Some(match word {
            "host" => Ok(self.host.clone()),
            "urlhost" => Ok(url_host(&self.host)),
            "port" => Ok(self.port.to_string()),
            "user" => Ok(self.user.clone()),
            "dbname" => Ok(self.dbname.clone()),
            "ca" => Ok(self.ca.clone()),
            "cert" => own(|own| &own.certificate),
            "key" => own(|own| &own.key),
            "uri" => self.uri().map_err(|error| error.sentence().to_owned()),
            "conninfo" => self.conninfo().map_err(|error| error.sentence().to_owned()),
            "plainuri" => Ok(self.plain_uri()),
            "jdbc" => Ok(self.jdbc()),
            "jdbcfull" => {
                Ok(format!("{}?sslmode=verify-full&sslrootcert={}", self.jdbc(), percent(&self.ca)))
            }
            // PDO makes a space of every semicolon, wherever it stands (pdo_pgsql, pgsql_driver.c).
            "pdo" if self.has_in_names(';') => Err("PDO's DSN cannot hold a semicolon".to_owned()),
            "pdo" => said(self.dsn("pgsql:", ";")),
            // DBD::Pg makes a single quote of every double quote where the name of the database is quoted (Pg.pm, connect).
            "dbi" if self.has_in_names('"') => Err("DBD::Pg's DSN cannot hold a double quote".to_owned()),
            // It makes a space of a semicolon outside of quotes, and takes a quote behind a backslash for one of those.
            "dbi" if self.has_in_names('\'') && self.has_in_names(';') => {
                Err("DBD::Pg's DSN cannot hold a single quote and a semicolon".to_owned())
            }
            "dbi" => said(self.dsn("dbi:Pg:", " ")),
            "pqopt" => said(self.pqopt()),
            "npgsql" => said(self.npgsql()),
            _ => return None,
        })
    }
}
