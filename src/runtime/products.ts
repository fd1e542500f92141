/** Products of large matrices by ONNX Runtime, whose threads share out rows: no sum is cut by them. */
import { createNode } from '../ir/edit-node.js';
import { addInput, setGraphOutputs } from '../ir/edit-value.js';
import { Graph, Model, type Value } from '../ir/graph.js';
import type { Floats, GramSum, MatrixEngine, MatrixProduct } from '../ir/matrix.js';
import { Tensor } from '../ir/tensor.js';
import { tensorType } from '../ir/type.js';
import { openSession, type Session } from './session.js';

export interface ProductOptions {
  /** ONNX Runtime's own choice where it is not said. */
  readonly threads?: number;
  /** Bytes that the matrices of an algorithm may take, three of them in double at a time. */
  readonly maxBytes: number;
}

/** Larger matrices take minutes to factor, and little is gained: inputs so far apart have little to do with each other. */
const LARGEST = 4096;
/** Threads with nothing to do sleep: products are long, and waiting awake would take processors from others. */
const SLEEPY = { session: { intra_op: { allow_spinning: '0' } } };
/** Elements of x whose products are summed in float32, and most x. */
const HELD = 1 << 24;
const MOST_ROWS = 8192;
/** Elements of x that lie together: products of two such panels are computed at a time, of each pair once. */
const PANEL = 512;

/**
 * Opens an engine for products, hands it on, and releases it whatever happens.
 * @throws QuantcError as sessions do
 */
export async function withProducts<T>(
  { threads, maxBytes }: ProductOptions,
  use: (engine: MatrixEngine) => Promise<T>,
): Promise<T> {
  const sessions = new Map<string, Promise<Session>>();
  const session = (key: string, model: () => Model): Promise<Session> => {
    const open = sessions.get(key) ?? openSession(model(), { optimization: 'off', threads, extra: SLEEPY });
    sessions.set(key, open);
    return open;
  };
  try {
    return await use({
      largest: Math.max(1, Math.min(LARGEST, Math.floor(Math.sqrt(maxBytes / 24)))),
      multiply: async (product) => {
        const kind = kindOf(product);
        return multiply(await session(Object.values(kind).join(), () => productModel(kind)), product, kind);
      },
      gram: (size) => new Gram(size, () => session(`gram ${size}`, () => gramModel(size))),
    });
  } finally {
    await Promise.all([...sessions.values()].map(async (open) => (await open).release()));
  }
}

function modelOf(fill: (graph: Graph) => Value[]): Model {
  const graph = new Graph('products');
  const outputs = fill(graph);
  setGraphOutputs(graph, outputs);
  return new Model(graph, { irVersion: 10, opsets: new Map([['', 21]]) });
}

/** How a product is put to ONNX Runtime. */
interface Kind {
  readonly dtype: 'float' | 'double';
  readonly turned: boolean;
  /** It is asked for b·aᵀ instead: threads would cut a few rows' columns, and with them, in small cuts, the sums. */
  readonly swapped: boolean;
}

const kindOf = ({ a, rows, columns, turned = false }: MatrixProduct): Kind => ({
  dtype: a instanceof Float32Array ? 'float' : 'double',
  turned,
  swapped: rows < columns,
});

const productModel = ({ dtype, turned, swapped }: Kind): Model =>
  modelOf((graph) => {
    const a = addInput(graph, 'a', tensorType(dtype, turned ? ['k', 'm'] : ['m', 'k']));
    const b = addInput(graph, 'b', tensorType(dtype, ['n', 'k']));
    const type = tensorType(dtype, swapped ? ['n', 'm'] : ['m', 'n']);
    const attributes = swapped ? { transB: turned ? 0 : 1 } : { transA: turned ? 1 : 0, transB: 1 };
    const spec = {
      opType: 'Gemm',
      inputs: swapped ? [b, a] : [a, b],
      attributes,
      outputs: [{ name: 'y', type }],
    };
    return [createNode({ endOf: graph }, spec).outputs[0]!];
  });

async function multiply(
  session: Session,
  { a, b, rows, columns, depth }: MatrixProduct,
  { dtype, turned, swapped }: Kind,
): Promise<Floats> {
  const make = () =>
    dtype === 'float' ? new Float32Array(rows * columns) : new Float64Array(rows * columns);
  const found = make();
  const y = Tensor.of(dtype, swapped ? [columns, rows] : [rows, columns], found);
  const feeds = {
    a: Tensor.of(dtype, turned ? [depth, rows] : [rows, depth], a),
    b: Tensor.of(dtype, [columns, depth], b),
  };
  await session.run(feeds, ['y'], new Map([['y', y]]));
  if (!swapped) return found;
  const result = make();
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) result[i * columns + j] = found[j * rows + i]!;
  return result;
}

interface Panel {
  readonly first: number;
  readonly width: number;
}

const panelsOf = (size: number): Panel[] =>
  Array.from({ length: Math.ceil(size / PANEL) }, (_, i) => ({
    first: i * PANEL,
    width: Math.min(PANEL, size - i * PANEL),
  }));

/** Pairs of panels, the first of which is not behind the second: no product has fewer rows than columns. */
const pairsOf = (size: number): { readonly name: string; readonly left: Panel; readonly right: Panel }[] =>
  panelsOf(size).flatMap((left, i, panels) =>
    panels.slice(i).map((right, j) => ({ name: `y${i}_${i + j}`, left, right })),
  );

const gramModel = (size: number): Model =>
  modelOf((graph) => {
    const inputs = new Map(
      panelsOf(size).map(({ first, width }) => [
        first,
        addInput(graph, `x${first}`, tensorType('float', ['k', width])),
      ]),
    );
    return pairsOf(size).map(({ name, left, right }) => {
      const outputs = [{ name, type: tensorType('float', [left.width, right.width]) }];
      const factors = [inputs.get(left.first), inputs.get(right.first)];
      const spec = { opType: 'Gemm', inputs: factors, attributes: { transA: 1 }, outputs };
      return createNode({ endOf: graph }, spec).outputs[0]!;
    });
  });

class Gram implements GramSum {
  readonly size: number;
  readonly #session: () => Promise<Session>;
  readonly #sum: Float64Array<ArrayBuffer>;
  readonly #held: readonly (Panel & { readonly x: Float32Array })[];
  readonly #places: ReadonlyMap<string, Tensor>;
  readonly #most: number;
  #rows = 0;

  constructor(size: number, session: () => Promise<Session>) {
    this.size = size;
    this.#session = session;
    this.#sum = new Float64Array(size * size);
    this.#most = Math.min(MOST_ROWS, Math.ceil(HELD / size));
    this.#held = panelsOf(size).map((panel) => ({ ...panel, x: new Float32Array(this.#most * panel.width) }));
    this.#places = new Map(
      pairsOf(size).map(({ name, left, right }) => {
        const shape = [left.width, right.width];
        return [name, Tensor.of('float', shape, new Float32Array(left.width * right.width))];
      }),
    );
  }

  async add(x: Float32Array): Promise<void> {
    for (let at = 0; at < x.length; at += this.size) {
      for (const { first, width, x: held } of this.#held)
        held.set(x.subarray(at + first, at + first + width), this.#rows * width);
      this.#rows++;
      if (this.#rows === this.#most) await this.#flush();
    }
  }

  async finish(): Promise<Float64Array<ArrayBuffer>> {
    await this.#flush();
    const sum = this.#sum;
    const { size } = this;
    for (let rows = 0; rows < size; rows += TILE) {
      for (let columns = 0; columns <= rows; columns += TILE) {
        for (let i = rows; i < Math.min(rows + TILE, size); i++) {
          for (let j = columns; j < Math.min(columns + TILE, i); j++) sum[i * size + j] = sum[j * size + i]!;
        }
      }
    }
    return sum;
  }

  async #flush(): Promise<void> {
    const rows = this.#rows;
    if (rows === 0) return;
    this.#rows = 0;
    const feeds = Object.fromEntries(
      this.#held.map(({ first, width, x }) => [
        `x${first}`,
        Tensor.of('float', [rows, width], x.subarray(0, rows * width)),
      ]),
    );
    await (await this.#session()).run(feeds, [...this.#places.keys()], this.#places);
    const sum = this.#sum;
    for (const { name, left, right } of pairsOf(this.size)) {
      const values = this.#places.get(name)!.toFloat32();
      for (let i = 0, from = 0; i < left.width; i++) {
        const to = (left.first + i) * this.size + right.first;
        for (let j = 0; j < right.width; j++, from++) sum[to + j]! += values[from]!;
      }
    }
  }
}

/** Of a transposition. */
const TILE = 32;
