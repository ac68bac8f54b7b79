//! Measures the kernel against the budgets it set itself.
//!
//! Machines drift, so no figure stands alone: ours and the baseline run in alternating slices of one process, and what
//! counts is their ratio, or the CPU time of an operation. Anything durable is printed beside what one fdatasync costs
//! at that moment.

mod append;
mod edge;
mod fsync;
mod load;
mod measure;
mod report;
mod tenants;
mod world;

use clap::{Parser, ValueEnum};

use report::Report;

#[derive(Debug, Parser)]
#[command(about = "Measure the kernel against its budgets", after_help = "Exit code 1 when a budget is missed.")]
struct Cli {
    /// What to measure; everything without a name.
    names: Vec<Name>,
    /// Slices of each side; more of them make the ratio steadier.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds of each slice.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// GET through the whole stack against a bare axum "hello"
    Edge,
    /// Events appended to SQLite against one insert a transaction and against a tight loop
    Append,
    /// Sign-in, list and look-up with 10,000 tenants against 10
    Tenants,
}

/// How long, and how often.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub rounds: usize,
    pub slice: std::time::Duration,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    rustls::crypto::ring::default_provider().install_default().ok();
    let plan = Plan { rounds: cli.rounds.max(1), slice: std::time::Duration::from_secs_f64(cli.seconds.max(0.1)) };
    let names = if cli.names.is_empty() { Name::value_variants().to_vec() } else { cli.names };
    let mut met = true;
    for name in names {
        let mut report = Report::new();
        match name {
            Name::Edge => edge::run(plan, &mut report)?,
            Name::Append => append::run(plan, &mut report)?,
            Name::Tenants => tenants::run(plan, &mut report)?,
        }
        met &= report.print();
    }
    if met { Ok(()) } else { anyhow::bail!("a budget is missed") }
}
