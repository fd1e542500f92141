/** Core ML: what moves, picks, shapes and converts data. */
import { constantAtLoad, type DType, type ProviderRule } from '../src/index.js';
import {
  type Check,
  dataRank,
  every,
  fixedAtLoad,
  inputCount,
  inputIs,
  intIs,
  numbersAt,
  padsNothingOff,
  type rulesOf,
  sizesOf,
  stringIs,
} from './provider-conditions.js';

const IMPL = 'builders/impl';
const CAST: readonly DType[] = ['int32', 'int64', 'float', 'float16', 'bool'];

const castTypes: Check = ({ node }) => {
  const to = node.outputs[0]?.dtype;
  const from = node.inputs[0]?.dtype;
  const strange = [from, to].find((dtype) => dtype === undefined || !CAST.includes(dtype));
  return strange === undefined && from !== undefined && to !== undefined ? true : `from ${from} to ${to}`;
};

/** A single index lets an axis vanish, which takes one axis more on the way. */
const gatheredRank: Check = ({ node }) => {
  const data = node.inputs[0]?.shape?.length;
  const indices = node.inputs[1]?.shape?.length;
  if (data === undefined || indices === undefined) return 'its ranks are unknown';
  if (indices === 0 && data > 4) return `one index into ${data} axes`;
  return data + indices - 1 <= 5 || `it makes ${data + indices - 1} axes`;
};

const indexDepth: Check = ({ node }) => {
  const depth = node.inputs[1]?.shape?.at(-1);
  const rank = node.inputs[0]?.shape?.length;
  return (
    (typeof depth === 'number' && rank !== undefined && depth <= rank) ||
    `indices of ${String(depth)} into ${rank} axes`
  );
};

const noReflection: Check = ({ node }) =>
  node.string('padding_mode', 'zeros') !== 'reflection' ||
  node.int('align_corners', 0) === 1 ||
  'reflection without align_corners';

/** What is mirrored lies along the last two axes, and is shorter than they are. */
const mirrored: Check = ({ node }) => {
  if (node.string('mode', 'constant') !== 'reflect') return true;
  const sizes = sizesOf(node.inputs[0]);
  const pads = numbersAt(node, 1);
  if (sizes === undefined || pads === undefined) return 'its sizes are unknown';
  const axes = node.inputs[3] ? numbersAt(node, 3) : sizes.map((_, axis) => axis);
  if (axes === undefined) return 'its axes are computed';
  for (const [at, each] of axes.entries()) {
    const axis = each < 0 ? each + sizes.length : each;
    const most = Math.max(pads[at]!, pads[at + axes.length]!);
    if (most > 0 && axis < sizes.length - 2) return `it mirrors axis ${axis}`;
    if (most >= sizes[axis]!) return `it mirrors ${most} of ${sizes[axis]}`;
  }
  return true;
};

const newShape: Check = ({ node }) => {
  const shape = numbersAt(node, 1);
  if (shape === undefined) return constantAtLoad(node.inputs[1]) || 'its shape is computed';
  if (shape.length === 0) return 'it makes a scalar';
  if (shape.length > 5) return `it makes ${shape.length} axes`;
  return node.int('allowzero', 0) === 0 || !shape.includes(0) || 'it makes a size of 0';
};

const notScalar: Check = ({ node }) => node.inputs[0]?.shape?.length !== 0 || 'its input is a scalar';

const keepsSome: Check = ({ node }) =>
  !(sizesOf(node.outputs[0])?.includes(0) ?? false) || 'nothing is left of it';

const parts: Check = ({ node }) => {
  const sizes = node.inputs[1] ? numbersAt(node, 1) : undefined;
  if (node.inputs[1] && sizes === undefined) return 'its split is computed';
  const count = sizes?.length ?? node.int('num_outputs', node.outputs.length);
  if (count < 2) return `it makes ${count} part`;
  return !(sizes?.includes(0) ?? false) || 'one of its parts is empty';
};

const unsqueezed: Check = ({ node }) => {
  const rank = node.outputs[0]?.shape?.length;
  return rank === undefined || rank <= 5 || `it makes ${rank} axes`;
};

const repeats: Check = ({ node }) => {
  const counts = numbersAt(node, 1);
  return counts === undefined || counts.every((each) => each >= 1) || `repeats are [${counts}]`;
};

const chosen: Check = ({ node }) => {
  const [, yes, no] = node.inputs;
  const floats = yes?.dtype === 'float' || yes?.dtype === 'float16';
  return (floats && yes?.dtype === no?.dtype) || `it chooses between ${yes?.dtype} and ${no?.dtype}`;
};

const someDims: Check = ({ node }) => !(node.outputs[0]?.shape?.[0] === 0) || 'it gives no sizes';

export const coremlMovementRules = (rule: ReturnType<typeof rulesOf>): readonly ProviderRule[] => {
  const at = (name: string): string => `${IMPL}/${name}_op_builder.cc`;
  return [
    rule('cast-types', `Cast between ${CAST.join(', ')}`, at('cast'), castTypes, { ops: 'Cast' }),
    rule('concat-count', 'Concat of two or more', at('concat'), inputCount(2, Number.POSITIVE_INFINITY), {
      ops: 'Concat',
      mend: 'drop-no-ops',
    }),
    rule(
      'gather-types',
      'Gather from float, float16 or int64',
      at('gather'),
      inputIs(0, 'float', 'float16', 'int64'),
      {
        ops: 'Gather',
      },
    ),
    rule('gather-index-types', 'indices are int32 or int64', at('gather'), inputIs(1, 'int32', 'int64'), {
      ops: 'Gather GatherND',
    }),
    rule('gather-rank', 'Gather makes 5 axes at most', at('gather'), gatheredRank, { ops: 'Gather' }),
    rule(
      'gather-nd-constant',
      'indices of GatherND are constant, as deep as the data at most',
      at('gather_nd'),
      every(fixedAtLoad(1, 'indices'), indexDepth),
      { ops: 'GatherND' },
    ),
    rule('gather-nd-batch', 'GatherND without batch_dims', at('gather_nd'), intIs('batch_dims', 0), {
      ops: 'GatherND',
    }),
    rule(
      'gather-nd-types',
      'GatherND from floats, integers and booleans',
      at('gather_nd'),
      inputIs(0, 'float', 'float16', 'int32', 'int64', 'bool'),
      { ops: 'GatherND' },
    ),
    rule('grid-sample-rank', 'GridSample over images', at('gridsample'), dataRank(4), { ops: 'GridSample' }),
    rule(
      'grid-sample-mode',
      'GridSample is linear',
      at('gridsample'),
      stringIs('mode', 'bilinear', 'bilinear', 'linear'),
      { ops: 'GridSample' },
    ),
    rule(
      'grid-sample-reflection',
      'GridSample reflects with align_corners alone',
      at('gridsample'),
      noReflection,
      {
        ops: 'GridSample',
      },
    ),
    rule(
      'pad-mode',
      'Pad with a constant or by mirroring',
      at('pad'),
      stringIs('mode', 'constant', 'constant', 'reflect'),
      {
        ops: 'Pad',
      },
    ),
    rule(
      'pad-constant',
      'pads are constant, and add',
      at('pad'),
      every(padsNothingOff, fixedAtLoad(2, 'what it pads with')),
      {
        ops: 'Pad',
      },
    ),
    rule('pad-mirror', 'Pad mirrors along the last two axes, less than their size', at('pad'), mirrored, {
      ops: 'Pad',
    }),
    rule('pad-types', 'Pad of float or float16', at('pad'), inputIs(0, 'float', 'float16'), { ops: 'Pad' }),
    rule('reshape-constant', 'the shape of Reshape is constant, of 1 to 5 sizes', at('reshape'), newShape, {
      ops: 'Reshape',
      mend: 'shape-targets',
    }),
    rule('reshape-scalar', 'Reshape of no scalar', at('reshape'), notScalar, { ops: 'Reshape' }),
    rule(
      'shape-types',
      'Shape of float, float16 or integers',
      at('shape'),
      inputIs(0, 'float', 'float16', 'int32', 'int64'),
      {
        ops: 'Shape',
        mend: 'static-shapes',
      },
    ),
    rule('shape-some', 'Shape gives one size at least', at('shape'), someDims, { ops: 'Shape' }),
    rule(
      'slice-constant',
      'starts, ends, axes and steps of Slice are constant',
      at('slice'),
      every(
        fixedAtLoad(1, 'starts'),
        fixedAtLoad(2, 'ends'),
        fixedAtLoad(3, 'axes'),
        fixedAtLoad(4, 'steps'),
      ),
      { ops: 'Slice' },
    ),
    rule(
      'slice-types',
      'Slice of float, float16 or int64',
      at('slice'),
      inputIs(0, 'float', 'float16', 'int64'),
      {
        ops: 'Slice',
      },
    ),
    rule('slice-some', 'Slice leaves something', at('slice'), keepsSome, { ops: 'Slice' }),
    rule('split-parts', 'Split into two or more parts of constant sizes, none empty', at('split'), parts, {
      ops: 'Split',
    }),
    rule(
      'squeeze-constant',
      'axes of Squeeze and Unsqueeze are constant',
      at('squeeze'),
      fixedAtLoad(1, 'axes'),
      {
        ops: 'Squeeze Unsqueeze',
      },
    ),
    rule('unsqueeze-rank', 'Unsqueeze makes 5 axes at most', at('squeeze'), unsqueezed, { ops: 'Unsqueeze' }),
    rule('tile-repeats', 'Tile repeats once or more', at('tile'), repeats, { ops: 'Tile' }),
    rule(
      'tile-types',
      'Tile of floats, integers and booleans',
      at('tile'),
      inputIs(0, 'float', 'float16', 'int32', 'int64', 'bool'),
      { ops: 'Tile' },
    ),
    rule(
      'where-types',
      'Where chooses between floats of one type, by booleans',
      at('where'),
      every(inputIs(0, 'bool'), chosen),
      {
        ops: 'Where',
      },
    ),
  ];
};
