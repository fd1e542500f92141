import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'chai';

const root = join(import.meta.dirname, '..', '..');
const dataUrl = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`;

/** A module hook that lets the package fail as it does where no binary fits. */
const WITHOUT_RUNTIME = dataUrl(
  `import { register } from 'node:module';
   register(${JSON.stringify(
     dataUrl(`export function resolve(name, context, next) {
       if (name === 'onnxruntime-node') throw new Error('no binary for this platform\\nand more');
       return next(name, context);
     }`),
   )});`,
);

function run(script: string, ...options: string[]): string {
  return execFileSync(
    process.execPath,
    [...options, '--import', 'tsx', '--input-type=module', '-e', script],
    { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  );
}

describe('runtime/load', () => {
  it('says in one line how to mend a missing ONNX Runtime', () => {
    const script = `
      const { openSession } = await import('./src/runtime/session.ts');
      await openSession(new Uint8Array(1)).catch((error) => console.log(JSON.stringify(error)));`;
    const error = JSON.parse(run(script, '--import', WITHOUT_RUNTIME)) as Record<string, string>;
    expect(error).to.include({ code: 'E_RUNTIME_MISSING', kind: 'usage' });
    expect(error['hint']).to.contain('npm install onnxruntime-node').and.not.contain('\n');
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
    const text = execFileSync(
      '/bin/sh',
      ['-c', '"$0" --import tsx --input-type=module -e "$1" 2>&1', process.execPath, script],
      { cwd: root, encoding: 'utf8' },
    );
    expect(text).to.equal('');
  });
});
