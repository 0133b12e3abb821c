//! Golden pictures of receipts, drawn by the printer emulator, which shares no code with this driver.
//!
//! `UPDATE_GOLDEN=1` writes them anew. ZBar reads every code on them.

use std::fs;
use std::path::PathBuf;

use emulator::roll::{WIDTH_58_MM_DOTS, WIDTH_80_MM_DOTS};
use printer::{Picture, PrintableReceipt, ReceiptBlock, ReceiptCell, TextAlign, TextSize, TextStyle};

use crate::encoding::bytes_of;
use crate::oracles::read_codes;

fn payment(copy_mark: Option<&str>) -> PrintableReceipt {
    let pair = |label: &str, value: &str| ReceiptBlock::Pair { label: label.into(), value: value.into() };
    PrintableReceipt {
        blocks: vec![
            ReceiptBlock::Title("水费缴纳凭条".into()),
            ReceiptBlock::Rule,
            pair("账期", "2026年10月"),
            pair("收费单位", "重庆市自来水有限公司合川分公司龙溪营业所"),
            pair("户名", "李*䶮"),
            ReceiptBlock::Rule,
            ReceiptBlock::Amount { label: "合计".into(), value: "¥86.40".into() },
            pair("付款方式", "社会保障卡账户"),
            pair("凭条号", "0012 3456 7890 1234"),
            pair("时间", "2026-11-23 10:20:31"),
            pair("地点", "渝北区政务服务大厅"),
            ReceiptBlock::Line("凭此号码可在手机上查看，请妥善保管。".into()),
            ReceiptBlock::Qr("http://platform.invalid/r/0012345678901234".into()),
        ],
        copy_mark: copy_mark.map(str::to_owned),
    }
}

/// Every kind of block.
fn everything() -> PrintableReceipt {
    let cell = |text: &str, columns, align| ReceiptCell { text: text.into(), columns, align };
    let row = |name: &str, count: &str, sum: &str| {
        ReceiptBlock::Columns(vec![
            cell(name, 0, TextAlign::Left),
            cell(count, 4, TextAlign::Right),
            cell(sum, 9, TextAlign::Right),
        ])
    };
    let text = |text: &str, size, align| ReceiptBlock::Text {
        text: text.into(),
        style: TextStyle { size, underline: size != TextSize::Normal, bold: false },
        align,
    };
    // A ring.
    let dots = (0..64_i32 * 64).map(|at| {
        let (x, y) = (at % 64 - 32, at / 64 - 32);
        (24 * 24..30 * 30).contains(&(x * x + y * y))
    });
    let bits: Vec<bool> = dots.collect();
    let bytes =
        bits.chunks(8).map(|eight| eight.iter().fold(0, |byte, dot| byte << 1 | u8::from(*dot))).collect();
    PrintableReceipt {
        blocks: vec![
            ReceiptBlock::Title("综合凭条".into()),
            ReceiptBlock::Image(Picture::new(64, bytes).unwrap()),
            row("项目", "数量", "金额"),
            row("城镇居民生活用水第一阶梯水量", "12", "42.00"),
            row("污水处理费", "12", "12.00"),
            row("𠮷田村垃圾处置费", "1", "8.00"),
            ReceiptBlock::Rule,
            text("普通 Normal", TextSize::Normal, TextAlign::Left),
            text("高字 Tall", TextSize::Tall, TextAlign::Center),
            text("宽字 Wide", TextSize::Wide, TextAlign::Right),
            text("大字㛃 Large", TextSize::Large, TextAlign::Center),
            ReceiptBlock::Notice("请妥善保管".into()),
            ReceiptBlock::Barcode("0012345678901604".into()),
            ReceiptBlock::Feed(1),
            ReceiptBlock::Cut,
            ReceiptBlock::Line("存根".into()),
            ReceiptBlock::Qr("https://example.invalid/v/YB2026112300031716041605?c=7F3A".into()),
            ReceiptBlock::Barcode("K-DH-0001".into()),
        ],
        copy_mark: None,
    }
}

/// Draws a receipt, compares it with its golden picture, and returns every code that ZBar reads on it.
fn drawn(name: &str, receipt: &PrintableReceipt, profile: &str, width: u32) -> Vec<String> {
    let pieces = emulator::printer::render_printouts(&bytes_of(receipt, profile), width).unwrap();
    let mut codes = Vec::new();
    for (number, piece) in (1..).zip(&pieces) {
        codes.extend(read_codes(&piece.png));
        let path =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}-{number}.png"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &piece.png).unwrap();
        }
        let golden = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let picture = |png: &[u8]| image::load_from_memory(png).unwrap().to_luma8();
        if picture(&golden) != picture(&piece.png) {
            let seen = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{number}.png"));
            fs::write(&seen, &piece.png).unwrap();
            panic!("{} differs from {}", seen.display(), path.display());
        }
    }
    codes.sort();
    codes
}

#[test]
fn payment_receipt_matches_golden_on_both_papers() {
    let code = ["QR-Code:http://platform.invalid/r/0012345678901234"];

    assert_eq!(drawn("payment-80", &payment(None), "generic-80", WIDTH_80_MM_DOTS), code);
    assert_eq!(drawn("payment-58", &payment(None), "generic-58", WIDTH_58_MM_DOTS), code);
}

#[test]
fn copy_mark_is_printed_at_head_and_foot() {
    drawn("copy-80", &payment(Some("补打 第1次")), "generic-80", WIDTH_80_MM_DOTS);
    drawn("copy-58", &payment(Some("补打 第1次")), "generic-58", WIDTH_58_MM_DOTS);
}

#[test]
fn all_blocks_match_golden_and_codes_are_readable() {
    let codes = [
        "CODE-128:0012345678901604",
        "CODE-128:K-DH-0001",
        "QR-Code:https://example.invalid/v/YB2026112300031716041605?c=7F3A",
    ];

    assert_eq!(drawn("everything-80", &everything(), "generic-80", WIDTH_80_MM_DOTS), codes);
    assert_eq!(drawn("everything-58", &everything(), "generic-58", WIDTH_58_MM_DOTS), codes);
}
