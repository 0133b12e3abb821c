//! Test vectors of the standards. If one of these tests fails, do not change the test.

use aes_gcm::AesGcm;
use aes_gcm::aead::{Aead as _, KeyInit as _, Payload, consts::U12};
use resident_code::{PublicKey, SecretKey, SignError, Signature};
use sm3::{Digest as _, Sm3};
use sm4::Sm4;
use sm4::cipher::BlockCipherEncrypt as _;

use crate::fixture::{from_hex, to_hex};

/// GM/T 0003.5-2012, annex A.2 (GB/T 32918.5-2017): secret key, public key, message, `r ‖ s`. Its signer used a
/// random `k`; this crate's deterministic signature differs, and both verify.
pub(crate) const ANNEX_SECRET: &str = "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8";
pub(crate) const ANNEX_PUBLIC: &str = "0309f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020";
pub(crate) const ANNEX_MESSAGE: &[u8] = b"message digest";
pub(crate) const ANNEX_SIGNATURE: &str = "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3\
                                          b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa";

#[test]
fn sm2_matches_gm_t_0003_annex_a() {
    let secret = SecretKey::from_bytes(&from_hex(ANNEX_SECRET).try_into().unwrap()).unwrap();
    assert_eq!(to_hex(&secret.public().to_compressed()), ANNEX_PUBLIC);
    let public = PublicKey::from_compressed(&from_hex(ANNEX_PUBLIC).try_into().unwrap()).unwrap();
    let signature = Signature(from_hex(ANNEX_SIGNATURE).try_into().unwrap());
    assert_eq!(public.verify(ANNEX_MESSAGE, &signature), Ok(()));
    assert_eq!(public.verify(b"message digesT", &signature), Err(SignError::Mismatch));
    assert_eq!(public.verify(ANNEX_MESSAGE, &secret.sign(ANNEX_MESSAGE)), Ok(()));
}

/// GB/T 32905-2016, annex A.1 and A.2.
#[test]
fn sm3_matches_gb_t_32905() {
    assert_eq!(
        to_hex(&Sm3::digest(b"abc")),
        "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    );
    assert_eq!(
        to_hex(&Sm3::digest("abcd".repeat(16))),
        "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"
    );
}

/// GB/T 32907-2016, annex A.1 and A.2.
#[test]
fn sm4_matches_gb_t_32907() {
    let key = from_hex("0123456789abcdeffedcba9876543210");
    let cipher = Sm4::new_from_slice(&key).unwrap();
    let mut block = sm4::cipher::Block::<Sm4>::try_from(key.as_slice()).unwrap();
    cipher.encrypt_block(&mut block);
    assert_eq!(to_hex(&block), "681edf34d206965e86b3e94f536e4246");
    for _ in 1..1_000_000 {
        cipher.encrypt_block(&mut block);
    }
    assert_eq!(to_hex(&block), "595298c7c6fd271f0402f804c33d3f66");
}

/// RFC 8998, A.1: SM4-GCM, with which a kiosk seals its journal and caches. Key, nonce, associated data, plaintext,
/// sealed.
pub(crate) const GCM: [&str; 5] = [
    "0123456789abcdeffedcba9876543210",
    "00001234567800000000abcd",
    "feedfacedeadbeeffeedfacedeadbeefabaddad2",
    "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd\
     eeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa",
    "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735\
     d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d\
     83de3541e4c2b58177e065a9bf7b62ec",
];

#[test]
fn sm4_gcm_matches_rfc_8998() {
    let [key, nonce, aad, plain, sealed] = GCM.map(from_hex);
    let cipher = AesGcm::<Sm4, U12>::new_from_slice(&key).unwrap();
    let nonce: [u8; 12] = nonce.try_into().unwrap();
    let made = cipher.encrypt(&nonce.into(), Payload { msg: &plain, aad: &aad }).unwrap();
    assert_eq!(to_hex(&made), to_hex(&sealed));
    assert_eq!(cipher.decrypt(&nonce.into(), Payload { msg: &sealed, aad: &aad }).unwrap(), plain);
}
