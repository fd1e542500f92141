/**
 * Arithmetic in 16 bits:
 *   y = Op(x, W)  →  y₁₆ = Op(x₁₆, W₁₆)
 * with a Cast wherever a value of one width is read in the other. Inputs and outputs of the model keep their types unless
 * it is asked otherwise. Float stay: operators whose numbers leave the range or lose too much (statistics of norms,
 * Softmax, powers), those that read constants or values that 16 bits do not hold, and whatever the user excludes; the
 * ledger has the reason.
 */
import {
  addInitializer,
  createNode,
  definePass,
  functionAround,
  type Graph,
  type HalfType,
  halfFact,
  type Model,
  type Node,
  type NodePosition,
  narrowed,
  setAttribute,
  setGraphOutputs,
  setInput,
  setType,
  startOf,
  swapNames,
  targetFact,
  tensorType,
  type Value,
} from '../src/index.js';
import { isRecurrent, staysFloatInput, staysFloatOutput } from './convert-to-half/operators.js';
import { floatNodes } from './convert-to-half/plan.js';
import { storeNarrow } from './convert-to-half/store.js';

/** TensorProto.DataType. */
const CODES: Readonly<Record<HalfType, number>> = { float16: 10, bfloat16: 16 };

export const convertToHalf = definePass({
  name: 'convert-to-half',
  doc: 'float arithmetic → float16 or bfloat16, with Casts at the borders; what 16 bits do not hold stays float',
  needs: ['typed'],
  async run(model, context) {
    const choice = halfFact.find(context);
    if (choice === undefined) return context.decline('nobody asked for 16 bits');
    const { dtype, interfaces } = choice;
    const graphs = [...model.graphs()].filter((graph) => functionAround(model, graph) === undefined);
    const stays = await floatNodes(model, graphs, dtype, context);
    if (!(targetFact.get(context).halves ?? ['float16']).includes(dtype)) {
      storeNarrow(model, dtype, context);
      return;
    }
    // Decided by what they were: types are about to change.
    const nodes = graphs.map((graph) => [...graph.nodes()].filter(readsOrGivesFloat));
    const conversion = new Conversion(model, dtype);
    // Types first: whether a Cast is needed depends on what the other end became.
    for (const graph of graphs) conversion.retype(graph, stays, interfaces);
    for (const own of nodes) {
      for (const node of own) {
        const reason = stays.get(node);
        conversion.connect(node, reason !== undefined);
        const precision = reason === undefined ? dtype : 'float';
        context.ledger.record(node, { precision, ...(reason !== undefined && { reason }) });
        if (reason === undefined) context.changed(`computes in ${dtype}`, node);
      }
    }
    for (const graph of graphs) conversion.restoreOutputs(graph, interfaces);
    storeNarrow(model, dtype, context, isRecurrent);
  },
});

const readsOrGivesFloat = (node: Node): boolean =>
  [...node.inputs, ...node.outputs].some((value) => value?.dtype === 'float');

class Conversion {
  readonly #model: Model;
  readonly #dtype: HalfType;
  /** A value in the other width, by the value. */
  readonly #casts = new Map<Value, Value>();
  readonly #constants = new Map<Value, Value>();

  constructor(model: Model, dtype: HalfType) {
    this.#model = model;
    this.#dtype = dtype;
  }

  /** Gives every value that is computed in 16 bits its new type. */
  retype(graph: Graph, stays: ReadonlyMap<Node, string>, interfaces: boolean): void {
    if (interfaces && graph === this.#model.graph) {
      for (const input of graph.inputs) this.#toHalf(input);
    }
    for (const node of graph.nodes()) {
      if (stays.has(node)) continue;
      node.outputs.forEach((output, index) => {
        if (!staysFloatOutput(node, index)) this.#toHalf(output);
      });
    }
  }

  #toHalf(value: Value): void {
    if (value.dtype === 'float' && value.constant === undefined) {
      setType(value, tensorType(this.#dtype, value.shape));
    }
  }

  /** Lets a node read every input in the width that it computes in. */
  connect(node: Node, float: boolean): void {
    node.inputs.forEach((input, index) => {
      if (input === undefined) return;
      const wanted = float || staysFloatInput(node, index) ? 'float' : this.#dtype;
      if (input.dtype === wanted || (input.dtype !== 'float' && input.dtype !== this.#dtype)) return;
      setInput(node, index, input.isConstant ? this.#constant(input) : this.#cast(input, wanted));
    });
    if (float) return;
    if (node.is('Cast') && node.int('to') === 1) setAttribute(node, 'to', CODES[this.#dtype]);
    const filled = node.is('ConstantOfShape') ? node.tensor('value') : undefined;
    if (node.is('ConstantOfShape') && (filled === undefined || filled.dtype === 'float')) {
      setAttribute(node, 'value', filled ? narrowed(filled, this.#dtype) : undefined);
    }
  }

  /** A constant in 16 bits. Those that came in 16 bits and are read in float are cast like any value. */
  #constant(value: Value): Value {
    if (value.dtype !== 'float') return this.#cast(value, 'float');
    let half = this.#constants.get(value);
    if (half === undefined) {
      half = addInitializer(value.graph, narrowed(value.constant!, this.#dtype), value.name);
      this.#constants.set(value, half);
    }
    return half;
  }

  #cast(value: Value, wanted: 'float' | HalfType): Value {
    let cast = this.#casts.get(value);
    if (cast === undefined) {
      const position: NodePosition = value.producer ? { after: value.producer } : startOf(value.graph);
      const node = createNode(position, {
        opType: 'Cast',
        name: `${value.name}_cast`,
        inputs: [value],
        attributes: { to: wanted === 'float' ? 1 : CODES[wanted] },
        outputs: [{ name: `${value.name}_${wanted}`, type: tensorType(wanted, value.shape) }],
      });
      cast = node.outputs[0]!;
      this.#casts.set(value, cast);
    }
    return cast;
  }

  /** Outputs leave in the type that they were promised in, and under their names. */
  restoreOutputs(graph: Graph, interfaces: boolean): void {
    if (interfaces && graph === this.#model.graph) return;
    const outputs = graph.outputs.map((output) => {
      if (output.dtype !== this.#dtype || output.constant !== undefined) return output;
      const cast = this.#cast(output, 'float');
      return cast;
    });
    const changed = graph.outputs.map((output, at) => [output, outputs[at]!] as const);
    if (changed.every(([before, after]) => before === after)) return;
    setGraphOutputs(graph, outputs);
    for (const [before, after] of new Map(changed)) if (before !== after) swapNames(before, after);
  }
}
