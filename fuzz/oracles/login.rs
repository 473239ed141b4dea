use serde_json::{Map, Value};

use crate::fs::untrusted::LIMIT;
use crate::fuzzing::{assert_clean, halves, with_definition};
use crate::login::entries::EntriesBase;
use crate::login::format::{Format, SessionFile};
use crate::login::history::History;
use crate::login::merge::{LoginState, MergeBase, Outcome, decide_after_log_in, reconcile};
use crate::login::source::decode_base64;
use crate::login::{Defect, Digest, Document, limits};

/// Two login documents of one agent: what each says, what a merge makes of them, and who wins.
pub fn login(input: &[u8]) {
    let Some((definition, rest)) = with_definition(input) else { return };
    let Some(rule) = &definition.session else { return };
    let (ours, theirs) = halves(rest);
    assert!(decode_base64(ours).is_none_or(|decoded| decoded.len() <= ours.len()));
    let (ours, theirs) = (Copy::read(ours, rule), Copy::read(theirs, rule));
    compare(&ours.version, &theirs.version);
    if ours.document.is_some() && theirs.document.is_some() {
        merge(&ours, &theirs, rule);
    }
}

struct Copy<'t> {
    text: &'t [u8],
    version: LoginState,
    document: Option<Document>,
}

impl Copy<'_> {
    fn read<'t>(text: &'t [u8], rule: &SessionFile) -> Copy<'t> {
        let document = match Document::parse(text, rule.format) {
            Ok(document) => document,
            Err(defect) => {
                assert_clean(&defect.to_string());
                return Copy { text, version: LoginState::defective(&defect), document: None };
            }
        };
        let version = match document.login(rule) {
            Ok(login) => {
                let mut tokens = rule.access_token.iter().filter_map(|field| document.text(field));
                let has_token = tokens.any(|token| !token.trim().is_empty());
                assert!(has_token || login.is_unknown_kind, "a login without a token");
                let again = again(&document.bytes(), Format::Json).map(|again| again.login(rule).unwrap());
                assert!(again.is_none_or(|again| again == login), "it is another once it was written");
                LoginState::Valid(login)
            }
            Err(defect) => {
                assert_clean(&defect.to_string());
                LoginState::defective(&defect)
            }
        };
        if let Some(left) = Document::without_login(rule, text) {
            let left = again(&left, rule.format);
            assert!(left.is_none_or(|left| rule.synced_keys.iter().all(|key| !left.has(&format!("/{key}")))));
        }
        Copy { text, version, document: Some(document) }
    }

    fn values(&self) -> Map<String, Value> {
        values(self.document.as_ref().unwrap())
    }
}

fn values(document: &Document) -> Map<String, Value> {
    limits::parse(&document.bytes()).unwrap()
}

/// What was written by us, read again: it may be larger than what it was read from, and so than what is read.
fn again(text: &[u8], format: Format) -> Option<Document> {
    match Document::parse(text, format) {
        Err(Defect::TooMany) => None,
        Err(Defect::TooLarge) if text.len() as u64 > LIMIT => None,
        document => Some(document.unwrap_or_else(|defect| panic!("it cannot be read once it was written: {defect}"))),
    }
}

/// Ours as it is written over theirs: what travels is ours, each entry is that of one of us, the rest is theirs.
fn merge(ours: &Copy<'_>, theirs: &Copy<'_>, rule: &SessionFile) {
    let base = EntriesBase::default();
    let Some(text) = Document::with_other_keys_of(rule, ours.text, Some(theirs.text), &base) else {
        return assert!(rule.synced_keys.is_empty() || rule.format == Format::Yaml);
    };
    let Some(merged) = again(&text, rule.format) else { return };
    let (from, to, whole) = (ours.values(), theirs.values(), values(&merged));
    let is_entries = |key: &str| rule.entries.iter().any(|rule| rule.key == key);
    for (key, value) in &whole {
        if is_entries(key) && to.get(key) != Some(value) {
            let members = value.as_object().expect("entries of ours are in it").iter();
            let is_in = |side: &Map<String, Value>, name: &str, member: &Value| {
                side.get(key)?.get(name).map(|there| there == member)
            };
            for (name, member) in members {
                let is_someones = [&from, &to].iter().any(|side| is_in(side, name, member) == Some(true));
                assert!(is_someones, "{key}: {name} is nobody's");
            }
            continue;
        }
        let source = if rule.synced_keys.contains(key) { &from } else { &to };
        assert_eq!(source.get(key), Some(value), "{key}");
    }
    let siblings = to.keys().filter(|key| !rule.synced_keys.contains(key));
    let travellers = from.keys().filter(|key| rule.synced_keys.contains(key));
    let new_entries = whole.keys().filter(|key| is_entries(key) && !to.contains_key(*key));
    assert_eq!(siblings.chain(travellers).chain(new_entries).count(), whole.len(), "a key was lost");
    if let (LoginState::Valid(ours), Ok(merged)) = (&ours.version, merged.login(rule)) {
        assert_eq!(ours.content, merged.content, "what travels is another after the way");
    }
    let twice = Document::with_other_keys_of(rule, ours.text, Some(&text), &base);
    assert!(twice.is_some_and(|twice| *twice == *text), "a second time changes something");
}

/// Only a usable login wins, and a spent one never does.
fn compare(ours: &LoginState, theirs: &LoginState) {
    let base = |version: &LoginState| version.login().map(MergeBase::from);
    for base in [None, base(ours), base(theirs)] {
        for known in [&[][..], &[ours], &[theirs], &[ours, theirs], &[theirs, ours]] {
            let mut history = History::default();
            known.iter().filter_map(|version| version.login()).for_each(|login| history.push(login.digest));
            let outcome = reconcile(base, ours, theirs, &history);
            let is_spent = |login: Option<Digest>| login.is_none_or(|login| history.is_ancestor(login));
            let digest = |version: &LoginState| version.login().map(|login| login.digest);
            match outcome {
                Outcome::Publish { .. } => assert!(!is_spent(digest(ours))),
                Outcome::Adopt { .. } => assert!(theirs.login().is_some()),
                Outcome::Kept => assert!(ours.login().is_some() && theirs.login().is_some()),
                Outcome::PublishEntries | Outcome::AdoptEntries => panic!("not decided by the logins"),
                Outcome::Unchanged | Outcome::LoggedOut | Outcome::Damaged | Outcome::Unknown => {}
            }
        }
    }
    assert!(!matches!(decide_after_log_in(ours, theirs), Outcome::Publish { .. }) || ours.login().is_some());
}
