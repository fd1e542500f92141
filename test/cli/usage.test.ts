import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { asQuantcError, exitCodeOf, failureJson, failureText } from '../../src/cli/failure.js';
import { COMMANDS, overview } from '../../src/cli/help.js';
import { formatBytes, formatDecibels, parseBytes, parseCount } from '../../src/cli/quantity.js';
import { nearest } from '../../src/errors/nearest.js';
import { QuantcError } from '../../src/index.js';
import { VERSION } from '../../src/report/version.js';
import { invoke } from './invoke.js';

const codeOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    return (error as QuantcError).code;
  }
  return 'no error';
};

describe('quantc, as it is called', () => {
  it('has the version of its package', async () => {
    const file = readFileSync(join(import.meta.dirname, '..', '..', 'package.json'), 'utf8');
    expect((JSON.parse(file) as { version: string }).version).to.equal(VERSION);
    expect(await invoke(['--version'])).to.deep.equal({ code: 0, out: `${VERSION}\n`, err: '' });
  });

  it('explains itself and every command', async () => {
    for (const [name, doc] of Object.entries(COMMANDS)) {
      expect(overview()).to.include(name).and.to.include(doc);
      const { code, out, err } = await invoke([name, '--help']);
      expect([code, err]).to.deep.equal([0, '']);
      expect(out)
        .to.include(`Usage: quantc ${name}`)
        .and.to.match(/Next:|Examples/);
      expect(await invoke(['help', name])).to.deep.equal({ code, out, err });
    }
  });

  const wrong: readonly (readonly [words: string, code: string, hint: RegExp])[] = [
    ['', 'E_CLI_COMMAND', /Usage: quantc <command>/],
    ['compil m.onnx', 'E_CLI_COMMAND', /Did you mean `compile`\?/],
    ['m.onnx', 'E_CLI_COMMAND', /Did you mean `quantc compile m\.onnx`\?/],
    ['--targets', 'E_CLI_OPTION', /quantc --help/],
    ['new m.onnx', 'E_CLI_ARGUMENT', /quantc new --help/],
    ['new layer my-layer', 'E_NEW_KIND', /rewrite/],
    ['new pass MyPass', 'E_NEW_NAME', /drop-double-negation/],
    ['new pass fold-constants', 'E_NEW_NAME', /another name/],
    ['sensitivity m.onnx', 'E_CLI_OPTION', /quantc sensitivity --help/],
    ['compile', 'E_CLI_ARGUMENT', /quantc compile --help/],
    ['compile a.onnx b.onnx', 'E_CLI_ARGUMENT', /quantc compile --help/],
    ['compile m.onnx --precison int8', 'E_CLI_OPTION', /Did you mean `--precision`\?/],
    ['compile m.onnx --out', 'E_CLI_OPTION', /quantc compile --help/],
    ['compile m.onnx --budget 1%', 'E_BUDGET_SYNTAX', /Write it like top1>=-0.5%/],
    ['compile m.onnx --config=quantc.config.ts', 'E_CLI_OPTION', /quantc compile --help/],
    ['compile m.onnx --precision int5', 'E_PRECISION_UNKNOWN', /int8-dynamic/],
    ['compile m.onnx --target npu-none', 'E_TARGET_UNKNOWN', /cpu-x64/],
    ['compile m.onnx --threads 0', 'E_CLI_VALUE', /$/],
    ['compile m.onnx --max-memory some', 'E_CLI_VALUE', /512MiB/],
    ['compare a.onnx b.onnx --eval d --calib d', 'E_CLI_OPTION', /either/],
    ['compile absent.onnx', 'E_ONNX_READ', /$/],
    ['inspect absent.onnx', 'E_ONNX_READ', /$/],
  ];
  for (const [words, code, hint] of wrong) {
    it(`says ${code} to "quantc ${words}"`, async () => {
      const plain = await invoke(words.split(' ').filter((word) => word !== ''));
      expect([plain.code, plain.out]).to.deep.equal([2, '']);
      expect(plain.err.startsWith(`${code}: `), plain.err).to.equal(true);
      expect(plain.err).to.match(hint);
    });
  }

  it('prints errors as JSON, and nothing else, with --json', async () => {
    const { code, out, err } = await invoke(['compile', 'absent.onnx', '--json']);
    expect([code, err]).to.deep.equal([2, '']);
    const { error } = JSON.parse(out) as { error: Record<string, unknown> };
    expect(error).to.include({ code: 'E_ONNX_READ', kind: 'input' });
    expect(error['place']).to.deep.equal({ file: 'absent.onnx' });
    expect(error).not.to.have.property('stack');
  });

  it('shows stacks with QUANTC_DEBUG', async () => {
    const { err } = await invoke(['inspect', 'absent.onnx'], { QUANTC_DEBUG: '1' });
    expect(err).to.match(/\n\s+at .*\n[\s\S]*caused by Error: ENOENT/);
  });

  it('refuses a level of tracing that there is not', async () => {
    const { code, err } = await invoke(['compile', 'absent.onnx'], { QUANTC_TRACE: '4' });
    expect([code, err.split(':')[0]]).to.deep.equal([2, 'E_CLI_TRACE']);
  });
});

describe('failures', () => {
  it('have exit codes by kind, and what nobody foresaw is our fault', () => {
    const kinds = ['proof', 'input', 'usage', 'fault'] as const;
    const codes = kinds.map((kind) => exitCodeOf(new QuantcError('E_X', 'x', { kind })));
    expect(codes).to.deep.equal([1, 2, 2, 3]);
    const fault = asQuantcError(new TypeError('x is not a function'));
    expect([fault.code, exitCodeOf(fault)]).to.deep.equal(['F_UNEXPECTED', 3]);
    expect(failureText(fault, false))
      .to.include('TypeError: x is not a function')
      .and.to.include('report it');
    expect(failureText(fault, true)).to.include('caused by TypeError');
    expect(failureJson(asQuantcError('thrown text'), false)).to.have.nested.property(
      'error.message',
      'thrown text',
    );
  });
});

describe('words and amounts', () => {
  it('suggests near words only', () => {
    expect(nearest('--targt', ['--target', '--threads'])).to.equal('--target');
    expect(nearest('exclude', ['--exclude'])).to.equal('--exclude');
    expect(nearest('zebra', ['compile', 'print'])).to.equal(undefined);
  });

  it('reads amounts of memory', () => {
    const amounts = { '1GiB': 2 ** 30, '512 MB': 512e6, '1.5kib': 1536, '1000': 1000, '7b': 7 };
    for (const [text, bytes] of Object.entries(amounts)) expect(parseBytes(text)).to.equal(bytes);
    for (const text of ['', '0', '-1GB', '1TBx', 'GiB', '1e9', '0.0MB'])
      expect(codeOf(() => parseBytes(text))).to.equal('E_CLI_VALUE');
    expect(parseCount('16')).to.equal(16);
    for (const text of ['', '0', '1.5', '-2', '1e3', ' 4'])
      expect(codeOf(() => parseCount(text))).to.equal('E_CLI_VALUE');
  });

  it('writes amounts with three digits', () => {
    expect([0, 999, 1000, 125_354, 999_499, 999_600, 2.5e9].map(formatBytes)).to.deep.equal([
      '0 B',
      '999 B',
      '1 kB',
      '125 kB',
      '999 kB',
      '1 MB',
      '2.5 GB',
    ]);
    expect([null, Number.POSITIVE_INFINITY, Number.NaN, 31.25].map(formatDecibels)).to.deep.equal([
      'exact',
      'exact',
      'not a number',
      '31.3 dB',
    ]);
  });
});
