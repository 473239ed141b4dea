//! Makes an outline of each built-in agent definition, so that a start reads no definition that does not matter to it,
//! and takes the blanks out of the definitions.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::Value;

#[path = "src/login/names.rs"]
#[allow(dead_code, reason = "what it needs of it is one function")]
mod names;

const DEFINITIONS: &str = "src/agent/definitions";

fn main() {
    println!("cargo:rerun-if-changed={DEFINITIONS}");
    println!("cargo:rerun-if-changed=src/login/names.rs");
    let mut files: Vec<PathBuf> = fs::read_dir(DEFINITIONS)
        .unwrap_or_else(|error| panic!("{DEFINITIONS}: {error}"))
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    let outlines: String = files.iter().map(|path| outline(path)).collect();
    let target = Path::new(&env::var_os("OUT_DIR").unwrap_or_default()).join("outlines.rs");
    let text = format!("const BUILT_IN: &[Outline] = &[\n{outlines}];\n");
    fs::write(&target, text).unwrap_or_else(|error| panic!("{}: {error}", target.display()));
}

fn outline(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let word = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let words = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
    };
    let methods = value["methods"].as_array().into_iter().flatten();
    let own = methods.filter(|rule| rule["shared"] != Value::Bool(true));
    let mut variables: Vec<String> = own.filter_map(|rule| rule["variable"].as_str().map(str::to_owned)).collect();
    variables.extend(words(&value["session"]["variables"]));
    variables.push(names::of_session(&word("/name")));
    let others = value["methods"].as_array().into_iter().flatten().flat_map(|rule| {
        let shared = rule["variable"].as_str().filter(|_| rule["shared"] == Value::Bool(true)).map(str::to_owned);
        words(&rule["with"]).into_iter().chain(shared)
    });
    let others: std::collections::BTreeSet<String> = others.collect();
    let mut line = String::from("    Outline {\n");
    let mut field = |name: &str, value: String| {
        writeln!(line, "        {name}: {value},").unwrap_or_else(|error| panic!("{error}"));
    };
    field("name", format!("{:?}", word("/name")));
    field("commands", format!("&{:?}", words(&value["commands"])));
    field("variables", format!("&{variables:?}"));
    field("others", format!("&{:?}", others.into_iter().collect::<Vec<_>>()));
    field("home", format!("({:?}, {:?}, {:?})", word("/home/variable"), word("/home/suffix"), word("/home/default")));
    field("parent", format!("({:?}, {:?})", word("/home/parent/variable"), word("/home/parent/suffix")));
    field("login", format!("{:?}", word("/session/file")));
    let below_home = word("/home/default").strip_prefix("~/").map(|place| format!("{place}/{}", word("/session/file")));
    field("below_home", format!("{:?}", below_home.filter(|_| !word("/session/file").is_empty()).unwrap_or_default()));
    field("text", format!("{:?}", value.to_string()));
    line + "    },\n"
}
