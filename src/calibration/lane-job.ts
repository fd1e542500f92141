/** From values to look at to what lanes are told: stages, encoded, and values by keys. */
import { byteLengthOf } from '../ir/dtype.js';
import type { Model, Value } from '../ir/graph.js';
import { elementCount } from '../ir/type.js';
import { type Placed, place, sessionBytes } from '../runtime/place.js';
import type { LaneJob, PlainStage } from './lane.js';
import { type Stage, stagesOf } from './stages.js';

/** What a dimension that only the data tells is taken for when memory is estimated. */
const UNKNOWN_DIM = 64;

/** Bytes of a value for one sample; where the first axis is open, it counts samples. */
export function guessedBytes(value: Value): number {
  if (value.type?.kind !== 'tensor') return 0;
  const dims = value.shape ?? [null, UNKNOWN_DIM, UNKNOWN_DIM];
  const sizes = dims.map((dim, axis) => (typeof dim === 'number' ? dim : axis === 0 ? 1 : UNKNOWN_DIM));
  return byteLengthOf(value.type.dtype, elementCount(sizes));
}

/** A job, the stages that it consists of, and the bytes of their weights. */
export interface Planned {
  readonly job: LaneJob;
  readonly stages: readonly Stage[];
  readonly weights: number;
}

/**
 * Plans a job, hands it on, and takes its files away whatever happens.
 * @param values of the main graph, graph inputs among them
 * @param ceiling bytes of values that a stage may hold
 */
export async function withJob<T>(
  model: Model,
  values: readonly Value[],
  counting: boolean,
  ceiling: number,
  bytesOf: (value: Value) => number,
  use: (planned: Planned) => Promise<T>,
): Promise<T> {
  const made = values.filter((value) => !value.isInput);
  const stages = made.length === 0 ? [] : stagesOf(model, made, ceiling, bytesOf);
  const placed: Placed[] = [];
  try {
    for (const stage of stages) placed.push(await place(stage.model));
    const index = new Map(values.map((value, i) => [value, i]));
    const keys = new Map<Value, string>();
    // Feeds go by the names of the graph's inputs; what stages hand on by keys that no name can be.
    const keyOf = (value: Value): string => {
      if (value.isInput) return value.name;
      if (!keys.has(value)) keys.set(value, `\0${keys.size}`);
      return keys.get(value)!;
    };
    const plain = stages.map(
      (stage, i): PlainStage => ({
        source: placed[i]!.source,
        inputs: [...stage.inputs].map(([value, name]) => [keyOf(value), name]),
        looks: [...stage.outputs].flatMap(([value, name]) =>
          index.has(value) ? [[index.get(value)!, name] as const] : [],
        ),
        gives: [...stage.outputs].flatMap(([value, name]) =>
          stage.handsOn.has(value) ? [[keyOf(value), name] as const] : [],
        ),
        drops: [...stage.last].map(keyOf),
      }),
    );
    const fed = values.flatMap((value, i) => (value.isInput ? [[i, value.name] as const] : []));
    const job = { stages: plain, names: values.map((value) => value.name), fed, counting };
    return await use({
      job,
      stages,
      weights: stages.reduce((sum, { model: part }) => sum + sessionBytes(part), 0),
    });
  } finally {
    for (const { remove } of placed) remove?.();
  }
}
