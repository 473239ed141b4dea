//! The environment that agent-init was started with. Pure.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use zeroize::Zeroize;

/// Variables and their values, in order. Values may be secrets, so they are wiped on drop.
#[derive(Default)]
pub struct Environment(Vec<(OsString, OsString)>);

impl Environment {
    /// From `std::env::vars_os`.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Environment {
        Environment(variables.into_iter().collect())
    }

    /// Parses /proc/PID/environ: `NAME=value`, each terminated by NUL.
    pub fn parse(bytes: &[u8]) -> Environment {
        let variable = |text: &[u8]| {
            let split = text.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
            let (name, value) = text.split_at_checked(split)?;
            let value = value.get(1..).unwrap_or_default();
            Some((OsStr::from_bytes(name).to_owned(), OsStr::from_bytes(value).to_owned()))
        };
        Environment(bytes.split(|byte| *byte == 0).filter_map(variable).collect())
    }

    /// The value of a variable, which may be empty. If a name occurs twice, the first counts, as in getenv(3).
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_os_str())
    }

    /// The value of a variable, unless it is empty: compose sets unset variables to the empty string.
    pub fn get_filled(&self, name: &str) -> Option<&OsStr> {
        self.get(name).filter(|value| !value.is_empty())
    }

    pub fn names(&self) -> impl Iterator<Item = &OsStr> {
        self.0.iter().map(|(name, _)| name.as_os_str())
    }

    /// All variables, as `NAME=value`.
    pub fn all(&self) -> Vec<OsString> {
        self.with(&BTreeSet::new(), &[])
    }

    /// The environment of a store's helper, as `NAME=value`. PID 1 holds it as long as it runs, so it contains no
    /// credential that only an agent uses.
    pub fn for_helpers(&self, is_agents_own: impl Fn(&[u8]) -> bool) -> Vec<OsString> {
        let given = self.0.iter().filter(|(name, _)| !is_agents_own(name.as_bytes()));
        given.map(|(name, value)| assignment(name, value)).collect()
    }

    /// Removes variables and wipes their values. Returns the names of those that existed.
    pub fn remove(&mut self, names: &BTreeSet<String>) -> Vec<String> {
        let is_named = |name: &OsStr| name.to_str().is_some_and(|name| names.contains(name));
        let mut removed = Vec::new();
        self.0.retain_mut(|(name, value)| {
            let is_kept = !is_named(name);
            if !is_kept {
                std::mem::take(value).into_vec().zeroize();
                removed.push(name.to_string_lossy().into_owned());
            }
            is_kept
        });
        removed
    }

    /// The variables as `NAME=value`, without those in `unset`, and with the values in `set`.
    pub fn with(&self, unset: &BTreeSet<String>, set: &[(String, OsString)]) -> Vec<OsString> {
        let replaced = |name: &OsStr| {
            name.to_str().is_some_and(|name| unset.contains(name) || set.iter().any(|(known, _)| known == name))
        };
        let kept = self.0.iter().filter(|(name, _)| !replaced(name)).map(|(name, value)| assignment(name, value));
        kept.chain(set.iter().map(|(name, value)| assignment(name.as_ref(), value))).collect()
    }
}

fn assignment(name: &OsStr, value: &OsStr) -> OsString {
    // With room for the NUL that exec adds.
    let mut bytes = Vec::with_capacity(name.len() + 1 + value.len() + 1);
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(b'=');
    bytes.extend_from_slice(value.as_bytes());
    OsString::from_vec(bytes)
}

impl Drop for Environment {
    fn drop(&mut self) {
        for (_, value) in &mut self.0 {
            std::mem::take(value).into_vec().zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_environ_is_parsed() {
        let environment = Environment::parse(b"A=1\0B=x=y\0=odd\0none\0C=\0");
        assert_eq!(environment.names().collect::<Vec<_>>(), ["A", "B", "C"]);
        assert_eq!(environment.get("B"), Some(OsStr::new("x=y")));
    }

    #[test]
    fn variables_are_set_and_unset() {
        let environment = Environment::new([("A", "1"), ("B", "2"), ("C", "")].map(|(k, v)| (k.into(), v.into())));
        let changed =
            environment.with(&BTreeSet::from(["A".into()]), &[("B".into(), "3".into()), ("D".into(), "4".into())]);
        assert_eq!(changed, ["C=", "B=3", "D=4"]);
        assert_eq!(environment.get("C"), Some(OsStr::new("")));
        assert_eq!(environment.get_filled("C"), None);
    }
}
