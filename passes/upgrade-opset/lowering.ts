/**
 * The way down from a later opset to 21, which is exact for operators that did not change in between, or whose changes
 * the node makes no use of.
 */
import { type DType, type Node, setAttribute, type Type } from '../../src/index.js';
import { OPERATORS } from './operators.js';

/** What one later version brought: element types, and attributes with the value that means nothing new. */
interface Novelty {
  readonly types?: readonly DType[];
  readonly attributes?: Readonly<Record<string, number | string>>;
  readonly refuse?: (node: Node) => string | undefined;
}

/** What a version brought to the operators that it changed, unless {@link ELSE} knows better. */
const BROUGHT: Readonly<Record<number, Novelty>> = {
  22: { types: ['bfloat16'] },
  23: { types: ['float4e2m1'] },
  24: { types: ['float8e8m0'] },
  25: { types: ['uint2', 'int2'] },
};

const rounding: Novelty = { types: ['float8e8m0'], attributes: { round_mode: 'up' } };
const pool: Novelty = { types: ['bfloat16'], refuse: windowInPadding };

const ELSE: Readonly<Record<string, Novelty>> = {
  'AveragePool 22': pool,
  'Cast 24': rounding,
  'CastLike 24': rounding,
  'Celu 28': { types: ['bfloat16', 'float16', 'double'] },
  'DequantizeLinear 23': { types: ['float4e2m1'], attributes: { output_dtype: 0 } },
  'Dropout 22': { types: ['bfloat16', 'float8e4m3fn', 'float8e4m3fnuz', 'float8e5m2', 'float8e5m2fnuz'] },
  'MaxPool 22': pool,
  'QuantizeLinear 23': {
    types: ['float4e2m1'],
    attributes: { precision: 0 },
    refuse: (node) =>
      node.inputs[0]?.dtype === node.inputs[1]?.dtype
        ? undefined
        : 'its scale has another type than its data',
  },
  'Range 27': { types: ['float16', 'bfloat16'], attributes: { stash_type: 1 } },
  'SplitToSequence 24': { types: ['bfloat16'] },
  'TopK 24': { types: ['bfloat16'] },
};

function novelties(node: Node, from: number): [number, Novelty | undefined][] {
  return (OPERATORS[node.opType] ?? [])
    .map((step) => (typeof step === 'number' ? step : step.version))
    .filter((version) => version > 21 && version <= from)
    .map((version) => [version, ELSE[`${node.opType} ${version}`] ?? BROUGHT[version]]);
}

/** Why `node`, written for opset `from` > 21, is not proven to mean the same at 21; nothing when it is. */
export function refuseLowering(node: Node, from: number): string | undefined {
  const history = OPERATORS[node.opType];
  if (history === undefined) return 'its versions are not known';
  const first = typeof history[0] === 'number' ? history[0] : history[0]!.version;
  if (first > 21) return `it exists from ${first} on`;
  for (const [version, novelty] of novelties(node, from)) {
    // A version past the last one that this table was written for may have changed anything.
    if (novelty === undefined) return `what ${version} changed is not known`;
    const reason = refuseNovelty(node, version, novelty);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

function refuseNovelty(node: Node, version: number, novelty: Novelty): string | undefined {
  for (const [name, neutral] of Object.entries(novelty.attributes ?? {})) {
    const attribute = node.attributes.get(name);
    if (attribute === undefined) continue;
    const value = attribute.kind === 'int' ? Number(attribute.value) : node.string(name);
    if (attribute.kind === 'ref' || value !== neutral) return `it uses ${name} of ${version}`;
  }
  for (const value of [...node.inputs, ...node.outputs]) {
    if (value === undefined || value.isOmitted) continue;
    const dtype = elementType(value.type);
    if (dtype === undefined) return `the type of ${value.name} is unknown, and ${version} took more types`;
    if (novelty.types?.includes(dtype)) return `it takes ${dtype} from ${version} on`;
  }
  return novelty.refuse?.(node);
}

/** Drops attributes that say nothing at 21. */
export function lower(node: Node, from: number): void {
  for (const [, novelty] of novelties(node, from)) {
    for (const name of Object.keys(novelty?.attributes ?? {})) {
      if (node.attributes.has(name)) setAttribute(node, name, undefined);
    }
  }
}

function elementType(type: Type | undefined): DType | undefined {
  if (type === undefined) return undefined;
  if (type.kind === 'tensor' || type.kind === 'sparse') return type.dtype;
  return type.kind === 'sequence' || type.kind === 'optional' ? elementType(type.element) : undefined;
}

/**
 * Pools 22 skip a last window that `ceil_mode` adds and that would start behind the data. Without such a window both
 * versions agree: (outputs − 1) · stride < size + leading pad on every axis.
 */
function windowInPadding(node: Node): string | undefined {
  if (node.int('ceil_mode', 0) === 0) return undefined;
  const sizes = node.inputs[0]?.shape?.slice(2);
  const kernel = node.ints('kernel_shape');
  const stated = node.string('auto_pad', 'NOTSET') === 'NOTSET';
  if (sizes === undefined || kernel === undefined || !stated)
    return 'ceil_mode may add a window behind the data';
  const pads = node.ints('pads', new Array<number>(2 * kernel.length).fill(0));
  for (const [axis, size] of sizes.entries()) {
    const stride = node.ints('strides')?.[axis] ?? 1;
    const reach = (kernel[axis]! - 1) * (node.ints('dilations')?.[axis] ?? 1) + 1;
    const [begin, end] = [pads[axis]!, pads[axis + kernel.length]!];
    const outputs =
      typeof size === 'number' ? Math.ceil((size + begin + end - reach) / stride) + 1 : Number.NaN;
    if (!((outputs - 1) * stride < Number(size) + begin)) return 'ceil_mode may add a window behind the data';
  }
  return undefined;
}
