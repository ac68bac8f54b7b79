//! Telling a person what goes on: a spinner when standard error is a terminal, plain lines otherwise.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// One piece of work that takes a while. Dropping it without [`Step::done`] only removes the spinner, since the
/// error that ended the work is printed by whoever handles it.
pub struct Step {
    bar: ProgressBar,
    label: String,
    started: Instant,
}

/// Announces work that begins now.
pub fn step(label: impl Into<String>) -> Step {
    let label = label.into();
    let bar = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("  {spinner} {msg} ({elapsed})").expect("the template is a constant");
    bar.set_style(style);
    bar.set_message(label.clone());
    if bar.is_hidden() {
        eprintln!("  … {label}");
    } else {
        bar.enable_steady_tick(Duration::from_millis(120));
    }
    Step { bar, label, started: Instant::now() }
}

impl Step {
    /// Says which part of the work is under way.
    pub fn now(&self, detail: &str) {
        if self.bar.is_hidden() {
            eprintln!("    {detail}");
        } else {
            self.bar.set_message(format!("{}: {detail}", self.label));
        }
    }

    /// The work succeeded; `result` is the one fact worth keeping on the screen.
    pub fn done(self, result: &str) {
        self.bar.finish_and_clear();
        eprintln!("  ✓ {}: {result} ({})", self.label, duration(self.started.elapsed()));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Opens a part of the output that other programs write to.
pub fn heading(text: &str) {
    eprintln!("\n== {text}");
}

/// Something is not as it should be and the work goes on.
pub fn warn(text: &str) {
    eprintln!("  ! {text}");
}

/// A length of time as a person says it.
pub fn duration(length: Duration) -> String {
    let seconds = length.as_secs();
    if seconds >= 60 {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    } else {
        format!("{:.1} s", length.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_change_unit_at_a_minute() {
        assert_eq!(duration(Duration::from_millis(1_240)), "1.2 s");
        assert_eq!(duration(Duration::from_mins(1)), "1 min 00 s");
        assert_eq!(duration(Duration::from_secs(3_725)), "62 min 05 s");
    }
}
