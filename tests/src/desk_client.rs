//! Client of the card-holder base, in the role of a service desk of the card issuer.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use contract::{
    DEVICE_HEADER, HexBytes, HttpMethod, SIGNATURE_HEADER, SecretKey, TIME_HEADER, request_bytes_to_sign,
};
use serde_json::json;

/// Client id of the service desk.
pub(crate) const DESK_ID: &str = "D-0001";

/// The `clients.toml` of the platform that authorises the service desk.
///
/// # Errors
/// When the desk's public key cannot be read.
pub(crate) fn clients_toml(keys: &Path) -> Result<String> {
    let key = fs::read_to_string(keys.join("device.pub"))?;
    Ok(format!(
        "[[client]]\nid = \"{DESK_ID}\"\nkey = \"{}\"\nname = \"制卡中心\"\npurposes = []\n\
         capability = \"identify\"\nper_minute = 1\ncards = true\n",
        key.trim()
    ))
}

/// Changes the status of a card; `step` is `activate`, `lose`, `restore` or `cancel`.
///
/// # Errors
/// When the platform refuses.
pub(crate) fn change_card_status(platform: SocketAddr, keys: &Path, step: &str, number: &str) -> Result<()> {
    let secret: HexBytes<32> = fs::read_to_string(keys.join("device.key"))?.trim().parse()?;
    let (target, body) = (format!("/base/v1/{step}"), json!({ "number": number }).to_string());
    let time = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis().to_string();
    let signed = request_bytes_to_sign(HttpMethod::Post, &target, &time, body.as_bytes());
    let signature = SecretKey::from_bytes(&secret.0)?.sign(&signed);
    let http = reqwest::blocking::Client::builder().no_proxy().build()?;
    let asked = http
        .post(format!("http://{platform}{target}"))
        .header(DEVICE_HEADER, DESK_ID)
        .header(TIME_HEADER, time)
        .header(SIGNATURE_HEADER, signature.to_string())
        .body(body);
    asked
        .send()?
        .error_for_status()
        .with_context(|| format!("request `{step}` of the service desk refused"))?;
    Ok(())
}
