//! The agent's user: docker's USER syntax, looked up in /etc/passwd and /etc/group. Pure.
//!
//! The parser is our own: getpwnam(3) in a static glibc binary would load the image's NSS modules as root.

use std::ffi::OsStr;
use std::path::PathBuf;

use crate::error::Failure;
use crate::looks::quoted;

/// The home of an agent whose user has no other.
pub const FALLBACK_HOME: &str = "/tmp/agent-home";

/// The texts of /etc/passwd and /etc/group. Of several entries with one name or number, the first counts.
#[derive(Debug, Default)]
pub struct Accounts {
    pub passwd: String,
    pub group: String,
}

/// The user that the agent runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
    /// The supplementary groups to set. `None` leaves them unchanged.
    pub groups: Option<Vec<u32>>,
    /// The home in the user's passwd entry.
    pub home: Option<PathBuf>,
    /// The user's name, if it has a passwd entry.
    pub name: Option<String>,
}

impl Identity {
    /// Whether its user or group differs from ours.
    pub fn differs_from(&self, (uid, gid): (u32, u32)) -> bool {
        (self.uid, self.gid) != (uid, gid)
    }
}

/// The user that the operator asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Our own user.
    Unchanged,
    /// `USER[:GROUP]`.
    Spec(String),
    /// The owner of a path.
    Owner { uid: u32, gid: u32 },
}

/// A line of /etc/passwd.
struct User<'t> {
    name: &'t str,
    uid: &'t str,
    gid: &'t str,
    home: &'t str,
    shell: &'t str,
}

impl Accounts {
    fn users(&self) -> impl Iterator<Item = User<'_>> {
        self.passwd.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let (name, _, uid, gid, _, home) =
                (fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?);
            (!name.is_empty()).then_some(User { name, uid, gid, home, shell: fields.next().unwrap_or_default() })
        })
    }

    /// The login shell in a user's entry.
    pub fn shell_of(&self, uid: u32) -> Option<PathBuf> {
        absolute_path(self.user_of(uid)?.shell)
    }

    /// Name, number and members of each group.
    fn groups(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.group.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let (name, _, gid) = (fields.next()?, fields.next()?, fields.next()?);
            (!name.is_empty()).then_some((name, gid, fields.next().unwrap_or_default()))
        })
    }

    fn user_of(&self, uid: u32) -> Option<User<'_>> {
        self.users().find(|user| parse_id(user.uid) == Some(uid))
    }

    fn memberships(&self, name: &str) -> Vec<u32> {
        let mut groups: Vec<u32> = self
            .groups()
            .filter(|(_, _, members)| members.split(',').any(|member| member == name))
            .filter_map(|(_, gid, _)| parse_id(gid))
            .collect();
        groups.dedup();
        groups
    }
}

/// The user and groups of this process.
#[derive(Debug, Clone, Default)]
pub struct Current {
    pub uid: u32,
    pub gid: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
}

impl Current {
    /// The groups that the container was given (`docker run --group-add`). Those that our own user has by /etc/group are
    /// not among them: another user must not get the groups of root.
    fn given_groups(&self, accounts: &Accounts) -> Vec<u32> {
        let own = accounts.user_of(self.uid).map(|user| accounts.memberships(user.name)).unwrap_or_default();
        let is_own = |group: &u32| own.contains(group) || [self.gid, 0].contains(group);
        self.groups.iter().copied().filter(|group| !is_own(group)).collect()
    }
}

/// Finds the user that the agent runs as. Fails for an unknown name, a number out of range, a damaged entry, or a
/// change that only root may make.
///
/// A user gets the groups of its entries in /etc/group, as from docker and gosu, and those that the container was given.
pub fn resolve(wanted: &Wanted, accounts: &Accounts, process: &Current) -> anyhow::Result<Identity> {
    let current = (process.uid, process.gid);
    let identity = match wanted {
        Wanted::Unchanged => by_number(accounts, current.0, Some(current.1), None),
        Wanted::Owner { uid, gid } => by_number(accounts, *uid, Some(*gid), Some(Vec::new())),
        Wanted::Spec(spec) => by_spec(accounts, spec)?,
    };
    if current.0 != 0 && identity.differs_from(current) {
        let what = format!("only root may change the user, and agent-init runs as uid {}", current.0);
        let hint = "start the container as root (no USER, no --user), or omit agent-init's --user";
        return Err(Failure::new(what).hint(hint).into());
    }
    // There is nothing to set, and no permission to set it.
    let groups = identity.groups.filter(|_| current.0 == 0).map(|mut groups| {
        let given = process.given_groups(accounts);
        groups.extend(given.into_iter().filter(|group| !groups.contains(group)).collect::<Vec<_>>());
        groups
    });
    Ok(Identity { groups, ..identity })
}

/// Fails for a user or group that this user namespace does not have. Rootless engines map only a few ids, and the
/// kernel's error is a mere EINVAL. `users` and `groups` are the texts of `/proc/self/uid_map` and `gid_map`. If they
/// could not be read, nothing is refused.
pub fn check_mapped(identity: &Identity, users: &str, groups: &str) -> anyhow::Result<()> {
    for (what, id, map) in [("uid", identity.uid, users), ("gid", identity.gid, groups)] {
        let ranges: Vec<(u64, u64)> = map.lines().filter_map(parse_id_range).collect();
        if ranges.is_empty() || ranges.iter().any(|(first, last)| (*first..=*last).contains(&u64::from(id))) {
            continue;
        }
        let available: Vec<String> = ranges.iter().map(|(first, last)| format!("{first} to {last}")).collect();
        let text = format!("{what} {id} is not in this container's user namespace, which has {}", available.join(", "));
        let hint = "choose one of these, or give the engine more ids (/etc/subuid, /etc/subgid)";
        return Err(Failure::new(text).hint(hint).into());
    }
    Ok(())
}

/// The first and last id of a line of a map, which holds first id inside, first id outside, and length.
fn parse_id_range(line: &str) -> Option<(u64, u64)> {
    let mut fields = line.split_ascii_whitespace().map(str::parse::<u64>);
    let (first, _, length) = (fields.next()?.ok()?, fields.next()?.ok()?, fields.next()?.ok()?);
    Some((first, first.checked_add(length.checked_sub(1)?)?))
}

fn by_number(accounts: &Accounts, uid: u32, gid: Option<u32>, groups: Option<Vec<u32>>) -> Identity {
    let user = accounts.user_of(uid);
    Identity {
        uid,
        // Never gid 0 by default: in too many images root's group can write too much.
        gid: gid.unwrap_or(uid),
        groups,
        home: user.as_ref().and_then(|user| absolute_path(user.home)),
        name: user.map(|user| user.name.to_owned()),
    }
}

fn by_spec(accounts: &Accounts, spec: &str) -> anyhow::Result<Identity> {
    let (user_text, group_text) = match spec.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (spec, None),
    };
    if user_text.is_empty() || group_text == Some("") {
        return Err(Failure::new(format!("user {} is not USER or USER:GROUP", shown(spec))).hint(SPEC_HINT).into());
    }
    let as_number = parse_id(user_text);
    let entry = accounts
        .users()
        .find(|user| user.name == user_text || (as_number.is_some() && parse_id(user.uid) == as_number));
    let group = group_text.map(|text| group_id(accounts, text)).transpose()?;
    let identity = match (entry, as_number) {
        (Some(user), _) => {
            let damaged =
                |what: &str| Failure::new(format!("the entry of '{user_text}' in /etc/passwd has no valid {what}"));
            let uid = parse_id(user.uid).ok_or_else(|| damaged("uid"))?;
            let gid = match group {
                Some(gid) => gid,
                None => parse_id(user.gid).ok_or_else(|| damaged("gid"))?,
            };
            // Like docker and gosu: an explicit group replaces the memberships.
            let groups = if group.is_some() { Vec::new() } else { accounts.memberships(user.name) };
            Identity {
                uid,
                gid,
                groups: Some(groups),
                home: absolute_path(user.home),
                name: Some(user.name.to_owned()),
            }
        }
        (None, Some(uid)) => by_number(accounts, uid, group, Some(Vec::new())),
        (None, None) if user_text.bytes().all(|byte| byte.is_ascii_digit()) => {
            return Err(Failure::new(format!("user {} is out of range", shown(user_text)))
                .hint("uids go up to 4294967294")
                .into());
        }
        (None, None) => {
            return Err(Failure::new(format!("no user {} in /etc/passwd", shown(user_text))).hint(SPEC_HINT).into());
        }
    };
    Ok(identity)
}

fn shown(text: &str) -> String {
    quoted(OsStr::new(text))
}

const SPEC_HINT: &str = "use a name in the image's /etc/passwd, or a number; with a group: name:group or 1000:1000";

fn group_id(accounts: &Accounts, text: &str) -> anyhow::Result<u32> {
    let as_number = parse_id(text);
    let entry =
        accounts.groups().find(|(name, gid, _)| *name == text || (as_number.is_some() && parse_id(gid) == as_number));
    match (entry, as_number) {
        (Some((_, gid, _)), _) => Ok(parse_id(gid)
            .ok_or_else(|| Failure::new(format!("the entry of '{text}' in /etc/group has no valid gid")))?),
        (None, Some(gid)) => Ok(gid),
        (None, None) => Err(Failure::new(format!("no group {} in /etc/group", shown(text))).hint(SPEC_HINT).into()),
    }
}

/// A uid or gid in decimal. 4294967295 is -1, which means "leave unchanged" to setresuid(2), so it is not a user.
fn parse_id(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number != u32::MAX)
}

fn absolute_path(text: &str) -> Option<PathBuf> {
    text.starts_with('/').then(|| PathBuf::from(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn process(uid: u32, gid: u32) -> Current {
        Current { uid, gid, groups: Vec::new() }
    }

    #[test]
    fn groups_that_the_container_was_given_are_kept_and_those_of_root_are_not() {
        let accounts = Accounts {
            passwd: "root:x:0:0::/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh\n".into(),
            group: "root:x:0:root\ndisk:x:6:root\nwheel:x:10:root,node\nextra:x:2000:\n".into(),
        };
        let process = Current { uid: 0, gid: 0, groups: vec![0, 6, 10, 2000] };
        let groups = |spec: &str| resolve(&Wanted::Spec(spec.into()), &accounts, &process).unwrap().groups;
        assert_eq!(groups("node"), Some(vec![10, 2000]));
        assert_eq!(groups("node:1000"), Some(vec![2000]));
        assert_eq!(groups("12345"), Some(vec![2000]));
        assert_eq!(resolve(&Wanted::Owner { uid: 5, gid: 5 }, &accounts, &process).unwrap().groups, Some(vec![2000]));
        // Nothing is set for a user who stays.
        assert_eq!(resolve(&Wanted::Unchanged, &accounts, &process).unwrap().groups, None);
    }

    fn accounts() -> Accounts {
        Accounts {
            passwd: "root:x:0:0:root:/root:/bin/sh\n\
                     garbage\n\
                     ::::::\n\
                     node:x:1000:1000::/home/node:/bin/sh\n\
                     node:x:2000:2000::/second:/bin/sh\n\
                     bad:x:zero:0::/bad:/bin/sh\n\
                     minus:x:4294967295:1::/:/bin/sh\n\
                     1234:x:50:60::/digits:/bin/sh\n"
                .into(),
            group: "root:x:0:\nwheel:x:10:node,root\ndocker:x:999:x,node\nno-gid:x:ten:node\nbroken\n".into(),
        }
    }

    fn spec(text: &str) -> Result<(u32, u32, Vec<u32>), String> {
        let found =
            resolve(&Wanted::Spec(text.into()), &accounts(), &Current::default()).map_err(|error| error.to_string())?;
        Ok((found.uid, found.gid, found.groups.unwrap()))
    }

    #[test]
    fn every_valid_spec_is_resolved() {
        let rows: [(&str, (u32, u32, Vec<u32>)); 11] = [
            ("node", (1000, 1000, vec![10, 999])),
            ("1000", (1000, 1000, vec![10, 999])),
            ("node:wheel", (1000, 10, vec![])),
            ("node:0", (1000, 0, vec![])),
            ("1000:5", (1000, 5, vec![])),
            ("root", (0, 0, vec![10])),
            ("0", (0, 0, vec![10])),
            ("12345", (12345, 12345, vec![])),
            ("12345:0", (12345, 0, vec![])),
            ("12345:docker", (12345, 999, vec![])),
            ("1234", (50, 60, vec![])),
        ];
        for (text, expected) in rows {
            assert_eq!(spec(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn an_invalid_spec_is_never_root() {
        for text in [
            "",
            ":",
            "node:",
            ":wheel",
            "nobody",
            "node:nogroup",
            "bad",
            "minus",
            "4294967295",
            "-1",
            "+1",
            "0x0",
            "99999999999",
            "node:no-gid",
            "node:1:2",
        ] {
            assert!(spec(text).is_err(), "{text}: {:?}", spec(text));
        }
    }

    #[test]
    fn only_root_may_change_the_user() {
        let to = |text: &str| resolve(&Wanted::Spec(text.into()), &accounts(), &process(1000, 1000));
        assert!(to("12345").is_err());
        assert!(to("node:0").is_err());
        assert_eq!(to("node").unwrap().groups, None);
        assert_eq!(resolve(&Wanted::Unchanged, &accounts(), &process(77, 0)).unwrap().gid, 0);
    }

    #[test]
    fn unmapped_ids_are_refused() {
        let rows: [(u32, u32, &str, &str, Option<&str>); 8] = [
            (1000, 1000, "         0          0 4294967295\n", "0 0 4294967295\n", None),
            (1000, 1000, "0 1000 1\n1 100000 65536\n", "0 1000 1\n1 100000 65536\n", None),
            (65536, 65536, "0 1000 1\n1 100000 65536\n", "0 1000 1\n1 100000 65536\n", None),
            (65537, 0, "0 1000 1\n1 100000 65536\n", "0 0 1\n", Some("uid 65537")),
            (1000, 5, "0 100000 1001\n", "0 100000 5\n", Some("gid 5")),
            (1, 1, "0 100000 1\n", "0 100000 1\n", Some("0 to 0")),
            (1, 1, "", "garbage\n", None),
            (1, 1, "0 0 0\n", "0 0 -1\n", None),
        ];
        for (uid, gid, users, groups, refused) in rows {
            let identity = Identity { uid, gid, groups: None, home: None, name: None };
            let error = check_mapped(&identity, users, groups).err().map(|error| error.to_string());
            assert_eq!(error.is_some(), refused.is_some(), "{uid}:{gid} {users}{groups}");
            assert!(error.unwrap_or_default().contains(refused.unwrap_or_default()), "{uid}:{gid}");
        }
    }

    proptest! {
        #[test]
        fn no_text_becomes_root_by_accident(passwd in "([a-z0-9:]{0,20}\n){0,5}", spec in "[a-z0-9:]{0,12}") {
            let accounts = Accounts { passwd: passwd.clone(), group: String::new() };
            if let Ok(found) = resolve(&Wanted::Spec(spec.clone()), &accounts, &Current::default()) {
                let user = spec.split(':').next().unwrap_or_default();
                let named_root = passwd.lines().any(|line| {
                    let fields: Vec<&str> = line.split(':').collect();
                    fields.len() > 5 && fields[0] == user && fields[2].parse() == Ok(0_u32)
                });
                prop_assert!(found.uid != 0 || named_root || user.parse() == Ok(0_u32));
            }
        }
    }
}
