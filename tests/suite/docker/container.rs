//! One container: how it is started, and what can be done to it.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, Ordering};

use super::engine::{CLIENT, Engine};
use crate::support::{Live, Outcome, Run, Sandbox, Session};

pub const DEBIAN: &str = "agent-debian";
pub const SCRATCH: &str = "agent-scratch";

/// Builds a `docker run`, without network unless told, of one of the images.
#[must_use]
pub struct Container<'a> {
    sandbox: &'a Sandbox,
    image: &'a str,
    network: &'static str,
    through: Vec<String>,
    name: String,
    docker: Vec<String>,
    arguments: Vec<String>,
    variables: Vec<(&'static str, String)>,
}

impl<'a> Container<'a> {
    pub fn of(sandbox: &'a Sandbox, image: &'a str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("agent-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let (docker, arguments, through, variables) = Default::default();
        Self { sandbox, image, network: "none", through, name, docker, arguments, variables }
    }

    /// In the engine's own network, where a vendor may be.
    pub fn engines_network(mut self) -> Self {
        self.network = "host";
        self
    }

    /// The docker client started by another program.
    pub fn through<I: IntoIterator<Item = S>, S: Into<String>>(mut self, wrapper: I) -> Self {
        self.through.extend(wrapper.into_iter().map(Into::into));
        self
    }

    /// Options of `docker run`.
    pub fn docker(mut self, options: &[&str]) -> Self {
        self.docker.extend(options.iter().map(ToString::to_string));
        self
    }

    /// Mounts something of the sandbox.
    pub fn bind(self, source: &str, target: &str) -> Self {
        let source = self.sandbox.text(source);
        self.docker(&[&format!("--volume={source}:{target}")])
    }

    pub fn bind_read_only(self, source: &str, target: &str) -> Self {
        self.bind(source, &format!("{target}:ro"))
    }

    /// Gives this login as `CLAUDE_CREDENTIALS_B64`.
    pub fn session(self, session: &Session) -> Self {
        self.docker(&["--env=CLAUDE_CREDENTIALS_B64"]).variable("CLAUDE_CREDENTIALS_B64", session.b64())
    }

    /// Sets a variable of the docker client, from which `--env=NAME` takes it.
    pub fn variable(mut self, name: &'static str, value: String) -> Self {
        self.variables.push((name, value));
        self
    }

    /// Options of agent-init.
    pub fn options(self, options: &[&str]) -> Self {
        self.arguments(options)
    }

    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(ToString::to_string));
        self
    }

    /// The stand-in agent with a script (see `support/agent.sh`).
    pub fn claude(self, script: &str) -> Self {
        self.arguments(&["claude", script])
    }

    /// Runs it to its end.
    pub fn run(self) -> Outcome {
        self.client().run()
    }

    pub fn start(self) -> Up<'a> {
        Up { live: self.client().start(), sandbox: self.sandbox, name: self.name }
    }

    /// The docker client attached to the container: its output is the container's, its exit status too.
    fn client(&self) -> Run {
        let network = format!("--network={}", self.network);
        let mut line = ["run", &network, "--name", &self.name].map(String::from).to_vec();
        line.extend(self.docker.iter().cloned());
        line.push(self.image.into());
        line.extend(self.arguments.iter().cloned());
        let client = client(self.sandbox, line).through(self.through.clone());
        self.variables.iter().fold(client, |client, (name, value)| client.env(name, value))
    }
}

/// The docker client is one more program to run in a sandbox; the variables of that run stay on this side.
pub fn client<S: Into<String>>(sandbox: &Sandbox, arguments: impl IntoIterator<Item = S>) -> Run {
    sandbox.raw(arguments).options(["-H", &Engine::get().unwrap().host()]).program(CLIENT)
}

/// A container that runs, seen through the client attached to it.
pub struct Up<'a> {
    live: Live,
    sandbox: &'a Sandbox,
    name: String,
}

impl Up<'_> {
    /// A command of docker about this container.
    pub fn docker(&self, command: &[&str]) -> Outcome {
        client(self.sandbox, command.iter().copied().chain([self.name.as_str()])).run().ok()
    }

    /// `docker exec` of these words, as the image's user or as another.
    pub fn exec(&self, options: &[&str], words: &[&str]) -> Outcome {
        let line = ["exec"].iter().chain(options).copied().chain([self.name.as_str()]).chain(words.iter().copied());
        client(self.sandbox, line).run()
    }

    pub fn stop(&self) {
        self.docker(&["stop"]);
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn running(&self) -> bool {
        self.docker(&["inspect", "--format={{.State.Running}}"]).stdout == "true\n"
    }

    pub fn wait(self) -> Outcome {
        self.live.wait()
    }
}

impl<'a> Up<'a> {
    /// `docker restart`; the new client shows the output of both lives.
    pub fn restart(self) -> Up<'a> {
        self.docker(&["restart"]);
        let live = client(self.sandbox, ["logs", "--follow", &self.name]).start();
        Up { live, ..self }
    }
}

impl Deref for Up<'_> {
    type Target = Live;
    fn deref(&self) -> &Live {
        &self.live
    }
}

impl DerefMut for Up<'_> {
    fn deref_mut(&mut self) -> &mut Live {
        &mut self.live
    }
}
