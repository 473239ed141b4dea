//! The helper that `docs/stores.md` shows, to begin with.

use super::rows;
use super::store::Store;

fn store() -> Store {
    let page = std::fs::read_to_string(super::server::file("docs/stores.md")).unwrap();
    let (_, script) = page.split_once("```sh\n#!/bin/sh\n").unwrap();
    let (script, _) = script.split_once("```").unwrap();
    let store = Store::new("example", "jq", ("PATH", "", "")).program("/bin/sh");
    let (place, logins) = (store.place("helper"), store.place("logins"));
    std::fs::write(&place, script).unwrap();
    store.argument(place.to_str().unwrap()).argument(logins.to_str().unwrap())
}

#[test]
fn it_answers_as_the_protocol_says() {
    rows::answers(&store());
}

#[test]
fn no_update_is_lost() {
    rows::no_update_is_lost(&store(), 20);
}
