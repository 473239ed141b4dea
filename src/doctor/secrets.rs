//! Pure. Checks for known problems with secrets of compose.

use crate::doctor::finding::{Finding, shown};
use crate::doctor::input::{DoctorInput, InspectedPath, PathRole};

/// A secret that compose wrote into the container's layer (`secrets: NAME: environment:`). root owns it, and everybody
/// can read it.
pub fn written_by_compose(inspected: &InspectedPath, _: &DoctorInput) -> Option<Finding> {
    let found = inspected.found.filter(|found| inspected.role == PathRole::Secret && found.mode & 0o004 != 0)?;
    let in_layer =
        inspected.mount.is_none() && inspected.on.as_ref().is_some_and(|mount| mount.point.as_os_str() == "/");
    if !in_layer {
        return None;
    }
    let what = format!(
        "it is in the container's own layer, mode {:o}: every process here can read it, including the agent",
        found.mode
    );
    let fix = "use a file secret (secrets: NAME: file: PATH), which is mounted, with mode 600 on the host";
    Some(Finding::note("secret-in-layer", shown(&inspected.path), what, fix))
}

/// A tmpfs on /run that covers what compose wrote to /run/secrets.
pub fn hidden_by_tmpfs(input: &DoctorInput) -> Vec<Finding> {
    let Some(run) = input.inspected(&PathRole::Run) else { return Vec::new() };
    let is_tmpfs = run.mount.as_ref().is_some_and(|mount| mount.kind == "tmpfs");
    let has_secrets = input.inspected(&PathRole::RunSecrets).is_some_and(|secrets| secrets.found.is_some());
    let is_login = |inspected: &InspectedPath| {
        matches!(
            inspected.role,
            PathRole::Secret | PathRole::Named(_) | PathRole::CapturedLogin | PathRole::ConfigDirLogin
        ) && inspected.found.is_some()
    };
    if !is_tmpfs || has_secrets || input.inspected_paths.iter().any(is_login) {
        return Vec::new();
    }
    let what = "it is a tmpfs without secrets/: if compose writes secrets there from its environment, the tmpfs hides \
                them";
    let fix = "if there are such secrets, mount the tmpfs at /run/agent-init or use file secrets";
    vec![Finding::note("secrets-hidden", shown(&run.path), what, fix)]
}
