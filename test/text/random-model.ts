/** Random models for property tests: every kind of type, attribute and constant, odd names, nested graphs. */
import fc from 'fast-check';
import type { Attribute, AttributeKind, SparseTensor } from '../../src/ir/attribute.js';
import { type AttributeParts, buildGraph, type GraphParts, type NodeParts } from '../../src/ir/build.js';
import { byteLengthOf, DTYPES, type DType } from '../../src/ir/dtype.js';
import { LocalFunction, Model } from '../../src/ir/graph.js';
import { Tensor } from '../../src/ir/tensor.js';
import { type Dim, elementCount, type Type } from '../../src/ir/type.js';

/** Names as exporters write them, and worse: with points, spaces, quotes, line ends, and words of the syntax. */
const word = fc.oneof(
  { weight: 3, arbitrary: fc.stringMatching(/^[a-z_][a-z0-9_]{0,6}$/) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      'float',
      'seq',
      'inf',
      'NaN',
      'optional',
      'a.b',
      '/m/Conv_1',
      'x"y\\',
      '1',
      'é\n#',
      'hex',
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 5 }) },
);
const text = fc.string({ unit: 'binary', maxLength: 8 });
const bytes = fc.uint8Array({ maxLength: 6 });
const dtype = fc.constantFrom(...DTYPES);
const realNumber = fc.oneof(
  fc.float(),
  fc.constantFrom(0, -0, 1, Infinity, -Infinity, NaN, 1e-45, 3.4028234e38),
);
const integer = fc.oneof(fc.integer(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }));

const dims = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 });
const anyDim: fc.Arbitrary<Dim> = fc.oneof(fc.integer({ min: -1, max: 9 }), word, fc.constant(null));
const shape = fc.option(fc.array(anyDim, { maxLength: 3 }), { nil: undefined });

export const randomType: fc.Arbitrary<Type> = fc.letrec<{ type: Type }>((tie) => ({
  type: fc.oneof(
    { maxDepth: 3 },
    fc.record({ kind: fc.constantFrom('tensor' as const, 'sparse' as const), dtype, shape }),
    fc.record({ kind: fc.constant('opaque' as const), domain: fc.oneof(fc.constant(''), word), name: word }),
    fc.record({
      kind: fc.constantFrom('sequence' as const, 'optional' as const),
      element: fc.option(tie('type'), { nil: undefined }),
    }),
    fc.record({
      kind: fc.constant('map' as const),
      key: dtype,
      value: fc.option(tie('type'), { nil: undefined }),
    }),
  ),
})).type;

const tensorOf = (type: DType, sizes: readonly number[]): fc.Arbitrary<Tensor> => {
  const count = elementCount(sizes);
  const name = fc.oneof(fc.constant(''), word);
  if (type === 'string') {
    return fc
      .tuple(fc.array(bytes, { minLength: count, maxLength: count }), name)
      .map(([values, own]) => new Tensor(type, sizes, { kind: 'strings', values }, { name: own }));
  }
  const length = byteLengthOf(type, count);
  return fc.tuple(fc.uint8Array({ minLength: length, maxLength: length }), name).map(([raw, own]) => {
    const tensor = Tensor.of(type, sizes, canonical(type, count, Uint8Array.from(raw)), { name: own });
    return tensor;
  });
};

/** Bits that no text tells: NaN payloads, bools other than 0 and 1, padding of packed elements. */
function canonical(type: DType, count: number, raw: Uint8Array): Uint8Array {
  if (type === 'bool') return raw.map((byte) => byte & 1);
  const wide = type === 'double' || type === 'complex128';
  if (wide || type === 'float' || type === 'complex64') {
    const numbers = wide ? new Float64Array(raw.buffer) : new Float32Array(raw.buffer);
    numbers.forEach((number, index) => {
      if (Number.isNaN(number)) numbers[index] = Number.NaN;
    });
  }
  const bits = { int2: 2, uint2: 2, int4: 4, uint4: 4, float4e2m1: 4, float6e2m3: 6, float6e3m2: 6 }[
    type as string
  ];
  const used = bits === undefined ? 0 : (bits * count) % 8;
  if (used > 0) raw[raw.length - 1]! &= (1 << used) - 1;
  return raw;
}

export const randomTensor: fc.Arbitrary<Tensor> = fc
  .tuple(dtype, dims)
  .chain(([type, sizes]) => tensorOf(type, sizes));

const randomSparse: fc.Arbitrary<SparseTensor> = fc
  .tuple(dtype, fc.integer({ min: 0, max: 3 }), dims)
  .chain(([type, count, dense]) =>
    fc
      .tuple(tensorOf(type, [count]), tensorOf('int64', [count]))
      .map(([values, indices]) => ({ values, indices, shape: dense })),
  );

const attributeText = fc.oneof(
  text,
  bytes.filter((raw) => raw.some((byte) => byte > 0xf7)),
);
const kinds: AttributeKind[] = [
  'float',
  'int',
  'string',
  'tensor',
  'type',
  'floats',
  'ints',
  'strings',
  'tensors',
  'types',
];

const plainAttribute: fc.Arbitrary<Exclude<Attribute, { kind: 'graph' | 'graphs' | 'ref' }>> = fc.oneof(
  fc.record({ kind: fc.constant('float' as const), value: realNumber }),
  fc.record({ kind: fc.constant('int' as const), value: integer }),
  fc.record({ kind: fc.constant('string' as const), value: attributeText }),
  fc.record({ kind: fc.constant('tensor' as const), value: randomTensor }),
  fc.record({ kind: fc.constant('type' as const), value: randomType }),
  fc.record({ kind: fc.constant('sparse' as const), value: randomSparse }),
  fc.record({ kind: fc.constant('floats' as const), value: fc.array(realNumber, { maxLength: 3 }) }),
  fc.record({ kind: fc.constant('ints' as const), value: fc.array(integer, { maxLength: 3 }) }),
  fc.record({ kind: fc.constant('strings' as const), value: fc.array(attributeText, { maxLength: 3 }) }),
  fc.record({ kind: fc.constant('tensors' as const), value: fc.array(randomTensor, { maxLength: 2 }) }),
  fc.record({ kind: fc.constant('types' as const), value: fc.array(randomType, { maxLength: 2 }) }),
  fc.record({ kind: fc.constant('sparses' as const), value: fc.array(randomSparse, { maxLength: 2 }) }),
);

/** Picks for a graph whose names are drawn first, so that nodes can read them. */
function graphParts(depth: number, outer: readonly string[], inFunction: boolean): fc.Arbitrary<GraphParts> {
  const unique = fc.uniqueArray(word, { minLength: 3, maxLength: 9 });
  return fc.tuple(unique, fc.oneof(word, fc.constant(''))).chain(([drawn, name]) => {
    const names = drawn.filter((each) => !outer.includes(each));
    const third = Math.ceil(names.length / 3);
    const inputs = names.slice(0, third);
    const constants = inFunction ? [] : names.slice(third, 2 * third);
    const made = names.slice(inFunction ? third : 2 * third);
    const readable = [...outer, ...inputs, ...constants];
    const value = (each: string) =>
      fc.option(randomType, { nil: undefined }).map((type) => ({ name: each, type }));
    return fc.record({
      name: fc.constant(name),
      inputs: fc.tuple(...inputs.map(value)),
      initializers: fc.tuple(
        ...constants.map((each) => randomTensor.map((tensor) => tensor.with({ name: each }))),
      ),
      valueInfo: fc.tuple(...made.map(value)),
      nodes: fc.tuple(
        ...made.map((each, index) =>
          nodeParts([...readable, ...made.slice(0, index)], each, depth, inFunction),
        ),
      ),
      outputs: fc.subarray([...made, ...inputs]).chain((leaving) => fc.tuple(...leaving.map(value))),
    });
  });
}

function nodeParts(
  readable: readonly string[],
  output: string,
  depth: number,
  inFunction: boolean,
): fc.Arbitrary<NodeParts> {
  const choices: fc.Arbitrary<AttributeParts>[] = [plainAttribute];
  if (inFunction) {
    choices.push(
      fc.record({ kind: fc.constant('ref' as const), name: word, type: fc.constantFrom(...kinds) }),
    );
  }
  if (depth > 0) {
    const inner = graphParts(depth - 1, readable, false);
    choices.push(fc.record({ kind: fc.constant('graph' as const), value: inner }));
    choices.push(
      fc.record({ kind: fc.constant('graphs' as const), value: fc.array(inner, { maxLength: 2 }) }),
    );
  }
  return fc.record({
    opType: word,
    domain: fc.oneof(fc.constant(''), word),
    overload: fc.oneof(fc.constant(''), word),
    name: fc.oneof(fc.constant(''), word),
    inputs: fc.array(fc.constantFrom('', ...readable), { maxLength: 4 }),
    outputs: fc.constantFrom([output], [output, ''], ['', output]),
    attributes: fc
      .uniqueArray(fc.tuple(word, fc.oneof(...choices)), { maxLength: 3, selector: ([name]) => name })
      .map((entries) => entries as NodeParts['attributes'] & {}),
  });
}

const opsets = fc
  .uniqueArray(fc.tuple(fc.oneof(fc.constant(''), word), fc.integer({ min: 1, max: 28 })), {
    maxLength: 3,
    selector: ([domain]) => domain,
  })
  .map((entries) => new Map(entries));

const randomFunction: fc.Arbitrary<LocalFunction> = fc
  .record({
    domain: word,
    name: word,
    overload: fc.oneof(fc.constant(''), word),
    body: graphParts(1, [], true).map(buildGraph),
    opsets,
    attributes: fc.uniqueArray(word, { maxLength: 3 }),
    defaults: fc.uniqueArray(fc.tuple(word, plainAttribute), { maxLength: 2, selector: ([name]) => name }),
  })
  .map(({ defaults, ...rest }) => new LocalFunction({ ...rest, attributeDefaults: new Map(defaults) }));

/** A whole model. Nothing of it means anything; all of it can be said in text. */
export const randomModel: fc.Arbitrary<Model> = fc
  .record({
    graph: graphParts(2, [], false).map(buildGraph),
    irVersion: fc.integer({ min: 1, max: 14 }),
    opsets,
    functions: fc.array(randomFunction, { maxLength: 2 }),
    metadata: fc.dictionary(text, text, { maxKeys: 2, noNullPrototype: true }),
    producer: fc.tuple(text, text),
  })
  .map(({ graph, irVersion, opsets: imports, functions, metadata, producer }) => {
    const model = new Model(graph, { irVersion, opsets: imports });
    model.functions.push(...functions);
    for (const [key, value] of Object.entries(metadata)) model.metadata.set(key, value);
    [model.producerName, model.producerVersion] = producer;
    return model;
  });
