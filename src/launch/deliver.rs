//! Passes a value to the agent by a file descriptor instead of its environment.

use std::ffi::OsString;

use anyhow::Context;

use crate::error::Failure;
use crate::facts::CandidateValue;
use crate::plan::AgentPlan;
use crate::sys::dir::{Attributes, set_mode_and_owner};
use crate::sys::pipe;
use crate::sys::pipe::Reader;

/// Descriptors that the agent inherits. Dropping this closes them in our process.
#[derive(Default)]
pub struct Deliveries {
    pipes: Vec<(String, Reader)>,
}

impl Deliveries {
    /// Fills a pipe for each plan that delivers by descriptor. A pipe is used because once the agent has read it,
    /// nothing is left that its children could open. Agents open it as `/proc/self/fd/N`, so it must belong to the
    /// agent's user.
    ///
    /// The descriptors survive every exec from now on, so no other child may be started until this is dropped.
    pub fn prepare(plans: &[AgentPlan<'_, '_>], owner: Option<(u32, u32)>) -> anyhow::Result<Deliveries> {
        let mut deliveries = Deliveries::default();
        for plan in plans {
            let (Some(variable), Some(Ok(CandidateValue::Value(value)))) =
                (&plan.descriptor, plan.chosen().map(|candidate| &candidate.found))
            else {
                continue;
            };
            let (reader, writer) = pipe::pipe().context("cannot make a pipe")?;
            writer.write_now(value.expose_secret()).with_context(|| {
                Failure::new(format!("--deliver fd: {variable}")).hint("a pipe holds 64 kB: use --deliver env")
            })?;
            set_mode_and_owner(&reader, Attributes { mode: 0o600, owner }).with_context(|| {
                Failure::new("--deliver fd: cannot give the pipe to the agent's user")
                    .hint("add the capability CHOWN, or use --deliver env")
            })?;
            reader.survive_exec().context("--deliver fd")?;
            deliveries.pipes.push((variable.clone(), reader));
        }
        Ok(deliveries)
    }

    /// The variables that name the descriptors.
    pub fn variables(&self) -> impl Iterator<Item = (String, OsString)> {
        self.pipes.iter().map(|(variable, reader)| (variable.clone(), reader.number().to_string().into()))
    }
}
