/**
 * Throws mutated and truncated models at the decoder: `npx tsx test/fuzz-decode.ts --count 100000 --seed 1`. Each must
 * end in a coded error or in a model that can be written and read again; anything else is printed with what remakes it,
 * and the exit code is 1. The same seed does the same, whatever the machine.
 */
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { encodeModel, QuantcError, verify } from '../src/index.js';
import { ExternalFolder } from '../src/onnx/external-data.js';
import { readMessageFromFile } from '../src/onnx/file-read.js';
import { decodeModelProto } from '../src/onnx/model-proto.js';
import { decodeModel } from '../src/onnx/read.js';
import { fieldsOf, int, join as joinBytes, part, type RawField, varint } from './onnx/proto.js';
import { richModel } from './onnx/rich-model.js';
import { sharedPath } from './shared.js';

/** No input of some kilobytes may take longer than this, or make the heap grow by more. */
const SLOW_MS = 2000;
const HEAVY_BYTES = 512 << 20;

export interface FuzzResult {
  /** How many inputs ended how: `model`, or the code of an error. */
  readonly outcomes: Map<string, number>;
  /** Inputs that ended in any other way. */
  readonly failures: string[];
  readonly slowestMs: number;
}

/** A small generator of pseudo-random numbers (xorshift32); fuzzing must be repeatable. */
function randomOf(seed: number): (below: number) => number {
  let state = (seed * 2654435761) >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % below;
  };
}

/** Models to start from: our own that uses everything, and small ones of the operator suite where it is there. */
function seeds(): Uint8Array[] {
  const models = [richModel(), externalModel()];
  const suite = sharedPath('onnx-suite');
  if (suite === undefined) return models;
  for (const name of readdirSync(suite).sort()) {
    const path = join(suite, name, 'model.onnx');
    if (existsSync(path) && statSync(path).size < 8192) models.push(Uint8Array.from(readFileSync(path)));
  }
  return models;
}

/** One tensor in another file. */
function externalModel(): Uint8Array {
  const entries = { location: 'data.bin', offset: '64', length: '8' };
  const tensor = [int(1, 2), int(2, 1), part(8, 'w')];
  for (const [key, value] of Object.entries(entries)) tensor.push(part(13, [part(1, key), part(2, value)]));
  return joinBytes(int(1, 9), part(7, [part(5, [...tensor, int(14, 1)]), part(12, [part(1, 'w')])]));
}

/** Numbers that have broken readers before, as varints. */
const NASTY = [
  [0],
  [0x7f],
  [0xff, 0xff, 0xff, 0xff, 0x07],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0x80, 0x80, 0x80, 0x80, 0x10],
];

type Random = (below: number) => number;
type Mutation = (bytes: Uint8Array, random: Random, other: Uint8Array) => Uint8Array;

const splice = (bytes: Uint8Array, at: number, drop: number, insert: ArrayLike<number>): Uint8Array => {
  const made = new Uint8Array(bytes.length - drop + insert.length);
  made.set(bytes.subarray(0, at));
  made.set(insert, at);
  made.set(bytes.subarray(at + drop), at + insert.length);
  return made;
};

const MUTATIONS: readonly Mutation[] = [
  function flipBit(bytes, random) {
    const made = bytes.slice();
    made[random(made.length)]! ^= 1 << random(8);
    return made;
  },
  function setByte(bytes, random) {
    const made = bytes.slice();
    made[random(made.length)] = random(256);
    return made;
  },
  function truncate(bytes, random) {
    return bytes.slice(0, random(bytes.length));
  },
  function dropRun(bytes, random) {
    const at = random(bytes.length);
    return splice(bytes, at, Math.min(1 + random(16), bytes.length - at), []);
  },
  function repeatRun(bytes, random) {
    const at = random(bytes.length);
    return splice(bytes, at, 0, bytes.subarray(at, at + 1 + random(64)));
  },
  function insertNasty(bytes, random) {
    return splice(bytes, random(bytes.length), random(2), NASTY[random(NASTY.length)]!);
  },
  function graft(bytes, random, other) {
    const from = random(other.length);
    return splice(bytes, random(bytes.length), 0, other.subarray(from, from + 1 + random(200)));
  },
  function swapRuns(bytes, random) {
    const size = 1 + random(12);
    if (bytes.length < 2 * size + 2) return bytes.slice();
    const made = bytes.slice();
    const [a, b] = [random(bytes.length - size), random(bytes.length - size)];
    made.set(bytes.subarray(a, a + size), b);
    made.set(bytes.subarray(b, b + size), a);
    return made;
  },
];

/** Changes one field somewhere in the tree of messages; all lengths around it stay right. */
function mutateField(bytes: Uint8Array, random: Random, other: Uint8Array): Uint8Array {
  const fields = fieldsOf(bytes);
  if (fields === undefined || fields.length === 0) {
    if (bytes.length === 0) return Uint8Array.from([random(256)]);
    // Names stay text, mostly: anything else ends at once, as what is no UTF-8.
    if (random(4) > 0 && bytes.every((byte) => byte > 31 && byte < 127)) {
      return random(2)
        ? bytes.subarray(random(bytes.length))
        : bytes.map((byte) => (random(4) ? byte : byte ^ 1));
    }
    return MUTATIONS[random(MUTATIONS.length)]!(bytes, random, other);
  }
  const at = random(fields.length);
  const field = fields[at]!;
  const pieces = fields.map(written);
  const into = field.wire === 2 && random(8) > 0;
  if (into) pieces[at] = written({ ...field, bytes: mutateField(field.bytes, random, other) });
  else {
    switch (random(6)) {
      case 0:
        pieces.splice(at, 1);
        break;
      case 1:
        pieces.splice(random(pieces.length), 0, pieces[at]!);
        break;
      case 2:
        pieces[at] = written({ ...field, number: 1 + random(30) });
        break;
      case 3:
        pieces[at] = written({
          number: field.number,
          wire: 0,
          bytes: Uint8Array.from(NASTY[random(NASTY.length)]!),
        });
        break;
      case 4: {
        const donors = fieldsOf(other);
        if (donors?.length) pieces[at] = written({ ...donors[random(donors.length)]!, number: field.number });
        break;
      }
      default:
        pieces.push(pieces.splice(at, 1)[0]!);
    }
  }
  return joinBytes(...pieces);
}

const written = ({ number, wire, bytes }: RawField): Uint8Array =>
  wire === 2
    ? joinBytes(varint(number * 8 + 2), varint(bytes.length), bytes)
    : joinBytes(varint(number * 8 + wire), bytes);

/** Runs `count` inputs. `onProgress` is told how many are done, now and then. */
export function fuzz(count: number, seed: number, onProgress?: (done: number) => void): FuzzResult {
  const random = randomOf(seed);
  const starts = seeds();
  const folder = mkdtempSync(join(tmpdir(), 'quantc-fuzz-'));
  const file = join(folder, 'model.onnx');
  writeFileSync(join(folder, 'data.bin'), new Uint8Array(72));
  const outcomes = new Map<string, number>();
  const failures: string[] = [];
  let slowestMs = 0;
  for (let index = 0; index < count; index++) {
    // Our own two come first in the list, and hold what the suite's lack: they are worth more turns.
    let bytes = starts[random(random(6) === 0 ? 2 : starts.length)]!;
    for (let times = 1 + random(3) * random(2); times > 0 && bytes.length > 0; times--) {
      const other = starts[random(starts.length)]!;
      // Blind damage is nearly always caught at once; damage to single fields reaches what lies behind.
      const mutate = random(4) > 0 ? mutateField : MUTATIONS[random(MUTATIONS.length)]!;
      bytes = mutate(bytes, random, other);
    }
    const heap = process.memoryUsage().arrayBuffers;
    const start = performance.now();
    let outcome: string;
    try {
      outcome = tryOut(bytes, file);
      if (index % 10 === 0) compareWalk(bytes, file, outcome);
    } catch (error) {
      outcome = 'FAILURE';
      failures.push(`input ${index}: ${(error as Error).stack}`);
    }
    const took = performance.now() - start;
    slowestMs = Math.max(slowestMs, took);
    if (took > SLOW_MS) failures.push(`input ${index}: took ${Math.round(took)} ms`);
    if (process.memoryUsage().arrayBuffers - heap > HEAVY_BYTES)
      failures.push(`input ${index}: took much memory`);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    if (index % 1000 === 0) onProgress?.(index);
  }
  rmSync(folder, { recursive: true });
  return { outcomes, failures, slowestMs };
}

/** Decodes, and where that works encodes, decodes and encodes again: the second time nothing may change any more. */
function tryOut(bytes: Uint8Array, file: string): string {
  let model: ReturnType<typeof decodeModel>;
  try {
    model = decodeModel(bytes, { file });
  } catch (error) {
    if (!(error instanceof QuantcError) || error.kind === 'fault') throw error;
    return error.code;
  }
  // A mutation may leave a graph that breaks ONNX's rules: then the verifier says so, and must not stumble.
  const problems = verify(model);
  const once = encodeModel(model);
  const twice = encodeModel(decodeModel(once, { file }));
  if (Buffer.compare(once, twice) !== 0) throw new Error('what was written reads as something else');
  return problems.length === 0 ? 'model' : `model, verifier: ${problems[0]!.code}`;
}

/** Reading the same bytes from a file, in small steps, must come to the same. */
function compareWalk(bytes: Uint8Array, file: string, outcome: string): void {
  writeFileSync(file, bytes);
  const handle = openSync(file, 'r');
  let encoded: Uint8Array;
  try {
    const record = readMessageFromFile('ModelProto', handle, file, bytes.length, { range: 16, whole: 32 });
    encoded = encodeModel(decodeModelProto(record, new ExternalFolder(dirname(file))));
  } catch (error) {
    if (!(error instanceof QuantcError) || error.kind === 'fault') throw error;
    // Of two errors either may be met first; bulk data in pieces is read from memory alone.
    if (!outcome.startsWith('model') || error.message.includes('more than one large piece')) return;
    throw error;
  } finally {
    closeSync(handle);
  }
  if (!outcome.startsWith('model')) throw new Error(`${outcome} in memory, but a model when walked`);
  if (Buffer.compare(encoded, encodeModel(decodeModel(bytes, { file }))) !== 0) {
    throw new Error('walked, it reads as something else');
  }
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: { count: { type: 'string', default: '100000' }, seed: { type: 'string', default: '1' } },
  });
  const start = performance.now();
  const { outcomes, failures, slowestMs } = fuzz(Number(values.count), Number(values.seed), (done) => {
    if (process.stderr.isTTY) process.stderr.write(`\r${done}`);
  });
  for (const [outcome, number] of [...outcomes].sort((a, b) => b[1] - a[1])) {
    console.log(`${String(number).padStart(8)}  ${outcome}`);
  }
  const seconds = (performance.now() - start) / 1000;
  console.log(
    `${values.count} inputs, seed ${values.seed}: ${seconds.toFixed(1)} s, slowest ${slowestMs.toFixed(1)} ms`,
  );
  console.log(`${failures.length} failures`);
  for (const failure of failures.slice(0, 20)) console.log(failure);
  if (failures.length > 0) process.exitCode = 1;
}
