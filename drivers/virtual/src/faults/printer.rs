//! Faults of a receipt printer: at each status request, in the middle of a receipt, and at its end.

use super::{ALL, Device, Kind, ONE_BYTE, STATE, Step};

const fn step(name: &'static str, title: &'static str, kinds: &'static [Kind]) -> Step {
    Step { device: Device::Printer, name, title, kinds }
}

/// `DLE EOT 1`: printer status.
pub static STATUS: Step = step("status", "查状态", ONE_BYTE);
/// `DLE EOT 2`: offline cause.
pub static OFFLINE_CAUSE: Step = step("offline-cause", "查脱机原因", ONE_BYTE);
/// `DLE EOT 3`: error cause.
pub static ERROR_CAUSE: Step = step("error-cause", "查故障原因", ONE_BYTE);
/// `DLE EOT 4`: paper sensors.
pub static PAPER_SENSOR: Step = step("paper-sensor", "查纸", ONE_BYTE);
/// `DLE DC4` 8: clear the buffer. The answer is a block of three bytes.
pub static CLEAR: Step = step("clear", "清缓冲", ALL);
/// The receipt's text. Silence: the printer accepts no further bytes. Delay: it accepts them slowly. Truncation: it
/// loses some. Garbage and flood: unsolicited bytes. Wrong answer: an automatic status that contradicts the requested
/// one.
pub static BODY: Step = step("body", "收正文", ALL);
/// `GS ( k`: printing a QR code.
pub static QR: Step =
    step("qr", "打二维码", &[Kind::Silence, Kind::Garbage, Kind::Disconnection, Kind::Delay]);
/// `GS v 0`: printing a raster image. Truncation: the printer takes the bytes after the image for image data.
pub static RASTER: Step = step(
    "raster",
    "打图",
    &[Kind::Silence, Kind::Garbage, Kind::Truncation, Kind::Disconnection, Kind::Delay],
);
/// `GS V`: the cut. Silence: the printer stops during the cut. Wrong answer: it reports a jammed cutter.
pub static CUT: Step =
    step("cut", "切纸", &[Kind::Silence, Kind::Disconnection, Kind::Delay, Kind::WrongAnswer]);
/// `GS r 1`: the print barrier by status request.
pub static FENCE: Step = step("fence", "打完确认", ONE_BYTE);
/// `GS ( H`: the print barrier by process id, which the printer echoes.
pub static PROCESS_ID: Step = step("process-id", "打完回号", ALL);
/// No paper. 缺纸.
pub static PAPER_OUT: Step = step("paper-out", "打印机缺纸", STATE);
/// The roll ends in the middle of a receipt.
pub static PAPER_ENDS: Step = step("paper-ends", "打印到一半缺纸", STATE);
/// The cover is open.
pub static COVER_OPEN: Step = step("cover-open", "打印机开盖", STATE);
/// The printer discards all bytes and answers nothing.
pub static MUTE: Step = step("printer-mute", "打印机不应答", STATE);
/// The printer loses power for a moment in the middle of a receipt, and with it its buffer.
pub static POWER_DIP: Step = step("printer-power-dip", "打印中途掉电又来电", STATE);

/// All steps and states.
pub static STEPS: &[&Step] = &[
    &STATUS,
    &OFFLINE_CAUSE,
    &ERROR_CAUSE,
    &PAPER_SENSOR,
    &CLEAR,
    &BODY,
    &QR,
    &RASTER,
    &CUT,
    &FENCE,
    &PROCESS_ID,
    &PAPER_OUT,
    &PAPER_ENDS,
    &COVER_OPEN,
    &MUTE,
    &POWER_DIP,
];
