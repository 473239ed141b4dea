use crate::agent::{Catalog, rules};
use crate::setup::scanner::Scanner;
use crate::terminal::relay::ScreenFilter as _;

/// A definition that an image adds: refused with the line, or sound in everything that other code relies on.
pub fn definitions(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let definition = match rules::read(text) {
        Ok(definition) => definition,
        Err(why) => {
            let why = why.to_string();
            let line = why.strip_prefix("line ").and_then(|rest| rest.split_once(':')).map(|(line, _)| line);
            match line {
                Some(line) => {
                    let line: usize = line.parse().unwrap();
                    assert!((1..=text.split('\n').count()).contains(&line), "{why}");
                }
                None => {
                    assert!(why.starts_with("it is nested too deep") || why.starts_with("it holds too many"), "{why}");
                }
            }
            return;
        }
    };
    let is_component = |name: &str| !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']);
    let is_variable =
        |name: &String| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    assert!(definition.commands.iter().all(|name| is_component(name)));
    assert!(definition.variables().iter().all(is_variable));
    assert!(definition.home.default.starts_with("~/"));
    if let Some(session) = &definition.session {
        assert!(is_component(&session.file) && !session.access_token.is_empty());
    }
    if let Some(rule) = definition.login.as_ref().and_then(|login| login.token.as_ref()) {
        let mut shown = Vec::new();
        Scanner::new(rule).pass(input, &mut shown);
        assert!(shown.len() <= input.len());
    }
    let catalog = Catalog::with(&[("x.json".to_owned(), text.to_owned())]).unwrap();
    let entry = catalog.named(&definition.name).unwrap();
    assert_eq!(entry.text(), text);
    assert!(definition.commands.iter().all(|name| entry.has_command(name)));
    let json = crate::output::agents::json(&[(&definition, text)]).unwrap();
    assert!(json.ends_with('\n') && json.matches('\n').count() == 1);
}
