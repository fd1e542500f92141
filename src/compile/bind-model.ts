/** What typed bindings need to know of compiled files: read from the files themselves, and from what reports say. */
import { basename, join } from 'node:path';
import type { BoundModel, BoundPort, BoundVariant, Device } from '../codegen/bound-model.js';
import { QUANTIZED } from '../codegen/element-type.js';
import { QuantcError } from '../errors/error.js';
import type { Model, Value } from '../ir/graph.js';
import { readModel } from '../onnx/read.js';
import { nested } from '../prove.js';
import { scalarQuantization } from '../target/quantized-scalar.js';
import type { ProviderName } from '../target/target.js';
import { providerSettings } from './provider-settings.js';

/** One compiled model, as a report or a manifest tells of it. */
export interface CompiledFile {
  /** Name of the target; of the target and the shape, where there are several: `cpu-x64.long`. */
  readonly target: string;
  readonly precision: string;
  /** Where its files lie at this moment. */
  readonly folder: string;
  /** Paths below that: the model's first, then what lies beside it. */
  readonly files: readonly string[];
  readonly bytes: number;
  /** Session options, as ONNX Runtime spells them. */
  readonly session: Readonly<Record<string, string>>;
  /** Execution provider that the session must name, where it is not the CPU. */
  readonly provider?: ProviderName;
  /** The folder of its own that they will lie in, below that of the manifest; default none. */
  readonly within?: string;
}

/** Devices that run what no provider is named for. */
const ANYWHERE: readonly Device[] = ['node', 'wasm', 'react-native'];

/** Lanes that fused attention needs a subgroup to have; see `targets/webgpu.ts`. */
const FLASH_LANES = 8;

/**
 * Describes files of one model for bindings. Files that take and give the same are one module's; where others differ
 * in names, types or ranks, they come as a module of their own, which the first of their targets is added to the name
 * of. `.tflite` files are left out: ONNX Runtime has no part in them.
 * @param source name of the model that they were compiled from
 * @throws QuantcError E_BINDINGS_TYPE for inputs and outputs that are no tensors, and what `readModel` throws
 */
export function bindModels(name: string, source: string, files: readonly CompiledFile[]): BoundModel[] {
  const groups = new Map<string, { readonly models: Model[]; readonly files: CompiledFile[] }>();
  for (const file of files) {
    if (!/\.onnx$/.test(file.files[0] ?? '')) continue;
    const model = readModel(join(file.folder, file.files[0]!));
    const key = JSON.stringify([model.graph.inputs, model.graph.outputs].map((all) => all.map(signatureOf)));
    const group = groups.get(key) ?? { models: [], files: [] };
    groups.set(key, group);
    group.models.push(model);
    group.files.push(file);
  }
  return [...groups.values()].map((group, index) => {
    const ports = group.models.map(({ graph }) => ({
      inputs: graph.inputs.map(portOf),
      outputs: graph.outputs.map(portOf),
    }));
    const inputs = merged(ports.map((each) => each.inputs));
    return {
      name: index === 0 ? name : `${name}.${group.files[0]!.target}`,
      source,
      inputs,
      outputs: merged(ports.map((each) => each.outputs)),
      variants: group.files.map((file, at) => ({
        ...variantOf(file, group.models[at]!),
        ...narrowerThan(inputs, ports[at]!.inputs),
      })),
    };
  });
}

/** What two files must have in common to be of one module. */
const signatureOf = (value: Value) => {
  const { type } = value;
  return [value.name, type?.kind, type?.kind === 'tensor' ? [type.dtype, type.shape?.length] : null];
};

/** @throws QuantcError E_BINDINGS_TYPE */
function portOf(value: Value): BoundPort {
  const { type, name } = value;
  if (type?.kind !== 'tensor') {
    throw new QuantcError(
      'E_BINDINGS_TYPE',
      `it is no tensor but a ${type?.kind ?? 'value of unknown type'}`,
      {
        place: { value: name },
        hint: "ONNX Runtime passes tensors alone to and from JavaScript; build without bindings, or change the model's ports.",
      },
    );
  }
  const quantization = quantizationOf(value);
  return {
    ...{ name, dtype: type.dtype, dims: type.shape?.map((dim) => (dim === undefined ? null : dim)) ?? null },
    ...(value.constant !== undefined && value.isInput && { optional: true }),
    ...(quantization && { quantization }),
  };
}

/** One scale and one zero point that an integer port is read or made with. */
function quantizationOf(value: Value): BoundPort['quantization'] {
  if (value.dtype === undefined || !QUANTIZED.includes(value.dtype)) return undefined;
  const made = value.producer?.is('QuantizeLinear') ? [value.producer] : [];
  const read = value.uses
    .filter(({ node, index }) => node.is('DequantizeLinear') && index === 0)
    .map(({ node }) => node);
  const found = [...made, ...read].map(scalarQuantization);
  const [first] = found;
  const agree = found.every((each) => each?.scale === first?.scale && each?.zeroPoint === first?.zeroPoint);
  return first && agree ? { scale: first.scale, zeroPoint: first.zeroPoint } : undefined;
}

/** Ports of several files as one: sizes on which they do not agree are open, and so is what quantizes them. */
function merged(all: readonly (readonly BoundPort[])[]): BoundPort[] {
  const [first = [], ...others] = all;
  return first.map((port, index) => {
    const rest = others.map((each) => each[index]!);
    const dims =
      port.dims?.map((dim, axis) => {
        const sizes = [dim, ...rest.map((each) => each.dims![axis]!)];
        if (sizes.every((each) => each === dim)) return dim;
        return sizes.find((each) => typeof each === 'string') ?? null;
      }) ?? null;
    const alike = rest.every(
      ({ quantization }) =>
        quantization?.scale === port.quantization?.scale &&
        quantization?.zeroPoint === port.quantization?.zeroPoint,
    );
    const { quantization, optional: _optional, ...plain } = port;
    return {
      ...{ ...plain, dims },
      ...(alike && quantization && { quantization }),
      ...([port, ...rest].every(({ optional }) => optional) && { optional: true }),
    };
  });
}

/** Inputs whose sizes a file fixes and the module does not. */
function narrowerThan(
  inputs: readonly BoundPort[],
  own: readonly BoundPort[],
): Pick<BoundVariant, 'narrower'> {
  const narrower = own.filter((port, index) =>
    port.dims?.some((dim, axis) => typeof dim === 'number' && dim !== inputs[index]!.dims![axis]),
  );
  if (narrower.length === 0) return {};
  return { narrower: Object.fromEntries(narrower.map(({ name, dims }) => [name, dims!])) };
}

function variantOf(file: CompiledFile, model: Model): Omit<BoundVariant, 'narrower'> {
  const { target: name, precision, bytes, session, provider, within } = file;
  const placed = (path: string): string => [...(within ? [within] : []), ...path.split(/[\\/]/)].join('/');
  const [main = '', ...beside] = file.files;
  const external = beside.filter((each) => basename(each).includes('.onnx_data'));
  const half = provider === 'webgpu' && computesInHalf(model);
  const arch = /^cpu-(x64|arm64)/.exec(name)?.[1];
  return {
    ...{ target: name, precision, file: placed(main), externalData: external.map(placed), bytes },
    ...(half && { half }),
    ...(/^webgpu-flash(?:\.|$)/.test(name) && { subgroups: FLASH_LANES }),
    ...(arch !== undefined && { arch }),
    ...runsOn(provider, precision, session),
  };
}

/** Devices of a target, and what their sessions are told. */
function runsOn(
  provider: ProviderName | undefined,
  precision: string,
  entries: Readonly<Record<string, string>>,
): Pick<BoundVariant, 'devices' | 'session' | 'platform'> {
  const extra = Object.keys(entries).length > 0 ? { extra: nested(entries) } : {};
  if (provider === 'webgpu')
    return { devices: ['webgpu'], session: { webgpu: { executionProviders: ['webgpu'], ...extra } } };
  if (provider === undefined) {
    const session = { wasm: { executionProviders: ['wasm'], ...extra }, node: extra, 'react-native': extra };
    return { devices: ANYWHERE, session };
  }
  const settings = providerSettings(provider, precision === 'float' || precision === 'fp16');
  if (settings?.reactNative === undefined) return { devices: [], session: {} };
  const { intraOpNumThreads } = settings;
  const platform = provider === 'coreml' ? 'ios' : provider === 'nnapi' ? 'android' : undefined;
  const own = Object.keys({ ...entries, ...settings.session }).length > 0;
  return {
    devices: ['react-native'],
    session: {
      'react-native': {
        executionProviders: [settings.reactNative, 'cpu'],
        ...(intraOpNumThreads !== undefined && { intraOpNumThreads }),
        ...(own && { extra: nested({ ...entries, ...settings.session }) }),
      },
    },
    ...(platform && { platform }),
  };
}

/** Whether shaders must know float16: values that the file makes or holds are of it. */
function computesInHalf(model: Model): boolean {
  for (const graph of model.graphs()) {
    const ports = [...graph.inputs, ...graph.outputs, ...graph.initializers];
    if (ports.some(({ dtype }) => dtype === 'float16')) return true;
    for (const node of graph.nodes()) if (node.is('Cast') && node.int('to', 0) === FLOAT16) return true;
  }
  return false;
}

/** TensorProto.DataType.FLOAT16. */
const FLOAT16 = 10;
