import { expect } from 'chai';
import type { GridFacts } from '../../src/quant/grid-use.js';
import { type LayerFacts, suggestions } from '../../src/report/suggestion.js';

const grid = (facts: Partial<GridFacts> = {}): GridFacts => ({
  rounding: 45,
  saturation: 0,
  rangeUse: 0.9,
  cutShare: 0,
  narrowing: 0,
  ...facts,
});
const layer = (name: string, facts: Partial<LayerFacts>): LayerFacts => ({
  name,
  node: `${name}-node`,
  quantized: true,
  from: [],
  sqnr: 20,
  ...facts,
});
const kindsOf = (...layers: LayerFacts[]) =>
  Object.fromEntries([...suggestions(layers)].map(([name, { kind }]) => [name, kind]));

describe('suggestions', () => {
  it('say nothing of layers that are fine', () => {
    expect(kindsOf(layer('a', { sqnr: 35 }), layer('b', { sqnr: Number.POSITIVE_INFINITY }))).to.deep.equal(
      {},
    );
  });

  it('follow from what the rounding does to the values', () => {
    const own = (facts: Partial<GridFacts>, more: Partial<LayerFacts> = {}) =>
      kindsOf(layer('a', { grid: grid({ rounding: 20.5, ...facts }), ...more }));
    expect(own({ cutShare: 0.8, saturation: 0.01 })).to.deep.equal({ a: 'widen' });
    expect(own({ narrowing: 9, rangeUse: 0.2 })).to.deep.equal({ a: 'clip' });
    expect(own({}, { channelSpread: 30 })).to.deep.equal({ a: 'equalize' });
    expect(own({}, { channelSpread: 3 })).to.deep.equal({ a: '16-bit' });
    const text = suggestions([
      layer('a', { grid: grid({ rounding: 20.5, narrowing: 9, rangeUse: 0.2 }) }),
    ]).get('a')!.text;
    expect(text)
      .to.include('20 %')
      .and.match(/gain \d\.\d dB/)
      .and.not.include('\n');
  });

  it('blame the node where its output loses little', () => {
    const found = suggestions([layer('a', { grid: grid() })]).get('a')!;
    expect(found.kind).to.equal('float');
    expect(found.text).to.include("--exclude 'a-node'");
    expect(kindsOf(layer('a', { weightSpread: 50 }))).to.deep.equal({ a: 'equalize' });
    expect(kindsOf(layer('a', { quantized: false }))).to.deep.equal({});
  });

  it('follow an error to where it begins', () => {
    const chain = [
      layer('a', { sqnr: 24, grid: grid() }),
      layer('b', { sqnr: 23, from: ['a'], grid: grid() }),
      // Float, and far worse than what comes in: it magnifies.
      layer('c', { sqnr: 10, from: ['b'], quantized: false }),
      layer('d', { sqnr: 5, from: ['c'], grid: grid() }),
    ];
    const found = suggestions(chain);
    expect([...found].map(([name, { kind, origin }]) => [name, kind, origin])).to.deep.equal([
      ['a', 'float', undefined],
      ['b', 'upstream', 'a-node'],
      ['c', 'upstream', 'a-node'],
      ['d', 'float', undefined],
    ]);
    expect(found.get('c')!.text).to.include('b-node (23.0 dB)').and.include('a-node (24.0 dB)');
    // Where it begins may be fine by itself.
    expect(
      kindsOf(layer('x', { sqnr: 31, grid: grid({ rounding: 31 }) }), layer('y', { sqnr: 29, from: ['x'] })),
    ).to.deep.equal({
      x: '16-bit',
      y: 'upstream',
    });
  });
});
