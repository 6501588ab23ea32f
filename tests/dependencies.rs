//! What we build upon, as far as it can be told without the network: where it comes from, under which
//! licence, and that there is one of each kind that guards a secret. Known vulnerabilities and yanked
//! versions are not told here: `cargo deny check` asks for them (SECURITY.md).

use std::{collections::BTreeSet, fs, path::Path, process::Command};

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// One of each: two would be two places to mend, and to configure.
const ONE_VERSION: [&str; 16] = [
    "aws-lc-rs",
    "aws-lc-sys",
    "axum",
    "h2",
    "http",
    "hyper",
    "hyper-rustls",
    "hyper-util",
    "kube-client",
    "reqwest",
    "rustls",
    "rustls-webpki",
    "serde-saphyr",
    "serde_json",
    "tokio",
    "tokio-rustls",
];

/// Never built in: rustls with aws-lc-rs is the one TLS.
const NEVER: [&str; 4] = ["native-tls", "openssl", "openssl-sys", "ring"];

/// Where we build, as `deny.toml` has it.
const TARGETS: [&str; 3] =
    ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "aarch64-apple-darwin"];

/// A package of `Cargo.lock`.
struct Locked {
    name: String,
    version: String,
    source: String,
    checksum: String,
}

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect(file)
}

fn locked() -> Vec<Locked> {
    let text = read("Cargo.lock");
    let packages = text.split("[[package]]").skip(1).map(|block| {
        let field = |name: &str| {
            let prefix = format!("{name} = \"");
            let found = block.lines().find_map(|line| line.strip_prefix(prefix.as_str()));
            found.map(|rest| rest.trim_end_matches('"').to_owned()).unwrap_or_default()
        };
        Locked {
            name: field("name"),
            version: field("version"),
            source: field("source"),
            checksum: field("checksum"),
        }
    });
    packages.collect()
}

/// Name and licence of each package that is built for one of [`TARGETS`], tests left out.
fn built() -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for target in TARGETS {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--locked", "--offline", "--edges=normal,build", "--prefix=none"])
            .args(["--format={p}|{l}", "--target", target])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        found.extend(text.lines().filter_map(|line| {
            let (package, licence) = line.split_once('|')?;
            let licence = licence.trim_end_matches(" (*)");
            Some((package.split(' ').next()?.to_owned(), licence.to_owned()))
        }));
    }
    found
}

#[test]
fn everything_comes_from_crates_io_with_a_checksum() {
    for Locked { name, version, source, checksum } in locked() {
        if name == env!("CARGO_PKG_NAME") {
            continue;
        }
        assert_eq!(source, CRATES_IO, "{name} {version}");
        let hash = checksum.len() == 64 && checksum.chars().all(|c| c.is_ascii_hexdigit());
        assert!(hash, "{name} {version}: {checksum}");
    }
}

#[test]
fn there_is_one_version_of_what_guards_secrets_and_reads_input() {
    let locked = locked();
    for name in ONE_VERSION {
        let of_name = locked.iter().filter(|package| package.name == name);
        let versions: Vec<&str> = of_name.map(|package| package.version.as_str()).collect();
        assert!(versions.len() <= 1, "{name}: {versions:?}");
    }
    assert!(locked.iter().any(|package| package.name == "rustls"));
}

#[test]
fn there_is_one_tls_and_every_licence_is_allowed() {
    let deny = read("deny.toml");
    let (_, allowed) = deny.split_once("[licenses]").expect("licences");
    let allowed: BTreeSet<&str> = allowed.split('"').skip(1).step_by(2).collect();
    assert!(allowed.contains("MIT"));
    let built = built();
    assert!(built.len() > 50, "{}", built.len());
    for (name, licence) in &built {
        assert!(!NEVER.contains(&name.as_str()), "{name} is built in");
        assert!(permits(licence, &allowed), "{name}: `{licence}` is not in deny.toml");
    }
}

/// Whether an SPDX expression can be met by these licences. A slash is an old way to write OR.
fn permits(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    !rest.is_empty() && any(&mut rest, allowed) && rest.is_empty()
}

fn any(rest: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    let mut met = all(rest, allowed);
    while let ["OR", tail @ ..] = rest {
        *rest = tail;
        met |= all(rest, allowed);
    }
    met
}

fn all(rest: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    let mut met = one(rest, allowed);
    while let ["AND", tail @ ..] = rest {
        *rest = tail;
        met &= one(rest, allowed);
    }
    met
}

fn one(rest: &mut &[&str], allowed: &BTreeSet<&str>) -> bool {
    match rest {
        ["(", tail @ ..] => {
            *rest = tail;
            let met = any(rest, allowed);
            *rest = rest.strip_prefix(&[")"]).unwrap_or_default();
            met
        }
        [name, "WITH", exception, tail @ ..] => {
            *rest = tail;
            allowed.contains(format!("{name} WITH {exception}").as_str())
        }
        [name, tail @ ..] => {
            *rest = tail;
            allowed.contains(name)
        }
        [] => false,
    }
}

#[test]
fn licences_are_read_as_they_are_written() {
    let allowed = BTreeSet::from(["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]);
    for (expression, permitted) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("MIT AND GPL-3.0", false),
        ("ISC AND (GPL-3.0 OR MIT)", true),
        ("(GPL-3.0 AND MIT) OR Apache-2.0", false),
        ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true),
        ("", false),
    ] {
        assert_eq!(permits(expression, &allowed), permitted, "{expression}");
    }
}

#[test]
fn no_code_of_ours_is_unsafe_and_none_runs_at_build_time() {
    let manifest = read("Cargo.toml");
    assert!(manifest.contains("unsafe_code = \"forbid\""));
    assert!(
        !manifest.contains("build = ") && !manifest.contains("[patch"),
        "no build script, no fork"
    );
    assert!(!Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs").exists());
}
