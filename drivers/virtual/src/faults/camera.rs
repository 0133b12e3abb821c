//! Faults of a camera: in its stream, and in its picture.

use super::{ALL, Device, Kind, STATE, Step};

const fn step(name: &'static str, title: &'static str, kinds: &'static [Kind]) -> Step {
    Step { device: Device::Camera, name, title, kinds }
}

/// The stream's header line. Flood: an endless line. Wrong answer: a picture size that the driver does not accept.
pub static HEADER: Step = step("header", "视频头", ALL);
/// The line before each frame. Wrong answer: a frame of another format.
pub static FRAME_LINE: Step = step("frame-line", "帧头", ALL);
/// The picture's bytes. Truncation: the next frame begins in the middle. Garbage: noise. Wrong answer: a new header
/// with another size in the middle of the stream. Delay: a frame every few seconds. Flood: frames without a pause.
pub static FRAME: Step = step("frame", "帧数据", ALL);
/// No further frames.
pub static STALLED: Step = step("camera-stalled", "摄像头卡住", STATE);
/// The lens is covered.
pub static DARK: Step = step("camera-dark", "镜头被挡住", STATE);
/// A lamp shines into the lens.
pub static GLARE: Step = step("camera-glare", "强光直射", STATE);
/// The same picture in all frames, as of a camera whose sensor has stopped.
pub static FROZEN: Step = step("camera-frozen", "画面定住", STATE);
/// A hundred codes in one picture.
pub static MANY_CODES: Step = step("camera-many-codes", "满屏都是码", STATE);

/// All steps and states.
pub static STEPS: &[&Step] = &[&HEADER, &FRAME_LINE, &FRAME, &STALLED, &DARK, &GLARE, &FROZEN, &MANY_CODES];
