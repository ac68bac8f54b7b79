//! Journeys of people, programs and administrators, through the API and the command line of the built binary.

mod cli;
mod conformance;
mod journeys;
mod life;
mod soak;
