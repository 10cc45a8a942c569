//! What a delegate does, once it is the user it is to be. Runs in the re-executed child only.

use std::fs::{self, TryLockError};
use std::io::{self, Read, Write as _};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Access, Mode, access};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{
    DumpableBehavior, Signal, kill_current_process_group, set_dumpable_behavior, setsid, umask,
};
use rustix::thread::set_no_new_privs;
use zeroize::Zeroizing;

use super::message::{Become, Reply, Request, Trouble, receive, send};
use crate::privilege::files;
use crate::server::said::ending;
use crate::server::{postmaster, stragglers};

/// The end of what a program printed that is worth showing, in bytes.
const OUTPUT_LIMIT: usize = 512 << 10;

const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(2);

/// The delegate's whole life: become the user, then answer until the pipe is closed.
pub(crate) fn main() -> ExitCode {
    close_what_was_inherited();
    let mut input = io::stdin().lock();
    let mut output = io::stdout().lock();
    let Ok(Some((who, _))) = receive::<Become>(&mut input) else {
        return ExitCode::from(2);
    };
    let became = become_user(&who);
    let failed = became.is_err();
    let greeting = became.map_or_else(|error| Reply::Failed(error.into()), |()| Reply::Done);
    if send(&mut output, &greeting, &[]).is_err() || failed {
        return ExitCode::from(1);
    }
    end_with_the_caller();
    loop {
        let (request, payload) = match receive::<Request>(&mut input) {
            Ok(Some(asked)) => asked,
            Ok(None) => return ExitCode::SUCCESS,
            Err(_) => return ExitCode::from(2),
        };
        if let Request::Connect { path } = &request {
            if connect(path, &mut output).is_err() {
                return ExitCode::from(1);
            }
            continue;
        }
        let (reply, bytes) = answer(&request, &payload)
            .unwrap_or_else(|error| (Reply::Failed(error.into()), Zeroizing::default()));
        if send(&mut output, &reply, &bytes).is_err() {
            return ExitCode::from(1);
        }
    }
}

/// Files that the caller's caller left open (a lock of `flock 9`, a pipe of make, what only root may
/// read) are not for the server, which would hold them as long as it runs.
fn close_what_was_inherited() {
    let Ok(open) = fs::read_dir("/proc/self/fd") else { return };
    // All numbers first: the listing has one of its own, which is closed by then.
    let numbers: Vec<i32> =
        open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        let _ = nix::unistd::close(number);
    }
}

fn become_user(who: &Become) -> io::Result<()> {
    // A session of its own: no terminal to write to, and Ctrl-C there does not reach it.
    setsid()?;
    set_no_new_privs(true)?;
    umask(Mode::from_raw_mode(0o077));
    if Uid::effective().as_raw() != who.uid {
        let gid = Gid::from_raw(who.gid);
        let uid = Uid::from_raw(who.uid);
        setgroups(&who.groups.iter().copied().map(Gid::from_raw).collect::<Vec<_>>())?;
        setresgid(gid, gid, gid)?;
        setresuid(uid, uid, uid)?;
    }
    // What passes through here (passwords, keys) is for no other process of this user to read. After the
    // change of user, which sets it anew from fs.suid_dumpable.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    if Uid::effective().as_raw() != who.uid || Uid::current().as_raw() != who.uid {
        return Err(io::Error::other("the system did not change the user"));
    }
    Ok(())
}

/// Once the caller is gone, what runs here (initdb, say) is ended too: nobody would hear the answer, and
/// the next command would find it still writing. A server has a group of its own and stays.
fn end_with_the_caller() {
    std::thread::spawn(|| {
        let stdin = io::stdin();
        // No event is asked for, so poll(2) tells of the other end's closing alone.
        let mut ends = [PollFd::new(&stdin, PollFlags::empty())];
        while poll(&mut ends, None) == Err(rustix::io::Errno::INTR) {}
        let _ = kill_current_process_group(Signal::KILL);
    });
}

type Answer = io::Result<(Reply, Zeroizing<Vec<u8>>)>;

fn answer(request: &Request, payload: &[u8]) -> Answer {
    let plain = |reply| Ok((reply, Zeroizing::default()));
    match request {
        Request::Reach { folder } => plain(Reply::Reached(reach(folder).map_err(Trouble::from))),
        Request::Read { path, limit } => Ok((Reply::Bytes, files::read(path, *limit)?)),
        Request::ReadThrough { path, limit } => Ok((Reply::Bytes, files::read_plain(path, *limit)?)),
        Request::Create { path, mode } => plain(done(files::create(path, *mode, payload)?)),
        Request::Replace { path, mode } => plain(done(files::replace(path, *mode, payload)?)),
        Request::List { folder } => plain(Reply::Names(files::names(folder)?)),
        Request::Empty { folder } => plain(done(empty(folder)?)),
        Request::TryListen { addresses } => plain(Reply::Listened(try_listen(addresses))),
        Request::Run { program, arguments, folder } => run(program, arguments, folder, payload),
        Request::StartServer { program, data, log, seconds } => {
            let (started, said) = postmaster::start(program, data, log, *seconds)?;
            Ok((Reply::Started(started), Zeroizing::new(said)))
        }
        Request::FindServer { data } => plain(Reply::Server(postmaster::find(data)?)),
        Request::StopServer { data, seconds } => plain(Reply::Stopped(postmaster::stop(data, *seconds)?)),
        Request::ReloadServer { data } => plain(Reply::Reloaded(postmaster::reload(data)?)),
        Request::Look { path } => plain(Reply::Seen(files::look(path)?)),
        Request::MayWrite { path } => plain(done(files::may_write(path)?)),
        Request::MakeFolder { path, mode } => plain(done(files::make_folder(path, *mode)?)),
        Request::Remove { path } => plain(done(files::remove(path)?)),
        Request::RemoveFolder { path } => plain(done(files::remove_folder(path)?)),
        Request::ReadFrom { path, offset, limit } => {
            Ok((Reply::Bytes, files::read_from(path, *offset, *limit)?))
        }
        Request::ReadEnd { path, limit } => Ok((Reply::Bytes, files::read_end(path, *limit)?)),
        // Answered where it is received: what follows the answer is no frame.
        Request::Connect { .. } => plain(Reply::Connected),
        Request::BeAlone { data, seconds } => plain(done(be_alone(data, *seconds)?)),
        Request::WaitUntilLeft { data, seconds } => {
            plain(Reply::AtWork(stragglers::wait_until_left(data, *seconds)?))
        }
    }
}

/// Opens a Unix socket in this user's name and hands it to the caller: the answer first, then one byte
/// that carries it (unix(7), SCM_RIGHTS).
fn connect(path: &Path, output: &mut (impl io::Write + AsFd)) -> io::Result<()> {
    let socket = match UnixStream::connect(path) {
        Ok(socket) => socket,
        Err(error) => return send(output, &Reply::Failed(error.into()), &[]),
    };
    send(output, &Reply::Connected, &[])?;
    let handed = [socket.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&handed));
    sendmsg(output.as_fd(), &[io::IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

const fn done(_: ()) -> Reply {
    Reply::Done
}

fn reach(folder: &Path) -> io::Result<()> {
    // The process's real uid is the user's too, so access(2) answers for the user.
    Ok(access(folder, Access::EXEC_OK)?)
}

/// Takes the lock that every delegate at work on a data directory holds, and keeps it. It goes with the
/// process, however that ends, and so after the last thing that the process did.
fn be_alone(data: &Path, seconds: u64) -> io::Result<()> {
    static HELD: OnceLock<fs::File> = OnceLock::new();
    if HELD.get().is_some() {
        return Ok(());
    }
    let file = files::open_plain(&data.join("PG_VERSION"))?;
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while let Err(error) = file.try_lock() {
        match error {
            TryLockError::Error(error) => return Err(error),
            TryLockError::WouldBlock if Instant::now() >= deadline => {
                return Err(io::Error::other("a process of an earlier command is still at work there"));
            }
            TryLockError::WouldBlock => std::thread::sleep(LOOK_AGAIN_AFTER),
        }
    }
    HELD.get_or_init(|| file);
    Ok(())
}

fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Listens on every address for a moment. With port 0 the port that the first one got is tried on
/// the others, a few times over, until one is free on all.
fn try_listen(addresses: &[SocketAddr]) -> Vec<Result<u16, Trouble>> {
    let once = || {
        let mut port = None;
        let mut outcomes = Vec::new();
        for address in addresses {
            let mut address = *address;
            if let (0, Some(port)) = (address.port(), port) {
                address.set_port(port);
            }
            // Let go at once: with one wildcard held, Linux refuses the other to anybody who does
            // not ask for IPV6_V6ONLY, as PostgreSQL does.
            let bound = TcpListener::bind(address).and_then(|listener| Ok(listener.local_addr()?.port()));
            if let Ok(got) = bound {
                port.get_or_insert(got);
            }
            outcomes.push(bound.map_err(Trouble::from));
        }
        outcomes
    };
    let taken = |outcomes: &[Result<u16, Trouble>]| {
        outcomes.iter().any(|outcome| {
            outcome.as_ref().is_err_and(|trouble| trouble.to_error().kind() == io::ErrorKind::AddrInUse)
        })
    };
    let mut outcomes = once();
    if addresses.iter().all(|address| address.port() == 0) {
        for _ in 0..10 {
            if !taken(&outcomes) {
                break;
            }
            outcomes = once();
        }
    }
    outcomes
}

/// Runs a program to its end, feeding it the payload, and keeps the end of what it printed.
fn run(program: &Path, arguments: &[String], folder: &Path, input: &[u8]) -> Answer {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut pipe) = child.stdin.take() {
        // A program that does not read its input is no error of ours.
        let _ = pipe.write_all(input);
    }
    let errors = child.stderr.take().map(|pipe| std::thread::spawn(|| end_of(pipe)));
    let mut said = child.stdout.take().map(end_of).unwrap_or_default();
    if let Some(Ok(errors)) = errors.map(std::thread::JoinHandle::join) {
        said.extend_from_slice(&errors);
    }
    let status = child.wait()?;
    Ok((Reply::Ran { success: status.success(), ending: ending(status) }, said))
}

/// Reads to the end and keeps the last [`OUTPUT_LIMIT`] bytes or up to twice as many, however much comes.
fn end_of(mut pipe: impl Read) -> Zeroizing<Vec<u8>> {
    let mut kept = Zeroizing::new(Vec::new());
    let mut chunk = Zeroizing::new(vec![0_u8; 64 << 10]);
    loop {
        match pipe.read(&mut chunk) {
            Ok(0) => return kept,
            Ok(length) => kept.extend(chunk.iter().take(length)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return kept,
        }
        if kept.len() > 2 * OUTPUT_LIMIT {
            let superfluous = kept.len() - OUTPUT_LIMIT;
            kept.drain(..superfluous);
        }
    }
}
