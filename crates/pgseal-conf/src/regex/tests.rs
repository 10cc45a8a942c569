use proptest::prelude::*;

use super::*;

fn matches(pattern: &str, text: &str) -> Option<bool> {
    Pattern::new(pattern.as_bytes()).matches(text.as_bytes())
}

/// Each was asked of PostgreSQL (`text ~ pattern`).
#[test]
fn what_is_understood_matches_as_in_postgresql() {
    for (pattern, yes, no) in [
        ("", vec!["", "a"], vec![]),
        ("^app_", vec!["app_", "app_x"], vec!["xapp_", "ap"]),
        ("ro$", vec!["ro", "app_ro"], vec!["rox"]),
        ("^(a|b)$", vec!["a", "b"], vec!["ab", "", "c"]),
        ("^db[0-9]+$", vec!["db1", "db42"], vec!["db", "dbx"]),
        ("^[^a-c]$", vec!["d", "-"], vec!["a", "", "dd"]),
        ("^[]a-]$", vec!["]", "a", "-"], vec!["b"]),
        ("a.c", vec!["abc", "xa-cx"], vec!["ac"]),
        ("^a{2,3}$", vec!["aa", "aaa"], vec!["a", "aaaa"]),
        ("^(?:x\\.y|z)*$", vec!["", "x.yz", "zz"], vec!["xay"]),
        ("^[[:alnum:]_]+$", vec!["a_1"], vec!["a-1", ""]),
        ("^\\w\\d$", vec!["_1", "a2"], vec!["-1"]),
        ("a|", vec!["", "b"], vec![]),
        ("a{x", vec!["a{x"], vec!["a"]),
        ("x^", vec![], vec!["x", "xx"]),
        ("^a+?$", vec!["a", "aa"], vec!["b"]),
    ] {
        for text in yes {
            assert_eq!(matches(pattern, text), Some(true), "{pattern} {text}");
        }
        for text in no {
            assert_eq!(matches(pattern, text), Some(false), "{pattern} {text}");
        }
    }
}

#[test]
fn what_is_beyond_is_not_guessed() {
    for pattern in ["(?i)a", "***=a", "(a)\\1", "a(?=b)", "\\yx", "[[.a.]]", "[é]", "[\\d]", "[a-c-e]"] {
        let pattern = Pattern::new(pattern.as_bytes());
        assert!(!pattern.is_understood() && pattern.error().is_none(), "{pattern}");
        assert_eq!(pattern.matches(b"a"), None);
    }
}

#[test]
fn what_postgresql_refuses_is_refused_in_its_words() {
    for (pattern, why) in [
        ("(a", "parentheses () not balanced"),
        ("a)", "parentheses () not balanced"),
        ("[a", "brackets [] not balanced"),
        ("*a", "quantifier operand invalid"),
        ("a**", "quantifier operand invalid"),
        ("^*", "quantifier operand invalid"),
        ("a\\", "invalid escape \\ sequence"),
        ("[z-a]", "invalid character range"),
    ] {
        assert_eq!(Pattern::new(pattern.as_bytes()).error(), Some(why), "{pattern}");
    }
}

#[test]
fn large_expressions_take_no_long_time() {
    assert_eq!(matches("^(((a*)*)*)*$", &"a".repeat(60)), Some(true));
    assert_eq!(matches("(a?){30}a{30}", &"a".repeat(30)), Some(true));
    assert!(!Pattern::new(b"((a{200}){200}){200}").is_understood());
    assert!(!Pattern::new("(".repeat(100_000).as_bytes()).is_understood());
}

#[test]
fn samples_match() {
    for text in ["^app_", "ro$", "^(a|b)$", "^db[0-9]+$", "", "x{5}", "^.$"] {
        let pattern = Pattern::new(text.as_bytes());
        let samples = pattern.samples();
        assert!(!samples.is_empty(), "{text}");
        for sample in samples {
            assert_eq!(pattern.matches(&sample), Some(true), "{text} {sample:?}");
            assert!(!sample.is_empty());
        }
    }
    assert!(Pattern::new(b"a^b").samples().is_empty());
    assert_eq!(Pattern::new(b"^app$").only_match(), Some(b"app".as_slice()));
    assert_eq!(Pattern::new(b"^a.p$").only_match(), None);
}

proptest! {
    #[test]
    fn any_text_is_an_expression_or_not(text in proptest::collection::vec(any::<u8>(), 0..30), name in "[a-c(*]{0,6}") {
        let pattern = Pattern::new(&text);
        prop_assert_eq!(pattern.matches(name.as_bytes()).is_some(), pattern.is_understood());
        for sample in pattern.samples() {
            prop_assert_eq!(pattern.matches(&sample), Some(true));
        }
    }
}
