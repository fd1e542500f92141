/** Graphs that break one rule each, as text: a legal graph, and what is changed in it. */

import type { Model } from '../../../src/index.js';
import { parseModel } from '../../../src/index.js';

export interface BrokenCase {
  /** Id of the rule that the changed graph breaks. */
  readonly rule: string;
  readonly legal: string;
  readonly broken: string;
  /** The broken graph before anybody quantized it, where Q and DQ are not what is broken. */
  readonly float?: string;
  /** The one target whose provider has such an operator; default all of the provider. */
  readonly only?: string;
}

/** Text, and what is written in its place. */
export type Change = readonly [from: string, to: string];

const HEADER = '<ir_version: 10, opset_import: ["": 21, "com.microsoft": 1]>\ngraph ';

/** A graph's text with what may be abbreviated in cases: `= N` is filled with small normal numbers. */
export const graphText = (body: string): string =>
  HEADER + body.replaceAll('= N', '= ["fill": "normal:1:0:0.1"]');

/** A case from the body of a legal graph. @throws Error where a change finds nothing to change */
export function changed(rule: string, legal: string, ...changes: readonly Change[]): BrokenCase {
  const broken = changes.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`${rule}: there is no "${from}" in ${text}`);
    return text.replace(from, to);
  }, legal);
  return { rule, legal: graphText(legal), broken: graphText(broken) };
}

/** The model of a text. */
export const modelOf = (text: string): Model => parseModel(text);

/** How a tensor is quantized. */
export interface Grid {
  readonly type?: string;
  /** Elements of the scale, with its type: a scalar where there is one. */
  readonly scale?: string;
  readonly zero?: string;
  /** Number of scales; default one, as a scalar. */
  readonly scales?: number;
  /** Attributes of DequantizeLinear and QuantizeLinear. */
  readonly attributes?: string;
  /** The scale comes from the caller. */
  readonly computed?: boolean;
}

/** Data from the caller, quantized; a constant, dequantized; or anything that stands in the graph as it is. */
export type Operand =
  | ({ readonly from: 'caller' | 'constant'; readonly shape: string } & Grid)
  | { readonly from: 'raw'; readonly declared: string };

/** One node between Q and DQ. */
export interface QuantizedGraph {
  /** A line of the textual syntax; outputs are named as in `gives`. */
  readonly node: string;
  readonly reads: Readonly<Record<string, Operand>>;
  /** A grid where the output is quantized, else the type of what leaves the graph. */
  readonly gives: Readonly<Record<string, Grid | string>>;
  /** Further constants. */
  readonly values?: string;
  /** Further lines, before and behind. */
  readonly before?: string;
  readonly behind?: string;
}

export const data = (shape: string, grid: Grid = {}): Operand => ({ from: 'caller', shape, ...grid });
export const weight = (shape: string, grid: Grid = {}): Operand => ({
  from: 'constant',
  shape,
  type: 'int8',
  zero: '0',
  ...grid,
});
export const bias = (shape: string, grid: Grid = {}): Operand =>
  weight(shape, { type: 'int32', scale: '0.01', ...grid });
/** An input of the graph that nothing quantizes. */
export const raw = (declared: string): Operand => ({ from: 'raw', declared });

/** Parameters as constants, or the scale as an input: declarations, and operands of Q and DQ. */
function parameters(name: string, { type = 'uint8', scale = '0.1', zero = '128', scales, computed }: Grid) {
  const list = (element: string) => (scales === undefined ? element : Array(scales).fill(element).join(', '));
  const shape = scales === undefined ? '' : `[${scales}]`;
  const values = [`${type}${shape} ${name}_z = {${list(zero)}}`];
  if (!computed) values.push(`float${shape} ${name}_s = {${list(scale)}}`);
  return { values, inputs: computed ? [`float${shape} ${name}_s`] : [], operands: `${name}_s, ${name}_z` };
}

/** The body of a graph. */
export function quantizedText({
  node,
  reads,
  gives,
  values = '',
  before = '',
  behind = '',
}: QuantizedGraph): string {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const constants = values === '' ? [] : [values];
  const lines = [before];
  for (const [name, operand] of Object.entries(reads)) {
    if (operand.from === 'raw') {
      inputs.push(operand.declared);
      continue;
    }
    const { type = 'uint8', attributes = '' } = operand;
    const found = parameters(name, operand);
    constants.push(...found.values);
    inputs.push(...found.inputs);
    if (operand.from === 'caller') {
      inputs.push(`float[${operand.shape}] x_${name}`);
      lines.push(`[q_${name}] ${name}_q = QuantizeLinear ${attributes} (x_${name}, ${found.operands})`);
    } else {
      const low = type.startsWith('u') ? 0 : -5;
      constants.push(`${type}[${operand.shape}] ${name}_q = ["fill": "uniform:2:${low}:5"]`);
    }
    lines.push(`[d_${name}] ${name} = DequantizeLinear ${attributes} (${name}_q, ${found.operands})`);
  }
  lines.push(`[node] ${node}`);
  for (const [name, grid] of Object.entries(gives)) {
    if (typeof grid === 'string') {
      outputs.push(`${grid} ${name}`);
      continue;
    }
    const found = parameters(name, grid);
    constants.push(...found.values);
    inputs.push(...found.inputs);
    lines.push(`[q_${name}] ${name}_q = QuantizeLinear (${name}, ${found.operands})`);
    lines.push(`[d_${name}] y_${name} = DequantizeLinear (${name}_q, ${found.operands})`);
    outputs.push(`float[] y_${name}`);
  }
  return `(${inputs.join(', ')}) => (${outputs.join(', ')}) <${constants.join(', ')}> {\n ${[...lines, behind].filter((line) => line !== '').join('\n ')}\n}`;
}

/** The body of the same graph in float. */
function floatText({ node, reads, gives, values = '', before = '', behind = '' }: QuantizedGraph): string {
  const inputs: string[] = [];
  const constants = values === '' ? [] : [values];
  for (const [name, operand] of Object.entries(reads)) {
    if (operand.from === 'raw') inputs.push(operand.declared);
    else if (operand.from === 'caller') inputs.push(`float[${operand.shape}] ${name}`);
    else constants.push(`float[${operand.shape}] ${name} = N`);
  }
  const outputs = Object.entries(gives).map(
    ([name, type]) => `${typeof type === 'string' ? type : 'float[]'} ${name}`,
  );
  const lines = [before, `[node] ${node}`, behind].filter((line) => line !== '');
  return `(${inputs.join(', ')}) => (${outputs.join(', ')}) <${constants.join(', ')}> {\n ${lines.join('\n ')}\n}`;
}

/** A case from a legal quantized graph; operands and outputs are replaced by name, the rest as a whole. */
export function requantized(
  rule: string,
  legal: QuantizedGraph,
  change: Partial<QuantizedGraph>,
): BrokenCase {
  const reads = { ...legal.reads, ...change.reads };
  const gives = { ...legal.gives, ...change.gives };
  const broken = { ...legal, ...change, reads, gives };
  return {
    rule,
    legal: graphText(quantizedText(legal)),
    broken: graphText(quantizedText(broken)),
    float: graphText(floatText(broken)),
  };
}
