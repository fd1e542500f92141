/** Products of large matrices by ONNX Runtime, whose threads share out rows: no sum is cut by them. */
import { createNode } from '../ir/edit-node.js';
import { addInitializer, addInput, setGraphOutputs } from '../ir/edit-value.js';
import { Graph, Model, type Value } from '../ir/graph.js';
import type { GramSum, MatrixEngine, MatrixProduct } from '../ir/matrix.js';
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
/** x whose products are summed in float32. */
const ROWS = 2048;
/** Columns of a sum of products that are computed together; of those above the diagonal only what lies beside it. */
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
    const open = sessions.get(key) ?? openSession(model(), { optimization: 'off', threads });
    sessions.set(key, open);
    return open;
  };
  try {
    return await use({
      largest: Math.max(1, Math.min(LARGEST, Math.floor(Math.sqrt(maxBytes / 24)))),
      multiply: async (product) => {
        const turned = product.turned ?? false;
        return multiply(await session(`product ${turned}`, () => productModel(turned)), product);
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

const productModel = (turned: boolean): Model =>
  modelOf((graph) => {
    const a = addInput(graph, 'a', tensorType('double', turned ? ['k', 'm'] : ['m', 'k']));
    const b = addInput(graph, 'b', tensorType('double', ['n', 'k']));
    const type = tensorType('double', ['m', 'n']);
    const attributes = { transA: turned ? 1 : 0, transB: 1 };
    const outputs = [{ name: 'y', type }];
    return [
      createNode({ endOf: graph }, { opType: 'Gemm', inputs: [a, b], attributes, outputs }).outputs[0]!,
    ];
  });

async function multiply(
  session: Session,
  { a, b, rows, columns, depth, turned = false }: MatrixProduct,
): Promise<Float64Array> {
  const result = new Float64Array(rows * columns);
  const y = Tensor.of('double', [rows, columns], result);
  const feeds = {
    a: Tensor.of('double', turned ? [depth, rows] : [rows, depth], a),
    b: Tensor.of('double', [columns, depth], b),
  };
  await session.run(feeds, ['y'], new Map([['y', y]]));
  return result;
}

const panelsOf = (size: number): number[] =>
  Array.from({ length: Math.ceil(size / PANEL) }, (_, i) => i * PANEL);

/** For each panel of columns: the rows from its first on. */
const gramModel = (size: number): Model =>
  modelOf((graph) => {
    const x = addInput(graph, 'x', tensorType('float', ['k', size]));
    const axis = addInitializer(graph, Tensor.ints([1]), 'axis');
    const columns = (from: number, to: number): Value => {
      const ends = [from, to].map((at) => addInitializer(graph, Tensor.ints([at]), 'at'));
      return createNode({ endOf: graph }, { opType: 'Slice', inputs: [x, ...ends, axis] }).outputs[0]!;
    };
    return panelsOf(size).map((first) => {
      const last = Math.min(first + PANEL, size);
      const inputs = [columns(first, size), columns(first, last)];
      const outputs = [{ name: `y${first}`, type: tensorType('float', [size - first, last - first]) }];
      const attributes = { transA: 1 };
      return createNode({ endOf: graph }, { opType: 'Gemm', inputs, attributes, outputs }).outputs[0]!;
    });
  });

class Gram implements GramSum {
  readonly #size: number;
  readonly #session: () => Promise<Session>;
  readonly #sum: Float64Array<ArrayBuffer>;
  readonly #held: Float32Array;
  readonly #places: ReadonlyMap<string, Tensor>;
  #rows = 0;

  constructor(size: number, session: () => Promise<Session>) {
    this.#size = size;
    this.#session = session;
    this.#sum = new Float64Array(size * size);
    this.#held = new Float32Array(ROWS * size);
    this.#places = new Map(
      panelsOf(size).map((first) => {
        const shape = [size - first, Math.min(PANEL, size - first)] as const;
        return [`y${first}`, Tensor.of('float', shape, new Float32Array(shape[0] * shape[1]))];
      }),
    );
  }

  async add(x: Float32Array): Promise<void> {
    const size = this.#size;
    for (let at = 0; at < x.length; ) {
      const count = Math.min(x.length - at, (ROWS - this.#rows) * size);
      this.#held.set(x.subarray(at, at + count), this.#rows * size);
      this.#rows += count / size;
      at += count;
      if (this.#rows === ROWS) await this.#flush();
    }
  }

  async finish(): Promise<Float64Array<ArrayBuffer>> {
    await this.#flush();
    const sum = this.#sum;
    const size = this.#size;
    for (let rows = 0; rows < size; rows += TILE) {
      for (let columns = 0; columns <= rows; columns += TILE) {
        for (let i = rows; i < Math.min(rows + TILE, size); i++) {
          for (let j = columns; j < Math.min(columns + TILE, i); j++) sum[j * size + i] = sum[i * size + j]!;
        }
      }
    }
    return sum;
  }

  async #flush(): Promise<void> {
    if (this.#rows === 0) return;
    const size = this.#size;
    const x = Tensor.of('float', [this.#rows, size], this.#held.subarray(0, this.#rows * size));
    this.#rows = 0;
    await (await this.#session()).run({ x }, [...this.#places.keys()], this.#places);
    for (const first of panelsOf(size)) {
      const values = this.#places.get(`y${first}`)!.toFloat32();
      const width = Math.min(PANEL, size - first);
      for (let i = first; i < size; i++) {
        const [from, to] = [(i - first) * width, i * size + first];
        for (let j = 0; j < width; j++) this.#sum[to + j]! += values[from + j]!;
      }
    }
  }
}

/** Of a transposition. */
const TILE = 32;
