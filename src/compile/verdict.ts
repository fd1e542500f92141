/** Whether a compilation may stand: how much may be held for the proof, and what a failed one means. */
import type { DataSet } from '../calibration/dataset.js';
import { QuantcError } from '../errors/error.js';
import type { Ledger } from '../pipeline/ledger.js';
import type { Proof } from '../report/report.js';

/** Float weights, int8 weights, and what executors keep packed beside them. */
const PROOF_FACTOR = 2.5;

/** Proof holds the float model and the emitted one at once: where that is over the ceiling, it says so instead. */
export async function proveWithin(
  maxMemory: number,
  bytesBefore: number,
  ledger: Ledger,
  samples: DataSet | undefined,
  run: (samples: DataSet) => Promise<Proof>,
): Promise<Proof> {
  const needed = bytesBefore * PROOF_FACTOR;
  if (samples !== undefined && needed <= maxMemory) return run(samples);
  const reason =
    samples === undefined
      ? 'there are no feeds to run the model on'
      : `running both models needs about ${megabytes(needed)}, over the ceiling of ${megabytes(maxMemory)}`;
  ledger.note('warning', 'W_PROOF_SKIPPED', reason);
  return {
    status: 'skipped',
    reason,
    executor: '',
    samples: 0,
    synthetic: false,
    outputs: [],
    kernels: {},
    broken: [],
  };
}

/** @throws QuantcError E_PROOF when the proof failed, E_STRICT when `strict` and a warning was noted. */
export function accept(strict: boolean, ledger: Ledger, proof: Proof): void {
  if (proof.status === 'failed') {
    const node = proof.broken[0]?.node;
    throw new QuantcError('E_PROOF', `the emitted model fails its proof: ${proof.reason}`, {
      kind: 'proof',
      place: { node },
      hint:
        node === undefined
          ? 'Compare with --precision float to see whether the float model is at fault.'
          : "Exclude the node, or report it: the target's table is wrong for this graph.",
    });
  }
  refuseWarnings(strict, ledger);
}

/** What is warned of before any long work is refused before it. @throws QuantcError E_STRICT when `strict` */
export function refuseWarnings(strict: boolean, ledger: Ledger): void {
  const warning = ledger.notes.find((note) => note.level === 'warning');
  if (strict && warning) {
    throw new QuantcError('E_STRICT', `${warning.code}: ${warning.message}`, {
      kind: 'proof',
      hint: 'With --strict a warning is an error, and nothing is written.',
    });
  }
}

const megabytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
