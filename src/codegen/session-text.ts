/**
 * The part of a bindings module that runs: it chooses a file, has ONNX Runtime open it, and carries tensors in and out.
 * It stands in every module, so that an app depends on nothing but ONNX Runtime.
 */
import type { BoundModel, RuntimeName } from './bound-model.js';
import { literal } from './identifier.js';

/** Types that ONNX Runtime's packages share, as far as they are used; no package need be there to check them. */
export const RUNTIME_TYPES = `/** A package of ONNX Runtime: \`import * as ort from 'onnxruntime-web'\`, -node or -react-native. */
export interface OnnxRuntime {
  readonly InferenceSession: {
    create(path: string, options?: object): Promise<OnnxSession>;
    create(bytes: Uint8Array, options?: object): Promise<OnnxSession>;
  };
  readonly Tensor: new (type: never, data: never, dims: readonly number[]) => object;
}

/** A session of ONNX Runtime, as far as it is used here. */
export interface OnnxSession {
  run(feeds: never): Promise<{ readonly [name: string]: OnnxTensor }>;
  release(): Promise<void>;
}

interface OnnxTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: unknown;
  getData?(): Promise<unknown>;
}

interface Port {
  readonly path: readonly (string | number)[];
  readonly name: string;
  readonly type: ElementType;
  /** -1: any size; null: any rank. */
  readonly dims: readonly number[] | null;
  readonly optional?: boolean;
}

interface Variant {
  readonly target: Target;
  readonly file: string;
  readonly externalData: readonly string[];
  readonly devices: readonly Device[];
  readonly half?: boolean;
  readonly subgroups?: number;
  readonly arch?: string;
  readonly platform?: string;
  readonly session: { readonly [device in Device]?: object };
  readonly narrower?: { readonly [name: string]: readonly number[] };
}

interface Surroundings {
  readonly devices: readonly Device[];
  readonly half: boolean;
  readonly subgroups: number;
  readonly arch: string | undefined;
}
`;

/** Tensors: made, checked, read. */
export const TENSOR_FUNCTIONS = `/**
 * A tensor for an input. Sizes that are known are checked when it is compiled, and the number of elements here.
 * @throws RangeError when there are more elements or fewer than the sizes say
 */
export function tensor<Type extends ElementType, const Dims extends readonly number[]>(
  type: Type,
  data: Elements[Type],
  dims: Dims,
): Tensor<Type, Dims> {
  const count = dims.reduce((product, size) => product * size, 1);
  if (data.length !== count) throw new RangeError(\`[\${dims}] are \${count} elements, and \${data.length} are given\`);
  return { type, data, dims };
}

function at(object: unknown, path: readonly (string | number)[]): unknown {
  let found = object;
  for (const key of path) {
    if (typeof found !== 'object' || found === null) return undefined;
    found = (found as { readonly [key: string | number]: unknown })[key];
  }
  return found;
}

function place(object: object, path: readonly (string | number)[], value: unknown): void {
  let holder = object as { [key: string | number]: unknown };
  path.forEach((key, index) => {
    if (index === path.length - 1) holder[key] = value;
    else holder = (holder[key] ??= typeof path[index + 1] === 'number' ? [] : {}) as typeof holder;
  });
}

function check({ path, type, dims }: Port, given: Tensor<ElementType, readonly number[]>, least: Variant): void {
  const title = path.join('.');
  if (given.type !== type) throw new TypeError(\`\${title}: \${type} is expected, and \${given.type} is given\`);
  const expected = least.narrower?.[title] ?? dims;
  const fits = expected?.length === given.dims.length && expected.every((size, axis) => size < 0 || size === given.dims[axis]);
  if (expected !== null && !fits)
    throw new RangeError(
      \`\${title}: [\${expected.map((size) => (size < 0 ? '?' : size))}] is expected, and [\${given.dims}] is given\`,
    );
  tensor(given.type, given.data, given.dims);
}
`;

const FEATURES = `async function surroundings(options: SessionOptions): Promise<Surroundings> {
  const { navigator, process, window } = globalThis as unknown as {
    readonly navigator?: {
      readonly product?: string;
      readonly gpu?: {
        requestAdapter(): Promise<{
          readonly features: { has(name: string): boolean };
          readonly info?: { readonly subgroupMinSize?: number };
        } | null>;
      };
    };
    readonly process?: { readonly versions?: { readonly node?: string }; readonly arch?: string };
    readonly window?: object;
  };
  const { device } = options;
  const none = { half: false, subgroups: 0, arch: undefined };
  if (device === 'node' || (device === undefined && process?.versions?.node !== undefined && window === undefined))
    return { ...none, devices: ['node'], arch: process?.arch };
  if (device === 'react-native' || (device === undefined && navigator?.product === 'ReactNative'))
    return { ...none, devices: ['react-native'] };
  if (device === 'wasm') return { ...none, devices: ['wasm'] };
  const adapter = await navigator?.gpu?.requestAdapter();
  const half = adapter?.features.has('shader-f16') ?? false;
  const subgroups = adapter?.info?.subgroupMinSize ?? 0;
  if (device === 'webgpu') return { half, subgroups, arch: undefined, devices: ['webgpu'] };
  return { half, subgroups, arch: undefined, devices: adapter ? ['webgpu', 'wasm'] : ['wasm'] };
}

/** The file for the device: one that asks for more, where the device has it, before one that asks for less. */
function choose(options: SessionOptions, found: Surroundings): { readonly variant: Variant; readonly device: Device } {
  for (const device of found.devices) {
    const fitting = VARIANTS.filter(
      ({ target, devices, half, subgroups, platform }) =>
        devices.includes(device) &&
        (options.target === undefined || target === options.target) &&
        (options.target !== undefined || platform === undefined || platform === options.platform) &&
        (!half || found.half) &&
        (subgroups ?? 0) <= found.subgroups,
    );
    const variant = fitting.find(({ arch }) => arch !== undefined && arch === found.arch) ?? fitting[0];
    if (variant) return { variant, device };
  }
  const asked = options.target === undefined ? '' : \` for target \${options.target}\`;
  throw new Error(
    \`no file\${asked} runs on \${found.devices.join(' or ')}; there are \${VARIANTS.map(({ target }) => target).join(', ')}\`,
  );
}

function located(files: SessionOptions['files'], file: string): Place | Promise<Place> {
  if (typeof files === 'function') return files(file);
  if (typeof files === 'string') return files.replace(/\\/?$/, '/') + file;
  return files.href.replace(/\\/?$/, '/') + file.split('/').map(encodeURIComponent).join('/');
}

/** ONNX Runtime opens files in Node by their paths. */
function pathOf(found: Place, device: Device): string | Uint8Array {
  const text = typeof found === 'object' && 'href' in found ? found.href : found;
  if (typeof text !== 'string' || device === 'webgpu' || device === 'wasm' || !text.startsWith('file:')) return text;
  return decodeURIComponent(text.replace(/^file:\\/\\/(?:\\/(?=[A-Za-z]:))?/, ''));
}
`;

/** Imports written out, so that bundlers see them; each is loaded when it is needed. */
function importText(runtimes: readonly RuntimeName[]): string {
  const cases: string[] = [];
  if (runtimes.includes('onnxruntime-web')) {
    cases.push("    case 'webgpu':\n      return import('onnxruntime-web/webgpu');");
    cases.push("    case 'wasm':\n      return import('onnxruntime-web/wasm');");
  }
  if (runtimes.includes('onnxruntime-node'))
    cases.push("    case 'node':\n      return import('onnxruntime-node');");
  if (runtimes.includes('onnxruntime-react-native'))
    cases.push("    case 'react-native':\n      return import('onnxruntime-react-native');");
  const missing = `throw new Error(\`give createSession ONNX Runtime for \${device}: { runtime: () => import('…') }\`);`;
  if (cases.length === 0) return '';
  return `
/** ONNX Runtime where the caller gives none. */
function runtimeFor(device: Device): Promise<OnnxRuntime> {
  switch (device) {
${cases.join('\n')}
    default:
      ${missing}
  }
}
`;
}

/** What opens a session. @param model names its types */
export function sessionText(type: string, model: BoundModel, runtimes: readonly RuntimeName[]): string {
  const runtime =
    runtimes.length === 0
      ? "typeof options.runtime === 'function' ? await options.runtime() : options.runtime"
      : "typeof options.runtime === 'function' ? await options.runtime() : (options.runtime ?? (await runtimeFor(device)))";
  return `${FEATURES}${importText(runtimes)}
/**
 * Opens the file of ${literal(model.source).replaceAll('*/', '*\\/')} that suits the device.
 * @throws Error when no file suits it, and what ONNX Runtime throws when it cannot open one
 */
export async function createSession(options: SessionOptions): Promise<${type}Session> {
  const { variant, device } = choose(options, await surroundings(options));
  const ort: OnnxRuntime = ${runtime};
  const web = device === 'webgpu' || device === 'wasm';
  const externalData = web
    ? await Promise.all(
        variant.externalData.map(async (file) => ({
          path: file.slice(file.lastIndexOf('/') + 1),
          data: pathOf(await located(options.files, file), device),
        })),
      )
    : [];
  const settings = {
    ...variant.session[device],
    ...(externalData.length > 0 && { externalData }),
    ...options.session,
  };
  const opened = pathOf(await located(options.files, variant.file), device);
  const { InferenceSession } = ort;
  const session =
    typeof opened === 'string'
      ? await InferenceSession.create(opened, settings)
      : await InferenceSession.create(opened, settings);
  return {
    target: variant.target,
    device,
    session,
    async run(inputs) {
      const feeds: [string, object][] = [];
      for (const port of INPUTS) {
        const given = at(inputs, port.path) as Tensor<ElementType, readonly number[]> | undefined;
        if (given === undefined && port.optional) continue;
        if (given === undefined) throw new TypeError(\`input \${port.path.join('.')} is missing\`);
        check(port, given, variant);
        feeds.push([port.name, new ort.Tensor(given.type as never, given.data as never, given.dims)]);
      }
      const found = await session.run(Object.fromEntries(feeds) as never);
      const outputs = {};
      for (const { name, path } of OUTPUTS) {
        const { type, dims, data, getData } = found[name] as OnnxTensor;
        place(outputs, path, { type, dims, data: plain(type, getData ? await getData.call(found[name]) : data) });
      }
      return outputs as ${type}Outputs;
    },
    release: () => session.release(),
  };
}

/** Newer engines give float16 an array of its own; its bits are what is told. */
function plain(type: string, data: unknown): unknown {
  if (type !== 'float16' || data instanceof Uint16Array) return data;
  const { buffer, byteOffset, length } = data as Uint16Array;
  return new Uint16Array(buffer, byteOffset, length);
}
`;
}
