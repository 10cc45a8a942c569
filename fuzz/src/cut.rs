//! A few lines taken off the front of an input, so that seeds stay text that people can read.

/// The first line without its newline, and what follows it.
pub fn after_line(input: &[u8]) -> (&[u8], &[u8]) {
    match input.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (input, b""),
    }
}

/// The same with the line as text, bytes that are no UTF-8 replaced.
pub fn lossy_line(input: &[u8]) -> (String, &[u8]) {
    let (line, rest) = after_line(input);
    (String::from_utf8_lossy(line).into_owned(), rest)
}
