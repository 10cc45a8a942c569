//! What is run in a container, for the `sh` of busybox and of Debian alike. Words come as arguments, never
//! pasted; bytes come over standard input.

/// Where a path leads.
pub(super) const REAL_PATH: &str =
    r#"test -d "$1" || { echo "No such file or directory" >&2; exit 1; }; readlink -f -- "$1""#;

/// Uid of the owner, the group that its processes have, and its name. The group is the running server's, else
/// the user's own: a data directory's may be root's, and with another group than its own nobody may look at a
/// process (ptrace(2), PTRACE_MODE_READ).
pub(super) const OWNER: &str = r#"
uid=$(stat -L -c %u -- "$1") || exit 1
name=$(stat -L -c %U -- "$1")
pid=$(head -n 1 -- "$1/postmaster.pid" 2>/dev/null)
case $pid in '' | *[!0-9]*) pid=none ;; esac
gid=
[ "$(stat -c %u "/proc/$pid" 2>/dev/null)" = "$uid" ] && gid=$(stat -c %g "/proc/$pid" 2>/dev/null)
[ -n "$gid" ] || gid=$(id -g "$name" 2>/dev/null) || gid=$(stat -L -c %g -- "$1")
echo "$uid $gid $name""#;

/// The real path, and on a line of its own what lies there; nothing where nothing does.
pub(super) const LOOK: &str = r#"
real=$(readlink -f -- "$1") || exit 0
[ -e "$real" ] || { [ -x "$(dirname -- "$real")" ] || { echo "Permission denied" >&2; exit 1; }; exit 0; }
printf '%s\n' "$real"
stat -c '%F|%u|%g|%a|%s' -- "$real""#;

/// At most so many bytes of a regular file.
pub(super) const READ: &str = r#"[ -f "$1" ] || { [ -e "$1" ] && echo "not a regular file" >&2 || echo "No such file or directory" >&2; exit 1; }
exec head -c "$2" -- "$1""#;

pub(super) const READ_END: &str = r#"[ -f "$1" ] || { echo "No such file or directory" >&2; exit 1; }
exec tail -c "$2" -- "$1""#;

/// From a byte on, counted from 1.
pub(super) const READ_FROM: &str = r#"[ -f "$1" ] || { echo "No such file or directory" >&2; exit 1; }
tail -c "+$2" -- "$1" | head -c "$3""#;

/// A whole new file by one rename. What came is counted, and then waits for a word: whoever sent it may have
/// died meanwhile, and half a file, or one that nobody stands for any more, must not take the place of a whole
/// one. Owner and group are the old one's where they can be. `sync` of a single file is not everybody's.
pub(super) const REPLACE: &str = r#"
set -e
path=$1 new=$2 mode=$3 length=$4
umask 077
rm -f -- "$new"
trap 'rm -f -- "$new"' EXIT
set -C
head -c "$length" > "$new"
[ "$(wc -c < "$new")" -eq "$length" ] || { echo "the bytes did not come whole" >&2; exit 1; }
chmod "$mode" -- "$new"
if [ -f "$path" ]; then
    was=$(stat -c '%u:%g' -- "$path")
    [ "$(stat -c '%u:%g' -- "$new")" = "$was" ] || chown "$was" -- "$new"
fi
sync "$new" 2>/dev/null || sync
echo whole
read -r word && [ "$word" = go ] || { echo "the sender is gone" >&2; exit 1; }
mv -f -- "$new" "$path"
trap - EXIT
sync "$(dirname -- "$path")" 2>/dev/null || sync"#;

pub(super) const MAKE_FOLDER: &str = r#"umask 077; mkdir -- "$1" && chmod "$2" -- "$1""#;

pub(super) const REMOVE: &str = r#"rm -- "$1" && sync"#;

pub(super) const REMOVE_FOLDER: &str = r#"rmdir -- "$1""#;

pub(super) const MAY_WRITE: &str =
    r#"[ -d "$1" ] && [ -w "$1" ] && [ -x "$1" ] || { echo "Permission denied" >&2; exit 1; }"#;

/// Names with NUL behind each, since they may hold anything else, `/` behind those of folders.
pub(super) const LIST: &str = r#"
[ -d "$1" ] || { [ -e "$1" ] && echo "Not a directory" >&2 || echo "No such file or directory" >&2; exit 1; }
[ -r "$1" ] && cd -- "$1" 2>/dev/null || { echo "Permission denied" >&2; exit 1; }
for name in * .[!.]* ..?*; do
    if [ -d "$name" ]; then printf '%s/\0' "$name"
    elif [ -e "$name" ] || [ -L "$name" ]; then printf '%s\0' "$name"
    fi
done"#;

/// Uid, working directory and program of the process that postmaster.pid names, then the file.
pub(super) const FIND_SERVER: &str = r#"
file=$1/postmaster.pid
[ -f "$file" ] || { printf '\n\n\n'; exit 0; }
pid=$(head -n 1 -- "$file")
case $pid in '' | *[!0-9]*) printf '\n\n\n'; head -c 4096 -- "$file"; exit 0 ;; esac
stat -c %u "/proc/$pid" 2>/dev/null || echo
readlink "/proc/$pid/cwd" 2>/dev/null || echo
cat "/proc/$pid/comm" 2>/dev/null || echo
head -c 4096 -- "$file""#;

/// Pid, uid and data directory: the process is looked at right before it is told.
pub(super) const RELOAD: &str = r#"
is_the_server() {
    [ "$(stat -c %u "/proc/$1")" = "$2" ] && [ "$(readlink "/proc/$1/cwd")" = "$3" ] || return 1
    case $(cat "/proc/$1/comm") in postgres*) ;; *) return 1 ;; esac
}
is_the_server "$@" || { echo "process $1 is not the server any more" >&2; exit 1; }
kill -HUP "$1""#;
