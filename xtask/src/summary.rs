//! The table at the end of a run: what passed with its time and counts, what failed and why, what was not run.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::host::interrupt;
use crate::ui;

/// How one named part of a run ended well: it passed, or it was left out for a reason that is told.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With counts, or whatever says how much was looked at.
    Passed(String),
    NotRun(String),
}

#[derive(Debug)]
enum State {
    Passed(String),
    Failed(String),
    NotRun(String),
}

#[derive(Debug)]
struct Row {
    name: String,
    state: State,
    took: Option<Duration>,
}

#[derive(Debug, Default)]
pub struct Summary {
    rows: Vec<Row>,
}

impl Summary {
    /// Runs one part and keeps how it ended. Returns whether it passed, for parts that later ones need.
    ///
    /// After Ctrl-C nothing is begun any more.
    pub fn part(&mut self, name: &str, work: impl FnOnce() -> Result<Outcome>) -> bool {
        if interrupt::requested() {
            self.not_run(name, "interrupted");
            return false;
        }
        ui::heading(name);
        let started = Instant::now();
        let outcome = work();
        let took = Some(started.elapsed());
        let (state, took) = match outcome {
            Ok(Outcome::Passed(counts)) => (State::Passed(counts), took),
            Ok(Outcome::NotRun(why)) => (State::NotRun(why), None),
            Err(error) => {
                eprintln!("error: {error:#}");
                (State::Failed(first_line(&format!("{error:#}"))), took)
            }
        };
        let passed = matches!(state, State::Passed(_));
        self.rows.push(Row { name: name.to_owned(), state, took });
        passed
    }

    pub fn not_run(&mut self, name: &str, why: &str) {
        self.rows.push(Row { name: name.to_owned(), state: State::NotRun(why.to_owned()), took: None });
    }

    /// Prints the table; an error when a part failed or the run was interrupted.
    pub fn finish(self) -> Result<()> {
        eprint!("{}", self.table());
        let failed: Vec<&str> =
            self.rows.iter().filter(|row| matches!(row.state, State::Failed(_))).map(|row| row.name.as_str()).collect();
        if !failed.is_empty() {
            bail!("failed: {}", failed.join(", "));
        }
        interrupt::check()
    }

    fn table(&self) -> String {
        let width = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        let mut text = String::from("\n== summary\n");
        for row in &self.rows {
            let (mark, detail) = match &row.state {
                State::Passed(counts) => ("passed ", counts),
                State::Failed(why) => ("FAILED ", why),
                State::NotRun(why) => ("not run", why),
            };
            let took = row.took.map(ui::duration).unwrap_or_default();
            writeln!(text, "  {mark}  {:width$}  {took:>12}  {detail}", row.name).expect("a string takes any text");
        }
        text
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    fn sample() -> Summary {
        let mut summary = Summary::default();
        assert!(summary.part("rust tests", || Ok(Outcome::Passed("12 tests".into()))));
        assert!(!summary.part("client-ts", || Err(anyhow!("npm test failed\nwith a long text"))));
        assert!(!summary.part("schemathesis", || Ok(Outcome::NotRun("sdk/openapi.json is missing".into()))));
        summary.not_run("soak --minutes N", "takes hours");
        summary
    }

    #[test]
    fn the_table_names_every_part_once_with_its_end() {
        let table = sample().table();
        for (mark, name, detail) in [
            ("passed", "rust tests", "12 tests"),
            ("FAILED", "client-ts", "npm test failed"),
            ("not run", "schemathesis", "sdk/openapi.json is missing"),
            ("not run", "soak --minutes N", "takes hours"),
        ] {
            let line = table.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name}: {table}"));
            assert!(line.contains(mark) && line.contains(detail), "{line}");
        }
        assert!(!table.contains("with a long text"));
    }

    #[test]
    fn a_failed_part_fails_the_run_and_is_named() {
        let error = sample().finish().unwrap_err().to_string();
        assert_eq!(error, "failed: client-ts");
    }

    #[test]
    fn parts_left_out_do_not_fail_the_run() {
        let mut summary = Summary::default();
        summary.not_run("bench", "measures, proves nothing");
        assert!(summary.finish().is_ok());
    }
}
