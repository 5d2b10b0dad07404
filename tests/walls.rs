//! Keeps the walls of the house. A pure file may use values only: no async, no
//! I/O, no clock, no randomness. Crates depend on each other one way, and one
//! crate alone links the AWS SDK. Planted violations prove that the test looks.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use syn::visit::Visit;

/// Crates whose values a pure file may use.
const PURE_CRATES: [&str; 16] = [
    "core",
    "crate",
    "hex",
    "indexmap",
    "jiff",
    "regex",
    "saphyr_parser",
    "self",
    "semver",
    "serde",
    "serde_json",
    "sha2",
    "std",
    "super",
    "thiserror",
    "uuid",
];

/// Parts of std that are values.
const PURE_STD: [&str; 21] = [
    "any",
    "array",
    "borrow",
    "cmp",
    "collections",
    "convert",
    "default",
    "error",
    "fmt",
    "hash",
    "iter",
    "marker",
    "mem",
    "num",
    "ops",
    "option",
    "rc",
    "result",
    "slice",
    "str",
    "string",
];

/// Names that reach outside although their crate is allowed.
const IMPURE_ENDINGS: [&str; 6] = [
    "Timestamp::now",
    "Zoned::now",
    "Uuid::new_v4",
    "Uuid::now_v7",
    "SystemTime::now",
    "Instant::now",
];

/// Where pure files are. The traits of outside systems stand beside the agent's
/// rooms: they name futures and do nothing.
const PURE_ROOMS: [&str; 2] = ["agent/domain/src", "orchestrator/src/domain"];
const TRAITS: [&str; 5] = [
    "agent/domain/src/outside.rs",
    "agent/domain/src/outside/alarms.rs",
    "agent/domain/src/outside/one_off.rs",
    "agent/domain/src/outside/surroundings.rs",
    "agent/domain/src/outside/values.rs",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[derive(Default)]
struct Finder {
    /// Modules that the file itself declares: a path may begin with them.
    modules: Vec<String>,
    found: Vec<String>,
}

impl Finder {
    fn judge(&mut self, path: &[String]) {
        let text = path.join("::");
        let Some(first) = path.first() else { return };
        let pure = match first.as_str() {
            "std" | "core" => match path.get(1).map(String::as_str) {
                Some("time") => path.get(2).is_none_or(|name| name == "Duration"),
                Some("sync") => path
                    .get(2)
                    .is_some_and(|name| name == "Arc" || name == "LazyLock"),
                // Whether two references are to one value.
                Some("ptr") => path.get(2).is_some_and(|name| name == "eq"),
                Some(module) => PURE_STD.contains(&module),
                None => true,
            },
            _ => true,
        };
        if !pure || IMPURE_ENDINGS.iter().any(|ending| text.ends_with(ending)) {
            self.found.push(text);
        }
    }

    fn walk_use(&mut self, tree: &syn::UseTree, before: &[String]) {
        let mut path = before.to_vec();
        match tree {
            syn::UseTree::Path(part) => {
                path.push(part.ident.to_string());
                if path.len() == 1
                    && !PURE_CRATES.contains(&path[0].as_str())
                    && !self.modules.contains(&path[0])
                    && !path[0].chars().next().is_some_and(char::is_uppercase)
                {
                    self.found.push(path[0].clone());
                }
                self.walk_use(&part.tree, &path);
            }
            syn::UseTree::Name(name) => {
                path.push(name.ident.to_string());
                self.judge(&path);
            }
            syn::UseTree::Rename(name) => {
                path.push(name.ident.to_string());
                self.judge(&path);
            }
            syn::UseTree::Glob(_) => self.judge(&path),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.walk_use(item, &path)),
        }
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else {
            return false;
        };
        list.path.is_ident("cfg") && list.tokens.to_string() == "test"
    })
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_test(&module.attrs) {
            syn::visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.walk_use(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        let outside = [
            "tokio",
            "futures_util",
            "sqlx",
            "tonic",
            "rand",
            "hyper",
            "tracing",
            "towline_link",
        ];
        if names.len() > 1 && outside.contains(&names[0].as_str()) {
            self.found.push(names.join("::"));
        }
        if names.len() > 1 {
            self.judge(&names);
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        if signature.asyncness.is_some() {
            self.found.push(format!("async fn {}", signature.ident));
        }
        syn::visit::visit_signature(self, signature);
    }

    fn visit_expr_await(&mut self, expression: &'ast syn::ExprAwait) {
        self.found.push(".await".to_owned());
        syn::visit::visit_expr_await(self, expression);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let name = call
            .path
            .segments
            .last()
            .map(|s| s.ident.to_string())
            .unwrap_or_default();
        if ["println", "eprintln", "print", "eprint", "dbg", "include_str"].contains(&name.as_str())
            && name != "include_str"
        {
            self.found.push(format!("{name}!"));
        }
        syn::visit::visit_macro(self, call);
    }
}

fn violations(source: &str) -> Vec<String> {
    let file = syn::parse_file(source).unwrap();
    let declared = file.items.iter().filter_map(|item| match item {
        syn::Item::Mod(module) => Some(module.ident.to_string()),
        _ => None,
    });
    let mut finder = Finder {
        modules: declared.collect(),
        found: Vec::new(),
    };
    finder.visit_file(&file);
    finder.found
}

fn rust_files(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn pure_rooms_use_values_only() {
    let mut seen = 0;
    let mut found = Vec::new();
    for room in PURE_ROOMS {
        let mut files = Vec::new();
        rust_files(&root().join(room), &mut files);
        for file in files {
            let is_test_file = file.file_stem().is_some_and(|stem| stem == "tests")
                || file.components().any(|part| part.as_os_str() == "tests");
            let is_traits = TRAITS.iter().any(|traits| file == root().join(traits));
            if is_traits || is_test_file {
                continue;
            }
            seen += 1;
            for violation in violations(&fs::read_to_string(&file).unwrap()) {
                found.push(format!("{}: {violation}", file.display()));
            }
        }
    }
    assert!(seen > 10, "only {seen} pure files found: the rooms moved");
    assert!(found.is_empty(), "not pure:\n{}", found.join("\n"));
}

#[test]
fn a_planted_violation_is_seen() {
    for planted in [
        "use std::fs;",
        "use std::{collections::BTreeMap, time::SystemTime};",
        "use tokio::sync::mpsc;",
        "use std::net::*;",
        "fn f() { let _ = std::env::var(\"HOME\"); }",
        "fn f() -> jiff::Timestamp { jiff::Timestamp::now() }",
        "use jiff::Timestamp; fn f() -> Timestamp { Timestamp::now() }",
        "fn f() -> uuid::Uuid { uuid::Uuid::new_v4() }",
        "async fn f() {}",
        "fn f() { rand::random::<u8>(); }",
        "mod inner { use std::process::Command; }",
        "fn f() { println!(\"out\"); }",
        "use towline_proto::agent::v1::Agent;",
        "fn f() { std::thread::spawn(|| ()); }",
    ] {
        assert!(!violations(planted).is_empty(), "not seen: {planted}");
    }
}

#[test]
fn values_are_no_violation() {
    for pure in [
        "use std::{collections::BTreeMap, fmt, time::Duration};",
        "use serde::{Deserialize, Serialize}; use jiff::Timestamp;",
        "#[cfg(test)] mod tests { use std::fs; }",
        "use crate::domain::project::Project; fn f(p: &Project) -> usize { p.services.len() }",
    ] {
        assert_eq!(violations(pure), Vec::<String>::new(), "{pure}");
    }
}

fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut section = String::new();
    let mut names = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            line.trim_matches(['[', ']']).clone_into(&mut section);
        } else if section == "dependencies"
            && let Some((name, _)) = line.split_once(['.', '=', ' '])
        {
            names.insert(name.to_owned());
        }
    }
    names
}

fn crate_faults(name: &str, manifest: &str) -> Vec<String> {
    let allowed: &[&str] = match name {
        "proto" => &[],
        "link" => &["towline-proto"],
        "agent/domain" => &[],
        "agent/aws" => &["towline-agent-domain", "towline-link"],
        "agent" => &[
            "towline-proto",
            "towline-link",
            "towline-agent-domain",
            "towline-agent-aws",
        ],
        "orchestrator" => &["towline-proto", "towline-link"],
        "tests/aws-sim" => &[],
        other => panic!("no rule for {other}"),
    };
    let ours = |d: &str| d.starts_with("towline") || d == "aws-sim";
    let parts = ["aws-sdk", "aws-config", "aws-smithy", "aws-runtime", "aws-types"];
    let sdk = |d: &str| parts.iter().any(|part| d.starts_with(part));
    dependencies(manifest)
        .into_iter()
        .filter(|d| (ours(d) && !allowed.contains(&d.as_str())) || (sdk(d) && name != "agent/aws"))
        .collect()
}

#[test]
fn crates_depend_one_way_and_one_links_the_sdk() {
    for name in [
        "proto",
        "link",
        "agent/domain",
        "agent/aws",
        "agent",
        "orchestrator",
        "tests/aws-sim",
    ] {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        assert_eq!(
            crate_faults(name, &manifest),
            Vec::<String>::new(),
            "{name} may not depend on these"
        );
    }
    assert!(!crate_faults("orchestrator", "[dependencies]\ntowline-agent.workspace = true\n").is_empty());
    assert!(!crate_faults("agent", "[dependencies]\naws-sdk-ecs.workspace = true\n").is_empty());
    assert!(!crate_faults("link", "[dependencies]\ntowline-agent-domain.workspace = true\n").is_empty());
}

#[test]
fn one_tls_stack_and_one_async_runtime() {
    let tree = std::process::Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--workspace",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    for banned in [
        "ring v",
        "openssl v",
        "openssl-sys v",
        "native-tls v",
        "async-std v",
        "hyper v0",
        "serde_yaml v",
    ] {
        let found: Vec<_> = tree.lines().filter(|line| line.starts_with(banned)).collect();
        assert!(found.is_empty(), "{found:?} must not be built in");
    }
}
