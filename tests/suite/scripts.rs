//! What the scripts do where a command is missing (`scripts/packages.sh`), on a machine whose commands are made up.

use std::process::{Command, Stdio};

use crate::support::Sandbox;

/// A PATH with what every system has and an `apt-get` that notes its words. `$2` is the user's id.
const MACHINE: &str = r#"
mkdir "$1/path"
cd "$1/path"
for command in sh bash dirname realpath cat env; do ln -s "$(command -v "$command")" .; done
printf '#!/bin/sh\necho %s\n' "$2" >id
printf '#!/bin/sh\necho "$DEBIAN_FRONTEND $*" >>"%s/apt"; [ ! -e "%s/broken" ]\n' "$1" "$1" >apt-get
printf '#!/bin/sh\n' >cargo
chmod 755 id apt-get cargo
"#;

struct Machine {
    sandbox: Sandbox,
    /// What was answered to the question whether to install.
    answer: Option<&'static str>,
}

impl Machine {
    /// The commands are written by another process: an exec of what a thread of ours still has open would fail.
    fn of_user(id: &str) -> Self {
        let sandbox = Sandbox::new();
        let made = Command::new("sh").args(["-euc", MACHINE, "sh"]).arg(sandbox.path("")).arg(id).status().unwrap();
        assert!(made.success());
        Self { sandbox, answer: Some("yes") }
    }

    /// Its exit status and standard error.
    fn run(&self, command: &mut Command) -> (Option<i32>, String) {
        command.current_dir(env!("CARGO_MANIFEST_DIR")).env("PATH", self.sandbox.path("path"));
        command.env_remove("CI").env_remove("INSTALL_PACKAGES").stdin(Stdio::null());
        let run = command.envs(self.answer.map(|answer| ("INSTALL_PACKAGES", answer))).output().unwrap();
        (run.status.code(), String::from_utf8(run.stderr).unwrap())
    }

    fn shell(&self, text: &str) -> (Option<i32>, String) {
        let text = format!("script=example\n. scripts/packages.sh\n{text}");
        self.run(Command::new("/bin/sh").args(["-euc", &text]))
    }

    fn installed(&self) -> String {
        std::fs::read_to_string(self.sandbox.path("apt")).unwrap_or_default()
    }
}

/// `need` and `lack` in all their forms; `dirname` is there.
const NEEDS: &str = "need dirname; need fake-one; need fake-two two three; need dirname four; lack five
install_missing || exit 3\necho on >&2";

#[test]
fn root_installs_all_that_is_missing_at_once() {
    let machine = Machine::of_user("0");
    let said = machine.shell(&format!("{NEEDS}\ninstall_missing"));
    assert_eq!(said, (Some(0), "example: installing fake-one two three five\non\n".into()));
    let installed = machine.installed();
    let calls: Vec<&str> = installed.lines().collect();
    assert!(calls.len() == 2 && calls[0].ends_with("update"), "{installed}");
    assert!(calls[1].starts_with("noninteractive "), "{installed}");
    assert!(calls[1].ends_with("install -y --no-install-recommends fake-one two three five"), "{installed}");
}

#[test]
fn a_user_who_may_not_install_is_told_in_one_line() {
    let machine = Machine::of_user("1000");
    let line = "example: missing Debian packages: fake-one two three five (install them, or run this as root)\n";
    assert_eq!(machine.shell(NEEDS), (Some(3), line.into()));
    assert_eq!(machine.installed(), "");
    let nothing_missing = machine.shell("need dirname\ninstall_missing");
    assert_eq!(nothing_missing, (Some(0), String::new()));

    let machine = Machine::of_user("0");
    std::fs::remove_file(machine.sandbox.path("path/apt-get")).unwrap();
    let line = "example: missing Debian packages: fake-one two three five; there is no apt-get to install them with\n";
    assert_eq!(machine.shell(NEEDS), (Some(3), line.into()));
}

#[test]
fn nothing_is_installed_without_consent() {
    struct Case {
        answer: Option<&'static str>,
        words: &'static str,
        status: i32,
        says: &'static [&'static str],
        installs: bool,
    }
    let cases = [
        Case {
            answer: None,
            words: "",
            status: 1,
            says: &["for scripts/example: fake-one", "no terminal to ask on", "hint: run it again with --yes"],
            installs: false,
        },
        Case { answer: Some("no"), words: "", status: 3, says: &["not installed: you said no"], installs: false },
        Case { answer: None, words: "set -- --yes", status: 0, says: &["installing fake-one"], installs: true },
        Case { answer: None, words: "CI=true", status: 0, says: &["installing fake-one"], installs: true },
    ];
    for Case { answer, words, status, says, installs } in cases {
        let machine = Machine { answer, ..Machine::of_user("0") };
        let text = format!("script=example\n{words}\n. scripts/packages.sh\n{NEEDS}");
        let (exit, said) = machine.run(Command::new("/bin/sh").args(["-euc", &text]));
        assert_eq!(exit, Some(status), "{words}: {said}");
        assert!(says.iter().all(|words| said.contains(words)), "{words}: {said}");
        assert_eq!(!machine.installed().is_empty(), installs, "{words}: {said}");
    }
}

#[test]
fn a_failed_installation_ends_the_script() {
    let machine = Machine::of_user("0");
    machine.sandbox.write("broken", "");
    let said = "example: installing fake-one two three five\nexample: could not install fake-one two three five\n";
    assert_eq!(machine.shell(NEEDS), (Some(1), said.into()));
}

#[test]
fn every_script_says_what_it_lacks() {
    let machine = Machine::of_user("1000");
    for (script, lacks, goes_on) in [
        ("agents", "npm", false),
        ("bench", "tini", true),
        ("build", "gcc", false),
        ("deploy-tools", "python3-venv", false),
        ("metrics-parsers", "python3-venv", false),
        ("store-servers", "jq", false),
        ("test", "strace", true),
        ("test-arm64", "cpio", false),
    ] {
        // Those that go on come to a compiler that is not there.
        let (status, said) = machine.run(Command::new(format!("scripts/{script}")).env("TEST_BINARY", "/none"));
        let (line, rest) = said.split_once('\n').unwrap();
        assert!(line.starts_with(&format!("{script}: missing Debian packages: ")), "{said}");
        assert!(line.split(' ').any(|word| word == lacks), "{script} needs {lacks}: {said}");
        assert_ne!(status, Some(0), "{script}: {said}");
        assert_eq!(!rest.is_empty(), goes_on, "{script}: {said}");
    }
}
