/**
 * Weights of few different values: each element is stored as its place in a palette, and the weight is looked up by nodes
 * that every ONNX Runtime folds while it loads the model, so that the file shrinks and the running graph is the float one:
 *   W  →  Gather(palette, Cast(places))                                          8 and 4 bits: uint8, uint4
 *   W  →  Gather(palette, Cast(Reshape(BitwiseAnd(BitShift(words, …), mask))))   6, 3, 2 and 1 bits, several a word
 * With palettes for groups of output channels, the first place of a channel's own palette is added to its places.
 */
import {
  addInitializer,
  createNode,
  definePass,
  type Engine,
  exclusionFact,
  type Graph,
  type Model,
  modelDigest,
  type Node,
  nearestTo,
  type PaletteChoice,
  type PassContext,
  PLACE_FORMS,
  packPlaces,
  paletteFact,
  placeBytes,
  removeInitializer,
  replaceAllUses,
  startOf,
  Tensor,
  tensorType,
  type Value,
} from '../src/index.js';
import { WEIGHTS } from './compress-weights.js';
import { type GroupedPalette, paletteFor } from './palettize-weights/grouped.js';

/** Weights of fewer elements stay: what is gained is little, and they are the ones that lose most. */
const LEAST_ELEMENTS = 2048;
/** Samples that costs of errors are taken over. */
const SAMPLES = 64;
/** Costs of all weights are held together, 8 bytes each. */
const MOST_WEIGHTS = 1 << 24;

interface Found {
  readonly weight: Value;
  /** Its axis of output channels. */
  readonly axis: number;
  readonly readers: Node[];
}

export const palettizeWeights = definePass({
  name: 'palettize-weights',
  doc: 'a float weight W → Gather(palette, places): 2^bits values, folded back while the model loads',
  needs: ['typed'],
  async run(model, context) {
    const choice = paletteFact.find(context);
    if (choice === undefined) return;
    const found = weightsOf(model, context);
    const costs = await costsFor(model, found, context);
    for (const each of found) palettize(each, choice, costs?.get(each.weight), context);
    if (PLACE_FORMS[choice.bits].dtype === 'uint32') {
      const { perWord } = PLACE_FORMS[choice.bits];
      const message = `ONNX has no type of ${choice.bits} bits: ${perWord} places are stored in a word of 32, ${(32 / perWord).toFixed(1)} bits each`;
      context.ledger.note('info', 'palette-words', message, this.name);
    }
  },
});

/** Float weights, large enough, of nodes that nobody excluded, in the order of their first readers. */
function weightsOf(model: Model, context: PassContext): Found[] {
  const exclude = exclusionFact.find(context);
  const found = new Map<Value, Found>();
  const refused = new Set<Value>();
  for (const graph of model.graphs()) {
    for (const node of graph.nodes()) {
      for (const [index, axis] of (node.domain === '' && WEIGHTS[node.opType]?.(node)) || []) {
        const weight = node.inputs[index];
        if (!weight?.isConstant || weight.isOutput || weight.constant!.dtype !== 'float') continue;
        const { count, shape } = weight.constant!;
        const reason =
          exclude?.(node) ?? (count < LEAST_ELEMENTS || axis >= shape.length ? 'it is small' : undefined);
        if (reason !== undefined) {
          context.decline(reason, node);
          refused.add(weight);
        }
        const known = found.get(weight);
        if (known) known.readers.push(node);
        else found.set(weight, { weight, axis, readers: [node] });
      }
    }
  }
  return [...found.values()].filter(({ weight, readers }) => {
    if (refused.has(weight)) return false;
    const finite = weight.constant!.toFloat32().every(Number.isFinite);
    if (!finite) context.decline('not all of its weights are finite', readers[0]!);
    return finite;
  });
}

/** What errors of elements cost, where samples tell. */
async function costsFor(model: Model, found: readonly Found[], { engine, ledger }: PassContext) {
  if (engine.costsOf === undefined) return undefined;
  const own = found.filter(({ weight }) => weight.graph === model.graph).map(({ weight }) => weight);
  const elements = own.reduce((sum, { constant }) => sum + constant!.count, 0);
  const compute = async (): Promise<string | Float64Array[]> => {
    const costs = await engine.costsOf!(model, own, SAMPLES);
    return typeof costs === 'string' ? costs : own.map((weight) => costs.get(weight)!);
  };
  const remember: NonNullable<Engine['remember']> = engine.remember ?? ((_kind, _key, answer) => answer());
  const costs =
    elements > MOST_WEIGHTS
      ? `costs of ${elements} weights take too much memory`
      : await remember(
          'weight-costs',
          [modelDigest(model), engine.samplesDigest?.(SAMPLES), own.map(({ name }) => name)],
          compute,
        );
  if (typeof costs !== 'string') return new Map(own.map((weight, at) => [weight, costs[at]!]));
  ledger.note(
    'info',
    'palette-plain',
    `all weights count alike for their palettes: ${costs}`,
    'palettize-weights',
  );
  return undefined;
}

function palettize(
  { weight, axis, readers }: Found,
  choice: PaletteChoice,
  costs: Float64Array | undefined,
  context: PassContext,
): void {
  const tensor = weight.constant!;
  const palette = paletteFor(tensor, axis, choice, costs);
  const { graph } = weight;
  const name = weight.name;
  const places = placesOf(graph, tensor, name, palette, choice, context);
  const values = addInitializer(graph, Tensor.floats(palette.values), `${name}_palette`);
  const looked = make(
    graph,
    'Gather',
    `${name}_look_up`,
    [values, places],
    { axis: 0 },
    'float',
    tensor.shape,
    context,
  );
  replaceAllUses(weight, looked);
  if (!weight.isInput) removeInitializer(weight);
  const bytesAfter = placeBytes(tensor.count, choice.bits) + 4 * palette.values.length;
  for (const node of readers) {
    context.ledger.record(node, {
      precision: `palette-${choice.bits}`,
      kernel: node.opType,
      bytesBefore: tensor.byteLength,
      bytesAfter,
      reason: `${palette.lossless ? 'its own values' : costs ? 'values by what errors cost' : 'values by squared errors'}, ${palette.groups === 1 ? 'one palette' : `${palette.groups} palettes`}`,
    });
  }
  context.changed(`places of ${choice.bits} bits in a palette`, readers[0]!);
}

/** The nodes behind which each element's place stands, int32, in the weight's shape. */
function placesOf(
  graph: Graph,
  tensor: Tensor,
  name: string,
  { values, channelsAGroup, groups, axis }: GroupedPalette,
  { bits }: PaletteChoice,
  context: PassContext,
): Value {
  const { dtype, perWord } = PLACE_FORMS[bits];
  const { shape, count } = tensor;
  const entries = 2 ** bits;
  const inner = shape.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const groupAt = (at: number): number =>
    groups === 1 ? 0 : Math.floor((Math.floor(at / inner) % shape[axis]!) / channelsAGroup);
  const stored = (from: Float32Array): Uint8Array | Uint32Array => {
    const nearest = Array.from({ length: groups }, (_, group) =>
      nearestTo(values.subarray(group * entries, (group + 1) * entries)),
    );
    return packPlaces(
      Uint8Array.from(from, (value, at) => nearest[groupAt(at)]!(value)),
      bits,
    );
  };
  const words = Math.ceil(count / perWord);
  const packed = Tensor.derive(dtype, perWord === 1 ? shape : [words, 1], [tensor], ([source]) =>
    stored(source!.toFloat32()),
  );
  let places = addInitializer(graph, packed, `${name}_places`);
  const add = (
    opType: string,
    inputs: Value[],
    type: 'uint8' | 'uint32' | 'int32',
    to: readonly number[],
    attributes = {},
  ) => {
    places = make(graph, opType, `${name}_${opType.toLowerCase()}`, inputs, attributes, type, to, context);
  };
  const ints = (numbers: readonly number[]): Value =>
    addInitializer(graph, Tensor.ints(numbers), `${name}_ints`);
  if (perWord > 1) {
    const word = dtype as 'uint8' | 'uint32';
    const constant = (numbers: readonly number[], to: readonly number[]): Value =>
      addInitializer(
        graph,
        Tensor.of(word, to, (word === 'uint8' ? Uint8Array : Uint32Array).from(numbers)),
        `${name}_bits`,
      );
    const shifts = constant(
      Array.from({ length: perWord }, (_, at) => at * bits),
      [perWord],
    );
    add('BitShift', [places, shifts], word, [words, perWord], { direction: 'RIGHT' });
    add('BitwiseAnd', [places, constant([entries - 1], [])], word, [words, perWord]);
    if (words * perWord !== count) {
      add('Reshape', [places, ints([-1])], word, [words * perWord]);
      add('Slice', [places, ints([0]), ints([count])], word, [count]);
    }
    add('Reshape', [places, ints(shape)], word, shape);
  }
  add('Cast', [places], 'int32', shape, { to: 6 });
  if (groups > 1) {
    const first = Int32Array.from(
      { length: shape[axis]! },
      (_, at) => Math.floor(at / channelsAGroup) * entries,
    );
    const spread = shape.map((dim, at) => (at === axis ? dim : 1));
    add(
      'Add',
      [places, addInitializer(graph, Tensor.of('int32', spread, first), `${name}_first`)],
      'int32',
      shape,
    );
  }
  return places;
}

function make(
  graph: Graph,
  opType: string,
  name: string,
  inputs: readonly Value[],
  attributes: Readonly<Record<string, number | string>>,
  dtype: 'float' | 'uint8' | 'uint32' | 'int32',
  shape: readonly number[],
  context: PassContext,
): Value {
  // What comes later stands behind what it reads.
  const last = inputs.find(({ producer }) => producer !== undefined)?.producer;
  const node = createNode(last === undefined ? startOf(graph) : { after: last }, {
    opType,
    inputs,
    attributes,
    outputs: [{ name, type: tensorType(dtype, shape) }],
  });
  context.ledger.record(node, { precision: 'float', reason: 'folded while the model loads' });
  return node.outputs[0]!;
}
