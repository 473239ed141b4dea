//! What the command is given: its words, streams, descriptors, signal mask and dispositions.

use std::fs;

use super::{Behaviour, How, Scene, all_differ, check, differs, exit};

const PERMUTES: &str = "takes options that stand after the command, up to a --";

pub const TABLE: &[Behaviour] = &[
    Behaviour {
        what: "words after --",
        how: How::Both,
        see: |scene| words(scene, &["--"], &["-g", "--version", "--", "-x", ""]),
        expected: "<-g><--version><--><-x><>",
        differences: &[],
    },
    Behaviour {
        what: "words without --",
        how: How::Both,
        see: |scene| words(scene, &[], &["a", "b c", ""]),
        expected: "<a><b c><>",
        differences: &[],
    },
    Behaviour {
        what: "the command's options without --",
        how: How::Both,
        see: |scene| words(scene, &[], &["-g", "--", "-x"]),
        expected: "<-g><--><-x>",
        differences: &[differs("tini", "<-x>", PERMUTES), differs("catatonit", "<-x>", PERMUTES)],
    },
    Behaviour {
        what: "standard input",
        how: How::Both,
        see: |scene| scene.run(&["cat"]).stdin(Some("text\n")).run().ok().stdout,
        expected: "text\n",
        differences: &[],
    },
    Behaviour {
        what: "closed standard input",
        how: How::Both,
        see: |scene| exit(scene.run(&["sh", "-c", "exit 7"]).stdin(None).run().code),
        expected: "exit 7",
        differences: &[differs("tini", "exit 1", "tcsetpgrp's EBADF is fatal")],
    },
    Behaviour {
        what: "all three closed",
        how: How::Both,
        see: |scene| {
            let closed = ["sh", "-c", "exec \"$@\" <&- >&- 2>&-", "sh"];
            exit(scene.run(&["sh", "-c", "exit 7"]).through(closed).run().code)
        },
        expected: "exit 7",
        differences: &[differs("tini", "exit 1", "tcsetpgrp's EBADF is fatal")],
    },
    Behaviour {
        what: "standard output whose reader has gone",
        how: How::Both,
        see: |scene| {
            let unread = ["bash", "-c", "exec \"$@\" > >(exec true)", "bash"];
            exit(scene.run(&["sh", "-c", "while echo x; do :; done"]).through(unread).run().code)
        },
        expected: "exit 141",
        differences: &[],
    },
    Behaviour {
        what: "no signal blocked, none ignored",
        how: How::Both,
        see: |scene| masks(scene, &[]),
        expected: "blocked 0, ignored 0",
        differences: &[differs("catatonit", "blocked 380000, ignored 0", "leaves TSTP, TTIN and TTOU blocked")],
    },
    Behaviour {
        what: "a blocked signal",
        how: How::Both,
        see: |scene| masks(scene, &["--block-signal=USR1"]),
        expected: "blocked 200, ignored 0",
        differences: &[
            differs("catatonit", "blocked 380200, ignored 0", "leaves TSTP, TTIN and TTOU blocked"),
            differs("dumb-init", "blocked 0, ignored 0", "unblocks everything"),
        ],
    },
    Behaviour {
        what: "an ignored signal",
        how: How::Both,
        see: |scene| masks(scene, &["--ignore-signal=HUP"]),
        expected: "blocked 0, ignored 1",
        differences: &[
            differs("catatonit", "blocked 380000, ignored 1", "leaves TSTP, TTIN and TTOU blocked"),
            differs("dumb-init", "blocked 0, ignored 0", "resets what nohup ignored"),
        ],
    },
    Behaviour {
        what: "a process group of its own",
        how: How::Both,
        see: |scene| own(scene, 5),
        expected: "its own",
        differences: &[],
    },
    Behaviour {
        what: "the session stays",
        how: How::Both,
        see: |scene| own(scene, 6),
        expected: "inherited",
        differences: &[differs("dumb-init", "its own", "calls setsid, and the shell that started it loses the job")],
    },
    Behaviour {
        what: "an inherited pipe is the command's alone",
        how: How::Both,
        see: |scene| held(scene, "7>\"$0\"", "exec 7>&-"),
        expected: "let go",
        differences: &[
            differs("tini", "held", "keeps what it inherits, so the reader sees no end"),
            differs("dumb-init", "held", "keeps what it inherits, so the reader sees no end"),
        ],
    },
    Behaviour {
        what: "standard output is the command's alone",
        how: How::Both,
        see: |scene| held(scene, "1>\"$0\"", "exec 1>&-"),
        expected: "let go",
        differences: &all_differ("held", "keeps what it inherits, so the reader sees no end"),
    },
];

fn words(scene: &Scene, separator: &[&str], words: &[&str]) -> String {
    let command = [&["claude", "printf '<%s>' \"$@\""], words].concat();
    scene.words(separator, &command).run().ok().stdout
}

/// As the command sees them, with what `env` was told to do to the init before.
fn masks(scene: &Scene, given: &[&str]) -> String {
    let run = scene.run(&["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]);
    // What these tests themselves were started with must not show.
    let status = run.through(["env", "--default-signal"]).through(given.iter().copied()).run().ok().stdout;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        // The C library's own two signals, 32 and 33, are not env's to reset.
        u64::from_str_radix(line.trim(), 16).unwrap() & !(3 << 31)
    };
    format!("blocked {:x}, ignored {:x}", field("SigBlk:"), field("SigIgn:"))
}

/// Field 5 (process group) or 6 (session) of its /proc/PID/stat against its pid.
fn own(scene: &Scene, field: u8) -> String {
    let outcome = scene.agent("say $$; cut -d' ' -f$1 /proc/$$/stat", &[&field.to_string()]).run().ok();
    let mut lines = outcome.stdout.lines();
    if lines.next() == lines.next() { "its own".to_owned() } else { "inherited".to_owned() }
}

/// Whether the init still has a fifo open that it was started with and the command has closed.
fn held(scene: &Scene, redirect: &str, closes: &str) -> String {
    let pipe = scene.gate("pipe");
    let mut gate = scene.gate("gate");
    let redirected = format!("exec \"$@\" {redirect}");
    let script = format!("trap 'say back >&2' USR1; {closes}; say closed >&2; hold \"$1\"");
    let run = scene.agent(&script, &[&gate.to_string()]);
    let mut live = run.through(["sh", "-c", &redirected, &pipe.path.display().to_string()]).start();
    live.message("closed");
    // It lets go once the command runs, and forwards signals after that.
    live.signal(10);
    live.message("back");
    let fds = fs::read_dir(format!("/proc/{}/fd", live.pid())).unwrap();
    let held = fds.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == pipe.path));
    gate.open();
    live.wait().ok();
    if held { "held".to_owned() } else { "let go".to_owned() }
}

#[test]
fn what_the_command_is_given() {
    check(TABLE);
}
