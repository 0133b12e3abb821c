// Scan (扫一扫): the phone's camera reads a kiosk's screen. Of each picture only the text of a code is used; no picture is
// stored.

/** Interval between analysed frames, and their width in pixels: a kiosk's code has few, large modules. */
const EVERY_MS = 160, WIDTH = 640;

/** Texts for the phone's owner: why the camera shows no picture, and what to do. */
const WORDS = {
  NotAllowedError: "没有打开摄像头。请在浏览器里允许使用摄像头，再点一次“扫一扫”，或到柜台办理。",
  NotFoundError: "这部手机没有可用的摄像头。请到柜台办理。",
};
const OTHERWISE = "摄像头打不开。请关掉其他正在用摄像头的程序，再试一次，或到柜台办理。";

/** The camera stream, and how often it was stopped: a start that was pending at a stop is dropped. */
let stream, timer, ended = 0;

/** Stops the camera, also one that is still starting. */
export function stop(video) {
  ended++;
  clearTimeout(timer);
  stream?.getTracks().forEach(track => track.stop());
  stream = undefined;
  video.srcObject = null;
}

/** Shows the camera in `video` and passes each code to `seen` until that returns true. Throws a text for the owner. */
export async function start(video, seen) {
  stop(video);
  const wanted = ended;
  // Ninety kilobytes that only scanning needs; cached by the service worker like the other files.
  const { decodeQR } = await import("./vendor/qrread.js");
  if (ended !== wanted) return;
  if (!navigator.mediaDevices) throw "这个浏览器用不了摄像头。请到柜台办理。";
  let opened;
  try {
    opened = await navigator.mediaDevices.getUserMedia(
      { audio: false, video: { facingMode: { ideal: "environment" }, width: { ideal: 1280 } } });
  } catch (error) {
    if (ended !== wanted) return;
    throw WORDS[error.name] ?? OTHERWISE;
  }
  if (ended !== wanted) return opened.getTracks().forEach(track => track.stop());
  stream = opened;
  video.srcObject = opened;
  await video.play().catch(() => {});
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const look = () => {
    if (stream !== opened) return;
    if (video.videoWidth) {
      canvas.width = Math.min(WIDTH, video.videoWidth);
      canvas.height = Math.round(video.videoHeight * canvas.width / video.videoWidth);
      context.drawImage(video, 0, 0, canvas.width, canvas.height);
      let text;
      try {
        text = decodeQR(context.getImageData(0, 0, canvas.width, canvas.height));
      } catch {
        // Most frames hold no code.
      }
      if (text !== undefined && seen(text)) return stop(video);
    }
    timer = setTimeout(look, EVERY_MS);
  };
  look();
}
