/** A compilation in a process of its own, to be killed: `tsx crash-run.ts <model> <out> <method>`. Says when it begins. */

import { parseWeightMethod } from '../../src/compile/weight-request.js';
import { compile } from '../../src/compile.js';

const [model, out, method] = process.argv.slice(2) as [string, string, string];
process.stdout.write('begun\n');
try {
  await compile({
    ...{ model, out, precision: 'int4', weightMethod: parseWeightMethod(method), threads: 2 },
    ...{ dataBytes: 1 << 19, cache: false },
  });
} catch (error) {
  process.stderr.write(JSON.stringify({ ...(error as object), message: String(error) }));
  process.exitCode = 2;
}
