//! The bytes that are sent to the printer.

use printer::{
    Picture, PrintFailure, PrintOutcome, PrintableReceipt, PrinterProfile, QR_MAX, RECEIPT_BLOCKS_MAX,
    RECEIPT_CELLS_MAX, ReceiptBlock, ReceiptCell, ReceiptPrinter, TEXT_MAX, TextAlign, TextSize, TextStyle,
};
use proptest::prelude::*;

use crate::scripted_printer::{ScriptedLink, water_bill};

/// The bytes of one receipt, from its `ESC @` up to the barrier.
pub(crate) fn bytes_of(receipt: &PrintableReceipt, profile: &str) -> Vec<u8> {
    let link = ScriptedLink::new();
    let mut printer = ReceiptPrinter::open(Box::new(link.clone()), PrinterProfile::by_name(profile).unwrap());
    let outcome = printer.print(receipt, &mut |_| {});
    assert!(matches!(outcome, PrintOutcome::Printed { .. }), "{outcome:?}");
    let taken = link.state().received_since(0);
    let start = taken.windows(4).position(|window| window == b"\x1B@\x1C&").unwrap();
    // It ends with two barriers of three bytes.
    taken[start..taken.len() - 6].to_vec()
}

fn refusal(receipt: &PrintableReceipt) -> PrintOutcome {
    ReceiptPrinter::open(Box::new(ScriptedLink::new()), PrinterProfile::by_name("generic-80").unwrap())
        .print(receipt, &mut |_| {})
}

pub(crate) fn receipt_of(blocks: Vec<ReceiptBlock>) -> PrintableReceipt {
    PrintableReceipt { blocks, copy_mark: None }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Expected bytes from the command references, with Chinese in GB 18030 from the code tables.
#[test]
fn chinese_receipt_matches_command_reference_bytes() {
    let expected: Vec<u8> = [
        b"\x1B@\x1C&".as_slice(),
        // 水费缴纳凭条, centred, bold, double size
        b"\x1Ba\x01\x1BE\x01\x1D!\x11\xCB\xAE\xB7\xD1\xBD\xC9\xC4\xC9\xC6\xBE\xCC\xF5\n\x1D!\x00\x1BE\x00\x1Ba\x00",
        b"------------------------------------------------\n",
        // 户号, 36 spaces
        b"\xBB\xA7\xBA\xC5                                    10023345\n",
        // 户名, 39 spaces, 张*三
        b"\xBB\xA7\xC3\xFB                                       \xD5\xC5*\xC8\xFD\n",
        // 渝中区人民路一号
        b"\xD3\xE5\xD6\xD0\xC7\xF8\xC8\xCB\xC3\xF1\xC2\xB7\xD2\xBB\xBA\xC5\n",
        // 实缴, 13 spaces, ¥ in full width, 86.40
        b"\x1BE\x01\x1D!\x11\xCA\xB5\xBD\xC9             \xA3\xA486.40\n\x1D!\x00\x1BE\x00",
        // QR: model 2, 8 dots a module, level M, store 30 bytes, print
        b"\x1Ba\x01\x1D(k\x04\x001A2\x00\x1D(k\x03\x001C\x08\x1D(k\x03\x001E1",
        b"\x1D(k\x21\x001P0https://example.invalid/r/8F2K\x1D(k\x03\x001Q0\n\x1Ba\x00",
        // 请妥善保管
        b"\x1Ba\x01\x1BE\x01\xC7\xEB\xCD\xD7\xC9\xC6\xB1\xA3\xB9\xDC\n\x1BE\x00\x1Ba\x00",
        b"\n\n",
        b"\x1DVB\x00",
    ]
    .concat();

    let bytes = bytes_of(&water_bill(), "generic-80");

    assert_eq!(bytes.escape_ascii().to_string(), expected.escape_ascii().to_string());
}

#[test]
fn styles_columns_barcode_and_cut_match_reference_bytes() {
    let cell = |text: &str, columns, align| ReceiptCell { text: text.into(), columns, align };
    let receipt = receipt_of(vec![
        ReceiptBlock::Text {
            text: "A1".into(),
            style: TextStyle { underline: true, size: TextSize::Tall, bold: false },
            align: TextAlign::Right,
        },
        ReceiptBlock::Columns(vec![cell("水", 0, TextAlign::Left), cell("2", 3, TextAlign::Right)]),
        ReceiptBlock::Barcode("1604".into()),
        ReceiptBlock::Cut,
        ReceiptBlock::Image(Picture::new(8, vec![0x81]).unwrap()),
    ]);
    let mut row = [0; 72];
    row[35..37].copy_from_slice(&[0x08, 0x10]);
    let expected: Vec<u8> = [
        b"\x1B@\x1C&".as_slice(),
        b"\x1Ba\x02\x1B-\x01\x1C-\x01\x1D!\x01A1\n\x1D!\x00\x1B-\x00\x1C-\x00\x1Ba\x00",
        b"\xCB\xAE",
        &[b' '; 45],
        b"2\n",
        b"\x1Ba\x01\x1Dh\x50\x1Dw\x03\x1Df\x00\x1DH\x02\x1DkI\x07{C\x10{B04\n\x1Ba\x00",
        b"\x1DVB\x00",
        b"\x1Dv0\x00\x48\x00\x01\x00",
        &row,
        b"\x1DVB\x00",
    ]
    .concat();

    let bytes = bytes_of(&receipt, "generic-80");

    assert_eq!(bytes.escape_ascii().to_string(), expected.escape_ascii().to_string());
}

#[test]
fn copy_mark_is_large_at_head_and_foot() {
    let receipt = PrintableReceipt {
        blocks: vec![ReceiptBlock::Line("x".into())],
        copy_mark: Some("补打 第2次".into()),
    };
    // ** 补打 第2次 **
    let mark = b"\x1D!\x11** \xB2\xB9\xB4\xF2 \xB5\xDA2\xB4\xCE **\n";

    let bytes = bytes_of(&receipt, "generic-80");

    let places: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(mark)).collect();
    let body = bytes.windows(2).position(|window| window == b"x\n").unwrap();
    assert_eq!(places.len(), 2);
    assert!(places[0] < body && body < places[1]);
}

#[test]
fn printer_without_qr_and_cutter_gets_raster_and_feed() {
    let bytes = bytes_of(&water_bill(), "generic-58");

    assert!(contains(&bytes, b"\x1Dv0\x00\x30\x00\x18\x00"), "bands of 48 bytes by 24 rows");
    assert!(!contains(&bytes, b"\x1D(k") && !contains(&bytes, b"\x1DV"));
    assert!(bytes.ends_with(b"\n\n\n\n"));
}

#[test]
fn character_outside_printer_font_is_rasterised() {
    let with_rare_name =
        receipt_of(vec![ReceiptBlock::Pair { label: "姓名".into(), value: "𠮷*".into() }]);

    let bytes = bytes_of(&with_rare_name, "generic-80");

    let (head, band) = bytes.split_at(bytes.windows(4).position(|window| window == b"\x1Dv0\x00").unwrap());
    assert_eq!(head, b"\x1B@\x1C&", "the whole line must be rasterised, without a part as text");
    // The first band: 72 bytes by 24 rows. 姓 stands at the left edge, the name at the right one.
    let picture = &band[8..8 + 72 * 24];
    let dots = |columns: std::ops::Range<usize>| -> u32 {
        picture.chunks(72).flat_map(|row| &row[columns.clone()]).map(|byte| byte.count_ones()).sum()
    };
    assert!(dots(0..3) > 50 && dots(66..72) > 50, "ink where the text is: {} {}", dots(0..3), dots(66..72));
    assert_eq!(dots(8..64), 0, "no ink between");
}

#[test]
fn receipt_beyond_limits_is_unprintable() {
    let unprintable = PrintOutcome::NotStarted(PrintFailure::Unprintable);

    assert_eq!(refusal(&receipt_of(vec![ReceiptBlock::Rule; RECEIPT_BLOCKS_MAX + 1])), unprintable);
    assert_eq!(refusal(&receipt_of(vec![ReceiptBlock::Line("字".repeat(TEXT_MAX + 1))])), unprintable);
    assert_eq!(refusal(&receipt_of(vec![ReceiptBlock::Qr("x".repeat(QR_MAX + 1))])), unprintable);
    assert_eq!(refusal(&receipt_of(vec![ReceiptBlock::Barcode("凭条".into())])), unprintable);
    let cell = ReceiptCell { text: "x".into(), columns: 1, align: TextAlign::Left };
    assert_eq!(
        refusal(&receipt_of(vec![ReceiptBlock::Columns(vec![cell; RECEIPT_CELLS_MAX + 1])])),
        unprintable
    );
    assert_eq!(
        refusal(&receipt_of(vec![ReceiptBlock::Image(Picture::new(577, vec![0; 73]).unwrap())])),
        unprintable
    );
    assert_eq!(refusal(&receipt_of(vec![ReceiptBlock::Qr("a\u{10}\u{4}\u{1}".into())])), unprintable);
}

/// A block of one kind from arbitrary texts. Blocks have no `Debug`, so proptest generates their parts.
fn block((kind, first, second, code): (u8, String, String, String)) -> ReceiptBlock {
    let cell = |text: &str, columns: u8| ReceiptCell { text: text.into(), columns, align: TextAlign::Right };
    match kind % 13 {
        0 => ReceiptBlock::Title(first),
        1 => ReceiptBlock::Line(first),
        2 => ReceiptBlock::Notice(first),
        3 => ReceiptBlock::Pair { label: first, value: second },
        4 => ReceiptBlock::Amount { label: first, value: second },
        5 => ReceiptBlock::Rule,
        6 => ReceiptBlock::Feed(kind),
        7 => ReceiptBlock::Text {
            text: first,
            style: TextStyle { bold: true, underline: true, size: TextSize::Wide },
            align: TextAlign::Right,
        },
        8 => ReceiptBlock::Columns(vec![cell(&first, 0), cell(&second, kind % 30), cell("1", 3)]),
        9 => ReceiptBlock::Barcode(code.bytes().take(10).map(|byte| char::from(b'0' + byte % 10)).collect()),
        10 => ReceiptBlock::Image(
            Picture::new(
                80,
                [b"\x10\x04\x10\x05\x10\x14\x10\x10\x04\x10", code.as_bytes()]
                    .concat()
                    .chunks_exact(10)
                    .flatten()
                    .copied()
                    .collect(),
            )
            .unwrap(),
        ),
        11 => ReceiptBlock::Cut,
        _ => ReceiptBlock::Qr(code),
    }
}

const TEXT: &str = "[\u{0}-\u{7f}一-龥，。¥]{0,40}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn text_never_becomes_real_time_command(
        parts in proptest::collection::vec((any::<u8>(), TEXT, TEXT, "[ -~]{1,120}"), 0..8),
        narrow in any::<bool>(),
    ) {
        let receipt = receipt_of(parts.into_iter().map(block).collect());

        let bytes = bytes_of(&receipt, if narrow { "generic-58" } else { "generic-80" });

        prop_assert!(!bytes.windows(2).any(|pair| matches!(pair, [0x10, 0x04 | 0x05 | 0x14])));
    }
}
