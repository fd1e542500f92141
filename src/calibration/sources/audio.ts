/** Windows of WAV files as the samples of one input: float32, full scale ±1, channels mixed into one. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import wavefile from 'wavefile';
import { QuantcError } from '../../errors/error.js';
import { Tensor } from '../../ir/tensor.js';
import type { Dim } from '../../ir/type.js';
import type { RowSource } from '../rows.js';
import { listFiles } from './listing.js';
import type { AudioSpec } from './specs.js';

export const AUDIO_ENDINGS = ['.wav'];

/**
 * Opens a WAV file or all of a folder. Every file is read once, for its header and its length; of decoded files one is
 * kept at a time. Windows begin every `hop` samples as long as a whole one fits; a file shorter than a window is one
 * window, with silence behind it. Two channels or more become their mean.
 * @param shape of the model's input, if known: its last dimension is the length where none is declared, and a 1 before
 * it is a channel
 * @throws QuantcError E_DATA_READ, E_DATA_EMPTY, E_DATA_AUDIO for what is no sound WAV file, E_DATA_RATE for another
 * sample rate than declared, E_DATA_LENGTH where nothing says how long a window is
 */
export function openAudio(
  path: string,
  spec: AudioSpec,
  shape: readonly Dim[] | undefined,
  value: string,
): RowSource {
  const last = shape?.at(-1);
  const length = spec.length ?? (typeof last === 'number' && last > 0 ? last : undefined);
  if (length === undefined) {
    throw new QuantcError('E_DATA_LENGTH', 'neither the data nor the model says how long a window is', {
      place: { file: path, value },
      hint: 'Declare "length", in samples, in the audio of the data.json.',
    });
  }
  const hop = spec.hop ?? length;
  const names = listFiles(path, AUDIO_ENDINGS, 'WAV file');
  const windows: { name: string; start: number }[] = [];
  let finite = true;
  for (const name of names) {
    const wave = open(join(path, name));
    const { sampleRate } = wave.fmt as { sampleRate: number };
    if (sampleRate !== spec.sampleRate) {
      throw new QuantcError(
        'E_DATA_RATE',
        `${sampleRate} samples a second, where ${spec.sampleRate} are declared`,
        {
          place: { file: join(path, name), value },
          hint: 'Resample the file, or correct "sampleRate" in the data.json.',
        },
      );
    }
    finite &&= !FLOATS.has(wave.bitDepth);
    const frames = framesOf(wave);
    if (frames === 0) throw unsound(join(path, name), 'it holds no sound');
    const count = frames < length ? 1 : Math.floor((frames - length) / hop) + 1;
    for (let i = 0; i < count; i++) windows.push({ name, start: i * hop });
  }
  const row = shape?.length === 3 && shape[1] === 1 ? [1, length] : [length];
  let latest: { name: string; sound: Float32Array } | undefined;
  const soundOf = (name: string): Float32Array => {
    if (latest?.name !== name) latest = { name, sound: mono(open(join(path, name)), join(path, name)) };
    return latest.sound;
  };
  return {
    file: path,
    dtype: 'float',
    shape: [windows.length, ...row],
    finite,
    fileOf: (index) => windows[index]!.name,
    rows(start, count) {
      const data = new Float32Array(count * length);
      windows.slice(start, start + count).forEach(({ name, start: from }, i) => {
        data.set(soundOf(name).subarray(from, from + length), i * length);
      });
      return Tensor.of('float', [count, ...row], data);
    },
    hashRows(hash, count) {
      hash.update(JSON.stringify([length, hop, count]));
      const used = new Set(windows.slice(0, count).map(({ name }) => name));
      for (const name of used) hash.update(readFileSync(join(path, name)));
    },
  };
}

type Wave = InstanceType<typeof wavefile.WaveFile>;

const FLOATS: ReadonlySet<string> = new Set(['32f', '64']);
/** Compressed forms, by wavefile's code for them, with what unpacks each to 16 bits. */
const COMPRESSED: Readonly<Record<string, (wave: Wave) => void>> = {
  '8a': (wave) => wave.fromALaw(),
  '8m': (wave) => wave.fromMuLaw(),
  '4': (wave) => wave.fromIMAADPCM(),
};

function open(file: string): Wave {
  const wave = new wavefile.WaveFile();
  try {
    wave.fromBuffer(essentials(readFileSync(file)));
    const { chunkSize, samples } = wave.data as { chunkSize: number; samples: Uint8Array };
    if (samples.length < chunkSize) throw new Error('the file is cut short');
    const { numChannels, bitsPerSample } = wave.fmt as { numChannels: number; bitsPerSample: number };
    if (numChannels < 1 || bitsPerSample < 1 || bitsPerSample > 64) {
      throw new Error(`it says to have ${numChannels} channels of ${bitsPerSample} bits`);
    }
    COMPRESSED[wave.bitDepth]?.(wave);
  } catch (cause) {
    throw unsound(file, (cause as Error).message, cause);
  }
  return wave;
}

/** Chunks that say how the sound is stored, and the sound. */
const CHUNKS: ReadonlySet<string> = new Set(['fmt ', 'fact', 'ds64', 'data']);

/**
 * The file without chunks that are of no use here (cue points, tags and the like), whose damaged counts would keep the
 * reader busy for ever: each chunk is four letters, the number of its bytes, and these, filled up to an even number.
 */
function essentials(file: Buffer): Uint8Array {
  const bigEndian = file.toString('latin1', 0, 4) === 'RIFX';
  const parts = [file.subarray(0, 12)];
  for (let at = 12; at + 8 <= file.length; ) {
    const size = bigEndian ? file.readUInt32BE(at + 4) : file.readUInt32LE(at + 4);
    const end = at + 8 + size + (size % 2);
    if (CHUNKS.has(file.toString('latin1', at, at + 4))) parts.push(file.subarray(at, end));
    at = end;
  }
  return new Uint8Array(Buffer.concat(parts));
}

const unsound = (file: string, why: string, cause?: unknown): QuantcError =>
  new QuantcError('E_DATA_AUDIO', `the sound cannot be read: ${why}`, {
    place: { file },
    hint: 'Replace the file or take it out of the folder.',
    cause,
  });

function framesOf(wave: Wave): number {
  const { numChannels, bitsPerSample } = wave.fmt as { numChannels: number; bitsPerSample: number };
  const { samples } = wave.data as { samples: Uint8Array };
  return Math.floor(samples.length / (Math.ceil(bitsPerSample / 8) * numChannels));
}

/** The mean of all channels; integers are divided by their full scale, 8 bits being unsigned. */
function mono(wave: Wave, file: string): Float32Array {
  const { numChannels } = wave.fmt as { numChannels: number };
  const bits = Number.parseInt(wave.bitDepth, 10);
  const full = FLOATS.has(wave.bitDepth) ? 1 : 2 ** (bits - 1);
  const shift = bits === 8 ? 128 : 0;
  let interleaved: Float64Array;
  try {
    interleaved = wave.getSamples(true);
  } catch (cause) {
    throw unsound(file, (cause as Error).message, cause);
  }
  const out = new Float32Array(Math.floor(interleaved.length / numChannels));
  for (let i = 0; i < out.length; i++) {
    let sum = 0;
    for (let c = 0; c < numChannels; c++) sum += interleaved[i * numChannels + c]! - shift;
    out[i] = sum / (numChannels * full);
  }
  return out;
}
