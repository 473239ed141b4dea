//! What PID 1 holds does not grow with what it does.
//!
//! By default a part of what `AGENT_INIT_TEST_MEMORY=whole` does: 10,000 calls of a store's helper, 100,000 writes of a login.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Live, Sandbox, needs_root};

/// A store that keeps nothing and is always well: `helper CALLS VERB`. Each call makes the file CALLS a byte longer.
const HELPER: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
int main(int count, char **words) {
    struct timespec now;
    int calls = open(words[1], O_WRONLY | O_CREAT | O_APPEND, 0644);
    const char *verb = words[count - 1];
    clock_gettime(CLOCK_REALTIME, &now);
    if (!strcmp(verb, "put")) printf("{\"v\":1,\"stored\":true,\"version\":\"%lld%09ld\"}", (long long)now.tv_sec, now.tv_nsec);
    else if (!strcmp(verb, "get")) printf("{\"v\":1,\"found\":false}");
    else printf("{\"v\":1,\"unsupported\":true}");
    fflush(stdout);
    return write(calls, "x", 1) != 1;
}
"#;

/// An agent that writes its login again and again: `writer HOME GATE WARM ALL [CALLS]`. With CALLS it waits each time until
/// that file has grown. After WARM writes it says so, and goes on when it can read from GATE; after ALL again.
const WRITER: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
static long size(const char *path) {
    struct stat found;
    return path && stat(path, &found) == 0 ? found.st_size : -1;
}
static void hold(const char *gate, const char *word) {
    char byte;
    int fd = open(gate, O_RDONLY);
    printf("%s\n", word);
    fflush(stdout);
    while (read(fd, &byte, 1) == 1 && byte != '\n');
    close(fd);
}
int main(int count, char **words) {
    const char *calls = count > 5 ? words[5] : 0;
    char login[4096], temporary[4096], text[1024];
    snprintf(login, sizeof login, "%s/.credentials.json", words[1]);
    snprintf(temporary, sizeof temporary, "%s/temporary", words[1]);
    for (long number = 1; number <= atol(words[4]); number++) {
        long before = size(calls);
        int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        int length = snprintf(text, sizeof text,
            "{\"claudeAiOauth\":{\"accessToken\":\"FAKE-access-%ld\",\"refreshToken\":\"FAKE-refresh-%ld\","
            "\"expiresAt\":4102444800000,\"scopes\":[\"user:inference\"],\"subscriptionType\":\"max\"}}", number, number);
        if (write(fd, text, length) != length) return 1;
        close(fd);
        rename(temporary, login);
        while (calls && size(calls) <= before) usleep(200);
        if (number == atol(words[3])) hold(words[2], "warm");
        // Somebody waits for us, and no longer than a minute for a word.
        if (number % 20 == 0) { printf("at %ld\n", number); fflush(stdout); }
    }
    hold(words[2], "done");
    return 0;
}
"#;

/// A line of logins is remembered up to 256 of them, and grows until then.
const WARM: u32 = 260;

/// PID 1 sees a few of the logins that are written without a pause: until it has seen 256, and its allocator has settled.
const WARM_WRITES: u32 = 20_000;

/// How much more PID 1 may hold at the end, in kB: of a part, by what an allocator keeps for sizes that it had not met.
fn growth() -> i64 {
    i64::from(times(128, 64))
}

fn compiled(sandbox: &Sandbox, name: &str, source: &str) -> String {
    let source = sandbox.write(&format!("{name}.c"), source);
    let program = sandbox.text(&format!("bin/{name}"));
    let compiled = Command::new("cc").args(["-O2", "-w", "-static", "-o", &program]).arg(source).status();
    assert!(compiled.unwrap().success(), "cc");
    program
}

/// How often a thing is done: a part of it, or the whole.
fn times(part: u32, whole: u32) -> u32 {
    if std::env::var("AGENT_INIT_TEST_MEMORY").as_deref() == Ok("whole") { whole } else { part }
}

/// What PID 1 holds that is its own, in kB, swapped out or not.
fn held(live: &Live) -> i64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", live.pid())).unwrap();
    let field = |name: &str| -> i64 {
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
        value.unwrap().parse().unwrap()
    };
    field("RssAnon:") + field("VmSwap:")
}

/// What PID 1 holds once it is at rest: a helper that runs holds the whole environment. Waits for at most 10 s.
fn settled(live: &Live, enough: i64) -> i64 {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let held = held(live);
        if held <= enough || Instant::now() >= deadline {
            return held;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Holds PID 1's memory at both ends of the writer's work against each other.
fn assert_flat(sandbox: &Sandbox, what: &str, (warm, all): (u32, u32), options: &[String], calls: Option<&str>) {
    let writer = compiled(sandbox, "writer", WRITER);
    let mut gate = sandbox.gate("gate");
    let script = "exec \"$1\" \"$C\" \"$2\" \"$3\" \"$4\" ${5:+\"$5\"}";
    let numbers = [warm.to_string(), all.to_string()];
    let arguments = [writer, gate.to_string()].into_iter().chain(numbers).chain(calls.map(str::to_owned));
    let run = sandbox.claude(script).arguments(arguments).options(options.iter().cloned());
    // Each variable is a word of the environment that every helper is given.
    let run = (0..8000).fold(run, |run, number| run.env(&format!("V{number}"), "1"));
    let mount = |name: &str| format!("mount -t tmpfs -o mode=755 tmpfs {}", sandbox.text(name));
    let run = ["state", "home", "capture"].iter().fold(run, |run, name| run.setup(mount(name)));
    let run = if calls.is_some() { run.unset("AGENT_INIT_CAPTURE") } else { run };
    let mut live = run.limit(Duration::from_secs(1200)).pid1().start();
    assert!(live.starts_with_line("warm"), "{}", live.wait());
    let before = held(&live);
    gate.open();
    live.line("done");
    let after = settled(&live, before + growth());
    gate.open();
    live.wait().ok();
    println!("{what}: {all} times, {before} kB and then {after} kB");
    assert!(after - before <= growth(), "{what}: {before} kB and then {after} kB");
}

#[test]
fn calls_of_a_helper_leave_nothing_in_memory() {
    needs_root!();
    let sandbox = Sandbox::new();
    let (helper, calls) = (compiled(&sandbox, "helper", HELPER), sandbox.text("work/calls"));
    let options = ["--store".to_owned(), format!("exec:{helper} {calls}")];
    assert_flat(&sandbox, "calls of a helper", (WARM, times(400, 10_000)), &options, Some(&calls));
    let called = std::fs::metadata(sandbox.path("work/calls")).unwrap().len();
    assert!(called >= u64::from(times(400, 10_000)), "{called} calls");
}

#[test]
fn writes_of_a_login_leave_nothing_in_memory() {
    needs_root!();
    let sandbox = Sandbox::new();
    assert_flat(&sandbox, "writes of a login", (WARM_WRITES, times(40_000, 200_000)), &[], None);
}
