/**
 * Makes a decoder of LLaMA's shape with external data, for measuring weight-only quantization: RMSNorm, rotary
 * embedding, attention with as many or fewer key heads as query heads, SwiGLU, a head of its own. Weights are drawn from
 * a seeded generator and written tensor by tensor. Equal arguments give equal bytes.
 *
 *   npx tsx models/make-llama.ts <folder> [shape=1b]
 *
 * Shapes: `1b` (0.95 billion parameters, float32, 3.8 GB), `7b` (6.7 billion, float16, 13.5 GB), `30m`, `tiny`.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildGraph, type NodeParts } from '../src/ir/build.js';
import { Model } from '../src/ir/graph.js';
import { Tensor } from '../src/ir/tensor.js';
import { tensorType } from '../src/ir/type.js';
import { writeModel } from '../src/onnx/write.js';
import { type DrawnType, drawn, rotaryTables } from './llama/weights.js';

export interface LlamaShape {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** Heads of keys and values; each serves heads / keyHeads query heads. */
  readonly keyHeads: number;
  /** Width of the SwiGLU. */
  readonly inner: number;
  readonly vocabulary: number;
  readonly positions: number;
  readonly dtype: DrawnType;
}

export const SHAPES: Readonly<Record<string, LlamaShape>> = {
  tiny: shape(64, 2, 4, 2, 176, 512, 'float'),
  '30m': shape(512, 8, 8, 8, 1408, 8000, 'float'),
  '1b': shape(2048, 16, 32, 32, 5632, 32000, 'float'),
  '7b': shape(4096, 32, 32, 32, 11008, 32000, 'float16'),
};

function shape(
  width: number,
  layers: number,
  heads: number,
  keyHeads: number,
  inner: number,
  vocabulary: number,
  dtype: DrawnType,
): LlamaShape {
  return { width, layers, heads, keyHeads, inner, vocabulary, positions: 2048, dtype };
}

/** The model; nothing is drawn until weights are asked for. Input `input_ids` int64[B, T], output `logits` [B, T, vocabulary]. */
export function llama(shape: LlamaShape): Model {
  const builder = new Builder(shape);
  let x = builder.add('Gather', [
    builder.weight('embed_tokens.weight', [shape.vocabulary, shape.width]),
    'input_ids',
  ]);
  builder.prepare();
  for (let layer = 0; layer < shape.layers; layer++) x = builder.layer(`layers.${layer}`, x);
  const normed = builder.normalized('norm', x);
  builder.product('lm_head', normed, shape.width, shape.vocabulary, 'logits');
  return builder.model();
}

class Builder {
  readonly #shape: LlamaShape;
  readonly #initializers: Tensor[] = [];
  readonly #nodes: NodeParts[] = [];

  constructor(shape: LlamaShape) {
    this.#shape = shape;
  }

  /** A node with one output, which answers. */
  add(
    opType: string,
    inputs: readonly string[],
    attributes: NodeParts['attributes'] = [],
    output = `${opType.toLowerCase()}_${this.#nodes.length}`,
  ): string {
    this.#nodes.push({ opType, inputs, outputs: [output], attributes, name: `${output}/${opType}` });
    return output;
  }

  weight(name: string, size: readonly number[], middle = 0): string {
    const spread =
      middle === 0 ? 1 / Math.sqrt(size[0] === this.#shape.vocabulary ? size[1]! : size[0]!) : 0.1;
    this.#initializers.push(
      drawn(name, size, this.#initializers.length + 1, spread, middle, this.#shape.dtype),
    );
    return name;
  }

  ints(name: string, values: readonly number[], size?: readonly number[]): string {
    if (!this.#initializers.some((each) => each.name === name))
      this.#initializers.push(Tensor.ints(values, size).with({ name }));
    return name;
  }

  /** What all layers read: angles of the positions at hand, and the mask that hides what comes later. */
  prepare(): void {
    const { positions, width, heads, dtype } = this.#shape;
    for (const table of rotaryTables(positions, width / heads, dtype)) this.#initializers.push(table);
    const length = this.add('Gather', [this.add('Shape', ['input_ids']), this.ints('one', [1], [])]);
    const lengths = this.add('Unsqueeze', [length, this.ints('axis_0', [0])]);
    for (const name of ['cos', 'sin']) {
      this.add('Slice', [`${name}_table`, 'axis_0', lengths, 'axis_0'], [], name);
    }
    const steps = this.add('Range', [this.ints('zero', [0], []), length, 'one']);
    const later = this.add('Greater', [
      this.add('Unsqueeze', [steps, 'axis_0']),
      this.add('Unsqueeze', [steps, this.ints('axis_1', [1])]),
    ]);
    const hidden = this.#scalar('hidden', -10000);
    this.add('Where', [later, hidden, this.#scalar('shown', 0)], [], 'mask');
  }

  #scalar(name: string, value: number): string {
    if (!this.#initializers.some((each) => each.name === name))
      this.#initializers.push(Tensor.scalar(value, this.#shape.dtype).with({ name }));
    return name;
  }

  product(name: string, x: string, rows: number, columns: number, output = `${name}.out`): string {
    return this.add('MatMul', [x, this.weight(`${name}.weight`, [rows, columns])], [], output);
  }

  /** x / √(mean x² + ε) · weight, as exporters write it out. */
  normalized(name: string, x: string): string {
    const power = this.add('Pow', [x, this.#scalar('two', 2)]);
    const mean = this.add('ReduceMean', [power, this.ints('last', [-1])]);
    const root = this.add('Sqrt', [this.add('Add', [mean, this.#scalar('epsilon', 1e-5)])]);
    const scaled = this.add('Mul', [x, this.add('Div', [this.#scalar('unit', 1), root])]);
    return this.add('Mul', [scaled, this.weight(`${name}.weight`, [this.#shape.width], 1)]);
  }

  layer(name: string, x: string): string {
    const { width, inner } = this.#shape;
    const attended = this.#attention(`${name}.self_attn`, this.normalized(`${name}.input_layernorm`, x));
    const middle = this.add('Add', [x, attended]);
    const h = this.normalized(`${name}.post_attention_layernorm`, middle);
    const gate = this.product(`${name}.mlp.gate_proj`, h, width, inner);
    const up = this.product(`${name}.mlp.up_proj`, h, width, inner);
    const silu = this.add('Mul', [gate, this.add('Sigmoid', [gate])]);
    const down = this.product(`${name}.mlp.down_proj`, this.add('Mul', [silu, up]), inner, width);
    return this.add('Add', [middle, down]);
  }

  #attention(name: string, h: string): string {
    const { width, heads, keyHeads } = this.#shape;
    const size = width / heads;
    const q = this.#rotated(this.#heads(this.product(`${name}.q_proj`, h, width, width), heads));
    const k = this.#rotated(this.#heads(this.product(`${name}.k_proj`, h, width, keyHeads * size), keyHeads));
    const v = this.#heads(this.product(`${name}.v_proj`, h, width, keyHeads * size), keyHeads);
    const keys = this.add(
      'Transpose',
      [this.#repeated(k)],
      [['perm', { kind: 'ints', value: [0, 1, 3, 2] }]],
    );
    const scores = this.add('Div', [this.add('MatMul', [q, keys]), this.#scalar('root', Math.sqrt(size))]);
    const shares = this.add(
      'Softmax',
      [this.add('Add', [scores, 'mask'])],
      [['axis', { kind: 'int', value: -1 }]],
    );
    const mixed = this.add('MatMul', [shares, this.#repeated(v)]);
    const turned = this.add('Transpose', [mixed], [['perm', { kind: 'ints', value: [0, 2, 1, 3] }]]);
    const joined = this.add('Reshape', [turned, this.ints('joined', [0, 0, width])]);
    return this.product(`${name}.o_proj`, joined, width, width);
  }

  /** [B, T, heads · size] → [B, heads, T, size] */
  #heads(x: string, heads: number): string {
    const size = this.#shape.width / this.#shape.heads;
    const parted = this.add('Reshape', [x, this.ints(`parted_${heads}`, [0, 0, heads, size])]);
    return this.add('Transpose', [parted], [['perm', { kind: 'ints', value: [0, 2, 1, 3] }]]);
  }

  /** x · cos + (−second half, first half) · sin */
  #rotated(x: string): string {
    const half = this.#shape.width / this.#shape.heads / 2;
    const ends = this.ints('far', [2 ** 31]);
    const at = this.ints('half', [half]);
    const first = this.add('Slice', [x, 'axis_0', at, this.ints('axis_3', [3])]);
    const second = this.add('Slice', [x, at, ends, 'axis_3']);
    const turned = this.add(
      'Concat',
      [this.add('Neg', [second]), first],
      [['axis', { kind: 'int', value: -1 }]],
    );
    return this.add('Add', [this.add('Mul', [x, 'cos']), this.add('Mul', [turned, 'sin'])]);
  }

  /** Each head of keys or values as often as query heads read it. */
  #repeated(x: string): string {
    const { heads, keyHeads, width } = this.#shape;
    if (heads === keyHeads) return x;
    const spread = this.add('Expand', [
      this.add('Unsqueeze', [x, this.ints('axis_2', [2])]),
      this.ints('copies', [1, 1, heads / keyHeads, 1, 1]),
    ]);
    return this.add('Reshape', [spread, this.ints('copied', [0, heads, -1, width / heads])]);
  }

  model(): Model {
    const { vocabulary, dtype } = this.#shape;
    const graph = buildGraph({
      name: 'llama',
      inputs: [{ name: 'input_ids', type: tensorType('int64', ['B', 'T']) }],
      outputs: [{ name: 'logits', type: tensorType(dtype, ['B', 'T', vocabulary]) }],
      initializers: this.#initializers,
      nodes: this.#nodes,
    });
    return new Model(graph, { irVersion: 10, opsets: new Map([['', 21]]) });
  }
}

/** Writes `llama.onnx` and its data into the folder. */
export async function makeLlama(folder: string, shape: LlamaShape): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'llama.onnx');
  await writeModel(llama(shape), path, { externalData: 'always' });
  return path;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder, name = '1b'] = process.argv.slice(2);
  if (folder === undefined || SHAPES[name] === undefined) {
    console.error(`usage: npx tsx models/make-llama.ts <folder> [${Object.keys(SHAPES).join('|')}]`);
    process.exitCode = 2;
  } else {
    console.log(await makeLlama(folder, SHAPES[name]));
  }
}
