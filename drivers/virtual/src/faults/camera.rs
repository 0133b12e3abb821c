//! What can go wrong at a camera: in its stream, and in what it sees.

use super::{ALL, Device, Kind, STATE, Step};

const fn step(name: &'static str, title: &'static str, kinds: &'static [Kind]) -> Step {
    Step { device: Device::Camera, name, title, kinds }
}

/// The stream's header line. A flood is a line without end, a wrong answer a picture of a size that nobody takes.
pub static HEADER: Step = step("header", "视频头", ALL);
/// The line before each frame. A wrong answer is a frame of another format.
pub static FRAME_LINE: Step = step("frame-line", "帧头", ALL);
/// The picture's bytes. Truncation: the next frame begins in the middle. Garbage: noise. A wrong answer: a new header
/// with another size in the middle of the stream. Delay: a frame every few seconds. Flood: frames without a pause.
pub static FRAME: Step = step("frame", "帧数据", ALL);
/// Frames stop coming.
pub static STALLED: Step = step("camera-stalled", "摄像头卡住", STATE);
/// The lens is covered.
pub static DARK: Step = step("camera-dark", "镜头被挡住", STATE);
/// A lamp shines into the lens.
pub static GLARE: Step = step("camera-glare", "强光直射", STATE);
/// The same picture for ever, as some cameras do when their sensor hangs.
pub static FROZEN: Step = step("camera-frozen", "画面定住", STATE);
/// A hundred codes in one picture.
pub static MANY_CODES: Step = step("camera-many-codes", "满屏都是码", STATE);

/// All of them.
pub static STEPS: &[&Step] = &[&HEADER, &FRAME_LINE, &FRAME, &STALLED, &DARK, &GLARE, &FROZEN, &MANY_CODES];
