// The sounds of a counter: a tone for each class, three when the target is reached.

const PLACE = "muted";
const LOWEST = 330; // Hz
const STEP = 2 ** (1 / 12); // a semitone
let context = null;

export const muted = () => localStorage.getItem(PLACE) !== null;

export function mute(quiet) {
  if (quiet) localStorage.setItem(PLACE, "yes");
  else localStorage.removeItem(PLACE);
}

/** Sound the tone of a class by its place among the classes; none if muted. */
export const click = (index) => tone(LOWEST * STEP ** index, 0, 0.09);

/** Three tones, one after the other: the target is reached. */
export function bell() {
  for (const [turn, pitch] of [660, 880, 1320].entries()) tone(pitch, 0.14 * turn, 0.13);
}

/** The low tone of a key that is taken back, or of one that counts nothing. */
export const low = () => tone(150, 0, 0.16);

function tone(pitch, after, seconds) {
  if (muted()) return;
  context ??= new AudioContext();
  const start = context.currentTime + after;
  const sound = context.createOscillator();
  const volume = context.createGain();
  sound.frequency.value = pitch;
  volume.gain.setValueAtTime(0.18, start);
  volume.gain.exponentialRampToValueAtTime(0.001, start + seconds);
  sound.connect(volume).connect(context.destination);
  sound.start(start);
  sound.stop(start + seconds);
}
