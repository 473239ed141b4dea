//! Pure. Capabilities that a root agent-init needs to make another user of its agent.

use crate::doctor::finding::Finding;
use crate::doctor::input::DoctorInput;

/// Name, number (capabilities(7)) and what fails without it.
const NEEDED: [(&str, u32, &str); 5] = [
    ("CHOWN", 0, "the working copy cannot be given to the agent"),
    ("DAC_OVERRIDE", 1, "the agent's files cannot be read, and so not carried back"),
    ("KILL", 5, "signals cannot be sent to the agent: a stop takes docker's SIGKILL"),
    ("SETGID", 6, "the agent's group cannot be set, and it does not start"),
    ("SETUID", 7, "the agent's user cannot be set, and it does not start"),
];

/// What is missing, when the user changes.
pub fn missing(around: &DoctorInput) -> Vec<Finding> {
    let Some(process) = &around.process else { return Vec::new() };
    if around.current.0 != 0 || around.agent.0 == 0 {
        return Vec::new();
    }
    let lacks = NEEDED.iter().filter(|(_, number, _)| process.effective & (1 << number) == 0);
    lacks
        .map(|(name, _, what)| {
            let fix = format!("docker: --cap-add {name}; compose: cap_add: [{name}]; Kubernetes: capabilities.add");
            Finding::problem("capability", format!("CAP_{name}"), *what, fix)
        })
        .collect()
}
