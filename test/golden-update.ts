/**
 * `npm run golden:update [-- <pass>[/<case>]]`: writes what the passes now make of the golden inputs into the expected
 * files. Read the difference before you commit it. Continuous integration compares and never writes.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { graphText } from '../src/testing/index.js';
import { goldenCases, readCase } from './golden.js';
import { transform } from './golden-run.js';

if (process.env['CI']) throw new Error('golden files are not updated by continuous integration');

const wanted = process.argv[2] ?? '';
let written = 0;
for (const each of goldenCases()) {
  if (!`${each.pass}/${each.name}/`.startsWith(wanted && `${wanted}/`)) continue;
  const model = readCase(each);
  await transform(model, each);
  const text = graphText(model, each.config);
  if (text === each.expected) continue;
  writeFileSync(join(each.folder, 'expected.onnxtxt'), text);
  console.log(`${each.pass}/${each.name}: ${each.expected === undefined ? 'new' : 'changed'}`);
  written += 1;
}
console.log(`${written} expected files written`);
