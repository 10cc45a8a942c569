//! Every corner of the grammar by its name, with the versions that load it.

use crate::harness::{MAIN, Tree};

/// Which versions load a file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Loads {
    Always,
    Never,
    /// This version and later.
    From(u32),
    /// This version and before.
    Until(u32),
}

impl Loads {
    pub(super) fn on(self, version: u32) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::From(first) => version >= first,
            Self::Until(last) => version <= last,
        }
    }
}

use Loads::{Always, From, Never, Until};

/// A corner of one file, without others.
type Corner = (&'static str, Loads, &'static [u8]);

const CORNERS: &[Corner] = &[
    // Blanks and comments.
    ("tabs and carriage returns are blanks", Always, b"local\tall\rall trust\n"),
    ("a form feed is none", Never, b"local\x0call all trust\n"),
    ("a comment starts in the middle of a word", Always, b"local all all trust#c\n"),
    ("a comment in quotes is none", Always, b"local \"#\" all trust\n"),
    ("the last line needs no newline", Always, b"local all all trust"),
    ("carriage returns before newlines", Always, b"local all all trust\r\nlocal all all reject\r\r\n"),
    ("a carriage return alone ends no line", Never, b"local all all trust\rlocal all all trust\r"),
    ("a byte order mark is part of the first word", Never, b"\xef\xbb\xbflocal all all trust\n"),
    ("a byte order mark before a comment is a word", Never, b"\xef\xbb\xbf# x\nlocal all all trust\n"),
    ("an empty file", Never, b""),
    ("comments alone", Never, b"# nothing\n\n  # more\n"),
    ("a NUL byte hides the rest of its line", Always, b"local all all trust\0 x\n"),
    ("a NUL byte before the method", Never, b"local all all \0trust\n"),
    ("a NUL byte in a comment", Always, b"local all all trust # \0 x\nlocal a a trust\n"),
    ("a NUL byte at the end of the file", Always, b"local all all trust\n\0"),
    ("bytes that are no UTF-8", Always, b"local \xff\xfe \xc3 trust\n"),
    // Quotes.
    ("quotes in the middle of a word", Always, b"local a\"b c\"d all trust\n"),
    ("a doubled quote is one", Always, b"local \"a\"\"b\" all trust\n"),
    ("two quotes are an empty word", Always, b"local \"\" all trust\n"),
    ("two quotes before a word quote it", Always, b"local \"\"all \"\"+staff trust\n"),
    ("a quote that nothing closes takes the line", Never, b"local \"all all trust\n"),
    ("a quote that nothing closes in the last word", Always, b"local all all \"trust\n"),
    ("quoted keywords are names", Always, b"local \"all\" \"all\" trust\nhost \"replication\" \"+staff\" \"all\" trust\n"),
    ("the connection type and the method may be quoted", Always, b"\"local\" all all \"trust\"\n"),
    ("a quoted expression is one all the same", Until(15), b"local \"/(\" all trust\n"),
    ("a quoted expression that can be read", Always, b"local \"/^a b$\" all trust\n"),
    ("a backslash in quotes escapes nothing", Always, b"local \"a\\\" all trust\n"),
    // Commas.
    ("a comma close to the left makes one field", Always, b"local db1, db2 all trust\n"),
    ("a comma with a blank before it makes two", Never, b"local db1 ,db2 all trust\n"),
    ("commas before a line are skipped", Always, b",, local all all trust\n"),
    ("commas in a row", Always, b"local a,,b all trust\n"),
    ("a comma after the method asks for one more", Always, b"local all all trust,\n"),
    ("two methods", Never, b"local all all trust,reject\n"),
    ("two connection types", Never, b"local,host all all trust\n"),
    // Lines that go on.
    ("a line goes on after a backslash", From(14), b"local all \\\nall trust\n"),
    ("a line goes on within quotes", From(14), b"local \"a\\\nb\" all trust\n"),
    ("a line goes on within a word", From(14), b"local all all tru\\\nst\n"),
    ("a comment goes on", From(14), b"local all all trust\n# c \\\nbogus\n"),
    ("a backslash before a carriage return and a newline", From(14), b"local all \\\r\nall trust\n"),
    ("a backslash with a blank behind it is a word", Never, b"local all all trust \\ \n"),
    ("a backslash at the end of the file", From(14), b"local all all trust \\"),
    ("two backslashes", Never, b"local all all trust \\\\\n\n"),
    ("backslashes on lines of their own", From(14), b"\\\n\\\nlocal all all trust\n"),
    ("a name that ends in a backslash", From(14), b"local a\\\n all trust\nlocal all all trust\n"),
    // Words of the fields.
    ("connection types know their case", Never, b"LOCAL all all trust\n"),
    ("methods know their case", Never, b"local all all TRUST\n"),
    ("samegroup is samerole", Always, b"local samegroup,samerole,sameuser all trust\n"),
    ("a plus alone", Always, b"local all + trust\n"),
    ("an at sign alone", Always, b"local @ @ trust\n"),
    ("a quoted at sign names no file", Always, b"local \"@nope\" all trust\n"),
    ("a file that is not there", Never, b"local @nope all trust\n"),
    ("fields that are missing", Never, b"local\nlocal all\nlocal all all\nhost all all\nhost all all 10.0.0.1\n"),
    ("one bad line among good ones", Never, b"local all all trust\nbogus\nlocal all all trust\n"),
    // Addresses.
    ("an address with bits behind its mask", Always, b"host all all 10.1.2.3/8 trust\n"),
    ("a mask with holes", Always, b"host all all 10.0.0.1 255.0.255.0 trust\n"),
    ("an address that is none is a host name", Always, b"host all all 10.0.0.256 trust\n"),
    ("with a length it is an error", Never, b"host all all 10.0.0.256/8 trust\n"),
    ("a host name with a length", Never, b"host all all localhost/8 trust\n"),
    ("an address without a mask", Never, b"host all all 10.0.0.1 trust\n"),
    ("a mask of the other kind", Never, b"host all all 10.0.0.1 ffff:: trust\n"),
    ("a mask that is none", Never, b"host all all 10.0.0.1 x trust\n"),
    ("a length out of range", Never, b"host all all 10.0.0.0/33 trust\n"),
    ("a length as strtol reads it", Always, b"host all all 10.0.0.0/+08 trust\n"),
    ("a length with a blank before it", Always, b"host all all \"10.0.0.0/ 8\" trust\n"),
    ("old forms of IPv4", Always, b"host all all 10.1/16 trust\nhost all all 0x0a.010/8 trust\nhost all all 167772161/32 trust\n"),
    ("mapped addresses", Always, b"host all all ::ffff:10.0.0.0/104 trust\n"),
    ("a zone by its number", Always, b"host all all fe80::1%1/64 trust\n"),
    ("two addresses", Never, b"host all all 10.0.0.0/8,11.0.0.0/8 trust\n"),
    ("all with a mask", Never, b"host all all all 255.0.0.0 trust\n"),
    ("a quoted address", Always, b"host all all \"10.0.0.0/8\" trust\nhost all all \"samenet\" trust\n"),
    ("an empty address", Always, b"host all all \"\" trust\n"),
    // Methods and options.
    ("ident on a socket is peer", Always, b"local all all ident map=m\n"),
    ("peer over TCP", Never, b"host all all all peer\n"),
    ("cert without hostssl", Never, b"host all all all cert\n"),
    ("cert with hostssl", Always, b"hostssl all all all cert\n"),
    ("gss on a socket", Never, b"local all all gss\n"),
    ("clientcert by number", Until(13), b"hostssl all all all md5 clientcert=1\n"),
    ("clientcert=no-verify", Until(13), b"hostssl all all all md5 clientcert=no-verify\n"),
    ("clientcert=verify-ca", Always, b"hostssl all all all md5 clientcert=verify-ca\n"),
    ("clientcert without hostssl", Never, b"host all all all md5 clientcert=verify-ca\n"),
    ("cert with clientcert=verify-ca", Until(13), b"hostssl all all all cert clientcert=verify-ca\n"),
    ("clientname", From(14), b"hostssl all all all cert clientname=DN\n"),
    ("a value that the view does not complain of", Never, b"hostssl all all all md5 clientcert=9\n"),
    ("another", Never, b"hostssl all all all cert clientname=XX\n"),
    ("a map where nothing is mapped", Never, b"host all all all trust map=m\n"),
    ("an option without a value", Never, b"hostssl all all all cert map\n"),
    ("an option that nobody knows", Never, b"local all all trust bogus=1\n"),
    ("options parted by a comma", Always, b"hostssl all all all cert map=m,clientcert=verify-full\n"),
    ("a quoted option", Always, b"local all all peer \"map=a b\"\nlocal all all peer map=\"a b\"\n"),
    ("the later of two values counts", Always, b"local all all peer map=a map=b\n"),
    ("radius", Always, b"host all all all radius radiusservers=127.0.0.1 radiussecrets=s\n"),
    ("radius without a secret", Never, b"host all all all radius radiusservers=127.0.0.1\n"),
    ("radius with two servers and three secrets", Never, b"host all all all radius \"radiusservers=127.0.0.1,::1\" \"radiussecrets=a,b,c\"\n"),
    ("radius with two servers and three ports", Never, b"host all all all radius \"radiusservers=127.0.0.1,::1\" radiussecrets=a \"radiusports=1,2,3\"\n"),
    ("radius with two servers and three names", Never, b"host all all all radius \"radiusservers=127.0.0.1,::1\" radiussecrets=a \"radiusidentifiers=a,b,c\"\n"),
    ("radius with an empty list", Never, b"host all all all radius radiusservers= radiussecrets=a\n"),
    ("oauth", From(18), b"host all all all oauth issuer=https://i scope=s validator=validator_a\n"),
    ("oauth with a validator that is not permitted", Never, b"host all all all oauth issuer=https://i scope=s validator=x\n"),
    ("oauth without one where there are two", Never, b"host all all all oauth issuer=https://i scope=s\n"),
    ("sspi is for Windows", Never, b"host all all all sspi\n"),
    // Expressions.
    ("an expression that is wrong", Until(15), b"local /( all trust\n"),
    ("a slash alone is an expression", Always, b"local / / trust\n"),
    ("an expression among others", Always, b"local a,/^b$,all /^x[0-9]+$ trust\n"),
    // Includes without their files.
    ("include before 16 is a connection type that nobody knows", Never, b"include nope\n"),
    ("a missing file that need not be there", From(16), b"include_if_exists nope\nlocal all all trust\n"),
    ("an include with a third word", Never, b"include a b\n"),
    ("a directory without a name", Never, b"include_dir \" \"\n"),
];

/// Every corner: its name, the versions that load it, and its files.
pub(super) fn corners() -> Vec<(&'static str, Loads, Tree)> {
    let alone = CORNERS.iter().map(|(name, loads, text)| (*name, *loads, Tree::of(MAIN, *text)));
    alone.chain(long_ones()).chain(with_others()).collect()
}

fn long_ones() -> Vec<(&'static str, Loads, Tree)> {
    let word = |length: usize| Tree::of(MAIN, format!("local {} all trust\n", "x".repeat(length)));
    let line = |length: usize| {
        let mut text = "local all all trust #".to_owned();
        text.push_str(&"x".repeat(length - text.len()));
        Tree::of(MAIN, text + "\n")
    };
    vec![
        ("a name longer than any", Always, word(200)),
        ("the longest word of 15", Always, word(10_239)),
        ("a word longer than 15 takes", From(16), word(10_240)),
        ("the longest line of 13", Always, line(20_477)),
        ("a line longer than 13 takes", From(14), line(20_478)),
        ("a line of a million bytes", From(14), line(1_000_000)),
    ]
}

fn with_others() -> Vec<(&'static str, Loads, Tree)> {
    let main = |text: &str| Tree::of(MAIN, text);
    let chain = |length: usize, directive: &str| {
        let mut tree = main(&format!("{directive}f1\n"));
        for nth in 1..length {
            tree = tree.with(&format!("f{nth}"), format!("{directive}f{}\n", nth + 1));
        }
        tree.with(&format!("f{length}"), "local all all trust\n")
    };
    let mentions = |length: usize| {
        let mut tree = main("local @f1 all trust\n");
        for nth in 1..length {
            tree = tree.with(&format!("f{nth}"), format!("@f{}\n", nth + 1));
        }
        tree.with(&format!("f{length}"), "db\n")
    };
    vec![
        ("names out of a file", Always, main("local @a all trust\n").with("a", "x y\n# c\n\"u v\",all\n")),
        ("a file with a blank in its name", Always, main("local @\"a b\" all trust\n").with("a b", "x\n")),
        (
            "a file that names others, beside itself",
            Always,
            main("local @d/a all trust\n").with("d/a", "x @b\n").with("d/b", "y\n"),
        ),
        ("a file of nothing as a field", Never, main("local @a all trust\n").with("a", "# none\n")),
        ("a file of nothing among names", Always, main("local b,@a all trust\n").with("a", "\n")),
        ("the type out of a file", Always, main("@a all all trust\n").with("a", "local\n")),
        ("a file that names one that is missing", Never, main("local @a all trust\n").with("a", "x @nope\n")),
        ("a file that may not be read", Never, main("local @a all trust\n").with_shut("a", "x\n")),
        ("ten files deep", Always, mentions(10)),
        ("eleven files deep", Until(15), mentions(11)),
        ("an include", From(16), main("include a\n").with("a", "local all all trust\n")),
        (
            "an include in quotes",
            From(16),
            main("\"include\" \"a b\"\n").with("a b", "local all all trust\n"),
        ),
        (
            "an include beside what includes it",
            From(16),
            main("include d/a\n").with("d/a", "include b\n").with("d/b", "local all all trust\n"),
        ),
        ("an include of a bad file", Never, main("include a\nlocal all all trust\n").with("a", "bogus\n")),
        ("an include that is missing", Never, main("include nope\nlocal all all trust\n")),
        (
            "an include that may not be read",
            Never,
            main("include a\nlocal all all trust\n").with_shut("a", "local all all trust\n"),
        ),
        (
            "one that need not be there and may not be read",
            Never,
            main("include_if_exists a\nlocal all all trust\n").with_shut("a", ""),
        ),
        (
            "a directory of files in the order of their bytes",
            From(16),
            main("include_dir d\n")
                .with("d/b.conf", "local b all trust\n")
                .with("d/B.conf", "local c all trust\n")
                .with("d/a.conf", "local a all trust\n")
                .with("d/.x.conf", "bogus\n")
                .with("d/x.con", "bogus\n")
                .with_dir("d/y.conf"),
        ),
        (
            "a directory with a bad file",
            Never,
            main("include_dir d\nlocal all all trust\n").with("d/a.conf", "bogus\n"),
        ),
        (
            "a directory with two files that may not be read",
            Never,
            main("include_dir d\nlocal all all trust\n")
                .with_shut("d/a.conf", "x")
                .with_shut("d/b.conf", "x"),
        ),
        ("a directory of nothing", From(16), main("include_dir d\nlocal all all trust\n").with_dir("d")),
        ("a directory that is missing", Never, main("include_dir d\nlocal all all trust\n")),
        ("includes ten deep", From(16), chain(10, "include ")),
        ("includes eleven deep", Never, chain(11, "include ")),
        ("a file that includes itself", Never, main("local all all trust\ninclude pg_hba.conf\n")),
        (
            "an include within names is none before 16",
            Always,
            main("local @a all trust\n").with("a", "include b\n").with("b", "x\n"),
        ),
        ("the same file twice", From(16), main("include a\ninclude a\n").with("a", "local all all trust\n")),
        ("a directory as a file", From(16), main("include d\nlocal all all trust\n").with_dir("d")),
    ]
}
