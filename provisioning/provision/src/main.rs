//! `provision`: the operator's tool. It makes keys and certificates, checks site files, service documents and the
//! adapters of departments, and verifies the log of a kiosk from the platform's export with public keys alone.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

mod certificates;
mod department;
mod issuers;
mod keys;
mod publish;
mod service;
mod verify;

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use contract::{KioskId, PublicKey, Site};

use crate::department::DepartmentCommand;
use crate::service::ServiceCommand;

/// Makes keys and certificates, checks site files and service documents, verifies kiosk logs.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes the keys of one kiosk: device.key, wrap.key and tls.key (secret), device.pub, and tls.csr, the
    /// certificate request for tls.key.
    DeviceKeys {
        /// The kiosk's id, as in its site file.
        #[arg(long)]
        device: KioskId,
        /// Directory for the keys, created if it does not exist. Existing keys are never overwritten.
        directory: PathBuf,
    },
    /// Makes the keys of a city: catalogue.key, format.key, envelope.key, department-requests.key,
    /// card.key (for test cards) and ca.key (secret), catalogue.pub, envelope.pub, department-requests.pub, and ca.pem, the certificate of the certificate authority.
    CityKeys {
        /// Directory for the city's keys, created if it does not exist. Existing keys are never overwritten.
        directory: PathBuf,
    },
    /// Makes platform.key (secret) and platform.pem, its certificate issued by the city's authority.
    PlatformKeys {
        /// Directory with the city's keys (ca.key and ca.pem); platform.key and platform.pem are written there.
        directory: PathBuf,
        /// DNS names and IP addresses under which kiosks reach the platform.
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Issues the certificate for a kiosk's request, tls.csr; writes tls.pem and city-ca.pem next to the request, for
    /// the kiosk. To renew, run it again when at least a third of the 398 days is left.
    Certify {
        /// Directory with the city's keys (ca.key and ca.pem).
        #[arg(long)]
        city: PathBuf,
        /// The id of the kiosk that made the request. The operator must have verified the origin of the request.
        #[arg(long)]
        device: KioskId,
        /// The certificate request, tls.csr.
        request: PathBuf,
    },
    /// Makes the offline root key of a city's codes: root.key (secret), to be kept offline in a safe, and root.pub, for
    /// the site files.
    RootKey {
        /// Directory for the root key, created if it does not exist. Existing keys are never overwritten.
        directory: PathBuf,
    },
    /// Adds an issuer key, which signs codes, and signs the list of issuer keys; the platform needs both to issue
    /// codes. Run it again before the newest key ends to replace it; codes under older keys stay valid until they end.
    IssuerKeys {
        /// Directory of the issuer keys, created if it does not exist. Use the same directory for every run.
        directory: PathBuf,
        /// Path of the root's secret key, root.key.
        #[arg(long)]
        root: PathBuf,
        /// The two capital letters of the city, with which its codes begin.
        #[arg(long, default_value = "YK")]
        city: String,
        /// Validity of the key in days; must cover the longest-lived code.
        #[arg(long, default_value_t = 180, value_parser = clap::value_parser!(u16).range(1..=3650))]
        days: u16,
    },
    /// Checks site files with the rules of the kiosk.
    CheckSite {
        /// Paths of the site files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Checks a department's adapter.
    Department {
        #[command(subcommand)]
        command: DepartmentCommand,
    },
    /// Writes and checks service documents.
    Service {
        #[command(subcommand)]
        command: ServiceCommand,
    },
    /// Verifies the exported log of a kiosk: no record is missing or changed, every head is signed, and each epoch that the kiosk
    /// names is there up to the record that it names.
    Verify {
        /// Path of the platform's export, a JSON file.
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

fn run(task: Command) -> anyhow::Result<()> {
    match task {
        Command::DeviceKeys { device, directory } => keys::make_kiosk_keys(&directory, device),
        Command::CityKeys { directory } => keys::make_city_keys(&directory),
        Command::PlatformKeys { directory, names } => {
            certificates::make_platform_certificate(&directory, &names)
        }
        Command::Certify { city, device, request } => {
            let certificate = certificates::certify(&city, device, &request)?;
            let authority = fs::read(city.join("ca.pem")).context("cannot read ca.pem")?;
            fs::write(request.with_file_name("tls.pem"), certificate)?;
            fs::write(request.with_file_name("city-ca.pem"), authority)?;
            Ok(())
        }
        Command::RootKey { directory } => keys::make_root_key(&directory),
        Command::IssuerKeys { directory, root, city, days } => {
            let list = issuers::add_issuer_key(&directory, &root, &city, days)?;
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
        Command::CheckSite { files } => files.iter().try_for_each(|file| {
            let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
            Site::parse(&text).map(drop).with_context(|| file.display().to_string())
        }),
        Command::Department { command } => department::run(command),
        Command::Service { command } => service::run(command),
        Command::Verify { export, key } => {
            let json = fs::read(&export).with_context(|| export.display().to_string())?;
            let verdict = verify::verify(&json, &key)?;
            writeln!(std::io::stdout(), "{verdict}")?;
            anyhow::ensure!(
                verdict.is_complete(),
                "the kiosk says that it had other records than the export has: ask the platform's operator for them, and keep the kiosk's disk"
            );
            Ok(())
        }
    }
}
