//! `provision`: what a city's operator does at a desk: make keys and certificates, check site files and service
//! documents, and verify the log of a kiosk from the platform's export with public keys alone.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

mod certificates;
mod issuers;
mod keys;
mod verify;

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use contract::{DeviceId, PublicKey, ServiceDocument, Site};

/// Keys, checks, and the verifier of kiosk logs.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Makes the keys of one kiosk: device.key, wrap.key and tls.key (secret), device.pub, and tls.csr, the
    /// request to have the last certified.
    DeviceKeys {
        /// The kiosk's name, as its site file has it.
        #[arg(long)]
        device: DeviceId,
        /// The directory, made when it is not there. Existing keys are never overwritten.
        directory: PathBuf,
    },
    /// Makes the keys of a city: catalogue.key, format.key, envelope.key, card.key (of test cards) and ca.key (secret),
    /// catalogue.pub, envelope.pub, and ca.pem, the authority's certificate.
    CityKeys {
        /// As above.
        directory: PathBuf,
    },
    /// Makes platform.key (secret) and platform.pem, certified by the city.
    PlatformKeys {
        /// Where the city's keys are.
        directory: PathBuf,
        /// The names and addresses by which kiosks reach the platform.
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Certifies a kiosk's request, tls.csr; writes tls.pem and city-ca.pem beside it, for the kiosk. Run it
    /// again to renew: at the latest when a third of the 398 days is left.
    Certify {
        /// Where the city's keys are.
        #[arg(long)]
        city: PathBuf,
        /// The kiosk whose request this is, as the desk has made sure.
        #[arg(long)]
        device: DeviceId,
        /// The request.
        request: PathBuf,
    },
    /// Makes the root of a city's codes: root.key, which then lies in a safe, and root.pub, for the sites.
    RootKey {
        /// As above.
        directory: PathBuf,
    },
    /// Adds a key that signs codes, and signs the list of them: what the platform needs to issue codes. Done again
    /// before the newest key ends, it exchanges it; codes under the older ones are accepted to their end.
    IssuerKeys {
        /// As above; the second time, the same one.
        directory: PathBuf,
        /// The root's secret key, root.key.
        #[arg(long)]
        root: PathBuf,
        /// The city's letters.
        #[arg(long, default_value = "YK")]
        city: String,
        /// How long the key is accepted; the longest-lived code must fit in.
        #[arg(long, default_value_t = 180, value_parser = clap::value_parser!(u16).range(1..=3650))]
        days: u16,
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
        Task::DeviceKeys { device, directory } => keys::device(&directory, device),
        Task::CityKeys { directory } => keys::city(&directory),
        Task::PlatformKeys { directory, names } => certificates::platform(&directory, &names),
        Task::Certify { city, device, request } => {
            let certificate = certificates::certify(&city, device, &request)?;
            let authority = fs::read(city.join("ca.pem")).context("ca.pem cannot be read")?;
            fs::write(request.with_file_name("tls.pem"), certificate)?;
            fs::write(request.with_file_name("city-ca.pem"), authority)?;
            Ok(())
        }
        Task::RootKey { directory } => keys::root(&directory),
        Task::IssuerKeys { directory, root, city, days } => {
            let list = issuers::add(&directory, &root, &city, days)?;
            let ids: Vec<String> = list.issuers.iter().map(|issuer| issuer.id.to_string()).collect();
            writeln!(
                std::io::stdout(),
                "list {} of {}: issuers {}",
                list.version,
                list.city,
                ids.join(", ")
            )?;
            Ok(())
        }
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
