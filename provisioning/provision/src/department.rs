//! `provision department check`: the conformance test that a department's engineer runs against their own adapter, without the
//! platform. It sends what the platform sends, and checks what the department contract says (`docs/departments.md`).

mod adapter;
mod inputs;
mod operations;
mod payments;
mod report;
mod requests;
mod submissions;
#[cfg(test)]
mod tests;
mod tickets;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use contract::{DepartmentId, OperationKind, PublicKey, RelyingPartyId};

use self::adapter::Adapter;
use self::inputs::Inputs;
use self::report::Report;
use crate::{keys, service};

/// What is done with a department's adapter.
#[derive(Subcommand)]
pub(crate) enum DepartmentCommand {
    /// Checks an adapter against the department contract, without the platform. One line for each check; exit code 1 if one failed.
    Check(Box<CheckArguments>),
    /// Makes a key pair, of a department or of a platform for tests: NAME.key, 64 hexadecimal digits, and NAME.pub, 130.
    Keys {
        /// Directory of the two files, which must not exist.
        directory: PathBuf,
        /// Their name.
        name: String,
    },
}

/// Arguments of the check.
#[derive(Args)]
pub(crate) struct CheckArguments {
    /// Base URL of the adapter, without a slash at the end. Plain HTTP: run the check on the adapter's side of TLS.
    url: String,
    /// Id of the department.
    #[arg(long)]
    department: DepartmentId,
    /// Directory of the operations: one file (`*.toml`) for each department.
    #[arg(long)]
    operations: PathBuf,
    /// File of the secret key that signs the requests. The adapter must take its public key for the platform's.
    #[arg(long)]
    platform_key: PathBuf,
    /// Id in X-Device, which the adapter must take for the platform's.
    #[arg(long, default_value = "PLATFORM")]
    platform: RelyingPartyId,
    /// The public key that the adapter signs with: 130 hexadecimal digits.
    #[arg(long)]
    key: PublicKey,
    /// The public key that submissions are sealed to, if it is another.
    #[arg(long)]
    sealing: Option<PublicKey>,
    /// The test person and inputs for operations, see docs/departments.md.
    #[arg(long)]
    inputs: PathBuf,
    /// Checks also what changes something: takes tickets, pays a bill, submits. For a test system only.
    #[arg(long)]
    allow_writes: bool,
}

/// Runs a command.
pub(crate) fn run(command: DepartmentCommand) -> Result<()> {
    let arguments = match command {
        DepartmentCommand::Check(arguments) => arguments,
        DepartmentCommand::Keys { directory, name } => return make_keys(&directory, &name),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(check(&arguments))?;
    let mut out = std::io::stdout().lock();
    write!(out, "{report}").context("cannot write the report")?;
    match report.failed() {
        0 => Ok(()),
        1 => bail!("1 check failed"),
        failed => bail!("{failed} checks failed"),
    }
}

fn make_keys(directory: &Path, name: &str) -> Result<()> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        bail!("`{name}` cannot be the name of a key pair: use letters, digits and -");
    }
    std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    keys::write_key_pair(directory, name)
}

/// Checks the adapter.
async fn check(arguments: &CheckArguments) -> Result<Report> {
    let (operations, mistakes) = service::read_operations(&arguments.operations)?;
    if !mistakes.is_empty() {
        bail!("{}", mistakes.join("\n"));
    }
    let of_department: Vec<_> =
        operations.operations().filter(|operation| operation.department == arguments.department).collect();
    if of_department.is_empty() {
        bail!("there is no operation of department `{}` in the directory", arguments.department);
    }
    let inputs = Inputs::read(&arguments.inputs, &of_department)?;
    let mut adapter = Adapter::new(arguments, &inputs)?;
    let mut report = Report::new(&inputs.person);
    if !requests::check_first(&mut adapter, &mut report, &inputs, &of_department).await? {
        return Ok(report);
    }
    requests::check(&mut adapter, &mut report, &inputs, &of_department).await?;
    for operation in of_department.iter().copied() {
        if matches!(operation.kind, OperationKind::Query | OperationKind::Bills) {
            operations::check(&mut adapter, &mut report, &inputs, operation).await?;
        }
        if !arguments.allow_writes {
            if operation.kind != OperationKind::Query {
                report.skipped(&operation.name, "changes something: allow it with --allow-writes");
            }
            continue;
        }
        match operation.kind {
            OperationKind::Query => {}
            OperationKind::Bills => payments::check(&mut adapter, &mut report, &inputs, operation).await?,
            OperationKind::Ticket => tickets::check(&mut adapter, &mut report, &inputs, operation).await?,
            OperationKind::Submit => {
                submissions::check(&mut adapter, &mut report, &inputs, operation).await?
            }
        }
    }
    let has_tickets = of_department.iter().any(|operation| operation.kind == OperationKind::Ticket);
    if arguments.allow_writes && !has_tickets {
        tickets::check_without(&mut adapter, &mut report).await?;
    }
    adapter.report_answers(&mut report);
    Ok(report)
}

impl CheckArguments {
    /// The signing key of the platform.
    fn secret_key(&self) -> Result<contract::SecretKey> {
        keys::read_secret_key(&self.platform_key)
    }

    /// The key that submissions are sealed to.
    fn sealing_key(&self) -> PublicKey {
        self.sealing.clone().unwrap_or_else(|| self.key.clone())
    }
}
