use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::fs::mounts::{Mount, Mounts};

/// `/proc/self/mountinfo`: of two mounts at one point the last is found, and what was read is read again once it is written.
pub fn mounts(input: &[u8]) {
    let mounts = Mounts::parse(input);
    let points: Vec<&[u8]> = input
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
        .take(20)
        .collect();
    for point in points {
        let path = Path::new(std::ffi::OsStr::from_bytes(point));
        for found in [mounts.at(path), mounts.holding(path)].into_iter().flatten().chain(mounts.below(path)) {
            let again = Mounts::parse(&written(found));
            assert_eq!(again.at(&found.point), Some(found));
            assert!(again.holding(&found.point.join("below")).is_some());
        }
        assert!(mounts.at(path).is_none_or(|mount| mount.point == path));
        assert!(mounts.below(path).all(|mount| mount.point.starts_with(path)));
        assert!(mounts.holding(path).is_none_or(|mount| path.starts_with(&mount.point)));
    }
}

fn written(mount: &Mount) -> Vec<u8> {
    let escaped = |path: &Path| {
        path.as_os_str().as_bytes().iter().fold(String::new(), |text, byte| text + &format!("\\{byte:03o}"))
    };
    let options = if mount.read_only { "ro" } else { "rw" };
    format!("1 2 0:1 {} {} {options} - {} x rw\n", escaped(&mount.root), escaped(&mount.point), mount.kind).into_bytes()
}
