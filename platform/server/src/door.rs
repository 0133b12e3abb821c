//! Authenticates a kiosk's request before the platform handles it: the signature covers the bytes as sent, the
//! client certificate is the signer's, and the envelope opens. The envelope is checked last: a request without a
//! valid signature is refused unopened.

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::{Addressed, AnswerKey, DeviceId, EnvelopeSecret, ProblemCode};
use rustls::pki_types::{CertificateDer, ServerName};
use zeroize::Zeroize as _;

use crate::device::{self, Device};
use crate::fail::{Fail, malformed};
use crate::wire::{Request, Response};

/// Authenticates requests with the registered kiosks and the envelope keys of one platform.
pub(crate) struct Door {
    devices: Arc<BTreeMap<DeviceId, Device>>,
    keys: Vec<EnvelopeSecret>,
}

/// A kiosk's request that was authenticated and opened. No `Debug`; its body is zeroized on drop.
pub(crate) struct Admitted {
    request: Request,
    device: DeviceId,
}

impl Admitted {
    pub(crate) const fn request(&self) -> &Request {
        &self.request
    }

    pub(crate) const fn device(&self) -> DeviceId {
        self.device
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.request.body.zeroize();
    }
}

impl Door {
    pub(crate) const fn new(devices: Arc<BTreeMap<DeviceId, Device>>, keys: Vec<EnvelopeSecret>) -> Self {
        Self { devices, keys }
    }

    /// Authenticates a request that arrived over a connection with this client certificate. Returns the opened request
    /// and the key that seals its answer; no key when the request had no body.
    ///
    /// # Errors
    /// The refusal as a response. It is not sealed, because the sender may not be a kiosk.
    pub(crate) fn admit(
        &self,
        mut request: Request,
        certificate: &CertificateDer<'_>,
    ) -> Result<(Admitted, Option<AnswerKey>), Response> {
        match self.opened(&request, certificate) {
            Ok((device, Some((mut body, answer)))) => {
                request.body = std::mem::take(&mut *body);
                Ok((Admitted { request, device }, Some(answer)))
            }
            Ok((device, None)) => Ok((Admitted { request, device }, None)),
            Err(fail) => {
                let response = fail.into_response();
                let claimed_id = request.device.as_deref().and_then(|id| id.parse::<DeviceId>().ok());
                let title = String::from_utf8_lossy(&response.body);
                tracing::warn!(
                    kiosk = ?claimed_id.map(|id| id.to_string()),
                    refusal = %title,
                    "kiosk request rejected: authentication failed"
                );
                Err(response)
            }
        }
    }

    fn opened(
        &self,
        request: &Request,
        certificate: &CertificateDer<'_>,
    ) -> Result<(DeviceId, Opened), Fail> {
        let device = device::signer(&self.devices, request)?.id;
        if !certifies(certificate, device) {
            return Err(ProblemCode::DeviceUnknown
                .because("the client certificate belongs to another kiosk")
                .into());
        }
        if request.body.is_empty() {
            return Ok((device, None));
        }
        let to = Addressed {
            method: request.verb.name(),
            target: &request.target,
            device: request.device.as_deref().unwrap_or_default(),
            time: request.time.as_deref().unwrap_or_default(),
        };
        let opened = EnvelopeSecret::open(&self.keys, &request.body, to);
        Ok((device, Some(opened.map_err(|error| malformed(&error.to_string()))?)))
    }
}

type Opened = Option<(zeroize::Zeroizing<Vec<u8>>, AnswerKey)>;

/// Whether a certificate, which the TLS listener has verified, names this kiosk.
fn certifies(certificate: &CertificateDer<'_>, device: DeviceId) -> bool {
    let name = ServerName::try_from(device.certificate_name());
    let certificate = webpki::EndEntityCert::try_from(certificate);
    matches!((certificate, name), (Ok(certificate), Ok(name))
        if certificate.verify_is_valid_for_subject_name(&name).is_ok())
}
