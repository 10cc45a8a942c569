//! The passphrase of a private key: from a terminal, a file descriptor or a file, and never from an argument
//! or the environment.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex};
use zeroize::Zeroizing;

use crate::failure::{Failure, Result, Signal};
use crate::privilege::files;
use crate::privilege::secret::Secret;

/// As long as a line of a terminal may be.
const LONGEST: usize = 4095;

/// Where a passphrase comes from.
#[derive(Clone, Debug, Default)]
pub(crate) enum Passphrase {
    /// From the terminal, where there is one.
    #[default]
    Ask,
    /// The first line of a file, or of standard input for `-`. `/dev/fd/3` is a descriptor that somebody opened.
    File(PathBuf),
    /// The first line that comes over a descriptor.
    Descriptor(u32),
}

impl Passphrase {
    /// As options have it; where neither is there, the terminal is asked.
    pub(crate) fn of(file: Option<&Path>, descriptor: Option<u32>) -> Self {
        match (file, descriptor) {
            (Some(path), _) => Self::File(path.to_owned()),
            (_, Some(number)) => Self::Descriptor(number),
            _ => Self::Ask,
        }
    }

    /// Reads it; `of` says what it opens.
    pub(crate) fn reveal(&self, of: &str) -> Result<Secret> {
        match self {
            Self::Ask => ask(&format!("Passphrase of {of}: "), of),
            _ => self.given(of),
        }
    }

    /// Reads a new one. On a terminal it is asked for twice.
    pub(crate) fn invent(&self, of: &str) -> Result<Secret> {
        let Self::Ask = self else { return self.given(of) };
        let first = ask(&format!("New passphrase of {of}: "), of)?;
        let second = ask("The same again: ", of)?;
        if first.reveal() == second.reveal() {
            return Ok(first);
        }
        Err(Failure::stopped("the two passphrases differ").because("nothing was changed"))
    }

    fn given(&self, of: &str) -> Result<Secret> {
        let (bytes, place) = match self {
            Self::File(path) if path.as_os_str() == "-" => {
                (from(io::stdin().lock()), "standard input".to_owned())
            }
            Self::File(path) => (files::read_named(path, LONGEST as u64), path.display().to_string()),
            Self::Descriptor(number) => {
                let path = PathBuf::from(format!("/proc/self/fd/{number}"));
                (File::open(&path).and_then(from), format!("file descriptor {number}"))
            }
            Self::Ask => return ask("", of),
        };
        let bytes = bytes.map_err(|error| {
            Failure::new(format!("could not read the passphrase of {of} from {place}: {error}"))
        })?;
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        secret(line, of, &place)
    }
}

fn secret(line: &[u8], of: &str, place: &str) -> Result<Secret> {
    if line.is_empty() {
        return Err(Failure::usage(format!("{place} holds no passphrase for {of} in its first line")));
    }
    let text = std::str::from_utf8(line)
        .map_err(|_| Failure::usage(format!("the passphrase of {of} from {place} is not UTF-8")))?;
    Ok(Secret::new(text.to_owned()))
}

/// One line, and no more than fits: the writer may keep a pipe open.
fn from(mut source: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    let mut byte = [0];
    while line.len() <= LONGEST && source.read(&mut byte)? == 1 {
        if byte == *b"\n" {
            return Ok(line);
        }
        line.extend(byte);
    }
    if line.len() > LONGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("longer than {LONGEST} bytes")));
    }
    Ok(line)
}

/// On the terminal itself, whatever standard input and output are, and without an echo.
fn ask(question: &str, of: &str) -> Result<Secret> {
    let Ok(terminal) = OpenOptions::new().read(true).write(true).open("/dev/tty") else {
        return Err(Failure::usage(format!(
            "{of} is behind a passphrase, and there is no terminal to ask on"
        ))
        .hint("--ca-passphrase-file FILE, or - for standard input; --ca-passphrase-fd N"));
    };
    let failed =
        |error: io::Error| Failure::new(format!("could not ask for the passphrase of {of}: {error}"));
    let line = {
        let quiet = Quiet::on(&terminal).map_err(failed)?;
        let mut shown = &terminal;
        let line = shown.write_all(question.as_bytes()).and_then(|()| typed(&terminal));
        drop(quiet);
        let _ = shown.write_all(b"\n");
        line.map_err(failed)?
    };
    match line {
        Some(line) => secret(&line, of, "the terminal"),
        None => Err(Failure::interrupted(Signal::Interrupt)),
    }
}

/// What is typed up to the end of the line; `None` for Ctrl-C.
fn typed(mut terminal: &File) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    const INTERRUPT: u8 = 3;
    const END: u8 = 4;
    const ERASE: [u8; 2] = [8, 127];
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    let mut byte = [0];
    while line.len() < LONGEST && terminal.read(&mut byte)? == 1 {
        match byte[0] {
            b'\n' | b'\r' | END => break,
            INTERRUPT => return Ok(None),
            erase if ERASE.contains(&erase) => {
                // A whole character, however many bytes it has.
                while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            other => line.push(other),
        }
    }
    Ok(Some(line))
}

/// A terminal that shows nothing of what is typed, and hands over each byte, also Ctrl-C: no signal may end this
/// program before the terminal is as it was.
struct Quiet<'t> {
    terminal: &'t File,
    before: termios::Termios,
}

impl<'t> Quiet<'t> {
    fn on(terminal: &'t File) -> io::Result<Self> {
        let before = termios::tcgetattr(terminal.as_fd())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        termios::tcsetattr(terminal.as_fd(), OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(self.terminal.as_fd(), OptionalActions::Flush, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_one_line_of_text() {
        for (line, is) in [("open sesame", true), ("ü", true), ("", false)] {
            assert_eq!(secret(line.as_bytes(), "a key", "a file").is_ok(), is, "{line}");
        }
        assert!(secret(&[0xff], "a key", "a file").is_err());
        assert_eq!(from(&b"one\ntwo"[..]).unwrap().as_slice(), b"one");
        assert_eq!(from(&b"no end"[..]).unwrap().as_slice(), b"no end");
        assert!(from(&[b'x'; LONGEST + 1][..]).is_err());
    }

    #[test]
    fn it_comes_from_a_file_or_a_descriptor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("words");
        std::fs::write(&path, "open sesame\r\nand more\n").unwrap();
        let given = Passphrase::File(path.clone()).reveal("a key").unwrap();
        assert_eq!(given.reveal(), "open sesame");
        let open = File::open(&path).unwrap();
        let number = u32::try_from(std::os::fd::AsRawFd::as_raw_fd(&open)).unwrap();
        assert_eq!(Passphrase::Descriptor(number).reveal("a key").unwrap().reveal(), "open sesame");
        std::fs::write(&path, "\n").unwrap();
        assert!(Passphrase::File(path).reveal("a key").is_err());
    }
}
