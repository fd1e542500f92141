/** One line of work in calibration: sessions of its own, which run samples one by one, and what was seen of them. */
import { QuantcError } from '../errors/error.js';
import type { Tensor as IrTensor } from '../ir/tensor.js';
import { Tensor } from '../ir/tensor.js';
import { HistogramKernel } from '../kernels/histogram.js';
import { releaseBuffers } from '../runtime/release.js';
import { openSession, type Session } from '../runtime/session.js';
import { type Histogram, HistogramObserver } from './histogram.js';
import { ExtremesObserver } from './observer.js';

/** A stage as plain data: a model that is encoded, and values by their keys. */
export interface PlainStage {
  readonly source: Uint8Array | string;
  /** Key of the value that an input takes, and the input's name. */
  readonly inputs: readonly (readonly [key: string, name: string])[];
  /** Place in the list of values to look at, and the output's name. */
  readonly looks: readonly (readonly [index: number, name: string])[];
  /** Key of the value that an output gives to later stages, and the output's name. */
  readonly gives: readonly (readonly [key: string, name: string])[];
  /** Keys that no later stage asks for. */
  readonly drops: readonly string[];
}

/** What a lane does, as plain data that another thread can be sent. */
export interface LaneJob {
  readonly stages: readonly PlainStage[];
  /** Names of the values to look at, for messages. */
  readonly names: readonly string[];
  /** Those of them that are fed: place in the list, and name of the feed. */
  readonly fed: readonly (readonly [index: number, name: string])[];
  /** Whether histograms are counted; extremes always are. */
  readonly counting: boolean;
}

type Feeds = Readonly<Record<string, IrTensor>>;

/** Gives back what was looked at and is neither in its place nor handed on. */
function letGo(stage: OpenStage, results: Feeds): void {
  const kept = new Set(stage.gives.map(([, name]) => name));
  const free = stage.looks.flatMap(([, name]) => {
    const { source } = results[name]!;
    const own = source.kind === 'memory' && stage.into?.get(name) !== results[name];
    return own && !kept.has(name) ? [source.bytes.buffer as ArrayBuffer] : [];
  });
  if (free.length > 0) releaseBuffers(free);
}

/** Arrays in one piece of WebAssembly memory end here. */
const ARENA_BYTES = 2 ** 31;

interface OpenStage extends Omit<PlainStage, 'source'> {
  readonly session: Session;
  /** Where outputs go in the next run, if it is fed shapes as the last one was. */
  into: Map<string, Tensor> | undefined;
  /** Shapes of the float outputs of the last run. */
  shapes: Map<string, readonly number[]>;
  /** Outputs whose shapes depend on what is fed, not on its shapes. */
  readonly varying: Set<string>;
}

/**
 * Runs samples, and keeps what observers keep. Results depend on the samples alone: sessions do not optimize, and have
 * one thread each. From the second run on outputs are written where the kernel looks at them, so that memory stays as
 * it is however many samples come.
 */
export class Lane {
  readonly #job: Pick<LaneJob, 'names' | 'fed'>;
  readonly #stages: OpenStage[] = [];
  readonly #kernel = new HistogramKernel();
  readonly #observers: (HistogramObserver | ExtremesObserver)[];
  #fedShapes = '';
  /** Bytes of each value in the run in which it was largest. */
  readonly bytes: Float64Array;

  private constructor({ names, fed, counting }: LaneJob) {
    this.#job = { names, fed };
    this.bytes = new Float64Array(names.length);
    this.#observers = names.map((name) =>
      counting ? new HistogramObserver(name, this.#kernel) : new ExtremesObserver(name, this.#kernel),
    );
  }

  /** @throws QuantcError as `openSession` does */
  static async open(job: LaneJob): Promise<Lane> {
    const lane = new Lane(job);
    try {
      for (const { source, ...stage } of job.stages) {
        const session = await openSession(source, { optimization: 'off', threads: 1 });
        lane.#stages.push({ ...stage, session, into: undefined, shapes: new Map(), varying: new Set() });
      }
    } catch (error) {
      await lane.close();
      throw error;
    }
    return lane;
  }

  /**
   * Runs the model once and looks at every value.
   * @returns least and greatest element of each value in this run, one after the other; infinite, the wrong way round,
   * where it had no element
   * @throws QuantcError E_CALIBRATION_NAN; errors of the session
   */
  async observe(feeds: Feeds): Promise<Float64Array> {
    const seen = new Float64Array(2 * this.#job.names.length);
    const look = (index: number, tensor: IrTensor): void => {
      this.bytes[index] = Math.max(this.bytes[index]!, tensor.byteLength);
      const range = this.#observers[index]!.observe(tensor.toFloat32());
      seen[2 * index] = range?.min ?? Number.POSITIVE_INFINITY;
      seen[2 * index + 1] = range?.max ?? Number.NEGATIVE_INFINITY;
    };
    const fedShapes = JSON.stringify(Object.entries(feeds).map(([name, { shape }]) => [name, shape]));
    const known = fedShapes === this.#fedShapes;
    for (const [index, name] of this.#job.fed) look(index, feeds[name]!);
    const live = new Map(Object.entries(feeds));
    for (const stage of this.#stages) {
      const wanted = Object.fromEntries(stage.inputs.map(([key, name]) => [name, live.get(key)!]));
      const results = await this.#run(stage, wanted, known);
      for (const [index, name] of stage.looks) look(index, results[name]!);
      for (const [key, name] of stage.gives) live.set(key, results[name]!);
      letGo(stage, results);
      for (const key of stage.drops) live.delete(key);
    }
    if (!known) this.#makeRoom();
    this.#fedShapes = fedShapes;
    return seen;
  }

  async #run(stage: OpenStage, feeds: Feeds, known: boolean): Promise<Record<string, IrTensor>> {
    const { session, into } = stage;
    if (known && into !== undefined) {
      try {
        return await session.run(feeds, undefined, into);
      } catch (error) {
        // Refused, perhaps, for a shape that is another one this time. If not, it fails again.
        if (!(error instanceof QuantcError && error.code === 'E_RUNTIME_RUN')) throw error;
      }
    }
    const results = await session.run(feeds);
    for (const [, name] of stage.looks) {
      const { shape, dtype } = results[name]!;
      const before = stage.shapes.get(name);
      if (known && before?.join() !== shape.join()) {
        stage.varying.add(name);
        into?.delete(name);
      }
      if (dtype === 'float') stage.shapes.set(name, shape);
    }
    return results;
  }

  /** Sets places apart for the outputs of every stage. Stages run one after the other and share the memory. */
  #makeRoom(): void {
    const lists = this.#stages.map((stage) => {
      const given = new Set(stage.gives.map(([, name]) => name));
      const placed = stage.looks
        .map(([, name]) => name)
        .filter((name) => stage.shapes.has(name) && !given.has(name) && !stage.varying.has(name));
      const lengths = placed.map((name) => stage.shapes.get(name)!.reduce((a, b) => a * b, 1));
      const bytes = 4 * lengths.reduce((a, b) => a + b, 0);
      return { stage, placed, lengths, bytes };
    });
    // The largest first: the memory does not move for the others.
    lists.sort((a, b) => b.bytes - a.bytes);
    for (const { stage, placed, lengths, bytes } of lists) {
      stage.into = undefined;
      if (bytes === 0 || bytes >= ARENA_BYTES) continue;
      const arrays = this.#kernel.arena(lengths);
      const filled = placed
        .map((name, i) => [name, arrays[i]!] as const)
        .filter(([, { length }]) => length > 0);
      stage.into = new Map(
        filled.map(([name, array]) => [name, Tensor.floats(array, stage.shapes.get(name)!)]),
      );
    }
  }

  /** Histograms by the place of their values; undefined where nothing was seen, or nothing was to be counted. */
  histograms(): (Histogram | undefined)[] {
    return this.#observers.map((observer) =>
      observer instanceof HistogramObserver && !observer.isEmpty ? observer.histogram() : undefined,
    );
  }

  async close(): Promise<void> {
    for (const { session } of this.#stages.splice(0)) await session.release();
  }
}
