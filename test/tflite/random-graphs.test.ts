/** Graphs drawn at random, whose layouts nobody thought of: LiteRT answers as ONNX Runtime does. */
import { expect } from 'chai';
import fc from 'fast-check';
import { runBeside } from './beside.js';

interface Drawn {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Draws from a list of numbers that fast-check can shrink. */
class Draw {
  readonly #numbers: readonly number[];
  #at = 0;

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
  }

  get isOver(): boolean {
    return this.#at >= this.#numbers.length;
  }

  below = (count: number): number => (this.#numbers[this.#at++] ?? 0) % count;
  of = <T>(list: readonly T[]): T => list[this.below(list.length)]!;
}

/** A graph of a dozen nodes that fit together, all of whose last values are outputs. */
class Graph {
  readonly #draw: Draw;
  readonly #lines: string[] = [];
  readonly #constants: string[] = [];
  readonly #values: Drawn[] = [{ name: 'x', shape: [1, 3, 6, 5] }];
  readonly #read = new Set<string>();

  constructor(numbers: readonly number[]) {
    this.#draw = new Draw(numbers);
    while (!this.#draw.isOver && this.#lines.length < 12) this.#step();
  }

  #constant(dtype: string, shape: string, values: string): string {
    const name = `k${this.#constants.length}`;
    this.#constants.push(`${dtype}${shape} ${name} = ${values}`);
    return name;
  }

  #floats = (shape: readonly number[]): string =>
    this.#constant('float', `[${shape}]`, `["fill": "normal:${this.#constants.length + 1}:0:0.4"]`);
  #ints = (values: readonly number[]): string => this.#constant('int64', `[${values.length}]`, `{${values}}`);

  #give(text: string, shape: readonly number[], ...read: readonly Drawn[]): void {
    const name = `v${this.#lines.length}`;
    this.#lines.push(`${name} = ${text}`);
    this.#values.push({ name, shape });
    for (const each of read) this.#read.add(each.name);
  }

  #step(): void {
    const draw = this.#draw;
    const a = draw.of(this.#values);
    const { name, shape } = a;
    const rank = shape.length;
    const [n, c = 1, h = 1, w = 1] = shape;
    const picture = rank === 4 && n === 1 && h * w > 1 && h >= 3 && w >= 3;
    const axis = draw.below(rank);
    switch (draw.below(13)) {
      case 0:
      case 1: {
        if (!picture) return;
        const depthwise = draw.below(3) === 0;
        const out = depthwise ? c * (1 + draw.below(2)) : 1 + draw.below(4);
        const [stride, before, after] = [1 + draw.below(2), draw.below(2), draw.below(2)];
        const weight = this.#floats([out, depthwise ? 1 : c, 3, 3]);
        const size = (dim: number): number => Math.floor((dim + before + after - 3) / stride) + 1;
        const pads = [before, before, after, after];
        this.#give(
          `Conv <strides = [${stride},${stride}], pads = [${pads}], group = ${depthwise ? c : 1}> (${name}, ${weight}, ${this.#floats([out])})`,
          [1, out, size(h), size(w)],
          a,
        );
        return;
      }
      case 2: {
        if (!picture) return;
        const pad = draw.below(2);
        const size = (dim: number): number => dim + 2 * pad - 2;
        const op = draw.of(['MaxPool <', 'AveragePool <count_include_pad = 1, ']);
        this.#give(
          `${op}kernel_shape = [3,3], pads = [${pad},${pad},${pad},${pad}]> (${name})`,
          [1, c, size(h), size(w)],
          a,
        );
        return;
      }
      case 3: {
        const alike = this.#values.filter((each) => String(each.shape) === String(shape));
        const b = draw.of(alike);
        this.#give(`${draw.of(['Add', 'Mul', 'Sub', 'Max'])} (${name}, ${b.name})`, shape, a, b);
        return;
      }
      case 4: {
        const row = shape
          .map((dim, at) => (draw.below(2) === 0 || at === 0 ? 1 : dim))
          .slice(draw.below(rank));
        this.#give(`${draw.of(['Add', 'Mul'])} (${name}, ${this.#floats(row)})`, shape, a);
        return;
      }
      case 5: {
        const alike = this.#values.filter(
          (each) =>
            each.shape.length === rank && each.shape.every((dim, at) => at === axis || dim === shape[at]),
        );
        const b = draw.of(alike);
        const joined = shape.map((dim, at) => (at === axis ? dim + b.shape[at]! : dim));
        if (joined.reduce((product, dim) => product * dim, 1) > 4000) return;
        this.#give(`Concat <axis = ${axis}> (${name}, ${b.name})`, joined, a, b);
        return;
      }
      case 6:
        this.#give(`${draw.of(['Relu', 'Sigmoid', 'Tanh', 'HardSwish', 'Neg'])} (${name})`, shape, a);
        return;
      case 7:
        this.#give(`Softmax <axis = ${axis}> (${name})`, shape, a);
        return;
      case 8: {
        const perm = [...shape.keys()];
        for (let at = perm.length - 1; at > 0; at--) {
          const other = draw.below(at + 1);
          [perm[at], perm[other]] = [perm[other]!, perm[at]!];
        }
        this.#give(
          `Transpose <perm = [${perm}]> (${name})`,
          perm.map((at) => shape[at]!),
          a,
        );
        return;
      }
      case 9: {
        const keep = draw.below(2);
        const axes = [...shape.keys()].filter(() => draw.below(2) === 0);
        if (axes.length === 0 || (keep === 0 && axes.length === rank)) return;
        const left = shape.flatMap((dim, at) => (axes.includes(at) ? (keep ? [1] : []) : [dim]));
        this.#give(
          `${draw.of(['ReduceMean', 'ReduceMax'])} <keepdims = ${keep}> (${name}, ${this.#ints(axes)})`,
          left,
          a,
        );
        return;
      }
      case 10: {
        if (shape[axis]! < 2) return;
        const [from, to] = [this.#ints([1]), this.#ints([shape[axis]!])];
        const left = shape.map((dim, at) => (at === axis ? dim - 1 : dim));
        this.#give(`Slice (${name}, ${from}, ${to}, ${this.#ints([axis])})`, left, a);
        return;
      }
      case 11: {
        const pads = [
          ...shape.map((_, at) => (at === 0 ? 0 : draw.below(2))),
          ...shape.map((_, at) => (at === 0 ? 0 : draw.below(2))),
        ];
        const wide = shape.map((dim, at) => dim + pads[at]! + pads[at + rank]!);
        this.#give(`Pad (${name}, ${this.#ints(pads)})`, wide, a);
        return;
      }
      case 12: {
        const count = shape.reduce((product, dim) => product * dim, 1);
        const half = count % 2 === 0 ? [1, 2, count / 2] : [1, count];
        this.#give(`Reshape (${name}, ${this.#ints(half)})`, half, a);
        return;
      }
    }
  }

  /** Text of the graph: every value that nothing reads is an output. */
  get text(): string | undefined {
    const outputs = this.#values.slice(1).filter(({ name }) => !this.#read.has(name));
    if (outputs.length === 0) return undefined;
    const declared = outputs.map(({ name, shape }) => `float[${shape}] ${name}`).join(', ');
    const constants = this.#constants.length > 0 ? `<${this.#constants.join(', ')}>` : '';
    return `g (float[1,3,6,5] x) => (${declared}) ${constants} { ${this.#lines.join(' ')} }`;
  }
}

describe('tflite of random graphs', () => {
  it('answers as ONNX Runtime does', async function () {
    this.timeout(120_000);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(999), { minLength: 20, maxLength: 120 }), async (numbers) => {
        const { text } = new Graph(numbers);
        if (text === undefined) return;
        const found = await runBeside(text);
        expect(found.difference, `${text}\n${found.ops}`).to.be.below(1e-4);
      }),
      { numRuns: 60, seed: 5 },
    );
  });
});
