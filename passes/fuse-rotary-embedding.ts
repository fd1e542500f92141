import {
  addConstant,
  createNode,
  definePass,
  type Model,
  maxPositionsFact,
  type Node,
  type PassContext,
  Prober,
  type Rotary,
  type RotaryTable,
  RotaryTables,
  realArray,
  replaceAllUses,
  rotaryAt,
  sameDim,
  Tensor,
  trailingPart,
  type Value,
} from '../src/index.js';
import { discard } from './attention/discard.js';

/** Positions of a table that the model computes as it goes; with more tokens the operator fails. */
const LONGEST = 4096;

/**
 * Where angles are computed from positions, they become a table: the operator reads one. As many rows as the model
 * itself stores, else 4096 or as many as the compilation was asked for.
 */
export const fuseRotaryEmbedding = definePass({
  name: 'fuse-rotary-embedding',
  doc: 'x·cos(θp) + rotate(x)·sin(θp) → com.microsoft.RotaryEmbedding(x, p, cos, sin), its definition',
  needs: ['typed'],
  async run(model, context) {
    const longest = maxPositionsFact.find(context) ?? LONGEST;
    const tables = new RotaryTables(new Prober(model, context.engine), longest);
    const constants = new Map<string, Value>();
    let chosen: number | undefined;
    for (const node of model.graph.nodes()) {
      const rotary = rotaryAt(node);
      if (rotary === undefined) continue;
      const table = await tables.of(rotary);
      const reason = typeof table === 'string' ? table : obstacle(rotary, table);
      if (typeof table === 'string' || reason !== undefined) {
        context.decline(reason!, node);
        continue;
      }
      chosen ??= table.isChosen ? table.positions : undefined;
      context.changed(`turns ${rotary.size} numbers a head: RotaryEmbedding`, node);
      replaceAllUses(rotary.output, emit(model, rotary, table, constants));
      discard(node);
    }
    if (chosen !== undefined) {
      const message = `angles are stored for ${chosen} positions; the model computed them for any`;
      context.ledger.note('info', 'N_ROTARY_POSITIONS', message, 'fuse-rotary-embedding');
    }
    wholeHeads(model, context);
  },
});

function obstacle({ input, cos, size }: Rotary, table: RotaryTable): string | undefined {
  const { shape, dtype } = input;
  if (shape?.length !== 4) return `${input.name} has ${shape?.length ?? 'unknown'} dimensions, not 4`;
  if (dtype !== 'float' && dtype !== 'float16') return `${input.name} is ${dtype ?? 'of an unknown type'}`;
  if (cos.dtype !== dtype) return `angles are ${cos.dtype ?? 'of an unknown type'}, the heads ${dtype}`;
  if (typeof shape[3 - table.tokenAxis] !== 'number') return 'the number of heads is not known';
  if (table.positionIds !== undefined && !sameDim(table.positionIds.shape?.[0], shape[0]))
    return `${table.positionIds.name} holds positions of one sequence for many`;
  return size % 2 === 0 ? undefined : 'the size is odd';
}

function emit(model: Model, rotary: Rotary, table: RotaryTable, constants: Map<string, Value>): Value {
  const { graph } = rotary.last;
  const { dtype, shape } = rotary.input;
  const once = (key: string, make: () => Tensor): Value => {
    const value = constants.get(key) ?? addConstant(model, graph, make(), key.split('/')[0]);
    constants.set(key, value);
    return value;
  };
  const cache = (name: string, which: 'cos' | 'sin'): Value =>
    once(`${name}/${rotary.cos.name}/${rotary.sin.name}/${dtype}`, () => {
      const array = realArray(dtype as 'float', table[which].length);
      for (let i = 0; i < table[which].length; i++) array[i] = table[which][i]!;
      return Tensor.of(dtype!, [table.positions, table.pairs], array);
    });
  const before = { before: rotary.last };
  const make = (opType: string, inputs: (Value | undefined)[], attributes = {}, domain = ''): Value =>
    createNode(before, {
      opType,
      domain,
      inputs,
      attributes,
      outputs: [{ name: rotary.output.name }],
    }).outputs[0]!;
  if (!model.opsets.has('com.microsoft')) model.opsets.set('com.microsoft', 1);
  const positions = positionsOf(table, once, (value) => make('Cast', [value], { to: 7 }));
  const tables = [cache('cos_cache', 'cos'), cache('sin_cache', 'sin')];
  const attributes = rotary.interleaved ? { interleaved: 1 } : {};
  if (table.tokenAxis === 2)
    return make('RotaryEmbedding', [rotary.input, positions, ...tables], attributes, 'com.microsoft');
  // Heads behind tokens: side by side they are the operator's form of three dimensions.
  const heads = shape![2] as number;
  const flat = once(`flat/${heads * rotary.size}`, () => Tensor.ints([0, 0, heads * rotary.size]));
  const apart = once(`apart/${heads}/${rotary.size}`, () => Tensor.ints([0, 0, heads, rotary.size]));
  const joined = make('Reshape', [rotary.input, flat]);
  const turned = make('RotaryEmbedding', [joined, positions, ...tables], attributes, 'com.microsoft');
  return make('Reshape', [turned, apart]);
}

function positionsOf(
  { positionIds }: RotaryTable,
  once: (key: string, make: () => Tensor) => Value,
  cast: (value: Value) => Value,
): Value {
  if (positionIds === undefined) return once('first_position', () => Tensor.ints([0]));
  return positionIds.dtype === 'int64' ? positionIds : cast(positionIds);
}

/** Concat(RotaryEmbedding(first numbers of x), other numbers of x) → RotaryEmbedding<rotary_embedding_dim>(x). */
function wholeHeads(model: Model, context: PassContext): void {
  for (const node of model.graph.nodes()) {
    const rotary = partialAt(node);
    if (rotary === undefined) continue;
    const { turn, whole, size } = rotary;
    context.changed(`turns the first ${size} numbers of each head`, node);
    const heads = whole.shape![1] as number;
    const made = createNode(
      { before: node },
      {
        opType: 'RotaryEmbedding',
        domain: 'com.microsoft',
        inputs: [whole, ...turn.inputs.slice(1)],
        attributes: {
          ...(turn.int('interleaved', 0) === 1 && { interleaved: 1 }),
          num_heads: heads,
          rotary_embedding_dim: size,
        },
        outputs: [{ name: node.outputs[0]!.name, type: whole.type }],
      },
    );
    replaceAllUses(node.outputs[0]!, made.outputs[0]!);
    discard(node);
  }
}

function partialAt(node: Node): { turn: Node; whole: Value; size: number } | undefined {
  if (!node.is('Concat') || node.inputs.length !== 2) return undefined;
  const axis = node.int('axis', 0);
  const [first, rest] = node.inputs as [Value, Value];
  const turn = first.producer;
  if (!turn?.is('RotaryEmbedding', 'com.microsoft') || turn.int('rotary_embedding_dim', 0) !== 0)
    return undefined;
  const [head, tail] = [trailingPart(turn.inputs[0]!), trailingPart(rest)];
  if (head === undefined || tail === undefined || head.of !== tail.of) return undefined;
  const { shape } = head.of;
  if (shape?.length !== 4 || typeof shape[1] !== 'number') return undefined;
  if (axis !== -1 && axis !== 3) return undefined;
  const fits =
    head.start === 0 &&
    head.step === 1 &&
    tail.step === 1 &&
    tail.start === head.end &&
    tail.end === shape[3];
  return fits ? { turn, whole: head.of, size: head.end } : undefined;
}
