//! What was measured, beside its budget.

pub struct Report {
    lines: Vec<String>,
    met: bool,
}

/// Which side of a budget is good.
#[derive(Debug, Clone, Copy)]
pub enum Budget {
    AtLeast(f64),
    AtMost(f64),
    /// For orientation.
    None,
}

impl Report {
    pub fn new() -> Self {
        Self { lines: Vec::new(), met: true }
    }

    pub fn title(&mut self, text: &str) {
        self.lines.push(format!("\n{text}"));
    }

    pub fn note(&mut self, text: impl Into<String>) {
        self.lines.push(format!("  {}", text.into()));
    }

    /// One figure: the median over the rounds, its spread, and what it should be.
    pub fn figure(&mut self, what: &str, values: &[f64], unit: &str, budget: Budget) {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let median = sorted[sorted.len() / 2];
        let (low, high) = (sorted[0], sorted[sorted.len() - 1]);
        let (verdict, wanted) = match budget {
            Budget::AtLeast(least) => (median >= least, format!("≥ {least}")),
            Budget::AtMost(most) => (median <= most, format!("≤ {most}")),
            Budget::None => (true, String::new()),
        };
        self.met &= verdict;
        let mark = match budget {
            Budget::None => "      ",
            _ if verdict => "met   ",
            _ => "MISSED",
        };
        self.lines.push(format!("  {mark} {what:<58} {median:>12.2} {unit:<8} ({low:.2} … {high:.2})  {wanted}"));
    }

    /// Prints everything; says whether all budgets were met.
    pub fn print(&self) -> bool {
        for line in &self.lines {
            println!("{line}");
        }
        self.met
    }
}

/// Two series, value by value.
pub fn ratios(ours: &[f64], baseline: &[f64]) -> Vec<f64> {
    ours.iter().zip(baseline).map(|(ours, baseline)| ours / baseline).collect()
}
