import { expect } from 'chai';
import { castsDirectly } from '../../passes/merge-casts.js';
import {
  addGraphOutput,
  addInput,
  createNode,
  type DType,
  dtypeFacts,
  Graph,
  Model,
  Tensor,
  tensorType,
} from '../../src/index.js';
import { withSession } from '../../src/runtime/session.js';

const DTYPES: readonly DType[] = [
  'bool',
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'float16',
  'float',
  'double',
];

/** The ends of the range, what lies about them, and what does not fit into narrower dtypes. */
function samples(dtype: DType): Tensor {
  const { kind, bits, array } = dtypeFacts(dtype);
  if (kind === 'bool') return Tensor.of(dtype, [2], Uint8Array.of(0, 1));
  if (dtype === 'float16') {
    // 0, 1, −1, 0.333, 65504, −2.5, 300, the smallest normal and subnormal.
    const patterns = [0, 0x3c00, 0xbc00, 0x3555, 0x7bff, 0xc100, 0x5cb0, 0x0400, 0x0001];
    return Tensor.of(dtype, [patterns.length], Uint16Array.from(patterns));
  }
  if (kind === 'float') {
    const numbers = [0, 1, -1, 1 / 3, 100.5, -2.5, 300, 16777217, 1e-7, -126.75];
    return Tensor.of(dtype, [numbers.length], new array(Float64Array.from(numbers) as never));
  }
  const high = (1n << BigInt(kind === 'int' ? bits - 1 : bits)) - 1n;
  const low = kind === 'int' ? -high - 1n : 0n;
  const numbers = [0n, 1n, high, high - 1n, low, low + 1n, high / 3n, high / 200n];
  const data = bits === 64 ? new array(numbers as never) : new array(numbers.map(Number) as never);
  return Tensor.of(dtype, [numbers.length], data);
}

describe('merge-casts', () => {
  for (const from of DTYPES) {
    it(`joins casts of ${from} only where ONNX Runtime gives the same`, async () => {
      const graph = new Graph('casts');
      const input = addInput(graph, 'x', tensorType(from, ['N']));
      const pairs: [string, string, string][] = [];
      const cast = (value: typeof input, to: DType, name: string) => {
        const node = createNode(
          { endOf: graph },
          {
            opType: 'Cast',
            inputs: [value],
            attributes: { to: dtypeFacts(to).code },
            outputs: [{ name, type: tensorType(to, ['N']) }],
          },
        );
        // As an output of the model, so that ONNX Runtime does not join the casts itself.
        addGraphOutput(graph, node.outputs[0]!);
        return node.outputs[0]!;
      };
      const direct = new Map(DTYPES.map((to) => [to, cast(input, to, `direct ${to}`)]));
      for (const through of DTYPES) {
        for (const to of DTYPES) {
          if (through === to || through === from || !castsDirectly(from, through, to)) continue;
          const detour = cast(direct.get(through)!, to, `${through} then ${to}`);
          pairs.push([`${from} → ${through} → ${to}`, direct.get(to)!.name, detour.name]);
        }
      }
      expect(pairs.length).to.be.above(from === 'double' || from.endsWith('64') ? -1 : 5);
      if (pairs.length === 0) return;
      const model = new Model(graph, { irVersion: 10, opsets: new Map([['', 21]]) });
      const found = await withSession(model, { optimization: 'off', threads: 1 }, (session) =>
        session.run({ x: samples(from) }),
      );
      const unequal = pairs.filter(([, a, b]) => Buffer.compare(found[a]!.bytes(), found[b]!.bytes()) !== 0);
      const told = unequal.map(
        ([way, a, b]) => `${way}: ${found[a]!.toNumbers()} and ${found[b]!.toNumbers()}`,
      );
      expect(told).to.deep.equal([]);
    });
  }
});
