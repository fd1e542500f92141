/** Convolutions over pictures in NHWC: a row a pixel. Kernels are 3 × 3 with padding 1, as both networks need them. */
import { multiply, transposed } from './multiply.js';
import { type Tape, Variable } from './tape.js';

/** Extent of a batch of square pictures. */
export interface Pictures {
  readonly batch: number;
  /** Height and width. */
  readonly size: number;
}

/** Calls back for every pixel under every kernel position that lies inside the picture. */
function eachTap(
  { batch, size }: Pictures,
  stride: number,
  visit: (outRow: number, tap: number, inRow: number) => void,
): void {
  const outSize = size / stride;
  let outRow = 0;
  for (let image = 0; image < batch; image++) {
    for (let y = 0; y < outSize; y++) {
      for (let x = 0; x < outSize; x++, outRow++) {
        for (let ky = 0; ky < 3; ky++) {
          const inY = y * stride + ky - 1;
          if (inY < 0 || inY >= size) continue;
          for (let kx = 0; kx < 3; kx++) {
            const inX = x * stride + kx - 1;
            if (inX >= 0 && inX < size) visit(outRow, ky * 3 + kx, (image * size + inY) * size + inX);
          }
        }
      }
    }
  }
}

/** 3 × 3 convolution; w is [out, 9 · in], its columns by kernel position, then channel. */
export function conv3x3(tape: Tape, x: Variable, pictures: Pictures, w: Variable, stride: number): Variable {
  const { columns: channels, data: input } = x;
  const inner = 9 * channels;
  const rows = x.rows / (stride * stride);
  const unfolded = new Float32Array(rows * inner);
  eachTap(pictures, stride, (outRow, tap, inRow) => {
    const to = outRow * inner + tap * channels;
    const from = inRow * channels;
    for (let c = 0; c < channels; c++) unfolded[to + c] = input[from + c]!;
  });
  const y = Variable.zeros(rows, w.rows);
  multiply(unfolded, transposed(w.data, w.rows, inner), y.data, rows, w.rows, inner);
  tape.push(() => {
    const dw = new Float32Array(w.data.length);
    multiply(transposed(y.gradient, rows, w.rows), unfolded, dw, w.rows, inner, rows);
    for (let i = 0; i < dw.length; i++) w.gradient[i]! += dw[i]!;
    const dx = x.gradient;
    // The unfolded input has served: its gradient takes its place.
    const folding = unfolded;
    multiply(y.gradient, w.data, folding, rows, inner, w.rows);
    eachTap(pictures, stride, (outRow, tap, inRow) => {
      const from = outRow * inner + tap * channels;
      const to = inRow * channels;
      for (let c = 0; c < channels; c++) dx[to + c]! += folding[from + c]!;
    });
  });
  return y;
}

/** 3 × 3 depthwise convolution; w is [9, channels]. */
export function depthwise3x3(
  tape: Tape,
  x: Variable,
  pictures: Pictures,
  w: Variable,
  stride: number,
): Variable {
  const { columns: channels } = x;
  const y = Variable.zeros(x.rows / (stride * stride), channels);
  const [input, weight, output] = [x.data, w.data, y.data];
  eachTap(pictures, stride, (outRow, tap, inRow) => {
    for (let c = 0; c < channels; c++) {
      output[outRow * channels + c]! += input[inRow * channels + c]! * weight[tap * channels + c]!;
    }
  });
  tape.push(() => {
    const [dx, dw, dy] = [x.gradient, w.gradient, y.gradient];
    eachTap(pictures, stride, (outRow, tap, inRow) => {
      for (let c = 0; c < channels; c++) {
        const flow = dy[outRow * channels + c]!;
        dx[inRow * channels + c]! += flow * weight[tap * channels + c]!;
        dw[tap * channels + c]! += flow * input[inRow * channels + c]!;
      }
    });
  });
  return y;
}
