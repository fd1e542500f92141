import { equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import { expectSameOutputs, runPass } from 'quantc/testing';
import { poolToMean } from './pool-to-mean.js';

const net = (axis: number) => `<ir_version: 10, opset_import: ["": 21]>
g (float[N,8,5,7] x) => (float[N,M] y) {
  a = GlobalAveragePool (x)
  y = Flatten <axis = ${axis}> (a)
}`;

test('two nodes become one, and answer the same', async () => {
  const { text, model } = await runPass(net(1), poolToMean);
  match(text, /y = ReduceMean <keepdims = 0> \(x/);
  await expectSameOutputs(net(1), model);
});

test('what is flattened otherwise is left alone, and it says why', async () => {
  const { fired, declines } = await runPass(net(2), poolToMean);
  equal(fired, false);
  match(declines.join(), /another axis/);
});
