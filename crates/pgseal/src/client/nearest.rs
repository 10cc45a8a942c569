//! The known words that somebody may have meant. Knows nothing of what they are for.

/// At most three, the nearest first.
pub(crate) fn nearest<'w>(word: &str, known: &[&'w str]) -> Vec<&'w str> {
    let word = word.to_ascii_lowercase();
    let mut near: Vec<(f64, &str)> = known
        .iter()
        .map(|one| (strsim::jaro_winkler(&word, &one.to_ascii_lowercase()), *one))
        .filter(|(likeness, _)| *likeness > 0.8)
        .collect();
    near.sort_by(|one, other| other.0.total_cmp(&one.0));
    near.truncate(3);
    near.into_iter().map(|(_, one)| one).collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_hand_is_seen_and_another_word_is_not() {
        assert_eq!(nearest("Knx", &["knex", "pg", "libpq"]), ["knex"]);
        assert!(nearest("oracle", &["knex", "pg", "libpq"]).is_empty());
    }
}
