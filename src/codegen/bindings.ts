/** A compiled model as a TypeScript module: its inputs and outputs as types, and what opens and runs it. */
import type {
  InterfaceDeclarationStructure,
  OptionalKind,
  StatementStructures,
  TypeAliasDeclarationStructure,
} from 'ts-morph';
import type { BoundDim, BoundModel, BoundPort, BoundVariant, Device, RuntimeName } from './bound-model.js';
import { DEVICES, RUNTIMES } from './bound-model.js';
import { elementType, QUANTIZED } from './element-type.js';
import { free, literal, pascalCase, remark } from './identifier.js';
import { HALF_FUNCTIONS, QUANTIZE_FUNCTIONS } from './number-text.js';
import { type PortField, type PortTree, portTree } from './port-tree.js';
import { RUNTIME_TYPES, sessionText, TENSOR_FUNCTIONS } from './session-text.js';

/** The module while it is put together. */
interface Page {
  addInterface(structure: OptionalKind<InterfaceDeclarationStructure>): void;
  addTypeAlias(structure: OptionalKind<TypeAliasDeclarationStructure>): void;
  addStatements(texts: readonly string[]): void;
}

export interface BindingsOptions {
  /** Packages that the module imports by itself where it is given none; default none. */
  readonly runtimes?: readonly RuntimeName[];
  /** What made it, for its first line. */
  readonly maker: string;
}

/**
 * The module's text: the same for the same model and options.
 * @throws QuantcError E_BINDINGS_TYPE for an input or output that JavaScript has no type for
 */
export async function bindingsText(model: BoundModel, options: BindingsOptions): Promise<string> {
  const { IndentationText, Project, QuoteKind, StructureKind } = await import('ts-morph');
  const statements: (string | StatementStructures)[] = [];
  const file: Page = {
    addInterface: (each) => statements.push({ kind: StructureKind.Interface, ...each }),
    addTypeAlias: (each) => statements.push({ kind: StructureKind.TypeAlias, ...each }),
    addStatements: (texts) => statements.push(...texts),
  };
  const inputs = portTree(model.inputs, 'input');
  const outputs = portTree(model.outputs, 'output');
  const type = pascalCase(model.name);
  addTypes(file, model);
  addPorts(file, `${type}Inputs`, `Inputs of ${remark(model.source)}.`, inputs);
  addPorts(file, `${type}Outputs`, `Outputs of ${remark(model.source)}.`, outputs);
  addSession(file, type, model, options.runtimes ?? []);
  addQuantization(file, inputs, outputs);
  file.addStatements([
    `\n${portsText('INPUTS', inputs)}`,
    `\n${portsText('OUTPUTS', outputs)}`,
    `\n${variantsText(model, inputs)}`,
    `\n${RUNTIME_TYPES}`,
    `\n${TENSOR_FUNCTIONS}`,
    ...(usesHalf(model) ? [`\n${HALF_FUNCTIONS}`] : []),
    `\n${sessionText(type, model, options.runtimes ?? [])}`,
  ]);
  const project = new Project({
    useInMemoryFileSystem: true,
    skipLoadingLibFiles: true,
    manipulationSettings: { indentationText: IndentationText.TwoSpaces, quoteKind: QuoteKind.Single },
  });
  // All at once: every statement that is added by itself would have the whole parsed again.
  const made = project.createSourceFile('bindings.ts', { statements });
  const head = `// Made by ${remark(options.maker)} of ${remark(model.source)}: what is changed here is lost when it is made again.\n`;
  const linted = '/* eslint-disable */\n// biome-ignore-all lint: made by a program\n';
  return `${head}${linted}\n${made
    .getFullText()
    .replace(/^\n+/, '')
    .replace(/\n{3,}/g, '\n\n')}`;
}

const ports = ({ inputs, outputs }: BoundModel): readonly BoundPort[] => [...inputs, ...outputs];
const usesHalf = (model: BoundModel): boolean => ports(model).some(({ dtype }) => dtype === 'float16');

/** Element types that the model uses, and a tensor of each. */
function addTypes(file: Page, model: BoundModel): void {
  const used = new Map(ports(model).map(({ dtype, name }) => elementType(dtype, name)));
  file.addInterface({
    name: 'Elements',
    isExported: true,
    docs: [`Arrays that hold elements, by type.${used.has('float16') ? ' float16 goes by its bits.' : ''}`],
    properties: [...used].map(([name, array]) => ({ name, type: array, isReadonly: true })),
  });
  file.addTypeAlias({ name: 'ElementType', isExported: true, type: 'keyof Elements' });
  file.addInterface({
    name: 'Tensor',
    isExported: true,
    docs: ['Elements in row-major order, and how many there are along each axis.'],
    typeParameters: [
      { name: 'Type', constraint: 'ElementType' },
      { name: 'Dims', constraint: 'readonly number[]' },
    ],
    properties: [
      { name: 'type', type: 'Type', isReadonly: true },
      { name: 'data', type: 'Elements[Type]', isReadonly: true },
      { name: 'dims', type: 'Dims', isReadonly: true },
    ],
  });
}

/** `float32 [batch, 3, 32, 32]`, for a reader. */
const shapeText = ({ dtype, name, dims }: BoundPort): string =>
  `${elementType(dtype, name)[0]} ${dims === null ? 'of any rank' : `[${dims.map((dim) => dim ?? '?').join(', ')}]`}`;

const dimType = (dim: BoundDim): string => (typeof dim === 'number' ? `${dim}` : 'number');

function portType({ dtype, name, dims }: BoundPort): string {
  const tuple = dims === null ? 'readonly number[]' : `readonly [${dims.map(dimType).join(', ')}]`;
  return `Tensor<'${elementType(dtype, name)[0]}', ${tuple}>`;
}

function docOf({ port }: { readonly port: BoundPort }): string {
  const { quantization: stands } = port;
  const integers = stands && ` It stands for (integer − ${stands.zeroPoint}) × ${stands.scale}.`;
  return `\`${remark(port.name)}\`: ${remark(shapeText(port))}.${integers ?? ''}`;
}

function addPorts(file: Page, name: string, doc: string, { fields }: PortTree): void {
  const member = (each: { readonly property: string; readonly port: BoundPort }) => ({
    ...{ name: each.property, type: portType(each.port), isReadonly: true, docs: [docOf(each)] },
    hasQuestionToken: each.port.optional ?? false,
  });
  const taken = new Set([name]);
  const fieldOf = (field: PortField) => {
    if (field.kind === 'port') return member(field);
    const layer = free(`${name}${pascalCase(field.property)}`, taken);
    file.addInterface({
      ...{ name: layer, isExported: true, docs: [`One of ${field.count} layers.`] },
      properties: field.members.map(member),
    });
    const docs = [`${field.count} layers, in order.`];
    return { name: field.property, type: `readonly ${layer}[]`, isReadonly: true, docs };
  };
  const properties = fields.map(fieldOf);
  file.addInterface({ name, isExported: true, docs: [doc], properties });
}

function addSession(file: Page, type: string, model: BoundModel, runtimes: readonly RuntimeName[]): void {
  const property = (name: string, doc: string, is: string, optional = true) => ({
    ...{ name, docs: [doc], type: is, isReadonly: true, hasQuestionToken: optional },
  });
  const union = (words: readonly string[]): string => words.map(literal).join(' | ') || 'never';
  file.addTypeAlias({
    ...{ name: 'Target', isExported: true, docs: ['Targets that the model was compiled for.'] },
    type: union(model.variants.map(({ target }) => target)),
  });
  const served = DEVICES.filter((device) => model.variants.some(({ devices }) => devices.includes(device)));
  file.addTypeAlias({ name: 'Device', isExported: true, type: union(DEVICES), docs: [deviceDoc(served)] });
  file.addTypeAlias({
    ...{ name: 'Place', isExported: true, type: 'string | { readonly href: string } | Uint8Array' },
    docs: ["Where a file is: a path, a URL, or the file's bytes."],
  });
  const own = runtimes.filter((name) => RUNTIMES[name].some((device) => served.includes(device)));
  const imported = own.length === 0 ? '' : ` Default: ${own.join(', ')}, imported when it is needed.`;
  file.addInterface({
    ...{ name: 'SessionOptions', isExported: true },
    properties: [
      property(
        'files',
        "Where the model's files are: the folder of the manifest or report, by its path or URL; or a function from a file's path in it to its place.",
        'string | { readonly href: string } | ((file: string) => Place | Promise<Place>)',
        false,
      ),
      property(
        'runtime',
        `ONNX Runtime, or what loads it: \`() => import('onnxruntime-web/webgpu')\`.${imported}`,
        'OnnxRuntime | (() => OnnxRuntime | Promise<OnnxRuntime>)',
        own.length > 0,
      ),
      property(
        'device',
        'Where to run; default: WebGPU where there is an adapter, else what there is.',
        'Device',
      ),
      property('target', 'The file to take; default: the one that suits the device best.', 'Target'),
      property(
        'platform',
        'React Native: `Platform.OS`. A file for its chip is taken where there is one.',
        'string',
      ),
      property('session', 'Options for ONNX Runtime, over those that the file wants.', 'object'),
    ],
  });
  file.addInterface({
    ...{ name: `${type}Session`, isExported: true },
    properties: [
      property('target', 'The file that was taken.', 'Target', false),
      property('device', 'Where it runs.', 'Device', false),
      property('session', "ONNX Runtime's own session.", 'OnnxSession', false),
    ],
    methods: [
      {
        ...{ name: 'run', returnType: `Promise<${type}Outputs>`, docs: ['Runs the model once.'] },
        parameters: [{ name: 'inputs', type: `${type}Inputs` }],
      },
      { name: 'release', returnType: 'Promise<void>', docs: ['Gives back what the session holds.'] },
    ],
  });
}

const deviceDoc = (served: readonly Device[]): string =>
  served.length === 0
    ? 'Where a model may run.'
    : `Where a model may run; this one has files for ${served.join(', ')}.`;

/** Scales and zero points of inputs and outputs that are quantized, and what computes with them. */
function addQuantization(file: Page, inputs: PortTree, outputs: PortTree): void {
  const stated = ({ fields }: PortTree) =>
    fields.flatMap((field) => {
      const members = field.kind === 'port' ? [field] : field.members;
      const own = members.flatMap(({ property, port }) => {
        const { quantization, dtype } = port;
        if (quantization === undefined || !QUANTIZED.includes(dtype)) return [];
        return `${property}: { type: '${dtype}', scale: ${quantization.scale}, zeroPoint: ${quantization.zeroPoint} },`;
      });
      if (field.kind === 'port' || own.length === 0) return own;
      return `${field.property}: { ${own.join(' ')} },`;
    });
  const [mine, theirs] = [stated(inputs), stated(outputs)];
  if (mine.length + theirs.length === 0) return;
  const object = (name: string, lines: readonly string[]): string =>
    lines.length === 0 ? `  ${name}: {},` : `  ${name}: {\n    ${lines.join('\n    ')}\n  },`;
  file.addStatements([
    '\n/** How integers of inputs and outputs stand for reals. */',
    `export const quantization = {\n${object('inputs', mine)}\n${object('outputs', theirs)}\n} as const;\n`,
  ]);
  file.addStatements([`\n${QUANTIZE_FUNCTIONS}`]);
}

const sizes = (dims: readonly BoundDim[] | null): string =>
  dims === null ? 'null' : `[${dims.map((dim) => (typeof dim === 'number' ? dim : -1)).join(', ')}]`;

function portsText(constant: string, { placed }: PortTree): string {
  const lines = placed.map(({ path, port }) => {
    const keys = path.map((key) => (typeof key === 'number' ? `${key}` : literal(key))).join(', ');
    const [type] = elementType(port.dtype, port.name);
    const optional = port.optional ? ', optional: true' : '';
    return `  { path: [${keys}], name: ${literal(port.name)}, type: '${type}', dims: ${sizes(port.dims)}${optional} },\n`;
  });
  return `const ${constant}: readonly Port[] = [\n${lines.join('')}];`;
}

function variantsText({ variants }: BoundModel, { placed }: PortTree): string {
  // Those that ask for more, or are for one kind of device alone, come first: they are taken where it is there.
  const wishes = ({ half, subgroups, platform, devices }: BoundVariant): number =>
    [half, subgroups !== undefined, platform !== undefined, devices.length === 1].filter(Boolean).length;
  const inOrder = [...variants].sort((a, b) => wishes(b) - wishes(a));
  const lines = inOrder.map((variant) => {
    const { file, externalData, devices, half, subgroups, arch, platform, session, narrower } = variant;
    const own = placed.flatMap(({ path, port }) => {
      const dims = narrower && Object.hasOwn(narrower, port.name) ? narrower[port.name]! : undefined;
      return dims === undefined ? [] : [`${literal(path.join('.'))}: ${sizes(dims)}`];
    });
    return [
      `  {`,
      `    target: ${literal(variant.target)},`,
      `    file: ${literal(file)},`,
      `    externalData: [${externalData.map(literal).join(', ')}],`,
      `    devices: [${devices.map(literal).join(', ')}],`,
      ...(half ? ['    half: true,'] : []),
      ...(subgroups === undefined ? [] : [`    subgroups: ${subgroups},`]),
      ...(arch === undefined ? [] : [`    arch: ${literal(arch)},`]),
      ...(platform === undefined ? [] : [`    platform: ${literal(platform)},`]),
      `    session: ${plainText(session)},`,
      ...(own.length === 0 ? [] : [`    narrower: { ${own.join(', ')} },`]),
      `  },`,
    ].join('\n');
  });
  return `const VARIANTS: readonly Variant[] = [\n${lines.join('\n')}\n];`;
}

/** Plain data as an expression. */
function plainText(value: unknown): string {
  if (typeof value === 'string') return literal(value);
  if (Array.isArray(value)) return `[${value.map(plainText).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  const entries = Object.entries(value).map(([key, each]) => `[${literal(key)}]: ${plainText(each)}`);
  return entries.length === 0
    ? '{}'
    : `{ ${entries.map((each) => each.replace(/^\['([A-Za-z]\w*)'\]/, '$1')).join(', ')} }`;
}
