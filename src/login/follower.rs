//! The form of a login without its refresh token. An agent that has it uses the access token and never refreshes: a keeper
//! does, and the agent's login is replaced. Pure.

use zeroize::Zeroizing;

use crate::login::document::{Document, Login};
use crate::login::file::LoginFile;
use crate::login::format::{FollowerForm, SessionFile};
use crate::login::merge::LoginState;

/// The login file in this form. `None` if it does not parse.
fn changed(form: &FollowerForm, rule: &SessionFile, bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if form.remove.is_empty() && form.set.is_empty() {
        return Some(Zeroizing::new(bytes.to_vec()));
    }
    let mut document = Document::parse(bytes, rule.format).ok()?;
    for pointer in &form.remove {
        document.change(pointer, None);
    }
    for (pointer, value) in &form.set {
        document.change(pointer, Some(value));
    }
    Some(document.bytes())
}

/// A stored login as an agent gets it that follows. Without a form for this agent, nothing is usable.
pub fn following(file: LoginFile, rule: &SessionFile) -> LoginFile {
    let LoginState::Valid(login) = &file.state else { return file };
    let new = rule.follower.as_ref().zip(file.bytes.as_ref()).and_then(|(form, bytes)| changed(form, rule, bytes));
    let Some(bytes) = new else {
        let state = LoginState::Damaged("it cannot be used without its refresh token".to_owned());
        return LoginFile { state, bytes: None, stamp: file.stamp };
    };
    match Document::parse(&bytes, rule.format).and_then(|document| document.login(rule)) {
        Ok(new) => {
            // The account may be in a file beside it.
            let account = new.account.clone().or_else(|| login.account.clone());
            let state = LoginState::Valid(Login { account, ..new });
            LoginFile { state, bytes: Some(bytes), stamp: file.stamp }
        }
        Err(defect) => LoginFile { state: LoginState::defective(&defect), bytes: None, stamp: file.stamp },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rule(follower: &Value, refresh: &str) -> SessionFile {
        let access = refresh.replace("refresh", "access");
        let rule =
            json!({ "file": "login", "access-token": [access], "refresh-token": [refresh], "follower": follower });
        serde_json::from_value(rule).unwrap()
    }

    #[test]
    fn a_follower_has_the_access_token_and_no_refresh_token() {
        struct Row {
            what: &'static str,
            form: Value,
            refresh: &'static str,
            login: Value,
            expected: Value,
        }
        let rows = [
            Row {
                what: "removed",
                form: json!({ "remove": ["/oauth/refresh"] }),
                refresh: "/oauth/refresh",
                login: json!({ "oauth": { "access": "FAKE-a", "refresh": "FAKE-r", "x": 1 }, "other": 2 }),
                expected: json!({ "oauth": { "access": "FAKE-a", "x": 1 }, "other": 2 }),
            },
            Row {
                what: "set to something else",
                form: json!({ "set": { "/t/refresh": "", "/mode": "given" } }),
                refresh: "/t/refresh",
                login: json!({ "mode": "own", "t": { "access": "FAKE-a", "refresh": "FAKE-r" } }),
                expected: json!({ "mode": "given", "t": { "access": "FAKE-a", "refresh": "" } }),
            },
            Row {
                what: "of every child, where it is there",
                form: json!({ "set": { "/*/refresh": "", "/*/expires": 4 } }),
                refresh: "/*/refresh",
                login: json!({ "a": { "access": "FAKE-a", "refresh": "FAKE-r", "expires": 1 }, "b": { "key": "k" } }),
                expected: json!({ "a": { "access": "FAKE-a", "refresh": "", "expires": 4 }, "b": { "key": "k" } }),
            },
            Row {
                what: "nothing to change",
                form: json!({}),
                refresh: "/refresh",
                login: json!({ "access": "FAKE-a" }),
                expected: json!({ "access": "FAKE-a" }),
            },
        ];
        for Row { what, form, refresh, login, expected } in rows {
            let rule = rule(&form, refresh);
            let bytes = Zeroizing::new(login.to_string().into_bytes());
            let state = LoginState::Valid(Document::parse(&bytes, rule.format).unwrap().login(&rule).unwrap());
            let file = following(LoginFile { state, bytes: Some(bytes), stamp: None }, &rule);
            let found: Value = serde_json::from_slice(&file.bytes.unwrap()).unwrap();
            assert_eq!(found, expected, "{what}");
            assert!(file.state.login().is_some_and(|login| !login.refreshable), "{what}");
        }
    }

    #[test]
    fn without_a_form_nothing_is_usable() {
        let rule = rule(&Value::Null, "/refresh");
        let bytes = Zeroizing::new(br#"{"access":"FAKE-a","refresh":"FAKE-r"}"#.to_vec());
        let state = LoginState::Valid(Document::parse(&bytes, rule.format).unwrap().login(&rule).unwrap());
        let file = following(LoginFile { state, bytes: Some(bytes), stamp: None }, &rule);
        assert!(file.bytes.is_none() && matches!(file.state, LoginState::Damaged(_)));
    }
}
