//! Pure. Traps of compose's secrets.

use crate::doctor::finding::{Finding, shown};
use crate::doctor::input::{Role, Spot, Surroundings};

/// A secret that compose wrote into the container's layer (`secrets: NAME: environment:`): root's, and readable for all.
pub fn written_by_compose(spot: &Spot, _: &Surroundings) -> Option<Finding> {
    let found = spot.found.filter(|found| spot.role == Role::Secret && found.mode & 0o004 != 0)?;
    let in_layer = spot.mount.is_none() && spot.on.as_ref().is_some_and(|mount| mount.point.as_os_str() == "/");
    if !in_layer {
        return None;
    }
    let what = format!(
        "it lies in the container's own layer, mode {:o}: every process here can read it, the agent's too",
        found.mode
    );
    let fix = "use a file secret (secrets: NAME: file: PATH), which is mounted, with mode 600 on the host";
    Some(Finding::note("secret-in-layer", shown(&spot.path), what, fix))
}

/// A tmpfs on /run that covers what compose wrote to /run/secrets.
pub fn hidden_by_tmpfs(around: &Surroundings) -> Vec<Finding> {
    let Some(run) = around.spot(&Role::Run) else { return Vec::new() };
    let is_tmpfs = run.mount.as_ref().is_some_and(|mount| mount.kind == "tmpfs");
    let has_secrets = around.spot(&Role::RunSecrets).is_some_and(|secrets| secrets.found.is_some());
    let is_login = |spot: &Spot| {
        matches!(spot.role, Role::Secret | Role::Named(_) | Role::CapturedLogin | Role::PlacedLogin)
            && spot.found.is_some()
    };
    if !is_tmpfs || has_secrets || around.spots.iter().any(is_login) {
        return Vec::new();
    }
    let what = "it is a tmpfs and has no secrets/: if compose was to put secrets there from its environment, the tmpfs \
                hides them";
    let fix = "mount the tmpfs at /run/agent-init, or use file secrets; nothing to do where no secrets were given";
    vec![Finding::note("secrets-hidden", shown(&run.path), what, fix)]
}
