#!/usr/bin/env node
/** The command. Everything but its help is loaded when it is asked for. */
import { overview } from './help.js';

const words = process.argv.slice(2);
const [first] = words;
if (first === '--help' || first === '-h' || (first === 'help' && words.length === 1)) {
  process.stdout.write(overview());
} else {
  const { quietAboutClosedPipes, run } = await import('./run.js');
  quietAboutClosedPipes();
  process.exitCode = await run(words);
}
