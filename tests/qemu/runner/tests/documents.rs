// SPDX-License-Identifier: BSD-3-Clause
//! Everything that the documents name exists: linked and named files, targets of the Makefile,
//! tests and scenarios. And every page of `docs/` says at its top which files it describes.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;
use rmm_test_system::protection::Protection;
use rmm_test_system::scenarios;

/// The root of the tree.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// Every file of the tree, by its path from the root, without hidden files and build products.
fn files() -> Vec<PathBuf> {
    fn find(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("the folder can be read") {
            let path = entry.expect("the entry can be read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !path.is_dir() {
                found.push(path);
            } else if !name.starts_with('.') && name != "target" && name != "build" {
                find(&path, found);
            }
        }
    }
    let root = root();
    let mut found = Vec::new();
    find(&root, &mut found);
    found
        .iter()
        .map(|path| path.strip_prefix(&root).expect("it was found in the root").into())
        .collect()
}

/// Every file with this extension, by its path from the root, and its text.
fn texts(extension: &str) -> Vec<(PathBuf, String)> {
    let with_text = |path: PathBuf| {
        let text = fs::read_to_string(root().join(&path)).expect("the file can be read");
        (path, text)
    };
    files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(with_text)
        .collect()
}

/// Every document.
fn documents() -> Vec<(PathBuf, String)> {
    texts("md")
}

/// The code spans of `text`, without code blocks.
fn spans(text: &str) -> Vec<&str> {
    static SPAN: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"`([^`\n]+)`").expect("the pattern is valid"));
    let prose = text.split("```").step_by(2);
    prose
        .flat_map(|text| SPAN.captures_iter(text))
        .filter_map(|found| found.get(1))
        .map(|span| span.as_str())
        .collect()
}

/// Whether a code span is the name of a file or folder of this tree: it has such an extension, or
/// begins with a folder of the root. Build products do not count.
fn is_path(span: &str) -> bool {
    static NAME: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^[A-Za-z0-9_./-]*[A-Za-z0-9_/]$").expect("the pattern is valid")
    });
    static FILE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\w\.(rs|S|toml|lock|md|sh|py|lds|ld|svg)$").expect("the pattern is valid")
    });
    let first = span.split('/').next().unwrap_or_default();
    let in_folder = span.contains('/') && !first.is_empty() && root().join(first).is_dir();
    NAME.is_match(span)
        && (FILE.is_match(span) || in_folder)
        && !["build", "target"].contains(&first)
}

/// The names of tests in `text`, recognized by their length or by the path before them, which is
/// removed. A name that ends with `...` or `*` is the beginning of one.
fn tests(text: &str) -> Vec<&str> {
    static TEST: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(\w*::)*([a-z0-9]+(?:_[a-z0-9]+)+(?:_\.\.\.|_\*)?)$")
            .expect("the pattern is valid")
    });
    let mut tests = Vec::new();
    for found in spans(text).into_iter().filter_map(|span| TEST.captures(span)) {
        let name = found.get(2).map_or("", |name| name.as_str());
        let underscores = name.matches('_').count();
        let has_path = found.get(1).is_some();
        if underscores >= if has_path || name.ends_with('.') { 2 } else { 5 } {
            tests.push(name);
        }
    }
    tests
}

/// The names of scenarios in `text`: the code spans after that word.
fn named_scenarios(text: &str) -> Vec<&str> {
    static LIST: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)scenarios?\s+((?:`[a-z0-9.*-]+`(?:,?\s+(?:and\s+)?)?)+)")
            .expect("the pattern is valid")
    });
    LIST.captures_iter(text)
        .filter_map(|found| found.get(1))
        .flat_map(|list| spans(list.as_str()))
        .collect()
}

/// The targets of links in `text`, without those on the web: a file (or none, for this document)
/// and a section of it (or none).
fn links(text: &str) -> Vec<(&str, &str)> {
    static LINK: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\]\(([^)\s#]*)#?([^)\s]*)\)").expect("the pattern is valid"));
    let part = |found: &regex::Captures<'_>, part| {
        found.get(part).map(|part| part.range()).unwrap_or_default()
    };
    let all =
        LINK.captures_iter(text).map(|found| (&text[part(&found, 1)], &text[part(&found, 2)]));
    all.filter(|(file, _)| !file.contains("://")).collect()
}

/// The names of a document's sections in links: headings in lower case, with hyphens for spaces and
/// without punctuation.
fn sections(text: &str) -> HashSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let name = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        words
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    };
    headings.map(name).collect()
}

/// The Makefile targets in `text`: what follows `make` in code.
fn targets(text: &str) -> Vec<String> {
    static COMMAND: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?m)(?:^|`)make ([a-z][a-z0-9-]*)").expect("the pattern is valid")
    });
    let mut targets = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        let fence = line.trim_start().starts_with("```");
        in_block ^= fence;
        for found in COMMAND.captures_iter(line) {
            let in_code = in_block || found[0].starts_with('`');
            if in_code && !fence {
                targets.push(found[1].to_owned());
            }
        }
    }
    targets
}

#[test]
fn links_lead_to_files_and_sections_that_exist() {
    let mut broken = Vec::new();
    for (path, text) in documents() {
        let here = root().join(&path);
        let folder = here.parent().expect("a file is in a folder");
        for (file, section) in links(&text) {
            let target = if file.is_empty() { here.clone() } else { folder.join(file) };
            let has_section =
                || sections(&fs::read_to_string(&target).unwrap_or_default()).contains(section);
            if !target.exists() || !(section.is_empty() || has_section()) {
                broken.push(format!("{}: {file}#{section}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn targets_that_are_named_are_in_the_makefile() {
    let makefile = fs::read_to_string(root().join("Makefile")).expect("the Makefile can be read");
    let has = |target: &str| makefile.lines().any(|line| line.starts_with(&format!("{target}:")));
    let mut unknown = Vec::new();
    for (path, text) in documents() {
        unknown.extend(
            targets(&text)
                .into_iter()
                .filter(|target| !has(target))
                .map(|target| format!("{}: make {target}", path.display())),
        );
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn files_that_are_named_exist() {
    let files = files();
    let mut missing = Vec::new();
    for (path, text) in documents() {
        let here = root().join(&path);
        let folder = here.parent().expect("a file is in a folder");
        for span in spans(&text).into_iter().filter(|span| is_path(span)) {
            let is_there = root().join(span).exists()
                || folder.join(span).exists()
                || files.iter().any(|file| file.ends_with(span));
            if !is_there {
                missing.push(format!("{}: {span}", path.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn tests_that_are_named_exist() {
    let sources = texts("rs");
    let mut missing = Vec::new();
    for (path, text) in documents() {
        for test in tests(&text) {
            let start = test.trim_end_matches(['.', '*']);
            let start = if start == test { format!("fn {test}(") } else { format!("fn {start}") };
            if !sources.iter().any(|(_, source)| source.contains(&start)) {
                missing.push(format!("{}: {test}", path.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn what_is_said_to_be_in_a_file_is_in_it() {
    let place =
        Regex::new(r"`(?:\w+::)*(\w+)` in\s+`([\w/.-]+\.rs)`").expect("the pattern is valid");
    let mut missing = Vec::new();
    for (path, text) in documents() {
        for found in place.captures_iter(&text) {
            let named = Regex::new(&format!(r"\b{}\b", &found[1])).expect("a name is a pattern");
            let here = root().join(&path);
            let beside = here.parent().map(|folder| folder.join(&found[2])).unwrap_or_default();
            let source = fs::read_to_string(root().join(&found[2]))
                .or_else(|_| fs::read_to_string(beside))
                .unwrap_or_default();
            if !named.is_match(&source) {
                missing.push(format!("{}: {}", path.display(), &found[0]));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn scenarios_that_are_named_exist() {
    let all = scenarios::all(Protection::Hardened).into_iter().chain(scenarios::long());
    let names: HashSet<_> = all.map(|scenario| scenario.name).collect();
    let mut missing = Vec::new();
    for (path, text) in documents() {
        for named in named_scenarios(&text) {
            let is_there = match named.strip_suffix('*') {
                Some(start) => names.iter().any(|name| name.starts_with(start)),
                None => names.contains(named),
            };
            if !is_there {
                missing.push(format!("{}: {named}", path.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The paths that a page describes according to its top; `None` if it does not say. Other code
/// spans there, such as Makefile targets, do not count.
fn described(text: &str) -> Option<Vec<&str>> {
    let top = text.split("\n## ").next()?;
    let paragraph = top.split("\n\n").find(|paragraph| paragraph.starts_with("Describes "))?;
    let paths = spans(paragraph)
        .into_iter()
        .filter(|span| is_path(span) || root().join(span).exists())
        .collect();
    Some(paths).filter(|paths: &Vec<_>| !paths.is_empty())
}

#[test]
fn each_page_says_which_files_it_describes_and_they_exist() {
    let mut wrong = Vec::new();
    for (path, text) in documents().into_iter().filter(|(path, _)| path.starts_with("docs")) {
        match described(&text) {
            None => wrong
                .push(format!("{}: no paragraph \"Describes `...`\" at its top", path.display())),
            Some(paths) => wrong.extend(
                paths
                    .into_iter()
                    .filter(|described| !root().join(described).exists())
                    .map(|described| format!("{}: describes {described}", path.display())),
            ),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn sentences_are_at_most_100_wide() {
    let mut wide = Vec::new();
    for (path, text) in documents() {
        // Rows of tables are one line, and code blocks have widths of their own.
        let prose = text.split("```").step_by(2).flat_map(str::lines);
        wide.extend(
            prose
                .filter(|line| !line.starts_with('|') && line.chars().count() > 100)
                .map(|line| format!("{}: {line}", path.display())),
        );
    }
    assert!(wide.is_empty(), "{wide:#?}");
}

#[test]
fn each_document_begins_with_its_license() {
    let has_not = |(_, text): &(_, String)| {
        !text.starts_with("<!-- SPDX-License-Identifier: BSD-3-Clause -->\n")
    };
    let without: Vec<_> = documents().into_iter().filter(has_not).map(|(path, _)| path).collect();
    assert!(without.is_empty(), "{without:#?}");
}

#[test]
fn programs_and_tests_that_are_run_exist() {
    // What is run, and the folders in which it may be.
    let runs: [(&str, &[&str]); 3] = [
        (r"--test ([a-z]\w*)", &["tests/host/{}/main.rs", "tests/qemu/runner/tests/{}.rs"]),
        (r"target/tools/([a-z][\w-]*)", &["tests/qemu/runner/src/bin/{}.rs"]),
        (r"fuzz run ([a-z]\w*)", &["fuzz/fuzz_targets/{}.rs"]),
    ];
    let mut missing = Vec::new();
    for (path, text) in documents() {
        for (pattern, places) in runs {
            let run = Regex::new(pattern).expect("the pattern is valid");
            for name in run.captures_iter(&text).filter_map(|found| found.get(1)) {
                // The package's own program has the package's name.
                let is_own = name.as_str() == env!("CARGO_PKG_NAME");
                let exists =
                    |place: &&str| root().join(place.replace("{}", name.as_str())).exists();
                if !is_own && !places.iter().any(exists) {
                    missing.push(format!("{}: {}", path.display(), name.as_str()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn links_and_targets_are_found_where_they_are() {
    assert_eq!(
        links("[a](b.md) [c](https://d.org/e) [f](g.md#h) [i](#j)"),
        [("b.md", ""), ("g.md", "h"), ("", "j")]
    );
    assert_eq!(
        sections("# A `b`, c\n\ntext\n## 4. The lock's"),
        HashSet::from(["a-b-c".into(), "4-the-locks".into()])
    );
    let text = "to make one, `make two`\n```\nmake three X=1\n```\nmake four";
    assert_eq!(targets(text), ["two", "three"]);
}

#[test]
fn files_tests_and_scenarios_are_found_where_they_are() {
    let is = |span| (span, is_path(span));
    let paths = [
        "src/lib.rs",
        "src/xlat",
        "tests/",
        "entry.S",
        "boot/cold.rs",
        "Cargo.lock",
        "../firmware/src/options.rs",
    ];
    assert_eq!(paths.map(is), paths.map(|path| (path, true)));
    let others = [
        "build/rmm.bin",
        "lib/xlat",
        "x0/x1",
        "make run",
        "RMM=build/rmm.bin",
        "*.rs",
        "rmi1-features",
    ];
    assert_eq!(others.map(is), others.map(|other| (other, false)));
    assert_eq!(spans("`a` b\n```\n`c`\n```\n`d`"), ["a", "d"]);
    let text = "`m::a_test_of_it`, `::and_one_more`, `the_first_of_...`, \
                `one_that_is_of_its_length`, `M::a_type`, `not_a_test`, `A_B_C_D_E_F`";
    let named = ["a_test_of_it", "and_one_more", "the_first_of_...", "one_that_is_of_its_length"];
    assert_eq!(tests(text), named);
    assert_eq!(
        named_scenarios("scenarios `a`, `b-*` and `c`; `d`. Scenario `e.0`"),
        ["a", "b-*", "c", "e.0"]
    );
    let text = "# T\n\nDescribes `src/`, `none.rs`, `Makefile` and `make x`.\n\n## H\n`src`";
    assert_eq!(described(text), Some(vec!["src/", "none.rs", "Makefile"]));
    assert_eq!(described("# T\n\nDescribes `it`.\n\n## H\n\nDescribes `src/`."), None);
}
