//! Pure. `status` as metrics, in the `OpenMetrics` text format 1.0.
//!
//! It is valid in the older text format of Prometheus too, which node-exporter reads from files: it uses no type that only
//! `OpenMetrics` has (`stateset`, `info`), and `# UNIT` and `# EOF` are comments there.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::log::safe;
use crate::status::{AgentStatus, Health, WriteBackStatus};
use crate::words::spelling::Words;

/// The metrics of these agents. Accounts, paths and problems are left out: those who read metrics need not know them.
pub fn metrics(agents: &[AgentStatus]) -> String {
    let mut text = String::new();
    for family in FAMILIES {
        let samples = agents.iter().flat_map(|agent| (family.samples)(agent).into_iter().map(move |s| (agent, s)));
        let lines: String = samples.map(|(agent, sample)| line(family, agent, &sample)).collect();
        // A family without a sample says nothing.
        if !lines.is_empty() {
            text.push_str(&head(family));
            text.push_str(&lines);
        }
    }
    text + "# EOF\n"
}

/// Samples of one name.
struct Family {
    /// Ends with the unit, if there is one.
    name: &'static str,
    unit: Option<&'static str>,
    kind: Kind,
    help: &'static str,
    samples: fn(&AgentStatus) -> Vec<Sample>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gauge,
    Counter,
}

struct Sample {
    state: Option<Health>,
    value: u64,
}

const FAMILIES: &[Family] = &[
    Family {
        name: "agent_init_access_token_expires_seconds",
        unit: Some("seconds"),
        kind: Kind::Gauge,
        help: "Unix time at which the access token or long-lived token expires.",
        samples: |agent| time(agent.access_expires_at),
    },
    Family {
        name: "agent_init_login_expires_seconds",
        unit: Some("seconds"),
        kind: Kind::Gauge,
        help: "Unix time of the login deadline, which no refresh moves.",
        samples: |agent| time(agent.login_expires_at),
    },
    Family {
        name: "agent_init_state",
        unit: None,
        kind: Kind::Gauge,
        help: "1 for the state that the agent's login is in, 0 for the others.",
        samples: |agent| {
            let sample = |state: &Health| Sample { state: Some(*state), value: (*state == agent.state).into() };
            Health::VALUES.iter().map(sample).collect()
        },
    },
    Family {
        name: "agent_init_last_publish_timestamp_seconds",
        unit: Some("seconds"),
        kind: Kind::Gauge,
        help: "Unix time at which a refreshed login was last saved, by this container or another.",
        samples: |agent| agent.write_back.iter().flat_map(|write_back| time(write_back.publishes.newest)).collect(),
    },
    Family {
        name: "agent_init_publish_failures",
        unit: None,
        kind: Kind::Counter,
        help: "How many times saving a refreshed login began to fail. Retries do not count.",
        samples: |agent| of_write_back(agent, |write_back| write_back.publishes.failures),
    },
    Family {
        name: "agent_init_conflicts",
        unit: None,
        kind: Kind::Gauge,
        help: "Logins that lost against another one and are kept in conflicts/.",
        samples: |agent| of_write_back(agent, |write_back| number(write_back.kept.conflicts)),
    },
    Family {
        name: "agent_init_shared_by",
        unit: None,
        kind: Kind::Gauge,
        help: "Containers that use the login now.",
        samples: |agent| vec![Sample { state: None, value: number(agent.shared_by) }],
    },
];

fn time(at: Option<SystemTime>) -> Vec<Sample> {
    let since = at.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    since.map(|since| Sample { state: None, value: since.as_secs() }).into_iter().collect()
}

/// Nothing for an agent whose logins are not refreshed.
fn of_write_back(agent: &AgentStatus, value: fn(&WriteBackStatus) -> u64) -> Vec<Sample> {
    agent.write_back.iter().map(|write_back| Sample { state: None, value: value(write_back) }).collect()
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn head(family: &Family) -> String {
    let Family { name, unit, kind, help, .. } = family;
    let kind = match kind {
        Kind::Gauge => "gauge",
        Kind::Counter => "counter",
    };
    let unit = unit.map(|unit| format!("# UNIT {name} {unit}\n")).unwrap_or_default();
    format!("# TYPE {name} {kind}\n{unit}# HELP {name} {help}\n")
}

fn line(family: &Family, agent: &AgentStatus, sample: &Sample) -> String {
    let total = if family.kind == Kind::Counter { "_total" } else { "" };
    let mut labels = format!("agent=\"{}\"", escaped(&agent.agent));
    if let Some(state) = sample.state {
        let _ = write!(labels, ",state=\"{}\"", state.word());
    }
    format!("{}{total}{{{labels}}} {}\n", family.name, sample.value)
}

/// The value of a label.
fn escaped(text: &str) -> String {
    safe::sanitized(text).replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::status::{Kept, Publishes};

    fn agent(name: &str) -> AgentStatus {
        AgentStatus {
            agent: name.to_owned(),
            title: "Title".to_owned(),
            detected: true,
            method: "session".to_owned(),
            label: None,
            source: Some("capture:/FAKE-path".to_owned()),
            account: Some("FAKE@example.com".to_owned()),
            plan: None,
            access_expires_at: None,
            login_expires_at: None,
            refreshable: true,
            state: Health::Ok,
            problem: Some("FAKE problem".to_owned()),
            end: None,
            shadowed: Vec::new(),
            is_key_over_login: false,
            write_back: None,
            shared_by: 0,
            place: None,
        }
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 999)
    }

    #[test]
    fn every_metric_has_its_lines() {
        let full = AgentStatus {
            access_expires_at: Some(at(10)),
            login_expires_at: Some(at(20)),
            state: Health::Expiring,
            write_back: Some(WriteBackStatus {
                mode: "sync",
                target: Some("/FAKE-path".to_owned()),
                writable: true,
                last: None,
                at: None,
                kept: Kept { conflicts: 2, ..Kept::default() },
                publishes: Publishes { newest: Some(at(5)), failures: 3 },
            }),
            shared_by: 4,
            ..agent("one")
        };
        let expected = "\
# TYPE agent_init_access_token_expires_seconds gauge
# UNIT agent_init_access_token_expires_seconds seconds
# HELP agent_init_access_token_expires_seconds Unix time at which the access token or long-lived token expires.
agent_init_access_token_expires_seconds{agent=\"one\"} 10
# TYPE agent_init_login_expires_seconds gauge
# UNIT agent_init_login_expires_seconds seconds
# HELP agent_init_login_expires_seconds Unix time of the login deadline, which no refresh moves.
agent_init_login_expires_seconds{agent=\"one\"} 20
# TYPE agent_init_state gauge
# HELP agent_init_state 1 for the state that the agent's login is in, 0 for the others.
agent_init_state{agent=\"one\",state=\"ok\"} 0
agent_init_state{agent=\"one\",state=\"expiring\"} 1
agent_init_state{agent=\"one\",state=\"unsaved\"} 0
agent_init_state{agent=\"one\",state=\"expired\"} 0
agent_init_state{agent=\"one\",state=\"invalid\"} 0
agent_init_state{agent=\"one\",state=\"missing\"} 0
agent_init_state{agent=\"two\",state=\"ok\"} 1
agent_init_state{agent=\"two\",state=\"expiring\"} 0
agent_init_state{agent=\"two\",state=\"unsaved\"} 0
agent_init_state{agent=\"two\",state=\"expired\"} 0
agent_init_state{agent=\"two\",state=\"invalid\"} 0
agent_init_state{agent=\"two\",state=\"missing\"} 0
# TYPE agent_init_last_publish_timestamp_seconds gauge
# UNIT agent_init_last_publish_timestamp_seconds seconds
# HELP agent_init_last_publish_timestamp_seconds Unix time at which a refreshed login was last saved, by this container or another.
agent_init_last_publish_timestamp_seconds{agent=\"one\"} 5
# TYPE agent_init_publish_failures counter
# HELP agent_init_publish_failures How many times saving a refreshed login began to fail. Retries do not count.
agent_init_publish_failures_total{agent=\"one\"} 3
# TYPE agent_init_conflicts gauge
# HELP agent_init_conflicts Logins that lost against another one and are kept in conflicts/.
agent_init_conflicts{agent=\"one\"} 2
# TYPE agent_init_shared_by gauge
# HELP agent_init_shared_by Containers that use the login now.
agent_init_shared_by{agent=\"one\"} 4
agent_init_shared_by{agent=\"two\"} 0
# EOF
";
        assert_eq!(metrics(&[full, agent("two")]), expected);
    }

    #[test]
    fn without_agents_there_is_only_the_end() {
        assert_eq!(metrics(&[]), "# EOF\n");
    }

    #[test]
    fn labels_are_escaped() {
        let text = metrics(&[agent("a\"b\\c\nd")]);
        assert!(text.contains("{agent=\"a\\\"b\\\\c\u{fffd}d\"}"), "{text}");
    }
}
