/** Folders that compilations work in, and what killed ones leave behind. */
import { createHash } from 'node:crypto';
import { readdirSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

/** Tells machines apart that share a disk: whether a process lives, only its own machine knows. */
const machine = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);

/** How the name of a folder begins that a compilation of this process works in. */
export const stagingPrefix = (): string => `.quantc-${machine}-${process.pid}-`;

const NAMED = /^\.quantc-([0-9a-f]{8})-(\d+)-/;

/** Takes away the folders of compilations on this machine that ended without doing so: killed, or the power failed. */
export function removeLeftovers(folder: string): void {
  for (const name of readdirSync(folder)) {
    const [, where, pid] = NAMED.exec(name) ?? [];
    if (where !== machine || isAlive(Number(pid))) continue;
    rmSync(join(folder, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // A process of another user may not be asked, but it is there.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
