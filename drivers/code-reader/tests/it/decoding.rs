//! Decoding of drawn pictures: codes that must be read, and pictures that must give no text.

use std::time::{Duration, Instant};

use code_reader::{CODES_MAX, DecodeResult, Decoder, LumaFrame, ScanHint};
use proptest::prelude::*;

use crate::scene::{CodePose, NoiseRng, picture};
use crate::texture;

const TEXT: &str = "YK1:6BFOXN%TSMAHN-HPO4:3W2B3TQ8";

fn look(frame: &LumaFrame) -> DecodeResult {
    Decoder::new().decode(frame, Instant::now() + Duration::from_secs(20))
}

fn reads(held: CodePose) -> bool {
    let look = look(&picture(TEXT, held));
    assert!(look.codes.iter().all(|code| code == TEXT.as_bytes()), "a wrong text");
    let read = !look.codes.is_empty();
    assert!(!read || look.hint.is_none(), "a hint although a code was read");
    read
}

#[test]
fn rotated_code_is_read() {
    for turned in (0..360).step_by(15) {
        assert!(reads(CodePose { turned: turned as f32, ..CodePose::default() }), "turned by {turned}°");
    }
}

#[test]
fn inverted_code_is_read() {
    for turned in [0.0, 90.0, 200.0] {
        assert!(
            reads(CodePose { turned, dark: 220, light: 30, ..CodePose::default() }),
            "turned by {turned}°"
        );
    }
}

#[test]
fn tilted_code_is_read() {
    for tilt in [-0.3, 0.3] {
        assert!(
            reads(CodePose { tilt, turned: 8.0, module: 7.0, ..CodePose::default() }),
            "tilted by {tilt}"
        );
    }
}

#[test]
fn noisy_low_contrast_code_is_read() {
    for seed in 1..6 {
        assert!(
            reads(CodePose { noise: 30, dark: 60, light: 150, seed, ..CodePose::default() }),
            "noise {seed}"
        );
    }
}

#[test]
fn grainy_low_light_code_with_large_modules_is_read() {
    for seed in 1..6 {
        let held = CodePose { module: 11.0, dark: 14, light: 62, noise: 20, seed, ..CodePose::default() };
        assert!(reads(held), "seed {seed}");
    }
}

#[test]
fn code_with_modules_of_two_pixels_is_read() {
    for module in [2.0, 3.0, 8.0] {
        assert!(reads(CodePose { module, turned: 5.0, ..CodePose::default() }), "{module} pixels a module");
    }
}

#[test]
fn byte_mode_text_is_read_as_utf8() {
    let text = "渝快码 张*三";

    assert_eq!(look(&picture(text, CodePose::default())).codes, [text.as_bytes()]);
}

#[test]
fn two_codes_in_one_frame_are_both_read() {
    let (left, right) = (picture("LEFT", CodePose::default()), picture("RIGHT", CodePose::default()));
    let rows = left.luma().chunks(640).zip(right.luma().chunks(640));
    // The middle part of each picture, which contains the code.
    let luma = rows.flat_map(|(a, b)| [&a[160..480], &b[160..480]].concat()).collect();

    let look = look(&LumaFrame::new(640, 480, luma).unwrap());

    assert_eq!(look.codes, [b"LEFT".to_vec(), b"RIGHT".to_vec()]);
    assert!(look.codes.len() <= CODES_MAX);
}

#[test]
fn plain_code_is_read_after_the_budget_ended() {
    let long_ago = Instant::now();

    assert!(
        !Decoder::new()
            .decode(&picture(TEXT, CodePose { turned: 3.0, ..CodePose::default() }), long_ago)
            .codes
            .is_empty()
    );
}

#[test]
fn noise_and_texture_give_no_text() {
    let mut decoder = Decoder::new();
    // The example `noise` tries any number of frames. The last three numbers are those of a million where a code
    // with an empty text was once found.
    for number in (0..80).chain([305_870, 727_582, 807_078]) {
        let frame = texture::frame(number, 192, 144);

        let look = decoder.decode(&frame, Instant::now() + Duration::from_secs(20));

        assert!(look.codes.is_empty(), "frame {number}");
    }
}

#[test]
fn many_finder_patterns_give_no_code() {
    // 7 × 7 modules of 4 pixels, with a gap: makes a detector combine every pattern with every other.
    let pattern = |x: usize, y: usize| {
        let (x, y) = (x / 4 % 9, y / 4 % 9);
        let ring = x.min(y).min(6_usize.saturating_sub(x)).min(6_usize.saturating_sub(y));
        x < 7 && y < 7 && ring != 1
    };
    let luma = (0..640 * 480).map(|n| if pattern(n % 640, n / 640) { 20 } else { 230 }).collect();
    let frame = LumaFrame::new(640, 480, luma).unwrap();

    let look = Decoder::new().decode(&frame, Instant::now() + Duration::from_millis(50));

    assert!(look.codes.is_empty());
}

#[test]
fn code_cut_off_by_frame_edge_gives_no_text() {
    let whole = picture(TEXT, CodePose { module: 9.0, ..CodePose::default() });
    let luma = whole.luma().chunks(640).flat_map(|row| &row[..330]).copied().collect();

    assert!(look(&LumaFrame::new(330, 480, luma).unwrap()).codes.is_empty());
}

#[test]
fn code_too_small_gives_hint_too_far() {
    let look = look(&picture(&TEXT.repeat(12), CodePose { module: 1.2, ..CodePose::default() }));

    assert!(look.codes.is_empty());
    assert_eq!(look.hint, Some(ScanHint::TooFar));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_picture_is_decoded_without_panic(width in 1u32..120, height in 1u32..120, seed in any::<u32>(), levels in 1u32..256) {
        let mut noise = NoiseRng(seed);
        let luma = (0..width * height).map(|_| (noise.next() % levels) as u8).collect();
        let frame = LumaFrame::new(width, height, luma).unwrap();

        prop_assert!(look(&frame).codes.is_empty());
    }
}
