/** Shape specialization: open dimensions of the inputs become numbers before anything else is done with a model. */
import { QuantcError } from '../errors/error.js';
import { setType, valuesOf } from '../ir/edit.js';
import type { Model, Value } from '../ir/graph.js';
import type { Dim, Type } from '../ir/type.js';
import type { Ledger } from '../pipeline/ledger.js';
import type { Target } from '../target/target.js';

/** Sizes by the name of a dimension, or by `input:axis` for one that has none. */
export type DimSizes = Readonly<Record<string, number>>;

/** A dimension of an input that became a number. */
export interface FixedDim {
  readonly input: string;
  readonly axis: number;
  /** As the model names it; `input:axis` where it does not. */
  readonly dim: string;
  readonly size: number;
}

/**
 * `seq=128` → `['seq', 128]`; the last `=` counts, since names of dimensions may hold one (`past + 1 = total`).
 * @throws QuantcError E_DIM_FORM, E_DIM_SIZE
 */
export function parseDim(text: string): [name: string, size: number] {
  const at = text.lastIndexOf('=');
  const [name, size] = [text.slice(0, at).trim(), text.slice(at + 1).trim()];
  if (at < 1 || name === '')
    throw usage('E_DIM_FORM', `"${text}" is not <dimension>=<size>`, 'For example --dim batch=1.');
  return [name, checkSize(name, /^\d+$/.test(size) ? Number(size) : Number.NaN, size)];
}

function checkSize(name: string, size: number, text = String(size)): number {
  if (Number.isSafeInteger(size) && size > 0) return size;
  throw usage(
    'E_DIM_SIZE',
    `dimension "${name}" cannot be ${text === '' ? 'nothing' : text}`,
    'Sizes are whole numbers from 1 on.',
  );
}

/**
 * Makes the named dimensions of a freshly read model numbers, wherever their names stand in its main graph and
 * subgraphs. Where the target needs every size, a leading dimension that is still open becomes 1, with a note; others
 * that stay open are an error.
 * @returns what was fixed, in the order of the inputs
 * @throws QuantcError E_DIM_UNKNOWN, E_DIM_SIZE, E_DIM_CONFLICT, E_DIM_FIXED, E_DIM_RANK for what cannot be done with
 * `sizes`; E_DIM_OPEN where the target is left without a size
 */
export function specialize(
  model: Model,
  sizes: DimSizes,
  target?: Pick<Target, 'name' | 'staticShapes'>,
  ledger?: Ledger,
): readonly FixedDim[] {
  const all = openDims(model);
  const given = new Map<string, number>();
  for (const [name, asked] of Object.entries(sizes)) {
    const size = checkSize(name, asked);
    const meant = all.filter((each) => each.dim === name || addressOf(each) === name);
    if (meant.length === 0) {
      refuseKnown(model, name, size, all);
      continue;
    }
    for (const { dim } of meant) {
      const before = given.get(dim);
      if (before !== undefined && before !== size) {
        throw usage(
          'E_DIM_CONFLICT',
          `dimension "${dim}" cannot be both ${before} and ${size}`,
          `"${name}" is the same dimension.`,
        );
      }
      given.set(dim, size);
    }
  }
  if (target?.staticShapes) giveBatch(all, given, target.name, ledger);
  const fixed = all.flatMap((each) => {
    const size = given.get(each.dim);
    return size === undefined ? [] : [{ ...each, size }];
  });
  if (fixed.length > 0) setSizes(model, given);
  if (target?.staticShapes) refuseOpen(model, target.name);
  return fixed;
}

/** A leading open dimension is the batch, which is 1 where nothing else is said. */
function giveBatch(all: readonly Open[], given: Map<string, number>, target: string, ledger?: Ledger): void {
  const leading = new Set(all.filter(({ axis, dim }) => axis === 0 && !given.has(dim)).map(({ dim }) => dim));
  for (const dim of leading) {
    given.set(dim, 1);
    ledger?.note(
      'info',
      'dim-default',
      `${target} takes fixed shapes alone: the leading dimension "${dim}" became 1; --dim ${quoted(dim)}=<size> gives it another size`,
    );
  }
}

/** Nothing open has this name: a size that is fixed already, or none at all. */
function refuseKnown(model: Model, name: string, size: number, all: readonly Open[]): void {
  const [, input, digits] = /^(.*):(\d+)$/.exec(name) ?? [];
  const value = model.graph.inputs.find((each) => each.name === input);
  const shape = value?.type?.kind === 'tensor' ? value.type.shape : undefined;
  if (shape === undefined) throw unknown(name, all);
  const axis = Number(digits);
  const present = shape[axis];
  if (present === undefined)
    throw usage(
      'E_DIM_RANK',
      `input "${input}" has ${shape.length} dimensions, none at ${axis}`,
      listed(all),
    );
  if (present !== size)
    throw usage(
      'E_DIM_FIXED',
      `axis ${axis} of input "${input}" is ${present} in the model, not ${size}`,
      listed(all),
    );
}

const unknown = (name: string, all: readonly Open[]) =>
  usage('E_DIM_UNKNOWN', `no input has a dimension "${name}"`, listed(all));

const listed = (all: readonly Open[]): string =>
  all.length === 0
    ? 'The model has fixed shapes: no input has an open dimension.'
    : `Open dimensions: ${[...new Set(all.map(named))].join(', ')}.`;

const quoted = (name: string): string => (/^[\w.:/-]+$/.test(name) ? name : `'${name}'`);

const usage = (code: string, message: string, hint?: string): QuantcError =>
  new QuantcError(code, message, { kind: 'usage', hint });

type Open = Omit<FixedDim, 'size'>;
const addressOf = ({ input, axis }: Open): string => `${input}:${axis}`;
const named = (each: Open): string =>
  each.dim === addressOf(each) ? each.dim : `${each.dim} (${addressOf(each)})`;

const isOpen = (dim: Dim): boolean => typeof dim !== 'number' || dim < 0;

/** Inputs that callers feed: defaults have their sizes. */
const fed = (model: Model): Value[] => model.graph.inputs.filter(({ constant }) => constant === undefined);

/** Every dimension of an input that is no number. Names mean the same size wherever they stand. */
function openDims(model: Model): readonly Open[] {
  return fed(model).flatMap(({ name, type }) => {
    if (type?.kind !== 'tensor') return [];
    return (type.shape ?? []).flatMap((dim, axis) => {
      if (!isOpen(dim)) return [];
      return [{ input: name, axis, dim: typeof dim === 'string' && dim !== '' ? dim : `${name}:${axis}` }];
    });
  });
}

function setSizes(model: Model, given: ReadonlyMap<string, number>): void {
  const inputs = new Set(fed(model));
  // Once every input is fixed, names that only inner values and outputs bear hide numbers that can be inferred.
  const every = openDims(model).every(({ dim }) => given.has(dim));
  for (const graph of model.graph.withSubgraphs()) {
    for (const value of valuesOf(graph)) {
      const own = inputs.has(value);
      const type = sized(value.type, (dim, axis) => {
        if (typeof dim === 'string' && dim !== '') return given.get(dim) ?? (every ? null : dim);
        return own && isOpen(dim) ? (given.get(`${value.name}:${axis}`) ?? dim) : dim;
      });
      if (type !== value.type) setType(value, type);
    }
  }
}

function sized(type: Type | undefined, size: (dim: Dim, axis: number) => Dim): Type | undefined {
  if (type?.kind === 'sequence' || type?.kind === 'optional') {
    const element = sized(type.element, size);
    return element === type.element ? type : { ...type, element };
  }
  if (type?.kind !== 'tensor' || type.shape === undefined) return type;
  const shape = type.shape.map(size);
  return shape.every((dim, axis) => dim === type.shape![axis]) ? type : { ...type, shape };
}

/** @throws QuantcError E_DIM_OPEN where an input has no shape, or a dimension of it no size */
function refuseOpen(model: Model, target: string): void {
  const open = openDims(model);
  const shapeless = fed(model).find(({ type }) => type?.kind !== 'tensor' || type.shape === undefined);
  if (open.length === 0 && shapeless === undefined) return;
  const what = shapeless
    ? `the shape of input "${shapeless.name}" is unknown`
    : `${[...new Set(open.map(({ dim }) => `"${dim}"`))].join(', ')} ${open.length > 1 ? 'have' : 'has'} no size`;
  throw new QuantcError('E_DIM_OPEN', `${target} takes fixed shapes alone, and ${what}`, {
    kind: 'usage',
    place: { value: shapeless?.name ?? open[0]?.input },
    hint: shapeless
      ? 'Declare its shape in the model.'
      : `Give sizes: ${[...new Set(open.map(({ dim }) => `--dim ${quoted(dim)}=<size>`))].join(' ')}. ${listed(open)}`,
  });
}

/**
 * An error about data of another size than was asked for, with what fixed it; other errors as they are.
 * @param fixed what `specialize` answered
 */
export function withDims(error: unknown, fixed: readonly FixedDim[]): unknown {
  if (!(error instanceof QuantcError) || !/^E_DATA_(SHAPE|BATCH|EMPTY|LENGTH)$/.test(error.code))
    return error;
  const { value } = error.place;
  const concerned = fixed.filter(({ input }) => value === undefined || input === value);
  if (concerned.length === 0) return error;
  const sizes = concerned.map(({ input, axis, dim, size }) => `${dim}=${size} (axis ${axis} of "${input}")`);
  const fixing = `Fixed for this compilation: ${sizes.join(', ')}. Give data of these sizes, or other sizes with --dim.`;
  return new QuantcError(error.code, error.message, {
    kind: error.kind,
    place: error.place,
    hint: error.hint === undefined ? fixing : `${error.hint} ${fixing}`,
    cause: error,
  });
}
