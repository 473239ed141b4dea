use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn rule(rule: Value) -> SessionFile {
    serde_json::from_value(rule).unwrap()
}

fn nested() -> SessionFile {
    rule(json!({
        "file": "login.json",
        "access-token": ["/oauth/access", "/key"],
        "refresh-token": ["/oauth/refresh"],
        "expiry": { "field": "/oauth/expires", "unit": "milliseconds" },
        "deadline": { "field": "/oauth/ends", "unit": "milliseconds" },
        "required": [{ "pointer": "/oauth/scopes", "contains": "run", "when": "/oauth" }],
        "travels": ["oauth"]
    }))
}

fn login(document: &Value, rule: &SessionFile) -> Result<Login, Defect> {
    Document::parse(document.to_string().as_bytes(), rule.format)?.login(rule)
}

#[test]
fn a_login_needs_a_token_and_the_required_values() {
    let rule = nested();
    let good = json!({ "oauth": { "access": "FAKE-a", "refresh": "FAKE-r", "expires": 1_000, "scopes": ["run"] } });
    let found = login(&good, &rule).unwrap();
    assert!(found.refreshable);
    assert_eq!(found.expires_at, Some(UNIX_EPOCH + Duration::from_secs(1)));
    let rows = [
        (json!({ "oauth": { "access": "", "refresh": "", "scopes": ["run"] } }), Defect::Blank),
        (json!({}), Defect::NoToken("/oauth/access".into())),
        (json!({ "oauth": { "access": 7 } }), Defect::NoToken("/oauth/access".into())),
        (json!({ "oauth": { "access": "FAKE" } }), Defect::Missing("/oauth/scopes".into())),
        (
            json!({ "oauth": { "access": "FAKE", "scopes": ["other"] } }),
            Defect::Lacks { pointer: "/oauth/scopes".into(), word: "run".into() },
        ),
        (json!([1]), Defect::NotAnObject),
    ];
    for (document, defect) in rows {
        assert_eq!(login(&document, &rule), Err(defect), "{document}");
    }
    assert!(!login(&json!({ "key": "FAKE" }), &rule).unwrap().refreshable);
}

#[test]
fn a_login_deadline_is_read_in_its_unit() {
    let time = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    let ends = |noted: Value| {
        let expires = 1_800_000_000_000_u64;
        let document = json!({ "oauth": { "access": "FAKE", "expires": expires, "ends": noted, "scopes": ["run"] } });
        login(&document, &nested()).unwrap().ends_at(time(1_800_000_000))
    };
    assert_eq!(ends(json!(1_802_000_000_000_u64)), Some(time(1_802_000_000)));
    assert_eq!(ends(json!(1_802_000_000_000.5)), Some(time(1_802_000_000)));
    for noted in [json!(null), json!("2027-01-01"), json!(1_802_000_000_u64), json!(9e14), json!(-1), json!([])] {
        assert_eq!(ends(noted.clone()), None, "{noted}");
    }
}

#[test]
fn a_required_jwt_must_be_well_formed() {
    let rule = rule(json!({
        "file": "login.json",
        "access-token": ["/tokens/access", "/key"],
        "required": [{ "pointer": "/tokens/id", "when": "/tokens", "form": "jwt" }]
    }));
    let jwt = format!("FAKE.{}.FAKE", URL_SAFE_NO_PAD.encode("{}"));
    let with = |id: Value| json!({ "tokens": { "access": "FAKE", "id": id } });
    let no_jwt = Err(Defect::NotAJwt("/tokens/id".into()));
    let rows = [
        (with(json!(jwt)), Ok(())),
        (with(json!("FAKE")), no_jwt.clone()),
        (with(json!({ "jwt": jwt })), no_jwt),
        (with(Value::Null), Err(Defect::Missing("/tokens/id".into()))),
        // A login with a key only has no tokens that could lack anything.
        (json!({ "key": "FAKE", "tokens": null }), Ok(())),
        (json!({ "key": "FAKE" }), Ok(())),
    ];
    for (document, expected) in rows {
        assert_eq!(login(&document, &rule).map(drop), expected, "{document}");
    }
}

#[test]
fn damaged_text_is_refused_with_its_position() {
    let parse = |text: &[u8]| Document::parse(text, Format::Json).map(|_| ());
    assert_eq!(parse(b""), Err(Defect::Empty));
    assert_eq!(parse(b" \n"), Err(Defect::Empty));
    assert_eq!(parse(b"{\n\"a\": "), Err(Defect::NotJson { line: 2, column: 5 }));
    assert_eq!(parse(&vec![b' '; 1024 * 1024 + 1]), Err(Defect::TooLarge));
    assert!(Document::parse(b"// made by hand\n{\"a\":1}", Format::Jsonc).is_ok());
}

#[test]
fn the_digest_covers_the_tokens_and_the_content_the_synced_keys() {
    let rule = nested();
    let base = json!({ "oauth": { "access": "FAKE-a", "scopes": ["run"] }, "other": 1 });
    let sibling = json!({ "other": 2, "oauth": { "scopes": ["run"], "access": "FAKE-a" } });
    let extended = json!({ "oauth": { "access": "FAKE-a", "scopes": ["run"], "plan": "x" } });
    let renewed = json!({ "oauth": { "access": "FAKE-b", "scopes": ["run"] } });
    let [base, sibling, extended, renewed] = [base, sibling, extended, renewed].map(|d| login(&d, &rule).unwrap());
    assert_eq!(base, sibling);
    assert_eq!(base.digest, extended.digest);
    assert_ne!(base.content, extended.content);
    assert_ne!(base.digest, renewed.digest);
}

#[test]
fn fields_in_the_claims_of_a_token_are_found() {
    let body = URL_SAFE_NO_PAD.encode(json!({ "exp": 60, "a/b": { "email": "user@example.com" } }).to_string());
    let rule = rule(json!({
        "file": "login.json",
        "access-token": ["/*/access"],
        "expiry": { "field": { "pointer": "/*/access", "claim": "/exp" }, "unit": "seconds" },
        "account": [{ "pointer": "/*/access", "claim": "/a~1b/email" }]
    }));
    let found = login(&json!({ "x": { "access": format!("FAKE.{body}.FAKE") } }), &rule).unwrap();
    assert_eq!(found.expires_at, Some(UNIX_EPOCH + Duration::from_secs(60)));
    assert_eq!(found.account.as_deref(), Some("user@example.com"));
    let opaque = login(&json!({ "x": { "access": "FAKE" } }), &rule).unwrap();
    assert_eq!((opaque.expires_at, opaque.account), (None, None));
}

#[test]
fn other_keys_of_the_destination_stay() {
    let rule = nested();
    let from = br#"{"mine": 1, "oauth": {"access": "FAKE-new",  "n": 123456789012345678901234567890}}"#;
    let to =
        b"{\r\n  \"z\": 1e2,\r\n  \"oauth\": {\"access\": \"FAKE-old\", \"gone\": 1},\r\n  \"a\": 2, \"a\": 3\r\n}";
    let beside = |bytes: &[u8], there: &[u8]| {
        String::from_utf8(
            Document::with_other_keys_of(&rule, bytes, Some(there), &EntriesBase::default()).unwrap().to_vec(),
        )
        .unwrap()
    };
    let merged = "{\r\n  \"z\": 1e2,\r\n  \"oauth\": {\"access\": \"FAKE-new\",  \"n\": 123456789012345678901234567890},\r\n  \"a\": 2, \"a\": 3\r\n}";
    assert_eq!(beside(from, to), merged);
    assert_eq!(beside(b"{}", b"{\"oauth\":{},\"b\":1}"), "{\"b\":1}");
    assert_eq!(beside(b"{\"oauth\":{}}", b"{\"b\":1}"), "{\"b\":1,\"oauth\":{}}");
    let left = Document::without_login(&rule, to).unwrap();
    assert_eq!(String::from_utf8_lossy(&left), "{\r\n  \"z\": 1e2,\r\n  \"a\": 2, \"a\": 3\r\n}");
    assert_eq!(Document::without_login(&rule, b"{\"oauth\":{}}"), None);
    assert_eq!(Document::without_login(&rule, b"no JSON"), None);
}

#[test]
fn digests_round_trip() {
    let digest = Digest::of_parts(&[b"FAKE"]);
    assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
    for text in ["", "sha256:", "sha256:zz", "md5:00"] {
        assert_eq!(Digest::parse(text), None);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let rule = nested();
        let _ = Document::parse(&bytes, Format::Jsonc).map(|document| document.login(&rule));
    }

    #[test]
    fn any_token_is_read_without_panic(token in ".{0,80}") {
        let rule = rule(json!({
            "file": "f", "access-token": ["/t"],
            "expiry": { "field": { "pointer": "/t", "claim": "/exp" }, "unit": "seconds" }
        }));
        let _ = login(&json!({ "t": token }), &rule);
    }

    #[test]
    fn any_expiry_is_read_without_panic(fraction in any::<f64>(), whole in any::<u64>()) {
        for number in [json!(fraction), json!(whole)] {
            let times = json!({ "access": "FAKE", "expires": number, "ends": number, "scopes": ["run"] });
            let login = login(&json!({ "oauth": times }), &nested()).unwrap();
            for at in [login.expires_at, login.ends_at(SystemTime::now())] {
                let _ = at.map(|at| humantime::format_rfc3339_seconds(at).to_string());
            }
        }
    }
}
