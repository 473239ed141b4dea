//! Login documents: tokens, expiry and account, found by the pointers of a definition. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fmt, io};

use serde_json::Value;
use zeroize::{Zeroize, Zeroizing};

use crate::fs::untrusted::LIMIT;
use crate::login::deadline::Deadline;
use crate::login::defect::Defect;
use crate::login::digest::Digest;
use crate::login::entries;
use crate::login::entries::{Change, ChangeKind, Entries, EntriesBase, Entry};
use crate::login::format::{EntryRule, Expiry, ExpiryUnit, Field, Form, Format, Required, SessionFile};
use crate::login::limits::Unparsed;
use crate::login::splice::{New, Splice, without_comment_lines};
use crate::login::{jwt, limits, yaml};

/// What is known about a usable login. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Digest of the tokens. It identifies the login however the file is formatted.
    pub digest: Digest,
    /// Digest of all synced fields. It tells whether anything of the login changed.
    pub content: Digest,
    /// Whether it has a refresh token.
    pub refreshable: bool,
    /// When the access token expires. `None` if the document does not say.
    pub expires_at: Option<SystemTime>,
    /// The login deadline, if the document notes one. See [`Login::ends_at`].
    pub deadline: Option<Deadline>,
    pub account: Option<String>,
    /// What the account has subscribed to.
    pub plan: Option<String>,
    /// The login is of a kind that the definition does not know, so its tokens were not found.
    pub is_unknown_kind: bool,
}

impl Login {
    /// When the login ends, although it is refreshed: the vendor may then refuse the next refresh.
    pub fn ends_at(&self, now: SystemTime) -> Option<SystemTime> {
        self.deadline?.at(now)
    }
}

/// A parsed document. Its strings are wiped when it is dropped.
pub struct Document(Value);

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document([REDACTED])")
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(map) => map.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl Document {
    pub fn parse(bytes: &[u8], format: Format) -> Result<Document, Defect> {
        if bytes.len() as u64 > LIMIT {
            return Err(Defect::TooLarge);
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(Defect::Empty);
        }
        let parsed = match format {
            Format::Json => limits::parse(bytes),
            Format::Jsonc => limits::parse(&without_comment_lines(bytes)),
            Format::Yaml => return yaml::parse(bytes).map(Document),
        };
        let document = Document(parsed.map_err(|why| defect_of(&why))?);
        if document.0.is_object() { Ok(document) } else { Err(Defect::NotAnObject) }
    }

    /// The login in the document, or the defect that makes it unusable.
    pub fn login(&self, rule: &SessionFile) -> Result<Login, Defect> {
        let access = self.token(&rule.access_token);
        let refresh = self.token(&rule.refresh_token);
        let first_pointer = || rule.access_token.first().map(|field| field.pointer.clone()).unwrap_or_default();
        let access = match access {
            None if self.is_unknown_kind(rule) => return Ok(self.login_of_unknown_kind(rule)),
            None => return Err(Defect::NoToken(first_pointer())),
            Some(access) if access.trim().is_empty() => return Err(Defect::Blank),
            Some(access) => access,
        };
        for required in &rule.required {
            self.check_required(required)?;
        }
        let refresh = refresh.filter(|token| !token.trim().is_empty());
        let expires_at = self.time(rule.expiry.as_ref());
        Ok(Login {
            digest: Digest::of_parts(&[access.as_bytes(), refresh.unwrap_or_default().as_bytes()]),
            content: self.content(rule),
            refreshable: refresh.is_some(),
            expires_at,
            deadline: self.time(rule.deadline.as_ref()).and_then(|at| Deadline::noted(at, expires_at)),
            account: rule.account.iter().filter(|field| field.file.is_none()).find_map(|field| self.text(field)),
            plan: rule.plan.iter().find_map(|field| self.text(field)),
            is_unknown_kind: false,
        })
    }

    /// Whether the file names a kind of login that is not known. It may be newer than the definition.
    fn is_unknown_kind(&self, rule: &SessionFile) -> bool {
        let Some(kind) = &rule.kind else { return false };
        let named = find_value(&self.0, &kind.pointer).and_then(Value::as_str).unwrap_or_default();
        !named.is_empty() && !kind.known.iter().any(|known| known == named)
    }

    /// A login of which only the agent knows the tokens. Every change of the file makes another login.
    fn login_of_unknown_kind(&self, rule: &SessionFile) -> Login {
        let content = self.content(rule);
        Login {
            digest: content,
            content,
            refreshable: false,
            expires_at: None,
            deadline: None,
            account: None,
            plan: None,
            is_unknown_kind: true,
        }
    }

    /// Checks one requirement. A null value counts as missing.
    fn check_required(&self, required: &Required) -> Result<(), Defect> {
        let value = |pointer: &str| find_value(&self.0, pointer).filter(|value| !value.is_null());
        if required.when.as_deref().is_some_and(|when| value(when).is_none()) {
            return Ok(());
        }
        let pointer = || required.pointer.clone();
        let found = value(&required.pointer).ok_or_else(|| Defect::Missing(pointer()))?;
        if let Some(word) = &required.contains
            && !found.as_array().is_some_and(|items| items.iter().any(|item| item.as_str() == Some(word)))
        {
            return Err(Defect::Lacks { pointer: pointer(), word: word.clone() });
        }
        match required.form {
            Some(Form::Jwt) if !found.as_str().is_some_and(jwt::is_well_formed) => Err(Defect::NotAJwt(pointer())),
            _ => Ok(()),
        }
    }

    /// The text of a field. `None` if it is empty or not a string.
    pub fn text(&self, field: &Field) -> Option<String> {
        match self.field(field)? {
            Value::String(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// Whether this top-level key has text.
    pub fn has_text(&self, key: &str) -> bool {
        self.0.get(key).and_then(Value::as_str).is_some_and(|text| !text.is_empty())
    }

    /// Whether there is a value at this pointer.
    pub fn has(&self, pointer: &str) -> bool {
        find_value(&self.0, pointer).is_some()
    }

    /// Whether this value is at this pointer.
    pub fn is_at(&self, pointer: &str, value: &Value) -> bool {
        find_value(&self.0, pointer) == Some(value)
    }

    /// The login file `bytes` as it is to be written over the file `there`: the synced keys of `bytes` with the other
    /// keys of `there`, in which the entries are merged. All keep their bytes. `None` if `bytes` is to be written
    /// unchanged.
    pub fn with_other_keys_of(
        rule: &SessionFile,
        bytes: &[u8],
        there: Option<&[u8]>,
        base: &EntriesBase,
    ) -> Option<Zeroizing<Vec<u8>>> {
        // Only JSON files have keys that are not synced.
        if rule.synced_keys.is_empty() || rule.format == Format::Yaml {
            return None;
        }
        let there = there?;
        let into = Document::parse(there, rule.format).ok()?.entries(rule);
        let from = Document::parse(bytes, rule.format).ok()?.entries(rule);
        let merged = merge_texts(rule, &rule.synced_keys, (bytes, there), &entries::changes(base, &from, &into));
        if Document::parse(&merged, rule.format).is_ok() {
            return Some(merged);
        }
        // The login must not be lost because the entries of both sides are too much for one file.
        Some(merge_texts(rule, &rule.synced_keys, (bytes, there), &[]))
    }

    /// The login file `there`, with the entries of the login file `from` merged into it. `None` if that changes nothing, or
    /// if it would not be readable.
    pub fn with_entries_of(
        rule: &SessionFile,
        from: &[u8],
        there: &[u8],
        base: &EntriesBase,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let into = Document::parse(there, rule.format).ok()?.entries(rule);
        let entries = Document::parse(from, rule.format).ok()?.entries(rule);
        let changes = entries::changes(base, &entries, &into);
        if changes.is_empty() {
            return None;
        }
        let merged = merge_texts(rule, &[], (from, there), &changes);
        Document::parse(&merged, rule.format).is_ok().then_some(merged)
    }

    /// The entries in the document.
    pub fn entries(&self, rule: &SessionFile) -> Entries {
        let mut entries = Entries::default();
        for rule in &rule.entries {
            if let Some(Value::Object(members)) = self.0.get(&rule.key) {
                let known = members.iter().map(|(name, value)| (name.clone(), entry_of(rule, name, value)));
                entries.insert_object(&rule.key, known.collect());
            }
        }
        entries
    }

    /// A login file without the synced keys. `None` if nothing would be left, or if the file does not parse.
    pub fn without_login(rule: &SessionFile, bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let document = Document::parse(bytes, rule.format).ok()?;
        let is_synced = |name: &str| rule.synced_keys.iter().any(|key| key == name);
        let has_other_keys = document.0.as_object().is_some_and(|map| map.keys().any(|key| !is_synced(key)));
        if !has_other_keys || rule.synced_keys.is_empty() || rule.format == Format::Yaml {
            return None;
        }
        let mut rest = Splice::new(bytes);
        rest.remove(&[], &is_synced);
        Some(rest.finish().unwrap_or_else(|| Zeroizing::new(bytes.to_vec())))
    }

    /// Removes or sets what is at a JSON pointer. A segment `*` stands for every child. Nothing is added.
    pub fn change(&mut self, pointer: &str, new: Option<&Value>) {
        change(&mut self.0, pointer, new);
    }

    /// The document as JSON text.
    pub fn bytes(&self) -> Zeroizing<Vec<u8>> {
        to_json(&self.0)
    }

    fn content(&self, rule: &SessionFile) -> Digest {
        if rule.synced_keys.is_empty() {
            return Digest::of_parts(&[&to_json(&self.0)]);
        }
        let parts: Vec<_> =
            rule.synced_keys.iter().map(|key| to_json(self.0.get(key).unwrap_or(&Value::Null))).collect();
        Digest::of_parts(&parts.iter().map(|bytes| bytes.as_slice()).collect::<Vec<_>>())
    }

    fn token(&self, fields: &[Field]) -> Option<&str> {
        fields.iter().find_map(|field| find_value(&self.0, &field.pointer)?.as_str())
    }

    fn time(&self, rule: Option<&Expiry>) -> Option<SystemTime> {
        let rule = rule?;
        expiry_time(&self.field(&rule.field)?, rule.unit)
    }

    fn field(&self, field: &Field) -> Option<Value> {
        let value = find_value(&self.0, &field.pointer)?;
        match &field.claim {
            None => Some(value.clone()),
            Some(claim) => {
                let claims = Document::parse(&jwt::claims(value.as_str()?)?, Format::Json).ok()?;
                find_value(&claims.0, claim).cloned()
            }
        }
    }
}

/// `there` with these keys of `bytes`, and with these changes of entries.
fn merge_texts(
    rule: &SessionFile,
    keys: &[String],
    (bytes, there): (&[u8], &[u8]),
    changes: &[Change<'_>],
) -> Zeroizing<Vec<u8>> {
    let (from, mut merged) = (Splice::new(bytes), Splice::new(there));
    let values = keys.iter().map(|key| (key.as_str(), from.value(&[key.as_str()])));
    let (set, gone): (Vec<_>, Vec<_>) = values.partition(|(_, value)| value.is_some());
    let mut set: Vec<_> = set.into_iter().filter_map(|(key, value)| Some((key, New::Bytes(value?)))).collect();
    let mut new_objects = Vec::new();
    for EntryRule { key, .. } in &rule.entries {
        let of_key = |kind| changes.iter().filter(move |change| change.key == key && change.kind == kind);
        let entries: Vec<_> = of_key(ChangeKind::Set)
            .filter_map(|change| Some((change.name, from.value(&[key.as_str(), change.name])?)))
            .collect();
        if merged.value(&[key.as_str()]).is_some_and(|object| object.starts_with(b"{")) {
            let entries: Vec<_> = entries.into_iter().map(|(name, value)| (name, New::Bytes(value))).collect();
            let is_removed = |name: &str| of_key(ChangeKind::Remove).any(|change| change.name == name);
            merged.change(&[key.as_str()], &is_removed, &entries);
        } else if !entries.is_empty() {
            new_objects.push((key.as_str(), object_text(&entries)));
        }
    }
    set.extend(new_objects.iter().map(|(key, text)| (*key, New::Bytes(text))));
    merged.change(&[], &|name| gone.iter().any(|(key, _)| *key == name), &set);
    merged.finish().unwrap_or_else(|| Zeroizing::new(there.to_vec()))
}

/// An object with these members, as JSON text.
fn object_text(members: &[(&str, &[u8])]) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(b"{".to_vec());
    for (name, value) in members {
        if text.len() > 1 {
            text.push(b',');
        }
        text.extend_from_slice(Value::from(*name).to_string().as_bytes());
        text.push(b':');
        text.extend_from_slice(value);
    }
    text.push(b'}');
    text
}

/// What is known about an entry. One that is not an object is not usable, and is left alone.
fn entry_of(rule: &EntryRule, name: &str, value: &Value) -> Entry {
    let token = rule.access_token.as_ref().map(|field| find_value(value, &field.pointer).and_then(Value::as_str));
    let has_refresh_token = rule.refresh_token.as_ref().is_some_and(|field| {
        find_value(value, &field.pointer).and_then(Value::as_str).is_some_and(|token| !token.is_empty())
    });
    Entry {
        is_refreshable: has_refresh_token,
        digest: Digest::of_parts(&[rule.key.as_bytes(), name.as_bytes(), &to_json(value)]),
        is_usable: value.is_object() && token.is_none_or(|token| token.is_some_and(|token| !token.trim().is_empty())),
        expires_at: rule
            .expiry
            .as_ref()
            .and_then(|expiry| expiry_time(find_value(value, &expiry.field.pointer)?, expiry.unit)),
    }
}

fn defect_of(why: &Unparsed) -> Defect {
    match *why {
        Unparsed::TooDeep => Defect::TooDeep,
        Unparsed::TooMany => Defect::TooMany,
        // The parser's own message may quote the document, so it is left out.
        Unparsed::NotJson { line, column, .. } => Defect::NotJson { line, column },
    }
}

/// A value as JSON text. The vector gets its final size first: one that grows leaves its old bytes behind, unwiped.
fn to_json(value: &Value) -> Zeroizing<Vec<u8>> {
    let mut size = Counter(0);
    let _ = serde_json::to_writer(&mut size, value);
    let mut text = Zeroizing::new(Vec::with_capacity(size.0));
    let _ = serde_json::to_writer(&mut *text, value);
    text
}

/// A writer that only counts bytes.
struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The value at a JSON pointer. A segment `*` matches the first child that has the rest of the pointer.
fn find_value<'v>(value: &'v Value, pointer: &str) -> Option<&'v Value> {
    let Some(rest) = pointer.strip_prefix('/') else { return pointer.is_empty().then_some(value) };
    let (segment, tail) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    match (value, segment) {
        (Value::Object(map), "*") => map.values().find_map(|child| find_value(child, tail)),
        (Value::Array(items), "*") => items.iter().find_map(|child| find_value(child, tail)),
        (Value::Object(map), _) => find_value(map.get(&segment.replace("~1", "/").replace("~0", "~"))?, tail),
        (Value::Array(items), _) => find_value(items.get(segment.parse::<usize>().ok()?)?, tail),
        _ => None,
    }
}

fn change(value: &mut Value, pointer: &str, new: Option<&Value>) {
    let Some(rest) = pointer.strip_prefix('/') else { return };
    let (segment, tail) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let Value::Object(map) = value else { return };
    let key = segment.replace("~1", "/").replace("~0", "~");
    let keys: Vec<String> = if segment == "*" { map.keys().cloned().collect() } else { vec![key] };
    for key in keys {
        let Some(child) = map.get_mut(&key) else { continue };
        match new {
            _ if !tail.is_empty() => change(child, tail, new),
            Some(new) => {
                wipe(child);
                *child = new.clone();
            }
            None => {
                wipe(child);
                map.remove(&key);
            }
        }
    }
}

fn expiry_time(value: &Value, unit: ExpiryUnit) -> Option<SystemTime> {
    let since = match unit {
        ExpiryUnit::Milliseconds => Duration::from_millis(whole_number(value)?),
        ExpiryUnit::Seconds => Duration::from_secs(whole_number(value)?),
        ExpiryUnit::Rfc3339 => return humantime::parse_rfc3339(value.as_str()?).ok(),
    };
    // RFC 3339 ends with the year 9999. Some agents write a far larger number for "never".
    if since < Duration::from_secs(253_402_300_800) { UNIX_EPOCH.checked_add(since) } else { None }
}

/// Agents write times as integers, and from JavaScript arithmetic as fractions.
fn whole_number(value: &Value) -> Option<u64> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
    value.as_u64().or_else(|| value.as_f64().filter(|number| (0.0..1e15).contains(number)).map(|number| number as u64))
}

#[cfg(test)]
mod tests;
