//! scripts/install.sh against a web server on loopback, with the tools of different systems.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::support::{Sandbox, needs_root, skip};

/// What every system has. The rest is a row's.
const COMMON: &[&str] = &["chmod", "cut", "mkdir", "mv", "rm"];

/// Two releases, a PATH of the row's tools, and a directory to install into.
/// `$1` the sandbox, `$2` what `uname` says, `$3` the tools.
const WORLD: &str = r#"
cd "$1"
mkdir path target site site/0.2.0 site/broken site/missing site/empty
for architecture in x86_64 aarch64; do
    echo "binary of 0.2.0 for $architecture" >"site/0.2.0/agent-init-0.2.0-$architecture-linux"
done
(cd site/0.2.0 && sha256sum agent-init-* >SHA256SUMS)
cp site/0.2.0/* site/broken
echo "half" >site/broken/agent-init-0.2.0-x86_64-linux
cp site/0.2.0/SHA256SUMS site/missing
cp site/0.2.0/agent-init-* site/empty
: >site/empty/SHA256SUMS
printf '#!/bin/sh\ncase $1 in -m) echo %s ;; *) echo %s ;; esac\n' $2 >path/uname
# FreeBSD's, in the words of what is here.
printf '#!/bin/sh\n[ "$1" = -q ] && [ "$2" = -o ] && exec "%s" -fsSL -o "$3" "$4"\n' "$(command -v curl)" >path/fetch
printf '#!/bin/sh\n[ "$1" = -q ] && "%s" "$2" | "%s" -d " " -f 1\n' "$(command -v sha256sum)" "$(command -v cut)" >path/sha256
printf '#!/bin/sh\n[ "$1 $2" = "-a 256" ] && exec "%s"\n' "$(command -v sha256sum)" >path/shasum
chmod 755 path/*
for tool in fetch sha256 shasum; do case " $3 " in *" $tool "*) ;; *) rm "path/$tool" ;; esac; done
for tool in $3; do [ -e "path/$tool" ] || ln -s "$(command -v "$tool")" "path/$tool"; done
"#;

struct World {
    sandbox: Sandbox,
    server: Child,
    address: String,
}

impl World {
    /// `machine` is what `uname -m` and `uname -s` say.
    fn new(machine: &str, tools: &[&str]) -> Self {
        let sandbox = Sandbox::new();
        let tools = [COMMON, tools].concat().join(" ");
        let made =
            Command::new("sh").args(["-euc", WORLD, "sh"]).arg(sandbox.path("")).args([machine, &tools]).status();
        assert!(made.unwrap().success());
        let mut server = Command::new("python3")
            .args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory"])
            .arg(sandbox.path("site"))
            .arg("0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address =
            line.split(['(', ')']).nth(1).unwrap_or_else(|| panic!("{line}")).trim_end_matches('/').to_owned();
        Self { sandbox, server, address }
    }

    /// Its exit status, standard output and standard error. `BASE` among the words stands for the server.
    fn run(&self, shell: &[&str], words: &str) -> (Option<i32>, String, String) {
        let target = self.sandbox.text("target");
        let words = words.replace("BASE", &self.address).replace("TARGET", &target);
        let run = Command::new(shell[0])
            .args(&shell[1..])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/install.sh"))
            .args(words.split(' ').filter(|word| !word.is_empty()))
            .env("PATH", self.sandbox.path("path"))
            .env_remove("http_proxy")
            .current_dir(self.sandbox.path("cwd"))
            .output()
            .unwrap();
        let clean = |bytes: Vec<u8>| {
            String::from_utf8(bytes).unwrap().replace(&target, "TARGET").replace(&self.address, "BASE")
        };
        (run.status.code(), clean(run.stdout), clean(run.stderr))
    }

    fn installed(&self) -> Vec<String> {
        let entries = fs::read_dir(self.sandbox.path("target")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Each shell that is here. `busybox sh` runs its own wget and sha256sum, whatever is on PATH.
fn shells() -> Vec<Vec<String>> {
    let found = |name: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|place| place.join(name)).find(|file: &PathBuf| file.exists())
    };
    let mut shells = Vec::new();
    for (name, words) in [("dash", &[][..]), ("busybox", &["sh"]), ("bash", &["--posix"])] {
        match found(name) {
            Some(path) => {
                let words = words.iter().map(ToString::to_string);
                shells.push([path.to_string_lossy().into_owned()].into_iter().chain(words).collect());
            }
            None => {
                skip(module_path!(), &format!("there is no {name}"));
            }
        }
    }
    shells
}

#[test]
fn a_release_is_installed_with_the_tools_of_each_system() {
    for (system, tools) in [
        ("Debian", &["curl", "sha256sum"][..]),
        ("Alpine", &["wget", "sha256sum"]),
        ("Perl's shasum", &["curl", "shasum"]),
        ("FreeBSD's", &["fetch", "sha256"]),
    ] {
        for shell in shells() {
            let shell: Vec<&str> = shell.iter().map(String::as_str).collect();
            let world = World::new("x86_64 Linux", tools);
            let (status, says, error) = world.run(&shell, "--to TARGET --base-url BASE/0.2.0/");
            let name = format!("{system}, {shell:?}: {says}{error}");
            assert_eq!(status, Some(0), "{name}");
            let line = "installed TARGET/agent-init (agent-init-0.2.0-x86_64-linux, checked against SHA256SUMS)\n";
            assert_eq!(says, format!("{line}  hint: TARGET is not on your PATH\n"), "{name}");
            assert_eq!(error, "", "{name}");
            assert_eq!(world.sandbox.read("target/agent-init"), "binary of 0.2.0 for x86_64\n", "{name}");
            let mode = fs::metadata(world.sandbox.path("target/agent-init")).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o755, "{name}");
            assert_eq!(world.installed(), ["agent-init"], "{name}");
        }
    }
}

#[test]
fn an_older_binary_is_replaced_and_not_written_into() {
    let world = World::new("aarch64 Linux", &["curl", "sha256sum"]);
    world.sandbox.write("target/agent-init", "older");
    let older = fs::File::open(world.sandbox.path("target/agent-init")).unwrap();
    let (status, _, error) = world.run(&["/bin/sh"], "--version v0.2.0 --to TARGET --base-url BASE/0.2.0");
    assert_eq!(status, Some(0), "{error}");
    assert_eq!(world.sandbox.read("target/agent-init"), "binary of 0.2.0 for aarch64\n");
    assert_eq!(std::io::read_to_string(older).unwrap(), "older");
}

struct Case {
    name: &'static str,
    machine: &'static str,
    tools: &'static [&'static str],
    words: &'static str,
    says: &'static [&'static str],
}

const USUAL: Case = Case { name: "", machine: "x86_64 Linux", tools: &["curl", "sha256sum"], words: "", says: &[] };

impl Case {
    /// The failure says why and what to do, and leaves nothing behind.
    fn check(self) {
        let Self { name, machine, tools, words, says } = self;
        let world = World::new(machine, tools);
        let (status, output, error) = world.run(&["/bin/sh"], words);
        assert_eq!((status, output.as_str()), (Some(1), ""), "{name}: {error}");
        assert!(error.starts_with("install.sh: ") && error.contains("\n  hint: "), "{name}: {error}");
        assert!(says.iter().all(|words| error.contains(words)), "{name}: {error}");
        assert_eq!(world.installed(), [""; 0], "{name}");
    }
}

#[test]
fn what_is_not_a_release_is_not_installed() {
    let cases = [
        Case {
            name: "wrong sum",
            words: "--to TARGET --base-url BASE/broken",
            says: &[
                "BASE/broken/agent-init-0.2.0-x86_64-linux is not the file of the release",
                "do not use this source",
            ],
            ..USUAL
        },
        Case {
            name: "no binary",
            words: "--to TARGET --base-url BASE/missing",
            says: &[
                "cannot download BASE/missing/agent-init-0.2.0-x86_64-linux: curl: (22)",
                "404",
                "check the address",
            ],
            ..USUAL
        },
        Case {
            name: "no binary, with wget",
            tools: &["wget", "sha256sum"],
            words: "--to TARGET --base-url BASE/missing",
            says: &["cannot download BASE/missing/agent-init-0.2.0-x86_64-linux: wget exited with status 8"],
            ..USUAL
        },
        Case {
            name: "no release",
            words: "--to TARGET --base-url BASE/0.3.0",
            says: &["cannot download BASE/0.3.0/SHA256SUMS", "404"],
            ..USUAL
        },
        Case {
            name: "another release",
            words: "--version 0.2.1 --to TARGET --base-url BASE/0.2.0",
            says: &["BASE/0.2.0/SHA256SUMS names no agent-init-0.2.1-x86_64-linux", "check --version"],
            ..USUAL
        },
        Case {
            name: "empty list of sums",
            words: "--to TARGET --base-url BASE/empty",
            says: &["BASE/empty/SHA256SUMS names no agent-init-VERSION-x86_64-linux"],
            ..USUAL
        },
    ];
    cases.into_iter().for_each(Case::check);
}

#[test]
fn what_an_installation_lacks_is_named() {
    let cases = [
        Case {
            name: "unknown architecture",
            machine: "riscv64 Linux",
            words: "--to TARGET --base-url BASE/0.2.0",
            says: &["no binary for riscv64", "scripts/build"],
            ..USUAL
        },
        Case {
            name: "macOS",
            machine: "arm64 Darwin",
            words: "--version 0.2.0 --to TARGET --base-url BASE/0.2.0",
            says: &[
                "does not run on Darwin",
                "ADD --chmod=755 BASE/0.2.0/agent-init-0.2.0-aarch64-linux /usr/local/bin/agent-init",
            ],
            ..USUAL
        },
        Case {
            name: "nothing to download with",
            tools: &["sha256sum"],
            words: "--to TARGET --base-url BASE/0.2.0",
            says: &["nothing to download with", "install curl, wget or fetch"],
            ..USUAL
        },
        Case {
            name: "nothing to check with",
            tools: &["curl"],
            words: "--to TARGET --base-url BASE/0.2.0",
            says: &["nothing to check the sum with", "install sha256sum"],
            ..USUAL
        },
        Case {
            name: "no such directory",
            words: "--to TARGET/bin --base-url BASE/0.2.0",
            says: &["TARGET/bin is not a directory", "create it"],
            ..USUAL
        },
        Case {
            name: "no address",
            words: "--to TARGET",
            says: &["does not know where the releases are", "--base-url URL"],
            ..USUAL
        },
        Case {
            name: "not a version",
            words: "--version ../* --to TARGET --base-url BASE",
            says: &["'../*' is not a version"],
            ..USUAL
        },
        Case {
            name: "unknown word",
            words: "--force",
            says: &["unknown word '--force'", "usage: install.sh"],
            ..USUAL
        },
        Case { name: "no value", words: "--to", says: &["--to needs a value"], ..USUAL },
    ];
    cases.into_iter().for_each(Case::check);
}

#[test]
fn a_directory_that_may_not_be_written_is_named() {
    needs_root!();
    let world = World::new("x86_64 Linux", &["curl", "sha256sum"]);
    world.sandbox.chmod("target", 0o755);
    let target = world.sandbox.text("target");
    let run = Command::new("setpriv")
        .args(["--reuid", "1000", "--regid", "1000", "--clear-groups", "/bin/sh"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/install.sh"))
        .args(["--to", &target, "--base-url", &format!("{}/0.2.0", world.address)])
        .output()
        .unwrap();
    let error = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(1), "{error}");
    assert!(
        error.starts_with(&format!("install.sh: cannot write to {target}: Permission denied\n  hint: ")),
        "{error}"
    );
    assert_eq!(world.installed(), [""; 0]);
}

#[test]
fn half_a_script_does_nothing() {
    let world = World::new("x86_64 Linux", &["curl", "sha256sum"]);
    let script = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/install.sh")).unwrap();
    let (half, last) = script.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(last, "main \"$@\"");
    let run = Command::new("/bin/sh").args(["-c", half]).env("PATH", world.sandbox.path("path")).output().unwrap();
    assert!(run.status.success() && run.stdout.is_empty() && run.stderr.is_empty(), "{run:?}");
}
