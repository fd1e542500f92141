/**
 * What an execution provider demands of a graph before it takes it, where it takes a graph whole or in pieces: its
 * operators and its rules, each with the place that it was read from. `verdict.ts` applies them.
 */
import type { Node } from '../ir/graph.js';

/**
 * What a provider takes or leaves as one: a node with the DequantizeLinear nodes that it reads and the QuantizeLinear
 * nodes that read it, as ONNX Runtime's selectors group them; or a node by itself. A DequantizeLinear that goes straight
 * into a QuantizeLinear of another type is one too: `node` is the QuantizeLinear then, and dequantizes its input.
 */
export interface NodeUnit {
  readonly node: Node;
  /** For each input the DequantizeLinear that gives it; undefined where it is not dequantized. */
  readonly dequantizes: readonly (Node | undefined)[];
  /** For each output the QuantizeLinear that alone reads it; undefined where there is none. */
  readonly quantizes: readonly (Node | undefined)[];
  /** A Relu or Clip between the node and its QuantizeLinear, which the range of the integers makes redundant. */
  readonly absorbed?: Node;
}

/** One demand. */
export interface ProviderRule {
  /** Stable, as reports show it: the provider and what is demanded, `qnn/static-shapes`. */
  readonly id: string;
  /** The demand in one line. */
  readonly doc: string;
  /** Where it stands: a file of the provider's source, or a section of its documentation. */
  readonly source: string;
  /** The pass or option that mends a node which breaks it; absent where nothing here does. */
  readonly mend?: string;
  /** Operators that it looks at (`com.microsoft:Gelu` outside ai.onnx); default all. */
  readonly ops?: readonly string[];
  /** True where the unit obeys, else in which way it does not. */
  readonly check: (unit: NodeUnit) => true | string;
}

/** A provider as data. */
export interface ProviderTable {
  readonly provider: 'qnn' | 'coreml' | 'nnapi' | 'xnnpack' | 'litert';
  /** Operators that it has builders for, spelt as in `ProviderRule.ops`. */
  readonly operators: ReadonlySet<string>;
  /** Where the list of operators stands. */
  readonly source: string;
  /** All of them must hold for every node that it takes. */
  readonly rules: readonly ProviderRule[];
  /** It reads DequantizeLinear → node → QuantizeLinear as one unit; where not, Q and DQ are operators like others. */
  readonly readsUnits: boolean;
  /** It takes nodes of subgraphs, too; default only those of the main graph. */
  readonly subgraphs?: boolean;
  /** Operators that it gives back where a partition consists of one such node and nothing else. */
  readonly notAlone?: readonly string[];
  /**
   * Sessions for it fold DequantizeLinear of constants while they load (`session.disable_quant_qdq`), so that it never
   * sees them; default false. Rules ask `constantAtLoad` of a value, then, rather than `isConstant`.
   */
  readonly foldsDequantized?: boolean;
}

/** How tables spell an operator: `Conv`, `com.microsoft:Gelu`. Q and DQ of com.microsoft are those of ai.onnx. */
export const operatorName = ({ domain, opType }: Node): string =>
  domain === '' || isQuantizer(domain, opType) ? opType : `${domain}:${opType}`;

const isQuantizer = (domain: string, opType: string): boolean =>
  domain === 'com.microsoft' && (opType === 'QuantizeLinear' || opType === 'DequantizeLinear');

/** QuantizeLinear, of either domain. */
export const isQuantize = (node: Node | undefined): node is Node =>
  node !== undefined && operatorName(node) === 'QuantizeLinear';

/** DequantizeLinear, of either domain. */
export const isDequantize = (node: Node | undefined): node is Node =>
  node !== undefined && operatorName(node) === 'DequantizeLinear';
