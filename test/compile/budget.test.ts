import { expect } from 'chai';
import fc from 'fast-check';
import { type BudgetTerm, parseBudget } from '../../src/compile/budget/budget.js';
import { QuantcError } from '../../src/index.js';

const one = (text: string): BudgetTerm => parseBudget([text])[0]!;

function failure(...texts: string[]): QuantcError {
  try {
    parseBudget(texts);
  } catch (error) {
    return error as QuantcError;
  }
  return expect.fail(`${texts} was read`);
}

describe('parseBudget', () => {
  it('reads limits of every metric, against the float model and by themselves', () => {
    expect(one('top1>=-0.5%')).to.include({
      metric: 'top1',
      bound: 'least',
      limit: -0.005,
      relative: 'change',
    });
    expect(one('top1 >= 75 %')).to.deep.equal({
      metric: 'top1',
      bound: 'least',
      limit: 0.75,
      text: 'top1 >= 75 %',
    });
    expect(one('sqnr>=20dB')).to.deep.equal({
      metric: 'sqnr',
      bound: 'least',
      limit: 20,
      text: 'sqnr>=20dB',
    });
    expect(one('size<=2MB')).to.include({ metric: 'size', bound: 'most', limit: 2e6 });
    expect(one('size<=1.5MiB')).to.include({ limit: 1.5 * 2 ** 20 });
    expect(one('size<=0.3x')).to.include({ limit: 0.3, relative: 'times' });
    expect(one('LATENCY<=.6X')).to.include({ metric: 'latency', limit: 0.6, relative: 'times' });
    expect(one('latency<=5ms')).to.include({ limit: 5 });
    expect(one('coverage >= 90%')).to.deep.equal({
      metric: 'coverage',
      bound: 'least',
      limit: 0.9,
      text: 'coverage >= 90%',
    });
    expect(one('perplexity<=2%')).to.include({ limit: 0.02, relative: 'change' });
    expect(one('perplexity<=21.5')).to.include({ limit: 21.5 });
  });

  it('takes several terms in one budget, and several budgets', () => {
    const metrics = parseBudget(['top1>=-1%, size<=2MB and latency<=0.9x', 'sqnr>=10dB']).map(
      ({ metric }) => metric,
    );
    expect(metrics).to.deep.equal(['top1', 'size', 'latency', 'sqnr']);
    expect(parseBudget(['top1>=-1%, size<=2MB']).map(({ text }) => text)).to.deep.equal([
      'top1>=-1%',
      'size<=2MB',
    ]);
  });

  for (const [text, code, column] of [
    ['', 'E_BUDGET_SYNTAX', 1],
    ['>=3', 'E_BUDGET_SYNTAX', 1],
    ['accuracy>=3%', 'E_BUDGET_METRIC', 1],
    ['constructor>=3%', 'E_BUDGET_METRIC', 1],
    ['top1>-0.5%', 'E_BUDGET_SYNTAX', 5],
    ['top1<=-0.5%', 'E_BUDGET_DIRECTION', 5],
    ['size>=2MB', 'E_BUDGET_DIRECTION', 5],
    ['top1>=much', 'E_BUDGET_SYNTAX', 7],
    ['top1>=', 'E_BUDGET_SYNTAX', 7],
    ['sqnr>=20', 'E_BUDGET_UNIT', 9],
    ['sqnr>=20MB', 'E_BUDGET_UNIT', 9],
    ['size<=-2MB', 'E_BUDGET_VALUE', 7],
    ['latency<=0x', 'E_BUDGET_VALUE', 10],
    ['top1>=120%', 'E_BUDGET_VALUE', 7],
    ['coverage>=101%', 'E_BUDGET_VALUE', 11],
    ['coverage>=-5%', 'E_BUDGET_VALUE', 11],
    ['coverage<=5%', 'E_BUDGET_DIRECTION', 9],
    ['sqnr>=20dB size<=2MB', 'E_BUDGET_SYNTAX', 12],
    ['sqnr>=20dB,', 'E_BUDGET_SYNTAX', 12],
    ['sqnr>=20dB & size<=2MB', 'E_BUDGET_SYNTAX', 12],
  ] as const) {
    it(`points at what is wrong with "${text}"`, () => {
      const error = failure(text);
      expect([error.code, error.kind]).to.deep.equal([code, 'usage']);
      expect(error.message).to.include(`column ${column}`);
      expect(error.hint).to.match(/Write it like/);
    });
  }

  it('answers every text with terms or a coded error', () => {
    const word = fc.constantFrom(
      'top1',
      'sqnr',
      'size',
      '>=',
      '<=',
      '<',
      '3',
      '-0.5',
      '.5',
      '%',
      'dB',
      'x',
      'and',
      ',',
      ' ',
      '\n',
      'é',
      '💥',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(word, { maxLength: 9 }).map((words) => words.join('')),
        ),
        (text) => {
          try {
            expect(parseBudget([text])).to.not.be.empty;
          } catch (error) {
            expect(error).to.be.instanceOf(QuantcError);
            expect((error as QuantcError).code).to.match(/^E_BUDGET_/);
          }
        },
      ),
    );
  });
});
