import { KernelPool } from '../kernels/pool.js';

/** Bytes that a compilation may hold where nothing is said. */
export const DEFAULT_MEMORY = 1 << 30;

/** Gives a compilation its worker threads, and ends them with it. */
export async function withPool<T>(
  { threads, maxMemory = DEFAULT_MEMORY }: { readonly threads?: number; readonly maxMemory?: number },
  use: (pool: KernelPool) => Promise<T>,
): Promise<T> {
  const pool = new KernelPool({ threads, maxMemory: maxMemory / 4 });
  try {
    return await use(pool);
  } finally {
    await pool.close();
  }
}
