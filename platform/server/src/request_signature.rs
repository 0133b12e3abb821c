//! The check of a request's signature against the registered key of a kiosk or relying party.

use std::collections::BTreeMap;
use std::str::FromStr;

use contract::{Problem, ProblemCode, PublicKey, Signature, UnixMs, request_bytes_to_sign};

use crate::messages::PlatformRequest;
use crate::request_error::{RequestError, malformed_request};

/// Largest difference between `X-Time` and the platform's clock; prevents replays of old requests.
const CLOCK_SKEW_MAX_MS: u64 = 5 * 60 * 1000;

/// A kiosk or relying party whose public key is registered with the platform.
pub(crate) trait RegisteredSigner {
    /// Id of the signer, as in `X-Device`.
    type Id: FromStr + Ord;

    /// Public key that verifies the signer's requests.
    fn public_key(&self) -> &PublicKey;
}

/// Verifies the request's signature and returns the kiosk or relying party that signed it.
///
/// `X-Time` is covered by the signature but not compared with the platform's clock: a kiosk whose clock
/// battery is dead must still be able to settle its orders, and every request is idempotent.
pub(crate) fn verified_signer<'a, R: RegisteredSigner>(
    registered: &'a BTreeMap<R::Id, R>,
    request: &PlatformRequest,
) -> Result<&'a R, Problem> {
    let unknown = |title: &str| ProblemCode::DeviceUnknown.into_problem(title);
    let (Some(id), Some(time), Some(signature)) = (&request.device, &request.time, &request.signature) else {
        return Err(unknown("X-Device, X-Time or X-Signature is missing"));
    };
    let signer = id
        .parse()
        .ok()
        .and_then(|id: R::Id| registered.get(&id))
        .ok_or_else(|| unknown("no kiosk or relying party is registered with this id"))?;
    let mismatch = || unknown("the signature of the request does not verify");
    let signature: Signature = signature.parse().map_err(|_| mismatch())?;
    let message = request_bytes_to_sign(request.method, &request.target, time, &request.body);
    signer.public_key().verify(&message, &signature).map_err(|_| mismatch())?;
    Ok(signer)
}

/// Checks that `X-Time` of a relying party's request is near the platform's clock.
pub(crate) fn check_request_time(request: &PlatformRequest, now: UnixMs) -> Result<(), RequestError> {
    let time: u64 = request.time.as_deref().and_then(|time| time.parse().ok()).unwrap_or(0);
    if time.abs_diff(now.0) > CLOCK_SKEW_MAX_MS {
        return Err(malformed_request("X-Time differs from the platform's clock by more than five minutes"));
    }
    Ok(())
}
