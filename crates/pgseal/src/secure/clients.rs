//! `--client-ca`: clients have to show a certificate of a CA that is given. Reads that CA, says who would be refused,
//! and refuses where our own login would be. What is written stands in the plan.

use pgseal_conf::hba::{
    Channel, ClientCertificate as Asked, ClientName, Connection, Method, Purpose, Rule, Ruleset, World,
    decide,
};
use pgseal_pki::{Certificate, Purpose as Use, read_bundle, verify_chain};
use pgseal_wire::{ClientCertificate, ClientIdentity};
use time::OffsetDateTime;

use super::certificate::{read, unreadable};
use super::facts::Facts;
use super::observe::CLIENT_AUTHORITIES;
use super::plan::{Plan, StageKind, Step, Write, was_file};
use super::settings::Wished;
use super::wish::ClientsShow;
use crate::failure::{Failure, Result};
use crate::place::Login;
use crate::sessions::client::Client;

/// What clients are to show.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    /// Whom the server is to trust for it.
    pub(crate) authorities: Vec<Certificate>,
    pub(crate) level: Asked,
}

/// Reads the CA's file, and refuses what is none.
pub(crate) fn read_wish(wish: Option<&ClientsShow>, now: OffsetDateTime) -> Result<Option<Clients>> {
    let Some(wish) = wish else { return Ok(None) };
    let path = &wish.authorities;
    let bundle = read_bundle(&read(path)?).map_err(|error| unreadable(path, &error))?;
    let unfit = |why: String| {
        Failure::usage(format!("--client-ca {}: {why}", path.display())).because("nothing was changed")
    };
    if bundle.private_key.is_some() {
        return Err(unfit("it holds a private key, and every client may read what goes there".to_owned())
            .hint("pgseal cert ca export DIR --client > client-ca.crt"));
    }
    if bundle.certificates.is_empty() {
        return Err(unfit("it holds no certificate".to_owned()));
    }
    if let Some(leaf) = bundle.certificates.iter().find(|one| !one.is_ca()) {
        return Err(unfit(format!("{} is no CA", leaf.subject())));
    }
    if !bundle.certificates.iter().any(Certificate::self_signed) {
        return Err(unfit(
            "no root is in it, and PostgreSQL trusts no chain that ends before one".to_owned(),
        ));
    }
    if let Some(over) = bundle.certificates.iter().find(|one| now > one.not_after()) {
        return Err(unfit(format!("{} expired on {}", over.subject(), over.not_after().date())));
    }
    Ok(Some(Clients { authorities: bundle.certificates, level: wish.level }))
}

/// The file that `ssl_ca_file` is to name, and what has to be written for that.
pub(super) fn step(facts: &Facts, clients: &Clients) -> Result<(Wished, Option<Step>)> {
    let of = |value: String| Wished { name: "ssl_ca_file", value };
    if present(facts).is_some_and(|present| same(&present, &clients.authorities)) {
        return Ok((of(facts.setting("ssl_ca_file").to_owned()), None));
    }
    let path = facts.tls_folder.join(CLIENT_AUTHORITIES);
    let value = path.to_str().ok_or_else(|| {
        Failure::new(format!("the path {} is not UTF-8, and no setting can hold it", path.display()))
    })?;
    let value = of(value.to_owned());
    let pem: String = clients.authorities.iter().map(Certificate::pem).collect();
    let write = Write {
        path,
        mode: 0o644,
        bytes: zeroize::Zeroizing::new(pem.into_bytes()),
        before: facts.own.client_authorities.as_ref().map(was_file),
        diff: String::new(),
        secret: false,
    };
    let names: Vec<String> = clients.authorities.iter().map(|one| one.subject().to_string()).collect();
    let step = Step {
        name: "client-ca",
        title: format!("clients' certificates are to be of {}", names.join(", ")),
        effect: "a reload; new connections are asked for a certificate, and need none yet",
        writes: vec![write],
    };
    Ok((value, Some(step)))
}

/// The CAs that clients' certificates are of now; `None`: the server asks for none.
fn present(facts: &Facts) -> Option<Vec<Certificate>> {
    let file = facts.client_authorities.as_ref()?;
    Some(read_bundle(&file.bytes).map(|bundle| bundle.certificates).unwrap_or_default())
}

fn same(one: &[Certificate], other: &[Certificate]) -> bool {
    one.iter().all(|certificate| other.contains(certificate))
        && other.iter().all(|certificate| one.contains(certificate))
}

/// What nobody can see from here, said before anything is written.
pub(crate) fn warnings(facts: &Facts, clients: &Clients) -> Vec<String> {
    let mut all = vec![
        "from the first reload on every client is asked for a certificate, and one that shows another CA's is refused \
         (tlsv1 alert unknown ca), with sslmode=prefer too, whether a rule wants one or not"
            .to_owned(),
    ];
    let dropped = dropped(facts, clients);
    if !dropped.is_empty() {
        all.push(format!(
            "clients with certificates of {} are let in now, and would be among them: both may stand in one file",
            dropped.join(", ")
        ));
    }
    all
}

/// CAs that the server trusts for clients now, and would not any more.
fn dropped(facts: &Facts, clients: &Clients) -> Vec<String> {
    let present = present(facts).unwrap_or_default();
    let gone = present.iter().filter(|one| !clients.authorities.contains(one));
    gone.map(|one| one.subject().to_string()).collect()
}

/// Refuses while pgseal's own login would not get in: then nothing could be proved, and nobody mend it over TCP.
pub(super) fn own_login_gets_in(facts: &Facts, plan: &Plan, who: &Login, now: OffsetDateTime) -> Result<()> {
    let Some(clients) = &plan.clients else { return Ok(()) };
    if plan.is_empty() {
        return Ok(());
    }
    let identity = match &who.certificate {
        ClientCertificate::Ready(identity) => identity,
        ClientCertificate::None => return Err(without_own(who, "it has none to show".to_owned())),
        ClientCertificate::Unusable(error) => return Err(without_own(who, error.to_string())),
    };
    let shown = || format!("{} shows the certificate of {}", who.username, identity.leaf().subject());
    verify_chain(identity.leaf(), identity.others(), &clients.authorities, now, Use::Client).map_err(
        |refusal| without_own(who, format!("{}, and the server would refuse it: {refusal}", shown())),
    )?;
    let rule = deciding(facts, plan, who);
    let bears_its_name = bears(identity, &who.username);
    if let Some(rule) = &rule
        && rule.client_certificate == Asked::VerifyFull
        && rule.map().is_none()
        && !bears_its_name
    {
        let why = format!("{}, and verify-full wants one whose common name is the role's", shown());
        return Err(without_own(who, why));
    }
    let wants_no_password = |rule: &Rule| matches!(rule.method, Method::Cert | Method::Trust);
    if who.password.is_none() && !rule.as_ref().is_some_and(wants_no_password) {
        return Err(Failure::stopped(
            "--client-ca wants a login over TLS to prove that a client with a certificate gets in, and no password was given",
        )
        .because("nothing was changed")
        .hint("PGUSER with PGPASSWORD or a password file"));
    }
    Ok(())
}

fn bears(identity: &ClientIdentity, role: &str) -> bool {
    identity.leaf().common_names().first() == Some(&role)
}

fn without_own(who: &Login, why: String) -> Failure {
    let user = crate::report::shell::quoted(&who.username);
    Failure::stopped("--client-ca would shut out pgseal's own login, which has to prove that somebody still gets in")
        .because(why)
        .because("nothing was changed")
        .hint(format!(
            "pgseal cert client --ca DIR --user {user} --out DIR2, then with PGSSLCERT and PGSSLKEY naming its files"
        ))
}

/// The rule that decides about our own login over TLS afterwards.
fn deciding(facts: &Facts, plan: &Plan, who: &Login) -> Option<Rule> {
    rule_for(facts, &after(facts, plan), who)
}

fn rule_for(facts: &Facts, rules: &Ruleset, who: &Login) -> Option<Rule> {
    let connection = Connection {
        channel: Channel::Tls,
        address: facts.addresses.first().copied(),
        name: ClientName::Unknown,
        user: who.username.as_str().into(),
        purpose: Purpose::Database(who.dbname.as_str().into()),
    };
    let world = World { roles: facts.roles.clone(), interfaces: None };
    let decided = decide(&rules.rules, &connection, &world).certain()??;
    rules.rules.get(decided).cloned()
}

/// Whether the rules ask a certificate of our own login, as they stand.
pub(crate) fn are_asked(facts: &Facts, who: &Login) -> bool {
    let rules = facts.rules.ruleset(facts.version);
    rule_for(facts, &rules, who).is_some_and(|rule| rule.client_certificate != Asked::NotAsked)
}

/// The rules as they will be.
pub(super) fn after(facts: &Facts, plan: &Plan) -> Ruleset {
    let mut steps =
        plan.stages.iter().filter(|stage| stage.kind == StageKind::Rules).flat_map(|stage| &stage.steps);
    let written = steps.find_map(|step| step.writes.first());
    let text = written.map_or_else(|| facts.hba.bytes.clone(), |write| write.bytes.to_vec());
    facts.rules.ruleset_of(text, facts.version)
}

/// Why a client that comes with TLS would be refused for want of a certificate, if so.
pub(super) fn kept_out(facts: &Facts, plan: &Plan, rules: &Ruleset, client: &Client) -> Option<String> {
    let clients = plan.clients.as_ref()?;
    let rule = match rule_of(facts, rules, client) {
        Ok(rule) => rule?,
        Err(why) => return Some(why.to_owned()),
    };
    let sessions = facts.sessions.iter().filter(|seen| !seen.own && Client::of(seen) == *client);
    let mut shown =
        sessions.filter_map(|seen| seen.tls.as_ref()).map(|tls| tls.client_certificate.as_deref());
    let Some(first) = shown.next() else {
        return Some("whether it has a certificate was not recorded".to_owned());
    };
    [first].into_iter().chain(shown).find_map(|shown| {
        let Some(shown) = shown.filter(|shown| !shown.is_empty()) else {
            return Some(if facts.client_authorities.is_some() {
                "shows no certificate".to_owned()
            } else {
                "was never asked for a certificate: whether it has one is not known".to_owned()
            });
        };
        if !dropped(facts, clients).is_empty() {
            return Some(format!("shows the certificate {shown}, and not all CAs of now are to be trusted"));
        }
        let role = format!("CN={}", client.user);
        let bears_it = shown.split('/').any(|part| part == role);
        (rule.client_certificate == Asked::VerifyFull && rule.map().is_none() && !bears_it)
            .then(|| format!("shows the certificate {shown}, whose common name is not the role's"))
    })
}

/// The rule that decides about a client, where that rule wants a certificate.
fn rule_of<'r>(
    facts: &Facts,
    rules: &'r Ruleset,
    client: &Client,
) -> std::result::Result<Option<&'r Rule>, &'static str> {
    let connection = Connection {
        channel: Channel::Tls,
        address: client.address.as_deref().and_then(|text| text.parse().ok()),
        name: ClientName::Unknown,
        user: client.user.as_str().into(),
        purpose: client
            .database
            .as_deref()
            .map_or(Purpose::Replication, |database| Purpose::Database(database.into())),
    };
    let world = World { roles: facts.roles.clone(), interfaces: None };
    match decide(&rules.rules, &connection, &world).certain() {
        Some(Some(rule)) => {
            Ok(rules.rules.get(rule).filter(|rule| rule.client_certificate != Asked::NotAsked))
        }
        Some(None) => Err("no line would let it in with TLS"),
        None => Err("what decides about it hinges on more than the file"),
    }
}
