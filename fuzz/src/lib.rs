//! How the bytes of a fuzzer become what a reader is given. Knows nothing of what the readers promise.
#![warn(missing_docs)]

mod cut;
mod files;
mod rules;
pub mod tls;

pub use cut::{after_line, lossy_line};
pub use files::{Beside, in_folder};
pub use rules::{connections, hba_text, surroundings, told};
