//! Faults of a camera: in its stream, and in its picture.

use super::{ALL_KINDS, EmulatedDevice, FaultKind, ProtocolStep, STATE_ONLY};

const fn step(name: &'static str, title: &'static str, kinds: &'static [FaultKind]) -> ProtocolStep {
    ProtocolStep { device: EmulatedDevice::Camera, name, title, kinds }
}

/// The stream's header line. Flood: an endless line. Wrong answer: a picture size that the driver does not accept.
pub static HEADER: ProtocolStep = step("header", "视频头", ALL_KINDS);
/// The line before each frame. Wrong answer: a frame of another format.
pub static FRAME_LINE: ProtocolStep = step("frame-line", "帧头", ALL_KINDS);
/// The picture's bytes. Truncation: the next frame begins in the middle. Garbage: noise. Wrong answer: a new header
/// with another size in the middle of the stream. Delay: a frame every few seconds. Flood: frames without a pause.
pub static FRAME: ProtocolStep = step("frame", "帧数据", ALL_KINDS);
/// No further frames.
pub static STALLED: ProtocolStep = step("camera-stalled", "摄像头卡住", STATE_ONLY);
/// The lens is covered.
pub static DARK: ProtocolStep = step("camera-dark", "镜头被挡住", STATE_ONLY);
/// A lamp shines into the lens.
pub static GLARE: ProtocolStep = step("camera-glare", "强光直射", STATE_ONLY);
/// The same picture in all frames, as of a camera whose sensor has stopped.
pub static FROZEN: ProtocolStep = step("camera-frozen", "画面定住", STATE_ONLY);
/// A hundred codes in one picture.
pub static MANY_CODES: ProtocolStep = step("camera-many-codes", "满屏都是码", STATE_ONLY);

/// All steps and states.
pub static STEPS: &[&ProtocolStep] =
    &[&HEADER, &FRAME_LINE, &FRAME, &STALLED, &DARK, &GLARE, &FROZEN, &MANY_CODES];
