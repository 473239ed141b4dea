//! The environment of a real image: hundreds of variables that mean nothing to the binary, and some that mean something to
//! its libraries. An empty one would hide what only they bring out.

/// What begins the names of variables that mean nothing to anybody. A test of an exact environment leaves them out by it.
const PREFIX: &str = "NOISE_";
/// Kubernetes gives a container seven variables for each service of its namespace.
const SERVICES: u32 = 40;

/// What changes the behaviour of the Rust runtime, the loader or the C library.
const RUNTIME: [(&str, &str); 5] = [
    ("RUST_BACKTRACE", "1"),
    ("LD_PRELOAD", ""),
    ("MALLOC_PERTURB_", "165"),
    ("MALLOC_ARENA_MAX", "2"),
    ("GLIBC_TUNABLES", "glibc.malloc.tcache_count=3:glibc.rtld.nns=2"),
];

/// Names and values.
pub fn noise() -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = RUNTIME.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let mut add = |name: String, value: String| all.push((format!("{PREFIX}{name}"), value));
    for number in 0..SERVICES {
        let (service, host) = (format!("SERVICE_{number}"), format!("10.96.0.{number}"));
        for (name, value) in [
            ("SERVICE_HOST", host.clone()),
            ("SERVICE_PORT", "443".to_owned()),
            ("PORT", format!("tcp://{host}:443")),
            ("PORT_443_TCP", format!("tcp://{host}:443")),
            ("PORT_443_TCP_PROTO", "tcp".to_owned()),
            ("PORT_443_TCP_PORT", "443".to_owned()),
            ("PORT_443_TCP_ADDR", host.clone()),
        ] {
            add(format!("{service}_{name}"), value);
        }
    }
    add("EMPTY".to_owned(), String::new());
    add("LONG".to_owned(), "x".repeat(16 * 1024));
    add("EQUALS".to_owned(), "a=b=c".to_owned());
    add("ESCAPES".to_owned(), "\u{1b}[31m\u{202e}\u{2028}".to_owned());
    // Each line begins like a variable, for those who read `env` by lines.
    add("LINES".to_owned(), format!("one\n{PREFIX}LINES_2=two"));
    all
}
