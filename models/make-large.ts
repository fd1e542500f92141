/**
 * Makes a large float model with external data, for measuring time and memory: decoder layers (attention with one head,
 * then an MLP) whose weights are drawn from a seeded generator, written tensor by tensor. Equal arguments give equal
 * bytes.
 *
 *   npx tsx models/make-large.ts <folder> [megabytes=1024] [width=2048]
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildGraph, type GraphParts, type NodeParts } from '../src/ir/build.js';
import { Model } from '../src/ir/graph.js';
import { Tensor } from '../src/ir/tensor.js';
import { tensorType } from '../src/ir/type.js';
import { writeModel } from '../src/onnx/write.js';

/**
 * A model of `layers` decoder layers of the given width; a layer holds 12 · width² weights. Input `x` is
 * float[batch, sequence, width]. Nothing is drawn until the weights are asked for.
 */
export function largeModel(layers: number, width: number): Model {
  const initializers: Tensor[] = [];
  const nodes: NodeParts[] = [];
  const constant = (name: string, shape: readonly number[], spread: number, offset = 0): string => {
    const seed = initializers.length + 1;
    const count = shape.reduce((a, b) => a * b, 1);
    initializers.push(Tensor.derive('float', shape, [], () => draw(count, seed, spread, offset), { name }));
    return name;
  };
  const add = (
    opType: string,
    inputs: readonly string[],
    output: string,
    attributes: NodeParts['attributes'] = [],
  ): string => {
    nodes.push({ opType, inputs, outputs: [output], attributes, name: `${output}/${opType}` });
    return output;
  };
  const product = (input: string, name: string, rows: number, columns: number): string =>
    add('MatMul', [input, constant(`${name}.weight`, [rows, columns], 2 / Math.sqrt(rows))], `${name}.out`);
  const normalized = (input: string, name: string): string =>
    add(
      'LayerNormalization',
      [input, constant(`${name}.scale`, [width], 0.2, 1), constant(`${name}.bias`, [width], 0.2)],
      `${name}.out`,
      [
        ['axis', { kind: 'int', value: -1 }],
        ['epsilon', { kind: 'float', value: 1e-5 }],
      ],
    );
  const root = constant('head.root', [], 0, Math.sqrt(width));
  let x = 'x';
  for (let layer = 0; layer < layers; layer++) {
    const at = `layers.${layer}`;
    const h = normalized(x, `${at}.attention_norm`);
    const q = product(h, `${at}.q`, width, width);
    const k = product(h, `${at}.k`, width, width);
    const v = product(h, `${at}.v`, width, width);
    const keys = add('Transpose', [k], `${at}.keys`, [['perm', { kind: 'ints', value: [0, 2, 1] }]]);
    const scores = add('Div', [add('MatMul', [q, keys], `${at}.scores`), root], `${at}.scaled`);
    const shares = add('Softmax', [scores], `${at}.shares`, [['axis', { kind: 'int', value: -1 }]]);
    const mixed = product(add('MatMul', [shares, v], `${at}.mixed`), `${at}.o`, width, width);
    x = add('Add', [x, mixed], `${at}.after_attention`);
    const up = product(normalized(x, `${at}.mlp_norm`), `${at}.up`, width, 4 * width);
    const biased = add('Add', [up, constant(`${at}.up.bias`, [4 * width], 0.1)], `${at}.biased`);
    const down = product(add('Gelu', [biased], `${at}.gelu`), `${at}.down`, 4 * width, width);
    x = add('Add', [x, down], layer === layers - 1 ? 'y' : `${at}.y`);
  }
  const type = tensorType('float', ['batch', 'sequence', width]);
  const parts: GraphParts = {
    name: 'large',
    inputs: [{ name: 'x', type }],
    outputs: [{ name: 'y', type }],
    initializers,
    nodes,
  };
  return new Model(buildGraph(parts), { irVersion: 10, opsets: new Map([['', 21]]) });
}

/** Uniform float32 values within spread/2 of the offset, from a xorshift generator. */
function draw(count: number, seed: number, spread: number, offset: number): Float32Array {
  const values = new Float32Array(count);
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  for (let i = 0; i < count; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    values[i] = offset + state * 2 ** -32 * spread;
  }
  return values;
}

/** Writes `large.onnx` and its data file into the folder; the weights take about so many bytes. */
export async function makeLarge(folder: string, bytes: number, width: number): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'large.onnx');
  const layers = Math.max(1, Math.round(bytes / (4 * 12 * width * width)));
  await writeModel(largeModel(layers, width), path, { externalData: 'always' });
  return path;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder, megabytes = '1024', width = '2048'] = process.argv.slice(2);
  if (folder === undefined) {
    console.error('usage: npx tsx models/make-large.ts <folder> [megabytes=1024] [width=2048]');
    process.exitCode = 2;
  } else {
    console.log(await makeLarge(folder, Number(megabytes) * 2 ** 20, Number(width)));
  }
}
