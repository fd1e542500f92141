import { equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import { parseModel, planStatic } from 'quantc';
import { tinyDsp } from './tiny-dsp.js';

const net = (channels: number) =>
  parseModel(`<ir_version: 10, opset_import: ["": 21]>
g (float[1,16,32,32] x) => (float[1,${channels},32,32] y) <
  float[${channels},16,3,3] w = ["fill": "normal:1"]
> {
  [conv] y = Conv <pads = [1, 1, 1, 1]> (x, w)
}`);

test('it takes convolutions that fit, and says why it leaves others', () => {
  const small = net(32);
  equal(planStatic(small.graph, tinyDsp).nodes.get(small.graph.first!)?.row?.kernel, 'QLinearConv');
  const large = net(128);
  match(
    planStatic(large.graph, tinyDsp).declined.get(large.graph.first!) ?? '',
    /128 output channels are more than the 64 that fit/,
  );
});
