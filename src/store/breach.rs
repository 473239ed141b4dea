//! What a store's helper, or the files of a store, do that the protocol does not allow. Pure.

use std::fmt;

use crate::fs::untrusted::LIMIT;
use crate::login::limits::Unparsed;

/// The maximum number of files in a store, not counting the record. A start writes each of them to disk.
pub const MAX_FILES: usize = 64;

/// Quotes nothing of an answer or a file.
#[derive(Debug)]
pub enum Breach {
    Unparsed(Unparsed),
    /// The answer speaks another version of the protocol.
    Protocol(u64),
    /// Files without the version of the content.
    NoVersion,
    NotBase64,
    FileName,
    /// So many files, which are more than [`MAX_FILES`].
    Files(usize),
    /// The files are larger than [`LIMIT`] in total.
    TooLarge,
    /// The answer to `put` says neither that it is stored nor that there is a conflict.
    NoPutResult,
    /// The answer to `lock` says nothing of the lease.
    NoLease,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Breach::Unparsed(why) => why.fmt(f),
            Breach::Protocol(version) => {
                write!(f, "it has protocol version {version}, and agent-init speaks version 1")
            }
            Breach::NoVersion => f.write_str("it has no version"),
            Breach::NotBase64 => f.write_str("one of its files is not base64"),
            Breach::FileName => {
                f.write_str("the name of a file has other characters than letters, digits, '.', '-' and '_'")
            }
            Breach::Files(count) => write!(f, "it has {count} files, more than the maximum of {MAX_FILES}"),
            Breach::TooLarge => write!(f, "its files are larger than {LIMIT} bytes in total"),
            Breach::NoPutResult => f.write_str(r#"it has neither "stored" with a version nor "conflict""#),
            Breach::NoLease => f.write_str(r#"it has neither "locked" nor "unsupported""#),
        }
    }
}
