import { run } from '../../src/cli/run.js';

export interface Invocation {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line in this process, with what it prints caught. */
export async function invoke(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Invocation> {
  const caught = { out: '', err: '' };
  const { stdout, stderr } = process;
  const [writeOut, writeErr] = [stdout.write, stderr.write];
  const before = { ...process.env };
  Object.assign(process.env, env);
  const catching = (name: keyof typeof caught) => (chunk: string | Uint8Array) => {
    caught[name] += String(chunk);
    return true;
  };
  stdout.write = catching('out');
  stderr.write = catching('err');
  try {
    const code = await run(words);
    return { code, ...caught };
  } finally {
    stdout.write = writeOut;
    stderr.write = writeErr;
    for (const name of Object.keys(env)) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
}
