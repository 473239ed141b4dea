//! Where a login is made: a directory of its own, which goes with everything in it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::sys::dir::Dir;
use crate::sys::process;
use crate::workcopy::tree;

/// Where the working copies are: a directory of this process, new, and gone afterwards.
pub struct Workplace {
    parent: PathBuf,
    name: OsString,
    /// It holds what nothing else does.
    pub stays: bool,
}

impl Workplace {
    /// The directory of this process below `parent`; what a killed one left there is removed.
    #[must_use]
    pub fn under(parent: &Path) -> Workplace {
        let workplace =
            Workplace { parent: parent.to_owned(), name: format!("setup-{}", process::id()).into(), stays: false };
        // One of the same process id was killed.
        workplace.clear();
        workplace
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.parent.join(&self.name)
    }

    fn clear(&self) {
        if let Ok(parent) = Dir::open(&self.parent) {
            tree::remove(&parent, &self.name);
        }
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        if !self.stays {
            self.clear();
        }
    }
}
