//! Every form of every answer, with data that is anything at all.

use std::time::SystemTime;

use proptest::prelude::*;

use crate::agent::Definition;
use crate::config::Detail;
use crate::doctor::Finding;
use crate::log::event::EventKey;
use crate::log::safe::is_safe;
use crate::log::{Level, LogFormat, Message, Reporter};
use crate::login::merge::SyncResult;
use crate::output::style::Style;
use crate::output::{agents, doctor, json_line, openmetrics, plan, status};
use crate::state::Shadowed;
use crate::status::{AgentStatus, End, Health, Kept, PlaceStatus, Publishes, WriteBackStatus};

/// Text with many characters that are obeyed.
fn text() -> impl Strategy<Value = String> {
    let bad = prop::sample::select(
        "\0\u{1b}[31m\n\r\u{7f}\u{85}\u{9b}\u{202e}\u{2066}\u{2028}\u{2029}\u{61c}\u{200f}\u{feff}\u{e0041}\"\\"
            .chars()
            .collect::<Vec<_>>(),
    );
    prop::collection::vec(prop_oneof![bad, any::<char>()], 0..12).prop_map(|chars| chars.into_iter().collect())
}

fn agent(text: &str) -> AgentStatus {
    let some = || Some(text.to_owned());
    AgentStatus {
        agent: text.to_owned(),
        title: text.to_owned(),
        detected: true,
        method: text.to_owned(),
        label: some(),
        source: some(),
        account: some(),
        plan: some(),
        access_expires_at: Some(SystemTime::UNIX_EPOCH),
        login_expires_at: Some(SystemTime::UNIX_EPOCH),
        refreshable: true,
        state: Health::Unsaved,
        problem: some(),
        end: Some(End::Login(SystemTime::UNIX_EPOCH)),
        shadowed: vec![Shadowed { source: text.to_owned(), why: text.to_owned() }],
        is_key_over_login: true,
        write_back: Some(WriteBackStatus {
            mode: "sync",
            target: some(),
            writable: true,
            last: Some(SyncResult::Unknown),
            at: some(),
            kept: Kept { recovery: some(), conflicts: 2, conflicts_in: some() },
            publishes: Publishes { newest: Some(SystemTime::UNIX_EPOCH), failures: 2 },
        }),
        shared_by: 2,
        place: Some(PlaceStatus { path: text.to_owned(), why: some() }),
    }
}

fn definition(text: &str) -> Definition {
    let json = serde_json::json!({
        "name": "mine",
        "title": text,
        "commands": [text],
        "home": { "variable": "MINE_HOME", "default": "~/.mine" },
        "methods": [{ "method": "api-key", "label": text, "variable": "MINE_KEY" }],
    });
    let mut definition: Definition = serde_json::from_value(json).unwrap();
    definition.name = text.to_owned();
    definition
}

/// No colour is ours: what is left of an escape sequence is data's.
fn is_safe_page(page: &crate::output::page::Page) -> bool {
    let coloured = page.written(Style::COLOURED);
    is_safe(&page.written(Style::PLAIN)) && coloured.matches('\u{1b}').count() == coloured.matches("\u{1b}[").count()
}

proptest! {
    #[test]
    fn nothing_of_data_is_obeyed(text in text()) {
        let status = [agent(&text)];
        let lines = |page: &crate::output::page::Page| page.written(Style::PLAIN).lines().count();
        let page = status::page(&text, &status, SystemTime::now(), Detail::Verbose);
        prop_assert!(is_safe_page(&page));
        let other = status::page("x", &[agent("x")], SystemTime::now(), Detail::Verbose);
        prop_assert_eq!(lines(&page), lines(&other));
        prop_assert!(is_safe(&json_line(&status::Document::of(&status)).unwrap()));
        let metrics = openmetrics::metrics(&status);
        prop_assert!(is_safe(&metrics));
        prop_assert_eq!(metrics.lines().count(), openmetrics::metrics(&[agent("x")]).lines().count());

        let finding = |text: &str| Finding {
            source: None,
            check: "check",
            subject: text.to_owned(),
            what: text.to_owned(),
            fix: text.to_owned(),
            is_problem: true,
        };
        let page = doctor::page(&[finding(&text)]);
        prop_assert!(is_safe_page(&page));
        prop_assert_eq!(lines(&page), lines(&doctor::page(&[finding("x")])));
        prop_assert!(is_safe(&json_line(&doctor::Document::of(&[finding(&text)])).unwrap()));

        let definition = definition(&text);
        for page in [agents::list(&[&definition]), agents::one(&definition)] {
            prop_assert!(is_safe_page(&page));
        }
        prop_assert!(is_safe(&agents::json(&[(&definition, &serde_json::to_string(&text).unwrap())]).unwrap()));

        let view = plan::example(&text, &status);
        let page = plan::text::page(&view, &status, SystemTime::now());
        prop_assert!(is_safe_page(&page));
        prop_assert!(is_safe(&json_line(&view).unwrap()));

        for format in [LogFormat::Text, LogFormat::Json] {
            let reporter = Reporter { format, level: Level::Detail, on_raw_terminal: false };
            let message = Message::warning(text.as_str()).event(EventKey::Auth).agent(text.as_str()).hint(text.as_str());
            let said = reporter.render(&message);
            prop_assert!(is_safe(&said));
            prop_assert_eq!(said.lines().count(), if format == LogFormat::Text { 2 } else { 1 });
        }
    }
}

/// Once it is read again the reader learns how many it missed, in the form of the log.
#[test]
fn what_was_dropped_is_told() {
    let (reader, writer) = crate::sys::pipe::pipe().unwrap();
    let mut output = crate::sys::output::Output::of(std::os::fd::AsFd::as_fd(&writer));
    let reporter = Reporter { format: LogFormat::Json, level: Level::Notice, on_raw_terminal: false };
    for _ in 0..3 {
        output.write(vec![b'x'; 60_000]);
        output.write(vec![b'x'; 60_000]);
    }
    let mut file = std::fs::File::from(std::os::fd::AsFd::as_fd(&reader).try_clone_to_owned().unwrap());
    let mut seen = Vec::new();
    while !seen.ends_with(b"\n") {
        let mut chunk = vec![0; 65_536];
        let count = std::io::Read::read(&mut file, &mut chunk).unwrap();
        seen.extend_from_slice(chunk.get(..count).unwrap());
        output.flush(std::time::Instant::now());
        reporter.report_dropped(&mut output);
    }
    let text = String::from_utf8(seen).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.trim_start_matches('x')).unwrap();
    assert_eq!((&line["event"], &line["level"]), (&"messages-dropped".into(), &"warning".into()));
    assert!(line["message"].as_str().unwrap().contains("messages were dropped"), "{line}");
    assert!(output.is_done());
}
