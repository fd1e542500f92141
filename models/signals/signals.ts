/** Draws labelled signals: one of ten kinds of waves with noise and drift, as 8-bit samples. */
import type { SeededRandom } from '../../src/calibration/random.js';

/** Samples of a signal. */
export const LENGTH = 256;

/** Amplitude at time t from 0 to 1. */
type Wave = (t: number) => number;

const TURN = 2 * Math.PI;
const saw = (phase: number): number => 2 * (phase - Math.floor(phase)) - 1;

/** The kinds, each making a wave from its random draws. */
export const KINDS: readonly { readonly name: string; readonly make: (random: SeededRandom) => Wave }[] = [
  {
    name: 'sine',
    make: (random) => {
      const [f, p] = [random.between(4, 16), random.next()];
      return (t) => Math.sin(TURN * (f * t + p));
    },
  },
  {
    name: 'square',
    make: (random) => {
      const [f, p] = [random.between(4, 16), random.next()];
      return (t) => Math.sign(saw(f * t + p)) * 0.8;
    },
  },
  {
    name: 'saw',
    make: (random) => {
      const [f, p, slope] = [random.between(4, 16), random.next(), random.integer(2) * 2 - 1];
      return (t) => slope * saw(f * t + p);
    },
  },
  { name: 'rising chirp', make: (random) => chirp(random, 1) },
  { name: 'falling chirp', make: (random) => chirp(random, -1) },
  {
    name: 'beat',
    make: (random) => {
      const [f, p, g, q] = [random.between(8, 20), random.next(), random.between(1.5, 4), random.next()];
      return (t) => Math.sin(TURN * (f * t + p)) * (0.55 + 0.45 * Math.sin(TURN * (g * t + q)));
    },
  },
  {
    name: 'vibrato',
    make: (random) => {
      const [f, p, g, q] = [random.between(8, 18), random.next(), random.between(1.5, 4), random.next()];
      const depth = random.between(0.35, 0.7) * (f / g);
      return (t) => Math.sin(TURN * (f * t + p) + (depth * Math.sin(TURN * (g * t + q))) / 2);
    },
  },
  {
    name: 'pulses',
    make: (random) => {
      const [f, p, width] = [random.between(4, 12), random.next(), random.between(0.01, 0.025)];
      return (t) => {
        const phase = f * t + p - Math.round(f * t + p);
        return 1.8 * Math.exp(-0.5 * (phase / f / width) ** 2) - 0.4;
      };
    },
  },
  {
    name: 'decay',
    make: (random) => {
      const [f, p] = [random.between(8, 24), random.next()];
      const [start, rate] = [random.between(0, 0.4), random.between(4, 9)];
      return (t) => (t < start ? 0 : 1.3 * Math.exp(-rate * (t - start)) * Math.sin(TURN * (f * t + p)));
    },
  },
  {
    name: 'two tones',
    make: (random) => {
      const [f, p] = [random.between(4, 9), random.next()];
      const [g, q] = [f * random.between(2.2, 3.6), random.next()];
      return (t) => 0.6 * Math.sin(TURN * (f * t + p)) + 0.6 * Math.sin(TURN * (g * t + q));
    },
  },
];

/** A tone whose frequency grows, or falls, by a factor of 2 to 4 over the signal. */
function chirp(random: SeededRandom, direction: 1 | -1): Wave {
  const [low, ratio, p] = [random.between(4, 9), random.between(2, 4), random.next()];
  const [from, to] = direction === 1 ? [low, low * ratio] : [low * ratio, low];
  return (t) => Math.sin(TURN * (from * t + ((to - from) * t * t) / 2 + p));
}

/** Draws one signal of a kind: 0 stands for −2, 255 for nearly 2. */
export function drawSignal(kind: number, random: SeededRandom): Uint8Array {
  const wave = KINDS[kind]!.make(random);
  const gain = random.between(0.6, 1.1);
  const [drift, bend, turn] = [random.between(-0.3, 0.3), random.between(-0.5, 0.5), random.next()];
  const noise = random.between(0.05, 0.35);
  return Uint8Array.from({ length: LENGTH }, (_, i) => {
    const t = i / LENGTH;
    const value = gain * wave(t) + drift + bend * Math.sin(Math.PI * (t + turn)) + noise * random.normal();
    return Math.max(0, Math.min(255, Math.round(128 + 64 * value)));
  });
}

/** Signals with their kinds, the kinds in random order. */
export function drawSignals(
  count: number,
  random: SeededRandom,
): { samples: Uint8Array; labels: Int32Array } {
  const samples = new Uint8Array(count * LENGTH);
  const labels = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    labels[i] = random.integer(KINDS.length);
    samples.set(drawSignal(labels[i]!, random), i * LENGTH);
  }
  return { samples, labels };
}
