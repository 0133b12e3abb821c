//! The key that the platform signs its requests to departments with.

use contract::{DepartmentId, SecretKey, Signature, UnixMs};

/// Signs requests to departments. No `Debug`: it has a secret key.
pub(crate) struct DepartmentSigner(SecretKey);

impl DepartmentSigner {
    pub(crate) const fn new(key: SecretKey) -> Self {
        Self(key)
    }

    /// Signs a request to a department: the text of its time, and the signature.
    pub(crate) fn sign_request(
        &self,
        department: &DepartmentId,
        target: &str,
        body: &[u8],
        now: UnixMs,
    ) -> (String, Signature) {
        let time = now.0.to_string();
        let signed = contract::department_bytes_to_sign(department, target, &time, body);
        (time, self.0.sign(&signed))
    }
}
