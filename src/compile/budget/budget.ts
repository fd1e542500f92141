/**
 * Budgets in words: `top1>=-0.5%`, `sqnr>=20dB and size<=2MB`, `latency<=0.6x`, `coverage>=95%`.
 *
 *   budget = term { ("," | "and") term }
 *   term   = metric (">=" | "<=") number unit
 */
import { QuantcError } from '../../errors/error.js';

export type BudgetMetric = 'top1' | 'perplexity' | 'sqnr' | 'size' | 'latency' | 'coverage';

/** One limit, in units of the metric: shares of 1 for `top1` and `coverage`, dB, bytes, milliseconds. */
export interface BudgetTerm {
  readonly metric: BudgetMetric;
  /** What the user wrote. */
  readonly text: string;
  readonly bound: 'least' | 'most';
  readonly limit: number;
  /** `change`: added to the float model's figure, as a share of 1. `times`: times the float model's. */
  readonly relative?: 'change' | 'times';
}

interface MetricForm {
  readonly bound: BudgetTerm['bound'];
  /** Factor to the metric's own unit, by unit as written in lower case. */
  readonly units: Readonly<Record<string, number>>;
  readonly example: string;
}

const BYTES = { b: 1, kb: 1e3, mb: 1e6, gb: 1e9, kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30 };

const METRICS: Readonly<Record<BudgetMetric, MetricForm>> = {
  top1: { bound: 'least', units: { '%': 0.01 }, example: 'top1>=-0.5% (points against float) or top1>=75%' },
  perplexity: {
    bound: 'most',
    units: { '': 1, '%': 0.01, x: 1 },
    example: 'perplexity<=+2% (against float), perplexity<=1.02x or perplexity<=21.5',
  },
  sqnr: { bound: 'least', units: { db: 1 }, example: 'sqnr>=20dB' },
  size: { bound: 'most', units: { ...BYTES, x: 1 }, example: 'size<=2MB or size<=0.3x (of the float file)' },
  latency: {
    bound: 'most',
    units: { ms: 1, us: 1e-3, s: 1e3, x: 1 },
    example: 'latency<=0.6x (of the float model) or latency<=5ms',
  },
  coverage: { bound: 'least', units: { '%': 0.01 }, example: 'coverage>=95% (of nodes, taken by an NPU)' },
};

/** A word or a sign, and where it stands. */
interface Token {
  readonly text: string;
  readonly at: number;
}

const TOKEN = /[a-z_][a-z0-9_]*|[<>=!]+|[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|[%,&;]|\S/giy;

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < text.length; ) {
    if (/\s/.test(text[at]!)) {
      at += 1;
      continue;
    }
    TOKEN.lastIndex = at;
    const [found] = TOKEN.exec(text)!;
    tokens.push({ text: found, at });
    at += found.length;
  }
  return tokens;
}

/**
 * Reads budgets, each of one or more terms.
 * @throws QuantcError E_BUDGET_SYNTAX, E_BUDGET_METRIC, E_BUDGET_DIRECTION, E_BUDGET_UNIT, E_BUDGET_VALUE, which show
 * the word that is wrong
 */
export function parseBudget(texts: readonly string[]): BudgetTerm[] {
  return texts.flatMap((text) => new BudgetReader(text).read());
}

class BudgetReader {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #next = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokensOf(text);
  }

  read(): BudgetTerm[] {
    const terms = [this.#term()];
    for (let joint = this.#take(); joint !== undefined; joint = this.#take()) {
      if (joint.text !== ',' && joint.text.toLowerCase() !== 'and')
        throw this.#wrong('E_BUDGET_SYNTAX', joint, 'expected "," or "and" between terms');
      terms.push(this.#term());
    }
    return terms;
  }

  #take(): Token | undefined {
    return this.#tokens[this.#next++];
  }

  #term(): BudgetTerm {
    const name = this.#take();
    if (name === undefined || !/^[a-z]/i.test(name.text))
      throw this.#wrong('E_BUDGET_SYNTAX', name, 'expected a metric');
    const metric = name.text.toLowerCase() as BudgetMetric;
    const form = Object.hasOwn(METRICS, metric) ? METRICS[metric] : undefined;
    if (form === undefined) throw this.#wrong('E_BUDGET_METRIC', name, 'there is no such metric');
    const sign = this.#take();
    if (sign?.text !== '>=' && sign?.text !== '<=')
      throw this.#wrong('E_BUDGET_SYNTAX', sign, 'expected ">=" or "<="', form.example);
    if ((sign.text === '>=') !== (form.bound === 'least')) {
      const other = form.bound === 'least' ? '">="' : '"<="';
      throw this.#wrong(
        'E_BUDGET_DIRECTION',
        sign,
        `a budget on ${metric} is written with ${other}`,
        form.example,
      );
    }
    const value = this.#take();
    const number = Number(value?.text);
    if (value === undefined || !/^[+-]?[\d.]/.test(value.text) || !Number.isFinite(number))
      throw this.#wrong('E_BUDGET_SYNTAX', value, 'expected a number', form.example);
    const unit = this.#unit(metric, form, value);
    const text = this.#text.slice(name.at, unit.end);
    return { metric, text, bound: form.bound, ...this.#limit(metric, form, value, number, unit.text) };
  }

  /** The unit behind a number; where a metric has a bare number, its absence. */
  #unit(metric: BudgetMetric, form: MetricForm, value: Token): { text: string; end: number } {
    const token = this.#tokens[this.#next];
    const word =
      token && /^(?:[a-z]+|%)$/i.test(token.text) && token.text.toLowerCase() !== 'and' ? token : undefined;
    if (word !== undefined) this.#next += 1;
    const unit = word?.text.toLowerCase() ?? '';
    if (Object.hasOwn(form.units, unit)) {
      const end = word ?? value;
      return { text: unit, end: end.at + end.text.length };
    }
    const known = Object.keys(form.units)
      .filter((each) => each !== '')
      .join(', ');
    throw this.#wrong('E_BUDGET_UNIT', word ?? token, `${metric} is given in ${known}`, form.example);
  }

  #limit(
    metric: BudgetMetric,
    form: MetricForm,
    value: Token,
    number: number,
    unit: string,
  ): Pick<BudgetTerm, 'limit' | 'relative'> {
    const signed = /^[+-]/.test(value.text);
    const limit = number * form.units[unit]!;
    if (unit === 'x') {
      if (number <= 0) throw this.#wrong('E_BUDGET_VALUE', value, 'expected a factor above 0', form.example);
      return { limit, relative: 'times' };
    }
    if (unit === '%' && metric !== 'coverage' && (signed || metric === 'perplexity'))
      return { limit, relative: 'change' };
    if (limit < 0 || (limit === 0 && metric !== 'sqnr' && metric !== 'top1' && metric !== 'coverage'))
      throw this.#wrong('E_BUDGET_VALUE', value, `${metric} cannot come to that`, form.example);
    if ((metric === 'top1' || metric === 'coverage') && limit > 1)
      throw this.#wrong(
        'E_BUDGET_VALUE',
        value,
        `${metric === 'top1' ? 'accuracy' : metric} ends at 100 %`,
        form.example,
      );
    return { limit };
  }

  /** The text with a mark under the word that is wrong. */
  #wrong(code: string, token: Token | undefined, expected: string, example?: string): QuantcError {
    const at = token?.at ?? this.#text.trimEnd().length;
    const found = token === undefined ? 'the end' : `"${token.text}"`;
    const shown = `${this.#text.trimEnd()}\n${' '.repeat(at)}${'^'.repeat(Math.max(1, token?.text.length ?? 1))}`;
    const examples =
      example ??
      Object.values(METRICS)
        .map((form) => form.example)
        .join('; ');
    return new QuantcError(
      code,
      `the budget is wrong at ${found} (column ${at + 1}): ${expected}\n  ${shown.replace('\n', '\n  ')}`,
      {
        kind: 'usage',
        hint: `Write it like ${examples}.`,
      },
    );
  }
}
