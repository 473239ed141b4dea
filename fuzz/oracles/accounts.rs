use crate::account::{Accounts, Current, Wanted, check_mapped, resolve};
use crate::error::Failure;

/// `/etc/passwd`, `/etc/group`, USER and the map of a user namespace, a NUL after each: nobody becomes root by accident.
pub fn accounts(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut parts = text.split('\0').map(str::to_owned);
    let mut part = || parts.next().unwrap_or_default();
    let accounts = Accounts { passwd: part(), group: part() };
    let (spec, map) = (part(), part());
    for current in [(0, 0), (1000, 1000)] {
        let identity = match resolve(&Wanted::Spec(spec.clone()), &accounts, &process(current)) {
            Ok(identity) => identity,
            Err(error) => {
                assert!(error.downcast_ref::<Failure>().is_some(), "{error:#}");
                continue;
            }
        };
        assert!(current.0 == 0 || (identity.uid, identity.gid) == current, "{identity:?}");
        assert!(identity.uid != u32::MAX && identity.gid != u32::MAX, "{identity:?}");
        assert!(identity.home.as_ref().is_none_or(|home| home.is_absolute()), "{identity:?}");
        if identity.uid == 0 {
            let user = spec.split(':').next().unwrap_or_default();
            let is_zero = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte == b'0');
            let mut entries = accounts.passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
            let is_named =
                entries.any(|entry| entry.first() == Some(&user) && entry.get(2).is_some_and(|uid| is_zero(uid)));
            assert!(is_zero(user) || is_named, "{identity:?}");
        }
        let _ = check_mapped(&identity, &map, &map);
    }
    let stays = resolve(&Wanted::Unchanged, &accounts, &process((1000, 1000))).unwrap();
    assert_eq!((stays.uid, stays.gid), (1000, 1000));
    assert!(accounts.shell_of(1000).is_none_or(|shell| shell.is_absolute()));
}

fn process((uid, gid): (u32, u32)) -> Current {
    Current { uid, gid, groups: Vec::new() }
}
