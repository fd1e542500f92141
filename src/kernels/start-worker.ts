import { Worker } from 'node:worker_threads';

/**
 * Starts a thread on a module of ours. Compiled, it is a module as any other; run from its TypeScript source, the thread
 * must first learn to read that.
 * @param module URL of the module without its ending: `new URL('./worker', import.meta.url)`
 */
export function startWorker(module: URL): Worker {
  if (!import.meta.url.endsWith('.ts')) return new Worker(new URL(`${module.href}.js`));
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const source = JSON.stringify(`${module.href}.ts`);
  return new Worker(`import(${loader}).then(({ register }) => (register(), import(${source})))`, {
    eval: true,
    execArgv: [],
  });
}
