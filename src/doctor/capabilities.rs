//! Pure. Checks the capabilities that agent-init needs as root to run its agent as another user.

use crate::doctor::finding::Finding;
use crate::doctor::input::DoctorInput;

/// Name, number (capabilities(7)), and what fails without it.
const NEEDED: [(&str, u32, &str); 5] = [
    ("CHOWN", 0, "the working copy cannot be given to the agent"),
    ("DAC_OVERRIDE", 1, "the agent's files cannot be read, so refreshed logins are not saved"),
    ("KILL", 5, "signals cannot be sent to the agent: a stop needs the SIGKILL of docker"),
    ("SETGID", 6, "the agent does not start, because its group cannot be set"),
    ("SETUID", 7, "the agent does not start, because its user cannot be set"),
];

/// The missing ones, if the user changes.
pub fn missing(input: &DoctorInput) -> Vec<Finding> {
    let Some(process) = &input.process else { return Vec::new() };
    if input.current.0 != 0 || input.agent.0 == 0 {
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
