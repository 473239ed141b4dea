//! Made-up logins. Every token contains the word FAKE.

use ::base64::Engine as _;
use ::base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// A Claude Code login; its JSON is byte for byte what `login NAME` of `agent.sh` prints.
#[derive(Clone)]
pub struct Session {
    name: String,
    expires_ms: u64,
    deadline_ms: Option<u64>,
}

impl Session {
    /// Far from expiry.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), expires_ms: 4_102_444_800_000, deadline_ms: None }
    }

    /// Access token long expired, refresh token there.
    pub fn expired(name: &str) -> Self {
        Self::new(name).expires_ms(1_000_000_000_000)
    }

    pub fn expires_ms(mut self, at: u64) -> Self {
        self.expires_ms = at;
        self
    }

    /// With a login deadline, as newer versions note one.
    pub fn deadline_ms(mut self, at: u64) -> Self {
        self.deadline_ms = Some(at);
        self
    }

    pub fn access(&self) -> String {
        format!("FAKE-access-{}", self.name)
    }

    pub fn refresh(&self) -> String {
        format!("FAKE-refresh-{}", self.name)
    }

    pub fn json(&self) -> String {
        let deadline = self.deadline_ms.map(|at| format!(r#","refreshTokenExpiresAt":{at}"#)).unwrap_or_default();
        format!(
            r#"{{"claudeAiOauth":{{"accessToken":"{}","refreshToken":"{}","expiresAt":{}{deadline},"scopes":["user:inference","user:profile"],"subscriptionType":"max"}}}}"#,
            self.access(),
            self.refresh(),
            self.expires_ms
        )
    }

    pub fn value(&self) -> Value {
        serde_json::from_str(&self.json()).unwrap()
    }

    pub fn b64(&self) -> String {
        base64(&self.json())
    }
}

/// Standard base64, padded, on one line.
pub fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

/// A JWT's shape around these claims; the signature is none.
pub fn jwt(claims: &str) -> String {
    let part = |text: String| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", part(r#"{"alg":"none"}"#.into()), part(claims.to_owned()), part("FAKE-signature".into()))
}

/// A Codex `auth.json` of a `ChatGPT` login.
pub fn codex_auth(name: &str) -> String {
    let account = json!({"chatgpt_account_id": "acct-FAKE", "chatgpt_plan_type": "pro"});
    let claims = json!({"exp": 4_102_444_800_u64, "email": "user@example.com", "jti": format!("FAKE-{name}"),
        "https://api.openai.com/auth": account});
    json!({
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": null,
        "tokens": {
            "id_token": jwt(&claims.to_string()),
            "access_token": jwt(&claims.to_string()),
            "refresh_token": format!("FAKE-refresh-{name}"),
            "account_id": "acct-FAKE",
        },
        "last_refresh": "2026-01-01T00:00:00.000000000Z",
    })
    .to_string()
}
