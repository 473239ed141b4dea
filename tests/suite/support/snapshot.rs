//! Texts as they were when somebody last looked at them, in `tests/snapshots/`.

use std::path::Path;

/// Asserts that the text is that of `tests/snapshots/NAME`. `UPDATE_SNAPSHOTS=1` writes it instead: read the diff then.
#[track_caller]
pub fn assert_snapshot(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let hint = "if it is meant: UPDATE_SNAPSHOTS=1 scripts/test snapshots";
    assert!(before == text, "{} is not what it was; {hint}\n--- it was\n{before}--- it is\n{text}", path.display());
}
