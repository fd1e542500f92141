import { expect } from 'chai';
import { fuzz } from '../fuzz-decode.js';

describe('onnx: mutated models', () => {
  it('end in a coded error or a sound model (a short run; `npm run fuzz` does the long one)', () => {
    const { failures, outcomes } = fuzz(2000, 7);
    expect(failures).to.deep.equal([]);
    expect([...outcomes.keys()]).to.include.members(['model', 'E_ONNX_MALFORMED', 'E_GRAPH_UNDEFINED']);
  });
});
