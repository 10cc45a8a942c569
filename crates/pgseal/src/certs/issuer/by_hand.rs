//! A person who takes a request to a company's CA: the key stays here, the request is written beside it.

use std::path::{Path, PathBuf};

use pgseal_pki::KeyPem;
use pgseal_pki::request::SigningRequest;
use time::OffsetDateTime;

use super::{Answer, Answering, Issuer, Order};
use crate::certs::output::{self, Output};
use crate::failure::{Failure, Result};

/// Where key and request go.
pub(crate) struct ByHand<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) key_name: String,
    pub(crate) request_name: String,
    /// A key that is there already; else one is made.
    pub(crate) key: Option<(KeyPem, PathBuf)>,
}

impl Issuer for ByHand<'_> {
    fn issue<'i>(&'i self, order: &'i Order, _now: OffsetDateTime) -> Answering<'i> {
        Box::pin(async move { self.ask(order) })
    }
}

impl ByHand<'_> {
    fn ask(&self, order: &Order) -> Result<Answer> {
        let mut names = vec![self.request_name.as_str()];
        if self.key.is_none() {
            names.push(&self.key_name);
        }
        output::must_be_free(self.folder, &names)?;
        let request = SigningRequest {
            subject: order.subject.clone(),
            sans: order.sans.clone(),
            purpose: order.purpose,
        };
        let not_made =
            |error: &dyn std::fmt::Display| Failure::new(format!("could not make the request: {error}"));
        let mut outputs = Vec::new();
        let made;
        let key = if let Some((key, _)) = &self.key {
            key
        } else {
            made = KeyPem::generate(order.key_type).map_err(|error| not_made(&error))?;
            outputs.push(Output::secret(
                &self.key_name,
                made.as_str().as_bytes(),
                "the private key: it stays here",
            ));
            &made
        };
        let pem = request.pem(key).map_err(|error| not_made(&error))?;
        outputs.push(Output::public(&self.request_name, &pem, "the request: for whoever signs"));
        let written = output::write(self.folder, &outputs)?;
        let path_of = |name: &str| {
            written
                .iter()
                .find(|file| file.path.ends_with(name))
                .map(|file| file.path.clone())
                .unwrap_or_default()
        };
        Ok(Answer::Later {
            request: path_of(&self.request_name),
            key: self.key.as_ref().map_or_else(|| path_of(&self.key_name), |(_, path)| path.clone()),
        })
    }
}
