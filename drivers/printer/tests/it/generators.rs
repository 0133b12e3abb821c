//! Compares the bytes of this driver with those of python-escpos, an independent implementation.

use printer::{Picture, ReceiptBlock};

use crate::encoding::{bytes_of, receipt_of};
use crate::oracles::python;

/// The commands with this prefix, each with the length that its length field gives.
fn functions_of(bytes: &[u8], begin: &[u8]) -> Vec<Vec<u8>> {
    let starts = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(begin));
    starts
        .map(|at| bytes[at..at + 5 + usize::from(bytes[at + 3]) + 256 * usize::from(bytes[at + 4])].to_vec())
        .collect()
}

#[test]
fn qr_code_functions_match_python_escpos() {
    let content = "https://example.invalid/r/8F2K";
    let ours =
        functions_of(&bytes_of(&receipt_of(vec![ReceiptBlock::Qr(content.into())]), "generic-80"), b"\x1D(k");
    let size = ours.iter().find(|function| function[6] == 0x43).unwrap()[7];

    let theirs = python(&format!(
        "from escpos.printer import Dummy\nd = Dummy()\n\
         d.qr('{content}', native=True, size={size}, ec=1, model=2)\nout.write(d.output)"
    ));

    let sorted = |mut functions: Vec<Vec<u8>>| {
        functions.sort();
        functions
    };
    assert_eq!(ours.len(), 5);
    assert_eq!(sorted(ours), sorted(functions_of(&theirs, b"\x1D(k")));
}

#[test]
fn picture_dots_match_python_escpos() {
    // 576 × 50 dots of a pattern without DLE, so that no real-time command has to be broken.
    let bits: Vec<u8> = (0..72 * 50).map(|at| (at % 251) as u8 | 0x21).collect();
    let picture = Picture::new(576, bits.clone()).unwrap();
    let ours = bytes_of(&receipt_of(vec![ReceiptBlock::Image(picture)]), "generic-80");

    let theirs = python(&format!(
        "from PIL import Image\nfrom escpos.printer import Dummy\n\
         i = Image.frombytes('1', (576, 50), bytes(b ^ 255 for b in bytes.fromhex('{}')))\n\
         d = Dummy()\nd.image(i, impl='bitImageRaster', center=False)\nout.write(d.output)",
        base16ct::lower::encode_string(&bits)
    ));

    assert_eq!(dots(&ours), bits);
    assert_eq!(dots(&theirs), bits);
}

/// The dots of every `GS v 0`, joined.
fn dots(bytes: &[u8]) -> Vec<u8> {
    let mut dots = Vec::new();
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(4).position(|window| window == b"\x1Dv0\x00") {
        let size = &bytes[at + found + 4..at + found + 8];
        let length = (usize::from(size[0]) + 256 * usize::from(size[1]))
            * (usize::from(size[2]) + 256 * usize::from(size[3]));
        dots.extend(&bytes[at + found + 8..at + found + 8 + length]);
        at += found + 8 + length;
    }
    dots
}

#[test]
fn cut_and_barcode_bytes_match_python_escpos() {
    let ours = bytes_of(&receipt_of(vec![ReceiptBlock::Barcode("K-DH{0001".into())]), "generic-80");

    let theirs = python(
        "from escpos.printer import Dummy\nd = Dummy()\n\
         d.barcode('{BK-DH{{0001', 'CODE128', function_type='B', check=False)\n\
         d.cut(mode='PART', feed=False)\nout.write(d.output)",
    );

    let bars = |bytes: &[u8]| {
        let at = bytes.windows(3).position(|window| window == b"\x1DkI").unwrap();
        bytes[at..at + 4 + usize::from(bytes[at + 3])].to_vec()
    };
    assert_eq!(bars(&ours), bars(&theirs));
    assert!(ours.ends_with(b"\x1DVB\x00") && theirs.ends_with(b"\x1DVB\x00"));
}
