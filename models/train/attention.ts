import { type Tape, Variable } from './tape.js';

/** How rows and columns of q, k and v are cut: `rows / tokens` sequences, `columns / heads` channels a head. */
export interface AttentionShape {
  readonly tokens: number;
  readonly heads: number;
}

/** `softmax(q kᵀ / √d) v` for each sequence and head. */
export function attention(
  tape: Tape,
  q: Variable,
  k: Variable,
  v: Variable,
  { tokens, heads }: AttentionShape,
): Variable {
  const { rows, columns } = q;
  const depth = columns / heads;
  const scale = 1 / Math.sqrt(depth);
  const y = Variable.zeros(rows, columns);
  const weights = new Float32Array(rows * heads * tokens);
  /** Runs over every query of every head: its offset, the offset of the first key, and where its weights lie. */
  const eachQuery = (visit: (query: number, firstKey: number, at: number) => void): void => {
    for (let row = 0; row < rows; row++) {
      const first = row - (row % tokens);
      for (let head = 0; head < heads; head++) {
        visit(row * columns + head * depth, first * columns + head * depth, (row * heads + head) * tokens);
      }
    }
  };
  eachQuery((query, firstKey, at) => {
    let top = Number.NEGATIVE_INFINITY;
    for (let t = 0; t < tokens; t++) {
      let score = 0;
      for (let d = 0; d < depth; d++) score += q.data[query + d]! * k.data[firstKey + t * columns + d]!;
      weights[at + t] = score * scale;
      top = Math.max(top, weights[at + t]!);
    }
    let sum = 0;
    for (let t = 0; t < tokens; t++) {
      weights[at + t] = Math.exp(weights[at + t]! - top);
      sum += weights[at + t]!;
    }
    for (let t = 0; t < tokens; t++) {
      weights[at + t]! /= sum;
      const weight = weights[at + t]!;
      for (let d = 0; d < depth; d++) y.data[query + d]! += weight * v.data[firstKey + t * columns + d]!;
    }
  });
  tape.push(() => {
    const flows = new Float32Array(tokens);
    eachQuery((query, firstKey, at) => {
      let mean = 0;
      for (let t = 0; t < tokens; t++) {
        const key = firstKey + t * columns;
        let flow = 0;
        for (let d = 0; d < depth; d++) {
          flow += y.gradient[query + d]! * v.data[key + d]!;
          v.gradient[key + d]! += weights[at + t]! * y.gradient[query + d]!;
        }
        flows[t] = flow;
        mean += flow * weights[at + t]!;
      }
      for (let t = 0; t < tokens; t++) {
        const key = firstKey + t * columns;
        const flow = weights[at + t]! * (flows[t]! - mean) * scale;
        for (let d = 0; d < depth; d++) {
          q.gradient[query + d]! += flow * k.data[key + d]!;
          k.gradient[key + d]! += flow * q.data[query + d]!;
        }
      }
    });
  });
  return y;
}
