//! The city's certificate authority for TLS (X.509, P-256): it issues certificates to the platform, and to kiosks by
//! their requests.
//!
//! Each certificate is valid for one side only: a kiosk's certificate is never accepted as a platform's. A kiosk's key
//! never leaves the kiosk; its request (PKCS #10) is brought to the operator.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use contract::KioskId;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    SerialNumber,
};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use crate::keys::{self, random_bytes};

/// Validity of the authority's certificate in days.
const AUTHORITY_DAYS: i64 = 20 * 365;
/// Validity of a certificate in days. To be renewed when a third of it is left, at the latest.
const CERTIFICATE_DAYS: i64 = 398;
/// A new certificate is valid for clocks that are behind by less than this.
const BACKDATED: Duration = Duration::hours(1);

/// Makes the authority: ca.key (secret) and ca.pem.
pub(crate) fn make_authority(directory: &Path) -> Result<()> {
    let key = new_key()?;
    let mut params = params("city authority", AUTHORITY_DAYS)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key)?;
    keys::write_new(directory, "ca.key", &Zeroizing::new(key.serialize_pem()), 0o600)?;
    keys::write_new(directory, "ca.pem", &certificate.pem(), 0o644)
}

/// Makes the platform's key and certificate for the names and addresses under which kiosks reach it:
/// platform.key (secret) and platform.pem.
pub(crate) fn make_platform_certificate(directory: &Path, names: &[String]) -> Result<()> {
    let key = new_key()?;
    let mut params = CertificateParams::new(names.to_vec())
        .context("a name of the platform is neither a DNS name nor an IP address")?;
    set_common_fields(&mut params, "platform", CERTIFICATE_DAYS)?;
    set_key_usage(&mut params, ExtendedKeyUsagePurpose::ServerAuth);
    let certificate = params.signed_by(&key, &issuer(directory)?)?;
    keys::write_new(directory, "platform.key", &Zeroizing::new(key.serialize_pem()), 0o600)?;
    keys::write_new(directory, "platform.pem", &certificate.pem(), 0o644)
}

/// Makes a kiosk's TLS key and its certificate request: tls.key (secret) and tls.csr.
pub(crate) fn make_request(directory: &Path, device: KioskId) -> Result<()> {
    let key = new_key()?;
    let mut params = CertificateParams::new([certified_name(device)?])?;
    params.distinguished_name = distinguished_name(&device.to_string());
    let request = params.serialize_request(&key)?;
    keys::write_new(directory, "tls.key", &Zeroizing::new(key.serialize_pem()), 0o600)?;
    keys::write_new(directory, "tls.csr", &request.pem()?, 0o644)
}

/// Issues a certificate for a kiosk's request. Whatever extensions the request has, the certificate is for this kiosk
/// and for client authentication only; the operator has verified that the request comes from this kiosk.
pub(crate) fn certify(city: &Path, device: KioskId, request: &Path) -> Result<String> {
    let pem = fs::read_to_string(request).with_context(|| format!("cannot read {}", request.display()))?;
    let mut request = CertificateSigningRequestParams::from_pem(&pem)
        .with_context(|| format!("{} is not a certificate request", request.display()))?;
    let named: Vec<_> = request.params.subject_alt_names.clone();
    let asked = CertificateParams::new([certified_name(device)?])?;
    ensure!(
        named == asked.subject_alt_names,
        "the request is not for {device}: make it with `provision device-keys --device {device}`"
    );
    let mut params = asked;
    set_common_fields(&mut params, &device.to_string(), CERTIFICATE_DAYS)?;
    set_key_usage(&mut params, ExtendedKeyUsagePurpose::ClientAuth);
    request.params = params;
    let certificate: Certificate = request.signed_by(&issuer(city)?)?;
    Ok(certificate.pem())
}

fn issuer(city: &Path) -> Result<Issuer<'static, KeyPair>> {
    let read = |name: &str| {
        let path = city.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let key =
        KeyPair::from_pem(&Zeroizing::new(read("ca.key")?)).context("ca.key does not hold a private key")?;
    Issuer::from_ca_cert_pem(&read("ca.pem")?, key).context("ca.pem does not hold a certificate")
}

fn new_key() -> Result<KeyPair> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).context("cannot generate a key pair")
}

fn params(common_name: &str, days: i64) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    set_common_fields(&mut params, common_name, days)?;
    Ok(params)
}

fn set_common_fields(params: &mut CertificateParams, common_name: &str, days: i64) -> Result<()> {
    params.distinguished_name = distinguished_name(common_name);
    // A certificate is renewed with the same key, so a serial number derived from the key would not be unique.
    let mut serial = *random_bytes::<16>()?;
    if let Some(first) = serial.first_mut() {
        // Positive, and not zero (RFC 5280, 4.1.2.2).
        *first = *first & 0x7f | 0x40;
    }
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = OffsetDateTime::now_utc() - BACKDATED;
    params.not_after = params.not_before + Duration::days(days);
    params.use_authority_key_identifier_extension = true;
    Ok(())
}

fn set_key_usage(params: &mut CertificateParams, purpose: ExtendedKeyUsagePurpose) {
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
}

fn distinguished_name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn certified_name(device: KioskId) -> Result<String> {
    let id = device.to_string();
    ensure!(
        !id.starts_with('-') && !id.ends_with('-'),
        "no certificate for {id}: a name in a certificate begins and ends with a letter or digit"
    );
    Ok(device.certificate_name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn openssl(directory: &Path, arguments: &str) -> String {
        let arguments = arguments.split_whitespace();
        let output = Command::new("openssl").current_dir(directory).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    }

    #[test]
    fn openssl_accepts_each_certificate_only_for_its_use() {
        let place = tempfile::tempdir().unwrap();
        let device: KioskId = "K-1".parse().unwrap();
        make_authority(place.path()).unwrap();
        make_platform_certificate(place.path(), &["platform.example".into(), "127.0.0.1".into()]).unwrap();
        make_request(place.path(), device).unwrap();
        let certificate = certify(place.path(), device, &place.path().join("tls.csr")).unwrap();
        keys::write_new(place.path(), "tls.pem", &certificate, 0o644).unwrap();
        let verify = |purpose: &str, file: &str| {
            let output = openssl(place.path(), &format!("verify -purpose {purpose} -CAfile ca.pem {file}"));
            output.contains(&format!("{file}: OK"))
        };
        assert!(verify("sslserver", "platform.pem") && verify("sslclient", "tls.pem"));
        assert!(!verify("sslclient", "platform.pem") && !verify("sslserver", "tls.pem"));
        let text = openssl(place.path(), "x509 -noout -text -in tls.pem");
        assert!(text.contains("DNS:k-1.kiosk") && text.contains("CA:FALSE"), "{text}");
        // A renewal with the same key gives another certificate.
        let again = certify(place.path(), device, &place.path().join("tls.csr")).unwrap();
        assert_ne!(again, certificate);
    }

    #[test]
    fn request_is_certified_only_for_its_own_kiosk() {
        let place = tempfile::tempdir().unwrap();
        make_authority(place.path()).unwrap();
        make_request(place.path(), "K-1".parse().unwrap()).unwrap();
        let request = place.path().join("tls.csr");
        let error = certify(place.path(), "K-2".parse().unwrap(), &request).unwrap_err();
        assert!(error.to_string().contains("not for K-2"), "{error}");
        fs::write(&request, "not a request").unwrap();
        assert!(certify(place.path(), "K-1".parse().unwrap(), &request).is_err());
        assert!(super::make_request(&place.path().join("x"), "-".parse().unwrap()).is_err());
    }
}
