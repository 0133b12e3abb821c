//! `kiosk-platform`: the reference platform as a process.

use std::fs::OpenOptions;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use contract::{EnvelopeSecret, PublicKey, Publication, SecretKey};
use resident_code::FormatKey;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use server::recovery::backup::{self, DatabaseLock};
use server::recovery::confirm_recovery;
use server::recovery::generation_file::GenerationFile;
use server::shell::tls::{KioskListener, PlatformCertificates};
use server::shell::{self, KioskEndpoint, PeerUrls, PublicationFile};
use server::{
    CardRootKeys, CodeAuthority, IssuingRules, Platform, PlatformSetup, parse_demo_residents,
    parse_registered_kiosks, parse_relying_parties,
};
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

/// Time that requests in progress get to finish after a stop signal.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);

/// The reference platform: identities, services, payments and records. Without a command it serves.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<MaintenanceCommand>,
    #[command(flatten)]
    serve: Option<Arguments>,
}

/// What can be done with the database beside serving.
#[derive(Subcommand)]
enum MaintenanceCommand {
    /// Copy the database to a new file, with a manifest (FILE.manifest) that has its SM3. The platform may run.
    Backup {
        /// File of the SQLite database.
        #[arg(long)]
        db: PathBuf,
        /// The backup: a new file.
        #[arg(long)]
        to: PathBuf,
    },
    /// Put a backup in the place of the database. The platform must not run; it recovers at its next start: it takes no
    /// charges, bindings and card changes until the acquirer's list and the kiosks' logs since the backup are read in. The
    /// database before is kept under another name.
    Restore {
        /// File of the SQLite database.
        #[arg(long)]
        db: PathBuf,
        /// The backup; its manifest must be beside it.
        #[arg(long)]
        from: PathBuf,
    },
    /// Confirm that a recovery ends without the logs of the kiosks that have not returned within two hours (see /admin). The
    /// platform may run.
    ConfirmRecovery {
        /// File of the SQLite database.
        #[arg(long)]
        db: PathBuf,
    },
}

/// Options of the server.
#[derive(Args)]
struct Arguments {
    /// Address of the listener for people: pages, receipts, the audit export. Plain HTTP.
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// Address of the listener for kiosks: TLS 1.3 with certificates on both ends.
    #[arg(long, default_value = "127.0.0.1:8443")]
    tls_listen: SocketAddr,
    /// File of the platform's certificate chain: the platform's own certificate, then those up to the authority, PEM.
    #[arg(long)]
    tls_certificate: PathBuf,
    /// File of the private key of the platform's certificate: PEM, PKCS#8.
    #[arg(long)]
    tls_key: PathBuf,
    /// File of the certificates of the authority that certifies kiosks: PEM.
    #[arg(long)]
    kiosk_authority: PathBuf,
    /// An envelope key, to which kiosks seal their requests, as ID=FILE; the file has 64 hexadecimal digits. Repeat
    /// the option for each key that a site file still names.
    #[arg(long, required = true, value_parser = parse_key_argument)]
    envelope_key: Vec<(u8, PathBuf)>,
    /// File of the SQLite database; created if missing.
    #[arg(long)]
    db: PathBuf,
    /// File of demo residents to enter into the card-holder base.
    #[arg(long)]
    residents: Option<PathBuf>,
    /// File of the services, operations and departments in force, made with `provision service publish`. It may be replaced
    /// while the platform runs.
    #[arg(long)]
    publication: PathBuf,
    /// File with the public key that publications are signed with.
    #[arg(long)]
    catalogue_key: PathBuf,
    /// File with the format key, which online tokens are made and checked with: 64 hexadecimal digits.
    #[arg(long)]
    format_key: PathBuf,
    /// Id of the format key, as written in the codes.
    #[arg(long, default_value_t = 1)]
    format_key_id: u8,
    /// File of the registered kiosks: `[[device]]` tables with id, key, name, profile.
    #[arg(long)]
    devices: PathBuf,
    /// Base URL of the acquirer.
    #[arg(long, default_value = "http://127.0.0.1:8082")]
    acquirer: String,
    /// File with the secret key that requests to departments are signed with: 64 hexadecimal digits.
    #[arg(long)]
    department_key: PathBuf,
    /// Base URL of the trusted identity service.
    #[arg(long, default_value = "http://127.0.0.1:8084")]
    identity: String,
    /// Directory with issuer-keys.json, issuer-*.key and revoker.key, made with `provision issuer-keys`; without this
    /// option the platform issues only online tokens.
    #[arg(long, requires = "root_key")]
    issuer_keys: Option<PathBuf>,
    /// File with the public key of the city's root, which signed issuer-keys.json.
    #[arg(long)]
    root_key: Option<PathBuf>,
    /// File of the relying parties, the external systems that may verify codes: `[[client]]` tables.
    #[arg(long)]
    clients: Option<PathBuf>,
    /// File with the root keys of the city's cards, card.key: 64 hexadecimal digits. Without this option only a PSAM
    /// authenticates cards.
    #[arg(long)]
    card_key: Option<PathBuf>,
    /// File of the issuing rules for codes.
    #[arg(long, default_value = "provisioning/codes.toml")]
    code_rules: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
    let command_line = CommandLine::parse();
    let done = match (command_line.command, command_line.serve) {
        (Some(command), _) => maintain(command),
        (None, Some(arguments)) => run(arguments).await,
        (None, None) => Err(anyhow::anyhow!("options are missing: see --help")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Backs up or restores the database, or confirms a recovery.
fn maintain(command: MaintenanceCommand) -> anyhow::Result<()> {
    let now = shell::unix_now();
    match command {
        MaintenanceCommand::Backup { db, to } => {
            let manifest = backup::back_up(&db, &to, now)?;
            tracing::info!(bytes = manifest.bytes, generation = manifest.generation, "backup written");
        }
        MaintenanceCommand::Restore { db, from } => {
            let restored = backup::restore(&db, &from, now)?;
            let (aside, generation) = (restored.aside.unwrap_or_default(), restored.generation);
            tracing::info!(generation, aside = %aside.display(), "backup restored: start the platform, which recovers");
        }
        MaintenanceCommand::ConfirmRecovery { db } => {
            let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
            let db = rusqlite::Connection::open_with_flags(&db, flags).context("cannot open the database")?;
            confirm_recovery(&db, now)?;
            tracing::info!("recovery confirmed: it ends without the kiosks that have not returned");
        }
    }
    Ok(())
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let _lock = DatabaseLock::take(&arguments.db)?;
    let generation_file = GenerationFile::beside(&arguments.db);
    let kept = generation_file.read()?;
    let db = open_private(&arguments.db).context("cannot open the database")?;
    let catalogue_key = read_text(&arguments.catalogue_key)?.trim().parse();
    let catalogue_key: PublicKey = catalogue_key.with_context(|| {
        format!(
            "{} is no public key: give catalogue.pub, not catalogue.key",
            arguments.catalogue_key.display()
        )
    })?;
    let mut publications = PublicationFile::new(arguments.publication.clone(), catalogue_key);
    let publication = publications.read()?;
    let (number, services) = (publication.number(), publication.documents().count());
    let setup = platform_setup(&arguments, publication)?;
    let (platform, generation) = Platform::open_at_generation(db, setup, kept)?;
    tracing::info!(number, services, "publication in force");
    if kept != Some(generation) {
        generation_file.write(generation)?;
    }
    let kiosks = kiosk_endpoint(&arguments).await?;
    let listener = tokio::net::TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    tracing::info!(people = %listener.local_addr()?, kiosks = %kiosks.listener.address(), "listening");

    let base = |url: &str| url.trim_end_matches('/').to_owned();
    let peers = PeerUrls { acquirer: base(&arguments.acquirer), identity: base(&arguments.identity) };
    let mut terminate = signal(SignalKind::terminate())?;
    let (stop, mut stopped) = tokio::sync::watch::channel(());
    let stop_for_shell = stopped.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        let _ = stop.send(());
    });
    let serving = shell::serve(listener, kiosks, platform, peers, Some(publications), stop_for_shell);
    let grace_period_over = async move {
        let _ = stopped.changed().await;
        tokio::time::sleep(SHUTDOWN_GRACE).await;
    };
    tokio::select! {
        served = serving => served?,
        () = grace_period_over => {}
    }
    Ok(())
}

async fn kiosk_endpoint(arguments: &Arguments) -> anyhow::Result<KioskEndpoint> {
    let not_pem = |path: &Path| format!("{} is not PEM with the expected certificate or key", path.display());
    let chain = |path: &Path| -> anyhow::Result<Vec<CertificateDer<'static>>> {
        let certificates =
            CertificateDer::pem_slice_iter(read_text(path)?.as_bytes()).collect::<Result<_, _>>();
        certificates.with_context(|| not_pem(path))
    };
    let key = PrivateKeyDer::from_pem_slice(Zeroizing::new(read_text(&arguments.tls_key)?).as_bytes());
    let certificates = PlatformCertificates {
        chain: chain(&arguments.tls_certificate)?,
        key: key.with_context(|| not_pem(&arguments.tls_key))?,
        kiosk_authority: chain(&arguments.kiosk_authority)?,
    };
    let socket = tokio::net::TcpListener::bind(arguments.tls_listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.tls_listen))?;
    let keys = arguments.envelope_key.iter();
    let keys =
        keys.map(|(id, path)| Ok(EnvelopeSecret::new(*id, &read_key(path)?)?)).collect::<anyhow::Result<_>>();
    Ok(KioskEndpoint { listener: KioskListener::new(socket, certificates)?, envelope_keys: keys? })
}

/// Parses the argument `ID=FILE` of an envelope key.
fn parse_key_argument(text: &str) -> Result<(u8, PathBuf), String> {
    let parts = text.split_once('=').and_then(|(id, path)| Some((id.parse().ok()?, PathBuf::from(path))));
    parts.ok_or_else(|| "expected ID=FILE, with an ID from 0 to 255".to_owned())
}

fn platform_setup(arguments: &Arguments, publication: Publication) -> anyhow::Result<PlatformSetup> {
    let residents = match &arguments.residents {
        Some(path) => parse_demo_residents(&read_text(path)?)?,
        None => Vec::new(),
    };
    Ok(PlatformSetup {
        format_key: FormatKey::new(arguments.format_key_id, read_key(&arguments.format_key)?),
        kiosks: parse_registered_kiosks(&read_text(&arguments.devices)?)?,
        publication,
        department_key: SecretKey::from_bytes(&read_key(&arguments.department_key)?)?,
        residents,
        code_authority: read_code_authority(arguments)?,
        relying_parties: match &arguments.clients {
            Some(path) => parse_relying_parties(&read_text(path)?)?,
            None => Vec::new(),
        },
        card_root_keys: match &arguments.card_key {
            Some(path) => Some(CardRootKeys::new(&Zeroizing::new(read_key(path)?))),
            None => None,
        },
    })
}

/// Reads the keys that sign codes and the issuing rules; `None` without `--issuer-keys`.
fn read_code_authority(arguments: &Arguments) -> anyhow::Result<Option<CodeAuthority>> {
    let (Some(directory), Some(root)) = (&arguments.issuer_keys, &arguments.root_key) else {
        return Ok(None);
    };
    let rules = IssuingRules::parse(&read_text(&arguments.code_rules)?)?;
    let list = serde_json::from_str(&read_text(&directory.join("issuer-keys.json"))?)
        .context("issuer-keys.json is not a signed list of issuer keys")?;
    let mut issuers = Vec::new();
    for id in 0..=u8::MAX {
        let path = directory.join(format!("issuer-{id}.key"));
        if path.exists() {
            issuers.push((id, read_key(&path)?));
        }
    }
    let root = read_text(root)?.trim().parse()?;
    let revoker = read_key(&directory.join("revoker.key"))?;
    Ok(Some(CodeAuthority::new(rules, list, &root, &issuers, &revoker)?))
}

/// Reads a key of 32 bytes from a file. Errors never quote the file's text.
fn read_key(path: &Path) -> anyhow::Result<[u8; 32]> {
    let text = read_text(path)?;
    let not_a_key = || format!("{} does not hold 64 hexadecimal digits", path.display());
    contract::from_hex(text.trim()).with_context(not_a_key)
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Opens the database, creating it with mode 0600. SQLite gives its WAL and shared-memory files the same mode.
fn open_private(path: &Path) -> anyhow::Result<rusqlite::Connection> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    Ok(rusqlite::Connection::open(path)?)
}
