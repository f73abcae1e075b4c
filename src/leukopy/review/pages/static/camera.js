// The live camera of a microscope: takes cells, or the whole image, into a case.

import { complain, element, find } from "./dom.js";
import { counted, t } from "./text.js";

const BEST = { width: { ideal: 4096 }, height: { ideal: 2160 } }; // px; the camera gives what it has

let stream = null;
let taken = []; // pictures that are not in the case yet: their files, and their kind (cells or fields)
let centre = { x: 0.5, y: 0.5 }; // of the frame of a cell, as shares of the image
let give = () => {};

const video = () => find("camera-video");
const kind = () => document.querySelector("input[name=camera-kind]:checked").value;

/** Wire the buttons; `take(files, kind)` puts pictures of cells or of fields into the case. */
export function wireCamera(take) {
  give = take;
  for (const button of document.querySelectorAll("button.camera")) button.addEventListener("click", begin);
  const dialog = find("camera-dialog");
  find("camera-device").addEventListener("change", (event) => start(event.target.value));
  find("camera-take").addEventListener("click", takePicture);
  find("camera-add").addEventListener("click", add);
  find("camera-discard").addEventListener("click", () => keep([]));
  find("camera-close").addEventListener("click", () => (taken.length ? complain(t("camera.kept")) : dialog.close()));
  dialog.addEventListener("cancel", (event) => {
    if (!taken.length) return;
    event.preventDefault();
    complain(t("camera.kept"));
  });
  dialog.addEventListener("close", stop);
  dialog.addEventListener("keydown", (event) => {
    if (event.key !== " " || event.target.closest("button, input, select")) return;
    event.preventDefault();
    takePicture();
  });
  find("camera-side").addEventListener("input", frame);
  for (const choice of document.querySelectorAll("input[name=camera-kind]")) choice.addEventListener("change", frame);
  video().addEventListener("click", (event) => {
    const box = video().getBoundingClientRect();
    centre = { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
    frame();
    if (kind() === "cell") takePicture();
  });
  new ResizeObserver(frame).observe(video());
  addEventListener("beforeunload", (event) => {
    if (taken.length) event.preventDefault();
  });
}

async function begin() {
  find("camera-dialog").showModal();
  await start("");
}

/** Show a camera; a sentence says why there is none. */
async function start(device) {
  stop();
  wrong("");
  if (!navigator.mediaDevices) return wrong(t("camera.insecure"));
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { ...BEST, ...(device ? { deviceId: { exact: device } } : {}) } });
  } catch (error) {
    return wrong(t(error.name === "NotAllowedError" ? "camera.refused" : "camera.none"));
  }
  video().srcObject = stream;
  await video().play();
  find("camera-take").disabled = false;
  const all = (await navigator.mediaDevices.enumerateDevices()).filter((one) => one.kind === "videoinput");
  find("camera-device").replaceChildren(...all.map((one, at) =>
    element("option", { value: one.deviceId }, one.label || t("camera.number", { number: at + 1 }))));
  find("camera-device").value = stream.getVideoTracks()[0].getSettings().deviceId ?? "";
  find("camera-side").max = Math.min(video().videoWidth, video().videoHeight);
  frame();
}

function stop() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  video().srcObject = null;
  find("camera-take").disabled = true;
}

function wrong(words) {
  find("camera-wrong").hidden = words === "";
  find("camera-wrong").textContent = words;
}

/** The square of a cell in pixels of the image, wholly inside it. */
function square() {
  const { videoWidth: width, videoHeight: height } = video();
  const side = Math.min(Number(find("camera-side").value), width, height);
  const place = (share, length) => Math.round(Math.min(Math.max(share * length - side / 2, 0), length - side));
  return { side, x: place(centre.x, width), y: place(centre.y, height) };
}

/** Draw the frame of the cell over the image. */
function frame() {
  const shown = find("camera-frame");
  shown.hidden = kind() !== "cell" || stream === null;
  if (shown.hidden || !video().videoWidth) return;
  const scale = video().clientWidth / video().videoWidth;
  const { side, x, y } = square();
  for (const [name, value] of [["--x", x], ["--y", y], ["--side", side]]) shown.style.setProperty(name, `${value * scale}px`);
}

async function takePicture() {
  if (stream === null || !video().videoWidth) return;
  const canvas = document.createElement("canvas");
  const whole = kind() === "whole";
  const { side, x, y } = whole ? { side: 0, x: 0, y: 0 } : square();
  canvas.width = whole ? video().videoWidth : side;
  canvas.height = whole ? video().videoHeight : side;
  canvas.getContext("2d").drawImage(video(), x, y, canvas.width, canvas.height, 0, 0, canvas.width, canvas.height);
  const data = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  const at = new Date().toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "-");
  const file = new File([data], `camera-${at}-${taken.length + 1}.png`, { type: "image/png" });
  keep([...taken, { file, kind: whole ? "fields" : "cells" }]);
}

/** Show the pictures that wait to be added. */
function keep(pictures) {
  taken = pictures;
  for (const image of find("camera-tray").querySelectorAll("img")) URL.revokeObjectURL(image.src);
  find("camera-tray").replaceChildren(...taken.map((picture, at) =>
    element("li", {}, element("img", { src: URL.createObjectURL(picture.file), alt: picture.file.name }),
      element("button", { type: "button", class: "plain small", "aria-label": t("camera.remove", { number: at + 1 }),
        onclick: () => keep(taken.filter((one) => one !== picture)) }, "×"))));
  find("camera-count").textContent = taken.length ? counted("camera.taken", taken.length) : "";
  find("camera-add").disabled = find("camera-discard").hidden = taken.length === 0;
}

async function add() {
  const byKind = Map.groupBy(taken, (picture) => picture.kind);
  keep([]);
  find("camera-dialog").close();
  for (const [kind, pictures] of byKind) await give(pictures.map((picture) => picture.file), kind);
}
