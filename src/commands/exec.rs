//! `exec`: runs a command as the user of the running agent, with its environment.

use std::ffi::OsString;

use anyhow::Context;

use crate::account::Identity;
use crate::config::ExecConfig;
use crate::env::Environment;
use crate::error::Failure;
use crate::launch::{PrivilegeDrop, exec_failure};
use crate::log::event::EventKey;
use crate::log::{Message, Reporter};
use crate::plan::Enforcement;
use crate::process::table;
use crate::process::table::Process;
use crate::state::Handed;
use crate::status::running;
use crate::sys::privilege;
use crate::sys::process::Program;
use crate::sys::signal::Inherited;

/// Executes the command in place of this process, so it returns only on failure.
pub fn exec(config: &ExecConfig, environment: &Environment, reporter: Reporter) -> anyhow::Result<u8> {
    let hint = "use exec in a container in which agent-init runs an agent; --state-dir names its state directory";
    let running = running::find(config.state_dir.as_deref(), environment)
        .map_err(|why| Failure::new(format!("cannot join the agent: {why}")).hint(hint))?;
    become_user_of(&running.agent)?;
    let (set, missing) = variables(&running.state.environment, &running.agent);
    if !missing.is_empty() {
        let text = format!("cannot read the agent's environment: the command runs without {}", missing.join(", "));
        let hint = "run docker exec as the agent's user, or as root";
        reporter.say(&Message::warning(text).event(EventKey::SharedEnvironment).hint(hint));
    }
    let unset = running.state.environment.unset.iter().chain(&missing).cloned().collect();
    let program = Program::new(&config.command, environment.with(&unset, &set))
        .context("COMMAND or the environment contains a NUL byte")?;
    Inherited::current().and_then(|inherited| inherited.restore()).context("cannot restore the signals")?;
    reporter.finish(None);
    let error = program.exec();
    Err(exec_failure(config.command.first().context("no COMMAND")?, &error).into())
}

/// Takes the user, the groups and the privilege limits of the agent.
fn become_user_of(agent: &Process) -> anyhow::Result<()> {
    let current = privilege::current();
    if current.0 != 0 && current.0 != agent.uid {
        let what = format!("the agent is uid {}, and this is uid {}", agent.uid, current.0);
        return Err(Failure::new(what).hint(format!("docker exec --user {} (or 0) ...", agent.uid)).into());
    }
    let identity =
        Identity { uid: agent.uid, gid: agent.gid, groups: Some(agent.groups.clone()), home: None, name: None };
    let enforcement = |agent_has_lost: bool, enforcement| if agent_has_lost { enforcement } else { Enforcement::Off };
    let privilege_drop = PrivilegeDrop {
        identity: &identity,
        changes_user: current.0 == 0 && identity.differs_from(current),
        drop_caps: enforcement(agent.bounding == 0, Enforcement::BestEffort),
        no_new_privs: enforcement(agent.no_new_privs, Enforcement::Required),
    };
    Ok(privilege_drop.apply()?)
}

/// The variables to set, and the names of those that cannot be read. The agent's environment is read after the switch
/// to its user: this needs no capability, and a forged environment can harm only the agent itself.
fn variables(handed: &Handed, agent: &Process) -> (Vec<(String, OsString)>, Vec<String>) {
    let mut set: Vec<(String, OsString)> =
        handed.set.iter().map(|(name, value)| (name.clone(), value.into())).collect();
    let agents_environment = if handed.kept.is_empty() { None } else { table::environment(agent.pid) };
    let mut missing = Vec::new();
    for name in &handed.kept {
        match agents_environment.as_ref().and_then(|environment| environment.get(name)) {
            Some(value) => set.push((name.clone(), value.to_owned())),
            None => missing.push(name.clone()),
        }
    }
    (set, missing)
}
