/** Scales every free channel of a model written as text by numbers drawn at random, and compares all outputs. */
import { expect } from 'chai';
import { ChannelGraph } from '../../../passes/channels/graph.js';
import { rescale } from '../../../passes/channels/rescale.js';
import { cloneModel, encodeModel, type Model, parseModel, verify } from '../../../src/index.js';
import { compareOutputs } from '../../../src/runtime/compare.js';
import { inferTypes } from '../../../src/runtime/types.js';
import { filledTensor } from '../../../src/text/fill.js';
import { memoryData } from '../../calibration/memory-data.js';

export interface Scaled {
  readonly before: Model;
  readonly after: Model;
  /** Names of the values that are scaled now. */
  readonly values: readonly string[];
  /** Free variables. */
  readonly free: number;
}

/** Factors between 1/4 and 4 by a law of their own, no two alike. */
const factorOf = (variable: number): number => 4 ** Math.sin(variable * 12.9898);

/** Scales all that is free. */
export async function scaled(text: string): Promise<Scaled> {
  const model = parseModel(text);
  await inferTypes(model);
  const before = cloneModel(model).model;
  const channels = new ChannelGraph(model.graph);
  const free = channels.spaces().flatMap(({ variables }) => variables);
  const values = rescale(
    model.graph,
    channels,
    new Map(free.map((variable) => [variable, factorOf(variable)])),
  );
  expect(verify(model)).to.deep.equal([]);
  return { before, after: model, values: [...values].map(({ name }) => name), free: free.length };
}

/** Every output of the scaled model is the original's, up to rounding. */
export async function expectSame({ before, after }: Scaled, batch = 2): Promise<void> {
  const data = memoryData(
    Object.fromEntries(
      before.graph.inputs.map(({ name, shape, dtype }, at) => {
        const dims = [2, ...shape!.map((dim) => (typeof dim === 'number' ? dim : batch))];
        return [name, filledTensor(dtype!, dims, `normal:${70 + at}`, name)!];
      }),
    ),
    { stacked: true },
  );
  const session = { threads: 1, optimization: 'off' } as const;
  const compared = await compareOutputs(encodeModel(before), encodeModel(after), data, {
    reference: session,
    candidate: session,
  });
  for (const { name, sqnr, identical, maxError } of compared) {
    expect(identical ? Number.POSITIVE_INFINITY : sqnr, `SQNR of ${name}`).to.be.above(110);
    expect(maxError, name).to.be.below(1e-3);
  }
}
