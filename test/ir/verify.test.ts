import { expect } from 'chai';
import {
  type Attribute,
  type Graph,
  type Model,
  Node,
  type Problem,
  parseModel,
  Tensor,
  Value,
  verify,
} from '../../src/index.js';

type Open<T> = { -readonly [K in keyof T]: T[K] };
/** Breaks what `ir/edit` keeps whole. */
const open = <T>(object: T): Open<T> => object as Open<T>;

const header = '<ir_version: 10, opset_import: ["": 21, "f": 1]>';
const parse = (graph: string, functions = ''): Model => parseModel(`${header} ${graph} ${functions}`);

const chain = (): Model =>
  parse(`g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> {
    [first] a = Neg(x)  [second] b, "" = Op(a, w)  [third] y = Abs(b) }`);
const branching = (): Model =>
  parse(`g (bool c, float[2] x) => (float[2] y) {
    a = Neg(x)
    [choice] y = If(c) <then_branch = t () => (p) { p = Abs(a) }, else_branch = e () => (p) { p = Neg(a) }> }`);

const nodes = (model: Model): Node[] => [...model.graph.nodes()];
const named = (model: Model, name: string): Value => {
  for (const graph of model.graphs()) {
    for (const node of graph.nodes()) for (const value of node.outputs) if (value.name === name) return value;
  }
  throw new Error(name);
};

/** The codes of a broken model, each once. */
const codes = (model: Model): string[] => [...new Set(verify(model).map((problem) => problem.code))];
const only = (model: Model, code: string): Problem => {
  expect(codes(model)).to.deep.equal([code]);
  return verify(model)[0]!;
};

describe('verify', () => {
  it('accepts whole models', () => {
    expect(verify(chain())).to.deep.equal([]);
    // Branches of one If may use the same names: neither sees the other.
    expect(verify(branching())).to.deep.equal([]);
    const withDefault = parse('g (float[2] x = {1, 2}) => (float[2] y) { y = Neg(x) }');
    expect(verify(withDefault)).to.deep.equal([]);
  });

  describe('links', () => {
    it('finds a use that is not recorded', () => {
      const model = chain();
      open(named(model, 'a')).uses = [];
      const problem = only(model, 'E_VERIFY_LINK');
      expect(problem.message).to.equal('input 0 of second is not among the uses of a');
      expect(problem.place).to.deep.equal({ graph: 'g', node: 'second', value: 'a' });
    });

    it('finds uses that are not so, are recorded twice, or come from nodes that are gone', () => {
      const wrong = chain();
      const a = named(wrong, 'a');
      (a.uses as object[]).push({ node: nodes(wrong)[2]!, index: 0 });
      expect(only(wrong, 'E_VERIFY_LINK').message).to.include('which is not so');

      const twice = chain();
      const uses = named(twice, 'a').uses as object[];
      uses.push(uses[0]!);
      expect(only(twice, 'E_VERIFY_LINK').message).to.include('twice');

      const gone = chain();
      const stranger = new Node(gone.graph, '', 'Neg', 'stranger');
      (named(gone, 'a').uses as object[]).push({ node: stranger, index: 0 });
      expect(only(gone, 'E_VERIFY_LINK').message).to.include('not in the model');
    });

    it('finds values that do not know what makes them', () => {
      for (const change of [
        (value: Open<Value>) => {
          value.producer = undefined;
        },
        (value: Open<Value>) => {
          value.index = 1;
        },
      ]) {
        const model = chain();
        change(open(named(model, 'y')));
        expect(only(model, 'E_VERIFY_LINK').place.value).to.equal('y');
      }
      const foreign = chain();
      open(named(foreign, 'y')).graph = branching().graph;
      expect(codes(foreign)).to.include('E_VERIFY_LINK');
      const constant = chain();
      open(named(constant, 'y')).constant = Tensor.floats([1]);
      expect(only(constant, 'E_VERIFY_LINK').message).to.include('both constant and an output');
    });

    it('finds broken lists of nodes', () => {
      const detached = chain();
      open(nodes(detached)[1]!).attached = false;
      expect(only(detached, 'E_VERIFY_LINK').message).to.include('not linked to its graph');
      const backwards = chain();
      open(nodes(backwards)[2]!).previous = undefined;
      expect(codes(backwards)).to.deep.equal(['E_VERIFY_LINK']);
      const miscounted = chain();
      open(miscounted.graph).nodeCount = 7;
      expect(only(miscounted, 'E_VERIFY_LINK').message).to.equal('7 nodes are counted, 3 are linked');
      const circular = chain();
      open(nodes(circular)[2]!).next = circular.graph.first;
      expect(codes(circular)).to.include('E_VERIFY_LINK');
    });

    it('finds omitted outputs that are read', () => {
      const model = chain();
      const omitted = nodes(model)[1]!.outputs[1]!;
      const third = nodes(model)[2]!;
      (third.inputs as Value[])[0] = omitted;
      open(named(model, 'b')).uses = [];
      (omitted.uses as object[]).push({ node: third, index: 0 });
      expect(codes(model)).to.include('E_VERIFY_LINK');
    });

    it('finds subgraphs of another owner or in two places, and initializers without bytes', () => {
      const twice = branching();
      const attributes = nodes(twice)[1]!.attributes as Map<string, Attribute>;
      attributes.set('again', attributes.get('then_branch')!);
      expect(codes(twice)).to.deep.equal(['E_VERIFY_LINK']);
      const shared = branching();
      const [first] = nodes(shared)[1]!.subgraphs;
      open(first!).owner = nodes(shared)[0];
      expect(codes(shared)).to.include('E_VERIFY_LINK');
      const empty = chain();
      open([...empty.graph.initializers][0]!).constant = undefined;
      expect(only(empty, 'E_VERIFY_LINK').message).to.equal('initializer w has no constant');
    });
  });

  describe('names', () => {
    it('finds two values of one name in a graph, or one around it', () => {
      const same = chain();
      open(named(same, 'a')).name = 'x';
      expect(only(same, 'E_VERIFY_NAME').message).to.equal(
        'two values are named x, the other in the same graph',
      );
      const shadow = branching();
      open(named(shadow, 'p')).name = 'a';
      expect(only(shadow, 'E_VERIFY_NAME').message).to.include(
        'named a, the other in the graph around it (g)',
      );
    });

    it('finds inputs without a name', () => {
      const model = chain();
      open(model.graph.inputs[0]!).name = '';
      expect(codes(model)).to.include('E_VERIFY_NAME');
    });
  });

  describe('scopes and order', () => {
    it('finds reads from branches beside, and from elsewhere', () => {
      const model = branching();
      const [left, right] = nodes(model)[1]!.subgraphs as [Graph, Graph];
      const inner = left.first!.outputs[0]!;
      const reader = right.first!;
      (named(model, 'a').uses as object[]).splice(1, 1);
      (reader.inputs as Value[])[0] = inner;
      (inner.uses as object[]).push({ node: reader, index: 0 });
      const problem = only(model, 'E_VERIFY_SCOPE');
      expect(problem.message).to.equal('Neg(p) reads p, which is not in scope');

      const elsewhere = chain();
      const stray = new Value(elsewhere.graph, 'stray');
      (nodes(elsewhere)[2]!.inputs as Value[])[0] = stray;
      open(named(elsewhere, 'b')).uses = [];
      expect(codes(elsewhere)).to.include('E_VERIFY_SCOPE');
    });

    it('finds outputs that are no value of the graph', () => {
      const model = branching();
      (nodes(model)[1]!.subgraphs[0]!.outputs as Value[])[0] = named(model, 'a');
      expect(only(model, 'E_VERIFY_SCOPE').message).to.equal('output a of the graph is no value of it');
    });

    it('finds nodes that stand before what they read', () => {
      const model = parse('g (float x) => (float y) { [late] y = Neg(a)  [early] a = Abs(x) }');
      expect(only(model, 'E_VERIFY_ORDER').message).to.equal(
        'late reads what early makes, which stands behind it',
      );
      const captured = parse(`g (bool c, float x) => (float y) {
        [choice] y = If(c) <then_branch = t () => (p) { p = Abs(a) }, else_branch = e () => (q) { q = Neg(x) }>
        [early] a = Neg(x) }`);
      expect(only(captured, 'E_VERIFY_ORDER').message).to.include('choice reads what early makes');
    });

    it('finds circles and names their nodes, through subgraphs too', () => {
      const model = parse('g (float x) => (float y) { [one] a = Add(x, b)  [two] b = Neg(a)  y = Abs(b) }');
      expect(only(model, 'E_VERIFY_CYCLE').message).to.equal(
        'nodes read each other in a circle: one → two → one',
      );
      const self = parse('g (float x) => (float y) { [own] y = Add(x, y) }');
      expect(only(self, 'E_VERIFY_CYCLE').message).to.include('own → own');
      const captured = parse(`g (bool c, float x) => (float y) { a = Neg(y)
        [choice] y = If(c) <then_branch = t () => (p) { p = Abs(a) }, else_branch = e () => (q) { q = Neg(x) }> }`);
      expect(codes(captured)).to.deep.equal(['E_VERIFY_CYCLE']);
    });
  });

  describe('types', () => {
    it('wants types of the inputs and outputs of the model', () => {
      const model = parse('g (float x, z) => (y) { y = Add(x, z) }');
      expect(verify(model).map((problem) => problem.message)).to.deep.equal([
        'input z of the model has no type',
        'output y of the model has no type',
      ]);
    });

    it('wants constants to be what their types say', () => {
      for (const type of ['float[3]', 'int32[2]', 'float', 'seq(float[2])']) {
        const model = parse(`g (${type} w) => (float[2] y) <float[2] w = {1, 2}> { y = Neg(w) }`);
        expect(only(model, 'E_VERIFY_TYPE').message).to.include('initializer w is float[2]');
      }
      for (const type of ['float[2]', 'float[N]', 'float[?]', 'float[]']) {
        expect(verify(parse(`g (${type} w = {}) => (float[2] y) { y = Neg(w) }`.replace(' = {}', '')))).to.be
          .empty;
        const model = parse(`g (${type} w) => (float[2] y) <float[2] w = {1, 2}> { y = Neg(w) }`);
        expect(verify(model)).to.deep.equal([]);
      }
    });
  });

  describe('opsets and functions', () => {
    const double = '<domain: "f", opset_import: ["": 21]> double <k: float = 2.0> (a) => (b)';
    const call = 'g (float x) => (float y) { y = f.double(x) }';

    it('wants every domain to be imported, by the function for its body', () => {
      const model = parse('g (float x) => (float y) { y = com.example.Op(x) }');
      expect(only(model, 'E_VERIFY_OPSET').message).to.include('"com.example"');
      const inner = parse(call, `${double} { b = f.other(a) }`);
      expect(only(inner, 'E_VERIFY_OPSET').message).to.include('"f"');
    });

    it('wants references to attributes to name some of the function around', () => {
      expect(verify(parse(call, `${double} { b = Op<alpha: float = @k>(a) }`))).to.deep.equal([]);
      const unknown = parse(call, `${double} { b = Op<alpha: float = @q>(a) }`);
      expect(only(unknown, 'E_VERIFY_FUNCTION').message).to.include('@q, which the function lacks');
      const outside = parse('g (float x) => (float y) { y = Op<alpha: float = @k>(x) }');
      expect(only(outside, 'E_VERIFY_FUNCTION').message).to.include('outside of any function');
    });

    it('wants functions of their own names, that fit their calls and end', () => {
      const body = `${double} { b = Neg(a) }`;
      expect(only(parse(call, body + body), 'E_VERIFY_FUNCTION').message).to.equal(
        'two functions are named f.double',
      );
      const surplus = parse('g (float x) => (float y) { y = f.double(x, x) }', body);
      expect(only(surplus, 'E_VERIFY_FUNCTION').message).to.equal(
        'function double has 1 inputs and 1 outputs, the call 2 and 1',
      );
      const loop = parse(
        call,
        `<domain: "f", opset_import: ["f": 1]> double (a) => (b) { b = f.half(a) }
         <domain: "f", opset_import: ["f": 1]> half (a) => (b) { b = f.double(a) }`,
      );
      expect(only(loop, 'E_VERIFY_FUNCTION').message).to.equal(
        'functions call themselves: double → half → double',
      );
    });

    it('wants no initializers in functions', () => {
      const model = parse(call, `${double} { b = Neg(a) }`);
      const { body } = model.functions[0]!;
      const value = new Value(body, 'w');
      open(value).constant = Tensor.floats([1]);
      (body.initializers as Set<Value>).add(value);
      expect(only(model, 'E_VERIFY_FUNCTION').message).to.include('has an initializer, w');
    });
  });
});
