/** Passes that work on integers in the graph, run behind those that put them there. */
import { expect } from 'chai';
import { openJudge } from '../../src/calibration/judge.js';
import { watch } from '../../src/calibration/watch.js';
import { type Engine, encodeModel, Ledger, type Pass, runPipeline, verify } from '../../src/index.js';
import { compareOutputs } from '../../src/runtime/compare.js';
import { createEngine } from '../../src/runtime/engine.js';
import { type ProductOptions, withProducts } from '../../src/runtime/products.js';
import { expectKept, type Options, type Quantized, quantized } from './quantizing.js';

export interface Refined {
  readonly plain: number;
  readonly refined: number;
  readonly notes: readonly string[];
  readonly declined: readonly string[];
  readonly bytes: Uint8Array;
}

/**
 * Runs passes behind the quantizing ones, and tells the likeness of the first output before and after, in dB.
 * @param blind without samples
 * @param products an engine for large matrices
 */
export async function refined(
  passes: readonly Pass[],
  text: string,
  options: Options = {},
  blind = false,
  products?: ProductOptions,
): Promise<Refined> {
  const made = await quantized(text, options);
  const likeness = async (): Promise<number> => {
    const [output] = await compareOutputs(encodeModel(made.before), encodeModel(made.after), made.data, {
      reference: { threads: 1 },
      candidate: { threads: 1 },
    });
    return output!.sqnr;
  };
  const plain = await likeness();
  const engine: Engine = {
    ...createEngine(),
    ...(!blind && { watch: (at, values, samples, see) => watch(at, values, made.data.first(samples), see) }),
    ...(products && { withProducts: (use) => withProducts(products, use) }),
    judge: (at) => openJudge(at, made.data, { threads: 1, byLikeness: true }),
  };
  const { facts } = made;
  const declined: string[] = [];
  const ledger = new Ledger();
  await runPipeline(made.after, passes, {
    engine,
    ledger,
    facts,
    verify: true,
    onPass: ({ declines }) => void declined.push(...declines),
  });
  expect(verify(made.after)).to.deep.equal([]);
  if (options.precision === undefined) await expectKept(made as Quantized, 0);
  return {
    plain,
    refined: await likeness(),
    notes: ledger.notes.map(({ message }) => message),
    declined,
    bytes: encodeModel(made.after),
  };
}
