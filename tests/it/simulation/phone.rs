//! A resident's phone: shows offline codes, and answers a kiosk's challenge.

use std::sync::Arc;

use contract::{Challenge, HexBytes, HttpMethod, SecretKey, UnixMs, sm3};
use resident_code::SessionCertificate;
use serde_json::{Value, json};
use server::{PeerAnswer, PlatformReply, PlatformRequest};

use super::peers::SimCity;

#[derive(Clone)]
pub(crate) struct SimPhone {
    /// What the platform knows the phone by.
    secret: String,
    key: Arc<SecretKey>,
    certificate: SessionCertificate,
}

impl SimPhone {
    /// Binds a phone for a resident whom the identity service has verified; none if the resident has no card in force.
    pub(crate) fn bind(city: &mut SimCity, resident: usize, now: UnixMs) -> Option<Self> {
        let seen = {
            let resident = &city.residents[resident];
            json!({ "assurance": "in-person", "name": resident.name, "id_number": resident.id_number })
        };
        let bound = post(city, "bindings", &json!({ "ticket": "seen" }), now, &seen);
        let secret = bound["phone"].as_str()?.to_owned();
        let key = SecretKey::from_bytes(&[u8::try_from(resident).unwrap() + 1; 32]).unwrap();
        let certificate = certify(city, &secret, &key, now)?;
        Some(Self { secret, key: Arc::new(key), certificate })
    }

    /// Has the platform issue a new certificate when the phone's has ended. False when the platform issues none any more.
    pub(crate) fn renew(&mut self, city: &mut SimCity, now: UnixMs) -> bool {
        if self.certificate.present(&self.key, seconds(now)).is_err() {
            let Some(certificate) = certify(city, &self.secret, &self.key, now) else { return false };
            self.certificate = certificate;
        }
        true
    }

    /// The text of the offline code that the phone shows now; none after the end of its certificate.
    pub(crate) fn offline_code(&self, now: UnixMs) -> Option<String> {
        Some(self.certificate.present(&self.key, seconds(now)).ok()?.to_text())
    }

    /// The text of the answer code that the phone shows after its owner agreed to the challenge; none after the end of its
    /// certificate.
    pub(crate) fn answer_code(&self, challenge: &Challenge, now: UnixMs) -> Option<String> {
        Some(self.certificate.answer(&self.key, &challenge.to_be_signed(), seconds(now)).ok()?.to_text())
    }

    /// The phone's owner agrees to what relying parties ask for.
    pub(crate) fn agree_to_all(&self, city: &mut SimCity, now: UnixMs) {
        let lists = post(city, "consents", &json!({ "phone": self.secret }), now, &Value::Null);
        for asked in lists["asked"].as_array().unwrap() {
            let text = asked["text"].as_str().unwrap();
            let signed = [b"consent/1\0".as_slice(), &sm3(&[text.as_bytes()])].concat();
            let answer = self.certificate.answer(&self.key, &signed, seconds(now)).unwrap().to_text();
            let decision = json!({ "phone": self.secret, "consent": asked["consent"], "answer": answer });
            post(city, "consent", &decision, now, &Value::Null);
        }
    }
}

/// Has the platform certify a phone's key; none when it refuses.
fn certify(city: &mut SimCity, secret: &str, key: &SecretKey, now: UnixMs) -> Option<SessionCertificate> {
    let signed =
        [b"session-key/1\0".as_slice(), &sm3(&[&secret.parse::<HexBytes<16>>().unwrap().0])].concat();
    let request = json!({
        "phone": secret, "session_key": HexBytes(key.public().to_compressed()), "proof": key.sign(&signed),
    });
    let certified = post(city, "certificates", &request, now, &Value::Null);
    let certificate: HexBytes<114> = certified["certificate"].as_str()?.parse().unwrap();
    Some(SessionCertificate::from_bytes(&certificate.0).unwrap())
}

fn post(city: &mut SimCity, name: &str, body: &Value, now: UnixMs, seen: &Value) -> Value {
    let body = body.to_string().into_bytes();
    let request = PlatformRequest {
        method: HttpMethod::Post,
        body,
        ..PlatformRequest::get(format!("/code/v1/{name}"))
    };
    // Each resident binds at a different time, so the entropy differs between residents.
    let entropy = u128::from(now.0) << 8 | u128::try_from(name.len()).unwrap();
    let response = match city.platform.handle(&request, now, entropy) {
        PlatformReply::Answer(response) => response,
        PlatformReply::CallPeer(call) => {
            let answer = PeerAnswer::unsigned(200, seen.to_string().into_bytes());
            match city.platform.resume(&call, Ok(answer), now, !entropy) {
                PlatformReply::Answer(response) => response,
                PlatformReply::CallPeer(_) => panic!("the platform must call the identity service once"),
            }
        }
    };
    serde_json::from_slice(&response.body).unwrap()
}

fn seconds(now: UnixMs) -> u32 {
    u32::try_from(now.0 / 1000).unwrap()
}
