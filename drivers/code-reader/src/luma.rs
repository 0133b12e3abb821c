//! Converts the pixel formats of cameras to luma. Sizes come from the driver and data from the device, so each is
//! checked against the other.

use std::io::Cursor;

use image::{ImageFormat, ImageReader, Limits};

use crate::frame::{LumaFrame, SIDE_MAX};

/// Pixel format of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelFormat {
    /// Y U Y V, two bytes per pixel.
    Yuyv,
    /// A plane of Y, then an interleaved plane of U and V.
    Nv12,
    /// One byte per pixel.
    Gray,
    /// R G B, three bytes per pixel.
    Rgb,
    /// B G R, three bytes per pixel.
    Bgr,
    /// A JPEG picture; bytes after its end are ignored.
    Mjpeg,
}

/// Extracts the luma of a picture. `None` if there are too few bytes or they are not in this format. Excess bytes are
/// ignored: a capture buffer is as long as the longest frame.
#[must_use]
pub fn unpack(packing: PixelFormat, width: u32, height: u32, data: &[u8]) -> Option<LumaFrame> {
    let pixels = width.checked_mul(height)? as usize;
    let luma = match packing {
        PixelFormat::Yuyv => data.get(..pixels.checked_mul(2)?)?.iter().copied().step_by(2).collect(),
        PixelFormat::Nv12 | PixelFormat::Gray => data.get(..pixels)?.to_vec(),
        PixelFormat::Rgb => weighted_luma(data.get(..pixels.checked_mul(3)?)?, [77, 150, 29]),
        PixelFormat::Bgr => weighted_luma(data.get(..pixels.checked_mul(3)?)?, [29, 150, 77]),
        PixelFormat::Mjpeg => return decode_jpeg(data),
    };
    LumaFrame::new(width, height, luma)
}

/// Luma of three-byte pixels, with the weights of BT.601 in 256ths.
fn weighted_luma(data: &[u8], weights: [u32; 3]) -> Vec<u8> {
    data.chunks_exact(3)
        .map(|pixel| {
            let sum: u32 =
                pixel.iter().zip(weights).map(|(&sample, weight)| u32::from(sample) * weight).sum();
            u8::try_from(sum / 256).unwrap_or(u8::MAX)
        })
        .collect()
}

fn decode_jpeg(data: &[u8]) -> Option<LumaFrame> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    let mut reader = ImageReader::with_format(Cursor::new(data), ImageFormat::Jpeg);
    reader.limits(limits);
    let picture = reader.decode().ok()?.into_luma8();
    LumaFrame::new(picture.width(), picture.height(), picture.into_raw())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_pixel_format_yields_its_luma() {
        for (packing, data, expected) in [
            (PixelFormat::Yuyv, vec![1, 128, 2, 128], vec![1, 2]),
            (PixelFormat::Nv12, vec![1, 2, 128, 128], vec![1, 2]),
            (PixelFormat::Gray, vec![1, 2], vec![1, 2]),
            (PixelFormat::Rgb, vec![255, 255, 255, 255, 0, 0], vec![255, 76]),
            (PixelFormat::Bgr, vec![255, 255, 255, 0, 0, 255], vec![255, 76]),
        ] {
            assert_eq!(unpack(packing, 2, 1, &data).unwrap().luma(), expected, "{packing:?}");
        }
    }

    #[test]
    fn short_buffer_is_refused() {
        for (packing, needed) in
            [(PixelFormat::Yuyv, 8), (PixelFormat::Nv12, 4), (PixelFormat::Gray, 4), (PixelFormat::Rgb, 12)]
        {
            assert!(unpack(packing, 2, 2, &vec![0; needed]).is_some(), "{packing:?}");
            assert!(unpack(packing, 2, 2, &vec![0; needed - 1]).is_none(), "{packing:?}");
        }
    }

    fn jpeg() -> Vec<u8> {
        let mut bytes = Vec::new();
        let picture = image::GrayImage::from_fn(64, 48, |x, _| image::Luma([if x < 32 { 0 } else { 255 }]));
        picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Jpeg).unwrap();
        bytes
    }

    #[test]
    fn jpeg_with_trailing_bytes_is_decoded() {
        let mut bytes = jpeg();
        bytes.extend([0xAA; 1000]);

        let frame = unpack(PixelFormat::Mjpeg, 64, 48, &bytes).unwrap();

        assert_eq!((frame.width(), frame.height()), (64, 48));
        assert!(frame.luma()[4] < 40 && frame.luma()[60] > 215);
    }

    #[test]
    fn truncated_jpeg_does_not_panic() {
        let bytes = jpeg();
        for end in 0..bytes.len() {
            let _ = unpack(PixelFormat::Mjpeg, 64, 48, &bytes[..end]);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_unpacked_without_panic(data in proptest::collection::vec(any::<u8>(), 0..300), width in any::<u32>(), height in 0u32..20) {
            for packing in [PixelFormat::Yuyv, PixelFormat::Nv12, PixelFormat::Gray, PixelFormat::Rgb, PixelFormat::Bgr, PixelFormat::Mjpeg] {
                let _ = unpack(packing, width, height, &data);
            }
        }
    }
}
