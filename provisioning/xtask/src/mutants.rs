//! `cargo xtask mutants`: changes the code by cargo-mutants, one mutation at a time, and fails when the tests of its crate do
//! not notice.
//!
//! Without arguments: mutations of what the working tree changes. With `all`: of [`MODULES`], which takes days; an
//! interrupted run goes on where it stopped, and several machines can share it. Mutations that may survive are in
//! `.cargo/mutants.toml`, each with its reason. Nothing is mutated in the working tree: cargo-mutants works on a copy.

mod outcome;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result, bail};

use self::outcome::{Ended, MutantLine, Outcome, Survivor, ended, mutant_line};
use crate::cargo;
use crate::progress::{Phase, Progress};

/// The version that is installed. Its files are read by [`Outcome::read`]; it compiles with Rust 1.88 and later.
const VERSION: &str = "27.1.0";
/// The branch that changes are compared with.
const MAIN: &str = "main";

/// What `all` mutates: files, or all files below a folder that ends with `/**`.
const MODULES: &[(&str, &[&str])] = &[
    (
        "payments",
        &[
            "kiosk-app/session/src/durable/orders.rs",
            "kiosk-app/session/src/front/visit/steps/pay.rs",
            "kiosk-app/session/src/front/visit/steps/payment_outcome.rs",
            "kiosk-app/session/src/payment_content.rs",
            "kiosk-app/session/src/payments.rs",
        ],
    ),
    (
        "printing and receipts",
        &[
            "kiosk-app/session/src/durable/receipts.rs",
            "kiosk-app/session/src/front/visit/steps/print.rs",
            "kiosk-app/session/src/printing.rs",
            "kiosk-app/session/src/receipt_content.rs",
        ],
    ),
    (
        "used codes",
        &["kiosk-app/session/src/durable/used_codes.rs", "platform/server/src/codes/used_codes.rs"],
    ),
    (
        "code verification",
        &[
            "kiosk-app/session/src/code_trust.rs",
            "kiosk-app/session/src/code_verification.rs",
            "platform/resident-code/src/**",
            "platform/server/src/codes/verification.rs",
        ],
    ),
    ("journal", &["kiosk-app/journal/src/**"]),
    ("uplink", &["kiosk-app/sync/src/**"]),
    ("payments of the platform", &["platform/server/src/payments/**"]),
    ("recovery of the platform", &["platform/server/src/recovery/**"]),
    ("records", &["platform/contract/src/entry.rs", "platform/contract/src/record.rs"]),
];

/// What to mutate.
#[derive(Debug, PartialEq, Eq)]
enum Scope {
    /// What the working tree changes.
    Changes,
    /// All of [`MODULES`], or one shard of it.
    All(Option<Shard>),
}

/// One part of a run that several machines share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shard {
    /// From 1 to `of`.
    number: u32,
    of: u32,
}

/// Runs the command.
pub(crate) fn run(rest: &[String], repository: &Path, target: &Path, progress: &Progress) -> Result<()> {
    let scope = scope(rest)?;
    let directory = target.join("mutants");
    let mut arguments = match scope {
        Scope::Changes => {
            let Some(diff) = write_changes(&directory, progress)? else { return Ok(()) };
            vec!["--in-diff".to_owned(), path_text(&diff)?]
        }
        Scope::All(shard) => all_arguments(repository, shard)?,
    };
    install(progress)?;
    let output = directory.join(folder(&scope));
    forget_last_verdict(&scope, &output)?;
    arguments.extend(["--output".to_owned(), path_text(&output)?]);
    arguments.extend(runner_arguments(cargo::has("nextest")));
    let ended = mutate(&arguments, &output.join("build"), progress)?;
    let outcome = Outcome::read(&output)?;
    judge(&ended, &outcome, &output, progress)?;
    if scope != Scope::Changes && outcome == Outcome::default() {
        bail!(
            "cargo-mutants found nothing to mutate in all modules, which is wrong: see {}",
            output.display()
        );
    }
    Ok(())
}

fn scope(rest: &[String]) -> Result<Scope> {
    match rest {
        [] => Ok(Scope::Changes),
        [all] if all == "all" => Ok(Scope::All(None)),
        [all, shard] if all == "all" => Ok(Scope::All(Some(parse_shard(shard)?))),
        [word, ..] => {
            bail!("`cargo xtask mutants` takes nothing or `all [SHARD/OF]`; it does not know `{word}`")
        }
    }
}

fn parse_shard(text: &str) -> Result<Shard> {
    let numbers =
        text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
    match numbers {
        Some((number, of)) if (1..=of).contains(&number) => Ok(Shard { number, of }),
        _ => bail!("`{text}` is no shard: give its number, from 1, and how many there are, as in `2/4`"),
    }
}

/// The folder of results, one for each scope: each can go on after an interruption, and two can run at the same time.
fn folder(scope: &Scope) -> String {
    match scope {
        Scope::Changes => "changes".to_owned(),
        Scope::All(None) => "all".to_owned(),
        Scope::All(Some(Shard { number, of })) => format!("all-{number}-of-{of}"),
    }
}

fn all_arguments(repository: &Path, shard: Option<Shard>) -> Result<Vec<String>> {
    // What earlier runs caught is not tried again.
    let mut arguments = vec!["--iterate".to_owned()];
    for file in MODULES.iter().flat_map(|(_, files)| files.iter()) {
        if !repository.join(file.trim_end_matches("/**")).exists() {
            bail!("`{file}` does not exist: correct MODULES in provisioning/xtask/src/mutants.rs");
        }
        arguments.extend(["--file".to_owned(), (*file).to_owned()]);
    }
    if let Some(Shard { number, of }) = shard {
        // cargo-mutants counts from 0.
        arguments.extend(["--shard".to_owned(), format!("{}/{of}", number - 1)]);
    }
    Ok(arguments)
}

/// Mutations of all crates, not of the default members; of the tests, those of the mutated crate, and no more than the first
/// that fails.
fn runner_arguments(has_nextest: bool) -> Vec<String> {
    let common = [
        "--workspace",
        "--test-workspace=false",
        "--baseline=run",
        "--colors=never",
        "--caught",
        "--unviable",
    ];
    let nextest = ["--test-tool=nextest", "--cargo-test-arg=--fail-fast"];
    let runner = if has_nextest { &nextest[..] } else { &["--test-tool=cargo"] };
    common.iter().chain(runner).map(|&word| word.to_owned()).collect()
}

/// Removes the results that the new run would not overwrite if it finds nothing to do. Of `all`, what was caught stays.
fn forget_last_verdict(scope: &Scope, output: &Path) -> Result<()> {
    let results = output.join("mutants.out");
    let stale = match scope {
        Scope::Changes => vec!["caught.txt", "missed.txt", "timeout.txt", "unviable.txt"],
        Scope::All(_) => vec!["missed.txt", "timeout.txt"],
    };
    for file in stale {
        match fs::remove_file(results.join(file)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove the old {file}"));
            }
            Ok(()) | Err(_) => {}
        }
    }
    fs::create_dir_all(output).with_context(|| format!("cannot create {}", output.display()))
}

/// Installs cargo-mutants, if this version of it is not there.
fn install(progress: &Progress) -> Result<()> {
    let installed = Command::new("cargo").args(["mutants", "--version"]).output();
    let installed = installed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    if installed.is_ok_and(|text| is_wanted_version(&text)) {
        return Ok(());
    }
    let arguments = ["install", "cargo-mutants", "--locked", "--version", VERSION];
    cargo::build(&arguments, &format!("installing cargo-mutants {VERSION} (some minutes)"), progress)
}

/// Whether this is what the wanted version prints for `--version`.
fn is_wanted_version(text: &str) -> bool {
    text.split_whitespace().eq(["cargo-mutants", VERSION])
}

/// Writes what the working tree changes, and returns the file. `None` if no Rust file is changed.
fn write_changes(directory: &Path, progress: &Progress) -> Result<Option<PathBuf>> {
    let branch = git(&["branch", "--show-current"])?;
    let base = match base_of(branch.trim()) {
        Base::Commit(commit) => commit.to_owned(),
        Base::MergeBase => {
            let local = git(&["merge-base", MAIN, "HEAD"]);
            // A clone of one branch has no branch `main` of its own.
            let base = local.or_else(|_| git(&["merge-base", &format!("origin/{MAIN}"), "HEAD"]));
            base.context("cannot find where this branch left `main`")?.trim().to_owned()
        }
    };
    let form = ["--no-color", "--no-ext-diff", "--src-prefix=a/", "--dst-prefix=b/"];
    let mut diff = git(&[&["diff"], &form[..], &[&base, "--", "*.rs"]].concat())?;
    // New files that are not in the index are no part of it.
    for file in git(&["ls-files", "--others", "--exclude-standard", "--", "*.rs"])?.lines() {
        diff += &git(&[&["diff"], &form[..], &["--no-index", "--", "/dev/null", file]].concat())?;
    }
    if diff.is_empty() {
        progress.say(&format!("no Rust file differs from {base}: nothing to mutate"));
        return Ok(None);
    }
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let file = directory.join("changes.diff");
    fs::write(&file, diff).with_context(|| format!("cannot write {}", file.display()))?;
    progress.say(&format!("mutating what differs from {base}, as in {}", file.display()));
    Ok(Some(file))
}

/// What changes are compared with.
#[derive(Debug, PartialEq, Eq)]
enum Base {
    Commit(&'static str),
    /// Where the branch left `main`.
    MergeBase,
}

/// On `main` itself: the commit before. `branch` is empty where no branch is checked out.
fn base_of(branch: &str) -> Base {
    if branch == MAIN { Base::Commit("HEAD~1") } else { Base::MergeBase }
}

/// The output of git. `git diff --no-index` ends with 1 when the files differ.
fn git(arguments: &[&str]) -> Result<String> {
    let output =
        Command::new("git").args(arguments).stdin(Stdio::null()).output().context("cannot start git")?;
    let is_difference = output.status.code() == Some(1) && arguments.contains(&"--no-index");
    if !output.status.success() && !is_difference {
        bail!("`git {}` failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).context("git printed no UTF-8")
}

/// Runs cargo-mutants with a target directory of its own. Dependencies stay built there from one run to the next; the files
/// of each copy are newer than what an earlier run built of them.
fn mutate(arguments: &[String], build: &Path, progress: &Progress) -> Result<Ended> {
    progress.begin(Phase::Mutate, "mutants", "building and testing without a mutation, then with each");
    let mut child = Command::new("cargo")
        .arg("mutants")
        .args(arguments)
        .env("CARGO_TARGET_DIR", build)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start cargo-mutants")?;
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let beside = progress.clone();
    let reader =
        thread::spawn(move || errors.map(|errors| cargo::each_line(errors, |line| beside.say(line))));
    let mut count = MutantCount::default();
    if let Some(output) = output {
        cargo::each_line(output, |line| count.line(line, progress))
            .context("cannot read what cargo-mutants prints")?;
    }
    let _ = reader.join();
    let status = child.wait().context("cannot wait for cargo-mutants")?;
    progress.finish(&format!("{} mutants", count.done));
    Ok(ended(status.code()))
}

/// How many mutations were tried.
#[derive(Default)]
struct MutantCount {
    done: u32,
    total: u32,
}

impl MutantCount {
    fn line(&mut self, line: &str, progress: &Progress) {
        match mutant_line(line) {
            MutantLine::Total(total) => {
                self.total = total;
                progress.say(line);
            }
            MutantLine::Done { is_noticed } => {
                self.done += 1;
                progress.advance(self.done, self.total.max(self.done), "");
                if !is_noticed {
                    progress.say(line);
                }
            }
            MutantLine::Other => progress.say(line),
        }
    }
}

/// Says what became of the mutations, and fails if one survived or the run is not complete.
fn judge(ended: &Ended, outcome: &Outcome, output: &Path, progress: &Progress) -> Result<()> {
    let results = output.join("mutants.out");
    match ended {
        Ended::Finished => {}
        Ended::BaselineFailed => bail!(
            "the tests fail without any mutation, so nothing was tried: see {}",
            results.join("log/baseline.log").display()
        ),
        Ended::ChangesOutdated => bail!("a file changed while its mutations were prepared: run this again"),
        Ended::Failed(code) => bail!("cargo-mutants failed (exit code {code:?}); see the lines above"),
    }
    let Outcome { caught, timed_out, unviable, survivors } = outcome;
    progress.say(&format!(
        "{caught} mutations caught, {timed_out} timed out, {unviable} do not compile, {} survived",
        survivors.len()
    ));
    for Survivor { file, line, mutation } in survivors {
        progress.say(&format!("survived: {file}:{line}: {mutation}"));
    }
    if !survivors.is_empty() {
        bail!(
            "no test noticed {} mutations: write tests that do, or list each in .cargo/mutants.toml with the reason why it \
             may survive",
            survivors.len()
        );
    }
    Ok(())
}

fn path_text(path: &Path) -> Result<String> {
    Ok(path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::outcome::tests::results;
    use super::*;

    fn scope_of(words: &[&str]) -> Result<Scope, String> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        scope(&words).map_err(|error| error.to_string())
    }

    fn repository() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    #[test]
    fn arguments_name_changes_all_or_a_shard() {
        assert_eq!(scope_of(&[]), Ok(Scope::Changes));
        assert_eq!(scope_of(&["all"]), Ok(Scope::All(None)));
        assert_eq!(scope_of(&["all", "2/4"]), Ok(Scope::All(Some(Shard { number: 2, of: 4 }))));
        assert_eq!(scope_of(&["all", "4/4"]), Ok(Scope::All(Some(Shard { number: 4, of: 4 }))));
    }

    #[test]
    fn other_arguments_and_shards_are_refused() {
        for shard in ["0/4", "5/4", "0/0", "1", "1/", "/4", "a/b", "1/4/4", "-1/4"] {
            assert!(scope_of(&["all", shard]).unwrap_err().contains("is no shard"), "{shard}");
        }
        for words in [&["everything"][..], &["2/4"], &["all", "1/4", "more"]] {
            assert!(scope_of(words).unwrap_err().contains("does not know"), "{words:?}");
        }
    }

    #[test]
    fn each_scope_has_its_own_folder() {
        let shard = |number| Scope::All(Some(Shard { number, of: 4 }));
        assert_eq!(
            [Scope::Changes, Scope::All(None), shard(1), shard(2)].map(|scope| folder(&scope)),
            ["changes", "all", "all-1-of-4", "all-2-of-4"]
        );
    }

    #[test]
    fn changes_on_main_are_those_of_last_commit() {
        assert_eq!(base_of("main"), Base::Commit("HEAD~1"));
        assert_eq!(base_of("payments"), Base::MergeBase);
        assert_eq!(base_of(""), Base::MergeBase);
    }

    #[test]
    fn every_module_names_files_that_exist() {
        for (module, files) in MODULES {
            for file in *files {
                let path = repository().join(file.trim_end_matches("/**"));
                assert_eq!(path.is_dir(), file.ends_with("/**"), "{module}: {file}");
                assert!(path.exists(), "{module}: {file}");
            }
        }
    }

    #[test]
    fn shard_is_counted_from_zero_for_cargo_mutants() {
        let arguments = all_arguments(&repository(), Some(Shard { number: 1, of: 4 })).unwrap();
        assert!(arguments.ends_with(&["--shard".to_owned(), "0/4".to_owned()]), "{arguments:?}");
        assert_eq!(arguments.first().map(String::as_str), Some("--iterate"));
        let files = MODULES.iter().map(|(_, files)| files.len()).sum::<usize>();
        assert_eq!(arguments.iter().filter(|word| *word == "--file").count(), files);
    }

    #[test]
    fn nextest_runs_tests_where_it_is_installed() {
        assert!(runner_arguments(true).contains(&"--test-tool=nextest".to_owned()));
        let without = runner_arguments(false);
        // Without it, cargo-mutants finds no mutation outside the default members, and the command succeeds.
        assert!(without.contains(&"--workspace".to_owned()));
        assert!(without.contains(&"--test-tool=cargo".to_owned()));
        assert!(
            !without.contains(&"--cargo-test-arg=--fail-fast".to_owned()),
            "cargo test has no such option"
        );
    }

    #[test]
    fn other_version_of_cargo_mutants_is_replaced() {
        assert!(is_wanted_version(&format!("cargo-mutants {VERSION}\n")));
        for text in ["", "cargo-mutants 1.0.0", &format!("cargo-mutants {VERSION}1")] {
            assert!(!is_wanted_version(text), "{text}");
        }
    }

    #[test]
    fn results_of_an_earlier_run_are_not_judged_again() {
        for (scope, caught) in [(Scope::Changes, 0), (Scope::All(None), 1)] {
            let files = [("caught.txt", "a\n"), ("missed.txt", "s.rs:3:1: replace + with -\n")];
            let output = results(&folder(&scope), &files);
            forget_last_verdict(&scope, &output).unwrap();
            let outcome = Outcome::read(&output).unwrap();
            fs::remove_dir_all(&output).unwrap();

            assert_eq!(outcome, Outcome { caught, ..Outcome::default() }, "{scope:?}");
        }
    }

    #[test]
    fn survivors_and_incomplete_runs_fail() {
        let verdict = |ended: &Ended, outcome: &Outcome| {
            judge(ended, outcome, Path::new("x"), &Progress::default()).map_err(|error| error.to_string())
        };
        let survivor = || Survivor { file: "s.rs".into(), line: 3, mutation: "replace + with -".into() };
        let survived = Outcome { survivors: vec![survivor()], ..Outcome::default() };

        assert_eq!(verdict(&Ended::Finished, &Outcome { timed_out: 1, ..Outcome::default() }), Ok(()));
        assert!(verdict(&Ended::Finished, &survived).unwrap_err().contains("no test noticed 1"));
        for ended in [Ended::BaselineFailed, Ended::ChangesOutdated, Ended::Failed(None)] {
            assert!(verdict(&ended, &Outcome::default()).is_err(), "{ended:?}");
        }
    }

    /// The entries of `exclude_re` that do not follow a comment of their own.
    fn entries_without_reason(text: &str) -> Vec<&str> {
        let (_, list) = text.split_once("exclude_re = [").unwrap();
        let (list, _) = list.split_once("\n]").unwrap();
        let lines: Vec<&str> = list.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let mut previous = "";
        let mut found = Vec::new();
        for line in lines {
            if !line.starts_with('#') && !previous.starts_with('#') {
                found.push(line);
            }
            previous = line;
        }
        found
    }

    #[test]
    fn accepted_survivor_without_reason_is_found() {
        assert_eq!(entries_without_reason("exclude_re = [\n  # same\n  'a',\n\n  'b',\n]\n"), ["'b',"]);
        assert_eq!(entries_without_reason("exclude_re = [\n  'a',\n]\n"), ["'a',"]);
    }

    #[test]
    fn every_accepted_survivor_has_a_reason() {
        let file = fs::read_to_string(repository().join(".cargo/mutants.toml")).unwrap();
        assert_eq!(entries_without_reason(&file), Vec::<&str>::new());
    }
}
