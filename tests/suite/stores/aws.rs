//! `aws-secrets-manager`: the AWS CLI, against moto.

use std::sync::OnceLock;

use super::rows;
use super::server::Server;
use super::store::{Store, succeed};

fn store() -> &'static Store {
    static STORE: OnceLock<Store> = OnceLock::new();
    STORE.get_or_init(|| {
        let denied = ("AWS_ACCESS_KEY_ID", "AKIAOTHEROTHEROTHER0", "UnrecognizedClientException");
        let server = Server::start("secrets_manager.py", &[]);
        Store::new("aws-secrets-manager", "aws", denied).server(server).limit(65_536)
    })
}

// The CLI takes more than half a second a call.
every_store!(store, 5);

#[test]
fn a_secret_without_a_value_counts_as_none() {
    let words = ["secretsmanager", "create-secret", "--name", "agent-init/made"];
    succeed(store().command("aws").args(words));
    rows::made_beforehand(store(), "made");
}
