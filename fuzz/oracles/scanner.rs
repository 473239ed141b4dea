use crate::agent::definition::TokenRule;
use crate::fuzzing::built_in;
use crate::setup::scanner::Scanner;
use crate::terminal::relay::ScreenFilter as _;

/// What a program shows that makes a token: the pieces in which it comes do not matter, and nothing of a token is shown
/// behind its prefix. The first byte is the width of the screen, the second where the input is cut.
pub fn scanner(input: &[u8]) {
    let [width, cut, text @ ..] = input else { return };
    let mut rules = built_in().iter().filter_map(|definition| definition.login.as_ref()?.token.as_ref());
    let Some(rule) = rules.next() else { return };
    let width = 1 + u16::from(*width);
    let (shown, token) = pass(rule, width, &[text]);
    let (head, tail) = text.split_at(text.len() * usize::from(*cut) / 256);
    assert_eq!(pass(rule, width, &[head, tail]), (shown.clone(), token.clone()), "the pieces matter");
    assert!(shown.len() <= text.len());
    let (prefix, characters) = (rule.prefix.as_bytes(), rule.characters());
    // Where a sequence may take a character of the prefix away, what stands in the bytes is not what is on the screen.
    let is_plain = text.iter().all(|byte| byte.is_ascii() && *byte != 0x1b);
    let shows = |window: &[u8]| window.strip_prefix(prefix).is_some_and(|after| characters.contains(&after[0]));
    assert!(!is_plain || !shown.windows(prefix.len() + 1).any(shows), "a token is shown");
    let Some(token) = token else { return };
    assert!(token.starts_with(prefix) && token.len() >= rule.least);
    assert!(token[prefix.len()..].iter().all(|byte| characters.contains(byte)));
}

fn pass(rule: &TokenRule, width: u16, pieces: &[&[u8]]) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut scanner = Scanner::new(rule);
    scanner.resized(width);
    let mut shown = Vec::new();
    for piece in pieces {
        scanner.pass(piece, &mut shown);
    }
    (shown, Box::new(scanner).found().map(|token| token.to_vec()))
}
