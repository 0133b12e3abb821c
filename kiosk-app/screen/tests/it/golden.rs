//! Golden pictures: every sample × orientation × theme × language, drawn and compared.
//!
//! `UPDATE_GOLDEN=1` redraws them, `UPDATE_GOLDEN=missing` draws only those that do not exist yet. Differences are
//! written to `target/golden`, with a page that shows expected, drawn and difference side by side.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use i_slint_backend_testing::{TestingBackend, TestingBackendOptions};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{DynamicImage, ImageEncoder as _, RgbImage, RgbaImage, imageops};
use screen::Screen;
use view::{Lang, Theme};

use crate::samples;

/// Golden pictures are stored at half size: every character is still legible, and their total size stays small.
const SHRINK: u32 = 2;
/// Tolerances for fonts of another build: a channel may differ by `CHANNEL`, and `PIXELS_PER_MILLE` of 1,000 pixels by
/// more.
const CHANNEL: u8 = 48;
const PIXELS_PER_MILLE: usize = 3;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn draw(screen: &Screen, view: &view::View) -> RgbImage {
    screen.show(view);
    let buffer = screen.snapshot().unwrap();
    let (width, height) = (buffer.width(), buffer.height());
    let whole = RgbaImage::from_raw(width, height, buffer.as_bytes().to_vec()).unwrap();
    // `DynamicImage` is used because its methods are compiled, with optimisation, in their own crate; generic functions
    // would be compiled unoptimised here.
    let whole = DynamicImage::from(DynamicImage::from(whole).to_rgb8());
    whole.resize_exact(width / SHRINK, height / SHRINK, imageops::FilterType::Triangle).into_rgb8()
}

fn save(path: &Path, picture: &RgbImage) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = fs::File::create(path).unwrap();
    let encoder = PngEncoder::new_with_quality(file, CompressionType::Best, FilterType::Adaptive);
    encoder
        .write_image(picture.as_raw(), picture.width(), picture.height(), image::ExtendedColorType::Rgb8)
        .unwrap();
}

/// Number of differing pixels of 1,000, and a picture that marks them.
fn difference(expected: &RgbImage, drawn: &RgbImage) -> (usize, RgbImage) {
    if expected.dimensions() != drawn.dimensions() {
        return (1_000, drawn.clone());
    }
    if expected.as_raw() == drawn.as_raw() {
        return (0, RgbImage::default());
    }
    let mut differing = 0;
    let mut map = RgbImage::new(drawn.width(), drawn.height());
    for (x, y, pixel) in drawn.enumerate_pixels() {
        let other = expected.get_pixel(x, y);
        if pixel.0.iter().zip(other.0).any(|(a, b)| a.abs_diff(b) > CHANNEL) {
            differing += 1;
            map.put_pixel(x, y, image::Rgb([255, 0, 0]));
        }
    }
    (differing * 1_000 / (drawn.width() as usize * drawn.height() as usize).max(1), map)
}

#[test]
fn every_view_matches_its_golden_picture() {
    let backend = TestingBackend::new(TestingBackendOptions {
        mock_time: true,
        threading: false,
        renderer_name: Some("software".into()),
    });
    slint::platform::set_platform(Box::new(backend)).unwrap();
    let mode = std::env::var_os("UPDATE_GOLDEN");
    let (update, missing_only) = (mode.is_some(), mode.is_some_and(|mode| mode == "missing"));
    let out = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/golden");
    fs::remove_dir_all(&out).ok();
    let mut page =
        String::from("<!doctype html><meta charset=utf-8><title>golden</title><style>img{width:30%}</style>");
    let mut failed = Vec::new();
    let mut names = Vec::new();
    for (orientation, size) in samples::PANELS {
        let screen = Screen::new(Some(size)).unwrap();
        for (lang, language) in [(Lang::Zh, "zh"), (Lang::En, "en")] {
            for (theme, theme_name) in [(Theme::Standard, "standard"), (Theme::Elder, "elder")] {
                for (sample, view) in samples::all(lang, theme, size) {
                    let name = format!("{sample}-{orientation}-{theme_name}-{language}.png");
                    let path = directory().join(&name);
                    names.push(name.clone());
                    if missing_only && path.exists() {
                        continue;
                    }
                    let drawn = draw(&screen, &view);
                    if update {
                        save(&path, &drawn);
                        continue;
                    }
                    let expected = image::open(&path).map(|picture| picture.to_rgb8()).unwrap_or_default();
                    let (differing, map) = difference(&expected, &drawn);
                    if differing > PIXELS_PER_MILLE {
                        save(&out.join(format!("expected-{name}")), &expected);
                        save(&out.join(format!("drawn-{name}")), &drawn);
                        save(&out.join(format!("difference-{name}")), &map);
                        write!(
                            page,
                            "<h3>{name}: {differing} ‰</h3><img src=expected-{name}> <img src=drawn-{name}> \
                             <img src=difference-{name}>"
                        )
                        .unwrap();
                        failed.push(name);
                    }
                }
            }
        }
    }
    for entry in fs::read_dir(directory()).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        assert!(names.contains(&name), "golden picture {name} has no sample");
    }
    if !failed.is_empty() {
        fs::write(out.join("index.html"), page).unwrap();
    }
    assert!(failed.is_empty(), "{} views differ, see target/golden/index.html: {failed:?}", failed.len());
}
