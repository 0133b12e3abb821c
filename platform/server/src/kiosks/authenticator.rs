//! Authenticates a kiosk's request before the platform handles it: the signature covers the bytes as sent, the
//! client certificate is the signer's, and the envelope opens. The envelope is checked last: a request without a
//! valid signature is refused unopened.

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::{AnswerKey, EnvelopeSecret, KioskId, Problem, ProblemCode, RequestBinding};
use rustls::pki_types::{CertificateDer, ServerName};
use zeroize::Zeroize as _;

use crate::config::kiosks::RegisteredKiosk;
use crate::messages::{PlatformRequest, PlatformResponse};
use crate::request_signature::verified_signer;

/// Authenticates requests with the registered kiosks and the envelope keys of one platform.
pub(crate) struct Authenticator {
    kiosks: Arc<BTreeMap<KioskId, RegisteredKiosk>>,
    envelope_keys: Vec<EnvelopeSecret>,
}

/// A kiosk's request that was authenticated and opened. No `Debug`; its body is zeroized on drop.
pub(crate) struct AuthenticatedRequest {
    request: PlatformRequest,
    kiosk_id: KioskId,
}

impl AuthenticatedRequest {
    pub(crate) const fn request(&self) -> &PlatformRequest {
        &self.request
    }

    pub(crate) const fn kiosk_id(&self) -> KioskId {
        self.kiosk_id
    }
}

impl Drop for AuthenticatedRequest {
    fn drop(&mut self) {
        self.request.body.zeroize();
    }
}

impl Authenticator {
    pub(crate) const fn new(
        kiosks: Arc<BTreeMap<KioskId, RegisteredKiosk>>,
        envelope_keys: Vec<EnvelopeSecret>,
    ) -> Self {
        Self { kiosks, envelope_keys }
    }

    /// Authenticates a request that arrived over a connection with this client certificate. Returns the opened request
    /// and the key that seals its answer; no key when the request had no body.
    ///
    /// # Errors
    /// The refusal as a response. It is not sealed, because the sender may not be a kiosk.
    pub(crate) fn authenticate(
        &self,
        mut request: PlatformRequest,
        certificate: &CertificateDer<'_>,
    ) -> Result<(AuthenticatedRequest, Option<AnswerKey>), PlatformResponse> {
        match self.verify_and_open(&request, certificate) {
            Ok((device, Some((mut body, answer)))) => {
                request.body = std::mem::take(&mut *body);
                Ok((AuthenticatedRequest { request, kiosk_id: device }, Some(answer)))
            }
            Ok((device, None)) => Ok((AuthenticatedRequest { request, kiosk_id: device }, None)),
            Err(problem) => {
                let claimed_id = request.device.as_deref().and_then(|id| id.parse::<KioskId>().ok());
                tracing::warn!(
                    kiosk = ?claimed_id.map(|id| id.to_string()),
                    refusal = %problem,
                    "kiosk request rejected: authentication failed"
                );
                Err(PlatformResponse::problem(&problem))
            }
        }
    }

    fn verify_and_open(
        &self,
        request: &PlatformRequest,
        certificate: &CertificateDer<'_>,
    ) -> Result<(KioskId, OpenedBody), Problem> {
        let device = verified_signer(&self.kiosks, request)?.id;
        if !is_certificate_of(certificate, device) {
            return Err(
                ProblemCode::DeviceUnknown.into_problem("the client certificate belongs to another kiosk")
            );
        }
        if request.body.is_empty() {
            return Ok((device, None));
        }
        let to = RequestBinding {
            method: request.method.name(),
            target: &request.target,
            device: request.device.as_deref().unwrap_or_default(),
            time: request.time.as_deref().unwrap_or_default(),
        };
        let opened = EnvelopeSecret::open(&self.envelope_keys, &request.body, to);
        let opened = opened.map_err(|error| ProblemCode::Malformed.into_problem(error.to_string()))?;
        Ok((device, Some(opened)))
    }
}

type OpenedBody = Option<(zeroize::Zeroizing<Vec<u8>>, AnswerKey)>;

/// Whether a certificate, which the TLS listener has verified, names this kiosk.
fn is_certificate_of(certificate: &CertificateDer<'_>, device: KioskId) -> bool {
    let name = ServerName::try_from(device.certificate_name());
    let certificate = webpki::EndEntityCert::try_from(certificate);
    matches!((certificate, name), (Ok(certificate), Ok(name))
        if certificate.verify_is_valid_for_subject_name(&name).is_ok())
}
