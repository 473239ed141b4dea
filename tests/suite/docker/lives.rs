//! One login over the lives of a container, and in two containers at once.

use super::{Container, DEBIAN, SCRATCH, SOMEBODY, await_captured, captured, login, needs_docker, own};
use crate::support::{Sandbox, Session, await_path};

#[test]
fn a_restarted_container_keeps_the_login_that_it_refreshed() {
    needs_docker!();
    // What the variable holds is spent after the first life.
    let script = "
        case $(cat \"$F\") in
        *FAKE-access-one*) refresh two; say has two ;;
        *FAKE-access-two*) refresh three; say has three ;;
        *FAKE-access-three*) say kept three ;;
        esac
        exec sleep 600";
    for (capture, kill) in [(true, false), (true, true), (false, false), (false, true)] {
        let sandbox = Sandbox::new();
        own(&sandbox, "capture", SOMEBODY);
        let container =
            Container::of(&sandbox, DEBIAN).session(&Session::new("one")).options(&["--user", "node"]).claude(script);
        let container = if capture { container.bind("capture", "/capture") } else { container };
        let mut life = container.start();
        life.line("has two");
        for (published, says) in [("two", "has three"), ("three", "kept three")] {
            if capture {
                await_captured(&sandbox, published);
            }
            if kill {
                life.docker(&["kill"]);
            }
            life = life.restart();
            life.line(says);
        }
        life.stop();
        life.wait();
        if capture {
            assert_eq!(captured(&sandbox), Session::new("three").value(), "killed: {kill}");
        }
    }
}

#[test]
fn a_refresh_in_one_container_reaches_another_that_runs() {
    needs_docker!();
    let sandbox = Sandbox::new();
    sandbox.captured("claude", ".credentials.json", &Session::new("one").json());
    let mut gates = [sandbox.gate("gate"), sandbox.gate("gate2")];
    let [mut first, mut second] = [(SCRATCH, "gate", "12345"), (DEBIAN, "gate2", "node")].map(|(image, gate, user)| {
        let work = format!("work/{image}");
        sandbox.mkdir(&work);
        Container::of(&sandbox, image)
            .bind("capture", "/capture")
            .bind(gate, "/gate")
            .bind(&work, "/work")
            .options(&["--user", user, "--work-dir", "/work"])
            .claude("say ready; hold /gate; grep -q FAKE-access-one \"$F\" && refresh two; cat \"$F\"")
            .start()
    });
    first.line("ready");
    second.line("ready");
    gates[0].open();
    let copy = format!("work/{DEBIAN}/claude");
    await_path(&sandbox.path(&copy), "the other container's login", || {
        login(&sandbox, &format!("{copy}/.credentials.json")) == Session::new("two").value()
    });
    gates[1].open();
    first.wait().ok();
    second.wait().ok().prints(&["FAKE-access-two"]);
    assert_eq!(captured(&sandbox), Session::new("two").value());
}
