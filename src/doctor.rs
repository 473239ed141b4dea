//! Pure. What is wrong with mounts, owners, modes, capabilities, clock and sources, and how to mend each: one small
//! function for each check, over what was looked at.

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
pub use sources::{Sources, of_sources};

use self::input::{DoctorInput, InspectedPath, PathRole};

/// A check of one path. The first that finds something speaks for the path: what is not a file has no mode to mend.
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

/// Checks of the whole.
const CHECKS: [fn(&DoctorInput) -> Vec<Finding>; 4] =
    [capabilities::missing, leftovers::clock, secrets::hidden_by_tmpfs, mounts::working_copy_on_disk];

/// Everything that is to be said of the surroundings, problems first.
pub fn of_surroundings(input: &DoctorInput) -> Vec<Finding> {
    let of_spots = input
        .inspected_paths
        .iter()
        .flat_map(|inspected| PATH_CHECKS.iter().filter_map(move |check| check(inspected, input)));
    let all: Vec<Finding> = of_spots.chain(CHECKS.iter().flat_map(|check| check(input))).collect();
    let mut findings: Vec<Finding> = all.iter().filter(|finding| !is_said_above(finding, &all)).cloned().collect();
    findings.sort_by_key(|finding| !finding.is_problem);
    findings
}

/// Whether the same is said of a directory above: a root of captures and what is in it are on one mount.
fn is_said_above(finding: &Finding, all: &[Finding]) -> bool {
    let is_above =
        |other: &Finding| other.subject != finding.subject && Path::new(&finding.subject).starts_with(&other.subject);
    all.iter().any(|other| other.check == finding.check && other.what == finding.what && is_above(other))
}

/// Both kinds of findings, problems first. A source that is not usable because of its owner, its mode or its mount is
/// spoken of once, with the fix of that.
pub fn together(of_surroundings: Vec<Finding>, of_sources: Vec<Finding>) -> Vec<Finding> {
    let causes = ["made-by-docker", "capture-closed", "login-closed", "secret-closed"];
    let is_cause = |cause: &&Finding| causes.contains(&cause.check);
    let is_explained = |finding: &Finding| {
        let Some(path) = &finding.source else { return false };
        let explains =
            |cause: &Finding| path.starts_with(&cause.subject) || Path::new(&cause.subject).starts_with(path);
        of_surroundings.iter().filter(is_cause).any(explains)
    };
    let rest: Vec<Finding> = of_sources.into_iter().filter(|finding| !is_explained(finding)).collect();
    let mut findings = of_surroundings;
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
