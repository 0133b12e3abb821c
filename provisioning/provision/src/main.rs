//! `provision`: what a city's operator does at a desk: make keys, check site files and service documents,
//! and verify the log of a kiosk from the platform's export with public keys alone.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

mod keys;
mod verify;

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use contract::{PublicKey, ServiceDocument, Site};

/// Keys, checks, and the verifier of kiosk logs.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Makes the keys of one kiosk: device.key and wrap.key (secret), device.pub.
    DeviceKeys {
        /// The directory, made when it is not there. Existing keys are never overwritten.
        directory: PathBuf,
    },
    /// Makes the keys of a city: catalogue.key and format.key (secret), catalogue.pub.
    CityKeys {
        /// As above.
        directory: PathBuf,
    },
    /// Checks site files as the kiosk does.
    CheckSite {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Checks service documents as the platform and the kiosk do.
    CheckService {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Verifies the exported log of a kiosk: nothing missing, nothing changed, all of it vouched for.
    Verify {
        /// The platform's export, JSON.
        #[arg(long)]
        export: PathBuf,
        /// The kiosk's public key from a source other than the export: 130 hexadecimal digits.
        #[arg(long)]
        key: PublicKey,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("provision: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    match task {
        Task::DeviceKeys { directory } => keys::device(&directory),
        Task::CityKeys { directory } => keys::city(&directory),
        Task::CheckSite { files } => files.iter().try_for_each(|file| {
            let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
            Site::parse(&text).map(drop).with_context(|| file.display().to_string())
        }),
        Task::CheckService { files } => files.iter().try_for_each(|file| {
            let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
            ServiceDocument::parse(&text).map(drop).with_context(|| file.display().to_string())
        }),
        Task::Verify { export, key } => {
            let json = fs::read(&export).with_context(|| export.display().to_string())?;
            let verdict = verify::verify(&json, &key)?;
            writeln!(std::io::stdout(), "{verdict}")?;
            Ok(())
        }
    }
}
