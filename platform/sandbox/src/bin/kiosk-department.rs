//! `kiosk-department`: all departments of the demo city as one process.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use sandbox::department::{
    Departments, PlatformIdentity, PublicKey, department_keys, read_departments, router,
};
use sandbox::shell;

/// Sandbox departments: each answers by the department contract below its own path, from a data file.
#[derive(Parser)]
#[command(name = "department", version)]
struct Arguments {
    /// Address and port on which the service listens.
    #[arg(long, default_value = "127.0.0.1:8083")]
    listen: SocketAddr,
    /// The SQLite database file; created if it does not exist.
    #[arg(long)]
    db: PathBuf,
    /// Directory of the data files, one DEPARTMENT.toml for each department.
    #[arg(long)]
    departments: PathBuf,
    /// File of the demo residents.
    #[arg(long)]
    residents: PathBuf,
    /// Directory of the departments' keys; DEPARTMENT.key is created if it does not exist, DEPARTMENT.pub is written.
    #[arg(long)]
    keys: PathBuf,
    /// Id that the platform names itself by in X-Device.
    #[arg(long, default_value = "PLATFORM")]
    platform: String,
    /// File of the platform's public key: 130 hexadecimal digits.
    #[arg(long)]
    platform_key: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    shell::start_tracing();
    let arguments = Arguments::parse();
    let data = read_departments(&arguments.departments, &arguments.residents)?;
    let keys = department_keys(&arguments.keys, data.ids())?;
    let path = &arguments.platform_key;
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let key = PublicKey::from_hex(&text).with_context(|| format!("{} is not a key", path.display()))?;
    let platform = PlatformIdentity { id: arguments.platform, key };
    let departments = Departments::open(shell::open_private_database(&arguments.db)?, data, keys, platform)?;
    shell::run(arguments.listen, router(departments)).await
}
