//! The mount table, from /proc/self/mountinfo (proc(5)). Pure but for `read`.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::fs::untrusted::{self, read_again};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where it is mounted.
    pub point: PathBuf,
    /// The mounted directory of the file system: `/` for all of it.
    pub root: PathBuf,
    /// The file system's type.
    pub kind: String,
    /// Whether the mount or its file system is read-only.
    pub read_only: bool,
}

/// The mount table. Of several mounts at one point, the last is on top.
#[derive(Debug, Clone, Default)]
pub struct Mounts(Vec<Mount>);

impl Mounts {
    /// The mount table of this process. Empty without /proc.
    ///
    /// Fails if it cannot be read: otherwise a mount would be taken for the agent's own directory and written over.
    pub fn read() -> anyhow::Result<Mounts> {
        let path = Path::new("/proc/self/mountinfo");
        let read = || match untrusted::image_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            table => table,
        };
        let table = read_again(read).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Mounts::parse(&table))
    }

    /// Parses the table. A malformed line is skipped; the kernel writes none.
    pub fn parse(text: &[u8]) -> Mounts {
        Mounts(text.split(|byte| *byte == b'\n').filter_map(parse_line).collect())
    }

    /// The mount at exactly this path.
    pub fn at(&self, path: &Path) -> Option<&Mount> {
        self.0.iter().rev().find(|mount| mount.point == path)
    }

    /// The mount that contains this path.
    pub fn holding(&self, path: &Path) -> Option<&Mount> {
        path.ancestors().find_map(|ancestor| self.at(ancestor))
    }

    /// The mounts below this path.
    pub fn below<'m>(&'m self, path: &'m Path) -> impl Iterator<Item = &'m Mount> {
        self.0.iter().filter(move |mount| mount.point != path && mount.point.starts_with(path))
    }
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let root = fields.nth(3)?;
    let point = fields.next()?;
    let options = fields.next()?;
    let mut rest = fields.skip_while(|field| *field != b"-").skip(1);
    let kind = String::from_utf8_lossy(rest.next()?).into_owned();
    let super_options = rest.nth(1).unwrap_or_default();
    let has_ro = |options: &[u8]| options.split(|byte| *byte == b',').any(|option| option == b"ro");
    Some(Mount {
        point: PathBuf::from(OsString::from_vec(unescape(point))),
        root: PathBuf::from(OsString::from_vec(unescape(root))),
        kind,
        read_only: has_ro(options) || has_ro(super_options),
    })
}

/// Decodes the octal escapes that the kernel writes for space, tab, newline and backslash.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let digits =
            tail.get(..3).filter(|digits| *first == b'\\' && digits.iter().all(|digit| (b'0'..=b'7').contains(digit)));
        if let Some(digits) = digits {
            plain.push(digits.iter().fold(0_u8, |value, digit| value.wrapping_mul(8).wrapping_add(digit - b'0')));
            rest = tail.get(3..).unwrap_or_default();
        } else {
            plain.push(*first);
            rest = tail;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TABLE: &[u8] = b"\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:26 / /home/my\\040user/.x rw,relatime shared:3 master:1 - overlay overlay rw
31 22 254:0 /f /data/.x/login ro,relatime - ext4 /dev/vda rw
32 22 0:9 / /late rw - nfs4 host:/x ro,vers=4
33 22 0:10 / /late rw - tmpfs t rw
";

    #[test]
    fn the_mount_of_a_path_is_found() {
        let mounts = Mounts::parse(TABLE);
        assert_eq!(mounts.at(Path::new("/home/my user/.x")).unwrap().kind, "overlay");
        let login = mounts.at(Path::new("/data/.x/login")).unwrap();
        assert_eq!((login.read_only, login.root.as_path()), (true, Path::new("/f")));
        assert_eq!(mounts.holding(Path::new("/late/a/b")).unwrap().kind, "tmpfs");
        assert_eq!(mounts.holding(Path::new("/elsewhere")).unwrap().point, Path::new("/"));
        assert_eq!(mounts.at(Path::new("/late")).unwrap().kind, "tmpfs");
        assert_eq!(mounts.at(Path::new("/data/.x")), None);
        assert_eq!(mounts.below(Path::new("/data/.x")).next().unwrap().point, Path::new("/data/.x/login"));
        assert_eq!(mounts.below(Path::new("/data/.x/login")).count(), 0);
        assert_eq!(mounts.below(Path::new("/data/.xx")).count(), 0);
    }

    proptest! {
        #[test]
        fn any_table_is_parsed_without_panic(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Mounts::parse(&text);
        }
    }
}
