import { expect } from 'chai';
import fc from 'fast-check';
import {
  addGraphOutput,
  addInitializer,
  addInput,
  addOutput,
  createNode,
  freshName,
  Graph,
  inlineGraph,
  type Model,
  moveNode,
  type Node,
  omitOutput,
  outputToInitializer,
  parseModel,
  printGraph,
  type QuantcError,
  removeInitializer,
  removeInput,
  removeNode,
  removeOutput,
  renameValue,
  replaceAllUses,
  replaceNode,
  setAttribute,
  setConstant,
  setGraphOutputs,
  setInput,
  setInputs,
  setType,
  sortTopologically,
  swapNames,
  Tensor,
  tensorType,
  truncateOutputs,
  type Value,
  valuesOf,
  valuesRead,
  verify,
} from '../../src/index.js';

const parse = (graph: string): Model => parseModel(`<ir_version: 10, opset_import: ["": 21]> ${graph}`);
const named = (graph: Graph, name: string): Value =>
  [...valuesOf(graph)].find((value) => value.name === name)!;
const labels = (graph: Graph): string[] => Array.from(graph.nodes(), (node) => node.label);
const codeOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    return (error as QuantcError).code;
  }
  return 'nothing was thrown';
};

const START = `g (bool c, float[2] x, float[2] spare) => (float[2] y, float[2] z) <float[2] w = {1, 2}> {
  a = Add(x, w)
  b, "", more = Split3(a)
  y = If(c) <
    then_branch = t () => (p) <float[2] k = {3, 4}> { q = Mul(a, k)  p = Neg(q) },
    else_branch = e () => (r) { r = If(c) <
      then_branch = tt () => (s) { s = Abs(b) }, else_branch = ee () => (u) { u = Sub(x, w) }> }
  >
  z = Mul(y, b)
}`;

describe('edit: random sequences', () => {
  /** What every edit is chosen by: numbers that pick among whatever there is. */
  type Picks = readonly [number, number, number];
  const pick = <T>(items: readonly T[], by: number): T | undefined => items[by % Math.max(1, items.length)];
  const graphsOf = (model: Model): Graph[] => [...model.graphs()];
  const nodesOf = (model: Model): Node[] => graphsOf(model).flatMap((graph) => [...graph.nodes()]);

  /** What a node at this place of a graph may read: all that was made before it, here and further out. */
  function readable(graph: Graph, before: Node | undefined): Value[] {
    const values = [...graph.inputs, ...[...graph.initializers].filter((value) => !value.isInput)];
    for (const node of graph.nodes()) {
      if (node === before) break;
      values.push(...node.outputs.filter((output) => !output.isOmitted));
    }
    return graph.owner ? [...values, ...readable(graph.owner.graph, graph.owner)] : values;
  }
  const unused = (value: Value): boolean => value.uses.length === 0 && !value.isOutput && !value.isOmitted;

  const EDITS: Readonly<Record<string, (model: Model, picks: Picks) => void>> = {
    createNode(model, [a, b, c]) {
      const graph = pick(graphsOf(model), a)!;
      const anchor = pick([undefined, ...graph.nodes()], b);
      const inputs = [pick(readable(graph, anchor), c), undefined, pick(readable(graph, anchor), c + 1)];
      createNode(anchor ? { before: anchor } : { endOf: graph }, {
        opType: 'Op',
        inputs,
        outputs: ['a', null, ''],
      });
    },
    createBranches(model, [a, b]) {
      const graph = pick(graphsOf(model), a)!;
      const outer = pick(readable(graph, undefined), b)!;
      const branch = (): Graph => {
        const inner = new Graph('made');
        // Names as they stand outside already: they must give way when the branch finds its place.
        const node = createNode({ endOf: inner }, { opType: 'Neg', inputs: [outer], outputs: [outer.name] });
        addGraphOutput(inner, node.outputs[0]!);
        return inner;
      };
      createNode(
        { endOf: graph },
        {
          opType: 'If',
          inputs: [outer],
          attributes: new Map([
            ['then_branch', { kind: 'graph', value: branch() }],
            ['else_branch', { kind: 'graph', value: branch() }],
          ]),
        },
      );
    },
    inlineBranch(model, [a, b]) {
      const node = pick(
        nodesOf(model).filter((each) => each.is('If')),
        a,
      );
      const branch = pick(node?.subgraphs ?? [], b);
      if (node && branch?.nodeCount) replaceNode(node, inlineGraph(branch, { before: node }, []));
    },
    removeNode(model, [a]) {
      const node = pick(
        nodesOf(model).filter((each) => each.outputs.every((out) => out.isOmitted || unused(out))),
        a,
      );
      if (node) removeNode(node);
    },
    replaceAllUses(model, [a, b]) {
      const before = pick(nodesOf(model), a)?.outputs[0];
      if (before === undefined || before.isOmitted) return;
      const after = pick(readable(before.graph, before.producer), b);
      if (after) replaceAllUses(before, after);
    },
    setInput(model, [a, b, c]) {
      const node = pick(nodesOf(model), a);
      if (node) setInput(node, b % 4, pick([undefined, ...readable(node.graph, node)], c));
    },
    setInputs(model, [a, b, c]) {
      const node = pick(nodesOf(model), a);
      if (node)
        setInputs(node, [
          pick(readable(node.graph, node), b),
          undefined,
          pick(readable(node.graph, node), c),
        ]);
    },
    moveAndSort(model, [a, b]) {
      const node = pick(nodesOf(model), a);
      if (node === undefined) return;
      const anchor = pick([...node.graph.nodes()], b)!;
      moveNode(node, b % 2 ? { before: anchor } : { after: anchor });
      expect(sortTopologically(node.graph)).to.equal(true);
    },
    initializers(model, [a, b]) {
      const graph = pick(graphsOf(model), a)!;
      const value = addInitializer(graph, Tensor.floats([1, 2]), pick(['w', 'a', 'new'], b));
      if (b % 3 === 0) removeInitializer(value);
      else setConstant(value, Tensor.ints([b]));
    },
    outputToInitializer(model, [a]) {
      const output = pick(nodesOf(model), a)?.outputs[0];
      if (output && !output.isOmitted) outputToInitializer(output, Tensor.floats([5, 6]));
    },
    outputs(model, [a, b]) {
      const node = pick(nodesOf(model), a);
      if (node === undefined) return;
      addOutput(node, 'more');
      const free = node.outputs.filter(unused);
      if (b % 3 === 0) truncateOutputs(node, node.outputs.length - 1);
      else if (b % 3 === 1) removeOutput(pick(free, b)!);
      else omitOutput(pick(free, b)!);
    },
    names(model, [a, b]) {
      const values = graphsOf(model).flatMap((graph) => [...valuesOf(graph)]);
      renameValue(pick(values, a)!, pick(['x', 'a', 'fresh', 'p'], b)!);
      const graph = pick(graphsOf(model), a)!;
      const own = [...valuesOf(graph)];
      if (own.length > 1) swapNames(own[0]!, own[1]!);
    },
    signature(model, [a, b]) {
      const input = addInput(model.graph, 'x', tensorType('float', [2]));
      if (a % 2) removeInput(input);
      const output = pick([...model.graph.nodes()], b)?.outputs.find((each) => !each.isOmitted);
      if (output === undefined) return;
      setType(output, tensorType('float', [2]));
      addGraphOutput(model.graph, output);
      if (b % 2) setGraphOutputs(model.graph, model.graph.outputs.slice(0, -1));
    },
    dropBranch(model, [a]) {
      const node = pick(
        nodesOf(model).filter((each) => each.subgraphs.length > 0),
        a,
      );
      if (node) setAttribute(node, [...node.attributes.keys()][0]!, undefined);
    },
    exchangeBranches(model, [a, b]) {
      const [from, to] = [pick(nodesOf(model), a), pick(nodesOf(model), b)];
      const attribute = from && [...from.attributes].find(([, each]) => each.kind === 'graph');
      // The branch must see at its new place what it reads, and must not come to hold itself.
      if (!from || !to || from === to || !attribute || from.graph !== to.graph) return;
      const seen = new Set(readable(to.graph, to));
      const inner = new Set(from.subgraphs.flatMap((graph) => [...graph.withSubgraphs()]));
      if ([...valuesRead(from)].some((value) => !seen.has(value) && !inner.has(value.graph))) return;
      setAttribute(to, 'taken', attribute[1]);
      setAttribute(from, attribute[0], undefined);
    },
  };

  it('leave every rule kept', () => {
    const names = Object.keys(EDITS);
    const step = fc.tuple(fc.constantFrom(...names), fc.tuple(fc.nat(999), fc.nat(999), fc.nat(999)));
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 25 }), (steps) => {
        const model = parse(START);
        for (const [name, picks] of steps) {
          EDITS[name]!(model, picks);
          const problems = verify(model);
          if (problems.length > 0)
            throw new Error(`${name}: ${problems[0]!.message}\n${printGraph(model.graph)}`);
        }
      }),
      { numRuns: 400, seed: 3 },
    );
  });
});

describe('edit', () => {
  it('lets what replaces an output take over its place, name and type', () => {
    const model = parse('g (float[2] x) => (float[2] y) { a = Neg(x)  y = Abs(a)  z = Neg(y) }');
    const y = named(model.graph, 'y');
    const { outputs } = createNode(
      { before: y.producer! },
      { opType: 'Relu', inputs: [named(model.graph, 'x')] },
    );
    replaceNode(y.producer!, outputs);
    expect(model.graph.outputs).to.deep.equal(outputs);
    expect(outputs[0]!.name).to.equal('y');
    expect(outputs[0]!.shape).to.deep.equal([2]);
    expect(verify(model)).to.deep.equal([]);
  });

  it('bridges with Identity where the replacement cannot take the place: inputs, constants, outer values, outputs', () => {
    const cases = [
      ['x', 'g (float[2] x) => (float[2] y) { y = Identity(x)  u = Neg(y) }'],
      ['w', 'g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { y = Neg(w) }'],
      // The other output is made later: the bridge must stand behind it.
      ['z', 'g (float[2] x) => (float[2] y, float[2] z) { y = Neg(x)  z = Abs(x) }'],
    ] as const;
    for (const [replacement, text] of cases) {
      const model = parse(text);
      replaceAllUses(named(model.graph, 'y'), named(model.graph, replacement));
      const output = model.graph.outputs[0]!;
      expect(output.name).to.equal('y');
      expect(output.producer!.opType).to.equal('Identity');
      expect(output.producer!.inputs[0]!.name).to.equal(replacement);
      expect(verify(model), text).to.deep.equal([]);
    }
    const inner = parse(`g (bool c, float x) => (float y) {
      y = If(c) <then_branch = t () => (p) { p = Neg(x) }, else_branch = e () => (q) { q = Abs(x) }> }`);
    const p = inner.graph.first!.subgraphs[0]!.outputs[0]!;
    replaceAllUses(p, named(inner.graph, 'x'));
    expect(inner.graph.first!.subgraphs[0]!.outputs[0]!.producer!.opType).to.equal('Identity');
    expect(verify(inner)).to.deep.equal([]);
  });

  it('gives names near the wish, each once, however often they are wished for', () => {
    const model = parse('g (float x) => (float y) { y = Neg(x) }');
    expect([
      freshName(model.graph, 'x'),
      freshName(model.graph, 'x'),
      freshName(model.graph, 'z'),
    ]).to.deep.equal(['x_1', 'x_2', 'z']);
    for (let i = 0; i < 50_000; i++) freshName(model.graph, 'x');
    expect(freshName(model.graph, 'x')).to.equal('x_50003');
  });

  it('keeps a graph that hangs on another node by now, and empties one that hangs nowhere', () => {
    const model = parse(`g (bool c, float x) => (float y) {
      y = If(c) <then_branch = t () => (p) { p = Neg(x) }, else_branch = e () => (q) { q = Abs(x) }> }`);
    const before = model.graph.first!;
    const after = createNode(
      { before },
      { opType: 'If', inputs: [...before.inputs], attributes: before.attributes, outputs: ['y'] },
    );
    replaceNode(before, after.outputs);
    expect(verify(model)).to.deep.equal([]);
    expect(after.subgraphs.map((graph) => graph.nodeCount)).to.deep.equal([1, 1]);
    setAttribute(after, 'else_branch', undefined);
    expect(named(model.graph, 'x').uses.length).to.equal(1);
  });

  it('does not let two nodes share a table of attributes', () => {
    const model = parse('g (float x) => (float y) { y = Neg<k = 1>(x) }');
    const [first] = model.graph.nodes();
    const second = createNode(
      { after: first! },
      { opType: 'Neg', inputs: [...first!.inputs], attributes: first!.attributes },
    );
    setAttribute(second, 'k', 2);
    expect(first!.int('k')).to.equal(1);
  });

  it('refuses what would break links', () => {
    const model = parse(START);
    const other = parse(START);
    const { first } = model.graph;
    expect(codeOf(() => removeNode(first!))).to.equal('F_EDIT_IN_USE');
    expect(codeOf(() => removeInput(named(model.graph, 'x')))).to.equal('F_EDIT_IN_USE');
    expect(codeOf(() => removeInitializer(named(model.graph, 'w')))).to.equal('F_EDIT_IN_USE');
    expect(codeOf(() => truncateOutputs(first!, 0))).to.equal('F_EDIT_IN_USE');
    expect(codeOf(() => moveNode(first!, { endOf: other.graph }))).to.equal('F_EDIT_POSITION');
    expect(codeOf(() => setInput(first!, 0, model.graph.first!.next!.outputs[1]))).to.equal('F_EDIT_OMITTED');
    expect(codeOf(() => addGraphOutput(model.graph, named(other.graph, 'a')))).to.equal('F_EDIT_SCOPE');
    expect(codeOf(() => setConstant(named(model.graph, 'a'), Tensor.ints([1])))).to.equal('F_EDIT_PRODUCER');
    const gone = createNode({ endOf: model.graph }, { opType: 'Neg', inputs: [] });
    removeNode(gone);
    expect(codeOf(() => removeNode(gone))).to.equal('F_EDIT_REMOVED');
    expect(codeOf(() => createNode({ after: gone }, { opType: 'Neg', inputs: [] }))).to.equal(
      'F_EDIT_POSITION',
    );
    expect(verify(model)).to.deep.equal([]);
  });
});

describe('edit: walks', () => {
  const chain = (): Graph => parse('g (float x) => () { a = A(x)  b = B(x)  c = C(x)  d = D(x) }').graph;

  it('go on when the node they stand on, and those beside it, are removed', () => {
    const forwards = chain();
    const seen: string[] = [];
    for (const node of forwards.nodes()) {
      seen.push(node.opType);
      if (node.opType === 'B') {
        removeNode(node.next!);
        removeNode(node);
      }
    }
    expect(seen).to.deep.equal(['A', 'B', 'D']);
    const backwards = chain();
    seen.length = 0;
    for (const node of backwards.nodesBackwards()) {
      seen.push(node.opType);
      if (node.opType === 'C') {
        removeNode(node.previous!);
        removeNode(node);
      }
    }
    expect(seen).to.deep.equal(['D', 'C', 'A']);
  });

  it('see what is put behind the node they stand on', () => {
    const graph = chain();
    const seen: string[] = [];
    for (const node of graph.nodes()) {
      seen.push(node.opType);
      if (node.opType === 'C') createNode({ after: node }, { opType: 'New', inputs: [] });
    }
    expect(seen).to.deep.equal(['A', 'B', 'C', 'New', 'D']);
  });
});

describe('edit: sortTopologically', () => {
  it('moves only what must move, and leaves a sorted graph untouched', () => {
    const sorted = parse('g (float x) => (float y) { [c] c = C(x)  [a] a = A(x)  [y] y = Y(a, c) }').graph;
    const { version } = sorted;
    expect(sortTopologically(sorted)).to.equal(true);
    expect(sorted.version).to.equal(version);
    const graph = parse(
      'g (float x) => (float y) { [one] o = A(x)  [late] y = Y(p, o)  [p] p = P(q)  [q] q = Q(x)  [z] z = Z(x) }',
    ).graph;
    expect(sortTopologically(graph)).to.equal(true);
    expect(labels(graph)).to.deep.equal(['one', 'q', 'p', 'late', 'z']);
  });

  it('orders nodes by what their subgraphs read, and refuses circles without changing anything', () => {
    const graph = parse(`g (bool c, float x) => (float y) {
      [if] y = If(c) <then_branch = t () => (p) { p = Neg(a) }, else_branch = e () => (q) { q = Abs(x) }>
      [a] a = A(x) }`).graph;
    expect(sortTopologically(graph)).to.equal(true);
    expect(labels(graph)).to.deep.equal(['a', 'if']);
    const circle = parse('g (float x) => (float y) { [y] y = Y(a)  [a] a = A(b)  [b] b = B(a) }').graph;
    expect(sortTopologically(circle)).to.equal(false);
    expect(labels(circle)).to.deep.equal(['y', 'a', 'b']);
  });

  it('copes with long chains in reverse, without deep recursion', () => {
    const count = 20_000;
    const lines = Array.from({ length: count }, (_, i) => `v${i + 1} = N(v${i})`).reverse();
    const graph = parse(`g (float v0) => (float v${count}) { ${lines.join('\n')} }`).graph;
    expect(sortTopologically(graph)).to.equal(true);
    expect(graph.first!.outputs[0]!.name).to.equal('v1');
    expect(graph.last!.outputs[0]!.name).to.equal(`v${count}`);
  });
});
