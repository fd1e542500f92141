/** Prints what failed in mocha's JSON results, then the count. Arguments: the file, mocha's exit code. */
import { readFileSync } from 'node:fs';

const [file, exit] = process.argv.slice(2);
let results;
try {
  results = JSON.parse(readFileSync(file, 'utf8'));
} catch {
  console.log(`mocha ended with ${exit} and wrote no results`);
  console.log('0 passed, 1 failed');
  process.exit(1);
}
const { failures, passes, pending, stats } = results;
for (const { fullTitle, err } of failures)
  console.log(`\nFAILED ${fullTitle}\n${err.stack ?? err.message ?? ''}`);
const slowest = [...passes].sort((a, b) => b.duration - a.duration).slice(0, 10);
console.log('\nslowest');
for (const { fullTitle, duration } of slowest)
  console.log(`  ${(duration / 1000).toFixed(1)} s  ${fullTitle}`);
console.log(`${Math.round(stats.duration / 1000)} s in all\n`);
// A run that ends badly without a failed test (an error outside of one) is a failure nonetheless.
const failed = failures.length === 0 && exit !== '0' ? 1 : failures.length;
const skipped = pending.length > 0 ? `, ${pending.length} skipped` : '';
console.log(`${passes.length} passed, ${failed} failed${skipped}`);
process.exit(failed === 0 ? 0 : 1);
