// AssemblyScript: compiled to WebAssembly with SIMD when training starts. Rounding of WebAssembly is exact IEEE, so
// that training gives the same bits on every machine.

/** Terms of a sum that are taken at a time: their rows of `b` stay in the cache while all rows of `a` pass. */
const CHUNK: i32 = 256;

/**
 * out += a · b, row-major floats at byte offsets: a is [rows, inner], b [inner, columns], out [rows, columns].
 * rows must divide by 4 and columns by 8.
 */
export function product(a: usize, b: usize, out: usize, rows: i32, columns: i32, inner: i32): void {
  const aStride: usize = (<usize>inner) << 2;
  const bStride: usize = (<usize>columns) << 2;
  for (let start: i32 = 0; start < inner; start += CHUNK) {
    const end = min(inner, start + CHUNK);
    for (let j: i32 = 0; j < columns; j += 8) {
      for (let i: i32 = 0; i < rows; i += 4) {
        const o0 = out + <usize>i * bStride + ((<usize>j) << 2);
        const o1 = o0 + bStride;
        const o2 = o1 + bStride;
        const o3 = o2 + bStride;
        let s00 = v128.load(o0);
        let s01 = v128.load(o0, 16);
        let s10 = v128.load(o1);
        let s11 = v128.load(o1, 16);
        let s20 = v128.load(o2);
        let s21 = v128.load(o2, 16);
        let s30 = v128.load(o3);
        let s31 = v128.load(o3, 16);
        let at = a + <usize>i * aStride + ((<usize>start) << 2);
        let bt = b + <usize>start * bStride + ((<usize>j) << 2);
        for (let k: i32 = start; k < end; k++) {
          const b0 = v128.load(bt);
          const b1 = v128.load(bt, 16);
          const a0 = v128.load_splat<f32>(at);
          s00 = f32x4.add(s00, f32x4.mul(a0, b0));
          s01 = f32x4.add(s01, f32x4.mul(a0, b1));
          const a1 = v128.load_splat<f32>(at + aStride);
          s10 = f32x4.add(s10, f32x4.mul(a1, b0));
          s11 = f32x4.add(s11, f32x4.mul(a1, b1));
          const a2 = v128.load_splat<f32>(at + 2 * aStride);
          s20 = f32x4.add(s20, f32x4.mul(a2, b0));
          s21 = f32x4.add(s21, f32x4.mul(a2, b1));
          const a3 = v128.load_splat<f32>(at + 3 * aStride);
          s30 = f32x4.add(s30, f32x4.mul(a3, b0));
          s31 = f32x4.add(s31, f32x4.mul(a3, b1));
          at += 4;
          bt += bStride;
        }
        v128.store(o0, s00);
        v128.store(o0, s01, 16);
        v128.store(o1, s10);
        v128.store(o1, s11, 16);
        v128.store(o2, s20);
        v128.store(o2, s21, 16);
        v128.store(o3, s30);
        v128.store(o3, s31, 16);
      }
    }
  }
}
