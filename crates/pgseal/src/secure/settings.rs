//! The settings that a policy asks for, and those of them that have to be written. Pure.

use std::path::Path;

use pgseal_conf::block::{self, Block, Place as BlockPlace};
use pgseal_conf::settings::ConfFile;
use pgseal_conf::settings::{Effective, Statement, parse_bool, quote};

use super::facts::Facts;
use crate::failure::{Failure, Result};
use crate::policy::{HYBRID_GROUPS, PROTOCOLS, Policy};

/// The id of our block in postgresql.conf.
pub(crate) const ID: &str = "tls-settings";

/// A setting and the value it is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wished {
    pub(crate) name: &'static str,
    pub(crate) value: String,
}

/// Every setting that may be wished.
const NAMES: [&str; 12] = [
    "ssl",
    "ssl_ca_file",
    "ssl_cert_file",
    "ssl_key_file",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "ssl_ciphers",
    "ssl_prefer_server_ciphers",
    "ssl_tls13_ciphers",
    "ssl_groups",
    "ssl_ecdh_curve",
    "password_encryption",
];

/// A name that was written down earlier, if it is one of them.
pub(crate) fn known(name: &str) -> Option<&'static str> {
    NAMES.into_iter().find(|known| *known == name)
}

/// Everything that is to hold; `pem` where key and certificate are ours.
pub(crate) fn wished(facts: &Facts, policy: &Policy, pem: Option<&Path>) -> Result<Vec<Wished>> {
    let of = |name, value: &str| Wished { name, value: value.to_owned() };
    let mut all = vec![of("ssl", "on")];
    if let Some(pem) = pem {
        let path = pem.to_str().ok_or_else(|| {
            Failure::new(format!("the path {} is not UTF-8, and no setting can hold it", pem.display()))
        })?;
        all.extend([of("ssl_cert_file", path), of("ssl_key_file", path)]);
    } else {
        // What is kept stays where it is, whether our block says so or another line.
        all.extend(["ssl_cert_file", "ssl_key_file"].map(|name| of(name, facts.setting(name))));
    }
    all.push(of("ssl_min_protocol_version", &policy.min_protocol));
    all.push(of("ssl_max_protocol_version", ""));
    all.push(of("ssl_ciphers", &policy.tls12_suites.join(":")));
    all.push(of("ssl_prefer_server_ciphers", "on"));
    if facts.version.major() >= 18 {
        all.push(of("ssl_tls13_ciphers", &policy.tls13_suites.join(":")));
        all.push(of("ssl_groups", &groups(policy, &facts.hybrid_groups).join(":")));
    } else {
        all.push(of("ssl_ecdh_curve", &policy.curve));
    }
    all.push(of("password_encryption", &policy.password_encryption));
    Ok(all)
}

/// The clients' CAs that our block names already, where nobody asks for others: they stay.
pub(crate) fn kept_authorities(facts: &Facts) -> Option<Wished> {
    let ours = our_lines(facts);
    let said = facts.files.settings.iter().rfind(|setting| {
        setting.name.as_bytes().eq_ignore_ascii_case(b"ssl_ca_file")
            && setting.file == 0
            && ours.contains(&setting.line)
    })?;
    let value = String::from_utf8_lossy(said.value.as_bytes()).into_owned();
    Some(Wished { name: "ssl_ca_file", value })
}

/// The policy's, hybrids in front as far as they are known to the server's OpenSSL: with a name that it does not
/// know it would refuse all settings.
fn groups<'p>(policy: &'p Policy, known: &[&str]) -> Vec<&'p str> {
    let hybrids = policy.hybrid_groups.iter().map(String::as_str).filter(|name| known.contains(name));
    hybrids.chain(policy.groups.iter().map(String::as_str)).collect()
}

/// Whether a wish is one for a hybrid group first.
pub(crate) fn hybrid_of(wished: &[Wished]) -> Option<&str> {
    let groups = wished.iter().find(|wish| wish.name == "ssl_groups")?;
    groups.value.split(':').next().filter(|first| HYBRID_GROUPS.contains(first))
}

/// The main file with our block holding what the rest of the files does not say already; `None`: it is
/// right as it is.
pub(crate) fn main_file(
    facts: &Facts,
    wished: &[Wished],
    change: &str,
    word: &str,
) -> Result<Option<Vec<u8>>> {
    main_file_beside(facts, wished, &[], change, word)
}

/// Lines of our block that set something else than what is wished.
pub(crate) fn further_lines(facts: &Facts, wished: &[Wished]) -> Vec<String> {
    let blocks = block::find_all(&facts.main.bytes).unwrap_or_default();
    let ours = blocks.iter().find(|block| block.id == ID);
    let lines = ours.map(|block| block.lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()));
    let sets = |line: &str| line.split(['=', ' ']).next().unwrap_or_default().to_ascii_lowercase();
    lines.into_iter().flatten().filter(|line| !wished.iter().any(|wish| wish.name == sets(line))).collect()
}

/// The same with further lines in the block.
pub(crate) fn main_file_beside(
    facts: &Facts,
    wished: &[Wished],
    further: &[String],
    change: &str,
    word: &str,
) -> Result<Option<Vec<u8>>> {
    let old = &facts.main.bytes;
    let unfit = |error: block::BlockError| {
        Failure::new(format!("the block cannot be written to {}: {error}", facts.main.named.display()))
            .hint("mend the markers by hand, or take them out")
    };
    let blocks = block::find_all(old).map_err(unfit)?;
    let ours = blocks.iter().find(|block| block.id == ID);
    let of_wished = wished
        .iter()
        .filter(|wish| !said_elsewhere(facts, wish))
        .map(|wish| Ok(format!("{} = {}", wish.name, quoted(&as_good(facts, wish))?)));
    let lines: Vec<String> = further.iter().cloned().map(Ok).chain(of_wished).collect::<Result<_>>()?;
    if lines.is_empty() {
        return match ours {
            Some(_) => block::remove(old, ID).map(Some).map_err(unfit),
            None => Ok(None),
        };
    }
    let same = ours.is_some_and(|block| block.lines.iter().copied().eq(lines.iter().map(String::as_bytes)));
    let beaten = beaten(facts, wished);
    if same && !beaten {
        return Ok(None);
    }
    let note = format!("change {change}. Undo: pgseal undo {word}");
    let block = Block::new(ID, &note, lines).map_err(unfit)?;
    let new = match ours {
        Some(_) if beaten => {
            let bare = block::remove(old, ID).map_err(unfit)?;
            block::insert(&bare, BlockPlace::End, &block)
        }
        Some(_) => block::replace(old, &block),
        None => block::insert(old, BlockPlace::End, &block),
    };
    new.map(Some).map_err(unfit)
}

/// What our block says already, where that is as good as what is wished: a second run takes nothing back.
fn as_good(facts: &Facts, wish: &Wished) -> String {
    let ours = our_lines(facts);
    let said = facts.files.settings.iter().rfind(|setting| {
        setting.name.as_bytes().eq_ignore_ascii_case(wish.name.as_bytes())
            && setting.file == 0
            && ours.contains(&setting.line)
    });
    let said = said.map(|setting| String::from_utf8_lossy(setting.value.as_bytes()).into_owned());
    said.filter(|value| satisfies(wish, value)).unwrap_or_else(|| wish.value.clone())
}

fn quoted(value: &str) -> Result<String> {
    quote(value).ok_or_else(|| Failure::new(format!("no setting can hold {value:?}")))
}

/// Whether the files say it without our block, or PostgreSQL does by itself. What of `postgresql.auto.conf` is in
/// the way counts for nothing: it is taken out.
fn said_elsewhere(facts: &Facts, wish: &Wished) -> bool {
    let ours = our_lines(facts);
    let others = facts.files.settings.iter().rfind(|setting| {
        setting.name.as_bytes().eq_ignore_ascii_case(wish.name.as_bytes())
            && !(setting.file == 0 && ours.contains(&setting.line))
            && (!is_auto(facts, setting.file)
                || satisfies(wish, &String::from_utf8_lossy(setting.value.as_bytes())))
            && !is_lost_by_upgrade(facts, setting.file)
    });
    let value = match others {
        Some(setting) => String::from_utf8_lossy(setting.value.as_bytes()).into_owned(),
        None => facts.settings.get(wish.name).map(|setting| setting.boot.clone()).unwrap_or_default(),
    };
    satisfies(wish, &value)
}

/// What a cluster of postgresql-common includes is not there after an upgrade.
fn is_lost_by_upgrade(facts: &Facts, file: u32) -> bool {
    facts.taken_by_upgrade.is_some() && file != 0 && !is_auto(facts, file)
}

fn is_auto(facts: &Facts, file: u32) -> bool {
    facts.files.path(file).is_some_and(|path| path.as_bytes().ends_with(b"/postgresql.auto.conf"))
}

/// Whether a line that is read after our block says something else: the last one wins (guc-file.l,
/// ProcessConfigFileInternal). `postgresql.auto.conf` is seen to by itself.
fn beaten(facts: &Facts, wished: &[Wished]) -> bool {
    let ours = our_lines(facts);
    wished.iter().any(|wish| {
        let last = facts.files.settings.iter().rfind(|setting| {
            setting.name.as_bytes().eq_ignore_ascii_case(wish.name.as_bytes())
                && !is_auto(facts, setting.file)
        });
        last.is_some_and(|last| {
            let is_ours = last.file == 0 && ours.contains(&last.line);
            !is_ours && !satisfies(wish, &String::from_utf8_lossy(last.value.as_bytes()))
        })
    })
}

fn our_lines(facts: &Facts) -> std::ops::Range<u32> {
    let blocks = block::find_all(&facts.main.bytes).unwrap_or_default();
    blocks.iter().find(|block| block.id == ID).map_or(0..0, |block| {
        let number = |line: usize| u32::try_from(line).unwrap_or(u32::MAX);
        number(block.line)..number(block.line + block.lines.len() + 2)
    })
}

/// Whether a value is as good as the wished one: a stricter minimum is.
pub(crate) fn satisfies(wish: &Wished, value: &str) -> bool {
    match wish.name {
        "ssl" | "ssl_prefer_server_ciphers" => {
            parse_bool(value.as_bytes()) == parse_bool(wish.value.as_bytes())
        }
        "ssl_min_protocol_version" => {
            let place = |name: &str| PROTOCOLS.iter().position(|known| known.eq_ignore_ascii_case(name));
            place(value).zip(place(&wish.value)).is_some_and(|(has, wants)| has >= wants)
        }
        "ssl_ciphers" => value == wish.value || is_within(value, &wish.value),
        // Hybrids before them, where they could not be known and somebody set them, are none the worse.
        "ssl_groups" => value == wish.value || classical(value) == wish.value,
        _ => value == wish.value,
    }
}

/// The groups of suites that a cipher string names by what they have in common (ciphers(1)), and those of them that
/// TLS 1.2 has with authenticated encryption.
const ALIASES: [(&str, &[&str]); 2] = [
    (
        "ECDHE+AESGCM",
        &[
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-RSA-AES256-GCM-SHA384",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDHE-RSA-AES128-GCM-SHA256",
        ],
    ),
    ("ECDHE+CHACHA20", &["ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"]),
];

/// Whether a cipher string names suites of the other alone, as far as that can be read from it.
fn is_within(value: &str, wished: &str) -> bool {
    let wished: Vec<&str> = wished.split(':').collect();
    let named = |word: &str| ALIASES.iter().find(|(alias, _)| *alias == word).map(|(_, suites)| *suites);
    value.split(':').all(|word| match named(word) {
        Some(suites) => suites.iter().all(|suite| wished.contains(suite)),
        None => wished.contains(&word),
    })
}

/// A list of groups without its hybrids.
fn classical(groups: &str) -> String {
    groups.split(':').filter(|group| !HYBRID_GROUPS.contains(group)).collect::<Vec<_>>().join(":")
}

/// What will beat our block in the main file: lines of postgresql.auto.conf, which are taken out, and
/// the command line, which is not ours to change.
pub(crate) fn auto_file(facts: &Facts, wished: &[Wished]) -> Option<Vec<u8>> {
    let auto = facts.auto.as_ref()?;
    let mut file = ConfFile::read(auto.bytes.clone()).ok()?;
    loop {
        let at = file.lines().iter().position(|line| match &line.statement {
            Statement::Setting { name, value, .. } => wished.iter().any(|wish| {
                name.as_bytes().eq_ignore_ascii_case(wish.name.as_bytes())
                    && !satisfies(wish, &String::from_utf8_lossy(value.as_bytes()))
            }),
            _ => false,
        });
        let Some(index) = at else { break };
        file = ConfFile::read(file.remove_line(index)).ok()?;
    }
    (file.bytes() != auto.bytes).then(|| file.bytes().to_vec())
}

/// `postgresql.auto.conf` with the wished settings in the place of its own, where it holds any of them: it beats
/// every other file, so that one rename of it exchanges all of them at once.
pub(crate) fn auto_file_with(facts: &Facts, wished: &[Wished]) -> Result<Option<Vec<u8>>> {
    let Some(auto) = &facts.auto else { return Ok(None) };
    let unfit = |error: &dyn std::fmt::Display| Failure::new(format!("{}: {error}", auto.named.display()));
    let sets = |statement: &Statement| match statement {
        Statement::Setting { name, .. } => {
            wished.iter().any(|wish| name.as_bytes().eq_ignore_ascii_case(wish.name.as_bytes()))
        }
        _ => false,
    };
    let mut file = ConfFile::read(auto.bytes.clone()).map_err(|error| unfit(&error))?;
    while let Some(index) = file.lines().iter().position(|line| sets(&line.statement)) {
        file = ConfFile::read(file.remove_line(index)).map_err(|error| unfit(&error))?;
    }
    if file.bytes() == auto.bytes {
        return Ok(None);
    }
    let mut new = file.bytes().to_vec();
    if !new.is_empty() && !new.ends_with(b"\n") {
        new.push(b'\n');
    }
    for wish in wished {
        new.extend(format!("{} = {}\n", wish.name, quoted(&wish.value)?).into_bytes());
    }
    Ok(Some(new))
}

/// Settings that the command line fixes to something else.
pub(crate) fn fixed_by_command_line(facts: &Facts, wished: &[Wished]) -> Result<()> {
    let fixed: Vec<String> = wished
        .iter()
        .filter(|wish| matches!(facts.files.effective(wish.name), Some(Effective::CommandLine(value)) if !satisfies(wish, &String::from_utf8_lossy(value.as_bytes()))))
        .map(|wish| format!("{} (to be {})", wish.name, wish.value))
        .collect();
    if fixed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("the server's command line fixes {}", fixed.join(", ")))
        .because("what is given with -c beats every file until the next restart; nothing was changed")
        .hint("take it out of the way the server is started, restart it, then again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_within_the_wished_ones_are_as_good_and_others_are_not() {
        let wished = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256";
        assert!(is_within("ECDHE+AESGCM", wished) && is_within("ECDHE-RSA-AES128-GCM-SHA256", wished));
        for value in ["", "ALL", "ECDHE+AESGCM:ECDHE+CHACHA20", "HIGH:!aNULL", "ECDHE+AESGCM:AES128-SHA"] {
            assert!(!is_within(value, wished), "{value}");
        }
    }
}
