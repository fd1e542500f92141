import { expect } from 'chai';
import fc from 'fast-check';
import {
  cloneModel,
  createNode,
  inlineGraph,
  parseModel,
  replaceNode,
  setAttribute,
  valuesOf,
  verify,
} from '../../src/index.js';
import { equalModels } from '../../src/text/equal.js';
import { printModel } from '../../src/text/print.js';
import { randomModel } from '../text/random-model.js';

const header = '<ir_version: 10, opset_import: ["": 21, "f": 1]>';
const text = `${header} g (bool c, float[2] x) => (float[2] y) <float[2] w = {1, 2}> {
  a = Add(x, w)
  [choice] y = If(c) <
    then_branch = t () => (p) <float[2] k = {3, 4}> { q = Mul(a, k)  p = Neg(q) },
    else_branch = e () => (r) { r = If(c) <then_branch = tt () => (s) { s = Abs(a) }, else_branch = ee () => (u) { u = Neg(w) }> }
  > }`;

describe('cloneModel', () => {
  it('copies everything that text can tell, whatever the model, and whole', () => {
    fc.assert(
      fc.property(randomModel, (model) => {
        const { model: copy, values } = cloneModel(model);
        expect(equalModels(model, copy)).to.equal(undefined);
        const broken = (each: typeof model): number =>
          verify(each).filter(({ code }) => code === 'E_VERIFY_LINK').length;
        expect(broken(copy)).to.equal(broken(model));
        for (const graph of model.graphs()) {
          for (const value of valuesOf(graph)) expect(values.get(value)?.name).to.equal(value.name);
        }
      }),
      { numRuns: 100, seed: 5 },
    );
  });

  it('shares constants, and nothing that can be edited', () => {
    const model = parseModel(text);
    const before = printModel(model);
    const { model: copy, values } = cloneModel(model);
    expect(verify(copy)).to.deep.equal([]);
    const [w] = model.graph.initializers;
    expect(values.get(w!)!.constant).to.equal(w!.constant);
    for (const graph of copy.graphs()) {
      for (const node of [...graph.nodes()]) {
        setAttribute(node, 'mark', 1);
        createNode({ after: node }, { opType: 'Neg', inputs: [...node.inputs] });
      }
    }
    copy.opsets.set('f', 2);
    copy.metadata.set('k', 'v');
    expect(printModel(model)).to.equal(before);
    expect(verify(model)).to.deep.equal([]);
  });
});

describe('inlineGraph', () => {
  it('puts a branch in the place of its node: captures, constants, nested graphs', () => {
    const model = parseModel(text);
    const choice = model.graph.last!;
    for (const branch of [0, 1]) {
      const { model: copy, values } = cloneModel(model);
      const node = values.get(choice.outputs[0]!)!.producer!;
      replaceNode(node, inlineGraph(node.subgraphs[branch]!, { before: node }, []));
      expect(verify(copy)).to.deep.equal([]);
      const operators = Array.from(copy.graph.nodes(), (each) => each.opType);
      expect(operators).to.deep.equal(branch === 0 ? ['Add', 'Mul', 'Neg'] : ['Add', 'If']);
      expect(copy.graph.outputs[0]!.name).to.equal('y');
    }
  });

  it('binds inputs and attributes of a function, and leaves the body as it is', () => {
    const model = parseModel(`${header} g (float x) => (float y) { y = f.half(x) }
      <domain: "f", opset_import: ["": 21]> half <alpha, beta> (a, b) => (d, a) {
        [one] c = Elu<alpha: float = @alpha, beta: int = @beta>(a)  [two] d = Op(c, b, a) }`);
    const call = model.graph.first!;
    const { body } = model.functions[0]!;
    const made = inlineGraph(body, { before: call }, [call.inputs[0]], {
      attribute: (name) => (name === 'alpha' ? { kind: 'float', value: 0.5 } : undefined),
      prefix: 'half/',
    });
    expect(made[1]).to.equal(call.inputs[0]);
    replaceNode(call, made);
    expect(verify(model)).to.deep.equal([]);
    const [elu, op] = model.graph.nodes();
    expect([...elu!.attributes]).to.deep.equal([['alpha', { kind: 'float', value: 0.5 }]]);
    expect([elu!.name, op!.name]).to.deep.equal(['half/one', 'half/two']);
    expect(op!.inputs).to.deep.equal([elu!.outputs[0], undefined, model.graph.inputs[0]]);
    expect(body.nodeCount).to.equal(2);
    expect(body.inputs[0]!.uses.length).to.equal(2);
  });
});
