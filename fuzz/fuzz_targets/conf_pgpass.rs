//! A line that is written answers for its own names, and of any file the first line whose fields say so answers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgseal_conf::conninfo::pgpass::{Password, PgpassError, line, lookup};
use pgseal_fuzz::lossy_line;

// Host, port, database, user and password on lines of their own, then a password file.
fuzz_target!(|input: &[u8]| {
    let (host, rest) = lossy_line(input);
    let (port, rest) = lossy_line(rest);
    let (dbname, rest) = lossy_line(rest);
    let (user, rest) = lossy_line(rest);
    let (password, file) = lossy_line(rest);
    let asked = [host.as_str(), port.as_str(), dbname.as_str(), user.as_str()];
    written(asked, &password);
    looked_up(file, asked);
});

fn written(names: [&str; 4], password: &str) {
    let [host, port, dbname, user] = names;
    let number: Option<u16> = port.parse().ok();
    let own = number.map_or_else(String::new, |port| port.to_string());
    let unwritable = [host, dbname, user, password].iter().any(|text| text.contains(['\n', '\0']));
    for any in 0..16_u8 {
        let said = |bit: u8, name| if any >> bit & 1 == 0 { Some(name) } else { None };
        let number = number.filter(|_| any & 8 == 0);
        match line(said(0, host), number, said(1, dbname), said(2, user), password) {
            Ok(line) => {
                assert!(line.ends_with('\n') && line.matches('\n').count() == 1);
                let found = lookup(line.as_bytes(), host, &own, dbname, user);
                let findable = !dbname.is_empty() && !user.is_empty();
                let found = found.as_ref().map(Password::as_bytes);
                assert_eq!(found, findable.then_some(password.as_bytes()), "{}", *line);
            }
            Err(PgpassError::Unwritable) => assert!(unwritable),
            Err(PgpassError::TrailingCarriageReturn) => assert!(password.ends_with('\r')),
            Err(PgpassError::EmptyName) => assert!([host, dbname, user].contains(&"")),
        }
    }
}

fn looked_up(file: &[u8], asked: [&str; 4]) {
    let [host, port, dbname, user] = asked;
    let find = |text: &[u8]| lookup(text, host, port, dbname, user);
    let found = find(file);
    let by_line = file.split(|byte| *byte == b'\n').find_map(find);
    assert!(found == by_line, "the first line that answers is the one that counts");
    // A colon of the name's own may stand in a field without a backslash, so such fields cannot be cut.
    if !asked.iter().any(|name| name.contains(':')) {
        let expected = file.split(|byte| *byte == b'\n').find_map(|line| answer(line, asked));
        assert_eq!(found.as_ref().map(Password::as_bytes), expected.as_deref());
    }
    if host.is_empty() {
        assert!(found == lookup(file, "localhost", port, dbname, user));
    }
    if let Some(found) = found {
        assert!(!found.as_bytes().contains(&b'\n') && !found.as_bytes().contains(&0));
        assert_eq!(format!("{found:?}"), "Password(****)");
    }
}

/// The same rule in other words: cut at colons that no backslash hides, then compare whole fields.
fn answer(line: &[u8], asked: [&str; 4]) -> Option<Vec<u8>> {
    let [host, port, dbname, user] = asked;
    let host = if host.is_empty() { "localhost" } else { host };
    let port = if port.is_empty() { "5432" } else { port };
    let asked = [host, port, dbname, user];
    if line.starts_with(b"#") || line.contains(&0) || dbname.is_empty() || user.is_empty() {
        return None;
    }
    let end = line.iter().rposition(|byte| *byte != b'\r').map_or(0, |last| last + 1);
    let mut fields = vec![(Vec::new(), false)];
    let mut bytes = line[..end].iter();
    while let Some(byte) = bytes.next() {
        let (field, escaped) = fields.last_mut()?;
        match byte {
            b':' => fields.push((Vec::new(), false)),
            b'\\' => {
                *escaped = true;
                field.push(*bytes.next().unwrap_or(&b'\\'));
            }
            byte => field.push(*byte),
        }
    }
    let (password, _) = fields.get(4)?;
    let fits = |((field, escaped), wanted): (&(Vec<u8>, bool), &str)| {
        field == wanted.as_bytes() || field == b"*" && !escaped
    };
    fields.iter().zip(asked).all(fits).then(|| password.clone())
}
