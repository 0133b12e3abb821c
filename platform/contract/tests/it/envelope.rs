//! An envelope opens only for the request for which it was sealed.

use contract::{ANSWER_OVERHEAD, AnswerKey, EnvelopeError, EnvelopeSecret, RequestBinding, sm3, to_hex};
use proptest::prelude::*;
use zeroize::Zeroizing;

pub(crate) const CALL: RequestBinding<'static> =
    RequestBinding { method: "POST", target: "/v1/calls", device: "K-DH-0001", time: "1795500000000" };
const BODY: &[u8] = "{\"name\":\"张桂英\"}".as_bytes();
/// An envelope for [`CALL`] with [`BODY`], to the key 7 whose secret is 32 bytes of 07.
const GOLDEN: &str = "01070405120910982cdd6f057f5325c2dacecfb0f3170f0323b15823a0fc4ec56f01746bd8fe0da02fa221ea0ae0fa88\
    9c70d0ec11820c3ba4318a59c74110fc1a74bcb15074b49b6a4ed22f1234e6888ff775c90a555614da21c1cabf4a2d2e\
    2164350cdb455b4cd927cac6a306bd2d37605bf42cefce6d102fae9b068236d382a3a553f8f704f49b89ba55e27b6244\
    8bb936c06dc451";
const GOLDEN_ANSWER: &str = "010505050505050505050505734124657f6f7eada8c86ae2d5f20c1f8e2b";

pub(crate) fn secret(id: u8) -> EnvelopeSecret {
    EnvelopeSecret::new(id, &[id; 32]).unwrap()
}

pub(crate) fn sealed(body: &[u8], entropy: u8) -> (Vec<u8>, AnswerKey) {
    secret(7).public().seal(body, CALL, &Zeroizing::new([entropy; 32]))
}

fn open(bytes: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
    EnvelopeSecret::open(&[secret(7)], bytes, CALL).map(|(body, _)| body.to_vec())
}

#[test]
fn sealed_request_and_answer_open() {
    let (bytes, kiosk) = sealed(BODY, 1);
    assert_eq!(bytes.len(), 115 + BODY.len() + 16);
    let (body, platform) = EnvelopeSecret::open(&[secret(3), secret(7)], &bytes, CALL).unwrap();
    assert_eq!(*body, BODY);
    let answer = platform.seal(409, b"{}", &[5; 11]);
    assert_eq!(answer.len(), 2 + ANSWER_OVERHEAD);
    assert_eq!(*kiosk.open(409, &answer).unwrap(), b"{}");
}

/// If this test fails, do not change the test: kiosks in the field and the platform use this format.
#[test]
fn envelope_bytes_of_version_1_are_stable() {
    let bytes = base16ct::mixed::decode_vec(GOLDEN).unwrap();
    let (body, key) = EnvelopeSecret::open(&[secret(7)], &bytes, CALL).unwrap();
    assert_eq!(*body, BODY);
    assert_eq!(to_hex(&key.seal(200, b"{}", &[5; 11])), GOLDEN_ANSWER);
}

#[test]
fn envelope_with_any_flipped_bit_is_refused() {
    let (bytes, kiosk) = sealed(BODY, 1);
    let answer = EnvelopeSecret::open(&[secret(7)], &bytes, CALL).unwrap().1.seal(200, BODY, &[5; 11]);
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&changed).is_err(), "request, bit {bit}");
    }
    for bit in 0..answer.len() * 8 {
        let mut changed = answer.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(kiosk.open(200, &changed).is_err(), "answer, bit {bit}");
    }
}

#[test]
fn envelope_is_bound_to_request_kiosk_time_and_key() {
    let (bytes, _) = sealed(BODY, 1);
    for other in [
        RequestBinding { method: "GET", ..CALL },
        RequestBinding { target: "/v1/charges", ..CALL },
        RequestBinding { device: "K-DH-0002", ..CALL },
        RequestBinding { time: "1795500000001", ..CALL },
    ] {
        assert_eq!(EnvelopeSecret::open(&[secret(7)], &bytes, other).err(), Some(EnvelopeError::Broken));
    }
    assert_eq!(EnvelopeSecret::open(&[secret(3)], &bytes, CALL).err(), Some(EnvelopeError::Key(7)));
    let same_name = EnvelopeSecret::new(7, &[3; 32]).unwrap();
    assert_eq!(EnvelopeSecret::open(&[same_name], &bytes, CALL).err(), Some(EnvelopeError::Broken));
}

#[test]
fn answer_is_bound_to_its_request_and_status() {
    let ((first, one), (second, two)) = (sealed(BODY, 1), sealed(BODY, 2));
    let answer_to =
        |bytes: &[u8]| EnvelopeSecret::open(&[secret(7)], bytes, CALL).unwrap().1.seal(200, BODY, &[5; 11]);
    let (to_first, to_second) = (answer_to(&first), answer_to(&second));
    assert!(one.open(200, &to_first).is_ok() && two.open(200, &to_second).is_ok());
    assert_eq!(one.open(200, &to_second).err(), Some(EnvelopeError::Broken));
    assert_eq!(two.open(200, &to_first).err(), Some(EnvelopeError::Broken));
    assert_eq!(one.open(409, &to_first).err(), Some(EnvelopeError::Broken));
    // A request replayed as its own answer.
    assert!(one.open(200, &first).is_err());
}

#[test]
fn envelope_hides_body_and_differs_for_equal_bodies() {
    let ((first, _), (second, _)) = (sealed(BODY, 1), sealed(BODY, 2));
    assert!(!first.windows(4).any(|window| BODY.windows(4).any(|part| part == window)));
    let same = first.iter().zip(&second).skip(3).filter(|(one, two)| one == two).count();
    assert!(same < 10, "{same} bytes are the same");
    // The answer to a request that was captured and sent again.
    let key = EnvelopeSecret::open(&[secret(7)], &first, CALL).unwrap().1;
    assert_ne!(sm3(&[&key.seal(200, BODY, &[5; 11])]), sm3(&[&key.seal(200, BODY, &[6; 11])]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn envelope_round_trips_and_truncations_are_refused(
        body in proptest::collection::vec(any::<u8>(), 0..400), entropy: [u8; 32], cut: prop::sample::Index,
    ) {
        let (bytes, kiosk) = secret(7).public().seal(&body, CALL, &Zeroizing::new(entropy));
        let (opened, platform) = EnvelopeSecret::open(&[secret(7)], &bytes, CALL).unwrap();
        prop_assert_eq!(&*opened, &body);
        let answer = platform.seal(200, &body, &[1; 11]);
        prop_assert_eq!(&*kiosk.open(200, &answer).unwrap(), &body);
        prop_assert!(open(&bytes[..cut.index(bytes.len())]).is_err());
        prop_assert!(kiosk.open(200, &answer[..cut.index(answer.len())]).is_err());
    }

    #[test]
    fn random_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut named = vec![1, 7, 4];
        named.extend(&bytes);
        prop_assert!(open(&bytes).is_err());
        prop_assert!(open(&named).is_err());
        let (_, kiosk) = sealed(BODY, 1);
        prop_assert!(kiosk.open(200, &bytes).is_err());
    }
}
