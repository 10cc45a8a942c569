//! Nothing: what counts is what this package depends on, which programs around handed-out texts are linked with.
