//! A resident's phone as a client of the platform's phone API: bound through the trusted identity service, it creates
//! offline codes and answer codes. The phone's page in a real browser is tested with the platform.

use std::fs::File;
use std::io::Read as _;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use contract::{Challenge, HexBytes, SecretKey, sm3};
use reqwest::blocking::Client;
use resident_code::{Alias, Capabilities, CodeIssuer, SessionCertificate, SessionTerms, UnixSeconds};
use serde_json::{Value, json};

use crate::rig::Rig;
use crate::scenarios::ScenarioResident;

/// Bytes of a session certificate.
const CERTIFICATE_BYTES: usize = 114;

/// One bound phone.
pub struct PhoneClient {
    http: Client,
    platform: String,
    secret: String,
    session: SecretKey,
    certificate: SessionCertificate,
}

impl PhoneClient {
    /// Binds a phone for a demo resident and fetches its session certificate.
    ///
    /// # Errors
    /// When the identity service or the platform refuses.
    pub fn bind(rig: &Rig, resident: &ScenarioResident) -> Result<Self> {
        let http = Client::builder().no_proxy().build()?;
        let platform = format!("http://{}/code/v1", rig.platform);
        let claim = json!({ "name": resident.name, "id_number": resident.id_number });
        let ticket = post_json(&http, &format!("http://{}/tickets", rig.identity), &claim)?;
        let bound = post_json(&http, &format!("{platform}/bindings"), &ticket)?;
        let secret = string_field(&bound, "phone")?;
        let session = generate_key()?;
        let proof = session
            .sign(&[b"session-key/1\0".as_slice(), &sm3(&[&secret.parse::<HexBytes<16>>()?.0])].concat());
        let request = json!({
            "phone": secret, "session_key": HexBytes(session.public().to_compressed()), "proof": proof,
        });
        let certified = post_json(&http, &format!("{platform}/certificates"), &request)?;
        let certificate: HexBytes<CERTIFICATE_BYTES> = string_field(&certified, "certificate")?.parse()?;
        let certificate = SessionCertificate::from_bytes(&certificate.0)?;
        Ok(Self { http, platform, secret, session, certificate })
    }

    /// The offline code of the current time step, as text.
    ///
    /// # Errors
    /// When the session certificate has expired.
    pub fn offline_code(&self) -> Result<String> {
        Ok(self.certificate.present(&self.session, unix_seconds_now()?)?.to_text())
    }

    /// The answer code for this challenge, which a phone shows after its owner's consent.
    ///
    /// # Errors
    /// When the text is not a challenge.
    pub fn answer_code(&self, challenge: &str) -> Result<String> {
        let challenge: Challenge = challenge.parse()?;
        Ok(self.certificate.answer(&self.session, &challenge.to_be_signed(), unix_seconds_now()?)?.to_text())
    }

    /// Reports this phone lost. 挂失.
    ///
    /// # Errors
    /// When the platform refuses.
    pub fn report_lost(&self) -> Result<()> {
        post_json(&self.http, &format!("{}/losses", self.platform), &json!({ "phone": self.secret }))
            .map(drop)
    }
}

/// An offline code that is valid except that no city key signed its session certificate.
///
/// # Errors
/// When `/dev/urandom` cannot be read.
pub fn forged_code() -> Result<String> {
    let (forger, session) = (generate_key()?, generate_key()?);
    let terms = SessionTerms {
        capabilities: Capabilities(1),
        alias: Alias([7; 8]),
        issued_at: unix_seconds_now()?.saturating_sub(60),
        lifetime_quarters: 96,
        session_key: session.public(),
    };
    let certificate = SessionCertificate::issue(&terms, &CodeIssuer::new(1, forger))?;
    Ok(certificate.present(&session, unix_seconds_now()?)?.to_text())
}

fn post_json(http: &Client, address: &str, body: &Value) -> Result<Value> {
    let answer = http.post(address).json(body).send()?;
    if !answer.status().is_success() {
        bail!("{address}: {} {}", answer.status(), answer.text().unwrap_or_default());
    }
    Ok(answer.json()?)
}

fn string_field(answer: &Value, field: &str) -> Result<String> {
    Ok(answer.get(field).and_then(Value::as_str).with_context(|| format!("no `{field}`"))?.to_owned())
}

fn generate_key() -> Result<SecretKey> {
    let mut secret = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut secret)?;
    // Clearing the top bit keeps the number below the order of the SM2 group.
    secret[0] &= 0x7F;
    Ok(SecretKey::from_bytes(&secret)?)
}

fn unix_seconds_now() -> Result<UnixSeconds> {
    Ok(UnixSeconds::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?)
}
