//! A forged resident code: a fresh, valid one with one byte changed.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use contract::to_hex;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{BenchError, SharedBench, fetch_code};
use crate::camera::PhoneScreen;

/// Every resident code begins with these characters; base45 follows.
const PREFIX: &str = "YK1:";
/// The byte that is changed: inside the random token, behind format and key id.
const FORGED_BYTE: usize = 8;

/// A code before and after one byte was changed.
#[derive(Debug)]
struct Forgery {
    valid: Vec<u8>,
    forged: Vec<u8>,
    /// Text of the forged code.
    text: String,
}

/// Changes one byte of a code; `None` when the text is no resident code.
fn forge(text: &str) -> Option<Forgery> {
    let valid = base45::decode(text.strip_prefix(PREFIX)?).ok()?;
    let mut forged = valid.clone();
    *forged.get_mut(FORGED_BYTE)? ^= 1;
    let text = format!("{PREFIX}{}", base45::encode(&forged));
    Some(Forgery { valid, forged, text })
}

#[derive(Deserialize)]
pub(super) struct ForgeRequest {
    resident: String,
}

/// `POST /camera/forge`.
pub(super) async fn show_forged_code(
    State(bench): SharedBench,
    Json(ForgeRequest { resident }): Json<ForgeRequest>,
) -> Result<Json<Value>, BenchError> {
    let code = fetch_code(&bench, &resident).await?;
    let text = code.get("text").and_then(Value::as_str).unwrap_or_default();
    let no_code = || BenchError(StatusCode::BAD_GATEWAY, "the platform issued no resident code".to_owned());
    let forgery = forge(text).ok_or_else(no_code)?;
    bench.show_to_camera(PhoneScreen::from_text(&forgery.text));
    let hex = |bytes: &[u8]| -> Vec<String> { bytes.iter().map(|byte| to_hex(&[*byte])).collect() };
    Ok(Json(json!({
        "valid": hex(&forgery.valid),
        "forged": hex(&forgery.forged),
        "byte": FORGED_BYTE,
        "valid_text": text,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forged_code_differs_in_one_byte() {
        let valid = format!("{PREFIX}{}", base45::encode([0x11; 22]));
        let forgery = forge(&valid).unwrap();
        let different = forgery.valid.iter().zip(&forgery.forged).filter(|(a, b)| a != b).count();
        assert_eq!((different, forgery.valid.len(), forgery.forged.len()), (1, 22, 22));
        assert_eq!(base45::decode(forgery.text.strip_prefix(PREFIX).unwrap()).unwrap(), forgery.forged);
        assert!(forge("https://example.invalid/").is_none() && forge("YK1:00").is_none());
    }
}
