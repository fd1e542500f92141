import { expect } from 'chai';
import { originalNames, shortenNames } from '../../passes/shorten-names.js';
import { encodeModel, Ledger, parseModel, runPipeline, verify } from '../../src/index.js';
import { compareOutputs } from '../../src/runtime/compare.js';
import { createEngine } from '../../src/runtime/engine.js';
import { filledTensor } from '../../src/text/fill.js';

const model = (size: number) => `<ir_version: 10, opset_import: ["": 21, "local": 1]>
  g (float[N,${size}] the_input_of_the_model, bool choice) => (float[N,${size}] the_output_of_the_model) <
    float[${size},${size}] a_weight_with_a_rather_long_name = ["fill": "normal:1:0:0.1"]
  > {
    ["first/of/all/MatMul"] a = MatMul (the_input_of_the_model, a_weight_with_a_rather_long_name)
    ["then/the/If"] the_result_of_the_if = If (choice) <
      then_branch = t () => (float[N,${size}] inner_result) { ["deep/inside/Relu"] inner_result = Relu (a) },
      else_branch = e () => (float[N,${size}] other_result) { ["deep/outside/Tanh"] other_result = Tanh (a) }
    >
    ["last/of/all"] the_output_of_the_model = local.Twice (the_result_of_the_if)
  }
  <domain: "local", opset_import: ["": 21]>
  Twice (formal_input) => (formal_output) { [sum] formal_output = Add (formal_input, formal_input) }`;

async function shortened(text: string) {
  const before = parseModel(text);
  const after = parseModel(text);
  const facts = new Map<string, unknown>();
  await runPipeline(after, [shortenNames], {
    engine: createEngine(),
    ledger: new Ledger(),
    facts,
    verify: true,
  });
  return { before, after, names: originalNames.find({ facts }) };
}

describe('shorten-names', () => {
  it('keeps the signature, answers the same, and remembers what nodes were called', async () => {
    const { before, after, names } = await shortened(model(8));
    expect(verify(after)).to.deep.equal([]);
    const { inputs, outputs } = after.graph;
    expect([...inputs, ...outputs].map(({ name }) => name)).to.deep.equal([
      'the_input_of_the_model',
      'choice',
      'the_output_of_the_model',
    ]);
    expect(encodeModel(after).length).to.be.below(encodeModel(before).length - 150);
    expect([...names!.values()].sort()).to.deep.equal([
      'deep/inside/Relu',
      'deep/outside/Tanh',
      'first/of/all/MatMul',
      'last/of/all',
      'sum',
      'then/the/If',
    ]);
    const values = new Set(
      [...after.graphs()].flatMap((graph) => [...graph.nodes()].map((node) => node.outputs[0]!.name)),
    );
    for (const name of names!.keys()) expect([...values]).to.include(name);
    const feeds = [0, 1].map((choice) => ({
      the_input_of_the_model: filledTensor('float', [3, 8], 'normal:5', '')!,
      choice: filledTensor('bool', [], `constant:${choice}`, '')!,
    }));
    const session = { threads: 1 };
    const bytes = [encodeModel(before), encodeModel(after)] as const;
    const [output] = await compareOutputs(...bytes, feeds, { reference: session, candidate: session });
    expect(output!.identical).to.equal(true);
  });

  it('leaves names alone where the weights outweigh them', async () => {
    const { after, names } = await shortened(model(256));
    expect(names).to.equal(undefined);
    expect([...after.graph.nodes()].map(({ name }) => name)).to.include('first/of/all/MatMul');
  });
});
