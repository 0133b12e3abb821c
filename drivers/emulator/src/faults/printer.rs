//! Faults of a receipt printer: at each status request, in the middle of a receipt, and at its end.

use super::{ALL_KINDS, EmulatedDevice, FaultKind, ONE_BYTE_KINDS, ProtocolStep, STATE_ONLY};

const fn step(name: &'static str, title: &'static str, kinds: &'static [FaultKind]) -> ProtocolStep {
    ProtocolStep { device: EmulatedDevice::Printer, name, title, kinds }
}

/// `DLE EOT 1`: printer status.
pub static STATUS: ProtocolStep = step("status", "查状态", ONE_BYTE_KINDS);
/// `DLE EOT 2`: offline cause.
pub static OFFLINE_CAUSE: ProtocolStep = step("offline-cause", "查脱机原因", ONE_BYTE_KINDS);
/// `DLE EOT 3`: error cause.
pub static ERROR_CAUSE: ProtocolStep = step("error-cause", "查故障原因", ONE_BYTE_KINDS);
/// `DLE EOT 4`: paper sensors.
pub static PAPER_SENSOR: ProtocolStep = step("paper-sensor", "查纸", ONE_BYTE_KINDS);
/// `DLE DC4` 8: clear the buffer. The answer is a block of three bytes.
pub static CLEAR: ProtocolStep = step("clear", "清缓冲", ALL_KINDS);
/// The receipt's text. Silence: the printer accepts no further bytes. Delay: it accepts them slowly. Truncation: it
/// loses some. Garbage and flood: unsolicited bytes. Wrong answer: an automatic status that contradicts the requested
/// one.
pub static BODY: ProtocolStep = step("body", "收正文", ALL_KINDS);
/// `GS ( k`: printing a QR code.
pub static QR: ProtocolStep = step(
    "qr",
    "打二维码",
    &[FaultKind::Silence, FaultKind::Garbage, FaultKind::Disconnection, FaultKind::Delay],
);
/// `GS v 0`: printing a raster image. Truncation: the printer takes the bytes after the image for image data.
pub static RASTER: ProtocolStep = step(
    "raster",
    "打图",
    &[
        FaultKind::Silence,
        FaultKind::Garbage,
        FaultKind::Truncation,
        FaultKind::Disconnection,
        FaultKind::Delay,
    ],
);
/// `GS V`: the cut. Silence: the printer stops during the cut. Wrong answer: it reports a jammed cutter.
pub static CUT: ProtocolStep = step(
    "cut",
    "切纸",
    &[FaultKind::Silence, FaultKind::Disconnection, FaultKind::Delay, FaultKind::WrongAnswer],
);
/// `GS r 1`: the print barrier by status request.
pub static BARRIER: ProtocolStep = step("fence", "打完确认", ONE_BYTE_KINDS);
/// `GS ( H`: the print barrier by process id, which the printer echoes.
pub static PROCESS_ID: ProtocolStep = step("process-id", "打完回号", ALL_KINDS);
/// No paper. 缺纸.
pub static PAPER_OUT: ProtocolStep = step("paper-out", "打印机缺纸", STATE_ONLY);
/// The roll ends in the middle of a receipt.
pub static PAPER_ENDS: ProtocolStep = step("paper-ends", "打印到一半缺纸", STATE_ONLY);
/// The cover is open.
pub static COVER_OPEN: ProtocolStep = step("cover-open", "打印机开盖", STATE_ONLY);
/// The printer discards all bytes and answers nothing.
pub static UNRESPONSIVE: ProtocolStep = step("printer-mute", "打印机不应答", STATE_ONLY);
/// The printer loses power for a moment in the middle of a receipt, and with it its buffer.
pub static POWER_DIP: ProtocolStep = step("printer-power-dip", "打印中途掉电又来电", STATE_ONLY);

/// All steps and states.
pub static STEPS: &[&ProtocolStep] = &[
    &STATUS,
    &OFFLINE_CAUSE,
    &ERROR_CAUSE,
    &PAPER_SENSOR,
    &CLEAR,
    &BODY,
    &QR,
    &RASTER,
    &CUT,
    &BARRIER,
    &PROCESS_ID,
    &PAPER_OUT,
    &PAPER_ENDS,
    &COVER_OPEN,
    &UNRESPONSIVE,
    &POWER_DIP,
];
