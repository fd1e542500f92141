/** Attributes renamed or with another default, operators renamed, operand types that moved. */
import { createNode, isInteger, setAttribute, setInput, setOperator, tensorType } from '../../src/index.js';
import { type Adapter, boundByCaller } from './step.js';

/** RoiAlign 16 shifts coordinates by half a pixel unless told not to. */
export const unshiftedRegions: Adapter = {
  apply: (node) => setAttribute(node, 'coordinate_transformation_mode', 'output_half_pixel'),
};

const GRID_MODES: Readonly<Record<string, string>> = { bilinear: 'linear', bicubic: 'cubic' };

/** GridSample 20 names its modes without the number of axes. */
export const gridModes: Adapter = {
  refuse: (node) => boundByCaller(node, 'mode'),
  apply(node) {
    const mode = node.string('mode');
    if (mode !== undefined) setAttribute(node, 'mode', GRID_MODES[mode] ?? mode);
  },
};

/** Scatter is called ScatterElements from 11 on. */
export const scatterElements: Adapter = {
  becomes: 'ScatterElements',
  apply: (node) => setOperator(node, 'ScatterElements'),
};

/** QuantizeLinear 19 wants the scale in the data's type: int32 data, whose scale is float, is cast. */
export const quantizedFloats: Adapter = {
  refuse: (node) =>
    node.inputs[0]?.dtype === undefined ? 'the element type of its input is unknown' : undefined,
  apply(node) {
    const input = node.inputs[0]!;
    if (input.dtype !== 'int32') return;
    const cast = createNode(
      { before: node },
      {
        opType: 'Cast',
        inputs: [input],
        attributes: { to: 1 },
        outputs: [{ name: `${input.name}_float`, type: tensorType('float', input.shape) }],
      },
    );
    setInput(node, 0, cast.outputs[0]);
  },
};

/** Erf 13 no longer takes integers. */
export const floatErf: Adapter = {
  refuse(node) {
    const dtype = node.inputs[0]?.dtype;
    return dtype !== undefined && isInteger(dtype) ? `Erf takes no ${dtype} from 13 on` : undefined;
  },
};
