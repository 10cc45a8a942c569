//! What a section of a service file sets stands in it, is set again by what is written out, and does not change with
//! what stands behind it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgseal_conf::PgVersion;
use pgseal_conf::conninfo::{Conninfo, Keyword, service};
use pgseal_fuzz::lossy_line;

// The name of the section, then the file.
fuzz_target!(|input: &[u8]| {
    let (name, file) = lossy_line(input);
    for version in PgVersion::ALL {
        let found = service::find_as(file, &name, version);
        match &found {
            Ok(Some(section)) => hold(section, file, &name, version),
            Ok(None) => {}
            Err(error) => assert!(!error.to_string().contains(char::is_control), "{error}"),
        }
        let behind = [file, b"\n# a comment\n\n[pgseal-other]\nhost=elsewhere\nnonsense\n"].concat();
        if name != "pgseal-other" {
            assert_eq!(service::find_as(&behind, &name, version), found);
        }
        if version == PgVersion::LATEST {
            assert_eq!(service::find(file, &name), found);
        }
    }
});

fn hold(section: &Conninfo, file: &[u8], name: &str, version: PgVersion) {
    let mut written = format!("[{name}]\n");
    for (keyword, value) in section.iter() {
        assert!(Keyword::find(keyword.name, version).is_some());
        assert!(!matches!(keyword.name, "service") && !value.contains(['\n', '\0']));
        let line = format!("{}={value}", keyword.name);
        let there = file.windows(line.len()).any(|window| window == line.as_bytes());
        assert!(there, "{line} stands nowhere");
        written.push_str(&line);
        written.push('\n');
    }
    if name.len() < 1000 && !name.contains('\0') {
        assert_eq!(service::find_as(&written, name, version), Ok(Some(section.clone())));
    }
}
