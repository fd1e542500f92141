import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'chai';

const root = join(import.meta.dirname, '..', '..');
const dataUrl = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`;

/** A module hook that lets packages fail as they do where no binary fits. */
const without = (...names: readonly string[]): string =>
  dataUrl(
    `import { register } from 'node:module';
   register(${JSON.stringify(
     dataUrl(`export function resolve(name, context, next) {
       if (${JSON.stringify(names)}.includes(name)) throw new Error('no ' + name + ' for this platform\\nand more');
       return next(name, context);
     }`),
   )});`,
  );
const NATIVE = 'onnxruntime-node';
const WASM = 'onnxruntime-web';

function run(script: string, options: readonly string[] = [], environment = {}): string {
  return execFileSync(
    '/bin/sh',
    ['-c', '"$0" "$@" 2>&1', process.execPath, ...options, ...TYPESCRIPT, '-e', script],
    { cwd: root, encoding: 'utf8', env: { ...process.env, ...environment } },
  );
}
const TYPESCRIPT = ['--import', 'tsx', '--input-type=module'];

const OPEN = `
  const { openSession } = await import('./src/runtime/session.ts');
  await openSession(new Uint8Array(1)).catch((error) => console.log(JSON.stringify({ ...error, message: error.message })));
  await openSession(new Uint8Array(1)).catch(() => {});`;

describe('runtime/load', () => {
  it('says in one line how to mend a missing ONNX Runtime', () => {
    for (const [names, choice] of [
      [[NATIVE, WASM], ''],
      [[NATIVE], 'native'],
    ] as const) {
      const told = run(OPEN, ['--import', without(...names)], { QUANTC_ENGINE: choice });
      const error = JSON.parse(told) as Record<string, string>;
      expect(error).to.include({ code: 'E_RUNTIME_MISSING', kind: 'usage' });
      expect(error['message']).to.contain(`no ${NATIVE} for this platform`);
      expect(error['hint']).to.contain('npm install onnxruntime-node').and.not.contain('\n');
    }
  });

  it('goes on with WebAssembly where the native build is missing, and says so once', () => {
    const told = run(OPEN, ['--import', without(NATIVE)]);
    expect(told.match(/QUANTC_WASM.*runs as WebAssembly/g)).to.have.length(1);
    expect(told).to.contain(`no ${NATIVE} for this platform`).and.contain('E_RUNTIME_LOAD');
    const command = `process.argv.splice(1, 2, 'quantc', 'doctor'); await import('./src/cli/main.ts');`;
    const doctor = run(command, ['--import', without(NATIVE)]);
    expect(doctor.match(/runs as WebAssembly/g)).to.have.length(1);
    expect(doctor).to.match(/engine\s+absent\s+onnxruntime-web [\d.]+, WebAssembly/);
    expect(doctor).to.match(/→ echo onnxruntime-node-install=skip>> .npmrc && npm install/);
  });

  it('refuses engines that there are not', () => {
    const told = run(OPEN, [], { QUANTC_ENGINE: 'gpu' });
    expect(JSON.parse(told)).to.include({ code: 'E_RUNTIME_ENGINE', kind: 'usage' });
  });

  it('loads nothing native until a session is opened', () => {
    const script = `
      await import('./src/runtime/engine.ts');
      console.log(Object.keys((await import('node:module')).default._cache ?? {}).join('\\n'));
      console.log(process.report.getReport().sharedObjects.filter((name) => name.includes('onnxruntime')).length);`;
    const lines = run(script).trim().split('\n');
    expect(lines.at(-1)).to.equal('0');
    expect(lines.filter((line) => line.includes('onnxruntime-node'))).to.deep.equal([]);
  });

  it('keeps ONNX Runtime quiet on the terminal', () => {
    const script = `
      const { parseModel } = await import('./src/text/parse.ts');
      const { openSession } = await import('./src/runtime/session.ts');
      const model = parseModel('<ir_version: 8, opset_import: ["": 21]>' +
        'g (float[2] x, float[2] w) => (float[2] y) <float[2] w = {1, 2}> { y = Add (x, w) }');
      await (await openSession(model)).release();`;
    const text = run(script);
    expect(text).to.equal('');
  });
});
