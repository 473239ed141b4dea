//! scripts/release in a small project of its own, whose build takes no time; scripts/sbom and scripts/oci-layout.
//! `scripts/release --verify` itself compares real builds.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::Sandbox;

/// `$1` the sandbox, `$2` the real project.
const PROJECT: &str = r#"
mkdir -p "$1/project/scripts" "$1/path"
cd "$1/project"
cp -R "$2/LICENSE-APACHE" "$2/LICENSE-MIT" "$2/README.md" "$2/man" "$2/completions" .
for script in release packages.sh oci-layout install.sh; do cp "$2/scripts/$script" scripts; done
cat >scripts/build <<'END'
#!/bin/sh
mkdir -p dist
echo "binary for $2$(cat path-in-binary 2>/dev/null && pwd)" >"dist/agent-init-$2"
chmod 755 "dist/agent-init-$2"
END
printf '#!/bin/sh\necho "{}"\n' >scripts/sbom
chmod 755 scripts/build scripts/sbom
printf '#!/bin/sh\n[ "$*" = "-S -s $AGENT_INIT_SIGNING_KEY -m $5 -t agent-init 0.3.0" ] && echo signed >"$5.minisig"\n' >"$1/path/minisign"
chmod 755 "$1/path/minisign"
echo /dist >.gitignore
cat >Cargo.toml <<'END'
[package]
name = "agent-init"
version = "0.3.0"
description = "An example"
license = "MIT"
END
cat >CHANGELOG.md <<'END'
# Changelog

## 0.3.0 - 2026-12-01

### Added
- Something new ([where](docs/new.md)).

## 0.2.0 - 2026-11-01

- Something old.
END
git init -q
git add .
git -c user.name=Test -c user.email=test@example.com commit -q -m first
"#;

struct Project(Sandbox);

impl Project {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let made = Command::new("sh")
            .args(["-euc", PROJECT, "sh"])
            .arg(sandbox.path(""))
            .arg(env!("CARGO_MANIFEST_DIR"))
            .env("GIT_AUTHOR_DATE", "1700000000 +0000")
            .env("GIT_COMMITTER_DATE", "1700000000 +0000")
            .status();
        assert!(made.unwrap().success());
        Self(sandbox)
    }

    /// Its exit status, standard output and standard error.
    fn release(&self, words: &str, variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
        let path = format!("{}:{}", self.0.text("path"), std::env::var("PATH").unwrap());
        let run = Command::new(self.0.path("project/scripts/release"))
            .args(words.split_whitespace())
            .env("PATH", path)
            .env("INSTALL_PACKAGES", "no")
            .env_remove("REPOSITORY")
            .env_remove("AGENT_INIT_SIGNING_KEY")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (run.status.code(), String::from_utf8(run.stdout).unwrap(), String::from_utf8(run.stderr).unwrap())
    }

    fn file(&self, name: &str) -> String {
        self.0.read(&format!("project/dist/release/0.3.0/{name}"))
    }
}

#[test]
fn what_cannot_be_released_is_refused_with_a_hint() {
    type Spoil = fn(&Sandbox);
    let cases: [(&str, &str, Spoil, &[&str]); 8] = [
        ("another version", "0.2.0", |_| (), &["the version is 0.3.0, in Cargo.toml, and not 0.2.0"]),
        ("a change", "0.3.0", |s| drop(s.write("project/README.md", "new")), &["not committed", "--allow-dirty"]),
        ("a new file", "0.3.0", |s| drop(s.write("project/new", "new")), &["not committed"]),
        (
            "no section",
            "0.3.0",
            |s| drop(s.write("project/CHANGELOG.md", "## 0.2.0 - 2026-11-01\n## 0.3.01\n## 0x3.0\n")),
            &["CHANGELOG.md has no section for 0.3.0", "add one: ## 0.3.0 - "],
        ),
        (
            "a section without a date",
            "0.3.0",
            |s| drop(s.write("project/CHANGELOG.md", "## 0.3.0 - unreleased\n")),
            &["CHANGELOG.md says that 0.3.0 is unreleased", "write the date"],
        ),
        ("no version", "", |_| (), &["which version?", "usage: scripts/release"]),
        ("an unknown option", "--force 0.3.0", |_| (), &["unknown option '--force'"]),
        ("a second build of changes", "--verify --allow-dirty 0.3.0", |_| (), &["--verify builds what is committed"]),
    ];
    for (name, words, spoil, says) in cases {
        let project = Project::new();
        spoil(&project.0);
        let (status, output, error) = project.release(words, &[]);
        assert_eq!((status, output.as_str()), (Some(1), ""), "{name}: {error}");
        assert!(error.starts_with("release: ") && error.contains("\n  hint: "), "{name}: {error}");
        assert!(says.iter().all(|words| error.contains(words)), "{name}: {error}");
        assert!(!project.0.exists("project/dist"), "{name}");
    }
}

#[test]
fn a_release_has_all_its_files_and_their_sums() {
    let project = Project::new();
    let page = [("REPOSITORY", "https://example.com/me/agent-init")];
    let (status, output, error) = project.release("0.3.0", &page);
    assert_eq!(status, Some(0), "{error}");
    assert!(output.contains("release: not signed: AGENT_INIT_SIGNING_KEY names no key\n"), "{output}");
    let directory = project.0.path("project/dist/release/0.3.0");
    let mut names: Vec<String> =
        fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let sums = project.file("SHA256SUMS");
    let mut summed: Vec<&str> = sums.lines().map(|line| line.split_once("  ").unwrap().1).collect();
    assert_eq!(
        summed,
        [
            "RELEASE_NOTES.md",
            "agent-init-0.3.0-aarch64-linux",
            "agent-init-0.3.0-aarch64-linux.tar.gz",
            "agent-init-0.3.0-oci.tar",
            "agent-init-0.3.0-sbom.cdx.json",
            "agent-init-0.3.0-x86_64-linux",
            "agent-init-0.3.0-x86_64-linux.tar.gz",
            "install.sh",
        ]
    );
    summed.push("SHA256SUMS");
    summed.sort_unstable();
    assert_eq!(names, summed);
    assert!(shell("sha256sum --quiet -c SHA256SUMS", &directory).is_empty());

    let notes = "### Added\n- Something new ([where](https://example.com/me/agent-init/blob/v0.3.0/docs/new.md)).\n\n";
    assert_eq!(project.file("RELEASE_NOTES.md"), notes);
    assert!(project.file("install.sh").contains("\nrepository='https://example.com/me/agent-init'\n"));
    let listed = shell("tar -tvzf agent-init-0.3.0-aarch64-linux.tar.gz --full-time", &directory);
    for (name, mode) in [
        ("agent-init", "-rwxr-xr-x 0/0"),
        ("LICENSE-MIT", "-rw-r--r-- 0/0"),
        ("man/agent-init.1", "-rw-r--r-- 0/0"),
        ("completions/_agent-init", "-rw-r--r-- 0/0"),
    ] {
        let line = listed.lines().find(|line| line.ends_with(&format!("agent-init-0.3.0-aarch64-linux/{name}")));
        let line = line.unwrap_or_else(|| panic!("{name}: {listed}"));
        assert!(line.starts_with(mode) && line.contains(" 2023-11-14 "), "{line}");
    }
}

#[test]
fn a_release_is_signed_with_the_key_that_is_named() {
    let project = Project::new();
    let key = project.0.write("key", "FAKE");
    let (status, output, error) = project.release("0.3.0", &[("AGENT_INIT_SIGNING_KEY", key.to_str().unwrap())]);
    assert_eq!(status, Some(0), "{error}");
    assert!(!output.contains("not signed"), "{output}");
    assert_eq!(project.file("SHA256SUMS.minisig"), "signed\n");

    let missing = project.0.text("none");
    let (status, _, error) = project.release("0.3.0", &[("AGENT_INIT_SIGNING_KEY", &missing)]);
    assert_eq!(status, Some(1));
    assert!(error.contains("AGENT_INIT_SIGNING_KEY names a file that cannot be read"), "{error}");
}

#[test]
fn a_second_build_is_compared() {
    let project = Project::new();
    let (status, output, error) = project.release("--verify 0.3.0", &[]);
    assert_eq!(status, Some(0), "{error}");
    assert!(output.contains("release: built twice, in two directories: the same bytes\n"), "{output}");

    project.0.write("project/path-in-binary", "");
    shell(
        "git add . && git -c user.name=Test -c user.email=test@example.com commit -qm second",
        &project.0.path("project"),
    );
    let (status, _, error) = project.release("--verify 0.3.0", &[]);
    assert_eq!(status, Some(1), "{error}");
    assert!(error.contains("release: a second build has other bytes"), "{error}");
}

#[test]
fn the_image_layout_holds_what_its_digests_say() {
    let sandbox = Sandbox::new();
    for architecture in ["amd64", "arm64"] {
        sandbox.write(architecture, format!("binary for {architecture}"));
    }
    let make = |name: &str| {
        let run = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/oci-layout"))
            .args([
                sandbox.text(name),
                format!("amd64={}", sandbox.text("amd64")),
                format!("arm64={}", sandbox.text("arm64")),
            ])
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .env("REVISION", "0123abc")
            .status();
        assert!(run.unwrap().success());
        fs::read(sandbox.path(name)).unwrap()
    };
    assert!(make("layout.tar") == make("again.tar"), "two archives of the same binaries differ");
    let place = sandbox.mkdir("layout");
    shell("tar -xf ../layout.tar", &place);

    let document = |path: &str| -> Value { serde_json::from_slice(&fs::read(place.join(path)).unwrap()).unwrap() };
    // The blob of a descriptor, whose size and digest are right.
    let blob = |descriptor: &Value| -> String {
        let (algorithm, digest) = descriptor["digest"].as_str().unwrap().split_once(':').unwrap();
        let path = format!("blobs/{algorithm}/{digest}");
        assert_eq!(shell(&format!("sha256sum {path}"), &place), format!("{digest}  {path}\n"));
        assert_eq!(fs::metadata(place.join(&path)).unwrap().len(), descriptor["size"].as_u64().unwrap());
        path
    };
    assert_eq!(document("oci-layout")["imageLayoutVersion"], "1.0.0");
    let top = document("index.json");
    let [named] = top["manifests"].as_array().unwrap().as_slice() else { panic!("{top}") };
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(named["annotations"]["org.opencontainers.image.ref.name"], version);
    assert_eq!(named["mediaType"], "application/vnd.oci.image.index.v1+json");
    let images = document(&blob(named));
    let older = document("manifest.json");
    for (at, architecture) in ["amd64", "arm64"].into_iter().enumerate() {
        let descriptor = &images["manifests"][at];
        assert_eq!(descriptor["mediaType"], "application/vnd.oci.image.manifest.v1+json");
        assert_eq!(descriptor["platform"], serde_json::json!({ "architecture": architecture, "os": "linux" }));
        let manifest = document(&blob(descriptor));
        assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.image.config.v1+json");
        assert_eq!(manifest["layers"][0]["mediaType"], "application/vnd.oci.image.layer.v1.tar");
        let (config_path, layer) = (blob(&manifest["config"]), blob(&manifest["layers"][0]));
        let config = document(&config_path);
        assert_eq!((&config["architecture"], &config["os"]), (&architecture.into(), &"linux".into()));
        assert_eq!(config["created"], "2023-11-14T22:13:20Z");
        assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/agent-init"]));
        for (label, value) in [("title", "agent-init"), ("version", version), ("revision", "0123abc")] {
            assert_eq!(config["config"]["Labels"][format!("org.opencontainers.image.{label}")], value, "{label}");
        }
        assert_eq!(config["rootfs"]["diff_ids"], serde_json::json!([manifest["layers"][0]["digest"]]));
        let root = sandbox.mkdir(&format!("root-{architecture}"));
        shell(&format!("tar -xf ../layout/{layer}"), &root);
        assert_eq!(fs::read_to_string(root.join("agent-init")).unwrap(), format!("binary for {architecture}"));
        assert_eq!(fs::metadata(root.join("agent-init")).unwrap().permissions().mode() & 0o7777, 0o755);
        let tag = format!("agent-init-binary:{version}-{architecture}");
        assert_eq!(older[at], serde_json::json!({ "Config": config_path, "RepoTags": [tag], "Layers": [layer] }));
    }
}

#[test]
fn the_sbom_lists_what_is_linked() {
    let make = || {
        let run = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/sbom"))
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(run.status.success());
        String::from_utf8(run.stdout).unwrap()
    };
    let text = make();
    assert_eq!(text, make());
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&document["bomFormat"], &document["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    assert!(document["serialNumber"].as_str().unwrap().starts_with("urn:uuid:"));
    assert_eq!(document["metadata"]["timestamp"], "2023-11-14T22:13:20Z");
    let itself = &document["metadata"]["component"];
    assert_eq!((&itself["name"], &itself["version"]), (&"agent-init".into(), &env!("CARGO_PKG_VERSION").into()));

    let components = document["components"].as_array().unwrap();
    let mut references: Vec<&str> = components.iter().map(|part| part["bom-ref"].as_str().unwrap()).collect();
    let found = |name: &str| components.iter().find(|part| part["name"] == name);
    for (name, scope) in [
        ("nix", Some("required")),
        ("libc", Some("required")),
        ("rust-std", Some("required")),
        ("musl", Some("required")),
        ("serde_derive", Some("excluded")),
        ("syn", Some("excluded")),
        ("proptest", None),
        ("tempfile", None),
    ] {
        assert_eq!(found(name).map(|part| part["scope"].as_str().unwrap()), scope, "{name}");
    }
    for part in components {
        assert_eq!(part["purl"], part["bom-ref"]);
        assert!(part["licenses"][0]["expression"].is_string(), "{part}");
        let crate_of_cargo = part["purl"].as_str().unwrap().starts_with("pkg:cargo/");
        assert_eq!(part["hashes"][0]["content"].as_str().is_some_and(|sum| sum.len() == 64), crate_of_cargo, "{part}");
    }
    references.push(itself["bom-ref"].as_str().unwrap());
    let all = references.len();
    references.sort_unstable();
    references.dedup();
    assert_eq!(references.len(), all, "two components have one reference");
    for dependency in document["dependencies"].as_array().unwrap() {
        let named = dependency["dependsOn"].as_array().into_iter().flatten().chain([&dependency["ref"]]);
        for reference in named {
            assert!(references.contains(&reference.as_str().unwrap()), "{reference} is not in the document");
        }
    }
}

/// What the command prints, run in the directory.
fn shell(command: &str, directory: &Path) -> String {
    let run = Command::new("sh").args(["-euc", command]).current_dir(directory).env("TZ", "UTC").output().unwrap();
    assert!(run.status.success(), "{command}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}
