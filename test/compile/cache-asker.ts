/** A process that asks a shared cache many questions and looks at each answer; its exit code is the number of wrong ones. */
import { AnswerCache } from '../../src/compile/cache.js';

let wrong = 0;
for (let round = 0; round < 5; round++) {
  const cache = new AnswerCache(process.argv[2]!);
  await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const answer = await cache.remember('shared', [i], async () => Array(200).fill(i));
      if (answer.length !== 200 || answer.some((each) => each !== i)) wrong += 1;
    }),
  );
}
process.exit(wrong);
