//! Pure. Checks mounts, owners, modes, capabilities, the clock and the sources, and says how to fix each problem. Each
//! check is one small function over a [`DoctorInput`].

mod capabilities;
pub mod finding;
pub mod input;
mod leftovers;
mod mounts;
mod owners;
mod secrets;
mod sources;

use std::path::Path;

pub use finding::Finding;
pub use sources::{Sources, check_sources};

use self::input::{DoctorInput, InspectedPath, PathRole};

/// A check of one path.
type PathCheck = fn(&InspectedPath, &DoctorInput) -> Option<Finding>;

const PATH_CHECKS: [PathCheck; 19] = [
    mounts::made_by_docker,
    mounts::sub_path,
    mounts::single_file,
    mounts::read_only,
    mounts::in_memory,
    mounts::in_the_container,
    mounts::network,
    mounts::full,
    owners::capture_closed,
    owners::login_closed,
    owners::capture_of_another,
    owners::open_to_others,
    owners::secret_closed,
    owners::working_directory_closed,
    secrets::written_by_compose,
    leftovers::state_directory,
    leftovers::recovery,
    leftovers::conflicts,
    leftovers::refresh_lock,
];

/// Checks that concern no single path.
const CHECKS: [fn(&DoctorInput) -> Vec<Finding>; 4] =
    [capabilities::missing, leftovers::clock, secrets::hidden_by_tmpfs, mounts::working_copy_on_disk];

/// Runs all checks of the input. Problems come first.
pub fn check_input(input: &DoctorInput) -> Vec<Finding> {
    let of_paths = input
        .inspected_paths
        .iter()
        .flat_map(|inspected| PATH_CHECKS.iter().filter_map(move |check| check(inspected, input)));
    let all: Vec<Finding> = of_paths.chain(CHECKS.iter().flat_map(|check| check(input))).collect();
    let mut findings: Vec<Finding> = all.iter().filter(|finding| !is_repeated(finding, &all)).cloned().collect();
    findings.sort_by_key(|finding| !finding.is_problem);
    findings
}

/// Whether a directory above has the same finding. A root of captures and the captures in it are on one mount.
fn is_repeated(finding: &Finding, all: &[Finding]) -> bool {
    let is_above =
        |other: &Finding| other.subject != finding.subject && Path::new(&finding.subject).starts_with(&other.subject);
    all.iter().any(|other| other.check == finding.check && other.what == finding.what && is_above(other))
}

/// Combines both kinds of findings, problems first. If owner, mode or mount explain why a source is unusable, only that
/// finding is kept, because its fix helps.
pub fn combine(check_input: Vec<Finding>, check_sources: Vec<Finding>) -> Vec<Finding> {
    let causes = ["made-by-docker", "capture-closed", "login-closed", "secret-closed"];
    let is_cause = |cause: &&Finding| causes.contains(&cause.check);
    let is_explained = |finding: &Finding| {
        let Some(path) = &finding.source else { return false };
        let explains =
            |cause: &Finding| path.starts_with(&cause.subject) || Path::new(&cause.subject).starts_with(path);
        check_input.iter().filter(is_cause).any(explains)
    };
    let rest: Vec<Finding> = check_sources.into_iter().filter(|finding| !is_explained(finding)).collect();
    let mut findings = check_input;
    findings.extend(rest);
    findings.sort_by_key(|finding| !finding.is_problem);
    findings
}

impl DoctorInput {
    fn inspected(&self, role: &PathRole) -> Option<&InspectedPath> {
        self.inspected_paths.iter().find(|inspected| inspected.role == *role)
    }
}

#[cfg(test)]
mod tests;
