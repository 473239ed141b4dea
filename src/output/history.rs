//! Pure. `history` in text and JSON lines.

use crate::log::event::EventKey;
use crate::output::json_line;
use crate::output::page::{Line, Page, toned};
use crate::output::style::Tone;
use crate::store::journal::Event;
use crate::words::spelling;

/// What happened to one login.
#[derive(Debug)]
pub struct LoginHistory {
    /// The agent's title.
    pub title: String,
    /// The directory or store, as the operator wrote it.
    pub location: String,
    /// The newest last.
    pub events: Vec<Event>,
}

/// How many digits of a digest a person needs to tell a few versions apart.
const DIGITS: usize = 8;

/// The events of all logins as JSON lines, by time.
///
/// # Errors
/// As [`json_line`].
pub fn lines(logins: &[LoginHistory]) -> anyhow::Result<String> {
    let mut events: Vec<&Event> = logins.iter().flat_map(|login| &login.events).collect();
    events.sort_by(|a, b| a.at.cmp(&b.at));
    events.into_iter().map(json_line).collect()
}

/// A timeline of each login.
pub fn page(logins: &[LoginHistory]) -> Page {
    let mut page = Page::default();
    for (number, login) in logins.iter().enumerate() {
        if number > 0 {
            page.gap();
        }
        page.line(toned(Tone::Strong, format!("History of the {} login", login.title)));
        page.line(toned(Tone::Faint, format!("From {}. Times are in UTC.", login.location)));
        page.gap();
        if login.events.is_empty() {
            page.line("No events yet: nothing was refreshed, saved, adopted or lost here.");
        } else {
            page.page(timeline(&login.events));
        }
    }
    if logins.is_empty() {
        page.line("No login is stored here: a login directory (--capture) or a store (--store) has a history.");
    }
    page
}

fn timeline(events: &[Event]) -> Page {
    let longest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0);
    let width = longest(&mut events.iter().map(|event| event.event.chars().count()));
    let mut page = Page::default();
    for event in events {
        let versions = format!("{} > {}", version(event.before.as_deref()), version(event.after.as_deref()));
        let before = Line::default().text(format!("{}  ", time(&event.at)));
        let word = format!("{:width$}", event.event);
        let line = match tone(&event.event) {
            Some(tone) => before.tone(tone, word),
            None => before.text(word),
        };
        let who = format!("{} ({} {})", event.container, event.command, event.run);
        page.line(line.text(format!("  {versions}  {who}")).hanging(TIME + 2 + width + 2));
    }
    page
}

/// The width of a date and a time.
const TIME: usize = 19;

/// `2026-11-27T22:10:09.123Z` as `2026-11-27 22:10:09`.
fn time(at: &str) -> String {
    at.chars().take(TIME).map(|character| if character == 'T' { ' ' } else { character }).collect()
}

/// The beginning of a digest, or a dash of the same width.
fn version(digest: Option<&str>) -> String {
    format!("{:DIGITS$}", digest.unwrap_or("-").chars().take(DIGITS).collect::<String>())
}

fn tone(event: &str) -> Option<Tone> {
    match spelling::find(event)? {
        EventKey::LoggedOut => Some(Tone::Bad),
        EventKey::Conflict => Some(Tone::Notice),
        EventKey::Published | EventKey::Refreshed => Some(Tone::Good),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::style::Style;
    use crate::words::spelling::Words;

    fn event(event: EventKey, before: Option<&str>, after: Option<&str>) -> Event {
        Event {
            v: 1,
            at: "2026-11-27T22:10:09.123Z".to_owned(),
            container: "web-1".to_owned(),
            run: "0badcafe".to_owned(),
            command: "run".to_owned(),
            agent: "one".to_owned(),
            event: event.word().to_owned(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        }
    }

    #[test]
    fn a_line_says_when_what_which_login_and_who() {
        let events = vec![
            event(EventKey::Published, Some("0123456789ab"), Some("ba9876543210")),
            event(EventKey::LoggedOut, Some("ba9876543210"), None),
        ];
        let login = LoginHistory { title: "Title".to_owned(), location: "/FAKE".to_owned(), events };
        let expected = "\
History of the Title login
From /FAKE. Times are in UTC.

2026-11-27 22:10:09  published   01234567 > ba987654  web-1 (run 0badcafe)
2026-11-27 22:10:09  logged-out  ba987654 > -         web-1 (run 0badcafe)
";
        assert_eq!(page(&[login]).written(Style::PLAIN), expected);
    }

    #[test]
    fn json_lines_of_several_logins_are_in_order_of_time() {
        let of = |at: &str, agent: &str| {
            let event = Event { at: at.to_owned(), agent: agent.to_owned(), ..event(EventKey::Adopted, None, None) };
            LoginHistory { title: String::new(), location: String::new(), events: vec![event] }
        };
        let text = lines(&[of("2026-02", "b"), of("2026-01", "a"), of("2026-03", "c")]).unwrap();
        let agents: Vec<String> = text.lines().map(|line| serde_json::from_str::<Event>(line).unwrap().agent).collect();
        assert_eq!(agents, ["a", "b", "c"]);
    }
}
